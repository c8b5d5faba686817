"""Checkout.com: events of payments and disputes.

Every step of a payment has an id of its own (`act_...`) and its own amount; `balances` are running totals. Money that arrived is
always a capture, one for each that was made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quittance.errors import Reject
from quittance.facts import Fact, FactType
from quittance.providers import SIGNATURE_MISMATCH, SIGNATURE_MISSING, Acknowledgement, Translation
from quittance.providers.fields import (
    Ignored,
    code,
    country,
    facts_or_reason,
    identifier,
    instant,
    member,
    money,
    payer_of,
    reason_for,
    required,
    text,
)
from quittance.providers.payload import UNREADABLE_BODY, any_equal, hex_digests, json_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from quittance.facts import Payer
    from quittance.money import Money

PROVIDER = "checkout"

DEVIATING_EXPONENTS = {"CLP": 2}
"""Checkout.com's number of decimals where it is not that of ISO 4217: whole pesos, sent as hundredths."""


# --- verify ------------------------------------------------------------------------------------------------------------


def verify(raw: bytes, headers: Mapping[str, str], secrets: Sequence[str], now_s: int) -> None:  # noqa: ARG001 - nothing is timed
    """`Cko-Signature` must be the HMAC-SHA256 of the body, in hexadecimal digits, under one of `secrets`.

    Raises `Reject` with a signature code.
    """
    given = [part.strip() for part in headers.get("cko-signature", "").split(",")]
    if not any(given):
        raise Reject(SIGNATURE_MISSING)
    if not any_equal(hex_digests(raw, secrets), given):
        raise Reject(SIGNATURE_MISMATCH)


def acknowledge() -> Acknowledgement:
    return Acknowledgement()


# --- translate -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Event:
    """What every row of the table below starts from."""

    account: str
    occurred_at: str
    data: dict[str, Any]

    @property
    def action_id(self) -> str:
        return required(self.data, "action_id")

    @property
    def amount(self) -> Money:
        """Of this step, not of the payment."""
        return money(self.data.get("amount"), self.data.get("currency"), DEVIATING_EXPONENTS)

    def fact(self, kind: FactType, key: str, payment_id: str, **more: Any) -> Fact:  # noqa: ANN401 - the fields of `Fact`
        """A fact of this event, with what `more` adds to it."""
        values = {"provider": PROVIDER, "account": self.account, "occurred_at": self.occurred_at} | more
        return Fact(type=kind, key=key, payment_id=payment_id, **values)


def translate(raw: bytes, connection: str, settings: Mapping[str, Any]) -> Translation:  # noqa: ARG001
    """The fact that an event states. Money belongs to the connection: payments and disputes name no account in common.

    Unknown types, versions and currencies are ignored, never guessed.

    Raises `Reject` for a body that is no event of Checkout.com, or that misses or contradicts what its type needs.
    """
    body = json_object(raw)
    event_id, event_type = required(body, "id"), required(body, "type")
    account = f"connection:{connection}"
    facts, ignored = facts_or_reason(lambda: _facts(body, event_type, account))
    return Translation(event_id=event_id, event_type=event_type, account=account, facts=facts, ignored=ignored)


def _facts(body: dict[str, Any], event_type: str, account: str) -> Iterable[Fact]:
    if not (row := _ROWS.get(event_type)):
        raise Ignored(reason_for(event_type, _REASONS, _FAMILIES, "_"))
    if not _KNOWN_VERSION.fullmatch(text(body, "version") or "1"):
        raise Ignored("unknown_version")
    data = member(body, "data")
    if not event_type.startswith("dispute_"):
        _require_incoming(data)
    return row(_Event(account=account, occurred_at=instant(body, "created_on", "timestamp"), data=data))


_KNOWN_VERSION = re.compile(r"1(\.\d{1,5}){0,2}", re.ASCII)
"""Of the schema of an event; its later numbers count what was only added."""


def _require_incoming(data: dict[str, Any]) -> None:
    """Money that goes out to a card or a bank account is reported in the same types of events as money that comes in."""
    source = data.get("source")
    paid_from = text(source, "type") if isinstance(source, dict) else None
    is_outgoing = (
        data.get("destination") is not None
        or paid_from in _OWN_FUNDS
        or (text(data, "payment_type") or "").lower() == "payout"
        or (text(data, "type") or "").lower() == "payout"
    )
    if is_outgoing:
        raise Ignored("not_a_sale")


