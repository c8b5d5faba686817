"""What a reconciliation has read and found so far, in one SQLite file.

The file is all there is of a run: whoever has it goes on where it was last committed. Memory does not grow with it, but for one
byte for each document held.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from quittance.acknowledgements import Acknowledgement
from quittance.fee_totals import FeeTotal, PaidOut
from quittance.money import Money
from quittance.reconciliation.books import HeldDocument
from quittance.reconciliation.payout_marks import Mark, Marks
from quittance.reconciliation.results import Found, PayoutLine, RepairMode, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from quittance.facts import Fact
    from quittance.fee_totals import PaidOutLine
    from quittance.ledger import CaseFile
    from quittance.storage import Item

_HELD = HeldDocument._fields
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS held (place INTEGER PRIMARY KEY, {", ".join(_HELD)}, UNIQUE (id));
CREATE TABLE IF NOT EXISTS found (
    identity TEXT PRIMARY KEY, customer TEXT, code TEXT, counts INTEGER, content TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS planned (document TEXT PRIMARY KEY, currency TEXT, amount INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS acknowledged (identity TEXT PRIMARY KEY, content TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiting (customer TEXT, what TEXT);
CREATE TABLE IF NOT EXISTS intended (customer TEXT, provider TEXT, payment_id TEXT, key TEXT, issuer TEXT);
CREATE TABLE IF NOT EXISTS entities (entity TEXT PRIMARY KEY, customer TEXT, listed_at INTEGER, kind INTEGER, cursor TEXT);
CREATE TABLE IF NOT EXISTS figures (customer TEXT, name TEXT, value INTEGER, PRIMARY KEY (customer, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS charged (customer TEXT, items TEXT);
CREATE TABLE IF NOT EXISTS marks (
    provider TEXT, account TEXT, payout TEXT, payment_id TEXT, gross INTEGER, reason TEXT,
    PRIMARY KEY (provider, account, payout, payment_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS payout_cases (provider TEXT, account TEXT, id TEXT, customer TEXT);
CREATE TABLE IF NOT EXISTS payouts (content TEXT);
CREATE TABLE IF NOT EXISTS paid_out (
    customer TEXT, payment TEXT, currency TEXT, kept INTEGER, given_back INTEGER, of_returns INTEGER,
    PRIMARY KEY (customer, payment, currency)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
"""
_COLUMNS = ", ".join(_HELD)
_BINDINGS = ", ".join("?" * len(_HELD))
_MOST_VARIABLES = 500
"""Of one statement: every build of SQLite takes as many."""
_CACHE_KIB = 4096


class Entity(NamedTuple):
    """An entity, and how far the listing of its documents is."""

    id: str
    business_customer: str
    listed_at: int
    """When it began, in seconds since 1970; 0 before."""
    kind: int
    """How many kinds of document are listed completely."""
    cursor: str | None
    """Where the next page of the present kind begins; None at its start."""


