"""A `Table` in memory that behaves as the DynamoDB adapter does: the contract tests run on both."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from quittance.errors import Park
from quittance.storage import (
    Absent,
    AbsentOrEquals,
    AnyState,
    Condition,
    ConditionFailedError,
    Delete,
    Equals,
    Item,
    Keys,
    Page,
    Put,
    Write,
    check_writes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAX_ITEM_BYTES = 400 * 1024
MAX_DIGITS = 38
SHORT_TEXT = MAX_ITEM_BYTES // 22
"""Characters of JSON that stand for fewer than `MAX_ITEM_BYTES`, even if each were a number."""
_ODD_NUMBER = re.compile(r'(?:": |\[|, )-?(?:[0-9]+[.e]|[0-9]{39}|[NI])')
"""A fraction, or too many digits."""


def _nothing(*_: object) -> None:
    pass


class MemoryTable:
    """Deterministic, and for one thread.

    Faults come in through the hooks, each a callable that may raise or do anything: `before_read(pk)`; `before_commit(writes)`,
    when nothing is written yet; `after_commit(writes)`, when everything is, so that raising there is the answer that got lost. A
    hook may itself use the table, as a competitor would.

    With `index_lags`, `find` sees only what had been committed when `index_catches_up` was last called.
    """

    def __init__(self, *, index_lags: bool = False) -> None:
        self.before_read: Callable[[str], None] = _nothing
        self.before_commit: Callable[[Sequence[Write]], None] = _nothing
        self.after_commit: Callable[[Sequence[Write]], None] = _nothing
        self.index_lags = index_lags
        self._items: dict[tuple[str, str], str] = {}
        self._indexed: dict[tuple[str, str], str] = {}

    def read(self, pk: str, sk: str) -> Item | None:
        self.before_read(pk)
        return self._load(pk, sk)

    def read_partition(self, pk: str, sk_prefix: str = "") -> list[Item]:
        self.before_read(pk)
        return [json.loads(self._items[keys]) for keys in sorted(self._items) if keys[0] == pk and keys[1].startswith(sk_prefix)]

    def walk(self, pk: str, sk_prefix: str = "") -> Iterator[Item]:
        self.before_read(pk)
        for keys in sorted(keys for keys in self._items if keys[0] == pk and keys[1].startswith(sk_prefix)):
            yield json.loads(self._items[keys])

    def scan(self, after: tuple[str, str] | None = None, *, prefix: str = "") -> Iterator[Item]:
        """As `DynamoTable.scan`, by `pk` and `sk`."""
        for keys in sorted(keys for keys in self._items if keys[0].startswith(prefix) and (after is None or keys > after)):
            if keys in self._items:
                yield json.loads(self._items[keys])

    def commit(self, writes: Sequence[Write]) -> None:
        check_writes(writes)
        stored = {(write.pk, write.sk): _stored(write.item) for write in writes if isinstance(write, Put)}
        if not all(write.pk and write.sk for write in writes):
            raise Park("table_refused_item")
        self.before_commit(writes)
        if not all(_holds(write.condition, self._load(write.pk, write.sk)) for write in writes):
            raise ConditionFailedError
        self._items.update(stored)
        for write in writes:
            if isinstance(write, Delete):
                self._items.pop((write.pk, write.sk), None)
        if not self.index_lags:
            self.index_catches_up()
        self.after_commit(writes)

    def find(self, reference: str) -> list[Item]:
        self.before_read(reference)
        items = (json.loads(self._indexed[keys]) for keys in sorted(self._indexed))
        return [item for item in items if item.get("reference") == reference]

    def page(self, reference: str, after: Keys | None, limit: int) -> Page:
        items = [item for item in self.find(reference) if after is None or (item["pk"], item["sk"]) > after]
        return _page(items, limit)

    def page_backwards(self, pk: str, after: Keys | None, limit: int) -> Page:
        items = [item for item in self.read_partition(pk) if after is None or item["sk"] < after.sk]
        return _page(items[::-1], limit)

    def index_catches_up(self) -> None:
        self._indexed = dict(self._items)

    def items(self) -> list[Item]:
        """Everything there is, by `pk` and `sk`, for the assertions of tests; no hook is called."""
        return [json.loads(self._items[keys]) for keys in sorted(self._items)]

    def _load(self, pk: str, sk: str) -> Item | None:
        stored = self._items.get((pk, sk))
        return json.loads(stored) if stored is not None else None


def _page(items: list[Item], limit: int) -> Page:
    """As DynamoDB does, a full page says that more may come even where none does."""
    some = items[:limit]
    return Page(some, Keys(some[-1]["pk"], some[-1]["sk"]) if len(some) == limit else None)


def _holds(condition: Condition, item: Item | None) -> bool:
    match condition:
        case AnyState():
            return True
        case Absent():
            return item is None
        case Equals(attribute, value):
            return item is not None and _has(item, attribute, value)
        case AbsentOrEquals(attribute, value):
            return item is None or _has(item, attribute, value)


def _has(item: Item, attribute: str, value: object) -> bool:
    held = item.get(attribute)
    if type(held) is type(value) and isinstance(value, str | int):
        return bool(held == value)
    return attribute in item and json.dumps(held, sort_keys=True) == json.dumps(value, sort_keys=True)


def _stored(item: Item) -> str:
    keys = [item["pk"], item["sk"], item.get("reference", "-")]
    text = json.dumps(item, default=_size)
    # Walking through every item would take longer than all else: a short text without an odd number cannot be refused.
    too_large = (len(text) > SHORT_TEXT or _ODD_NUMBER.search(text)) and _size(item) > MAX_ITEM_BYTES
    if too_large or not all(isinstance(key, str) and key for key in keys):
        raise Park("table_refused_item")
    return text


def _size(value: Any) -> int:
    """Bytes as DynamoDB counts them, roughly: names and strings in UTF-8, three for a container and one per element."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, int):
        if len(str(abs(value)).rstrip("0")) > MAX_DIGITS:
            raise Park("table_refused_item")
        return 21
    if isinstance(value, dict):
        return 3 + sum([1 + _size(name) + _size(element) for name, element in value.items()])
    if isinstance(value, list | tuple):
        return 3 + sum([1 + _size(element) for element in value])
    raise TypeError(f"{type(value).__name__} cannot be stored")
