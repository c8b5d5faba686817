"""Webhooks of Space Invoices: what became of the documents that it holds.

They state no facts about money. An invoice, a credit note or a payment on one of them is translated into a sighting of that
document, without anything about people. The vendor's page describes the signature as an HMAC over the raw body; in case the
timestamp turns out to be signed too, as is customary, that is accepted as well.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from quittance.errors import Reject
from quittance.money import EXPONENTS, VALUE_MAX, Money, money_from_minor_units
from quittance.observation import Observation, ObservedDocument, ObservedPayment, Sighting, reference_digest
from quittance.providers import (
    SIGNATURE_MALFORMED,
    SIGNATURE_MISMATCH,
    SIGNATURE_MISSING,
    Acknowledgement,
    Translation,
)
from quittance.providers.payload import UNREADABLE_BODY, any_equal, json_object, utc_microsecond

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DOCUMENTS = {
    "invoice": "created updated sent paid overdue cancelled deleted restored voided finalized",
    "credit_note": "created updated issued voided deleted restored",
}
_OF_DOCUMENTS = frozenset(f"{kind}.{what}" for kind, events in _DOCUMENTS.items() for what in events.split())
_OF_PAYMENTS = frozenset(f"payment.{what}" for what in ("received", "updated", "deleted", "restored", "permanently_deleted"))
EVENT_TYPES = _OF_DOCUMENTS | _OF_PAYMENTS
"""The events that show the state of an invoice, a credit note, or a payment on one: what a webhook should subscribe to."""

_DELETED = (".deleted", ".permanently_deleted")
_APPLICATIONS = frozenset({"credit_note", "advance"})
"""Types of payment that apply one document to another."""
_SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}", re.ASCII)
_TIMESTAMP = re.compile(r"\d{1,11}", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_TEXT_MAX = 250
"""Most characters of what is kept of a text: those of a metadata value."""


# --- verify --------------------------------------------------------------------------------------------------------------


def verify(raw: bytes, headers: Mapping[str, str], secrets: Sequence[str], now_s: int) -> None:  # noqa: ARG001
    """Check `X-Webhook-Signature`.

    Its age is not checked, because nothing vouches for the timestamp: a delivery that is repeated, by whomever, shows the
    same state of the same moment again, which changes nothing.
    """
    given = [value.strip() for value in headers.get("x-webhook-signature", "").split(",")]
    if not any(given):
        raise Reject(SIGNATURE_MISSING)
    if not any(_SIGNATURE.fullmatch(value) for value in given):
        raise Reject(SIGNATURE_MALFORMED)
    timestamp = headers.get("x-webhook-timestamp", "")
    signed = [raw, timestamp.encode() + b"." + raw] if _TIMESTAMP.fullmatch(timestamp) else [raw]
    expected = [b"sha256=" + _hmac(secret, message) for secret in secrets for message in signed]
    if not any_equal(expected, given):
        raise Reject(SIGNATURE_MISMATCH)


def _hmac(secret: str, message: bytes) -> bytes:
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest().encode()


# --- translate -----------------------------------------------------------------------------------------------------------


def translate(raw: bytes, connection: str, settings: Mapping[str, Any]) -> Translation:  # noqa: ARG001
    """The sighting that a delivery holds; all other events are ignored.

    Its id is a hash of the raw body, because the vendor numbers attempts and not events.

    Raises `Reject`, whose message names the field that is wrong and never its value.
    """
    event = json_object(raw)
    kind, at, data = _text(event, "event"), _instant(event), event.get("data")
    if not isinstance(data, dict):
        raise Reject(UNREADABLE_BODY, "data")
    seen = _seen(kind, at, data, connection)
    return Translation(
        event_id=hashlib.sha256(raw).hexdigest(),
        event_type=kind,
        account=f"connection:{connection}",
        sighting=seen if isinstance(seen, Sighting) else None,
        ignored=seen if isinstance(seen, str) else None,
    )


def acknowledge() -> Acknowledgement:
    return Acknowledgement()


def _seen(kind: str, at: str, data: dict[str, Any], connection: str) -> Sighting | str:
    """The sighting, or why there is none."""
    if kind in _OF_DOCUMENTS:
        document_id = _id(data, "id")
        total = _money(data, "total_with_tax")
        observed = Observation(document=_document(kind, at, data, total)) if total is not None else None
    elif kind in _OF_PAYMENTS:
        document_id = next((_id(data, name) for name in ("invoice_id", "credit_note_id") if name in data), "")
        if not document_id:
            return "not_about_a_document"
        amount = _money(data, "amount")
        observed = Observation(payments=(_payment(kind, at, data, amount),)) if amount is not None else None
    else:
        return "unknown_event_type" if kind.partition(".")[0] in {*_DOCUMENTS, "payment"} else "not_about_a_document"
    if observed is None:
        return "amount_not_expressible"
    return Sighting(
        document_id=document_id,
        event_type=kind,
        observed=observed,
        business_customer=_claimed_by(data),
        connection=connection,
    )


def _document(kind: str, at: str, data: dict[str, Any], total: Money) -> ObservedDocument:
    """The event's name counts before the object, which may show the moment before the event."""
    is_draft = data.get("is_draft")
    if not isinstance(is_draft, bool):
        raise Reject(UNREADABLE_BODY, "data.is_draft")
    return ObservedDocument(
        at=at,
        is_draft=is_draft,
        total=total,
        number=_text(data, "number") if "number" in data else "",
        is_voided="voided_at" in data or kind.endswith(".voided"),
        is_deleted=kind.endswith(_DELETED) or ("deleted_at" in data and not kind.endswith(".restored")),
    )


def _payment(kind: str, at: str, data: dict[str, Any], amount: Money) -> ObservedPayment:
    return ObservedPayment(
        id=_id(data, "id"),
        at=at,
        amount=amount,
        reference=reference_digest(_reference(data)),
        is_application=_text(data, "type") in _APPLICATIONS,
        is_deleted=kind.endswith(_DELETED) or ("deleted_at" in data and not kind.endswith(".restored")),
    )


def _claimed_by(data: dict[str, Any]) -> str:
    """The business customer in the document's metadata. People may write anything there: what cannot be an id is none."""
    metadata = data.get("metadata")
    claimed = metadata.get("business_customer") if isinstance(metadata, dict) else None
    return claimed if isinstance(claimed, str) and len(claimed) <= _TEXT_MAX else ""


def _reference(data: dict[str, Any]) -> str:
    reference = data.get("reference", "")
    if not isinstance(reference, str):
        raise Reject(UNREADABLE_BODY, "data.reference")
    return reference


def _money(data: dict[str, Any], name: str) -> Money | None:
    """An amount of the API, a number of major units; None if the currency's own minor unit cannot carry it."""
    number, currency = data.get(name), data.get("currency_code")
    if isinstance(number, bool) or not isinstance(number, int | float) or abs(number) > VALUE_MAX:
        raise Reject(UNREADABLE_BODY, f"data.{name}")
    exponent = EXPONENTS.get(currency) if isinstance(currency, str) else None
    if exponent is None:
        raise Reject("currency_unknown")
    minor = Decimal(str(number)).scaleb(exponent)
    return money_from_minor_units(int(minor), currency) if minor == int(minor) else None


def _instant(event: dict[str, Any]) -> str:
    try:
        return utc_microsecond(_text(event, "timestamp"))
    except ValueError:
        raise Reject(UNREADABLE_BODY, "timestamp") from None


def _id(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise Reject(UNREADABLE_BODY, f"data.{name}")
    return value


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _TEXT_MAX:
        raise Reject(UNREADABLE_BODY, name)
    return value