class Workbook:
    """The file of one run. Nothing is kept until `commit`; a file that was not committed is as it was at the last one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = sqlite3.connect(path, isolation_level=None)
        # A killed process leaves the last commit; a power cut is the host's end, and the file's with it.
        for pragma in ("journal_mode = TRUNCATE", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}", "temp_store = FILE"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.executescript(_SCHEMA)
        self._seen = bytearray(self.state("seen", b""))
        self._database.execute("BEGIN")

    def close(self) -> None:
        """Without keeping what was not committed."""
        self._database.close()

    def commit(self) -> None:
        """Keep everything so far. The file may be copied as long as nothing is changed again."""
        self.set_state("seen", bytes(self._seen))
        self._database.execute("COMMIT")
        self._database.execute("BEGIN")

    def roll_back(self) -> None:
        """Forget what was not committed."""
        self._database.execute("ROLLBACK")
        self._database.execute("BEGIN")
        self._seen = bytearray(self.state("seen", b""))

    # how far it is

    def state(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - bytes, or what JSON can hold
        row = self._database.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        if row is None:
            return default
        return row[0] if isinstance(row[0], bytes) else json.loads(row[0])

    def set_state(self, name: str, value: Any) -> None:  # noqa: ANN401 - bytes, or what JSON can hold
        stored = value if isinstance(value, bytes) else json.dumps(value)
        self._database.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (name, stored))

    # what is to be listed

    def add_entity(self, entity: str, business_customer: str) -> None:
        """An entity whose documents are to be listed; nothing happens to one that is known."""
        self._database.execute("INSERT OR IGNORE INTO entities VALUES (?, ?, 0, 0, NULL)", (entity, business_customer))

    def entities(self) -> list[Entity]:
        """Every entity, with how far its listing is."""
        rows = self._database.execute("SELECT entity, customer, listed_at, kind, cursor FROM entities ORDER BY customer")
        return [Entity._make(row) for row in rows]

    def set_listing(self, entity: Entity) -> None:
        self._database.execute(
            "UPDATE entities SET listed_at = ?, kind = ?, cursor = ? WHERE entity = ?",
            (entity.listed_at, entity.kind, entity.cursor, entity.id),
        )

    # what is held

    def hold(self, documents: Iterable[HeldDocument]) -> None:
        """Keep what the API showed; what is known under an id already is replaced."""
        update = ", ".join(f"{name} = excluded.{name}" for name in _HELD[1:])
        statement = f"INSERT INTO held ({_COLUMNS}) VALUES ({_BINDINGS}) ON CONFLICT (id) DO UPDATE SET {update}"  # noqa: S608 - constants
        self._database.executemany(statement, documents)

    def held(self, ids: Iterable[str]) -> dict[str, HeldDocument]:
        """Those of these documents that are held, by id."""
        wanted = list(ids)
        found: dict[str, HeldDocument] = {}
        for start in range(0, len(wanted), _MOST_VARIABLES):
            some = wanted[start : start + _MOST_VARIABLES]
            statement = f"SELECT {_COLUMNS} FROM held WHERE id IN ({', '.join('?' * len(some))})"  # noqa: S608 - constants
            found |= {row[0]: HeldDocument._make(row) for row in self._database.execute(statement, some)}
        return found

    def see(self, ids: Iterable[str]) -> None:
        """Note that the ledger explains these documents, as far as they are held."""
        wanted = list(ids)
        for start in range(0, len(wanted), _MOST_VARIABLES):
            some = wanted[start : start + _MOST_VARIABLES]
            statement = f"SELECT place FROM held WHERE id IN ({', '.join('?' * len(some))})"  # noqa: S608 - constants
            for (place,) in self._database.execute(statement, some):
                if place >= len(self._seen):
                    self._seen.extend(bytes(max(place + 1 - len(self._seen), len(self._seen), 1024)))
                self._seen[place] = 1

    def is_seen(self, place: int) -> bool:
        return place < len(self._seen) and bool(self._seen[place])

    def unseen(self, after: int = 0) -> Iterator[tuple[int, HeldDocument]]:
        """What no case explains, with its place, in the order in which it was listed."""
        self._database.execute("CREATE INDEX IF NOT EXISTS by_name ON held (key, payment_id)")  # what is asked of each of them
        statement = f"SELECT place, {_COLUMNS} FROM held WHERE place > ? AND NOT is_deleted ORDER BY place"  # noqa: S608 - constants
        for place, *row in self._reading(statement, after):
            if not self.is_seen(place):
                yield place, HeldDocument._make(row)

    def copies(self, document: HeldDocument) -> list[str]:
        """Ids of the documents that bear the same name, this one among them, the oldest first."""
        names = (document.key, document.payment_id, document.provider, document.customer)
        statement = (
            "SELECT id FROM held WHERE key = ? AND payment_id = ? AND provider = ? AND customer = ? AND NOT is_deleted"
            " ORDER BY created_at, id"
        )
        return [row[0] for row in self._database.execute(statement, names)]

    def intend(self, business_customer: str, provider: str, payment_id: str, key: str, issuer: str) -> None:
        """Note a document whose outcome the ledger does not know: one that bears its name is it."""
        names = (business_customer, provider, payment_id, key, issuer)
        self._database.execute("INSERT INTO intended VALUES (?, ?, ?, ?, ?)", names)

    def issuer_of_intended(self, document: HeldDocument) -> str | None:
        """The business customer that is about to issue a document of this name; None if nobody is."""
        names = (document.key, document.payment_id, document.provider, document.customer)
        statement = "SELECT issuer FROM intended WHERE key = ? AND payment_id = ? AND provider = ? AND customer = ?"
        row = self._database.execute(statement, names).fetchone()
        return str(row[0]) if row else None

    def over_credited(self) -> Iterator[tuple[HeldDocument, int]]:
        """Invoices whose credit notes come to more, with by how much."""
        columns = ", ".join(f"invoice.{name}" for name in _HELD)
        statement = f"""
            SELECT {columns}, SUM(note.total) - invoice.total FROM held AS note JOIN held AS invoice ON invoice.id = note.corrects
            WHERE note.kind = 'credit_note' AND NOT (note.is_draft OR note.is_voided OR note.is_deleted)
                AND NOT (invoice.is_voided OR invoice.is_deleted) AND note.currency = invoice.currency
            GROUP BY invoice.id HAVING SUM(note.total) > invoice.total
        """  # noqa: S608 - constants
        for *row, excess in self._reading(statement):
            yield HeldDocument._make(row), int(excess)

    def turnover(self) -> Iterator[tuple[str, str, str, int, int, int]]:
        """Entity, currency, kind, how many documents, their total and their tax; drafts and voided ones left out.

        Amounts are those of a `HeldDocument`. A document that does not tell its net amount counts as one without tax.
        """
        yield from self._reading(
            "SELECT entity, currency, kind, COUNT(*), SUM(total), SUM(total - COALESCE(net, total)) FROM held"
            " WHERE NOT (is_draft OR is_voided OR is_deleted) GROUP BY entity, currency, kind"
        )

    def plan(self, amounts: Mapping[str, Money]) -> None:
        """Keep what documents count for by the ledger, by id; a credit note counts below zero."""
        rows = [(document, amount.currency, amount.value) for document, amount in amounts.items()]
        self._database.executemany("INSERT OR REPLACE INTO planned VALUES (?, ?, ?)", rows)

    def planned(self, document: str) -> Money | None:
        """What a document counts for by the ledger, if that was kept."""
        row = self._database.execute("SELECT amount, currency FROM planned WHERE document = ?", (document,)).fetchone()
        return Money(*row) if row else None

    # what is found

    def find(self, found: Iterable[Found], *, counts: bool = True) -> None:
        """Keep findings; the same thing found again replaces what was found before."""
        rows = [(identity_of(one), one.business_customer, one.code, counts, _content(one)) for one in found]
        self._database.executemany("INSERT OR REPLACE INTO found VALUES (?, ?, ?, ?, ?)", rows)

    def found(self, business_customer: str | None = None, *, counts: bool = True) -> Iterator[Found]:
        """Everything found that counts, or that is too young to, by business customer and code."""
        condition = "" if business_customer is None else " AND customer = ?"
        names = () if business_customer is None else (business_customer,)
        statement = (
            "SELECT found.content, acknowledged.content FROM found LEFT JOIN acknowledged USING (identity)"  # noqa: S608 - constants
            f" WHERE counts = ?{condition} ORDER BY customer, code, identity"
        )
        for content, given in self._reading(statement, counts, *names):
            found = found_from_json(json.loads(content))
            yield replace(found, acknowledged=Acknowledgement(**json.loads(given))) if given else found

    def set_acknowledged(self, given: Iterable[tuple[Found, Acknowledgement]]) -> None:
        """Note all of what was found of which somebody said that it needs nothing more."""
        rows = [(identity_of(found), json.dumps(asdict(one), separators=(",", ":"))) for found, one in given]
        self._database.execute("DELETE FROM acknowledged")
        self._database.executemany("INSERT INTO acknowledged VALUES (?, ?)", rows)

    def accepted_documents(self) -> dict[str, str]:
        """Documents of which everything that was found is acknowledged -> the business customer that issues them."""
        if not next(self._reading("SELECT COUNT(*) FROM acknowledged"))[0]:
            return {}
        # An invoice that is over-credited is as it should be: its credit notes are not, and are found themselves.
        found = [one for one in self.found() if one.document and one.acknowledged and one.code != "over_credited"]
        open_ones = {one.document for one in self.found() if not one.acknowledged}
        return {one.document: one.business_customer for one in found if one.document not in open_ones}

    def has_found(self, identity: str) -> bool:
        """Whether it was found, of whatever age."""
        return bool(self._database.execute("SELECT 1 FROM found WHERE identity = ?", (identity,)).fetchone())

    def found_by_code(self) -> dict[str, dict[str, int]]:
        """Business customer -> code -> how many count and are not acknowledged."""
        counted: dict[str, dict[str, int]] = {}
        rows = self._reading(
            "SELECT customer, code, COUNT(*) FROM found WHERE counts AND identity NOT IN (SELECT identity FROM acknowledged)"
            " GROUP BY customer, code"
        )
        for customer, code, count in rows:
            counted.setdefault(customer, {})[code] = count
        return counted

    def wait(self, business_customer: str, texts: Iterable[str]) -> None:
        """Note what waits."""
        self._database.executemany("INSERT INTO waiting VALUES (?, ?)", [(business_customer, text) for text in texts])

    def waiting(self, business_customer: str) -> list[str]:
        """What waits of a business customer, in order."""
        rows = self._reading("SELECT what FROM waiting WHERE customer = ? ORDER BY what", business_customer)
        return [what for (what,) in rows]

    # fees and payouts

    def charge(self, business_customer: str, items: list[Item], lines: Iterable[PaidOutLine]) -> None:
        """Keep a case of a business customer that is charged fees, and what it says of payments that were paid out."""
        self._database.execute("INSERT INTO charged VALUES (?, ?)", (business_customer, json.dumps(items)))
        self._database.executemany(
            "INSERT INTO paid_out VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET kept = kept + excluded.kept,"
            " given_back = given_back + excluded.given_back, of_returns = of_returns + excluded.of_returns",
            [(business_customer, *line) for line in lines],
        )

    def charged_customers(self, after: str = "") -> list[str]:
        """The business customers of which there are such cases, in order."""
        statement = "SELECT DISTINCT customer FROM charged WHERE customer > ? ORDER BY customer"
        return [name for (name,) in self._reading(statement, after)]

    def charged(self, business_customer: str) -> Iterator[list[Item]]:
        """The items of each of its cases."""
        for (items,) in self._reading("SELECT items FROM charged WHERE customer = ?", business_customer):
            yield json.loads(items)

    def paid_out(self, business_customer: str, payment: str) -> PaidOut | None:
        """What the payouts say of a payment."""
        statement = "SELECT currency, kept, given_back, of_returns FROM paid_out WHERE customer = ? AND payment = ?"
        rows = list(self._reading(statement, business_customer, payment))
        if not rows:
            return None
        return PaidOut(*(Counter({row[0]: row[place] for row in rows if row[place]}) for place in (1, 2, 3)))

    def set_fees(self, business_customer: str, totals: Iterable[FeeTotal]) -> None:
        """Keep what the fees of a business customer come to."""
        content = [(one.month, one.kept.currency, one.documents.value, one.kept.value) for one in totals]
        self.set_state(f"fees {business_customer}", content)

    def fees(self, business_customer: str) -> list[FeeTotal]:
        """The fees of a business customer, by month and currency."""
        content = self.state(f"fees {business_customer}", [])
        return [FeeTotal(month, Money(documents, cur), Money(kept, cur)) for month, cur, documents, kept in content]

    def mark(self, marks: Iterable[Mark]) -> None:
        """Keep what the cases of payments say of payouts."""
        self._database.executemany("INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?, ?)", marks)

    def marks(self, share: Fact) -> Marks:
        """All the marks of a payout, or of one share of it."""
        marks = Marks()
        statement = "SELECT * FROM marks WHERE provider = ? AND account = ? AND payout = ?"
        for row in self._reading(statement, share.provider, share.account, share.key):
            marks.add(Mark._make(row))
        return marks

    def pay_out(self, case: CaseFile, business_customer: str) -> None:
        """Note a payout, to be tied out once all marks are known."""
        names = (case.provider, case.account, case.id, business_customer)
        self._database.execute("INSERT INTO payout_cases VALUES (?, ?, ?, ?)", names)

    def payout_cases(self, after: int = 0) -> Iterator[tuple[int, str, str, str, str]]:
        """Place, provider, account, id and business customer of each payout."""
        yield from self._reading("SELECT rowid, * FROM payout_cases WHERE rowid > ? ORDER BY rowid", after)

    def keep_payout(self, payout: PayoutLine) -> None:
        self._database.execute("INSERT INTO payouts VALUES (?)", (json.dumps(asdict(payout)),))

    def payouts(self) -> Iterator[PayoutLine]:
        """Those that were kept, in this order."""
        acknowledged = self._acknowledged_payouts()
        for (content,) in self._reading("SELECT content FROM payouts ORDER BY rowid"):
            data = json.loads(content)
            lists = {name: tuple(data[name]) for name in ("documents", "unexplained")}
            is_acknowledged = (data["provider"], data["account"], data["payout_id"]) in acknowledged
            yield PayoutLine(**data | lists | {"amount": Money(**data["amount"]), "is_acknowledged": is_acknowledged})

    def _acknowledged_payouts(self) -> set[tuple[str, str, str]]:
        rows = self._reading(
            "SELECT found.content FROM found JOIN acknowledged USING (identity)"
            " WHERE code IN ('payout_residual', 'payout_currency_differs')"
        )
        found = [found_from_json(json.loads(content)) for (content,) in rows]
        return {(one.provider, one.account, one.payment_id) for one in found}

    # what it comes to

    def add_up(self, figures: Counter[tuple[str, str]]) -> None:
        """Add to the figures of business customers, by customer and name."""
        self._database.executemany(
            "INSERT INTO figures VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
            [(*names, value) for names, value in figures.items()],
        )

    def figures(self) -> dict[str, dict[str, int]]:
        """Business customer -> name -> value."""
        by_customer: dict[str, dict[str, int]] = {}
        for customer, name, value in self._reading("SELECT customer, name, value FROM figures"):
            by_customer.setdefault(customer, {})[name] = value
        return by_customer

    def _reading(self, statement: str, *names: object) -> Iterator[Any]:
        return self._database.execute(statement, names)


def identity_of(found: Found) -> str:
    """`Found.identity` as one text."""
    return json.dumps(found.identity, separators=(",", ":"))


def _content(found: Found) -> str:
    return json.dumps(found_to_json(found), separators=(",", ":"))


def found_to_json(found: Found) -> dict[str, Any]:
    """A JSON-ready dictionary; `found_from_json` restores an equal finding, but for who acknowledged it."""
    said = {one.name: getattr(found, one.name) for one in fields(found) if one.name != "acknowledged"}
    return said | {"amount": {"value": found.amount.value, "currency": found.amount.currency} if found.amount else None}


def found_from_json(data: dict[str, Any]) -> Found:
    """The inverse of `found_to_json`."""
    money = data["amount"]
    amount = Money(**money) if money else None
    return Found(**data | {"severity": Severity(data["severity"]), "repair": RepairMode(data["repair"]), "amount": amount})