_OWN_FUNDS = frozenset({"currency_account", "entity"})


# --- payments ------------------------------------------------------------------------------------------------------------


def _payment_approved(event: _Event) -> Iterator[Fact]:
    yield _authorization(event, event.amount)


def _authorization_incremented(event: _Event) -> Iterator[Fact]:
    """The event's own amount is what was added."""
    total = member(event.data, "balances").get("total_authorized")
    yield _authorization(event, money(total, event.data.get("currency"), DEVIATING_EXPONENTS))


def _authorization(event: _Event, total: Money) -> Fact:
    """An authorization may be raised later, so it is reported by its total."""
    if not total:
        raise Ignored("zero_amount")
    payment_id = _payment(event)
    return event.fact(
        FactType.PAYMENT_AUTHORIZED,
        payment_id,
        payment_id,
        amount=total,
        running_total=True,
        occurrence=str(total.value),
        **_details(event),
    )


def _payment_captured(event: _Event) -> Iterator[Fact]:
    amount, action_id = event.amount, event.action_id
    if not amount:
        raise Ignored("zero_amount")
    yield event.fact(
        FactType.PAYMENT_CAPTURED,
        action_id,
        _payment(event),
        amount=amount,
        capture_id=action_id,
        # What expires or is declined later has another action's id, and so undoes nothing of this one.
        also_known_as=(action_id,),
        **_details(event),
    )


def _payment_failed(event: _Event) -> Iterator[Fact]:
    """Declined, expired or canceled. What was captured before stays: what ends is what was still to come."""
    payment_id = _payment(event)
    yield event.fact(
        FactType.PAYMENT_FAILED,
        payment_id,
        payment_id,
        occurrence=identifier(event.data, "action_id") or "",
        **_failure(event),
    )


def _capture_declined(event: _Event) -> Iterator[Fact]:
    payment_id, action_id = _payment(event), event.action_id
    yield event.fact(
        FactType.PAYMENT_FAILED,
        payment_id,
        payment_id,
        occurrence=action_id,
        capture_id=action_id,
        **_failure(event),
    )


def _payment_returned(event: _Event) -> Iterator[Fact]:
    """The payer's bank took back what had been paid: all of it, whichever action had captured it."""
    yield event.fact(FactType.PAYMENT_FAILED, event.action_id, _payment(event), **_failure(event))


def _failure(event: _Event) -> dict[str, Any]:
    return {"amount": event.amount if "amount" in event.data else None, "reason": code(event.data, "response_code")}


def _payment_refunded(event: _Event) -> Iterator[Fact]:
    yield _refund(event, FactType.REFUND_SUCCEEDED)


def _refund_declined(event: _Event) -> Iterator[Fact]:
    yield _refund(event, FactType.REFUND_FAILED)


def _refund(event: _Event, kind: FactType) -> Fact:
    return event.fact(kind, event.action_id, _payment(event), amount=event.amount, reason=code(event.data, "response_code"))


def _payment(event: _Event) -> str:
    return _id_of(event, "pay_", "dsp_")


def _id_of(event: _Event, expected: str, confused: str) -> str:
    """`data.id` is a payment in some types of events and a dispute in others."""
    name = required(event.data, "id")
    if name.startswith(confused):
        raise Reject(UNREADABLE_BODY, f"the id is not that of a {expected}... object")
    return name


# --- disputes ------------------------------------------------------------------------------------------------------------


def _dispute_opened(event: _Event) -> Iterator[Fact]:
    yield _dispute(event, FactType.DISPUTE_OPENED)


def _dispute_won(event: _Event) -> Iterator[Fact]:
    yield _dispute(event, FactType.DISPUTE_WON)


def _dispute_lost(event: _Event) -> Iterator[Fact]:
    yield _dispute(event, FactType.DISPUTE_LOST)


def _dispute(event: _Event, kind: FactType) -> Fact:
    return event.fact(
        kind,
        _id_of(event, "dsp_", "pay_"),
        required(event.data, "payment_id"),
        amount=event.amount,
        reason=code(event.data, "reason_code"),
    )


