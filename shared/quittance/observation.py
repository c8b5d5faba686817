"""What the invoicing API showed of a document after it was issued: the state that somebody may have changed by hand.

An observation is put together from deliveries that come late, twice and in any order. Putting it together is commutative,
associative and idempotent, so the result depends on what was seen and not on when it arrived.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quittance.facts import filled_fields
from quittance.money import Money

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedDocument:
    """The document itself as it stood at one moment."""

    at: str
    """When the API saw it like this, by its own clock: RFC 3339 in UTC with microseconds. Such strings sort by time."""
    is_draft: bool
    total: Money
    """With tax."""
    number: str = ""
    is_voided: bool = False
    is_deleted: bool = False

    @property
    def age(self) -> tuple[Any, ...]:
        """Sorts by time, and what shares a moment by the course of a document's life."""
        return self.at, self.is_deleted, self.is_voided, not self.is_draft, repr(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPayment:
    """One record of money on the document as it stood at one moment."""

    id: str
    """The record's id in the invoicing API."""
    at: str
    amount: Money
    reference: str
    """`reference_digest` of what identifies the payment elsewhere."""
    is_application: bool = False
    """A credit note set against its invoice: no money moved, and the API makes such records by itself."""
    is_deleted: bool = False

    @property
    def age(self) -> tuple[Any, ...]:
        return self.at, self.is_deleted, repr(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything that was seen of one document. A part that was never seen is absent, and then nothing is known of it."""

    document: ObservedDocument | None = None
    payments: tuple[ObservedPayment, ...] = ()
    """The newest state of each record that was seen, by id; not every record of the document need be among them."""

    @property
    def is_draft(self) -> bool | None:
        """None: not known."""
        return self.document.is_draft if self.document else None

    @property
    def is_gone(self) -> bool:
        """Whether the document was voided or deleted."""
        return self.document is not None and (self.document.is_voided or self.document.is_deleted)

    @property
    def number(self) -> str:
        return self.document.number if self.document else ""

    def with_seen(self, other: Observation) -> Observation:
        """Both together: of everything its newest state."""
        documents = [seen for seen in (self.document, other.document) if seen]
        newest: dict[str, ObservedPayment] = {}
        for payment in sorted((*self.payments, *other.payments), key=lambda seen: seen.age):
            newest[payment.id] = payment
        return Observation(
            document=max(documents, key=lambda seen: seen.age, default=None),
            payments=tuple(newest[name] for name in sorted(newest)),
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary; `observation_from_json` restores an equal observation."""
        said: dict[str, Any] = {"document": filled_fields(self.document)} if self.document else {}
        return said | ({"payments": [filled_fields(payment) for payment in self.payments]} if self.payments else {})


def observation_from_json(data: Mapping[str, Any]) -> Observation:
    """The inverse of `Observation.to_json`. Raises `TypeError` or `KeyError` for anything else."""
    document = data.get("document")
    return Observation(
        document=ObservedDocument(**document | {"total": Money(**document["total"])}) if document else None,
        payments=tuple(ObservedPayment(**one | {"amount": Money(**one["amount"])}) for one in data.get("payments", ())),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one delivery showed of one document."""

    document_id: str
    """In the invoicing API."""
    event_type: str
    observed: Observation
    business_customer: str = ""
    """Whose document it is, by its own metadata; empty if that does not say."""
    connection: str
    """By which it came. Every one but `default` belongs to one business customer."""

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary; `sighting_from_json` restores an equal sighting."""
        return {
            "document_id": self.document_id,
            "event_type": self.event_type,
            "observed": self.observed.to_json(),
            "business_customer": self.business_customer,
            "connection": self.connection,
        }


def sighting_from_json(data: Mapping[str, Any]) -> Sighting:
    """The inverse of `Sighting.to_json`. Raises `TypeError` or `KeyError` for anything else."""
    return Sighting(**{**data, "observed": observation_from_json(data["observed"])})


def reference_digest(reference: str) -> str:
    """What stands for the reference of a payment: people type anything there, and only equality counts."""
    return hashlib.sha256(reference.encode()).hexdigest()[:32]
