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
from quittance.money import DOCUMENT_DECIMALS, Money
from quittance.tax import totals_by_tax

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quittance.customers import BusinessCustomer
    from quittance.documents import Line, PaymentRecord, RecordedDocument
    from quittance.facts import Fact

COLLECTIONS = {
    DocumentKind.INVOICE: "invoices",
    DocumentKind.CREDIT_NOTE: "credit-notes",
    DocumentKind.PAYMENT: "payments",
    DocumentKind.PAYMENT_REMOVAL: "payments",
    DocumentKind.CREDIT_APPLICATION: "payments",
}

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


def request_body(document: Document, origin: Origin, issued: Mapping[str, RecordedDocument]) -> bytes:
    """The exact bytes to send for a document. `issued` holds, by key, every document that it may refer to."""
    refers_to = issued.get(document.refers_to)
    match document.kind:
        case DocumentKind.INVOICE | DocumentKind.CREDIT_NOTE:
            body = _document_body(document, origin, refers_to)
        case DocumentKind.PAYMENT:
            body = _payment_body(document, origin, _required(refers_to))
        case DocumentKind.CREDIT_APPLICATION:
            credit_note = _required(refers_to)
            body = _application_body(document, origin, credit_note, _required(issued.get(credit_note.document.refers_to)))
        case DocumentKind.EMAIL:
            body = {"to": document.payer.email if document.payer else None, "attach_pdf": True}
        case DocumentKind.FINALIZATION:
            body = {}
        case DocumentKind.PAYMENT_REMOVAL | DocumentKind.DRAFT_REMOVAL:
            return b""
    return to_json(body)


def _required(refers_to: RecordedDocument | None) -> RecordedDocument:
    if refers_to is None:
        raise ValueError("the document that is referred to is not issued yet")
    return refers_to


def _document_body(document: Document, origin: Origin, refers_to: RecordedDocument | None) -> dict[str, Any]:
    return _without_empty(
        {
            "is_draft": document.draft,
            "date": document.date,
            "date_due": document.date_due,
            "date_service": document.date_service,
            "date_service_to": document.date_service_to,
            "currency_code": document.amount.currency,
            "calculation_mode": "b2b_standard" if document.prices_exclude_tax else "b2c_gross_discount",
            "items": [_line(line, document) for line in document.lines],
            "customer": _customer(document),
            "payments": [_inline_payment(payment, document) for payment in document.payments],
            "linked_documents": [refers_to.api_id] if refers_to and document.kind is DocumentKind.CREDIT_NOTE else None,
            "reference": refers_to.printed_number if refers_to else document.order_id,
            "note": _note(document, refers_to),
            "tax_clause": document.tax_clause or None,
            "expected_total_with_tax": document.amount.decimal,
            "metadata": metadata(document, origin, refers_to),
        }
    )


def _line(line: Line, document: Document) -> dict[str, Any]:
    """A line as one unit at its total: a unit price could not carry every third of a cent."""
    name = line.name if line.quantity == 1 else f"{line.quantity} x {line.name}"
    price = Money(line.amount, document.amount.currency).decimal
    taxes = [{"tax_id": line.tax.tax_id}] if line.tax else []
    price_name = "price" if document.prices_exclude_tax else "gross_price"
    return {"name": name, "quantity": 1, price_name: price, "taxes": taxes, "save_item": False}


def _customer(document: Document) -> dict[str, Any] | None:
    """The payer as printed. One without a name is left out, unless the tax follows from where the payer is."""
    payer = document.payer
    if payer is None or not (payer.name or payer.email or (document.transaction_type and payer.country)):
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
        return f"Credit note for invoice {refers_to.printed_number}."
    return f"Corrects credit note {refers_to.printed_number}."


def _payment_body(document: Document, origin: Origin, invoice: RecordedDocument) -> dict[str, Any]:
    inline = _inline_payment(document.payments[0], document)
    return inline | {"document_id": invoice.api_id, "metadata": metadata(document, origin, invoice)}


def _application_body(
    document: Document, origin: Origin, credit_note: RecordedDocument, invoice: RecordedDocument
) -> dict[str, Any]:
    """A credit note set against what its invoice still asks for; no money moves."""
    return {
        "type": "credit_note",
        "amount": document.amount.decimal,
        "date": document.date,
        "reference": document.key,
        "invoice_id": invoice.api_id,
        "credit_note_id": credit_note.api_id,
        "metadata": metadata(document, origin, credit_note),
    }


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
        "corrects": refers_to.api_id if refers_to and document.kind in _CORRECTIONS else None,
        "tax_evidence": _evidence(document),
    }
    return {name: value[:_METADATA_MAX] for name, value in values.items() if value}


_CORRECTIONS = frozenset({DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE})


def _evidence(document: Document) -> str | None:
    """What the registry said of the buyer's tax number, when, and under which request it can be asked for again."""
    evidence = document.tax_evidence
    if evidence is None:
        return None
    validity = {True: "valid", False: "not valid", None: "registry did not answer"}[evidence.is_valid]
    return " ".join(part for part in (evidence.transaction_type, validity, evidence.checked_at, evidence.request_id) if part)


def idempotency_key(scope: str, name: str) -> str:
    """A key that is unique per account and operation: 64 characters, the same for the same scope and name."""
    return "q1-" + hashlib.sha256(f"{scope}\n{name}".encode()).hexdigest()[:61]


def answer_differs(document: Document, answer: Mapping[str, Any], *, has_moved_on: bool = False) -> str:
    """What in the API's answer contradicts the plan, or an empty string.

    A document that has moved on may have been paid or made final since it was made; the plan comes to that later.
    """
    if document.kind in {DocumentKind.PAYMENT, DocumentKind.CREDIT_APPLICATION}:
        return "" if Decimal(str(answer.get("amount"))) == document.amount.decimal else "payment_amount_differs"
    if document.kind is DocumentKind.FINALIZATION:
        return "" if answer.get("is_draft") is False and answer.get("number") else "not_numbered"
    if document.kind is DocumentKind.EMAIL:
        return ""
    checks = {
        "is_draft": answer.get("is_draft") is document.draft or (has_moved_on and document.draft),
        "not_numbered": document.draft or bool(answer.get("number")),
        "total_differs": answer.get("total_with_tax") == document.amount.decimal,
        "currency_differs": answer.get("currency_code") == document.amount.currency,
        "payment_differs": has_moved_on
        or answer.get("total_paid") == Money(sum(p.amount for p in document.payments), document.amount.currency).decimal,
        "tax_differs": "total" not in answer or not any(line.tax for line in document.lines) or _net(document) == answer["total"],
        "transaction_type_differs": not document.transaction_type
        or answer.get("transaction_type") in {None, document.transaction_type},
    }
    return next((fault for fault, holds in checks.items() if not holds), "")


def _net(document: Document) -> Decimal:
    hundredths = sum(total.net for total in totals_by_tax(document).values())
    return Decimal(hundredths).scaleb(-DOCUMENT_DECIMALS)


def to_json(body: Mapping[str, Any]) -> bytes:
    """JSON for the wire, the one place where a decimal becomes a float: two decimals survive it up to 10^13 major units."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=_number).encode()


def _number(value: object) -> float | int:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no place in a request")
    return int(value) if value == value.to_integral_value() else float(value)


def _without_empty(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None and value != []}