# --- the table -----------------------------------------------------------------------------------------------------------

_ROWS: dict[str, Callable[[_Event], Iterable[Fact]]] = {
    "payment_approved": _payment_approved,
    "payment_authorization_incremented": _authorization_incremented,
    "payment_captured": _payment_captured,
    "payment_declined": _payment_failed,
    "payment_expired": _payment_failed,
    "payment_canceled": _payment_failed,
    "payment_capture_declined": _capture_declined,
    "payment_returned": _payment_returned,
    "payment_refunded": _payment_refunded,
    "payment_refund_declined": _refund_declined,
    "dispute_received": _dispute_opened,
    "dispute_evidence_required": _dispute_opened,
    "dispute_won": _dispute_won,
    "dispute_arbitration_won": _dispute_won,
    "dispute_canceled": _dispute_won,
    "dispute_lost": _dispute_lost,
    "dispute_expired": _dispute_lost,
    "dispute_accepted": _dispute_lost,
    "dispute_arbitration_lost": _dispute_lost,
}

_REASONS = {
    "payment_authorization_increment_declined": "no_new_fact",
    "payment_authentication_failed": "not_paid",
    "payment_capture_pending": "not_paid",
    "payment_compliance_review": "not_paid",
    "payment_paid": "not_a_sale",
    "payment_optimized": "no_new_fact",
    "payment_pending": "not_paid",
    "payment_refund_pending": "refund_pending",
    "payment_retry_scheduled": "not_paid",
    "payment_void_declined": "no_new_fact",
    "payment_void_pending": "no_new_fact",
    "payment_voided": "authorization_released",
    "dispute_arbitration_evidence_submitted": "dispute_open",
    "dispute_arbitration_sent_to_scheme": "dispute_open",
    "dispute_evidence_acknowledged_by_scheme": "dispute_open",
    "dispute_evidence_submitted": "dispute_open",
    "dispute_resolved": "refund_events_report_it",
    "report_generated": "report_not_read",
}
_FAMILIES = {
    "authentication": "no_new_fact",
    "authorization": "not_a_sale",  # of a card that we issued
    "balance": "no_new_fact",
    "bank_account": "no_new_fact",
    "batch": "no_new_fact",
    "card": "no_new_fact",
    "cardholder": "not_a_sale",
    "fraud": "inquiry",
    "identity": "no_new_fact",
    "issuing": "not_a_sale",
    "payment_instrument": "no_new_fact",
    "payout": "not_a_sale",
    "request_for_information": "inquiry",
    "source": "no_new_fact",
    "topup": "not_a_sale",
    "vendor": "no_new_fact",
}
"""Why what makes no fact makes none: by event type, else by what it begins with."""

EVENT_TYPES = frozenset(_ROWS) | frozenset(_REASONS)


# --- people and methods --------------------------------------------------------------------------------------------------

_METHOD_OF = (
    dict.fromkeys(["card", "token", "id", "network_token", "applepay", "googlepay", "bancontact"], "card")
    | dict.fromkeys(["sepa", "sepav4", "ach", "bacs", "direct_debit"], "direct_debit")
    | dict.fromkeys(["ideal", "sofort", "giropay", "eps", "p24", "multibanco", "trustly", "fpx", "bank_account"], "bank_transfer")
    | {"paypal": "paypal"}
)


def _details(event: _Event) -> dict[str, Any]:
    """What an event says about a payment beside its amount."""
    source = event.data.get("source")
    kind = text(source, "type") if isinstance(source, dict) else None
    return {
        "order_id": identifier(event.data, "reference"),
        "description": text(event.data, "description"),
        "method": _METHOD_OF.get(kind, "other") if kind else None,
        "payer": _payer(member(event.data, "customer"), source if isinstance(source, dict) else {}),
    }


def _payer(customer: dict[str, Any], source: dict[str, Any]) -> Payer | None:
    address = member(source, "billing_address")
    return payer_of(
        name=text(customer, "name") or text(source, "name"),
        email=text(customer, "email"),
        country=country(address, "country"),
        line1=text(address, "address_line1"),
        line2=text(address, "address_line2"),
        city=text(address, "city"),
        postal_code=text(address, "zip"),
        state=text(address, "state"),
    )
