"""State: one world per environment, one book per entity. Plain containers without rules."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tools.sandbox.idempotency import Keys
from tools.sandbox.numbering import Sequences
from tools.sandbox.wire import Record, not_found

Shelf = dict[str, Record]
"""Records by identifier, in order of creation."""


@dataclass(slots=True)
class Book:
    """Everything that belongs to one entity."""

    entity: Record
    customers: Shelf = field(default_factory=dict)
    taxes: Shelf = field(default_factory=dict)
    invoices: Shelf = field(default_factory=dict)
    credit_notes: Shelf = field(default_factory=dict)
    payments: Shelf = field(default_factory=dict)
    webhooks: Shelf = field(default_factory=dict)
    activities: Shelf = field(default_factory=dict)
    relations: defaultdict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    """Relations of each document, by its identifier."""
    payments_of: defaultdict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    """Payments of each document, deleted ones too, by its identifier."""
    bodies: dict[str, Record] = field(default_factory=dict)
    """The request each document was last composed from, by its identifier."""
    sequences: Sequences = field(default_factory=Sequences)


@dataclass(slots=True)
class World:
    """Everything one account has in one environment."""

    environment: str
    account_id: str
    books: dict[str, Book] = field(default_factory=dict)
    keys: Keys = field(default_factory=Keys)


def take(shelf: Shelf, identifier: str, what: str) -> Record:
    """The record with this identifier. Raises `Problem` 404."""
    try:
        return shelf[identifier]
    except KeyError:
        raise not_found(what) from None
