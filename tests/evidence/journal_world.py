"""A ledger whose changes come as a stream, a journal that takes them in, and anchors, all in memory."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quittance.journal.anchors import Anchoring
from quittance.journal.chains import Journal
from quittance.journal.changes import ItemChange
from quittance.journal.entries import Key, KeyRing
from quittance.journal.recording import Recorder
from quittance.storage import Delete, Put
from tests.fakes.memory_table import MemoryTable
from tools import verify_evidence
from tools.evidence.export import Exported, Period, export

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from quittance.storage import Item, Write

RING = KeyRing((Key("k1", b"1" * 32),))
KEY_LINES = "".join(f"{key.id} {key.secret.hex()}\n" for key in RING.keys)
ALWAYS = Period("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
FACT = {
    "type": "payment.succeeded",
    "payer": {"name": "Ada Lovelace", "country": "DE"},
    "items": [{"name": "Advice", "amount": 5}],
}


class Anchors:
    """Files of anchors, as `S3Anchors` has them."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    def newest(self, days: Iterable[str]) -> str | None:
        return max(self.names(days), default=None)

    def names(self, days: Iterable[str]) -> list[str]:
        wanted = tuple(f"anchors/{day}/" for day in days)
        return sorted(name for name in self.files if name.startswith(wanted))

    def read(self, name: str) -> str:
        return self.files[name]

    def write(self, name: str, text: str) -> None:
        self.files.setdefault(name, text)


class Streamed(MemoryTable):
    """A table that tells of every change of an item, as a stream does."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._numbers = itertools.count(1)
        self.stream: list[ItemChange] = []

    def commit(self, writes: Sequence[Write]) -> None:
        before = {(one.pk, one.sk): self._load(one.pk, one.sk) for one in writes if isinstance(one, Put | Delete)}
        try:
            super().commit(writes)
        finally:  # also of what was done although its answer got lost
            for (pk, sk), old in before.items():
                self._tell(pk, sk, old)

    def _tell(self, pk: str, sk: str, old: Item | None) -> None:
        new = self._load(pk, sk)
        if old != new:
            source = str(next(self._numbers) * 10**21)
            self.stream.append(ItemChange(pk=pk, sk=sk, old=old, new=new, at=self._clock(), source=source))


class Clock:
    """Seconds of the 20th of November 2026."""

    def __init__(self) -> None:
        self.seconds = 36000

    def __call__(self) -> str:
        minutes, seconds = divmod(self.seconds, 60)
        return f"2026-11-20T{minutes // 60 % 24:02d}:{minutes % 60:02d}:{seconds:02d}Z"


class JournalWorld:
    """Everything around a journal."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.ledger = Streamed(self.clock)
        self.table = MemoryTable()
        self.anchors = Anchors()
        self._salts = itertools.count(1)
        self.journal = self.new_journal()

    def new_journal(self, keys: KeyRing = RING) -> Journal:
        return Journal(self.table, keys=lambda: keys, now=self.clock, new_secret=lambda: f"{next(self._salts):064x}")

    def recorder(self) -> Recorder:
        return Recorder(self.ledger, self.new_journal())

    def anchor(self) -> int:
        return Anchoring(self.journal, self.anchors, keys=lambda: RING, now=self.clock).run()

    def enter(self, chain: str, count: int, *, start: int = 0) -> None:
        """Entries of a chain without a ledger."""
        for number in range(start, start + count):
            self.clock.seconds += 1
            self.journal.append(chain, [change(number, at=self.clock(), of=chain)])

    def export(self, folder: Path, *, period: Period = ALWAYS, business_customer: str | None = None) -> Path:
        self.exported(folder, period=period, business_customer=business_customer)
        return folder / "evidence.zip"

    def exported(self, folder: Path, *, period: Period = ALWAYS, business_customer: str | None = None) -> list[Exported]:
        return export(
            self.journal,
            self.anchors,  # type: ignore[arg-type]
            period,
            folder / "evidence.zip",
            business_customer=business_customer,
            heads=self.journal.heads(),
            progress=lambda *_: None,
        )

    def entries(self, chain: str) -> list[dict[str, Any]]:
        """What a chain holds, read as people would."""
        head = self.journal.head(chain)
        return [
            {"kind": one.header["kind"], "item": one.header["item"], "content": json.loads(one.content), "personal": one.personal}
            for one in self.journal.entries(chain, 1, head.sequence)
        ]

    def kinds(self, chain: str) -> list[str]:
        return [str(one["kind"]) for one in self.entries(chain)]


def change(number: int, *, at: str = "2026-11-20T10:00:00Z", of: str = "", **said: Any) -> ItemChange:
    """A fact that was recorded; another number is another fact."""
    new: Item = {"pk": f"CASE#stripe#acct_1#pay_1{of}", "sk": f"FACT#{number}", "fact": FACT | {"key": f"pay_{number}"} | said}
    return ItemChange(pk=new["pk"], sk=new["sk"], old=None, new=new, at=at, source=str(number + 1))


def problems(archive: Path, *, keys: bool = True, anchors: Path | None = None) -> list[str]:
    """What the verifier names."""
    ring = {key.id: key.secret for key in RING.keys} if keys else {}
    brought, faults = verify_evidence.own_anchors(str(anchors), ring) if anchors else (None, [])
    opened = verify_evidence.Archive(str(archive))
    found = [f"{chain.name}: {text}" for chain in verify_evidence.verify(opened, ring, brought) for text in chain.problems]
    return [*faults, *found, *(f"{name}: missing" for name in verify_evidence.missing_chains(opened, brought))]


def lines_of(folder: Path, number: int = 1, name: str = "entries") -> list[str]:
    return (folder / f"chains/{number:05d}/{name}.jsonl").read_text().splitlines()


def put_lines(folder: Path, lines: list[str], number: int = 1, name: str = "entries") -> None:
    (folder / f"chains/{number:05d}/{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
