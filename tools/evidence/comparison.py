"""The ledger held against the journal: what was never entered, what differs from its entry, what is gone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from quittance.journal.changes import ItemChange, event_of, is_evidence
from quittance.journal.entries import KeyRing, canonical, digest_of, is_sealed, salted_digest
from quittance.runtime.table import plain_item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from quittance.journal.chains import Entry, Journal
    from quittance.journal.changes import Event
    from quittance.storage import Item, Table


class Disagreement(StrEnum):
    """What can be wrong between an item of the ledger and the journal."""

    NOT_ENTERED = "not entered in the journal"
    DIFFERS = "differs from its last entry"
    GONE = "gone from the ledger, and no entry says so"
    FORGED = "its last entry was not made with our key"


@dataclass(frozen=True, slots=True)
class Deviation:
    """One item that does not agree."""

    pk: str
    sk: str
    what: Disagreement


class Comparison:
    """Compares items one by one; two or three reads of the journal's table each."""

    def __init__(self, ledger: Table, journal: Journal, keys: KeyRing) -> None:
        self._ledger = ledger
        self._journal = journal
        self._keys = keys

    def of_item(self, pk: str, sk: str, item: Item | None) -> Deviation | None:
        """What does not agree about an item of the ledger, given as it is there; None if nothing."""
        event = event_of(found(pk, sk, item))
        known = self._journal.whereabouts(pk, sk)
        entry = self._journal.entry(*known.entries[-1]) if known.entries else None
        what = self._judged(event, entry, was_entered=bool(known.entries))
        return Deviation(pk, sk, what) if what else None

    def _judged(self, event: Event | None, entry: Entry | None, *, was_entered: bool) -> Disagreement | None:
        if not was_entered:
            return Disagreement.NOT_ENTERED if event else None
        if entry is None or not is_sealed(entry.header, self._keys):
            return Disagreement.FORGED
        if event is None:
            return None if str(entry.header["kind"]).endswith(".removed") else Disagreement.GONE
        return None if _is_entered_as(event, entry) else Disagreement.DIFFERS

    def again(self, deviation: Deviation) -> Deviation | None:
        """The same item as it is now."""
        return self.of_item(deviation.pk, deviation.sk, self._ledger.read(deviation.pk, deviation.sk))


def _is_entered_as(event: Event, entry: Entry) -> bool:
    if digest_of(canonical(event.content)) != entry.header["content"]:
        return False
    if entry.erased_by or not event.personal:
        return bool(entry.erased_by or not entry.header["personal"])
    return bool(entry.salt) and salted_digest(entry.salt, canonical(event.personal)) == entry.header["personal"]


def found(pk: str, sk: str, item: Item | None, at: str = "") -> ItemChange:
    """An item as it was found at an instant, not reported."""
    return ItemChange(pk=pk, sk=sk, old=None, new=item, at=at)


def items_of(client: Any, table_name: str) -> Iterator[Item]:  # noqa: ANN401 - boto3 makes its clients at run time
    """Every item of the ledger that is evidence, page by page."""
    for page in client.get_paginator("scan").paginate(TableName=table_name, ConsistentRead=True):
        for item in map(plain_item, page["Items"]):
            if is_evidence(item["pk"], item["sk"]):
                yield item


def names_in(client: Any, journal_table_name: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - boto3 makes its clients at run time
    """The keys of every item that the journal knows under its own name."""
    pages = client.get_paginator("scan").paginate(
        TableName=journal_table_name,
        ConsistentRead=True,
        FilterExpression="begins_with(pk, :item) AND NOT begins_with(sk, :hidden)",
        ProjectionExpression="pk, sk",
        ExpressionAttributeValues={":item": {"S": "ITEM#"}, ":hidden": {"S": "EVIDENCE#"}},
    )
    for page in pages:
        for item in map(plain_item, page["Items"]):
            yield item["pk"].removeprefix("ITEM#"), item["sk"]


def standing(comparison: Comparison, deviations: Iterable[Deviation], *, wait: Callable[[], bool]) -> list[Deviation]:
    """Those that still do not agree once `wait`, which waits a little, says that it was long enough.

    What was written a moment ago is on its way into the journal.
    """
    left = list(deviations)
    while left and wait():
        left = [again for one in left if (again := comparison.again(one))]
    return left
