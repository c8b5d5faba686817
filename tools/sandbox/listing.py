"""Lists: filter, order, and pages by key.

A cursor holds the sort key of the record at the edge of a page, not a position, so that records created or deleted between
two pages neither repeat nor hide another one.
"""

from __future__ import annotations

import base64
import binascii
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import total_ordering
from typing import Any

from tools.sandbox.filters import Predicate, comparable_form, matches_text, value_at
from tools.sandbox.wire import Problem, Record, decode

_Key = tuple[Any, ...]


@total_ordering
@dataclass(frozen=True, slots=True)
class _Descending:
    value: Any

    def __lt__(self, other: _Descending) -> bool:
        return bool(other.value < self.value)


@dataclass(frozen=True, slots=True)
class Ordering:
    """Sort fields with their paths and directions; the identifier breaks ties."""

    terms: tuple[tuple[str, bool], ...]
    paths: tuple[tuple[str, ...], ...]

    @classmethod
    def parse(cls, texts: Sequence[str], fields: frozenset[str]) -> Ordering:
        """Reads `order_by` values such as `-created_at`. Raises `Problem` 400 for a field that does not exist."""
        terms = [(text.removeprefix("-"), text.startswith("-")) for text in texts]
        for name, _ in terms:
            if name.partition(".")[0] not in fields:
                raise Problem(400, f"Cannot order by {name}")
        if all(name != "id" for name, _ in terms):
            terms.append(("id", bool(terms) and terms[-1][1]))
        return cls(tuple(terms), tuple(tuple(name.split(".")) for name, _ in terms))

    def values(self, record: Record) -> list[Any]:
        """The record's sort values, as plain JSON values."""
        return [comparable_form(path, value_at(record, path)[0]) for path in self.paths]

    def key(self, values: Sequence[Any]) -> _Key:
        """Sort values as one comparable key. Missing values come last in ascending order."""
        ranked = [(value is None, str(type(value) is str), value if value is not None else 0) for value in values]
        return tuple(_Descending(rank) if descending else rank for rank, (_, descending) in zip(ranked, self.terms, strict=True))


def page(
    records: Iterable[Record], query: Record, ordering: Ordering, matches: Predicate, show: Callable[[Record], Record]
) -> Record:
    """One page, in the document's list shape. `query` holds the typed list parameters; `show` renders a record."""
    search = query["search"]
    kept = [record for record in records if matches(record) and (not search or matches_text(record, search))]
    keyed = sorted(((ordering.key(ordering.values(record)), record) for record in kept), key=lambda pair: pair[0])
    start, stop = _window([key for key, _ in keyed], query, ordering)
    chosen = [record for _, record in keyed[start:stop]]
    return {
        "data": [show(record) for record in chosen],
        "pagination": {
            "total": len(kept) if query["include_total_count"] else -1,
            "next_cursor": _cursor(ordering, chosen[-1]) if chosen and stop < len(keyed) else None,
            "prev_cursor": _cursor(ordering, chosen[0]) if chosen and start > 0 else None,
            "has_more": stop < len(keyed),
        },
    }


def _window(keys: list[_Key], query: Record, ordering: Ordering) -> tuple[int, int]:
    limit = query["limit"]
    if query["next_cursor"] and query["prev_cursor"]:
        raise Problem(400, "Use one cursor at a time")
    if query["prev_cursor"]:
        stop = bisect_left(keys, _key_of(query["prev_cursor"], ordering))
        return max(0, stop - limit), stop
    start = bisect_right(keys, _key_of(query["next_cursor"], ordering)) if query["next_cursor"] else 0
    return start, min(len(keys), start + limit)


def _cursor(ordering: Ordering, record: Record) -> str:
    content = {"o": ordering.terms, "k": ordering.values(record)}
    return base64.urlsafe_b64encode(json.dumps(content, default=_exactly).encode()).decode()


def _exactly(value: object) -> object:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} cannot be sorted by")
    return {"decimal": str(value)}


def _key_of(cursor: str, ordering: Ordering) -> _Key:
    try:
        content = decode(base64.urlsafe_b64decode(cursor.encode()))
        terms = tuple((str(name), bool(descending)) for name, descending in content["o"])
        values = [Decimal(value["decimal"]) if isinstance(value, dict) else value for value in content["k"]]
    except (binascii.Error, ArithmeticError, KeyError, TypeError, ValueError, Problem) as error:
        raise Problem(400, "The cursor is malformed") from error
    if terms != ordering.terms or len(values) != len(terms):
        raise Problem(400, "The cursor belongs to another ordering")
    return ordering.key(values)
