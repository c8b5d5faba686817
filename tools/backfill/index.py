"""The facts of a history by payment, whatever order its lines have: on disk, so that a file may be larger than memory.

Reports that share an id of their payment belong together, as in the ledger. The database has no name: it lies in a temporary file
that vanishes with this process, however that ends, because it holds what the history says about people.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from quittance.facts import PAYOUT_TYPES, REGISTRATION_TYPES, Fact, FactType, fact_from_json
from quittance.ledger import case_pk
from quittance.runtime.queues import FACT_CHARACTERS_MAX, PAYOUT_CHARACTERS_MAX
from quittance.settlements import settlements
from tools.history import HistoryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tools.history import Reported

_MESSAGE_CHARACTERS = 2048
"""What a message holds besides its fact."""
_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_ESCAPED_MAX = 12
"""Characters that JSON takes for one of a text: two escapes for one beyond U+FFFF."""
_CACHE_KIB = 4096
"""What the database holds in memory, and again while it sorts. With sixteen times as much it is hardly faster."""
_SCHEMA = f"""
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
PRAGMA cache_size = -{_CACHE_KIB};
CREATE TABLE member (name TEXT PRIMARY KEY, payment INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX member_of ON member (payment);
CREATE TABLE report (phase INTEGER, payment INTEGER, at TEXT, rank INTEGER, line INTEGER, event_id TEXT, fact TEXT);
CREATE INDEX report_of ON report (payment);
CREATE TABLE refusal (line INTEGER, reason TEXT);
"""
_REGISTRATION, _PAYMENT, _SETTLEMENT, _PAYOUT = range(4)
"""The phases of a history: whose money it is, what happened to it, and when it was paid out."""

_COURSE = {
    kind: rank
    for rank, kinds in enumerate(
        (
            {FactType.PAYMENT_AUTHORIZED},
            {FactType.SUBSCRIPTION_RENEWED},
            {FactType.PAYMENT_SUCCEEDED, FactType.PAYMENT_CAPTURED},
            {FactType.PAYMENT_FAILED},
            {FactType.REFUND_SUCCEEDED},
            {FactType.REFUND_FAILED},
            {FactType.DISPUTE_OPENED},
            {FactType.DISPUTE_WON},
            {FactType.DISPUTE_LOST},
        )
    )
    for kind in kinds
}
"""What comes first of what happened in the same second."""
_LAST = len(_COURSE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One report of a history. The same as of a line, save for what follows from a payout."""

    fact: Fact
    event_id: str
    line: int

    @property
    def follows(self) -> bool:
        """Whether this is not reported itself, but concluded by the pipeline: it is awaited, never sent."""
        return self.fact.type is FactType.PAYMENT_SETTLED


@dataclass(frozen=True, slots=True)
class Story:
    """All that a history says about one payment, or about one payout, in the order in which it happened."""

    position: int
    """Counts the stories of a file from 1, in the order in which they began."""
    entries: tuple[Entry, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """Every id that names the payment."""
        return tuple(dict.fromkeys(name for entry in self.entries for name in entry.fact.case_ids))


class Index:
    """One history, sorted. Filled once, then read any number of times."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(_SCHEMA)
        self._db.execute("BEGIN")
        self._payments = 0
        self.stories = 0
        self.reports = 0
        self.left_out = 0
        """Reports of test money, where documents are real."""

    @classmethod
    def of(cls, history: Iterable[Reported | HistoryError], *, is_live: bool, until: str) -> Index:
        """The whole history. On a stack that invoices for real, what says that no real money moved is left out.

        What happened after `until`, an instant in UTC, is no history: the invoicing API refuses dates in the future.
        Raises `HistoryError` where the history as a whole cannot be read.
        """
        index = cls()
        for told in history:
            if isinstance(told, HistoryError):
                index._refuse(told.line, told.reason)
            elif is_live and told.is_test:
                index.left_out += 1
            elif told.fact.latest_at > until:
                index._refuse(told.line, "this has not happened yet")
            else:
                index._add(told)
        index._number()
        return index

    def refusals(self) -> Iterator[HistoryError]:
        """Every line that cannot be used, in the order of the file."""
        yield from (HistoryError(line, reason) for line, reason in self._db.execute("SELECT * FROM refusal ORDER BY line"))

    @property
    def refused(self) -> int:
        (count,) = self._db.execute("SELECT count(*) FROM refusal").fetchone()
        return int(count)

    def registrations(self) -> Iterator[Entry]:
        """Every registration, in the order in which they happened."""
        query = "SELECT fact, event_id, line FROM report WHERE phase = ? ORDER BY at, line"
        yield from (_entry(*row) for row in self._db.execute(query, (_REGISTRATION,)))

    def told(self, after: int = 0) -> Iterator[Story]:
        """The stories of payments, and after them those of payouts, from the one behind position `after` on."""
        query = (
            "SELECT story.position, report.fact, report.event_id, report.line FROM story"
            " JOIN report ON report.payment = story.payment WHERE story.position > ?"
            " ORDER BY story.position, report.phase, report.at, report.rank, report.line"
        )
        rows = self._db.execute(query, (after,))
        for position, reports in groupby(rows, key=itemgetter(0)):
            yield Story(position, tuple(_entry(*report) for _, *report in reports))

    # filling

    def _add(self, told: Reported) -> None:
        text = _text(told.fact.to_json())
        most = PAYOUT_CHARACTERS_MAX if told.fact.type in PAYOUT_TYPES else FACT_CHARACTERS_MAX
        if not _fits(text, most - _MESSAGE_CHARACTERS):
            self._refuse(told.line, "more than one payment of the ledger can hold")
            return
        self.reports += 1
        if told.fact.type in REGISTRATION_TYPES:
            self._store(_REGISTRATION, 0, told, text)
        elif told.fact.type in PAYOUT_TYPES:
            self._store(_PAYOUT, self._payment_of(told.fact), told, text)
            for settled in settlements(told.fact):
                self._store(_SETTLEMENT, self._payment_of(settled), told._replace(fact=settled), _text(settled.to_json()))
        else:
            self._store(_PAYMENT, self._payment_of(told.fact), told, text)

    def _store(self, phase: int, payment: int, told: Reported, text: str) -> None:
        row = (phase, payment, told.fact.occurred_at, _COURSE.get(told.fact.type, _LAST), told.line, told.event_id, text)
        self._db.execute("INSERT INTO report VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def _payment_of(self, fact: Fact) -> int:
        """The number of the payment that a fact belongs to. Payments that it shows to be one become one."""
        names = [case_pk(fact.provider, fact.account, name) for name in fact.case_ids]
        found = dict(self._db.execute(f"SELECT name, payment FROM member WHERE name IN ({_marks(names)})", names))  # noqa: S608 - question marks
        numbers = sorted(set(found.values()))
        if not numbers:
            self._payments += 1
            numbers = [self._payments]
        first, *others = numbers
        for other in others:
            self._db.execute("UPDATE member SET payment = ? WHERE payment = ?", (first, other))
            self._db.execute("UPDATE report SET payment = ? WHERE payment = ?", (first, other))
        new = [(name, first) for name in dict.fromkeys(names) if name not in found]
        self._db.executemany("INSERT INTO member VALUES (?, ?)", new)
        return int(first)

    def _refuse(self, line: int, reason: str) -> None:
        self._db.execute("INSERT INTO refusal VALUES (?, ?)", (line, reason))

    def _number(self) -> None:
        """Give every story its position: payments first, because what a payout settles must be known by then."""
        self._db.execute("CREATE TABLE story (position INTEGER PRIMARY KEY, payment INTEGER)")
        self._db.execute(
            "INSERT INTO story (payment) SELECT payment FROM report WHERE phase <> ?"
            " GROUP BY payment ORDER BY max(phase) = ?, min(at), min(line)",
            (_REGISTRATION, _PAYOUT),
        )
        (self.stories,) = self._db.execute("SELECT count(*) FROM story").fetchone()


def _fits(text: str, most: int) -> bool:
    """Whether a text has so many characters at most within a message. Only where that is not plain is it written out."""
    return len(text) * _ESCAPED_MAX <= most or len(json.dumps(text)) <= most


def _marks(names: list[str]) -> str:
    return ",".join("?" * len(names))


def _entry(text: str, event_id: str, line: int) -> Entry:
    return Entry(fact_from_json(json.loads(text)), event_id, line)
