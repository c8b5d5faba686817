"""The store the ledger is written against: items under two keys, conditional writes, all or nothing.

Nothing here knows DynamoDB; `runtime/table.py` is the adapter and `tests/fakes/memory_table.py` behaves the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Item: TypeAlias = dict[str, Any]
"""Attributes by name. `pk` and `sk` are non-empty strings and name the item; an optional `reference`, a non-empty string, is
what `Table.find` finds it by. Values are str, int, bool, None, and lists (tuples come back as lists) and dicts of these."""

MAX_WRITES = 100
"""The most writes of one commit: the limit of a DynamoDB transaction."""


class ConditionFailedError(Exception):
    """A condition of a commit was false; nothing of that commit was written."""


@dataclass(frozen=True, slots=True)
class AnyState:
    """Always true."""


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no item under these keys."""


@dataclass(frozen=True, slots=True)
class Equals:
    """There is an item under these keys and its attribute has this value and type: `True` does not equal 1."""

    attribute: str
    value: Any


@dataclass(frozen=True, slots=True)
class AbsentOrEquals:
    """Either `Absent` or `Equals`. An item that lacks the attribute fulfils neither."""

    attribute: str
    value: Any


Condition: TypeAlias = AnyState | Absent | Equals | AbsentOrEquals


@dataclass(frozen=True, slots=True)
class Put:
    """Store the whole item, in place of whatever was under its keys."""

    item: Item
    condition: Condition = field(default_factory=AnyState)

    @property
    def pk(self) -> str:
        return str(self.item["pk"])

    @property
    def sk(self) -> str:
        return str(self.item["sk"])


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the item; no error if there is none."""

    pk: str
    sk: str
    condition: Condition = field(default_factory=AnyState)


@dataclass(frozen=True, slots=True)
class Check:
    """Write nothing, but let the commit fail unless the condition holds."""

    pk: str
    sk: str
    condition: Condition


Write: TypeAlias = Put | Delete | Check


class Table(Protocol):
    """What every implementation guarantees; the contract tests state it in code.

    Every method raises `Retry("table_busy")` while the store throttles, is contended or cannot be reached.
    """

    def read(self, pk: str, sk: str) -> Item | None:
        """The item as the last finished commit left it, or None. The caller may change what it gets."""

    def read_partition(self, pk: str, sk_prefix: str = "") -> list[Item]:
        """Every item of a partition whose `sk` starts with the prefix, sorted by `sk`.

        Each item is as the last finished commit left it. Items written while this runs may show up or not, one by one: what
        must be seen together is guarded by a condition of the commit that relies on it.
        """

    def walk(self, pk: str, sk_prefix: str = "") -> Iterator[Item]:
        """As `read_partition`, but one page of the store after the other: memory does not grow with the partition."""

    def commit(self, writes: Sequence[Write]) -> None:
        """Do all writes at one instant, or none. No writes is nothing to do; one write costs half of what it would among others.

        Raises:
            ConditionFailedError: A condition was false. An answer lost on the way makes the store repeat the commit by itself,
                so the failed condition may be due to this very commit: read again before concluding that somebody else won.
            Retry: `table_busy`. The commit may have been done or not: read again.
            Park: `table_refused_item`. An item the store can never hold: larger than 400 KB, an empty key, an integer of more
                than 38 digits. Nothing was written.
            ValueError: Two writes for one item, or more than `MAX_WRITES`.
            TypeError: A value of another type, such as a float.
        """

    def find(self, reference: str) -> list[Item]:
        """The items whose `reference` is this, sorted by `pk` and `sk`, as they were a moment ago.

        An index that follows behind: an item just written may be missing and one just deleted may be there. It finds the way
        to a partition; decisions are taken on what `read` or `read_partition` return.
        """


class Keys(NamedTuple):
    """What names an item."""

    pk: str
    sk: str


class Page(NamedTuple):
    """Some items, and after which one the next page begins; None at the end."""

    items: list[Item]
    last: Keys | None


class PagedTable(Protocol):
    """What shows a table page by page. Both methods raise `Retry("table_busy")` as those of `Table` do."""

    def page(self, reference: str, after: Keys | None, limit: int) -> Page:
        """Items whose `reference` is this, as they were a moment ago, in an order that is always the same."""

    def page_backwards(self, pk: str, after: Keys | None, limit: int) -> Page:
        """Items of a partition, by `sk` from the last to the first."""


def check_writes(writes: Sequence[Write]) -> None:
    """The rules that hold before the store is asked. Raises `ValueError`."""
    if len(writes) > MAX_WRITES:
        raise ValueError(f"{len(writes)} writes are more than {MAX_WRITES}")
    if len({(write.pk, write.sk) for write in writes}) < len(writes):
        raise ValueError("two writes for one item")
