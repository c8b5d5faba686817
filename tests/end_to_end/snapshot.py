"""What a stack holds, read from outside and laid out as the simulation's checks expect a world to be."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from tests.simulation.history import Violation
from tests.simulation.table import SimulatedTable
from tools.sandbox.books import Book

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tests.end_to_end.conftest import Stack
    from tests.simulation.history import History
    from tests.simulation.world import World

_MONEY = ("total_with_tax", "total_paid")


def world_of(stack: Stack, history: History, names: Collection[str]) -> World:
    """What the table and the API hold of these business customers and accounts, and of no others."""
    world = SimpleNamespace(
        history=history,
        sqs=SimpleNamespace(queues={}),
        longest_wait_s=0,
        table=_table(stack, names),
        api=SimpleNamespace(
            books=_books(stack, names), refused=set(), requests={}, sandbox=SimpleNamespace(emails=stack.told("emails"))
        ),
    )
    return cast("World", world)


def _table(stack: Stack, names: Collection[str]) -> SimulatedTable:
    pages = (
        stack.target.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=stack.target.output("TableName"), ConsistentRead=True, ProjectionExpression="pk")
    )
    partitions = {item["pk"]["S"] for page in pages for item in page["Items"]}
    table = SimulatedTable(cast("World", None))
    for pk in partitions:
        if set(pk.split("#")) & set(names):
            items = stack.target.ledger.table.read_partition(pk)
            table._partitions[pk] = {item["sk"]: json.dumps(item) for item in items}
    return table


def _books(stack: Stack, names: Collection[str]) -> dict[str, Book]:
    entities = stack.target.space_invoices.pages("entities", entity_id=None)
    return {one["id"]: _book(stack, one) for one in entities if one["metadata"].get("business_customer") in names}


def _book(stack: Stack, entity: dict[str, Any]) -> Book:
    book = Book(entity)
    for collection, shelf in (("invoices", book.invoices), ("credit-notes", book.credit_notes)):
        for one in stack.target.space_invoices.pages(collection, entity_id=entity["id"]):
            shelf[one["id"]] = one | {name: Decimal(one[name]) for name in _MONEY}
            book.relations[one["id"]] = one["document_relations"]
    return book


def check_books(books: Iterable[Book]) -> None:
    """No entity or document twice; never more credited or received than was invoiced. Raises `Violation`."""
    owners = Counter(book.entity["metadata"]["business_customer"] for book in books)
    _require(max(owners.values()) == 1, f"entities made twice: {owners}")
    for book in books:
        documents = [*book.invoices.values(), *book.credit_notes.values()]
        twice = [name for name, count in Counter(map(_name, documents)).items() if count > 1]
        _require(not twice, f"issued twice: {twice}")
        for invoice in book.invoices.values():
            notes = [one["target_id"] for one in book.relations[invoice["id"]] if one["relation_type"] == "has_credit"]
            credited = sum(book.credit_notes[note]["total_with_tax"] for note in notes)
            _require(credited <= invoice["total_with_tax"], f"{invoice['number']} is credited by {credited}")
            _require(invoice["total_paid"] <= invoice["total_with_tax"], f"{invoice['number']} is overpaid")


def _name(document: dict[str, Any]) -> tuple[str | None, ...]:
    return tuple(document["metadata"].get(name) for name in ("provider", "payment_id", "document_key"))


def _require(holds: object, complaint: str) -> None:
    if not holds:
        raise Violation(complaint)
