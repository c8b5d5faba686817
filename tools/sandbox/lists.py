"""List operations: which records each list shows, and which fields may be named in its filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tools.sandbox.call import Call
from tools.sandbox.contract import contract
from tools.sandbox.dates import timestamp
from tools.sandbox.filters import Predicate, compile_query
from tools.sandbox.listing import Ordering, page
from tools.sandbox.wire import Record


def list_records(call: Call, records: Iterable[Record], schema: str, show: Callable[[Record], Record] = dict) -> Record:
    """A page of `records` by the call's list parameters.

    Soft-deleted records are left out unless the query names `deleted_at`.
    """
    fields = contract().fields(schema)
    text = call.query["query"]
    asked = compile_query(text, fields, call.settings.metadata_queries) if text else _everything
    deleted_too = bool(text) and "deleted_at" in text
    visible = _visible(call)
    ordering = Ordering.parse(call.query["order_by"] or [], fields)

    def matches(record: Record) -> bool:
        return (deleted_too or not record.get("deleted_at")) and visible(record) and asked(record)

    return page(records, call.query, ordering, matches, show)


def _everything(_: Record) -> bool:
    return True


def _visible(call: Call) -> Predicate:
    if call.hidden_since is None:
        return _everything
    since = timestamp(call.hidden_since)
    return lambda record: bool(record["created_at"] <= since)
