"""An archive of the journal for an auditor: entries, anchors, and the verifier, for a period.

Memory does not grow with the number of entries or anchors. Around the period a chain's entries are added without their content up
to the nearest anchors, so that both ends are tied to something that nobody can rewrite.
"""

from __future__ import annotations

import json
import sqlite3
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from quittance.journal.anchors import days_between
from quittance.journal.chains import ERASED
from quittance.journal.entries import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import IO

    from quittance.journal.chains import Entry, Head, Journal
    from quittance.runtime.journal import S3Anchors

VERIFIER = Path(__file__).parents[1] / "verify_evidence.py"
FORMAT = 1
_GUIDE = """Evidence of {start} to {end} (UTC, the end not included)

    python3 verify_evidence.py {name}

verifies this archive, packed or unpacked, with nothing but Python 3.9 or newer. It names every entry that was edited, moved, cut
out or put in. Add

    --anchors FOLDER    with files you copied from the bucket of anchors yourself: then you need not trust this archive's own
    --key-file FILE     with the keys of the owner of the system: then you also know who made the entries

manifest.json                     what is in here
chains/*/entries.jsonl            one entry a line: its chained part, its content, and personal data unless erased
chains/*/anchors.jsonl            what was written down of the chain elsewhere, about every hour
chains/*/later-erasures.jsonl     entries after the period that say who erased personal data of the period

Entries without content lie outside of the period and only lead to the next anchor. What is verified, what is not, and how it is
computed: docs/evidence.md of Quittance.
"""


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` on, up to but not including `end`: RFC 3339 in UTC."""

    start: str
    end: str


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written of one chain."""

    chain: str
    folder: str
    first: int
    last: int


class Anchors:
    """The anchors of some days by chain and sequence, on disk. Use it in a `with` block."""

    def __init__(self, store: S3Anchors) -> None:
        self._store = store
        self._days: set[str] = set()
        self._found = sqlite3.connect("")  # a temporary file, which SQLite removes itself
        self._found.execute("CREATE TABLE anchors (chain TEXT, sequence INTEGER, line TEXT, UNIQUE (chain, sequence, line))")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._found.close()

    def load(self, days: Iterable[str]) -> None:
        """Fetch the files of these days that are not here yet. Raises `Retry("anchors_unavailable")`."""
        wanted = [day for day in days if day not in self._days]
        for name in self._store.names(wanted):
            rows = (
                (one["chain"], one["sequence"], canonical(one)) for one in map(json.loads, self._store.read(name).splitlines())
            )
            self._found.executemany("INSERT OR IGNORE INTO anchors VALUES (?, ?, ?)", rows)
        self._days |= set(wanted)

    def last_up_to(self, chain: str, sequence: int) -> int:
        """The greatest anchored sequence up to this one; zero if there is none."""
        return self._one("SELECT MAX(sequence) FROM anchors WHERE chain = ? AND sequence <= ?", chain, sequence)

    def first_from(self, chain: str, sequence: int) -> int:
        """The smallest anchored sequence from this one on; zero if there is none."""
        return self._one("SELECT MIN(sequence) FROM anchors WHERE chain = ? AND sequence >= ?", chain, sequence)

    def lines(self, chain: str, first: int, last: int) -> Iterator[str]:
        query = "SELECT line FROM anchors WHERE chain = ? AND sequence BETWEEN ? AND ? ORDER BY sequence, line"
        return (line for (line,) in self._found.execute(query, (chain, first, last)))

    def _one(self, query: str, chain: str, sequence: int) -> int:
        return int(self._found.execute(query, (chain, sequence)).fetchone()[0] or 0)


def export(  # noqa: PLR0913 - what to read, what to write, whom to tell
    journal: Journal,
    store: S3Anchors,
    period: Period,
    output: Path,
    *,
    business_customer: str | None,
    heads: Iterable[Head],
    progress: Callable[[str, int], None],
) -> list[Exported]:
    """Write the archive of these chains and return what it holds; chains without an entry in the period are left out.

    `progress` is called with each chain and the number of entries written of it. The file is complete, or not there.
    """
    draft = output.with_name(output.name + ".new")
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, Anchors(store) as anchors:
            writer = _Writer(archive, journal, anchors, period)
            exported: list[Exported] = []
            for head in sorted(heads, key=lambda head: head.chain):
                if one := writer.chain(head, f"chains/{len(exported) + 1:05d}"):
                    exported.append(one)
                    progress(one.chain, one.last - one.first + 1)
            archive.writestr("manifest.json", _manifest(period, business_customer, exported))
            archive.writestr("README.txt", _GUIDE.format(start=period.start, end=period.end, name=output.name))
            archive.write(VERIFIER, VERIFIER.name)
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)
    return exported


def _manifest(period: Period, business_customer: str | None, exported: list[Exported]) -> str:
    chains = [{"chain": one.chain, "folder": one.folder, "first": one.first, "last": one.last} for one in exported]
    told = {"format": FORMAT, "from": period.start, "to": period.end, "business_customer": business_customer, "chains": chains}
    return json.dumps(told | {"exported_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}, ensure_ascii=False, indent=1)


class _Writer:
    """Writes one chain after the other into an archive."""

    def __init__(self, archive: zipfile.ZipFile, journal: Journal, anchors: Anchors, period: Period) -> None:
        self._archive = archive
        self._journal = journal
        self._anchors = anchors
        self._period = period

    def chain(self, head: Head, folder: str) -> Exported | None:
        first = self._first_since(head, self._period.start)
        last = self._first_since(head, self._period.end) - 1
        if first > last:
            return None
        first, last = self._anchored(head, first, last)
        later = self._write_entries(head.chain, first, last, f"{folder}/entries.jsonl")
        with self._file(f"{folder}/anchors.jsonl") as file:
            _write(file, self._anchors.lines(head.chain, first, last))
        with self._file(f"{folder}/later-erasures.jsonl") as file:
            entries = (self._journal.entry(head.chain, sequence) for sequence in sorted(later))
            _write(file, (canonical(_record(entry)) for entry in entries if entry))
        return Exported(head.chain, folder, first, last)

    def _file(self, name: str) -> IO[bytes]:
        return self._archive.open(name, "w", force_zip64=True)

    def _first_since(self, head: Head, instant: str) -> int:
        """The first entry that was chained at this instant or later; one behind the last if there is none.

        Entries are chained in the order of time, so it is found by halving.
        """
        low, high = 1, head.sequence + 1
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._chained_at(head.chain, middle) < instant else (low, middle)
        return low

    def _chained_at(self, chain: str, sequence: int) -> str:
        entry = self._journal.entry(chain, sequence)
        # An entry that is gone is for the verifier to name, wherever it would have belonged.
        return str(entry.header["chained_at"]) if entry else ""

    def _anchored(self, head: Head, first: int, last: int) -> tuple[int, int]:
        """Both ends moved outwards to the nearest anchors, if there are any."""
        begin, end = self._chained_at(head.chain, first), self._chained_at(head.chain, last)
        self._anchors.load(days_between(begin, _day_after(end)))
        if first > 1:
            before = self._chained_at(head.chain, first - 1) or begin
            self._anchors.load(days_between(before, _day_after(before)))
            first = self._anchors.last_up_to(head.chain, first - 1) or first
        return first, self._anchors.first_from(head.chain, last) or last

    def _write_entries(self, chain: str, first: int, last: int, name: str) -> set[int]:
        """Returns the entries after the last one that say who erased personal data of these."""
        later = set()
        with self._file(name) as file:
            for entry in self._journal.entries(chain, first, last):
                is_within = self._period.start <= entry.header["chained_at"] < self._period.end
                # Who erased what is told wherever it stands: entries of the period may need it.
                is_shown = is_within or entry.header["kind"] == ERASED
                record = _record(entry) if is_shown else {"digest": entry.digest, "entry": entry.header}
                _write(file, [canonical(record)])
                if is_within and entry.erased_by > last:
                    later.add(entry.erased_by)
        return later


def _record(entry: Entry) -> dict[str, Any]:
    """An entry as it is exported."""
    record: dict[str, Any] = {"digest": entry.digest, "entry": entry.header, "content": json.loads(entry.content)}
    if entry.personal:
        record |= {"personal": json.loads(entry.personal), "salt": entry.salt}
    return record | ({"erased_by": entry.erased_by} if entry.erased_by else {})


def _write(file: IO[bytes], lines: Iterable[str]) -> None:
    file.writelines(f"{line}\n".encode() for line in lines)


def _day_after(instant: str) -> str:
    return (datetime.fromisoformat(instant[:10]) + timedelta(days=1)).date().isoformat()
