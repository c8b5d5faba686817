"""The journal: chains of entries in a table of their own, which those who keep the ledger cannot write to.

    HEADS#{shard}   {chain}             sequence, digest and time of the newest entry
    CHAIN#{chain}   ENTRY#{sequence}    an entry: header, content, personal data with their salt or who erased them
    ITEM#{pk}       {name}              of an item of the ledger: its last change that was entered, and where its entries are

Entries, the head and what is known of the items are written in one transaction that holds only if the head is still the one the
entries were chained to, and the items still where they were. So a chain never forks, whoever appends at the same time; a change
that is reported again is known by its item; and a run that is killed has appended all or nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from quittance.errors import Retry
from quittance.journal.changes import event_of
from quittance.journal.entries import GENESIS, Header, canonical, digest_of, salted_digest, sealed
from quittance.storage import Absent, Condition, ConditionFailedError, Equals, Item, Put, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from quittance.journal.changes import Event, ItemChange
    from quittance.journal.entries import KeyRing

HEAD_SHARDS = 16
"""Heads lie in this many partitions: all of them can be read without a search, and none takes every write."""
_AT_ONCE = 40
"""Most entries of one transaction: each may bring an item with it, and the head comes on top."""
_BYTES_AT_ONCE = 1_500_000
"""A transaction may hold four million."""
_MAX_RACES = 8
_BLOCK_DIGITS = 3
_SEQUENCE_DIGITS = 12
_SOURCE_DIGITS = 40
ERASED: Final = "personal_data.erased"
"""The kind of entry that says whose personal data were erased."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of a chain."""

    chain: str
    sequence: int = 0
    digest: str = GENESIS
    chained_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry as it is stored."""

    header: Header
    content: str
    """Canonical JSON."""
    personal: str = ""
    """Canonical JSON; empty if there never were any personal data, or they were erased."""
    salt: str = ""
    erased_by: int = 0
    """Sequence of the entry that says who erased its personal data; zero while they are there."""

    @property
    def digest(self) -> str:
        """What its successor refers to."""
        return digest_of(canonical(self.header))

    @property
    def sequence(self) -> int:
        return int(self.header["sequence"])

    def to_item(self) -> Item:
        stored: Item = {"entry": canonical(self.header), "content": self.content, "personal": self.personal, "salt": self.salt}
        stored |= {"erased_by": self.erased_by} if self.erased_by else {}
        return _entry_keys(self.header["chain"], self.sequence) | {name: value for name, value in stored.items() if value}


def _entry_of(item: Item) -> Entry:
    return Entry(
        header=json.loads(item["entry"]),
        content=item["content"],
        personal=item.get("personal", ""),
        salt=item.get("salt", ""),
        erased_by=item.get("erased_by", 0),
    )


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What the journal knows of an item of the ledger."""

    pk: str
    name: str
    """What entries call it in its partition: its `sk`, or something that says nothing of a person."""
    upto: str = ""
    """The `source` of its last change that was entered."""
    entries: tuple[tuple[str, int], ...] = ()
    """Chain and sequence of all of its entries, oldest first."""

    def to_item(self) -> Item:
        entries = [f"{sequence} {chain}" for chain, sequence in self.entries]
        return {"pk": f"ITEM#{self.pk}", "sk": self.name, "upto": self.upto, "entries": entries}


def _whereabouts_of(item: Item) -> Whereabouts:
    pairs = (text.split(" ", 1) for text in item["entries"])
    return Whereabouts(
        item["pk"].removeprefix("ITEM#"), item["sk"], item["upto"], tuple((chain, int(number)) for number, chain in pairs)
    )


