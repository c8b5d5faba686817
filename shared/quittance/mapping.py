"""Documents as requests to the invoicing API, and the API's answers held against them.

The hedges of the API's contract live here: amounts are JSON numbers in major units, totals are asserted, taxes are always
sent, credit notes are positive and linked, and an invoice is issued and paid in one call.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from quittance.countries import country_name
from quittance.documents import Document, DocumentKind
from quittance.money import Money

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quittance.customers import BusinessCustomer
    from quittance.documents import PaymentRecord, RecordedDocument
    from quittance.facts import Fact, Item, Payer

COLLECTIONS = {
    DocumentKind.INVOICE: "invoices",
    DocumentKind.CREDIT_NOTE: "credit-notes",
    DocumentKind.PAYMENT: "payments",
    DocumentKind.PAYMENT_REMOVAL: "payments",
}
ENTITIES = "entities"

_METHODS = {
    "card": "card",
    "paypal": "paypal",
    "cash": "cash",
    "bank_transfer": "bank_transfer",
    "direct_debit": "bank_transfer",
}
"""Our payment methods -> the API's payment types. The API has no type for direct debits; they are bank transfers."""

_METADATA_MAX = 250
"""Most characters of a metadata value."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a document comes from, printed into its metadata."""

    customer: BusinessCustomer
    fact: Fact
    event_id: str


def request_body(document: Document, origin: Origin, refers_to: RecordedDocument | None) -> bytes:
    """The exact bytes to send for a document. `refers_to` is the issued document that it credits, corrects or pays."""
    match document.kind:
        case DocumentKind.INVOICE | DocumentKind.CREDIT_NOTE:
            body = _document_body(document, origin, refers_to)
        case DocumentKind.PAYMENT:
            body = _payment_body(document, origin, refers_to)
        case DocumentKind.PAYMENT_REMOVAL:
            return b""
    return to_json(body)


def _document_body(document: Document, origin: Origin, refers_to: RecordedDocument | None) -> dict[str, Any]:
    return _without_empty(
        {
            "is_draft": False,
            "date": document.date,
            "date_due": document.date_due,
            "date_service": document.date_service,
            "date_service_to": document.date_service_to,
            "currency_code": document.amount.currency,
            "calculation_mode": "b2c_gross_discount",
            "items": [_line(line, document.amount.currency) for line in document.lines],
            "customer": _customer(document.payer),
            "payments": [_inline_payment(payment, document) for payment in document.payments],
            "linked_documents": [refers_to.api_id] if refers_to and document.kind is DocumentKind.CREDIT_NOTE else None,
            "reference": refers_to.number if refers_to else document.order_id,
            "note": _note(document, refers_to),
            "expected_total_with_tax": document.amount.decimal,
            "metadata": metadata(document, origin, refers_to),
        }
    )


def _line(line: Item, currency: str) -> dict[str, Any]:
    """A line as one unit at its total: a unit price could not carry every third of a cent."""
    name = line.name if line.quantity == 1 else f"{line.quantity} x {line.name}"
    price = Money(line.amount, currency).decimal
    return {"name": name, "quantity": 1, "gross_price": price, "taxes": [], "save_item": False}


def _customer(payer: Payer | None) -> dict[str, Any] | None:
    if payer is None or not (payer.name or payer.email):
        return None
    return _without_empty(
        {
            "name": payer.name or payer.email,
            "email": payer.email,
            "address": payer.line1,
            "address_2": payer.line2,
            "post_code": payer.postal_code,
            "city": payer.city,
            "state": payer.state,
            "country": country_name(payer.country) if payer.country else None,
            "country_code": payer.country,
            "tax_number": payer.tax_number,
        }
    ) | {"save_customer": False}


def _inline_payment(payment: PaymentRecord, document: Document) -> dict[str, Any]:
    return {
        "type": _METHODS.get(payment.method or "", "other"),
        "amount": Money(payment.amount, document.amount.currency).decimal,
        "date": payment.date,
        "reference": payment.reference,
    }


def _note(document: Document, refers_to: RecordedDocument | None) -> str:
    """What the document refers to, in print. An empty string asks for no note rather than the entity's default one."""
    if refers_to is None:
        return ""
    if document.kind is DocumentKind.CREDIT_NOTE:
        return f"Credit note for invoice {refers_to.number}."
    return f"Corrects credit note {refers_to.number}."


def _payment_body(document: Document, origin: Origin, refers_to: RecordedDocument | None) -> dict[str, Any]:
    if refers_to is None:
        raise ValueError("a payment needs the document it is recorded on")
    inline = _inline_payment(document.payments[0], document)
    return inline | {"document_id": refers_to.api_id, "metadata": metadata(document, origin, refers_to)}


def metadata(document: Document, origin: Origin, refers_to: RecordedDocument | None) -> dict[str, str]:
    """What ties a document to its payment, its fact and its rule, for ever."""
    kind, _, subject_id = document.subject.partition(":")
    values = {
        "business_customer": origin.customer.id,
        "provider": origin.fact.provider,
        "payment_id": document.payment_id,
        "document_key": document.key,
        "fact": origin.fact.identity,
        "event_id": origin.event_id,
        "policy": str(document.policy),
        "subscription_id": document.subscription_id,
        "refund_id": subject_id if kind == "refund" else None,
        "dispute_id": subject_id if kind == "dispute" else None,
        "corrects": refers_to.api_id if refers_to and document.kind is not DocumentKind.PAYMENT else None,
    }
    return {name: value[:_METADATA_MAX] for name, value in values.items() if value}


def entity_body(customer: BusinessCustomer) -> bytes:
    """The request that creates a business customer's entity."""
    profile = customer.profile
    address = profile.get("address") or {}
    return to_json(
        _without_empty(
            {
                "name": profile["name"],
                "country": country_name(profile["country"]),
                "country_code": profile["country"],
                "currency_code": profile.get("currency"),
                "timezone": profile.get("timezone"),
                "email": profile.get("email"),
                "tax_number": profile.get("tax_number"),
                "is_tax_subject": profile.get("is_tax_subject"),
                "address": address.get("line1"),
                "address_2": address.get("line2"),
                "city": address.get("city"),
                "post_code": address.get("postal_code"),
                "state": address.get("state"),
                "metadata": {"business_customer": customer.id},
            }
        )
    )


def idempotency_key(scope: str, name: str) -> str:
    """A key that is unique per account and operation: 64 characters, the same for the same scope and name."""
    return "q1-" + hashlib.sha256(f"{scope}\n{name}".encode()).hexdigest()[:61]


def answer_differs(document: Document, answer: Mapping[str, Any]) -> str:
    """What in the API's answer contradicts the plan, or an empty string."""
    if document.kind is DocumentKind.PAYMENT:
        return "" if Decimal(str(answer.get("amount"))) == document.amount.decimal else "payment_amount_differs"
    checks = {
        "is_draft": answer.get("is_draft") is False,
        "not_numbered": bool(answer.get("number")),
        "total_differs": answer.get("total_with_tax") == document.amount.decimal,
        "currency_differs": answer.get("currency_code") == document.amount.currency,
        "payment_differs": answer.get("total_paid")
        == Money(sum(p.amount for p in document.payments), document.amount.currency).decimal,
    }
    return next((fault for fault, holds in checks.items() if not holds), "")


def to_json(body: Mapping[str, Any]) -> bytes:
    """JSON for the wire, the one place where a decimal becomes a float: two decimals survive it up to 10^13 major units."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=_number).encode()


def _number(value: object) -> float | int:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no place in a request")
    return int(value) if value == value.to_integral_value() else float(value)


def _without_empty(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None and value != []}