class Journal:
    """Appends to chains and reads them. Every method may raise `Retry("table_busy")`."""

    def __init__(
        self, table: Table, *, keys: Callable[[], KeyRing], now: Callable[[], str], new_secret: Callable[[], str]
    ) -> None:
        """`now` gives RFC 3339 in UTC; `new_secret` 32 unpredictable bytes in hexadecimal digits."""
        self._table = table
        self._keys = keys
        self._now = now
        self._new_secret = new_secret

    # writing

    def append(self, chain: str, changes: Sequence[ItemChange]) -> int:
        """Enter changes in the order given, unless they are entered already or are no evidence. Returns how many were entered.

        Raises `Retry("journal_contended")` when others append to the chain all the time; some may be entered then.
        """
        return sum(self._append_some(chain, some) for some in _portions(changes))

    def _append_some(self, chain: str, changes: Sequence[tuple[ItemChange, Event]]) -> int:
        for _ in range(_MAX_RACES):
            batch = self._batch(chain)
            for change, event in changes:
                batch.add(change, event, self.whereabouts)
            try:
                self._table.commit(batch.writes())
            except ConditionFailedError:
                continue  # somebody else appended, or an answer got lost and this very run did: what is there shows which
            return batch.added
        raise Retry("journal_contended")

    def erase(self, chain: str, sequences: Sequence[int], *, by: str, reason: str) -> int:
        """Forget the personal data of entries, and enter who did it and why. Returns how many had any left.

        It may be repeated, and goes on where it was killed. Raises as `append` does.
        """
        erased = 0
        for start in range(0, len(sequences), _AT_ONCE):
            erased += self._erase_some(chain, sequences[start : start + _AT_ONCE], {"by": by, "reason": reason})
        return erased

    def _erase_some(self, chain: str, sequences: Sequence[int], said: dict[str, str]) -> int:
        for _ in range(_MAX_RACES):
            found = [entry for sequence in sequences if (entry := self.entry(chain, sequence)) and entry.personal]
            if not found:
                return 0
            batch = self._batch(chain)
            batch.add_erasure(found, said)
            try:
                self._table.commit(batch.writes())
            except ConditionFailedError:
                continue
            return len(found)
        raise Retry("journal_contended")

    def _batch(self, chain: str) -> _Batch:
        head = self.head(chain)
        return _Batch(head, self._keys(), max(self._now(), head.chained_at), self._new_secret)

    # reading

    def head(self, chain: str) -> Head:
        item = self._table.read(_heads_pk(chain), chain)
        return _head_of(item) if item else Head(chain)

    def heads(self) -> Iterator[Head]:
        """The head of every chain, in no particular order."""
        for shard in range(HEAD_SHARDS):
            for item in self._table.walk(f"HEADS#{shard}"):
                yield _head_of(item)

    def entry(self, chain: str, sequence: int) -> Entry | None:
        keys = _entry_keys(chain, sequence)
        item = self._table.read(keys["pk"], keys["sk"])
        return _entry_of(item) if item else None

    def entries(self, chain: str, first: int, last: int) -> Iterator[Entry]:
        """Entries in the order of their sequence, block by block: memory does not grow with their number."""
        for block in range(first // 10**_BLOCK_DIGITS, last // 10**_BLOCK_DIGITS + 1):
            prefix = f"ENTRY#{block:0{_SEQUENCE_DIGITS - _BLOCK_DIGITS}d}"
            for item in self._table.walk(f"CHAIN#{chain}", prefix):
                if first <= _sequence_of(item) <= last:
                    yield _entry_of(item)

    def whereabouts(self, pk: str, sk: str) -> Whereabouts:
        """Of an item of the ledger; without entries if none of its changes was entered."""
        name = item_name(sk, self._keys())
        item = self._table.read(f"ITEM#{pk}", name)
        return _whereabouts_of(item) if item else Whereabouts(pk, name)

    def items_of(self, pk: str) -> list[Whereabouts]:
        """Every item that a partition of the ledger holds or ever held."""
        return [_whereabouts_of(item) for item in self._table.read_partition(f"ITEM#{pk}")]


class _Batch:
    """Entries that go on from a head, and all that is committed with them."""

    def __init__(self, head: Head, keys: KeyRing, chained_at: str, new_secret: Callable[[], str]) -> None:
        self._first = self._head = head
        self._keys = keys
        self._chained_at = chained_at
        self._new_secret = new_secret
        self._entries: list[Entry] = []
        self._items: dict[tuple[str, str], tuple[Whereabouts, Whereabouts]] = {}
        self._replaced: list[Put] = []

    @property
    def added(self) -> int:
        return len(self._entries)

    def add(self, change: ItemChange, event: Event, whereabouts: Callable[[str, str], Whereabouts]) -> None:
        """Enter a change, unless that was done already."""
        stored, known = self._items.get((change.pk, change.sk)) or (whereabouts(change.pk, change.sk),) * 2
        source = change.source.zfill(_SOURCE_DIGITS) if change.source else ""
        if source and source <= known.upto:
            return
        self._enter(
            event.kind,
            [change.pk, known.name],
            change.at,
            canonical(event.content),
            canonical(event.personal) if event.personal else "",
        )
        place = (self._head.chain, self._head.sequence)
        known = replace(known, upto=max(source, known.upto), entries=(*known.entries, place))
        self._items[change.pk, change.sk] = stored, known

    def add_erasure(self, entries: Sequence[Entry], said: dict[str, str]) -> None:
        """Enter that these entries of this chain lose their personal data, and take them away."""
        content = canonical({**said, "entries": [entry.sequence for entry in entries]})
        self._enter(ERASED, [], self._chained_at, content, "")
        for entry in entries:
            emptied = replace(entry, personal="", salt="", erased_by=self._head.sequence)
            self._replaced.append(Put(emptied.to_item(), Equals("entry", canonical(entry.header))))

    def _enter(self, kind: str, item: list[str], at: str, content: str, personal: str) -> None:
        salt = self._new_secret() if personal else ""
        fields = {
            "chain": self._head.chain,
            "sequence": self._head.sequence + 1,
            "previous": self._head.digest,
            "kind": kind,
            "item": item,
            "at": at,
            "chained_at": self._chained_at,
            "content": digest_of(content),
            "personal": salted_digest(salt, personal) if personal else "",
        }
        entry = Entry(header=sealed(fields, self._keys.current), content=content, personal=personal, salt=salt)
        self._entries.append(entry)
        self._head = Head(self._head.chain, entry.sequence, entry.digest, self._chained_at)

    def writes(self) -> list[Put]:
        """Nothing when there is nothing to enter."""
        if not self._entries:
            return []
        entries = [Put(entry.to_item(), Absent()) for entry in self._entries]
        items = [Put(known.to_item(), _unchanged(stored)) for stored, known in self._items.values()]
        return [Put(_head_item(self._head), _is_head(self._first)), *entries, *items, *self._replaced]


def item_name(sk: str, keys: KeyRing) -> str:
    """What entries call an item. A key that ends in a tax number is replaced by what the holder of the first key makes of it."""
    kind = sk.partition("#")[0]
    if kind != "EVIDENCE":
        return sk
    return f"{kind}#{hmac.new(keys.keys[0].secret, sk.encode(), hashlib.sha256).hexdigest()[:32]}"


def _portions(changes: Sequence[ItemChange]) -> Iterator[list[tuple[ItemChange, Event]]]:
    """The changes that are evidence, in parts that one transaction can take."""
    portion: list[tuple[ItemChange, Event]] = []
    size = 0
    for change in changes:
        event = event_of(change)
        if event is None:
            continue
        more = len(canonical([event.content, event.personal]).encode())
        if portion and (len(portion) == _AT_ONCE or size + more > _BYTES_AT_ONCE):
            yield portion
            portion, size = [], 0
        portion.append((change, event))
        size += more
    if portion:
        yield portion


def _unchanged(stored: Whereabouts) -> Condition:
    return Equals("entries", stored.to_item()["entries"]) if stored.entries else Absent()


def _is_head(head: Head) -> Condition:
    return Equals("digest", head.digest) if head.sequence else Absent()


def _heads_pk(chain: str) -> str:
    return f"HEADS#{hashlib.sha256(chain.encode()).digest()[0] % HEAD_SHARDS}"


def _head_item(head: Head) -> Item:
    told = {"sequence": head.sequence, "digest": head.digest, "chained_at": head.chained_at}
    return {"pk": _heads_pk(head.chain), "sk": head.chain} | told


def _head_of(item: Item) -> Head:
    return Head(item["sk"], item["sequence"], item["digest"], item["chained_at"])


def _entry_keys(chain: str, sequence: int) -> Item:
    return {"pk": f"CHAIN#{chain}", "sk": f"ENTRY#{sequence:0{_SEQUENCE_DIGITS}d}"}


def _sequence_of(item: Item) -> int:
    return int(item["sk"].removeprefix("ENTRY#"))
