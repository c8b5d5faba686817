"""Stripe: snapshot events of every API version, Connect accounts, and thin events.

Stripe reports one fact in up to six event types. Everything is therefore keyed by the object the money moved under: the
PaymentIntent (else the charge, else the billing invoice until it names its payment), the refund, the dispute, the payout.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quittance.errors import Reject
from quittance.facts import Fact, FactType, Payer
from quittance.money import EXPONENTS, Money, money_from_minor_units
from quittance.providers import (
    SIGNATURE_MALFORMED,
    SIGNATURE_MISMATCH,
    SIGNATURE_MISSING,
    Acknowledgement,
    Reference,
    Translation,
)
from quittance.providers.payload import UNREADABLE_BODY, any_equal, json_object, signed_at, utc_instant_from_epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

PROVIDER = "stripe"
TOLERANCE_S = 300
"""How far Stripe's clock may be from ours. Stripe's libraries check only for the past; a future timestamp is no better."""

REFUND_EVENTS_FOR_ALL_REFUNDS = "2024-10-28"
"""From this API version on `refund.*` events report every refund, so that `charge.refunded` adds nothing."""

ID_LENGTH_MAX = 250


# --- verify ------------------------------------------------------------------------------------------------------------


def verify(raw: bytes, headers: Mapping[str, str], secrets: Sequence[str], now_s: int) -> None:
    """One of the `v1` signatures must be the HMAC-SHA256 of `timestamp.body` under one of `secrets`.

    Raises `Reject` with a signature code.
    """
    header = headers.get("stripe-signature")
    if not header:
        raise Reject(SIGNATURE_MISSING)
    parts = [part.strip().partition("=") for part in header.split(",")]
    timestamps = [value for scheme, _, value in parts if scheme == "t"]
    signatures = [value for scheme, _, value in parts if scheme == "v1"]
    if not timestamps or not signatures:
        raise Reject(SIGNATURE_MALFORMED)
    signed = signed_at(timestamps[0], now_s, TOLERANCE_S).encode() + b"." + raw
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode() for secret in secrets if secret]
    if not any_equal(expected, signatures):
        raise Reject(SIGNATURE_MISMATCH)


def acknowledge() -> Acknowledgement:
    return Acknowledgement()


# --- translate -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Event:
    """What every row of the table below starts from."""

    type: str
    object: dict[str, Any]
    account: str
    occurred_at: str
    api_version: str
    """The day of the API version that rendered `object`, or empty when the event does not say."""

    def fact(self, kind: FactType, key: str, payment_id: str | None, **more: Any) -> Fact:  # noqa: ANN401 - the fields of `Fact`
        """A fact of this event, with what `more` adds to it."""
        values = {"provider": PROVIDER, "account": self.account, "occurred_at": self.occurred_at} | more
        return Fact(type=kind, key=key, payment_id=payment_id, **values)


class _Ignored(Exception):
    """The event makes no fact; its argument is the reason."""


def translate(raw: bytes, connection: str, settings: Mapping[str, Any]) -> Translation:  # noqa: ARG001
    """The facts a Stripe event states.

    Money belongs to the Connect account the event names, else to the connection. Unknown types and statuses are ignored, never
    guessed.

    Raises `Reject` for a body that is no Stripe event, or whose object misses or contradicts what its type needs.
    """
    body = json_object(raw)
    event_id, event_type, style = (_id(body, name) for name in ("id", "type", "object"))
    if not event_id or not event_type or style not in {"event", "v2.core.event"}:
        raise Reject(UNREADABLE_BODY, "not a Stripe event")
    if style == "v2.core.event":
        return _thin(body, event_id, event_type, connection)
    version = _text(body, "api_version") or ""
    event = _Event(
        type=event_type,
        object=_object(_object(body, "data"), "object"),
        account=_id(body, "account") or f"connection:{connection}",
        occurred_at=utc_instant_from_epoch(body.get("created")),
        api_version=version[:10] if _VERSION.match(version) else "",
    )
    facts: tuple[Fact, ...] = ()
    ignored = None
    try:
        facts = tuple(_facts(event))
    except _Ignored as reason:
        ignored = str(reason)
    return Translation(event_id=event_id, event_type=event_type, account=event.account, facts=facts, ignored=ignored)


_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _thin(body: dict[str, Any], event_id: str, event_type: str, connection: str) -> Translation:
    """A thin event carries no snapshot: it names the object, and in `context` the connected account."""
    related = _optional_object(body, "related_object")
    kind, object_id = _id(related, "type"), _id(related, "id")
    context = (_id(body, "context") or "").rpartition("/")[2]
    return Translation(
        event_id=event_id,
        event_type=event_type,
        account=context if context.startswith("acct_") else f"connection:{connection}",
        fetch=(Reference(kind, object_id),) if kind and object_id else (),
        ignored=None if kind and object_id else "names_no_object",
    )


def _facts(event: _Event) -> Iterable[Fact]:
    if row := _ROWS.get(event.type):
        kind, facts_of = row
        if _text(event.object, "object") not in {kind, None}:
            raise Reject(UNREADABLE_BODY, "the object is not what the event's type is about")
        return facts_of(event)
    family = event.type.partition(".")[0]
    raise _Ignored(_REASONS.get(event.type) or _REASONS_BY_FAMILY.get(family, "unknown_event_type"))


# --- payments ------------------------------------------------------------------------------------------------------------


def _payment_intent_succeeded(event: _Event) -> Iterator[Fact]:
    intent = event.object
    intent_id, amount = _key(intent), _money(intent, "amount_received")
    _require_cash(amount)
    charge = _charge_of(intent)
    charge_id = _id(charge, "id")
    details = _payment_details(intent) | _payment_details(charge) | {"also_known_as": _names(charge_id)}
    if _text(intent, "capture_method") == "manual" and charge_id:
        yield _capture(event, charge_id, intent_id, amount, details)
    else:
        yield event.fact(FactType.PAYMENT_SUCCEEDED, intent_id, intent_id, amount=amount, **details)


def _charge_captured(event: _Event) -> Iterator[Fact]:
    charge = event.object
    charge_id = _key(charge)
    if "amount_captured" in charge:
        amount = _money(charge, "amount_captured")
    else:
        amount = _difference(_money(charge, "amount"), _money_or_zero(charge, "amount_refunded"))
    _require_cash(amount)
    details = _payment_details(charge) | {"also_known_as": _names(charge_id)}
    yield _capture(event, charge_id, _id(charge, "payment_intent") or charge_id, amount, details)


def _capture(event: _Event, charge_id: str, payment_id: str, amount: Money, details: dict[str, Any]) -> Fact:
    """What has been captured of a charge so far: `charge.captured` and the PaymentIntent's success report the same total."""
    return event.fact(
        FactType.PAYMENT_CAPTURED,
        charge_id,
        payment_id,
        amount=amount,
        running_total=True,
        occurrence=str(amount.value),
        capture_id=charge_id,
        **details,
    )


def _charge_succeeded(event: _Event) -> Iterator[Fact]:
    charge = event.object
    charge_id = _key(charge)
    payment_id = _id(charge, "payment_intent") or charge_id
    if _text(charge, "status") not in {None, "succeeded", "paid"}:  # "paid" until API version 2015-02-18
        raise _Ignored("not_paid")
    details = _payment_details(charge) | {"also_known_as": _names(charge_id, but=payment_id)}
    if charge.get("captured") is False:
        yield _authorization(event, payment_id, _money(charge, "amount"), details)
        return
    amount = _money(charge, "amount_captured" if charge.get("amount_captured") else "amount")
    _require_cash(amount)
    yield event.fact(FactType.PAYMENT_SUCCEEDED, payment_id, payment_id, amount=amount, **details)


def _amount_capturable_updated(event: _Event) -> Iterator[Fact]:
    intent = event.object
    intent_id = _key(intent)
    if not _money(intent, "amount_capturable"):
        raise _Ignored("nothing_capturable")
    charge = _charge_of(intent)
    details = _payment_details(intent) | _payment_details(charge) | {"also_known_as": _names(_id(charge, "id"))}
    yield _authorization(event, intent_id, _money(intent, "amount"), details)


def _authorization(event: _Event, payment_id: str, amount: Money, details: dict[str, Any]) -> Fact:
    """An authorization may be raised later, so it is reported by its total."""
    _require_cash(amount)
    return event.fact(
        FactType.PAYMENT_AUTHORIZED,
        payment_id,
        payment_id,
        amount=amount,
        running_total=True,
        occurrence=str(amount.value),
        **details,
    )


def _checkout_paid(event: _Event) -> Iterator[Fact]:
    session = event.object
    if _text(session, "payment_status") != "paid":
        raise _Ignored("not_paid")
    amount = _money(session, "amount_total")
    _require_cash(amount)
    invoice_id = _id(session, "invoice")
    payment_id = _id(session, "payment_intent") or invoice_id
    if not payment_id:
        raise _Ignored("names_no_payment")
    yield event.fact(
        FactType.PAYMENT_SUCCEEDED,
        payment_id,
        payment_id,
        amount=amount,
        invoice_id=invoice_id,
        # Checkout starts subscriptions; it never renews one.
        awaits_renewal=False if invoice_id else None,
        method=_only_method(session),
        payer=_payer(_optional_object(session, "customer_details")),
    )


# --- billing invoices ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _PaidBy:
    """A payment that a billing invoice names, with what it contributed."""

    id: str
    charge_id: str | None
    amount: Money


def _invoice_paid(event: _Event) -> Iterator[Fact]:
    invoice = event.object
    invoice_id, amount = _key(invoice), _money(invoice, "amount_paid")
    _require_cash(amount)
    reason = _text(invoice, "billing_reason")
    is_renewal = reason == "subscription_cycle"
    named = _payments_of(invoice, amount)
    payer = _invoice_payer(invoice)
    subscription_id = _subscription_of(invoice)
    out_of_band = invoice.get("paid_out_of_band") is True and not named
    if out_of_band and not is_renewal:
        raise _Ignored("paid_out_of_band")
    for paid in () if out_of_band else named or [_PaidBy(invoice_id, None, amount)]:
        yield event.fact(
            FactType.PAYMENT_SUCCEEDED,
            paid.id,
            paid.id,
            amount=paid.amount,
            invoice_id=invoice_id,
            also_known_as=_names(paid.charge_id, but=paid.id),
            awaits_renewal=is_renewal if reason else None,
            subscription_id=subscription_id,
            description=_text(invoice, "description"),
            payer=payer,
        )
    if is_renewal:
        yield event.fact(
            FactType.SUBSCRIPTION_RENEWED,
            invoice_id,
            named[0].id if len(named) == 1 else None,
            amount=amount,
            invoice_id=invoice_id,
            also_known_as=tuple(paid.id for paid in named) if len(named) > 1 else (),
            # A payment that is not named here has an event of its own, which does not name this invoice either.
            is_paid=None if named or out_of_band else True,
            subscription_id=subscription_id,
            payer=payer,
            **_period_of(invoice),
        )


def _payments_of(invoice: dict[str, Any], amount: Money) -> list[_PaidBy]:
    """The payments the invoice names: one on its own until API version 2025-03-31, a list afterwards if it is expanded."""
    intent_id, charge_id = _id(invoice, "payment_intent"), _id(invoice, "charge")
    if name := intent_id or charge_id:
        return [_PaidBy(name, charge_id, amount)]
    paid = (entry for entry in _list(invoice, "payments") if _text(entry, "status") == "paid")
    return [by for entry in paid if (by := _paid_by(entry))]


def _paid_by(invoice_payment: dict[str, Any]) -> _PaidBy | None:
    """The payment that an `invoice_payment` object links to its invoice; None if no money moved through Stripe."""
    payment = _object(invoice_payment, "payment")
    charge_id = _id(payment, "charge")
    name = _id(payment, "payment_intent") or charge_id
    return _PaidBy(name, charge_id, _money(invoice_payment, "amount_paid")) if name else None


def _invoice_payment_paid(event: _Event) -> Iterator[Fact]:
    link = event.object
    if _text(link, "status") != "paid":
        raise _Ignored("not_paid")
    paid = _paid_by(link)
    if paid is None:
        raise _Ignored("paid_out_of_band")
    _require_cash(paid.amount)
    invoice_id = _id(link, "invoice")
    if not invoice_id:
        raise Reject(UNREADABLE_BODY, "an invoice payment without its invoice")
    yield event.fact(
        FactType.PAYMENT_SUCCEEDED,
        paid.id,
        paid.id,
        amount=paid.amount,
        invoice_id=invoice_id,
        also_known_as=_names(paid.charge_id, but=paid.id),
        # The invoice's own event says whether it is a renewal; until then this payment must not be invoiced as a plain sale.
        awaits_renewal=True,
    )


def _subscription_of(invoice: dict[str, Any]) -> str | None:
    """Moved into `parent` with API version 2025-03-31."""
    details = _optional_object(_optional_object(invoice, "parent"), "subscription_details")
    return _id(invoice, "subscription") or _id(details, "subscription")


def _period_of(invoice: dict[str, Any]) -> dict[str, str | None]:
    """Plan and period from the line of the subscription. The invoice's own period is the one before."""
    lines = _list(invoice, "lines")
    line = next((line for line in lines if _is_subscription_line(line)), lines[0] if lines else {})
    period, price, plan = _optional_object(line, "period"), _expanded(line, "price"), _expanded(line, "plan")
    name = _text(line, "description") or _text(price, "nickname") or _text(plan, "nickname") or _text(plan, "name")
    return {
        "subscription_plan": name,
        "period_start": utc_instant_from_epoch(period["start"]) if "start" in period else None,
        "period_end": _last_second(period),
    }


def _last_second(period: dict[str, Any]) -> str | None:
    """Stripe's period ends at the instant at which the next one starts; a document names the last day."""
    if "end" not in period:
        return None
    start, end = period.get("start"), period["end"]
    is_span = isinstance(start, int) and isinstance(end, int) and start < end
    return utc_instant_from_epoch(end - 1 if is_span else end)


def _is_subscription_line(line: dict[str, Any]) -> bool:
    parent = _optional_object(line, "parent")
    details = _optional_object(parent, "subscription_item_details")
    is_subscription = "subscription" in (_text(line, "type") or "") or bool(details)
    return is_subscription and not (line.get("proration") is True or details.get("proration") is True)


# --- failed payments -----------------------------------------------------------------------------------------------------


def _payment_intent_failed(event: _Event) -> Iterator[Fact]:
    intent = event.object
    intent_id = _key(intent)
    error = _optional_object(intent, "last_payment_error")
    charge = _id(error, "charge") or _id(_charge_of(intent), "id")
    yield _failure(event, intent_id, charge, _money(intent, "amount"), _code(error, "code"))


def _charge_failed(event: _Event) -> Iterator[Fact]:
    charge = event.object
    charge_id = _key(charge)
    payment_id = _id(charge, "payment_intent") or charge_id
    yield _failure(event, payment_id, charge_id, _money(charge, "amount"), _code(charge, "failure_code"))


def _invoice_failed(event: _Event) -> Iterator[Fact]:
    invoice = event.object
    invoice_id = _key(invoice)
    intent = _expanded(invoice, "payment_intent")
    error = _optional_object(intent, "last_payment_error")
    charge = _id(invoice, "charge") or _id(error, "charge") or _id(_charge_of(intent), "id")
    payment_id = _id(invoice, "payment_intent") or charge or invoice_id
    # An invoice that names no payment still counts its attempts.
    attempt = charge or (f"attempt:{_whole_number(invoice, 'attempt_count')}" if payment_id == invoice_id else None)
    amount = _money(invoice, "amount_remaining" if "amount_remaining" in invoice else "amount_due")
    yield _failure(event, payment_id, attempt, amount, _code(error, "code"), invoice_id=invoice_id)


def _checkout_failed(event: _Event) -> Iterator[Fact]:
    session = event.object
    invoice_id = _id(session, "invoice")
    payment_id = _id(session, "payment_intent") or invoice_id
    if not payment_id:
        raise _Ignored("names_no_payment")
    yield _failure(event, payment_id, None, _money(session, "amount_total"), None, invoice_id=invoice_id)


def _failure(  # noqa: PLR0913 - what the events have in common
    event: _Event, payment_id: str, attempt: str | None, amount: Money, reason: str | None, *, invoice_id: str | None = None
) -> Fact:
    """One failed attempt, told apart from the others by its charge, whichever event type reports it."""
    return event.fact(
        FactType.PAYMENT_FAILED,
        payment_id,
        payment_id,
        amount=amount,
        occurrence=attempt or "",
        also_known_as=_names(attempt if attempt and not attempt.startswith("attempt:") else None, but=payment_id),
        invoice_id=invoice_id,
        reason=reason,
    )


# --- refunds -------------------------------------------------------------------------------------------------------------


def _refund_changed(event: _Event) -> Iterator[Fact]:
    match _text(event.object, "status"):
        case "succeeded":
            yield _refund(event, FactType.REFUND_SUCCEEDED, event.object)
        case "failed" | "canceled":
            yield _refund(event, FactType.REFUND_FAILED, event.object)
        case "pending" | "requires_action":
            raise _Ignored("refund_pending")
        case _:
            raise _Ignored("unknown_status")


def _refund_failed(event: _Event) -> Iterator[Fact]:
    yield _refund(event, FactType.REFUND_FAILED, event.object)


def _refund(event: _Event, kind: FactType, refund: dict[str, Any], charge: dict[str, Any] | None = None) -> Fact:
    refund_id = _key(refund)
    charge = charge or {}
    charge_id = _id(refund, "charge") or _id(charge, "id")
    payment_id = _id(refund, "payment_intent") or _id(charge, "payment_intent") or charge_id
    if not payment_id:
        raise _Ignored("names_no_payment")
    # An event that lists the refunds of a charge also lists those of earlier events: each happened when it was made.
    made_at = utc_instant_from_epoch(refund["created"]) if charge and "created" in refund else event.occurred_at
    return event.fact(
        kind,
        refund_id,
        payment_id,
        occurred_at=min(made_at, event.occurred_at),
        amount=_money(refund, "amount"),
        also_known_as=_names(charge_id, but=payment_id),
        reason=_code(refund, "failure_reason") or _code(refund, "reason"),
    )


def _charge_refunded(event: _Event) -> Iterator[Fact]:
    """Only older API versions need this event: it lists the refunds, or else carries their running total."""
    charge = event.object
    charge_id = _key(charge)
    if event.api_version >= REFUND_EVENTS_FOR_ALL_REFUNDS:
        raise _Ignored("refund_events_report_it")
    if charge.get("captured") is False:
        raise _Ignored("authorization_released")
    released = _released(charge)
    listed = _without_release(_list(charge, "refunds"), released)
    if listed and all(_text(refund, "status") for refund in listed):
        succeeded = [refund for refund in listed if refund["status"] == "succeeded"]
        if not succeeded:
            raise _Ignored("refund_pending")
        yield from (_refund(event, FactType.REFUND_SUCCEEDED, refund, charge) for refund in succeeded)
        return
    total = _difference(_money(charge, "amount_refunded"), released)
    if not total:
        raise _Ignored("authorization_released" if released else "zero_amount")
    payment_id = _id(charge, "payment_intent") or charge_id
    yield event.fact(
        FactType.REFUND_SUCCEEDED,
        charge_id,
        payment_id,
        amount=total,
        running_total=True,
        occurrence=str(total.value),
        also_known_as=_names(charge_id, but=payment_id),
    )


def _released(charge: dict[str, Any]) -> Money:
    """What a partial capture left uncaptured. Stripe counts it into `amount_refunded`, but nobody ever paid it."""
    amount = _money(charge, "amount")
    captured = _money(charge, "amount_captured") if "amount_captured" in charge else amount
    released = _difference(amount, captured)
    return released if released.value <= _money(charge, "amount_refunded").value else Money(0, amount.currency)


def _without_release(refunds: list[dict[str, Any]], released: Money) -> list[dict[str, Any]]:
    """Without the entry that a partial capture left in the list of refunds: the oldest of exactly that amount."""
    if not released:
        return refunds
    oldest_first = sorted(refunds, key=lambda refund: utc_instant_from_epoch(refund.get("created", 0)))
    release = next((refund for refund in oldest_first if _money(refund, "amount") == released), None)
    return [refund for refund in refunds if refund is not release]


# --- disputes ------------------------------------------------------------------------------------------------------------

_OPEN_DISPUTE = frozenset({"needs_response", "under_review", "appeal_needs_response", "appeal_under_review"})


def _dispute_created(event: _Event) -> Iterator[Fact]:
    status = _dispute_status(event)
    if status not in _OPEN_DISPUTE | {"won", "lost"}:
        raise _Ignored("dispute_prevented" if status == "prevented" else "unknown_status")
    yield _dispute(event, FactType.DISPUTE_OPENED)


def _dispute_funds_withdrawn(event: _Event) -> Iterator[Fact]:
    """The money is gone, be it by a new dispute or by an inquiry that escalated."""
    yield _dispute(event, FactType.DISPUTE_OPENED)


def _dispute_funds_reinstated(event: _Event) -> Iterator[Fact]:
    if _dispute_status(event) != "won":
        raise _Ignored("dispute_open")
    yield _dispute_outcome(event)


def _dispute_by_status(event: _Event) -> Iterator[Fact]:
    match _dispute_status(event):
        case "won" | "lost":
            yield _dispute_outcome(event)
        case "prevented":
            raise _Ignored("dispute_prevented")
        case status if status in _OPEN_DISPUTE:
            raise _Ignored("dispute_open")
        case _:
            raise _Ignored("unknown_status")


def _dispute_status(event: _Event) -> str:
    """The dispute's status; an inquiry, which moves no money, is ignored here."""
    status = _text(event.object, "status") or ""
    if status.startswith("warning_"):
        raise _Ignored("inquiry")
    return status


def _dispute_outcome(event: _Event) -> Fact:
    """A dispute is won or lost as a whole by its status, in part by its balance transactions: there is no status for that."""
    withheld, reinstated = _balance(event.object)
    if _text(event.object, "status") == "lost" or (withheld and reinstated):
        return _dispute(event, FactType.DISPUTE_LOST, withheld)
    return _dispute(event, FactType.DISPUTE_WON)


def _balance(dispute: dict[str, Any]) -> tuple[Money | None, bool]:
    """What the dispute has cost so far, and whether anything was given back.

    The cost is None when the balance transactions cannot tell: they are in another currency, or do not add up to a part of
    the disputed amount. Fees are kept apart from the amounts and are not part of it.
    """
    transactions = _list(dispute, "balance_transactions")
    currency = (_text(dispute, "currency") or "").lower()
    if any((_text(transaction, "currency") or "").lower() != currency for transaction in transactions):
        return None, False
    amounts = [_whole_number(transaction, "amount") for transaction in transactions]
    cost = -sum(amounts)
    plausible = 0 < cost <= _whole_number(dispute, "amount")
    return _stripe_money(cost, dispute.get("currency")) if plausible else None, any(amount > 0 for amount in amounts)


def _dispute(event: _Event, kind: FactType, amount: Money | None = None) -> Fact:
    dispute = event.object
    charge_id = _id(dispute, "charge")
    payment_id = _id(dispute, "payment_intent") or charge_id
    if not payment_id:
        raise Reject(UNREADABLE_BODY, "a dispute of nothing")
    return event.fact(
        kind,
        _key(dispute),
        payment_id,
        amount=amount or _money(dispute, "amount"),
        also_known_as=_names(charge_id, but=payment_id),
        reason=_code(dispute, "reason"),
    )


# --- payouts -------------------------------------------------------------------------------------------------------------


def _payout_paid(event: _Event) -> Iterator[Fact]:
    yield _payout(event, FactType.PAYOUT_PAID)


def _payout_failed(event: _Event) -> Iterator[Fact]:
    yield _payout(event, FactType.PAYOUT_FAILED)


def _payout_by_status(event: _Event) -> Iterator[Fact]:
    match _text(event.object, "status"):
        case "paid":
            yield _payout(event, FactType.PAYOUT_PAID)
        case "failed" | "canceled":
            yield _payout(event, FactType.PAYOUT_FAILED)
        case _:
            raise _Ignored("payout_pending")


def _payout(event: _Event, kind: FactType) -> Fact:
    payout = event.object
    if _whole_number(payout, "amount") < 0:
        raise _Ignored("payout_collects_money")  # Stripe covers a negative balance from the bank account
    return event.fact(kind, _key(payout), None, amount=_money(payout, "amount"), reason=_code(payout, "failure_code"))


# --- the table -----------------------------------------------------------------------------------------------------------

_ROWS: dict[str, tuple[str, Callable[[_Event], Iterable[Fact]]]] = {
    "payment_intent.succeeded": ("payment_intent", _payment_intent_succeeded),
    "payment_intent.amount_capturable_updated": ("payment_intent", _amount_capturable_updated),
    "payment_intent.payment_failed": ("payment_intent", _payment_intent_failed),
    "charge.succeeded": ("charge", _charge_succeeded),
    "charge.captured": ("charge", _charge_captured),
    "charge.failed": ("charge", _charge_failed),
    "charge.refunded": ("charge", _charge_refunded),
    "checkout.session.completed": ("checkout.session", _checkout_paid),
    "checkout.session.async_payment_succeeded": ("checkout.session", _checkout_paid),
    "checkout.session.async_payment_failed": ("checkout.session", _checkout_failed),
    "invoice.paid": ("invoice", _invoice_paid),
    "invoice.payment_succeeded": ("invoice", _invoice_paid),
    "invoice.payment_failed": ("invoice", _invoice_failed),
    "invoice_payment.paid": ("invoice_payment", _invoice_payment_paid),
    "refund.created": ("refund", _refund_changed),
    "refund.updated": ("refund", _refund_changed),
    "refund.failed": ("refund", _refund_failed),
    "charge.refund.updated": ("refund", _refund_changed),
    "charge.dispute.created": ("dispute", _dispute_created),
    "charge.dispute.funds_withdrawn": ("dispute", _dispute_funds_withdrawn),
    "charge.dispute.funds_reinstated": ("dispute", _dispute_funds_reinstated),
    "charge.dispute.updated": ("dispute", _dispute_by_status),
    "charge.dispute.closed": ("dispute", _dispute_by_status),
    "payout.paid": ("payout", _payout_paid),
    "payout.failed": ("payout", _payout_failed),
    "payout.canceled": ("payout", _payout_failed),
    "payout.created": ("payout", _payout_by_status),
    "payout.updated": ("payout", _payout_by_status),
}
"""Event type -> the kind of object it is about, and the facts it states."""

_REASONS = {
    "charge.expired": "authorization_released",
    "charge.pending": "not_paid",
    "charge.updated": "no_new_fact",
    "checkout.session.expired": "not_paid",
    "payment_intent.canceled": "not_paid",
    "payment_intent.created": "not_paid",
    "payment_intent.partially_funded": "not_paid",
    "payment_intent.processing": "not_paid",
    "payment_intent.requires_action": "not_paid",
    "payout.reconciliation_completed": "no_new_fact",
    "transfer.canceled": "not_a_sale",
    "transfer.created": "not_a_sale",
    "transfer.failed": "not_a_sale",
    "transfer.paid": "unknown_version",  # a bank payout before 2017, with another meaning since
    "transfer.reversed": "not_a_sale",
    "transfer.updated": "not_a_sale",
}
_REASONS_BY_FAMILY = {
    "application_fee": "not_a_sale",
    "balance": "no_new_fact",
    "credit_note": "refund_events_report_it",
    "customer": "no_new_fact",
    "invoice": "not_paid",
    "invoiceitem": "not_paid",
    "mandate": "no_new_fact",
    "payment_method": "no_new_fact",
    "setup_intent": "not_paid",
    "subscription_schedule": "not_paid",
    "topup": "not_a_sale",
}
"""Why what makes no fact makes none: by event type, else by what comes before its first dot."""

EVENT_TYPES = frozenset(_ROWS) | frozenset(_REASONS)


# --- money ---------------------------------------------------------------------------------------------------------------

_ZERO_DECIMALS = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
_TWO_DECIMALS = "ISK UGX"  # whole units only, but still sent as hundredths
_THREE_DECIMALS = "BHD JOD KWD OMR TND"
_EXPONENTS = (
    {code: exponent for code, exponent in EXPONENTS.items() if exponent == 2}  # noqa: PLR2004 - as ISO 4217 has it
    | dict.fromkeys(_ZERO_DECIMALS.split(), 0)
    | dict.fromkeys(_TWO_DECIMALS.split(), 2)
    | dict.fromkeys(_THREE_DECIMALS.split(), 3)
)
"""Stripe's number of decimals. Currencies whose number at Stripe is not known are left out, and so refused."""


def _stripe_money(value: object, currency: object) -> Money:
    if not isinstance(currency, str) or currency.upper() not in _EXPONENTS:
        raise Reject("currency_unknown")
    return money_from_minor_units(value, currency, exponent=_EXPONENTS[currency.upper()])


def _money(source: dict[str, Any], field: str) -> Money:
    return _stripe_money(source.get(field), source.get("currency"))


def _money_or_zero(source: dict[str, Any], field: str) -> Money:
    return _stripe_money(source.get(field, 0), source.get("currency"))


def _difference(whole: Money, part: Money) -> Money:
    if part.value > whole.value:
        raise Reject(UNREADABLE_BODY, "a part is more than the whole")
    return whole - part


def _require_cash(amount: Money) -> None:
    if not amount:
        raise _Ignored("zero_amount")


# --- people and methods --------------------------------------------------------------------------------------------------

_DIRECT_DEBIT = "sepa_debit bacs_debit ach_debit us_bank_account acss_debit au_becs_debit nz_bank_account"
_BANK_TRANSFER = "customer_balance ideal bancontact sofort giropay eps p24 fpx multibanco pay_by_bank"
_METHOD_OF = (
    {"card": "card", "card_present": "card", "interac_present": "card", "paypal": "paypal"}
    | dict.fromkeys(_DIRECT_DEBIT.split(), "direct_debit")
    | dict.fromkeys(_BANK_TRANSFER.split(), "bank_transfer")
)


def _payment_details(source: dict[str, Any]) -> dict[str, Any]:
    """What a PaymentIntent or a charge says about a payment beside its amount, without what it leaves open."""
    reason = _text(_expanded(source, "invoice"), "billing_reason")
    invoice_id = _id(source, "invoice")
    used = _text(_optional_object(source, "payment_method_details"), "type")
    details = {
        "invoice_id": invoice_id,
        "awaits_renewal": (reason in {None, "subscription_cycle"}) if invoice_id else None,
        "method": _METHOD_OF.get(used, "other") if used else _only_method(source),
        "payer": _payer(_optional_object(source, "billing_details")),
        "description": _text(source, "description"),
    }
    return {name: value for name, value in details.items() if value is not None}


def _only_method(source: dict[str, Any]) -> str | None:
    """The method, where only one was on offer."""
    offered = source.get("payment_method_types")
    if not isinstance(offered, list) or len(offered) != 1 or not isinstance(offered[0], str):
        return None
    return _METHOD_OF.get(offered[0], "other")


def _payer(person: dict[str, Any]) -> Payer | None:
    """Out of `billing_details` or `customer_details`; None if nobody is named."""
    address = _optional_object(person, "address")
    tax_ids = _list(person, "tax_ids")
    country = (_text(address, "country") or "").upper()
    payer = Payer(
        name=_text(person, "name"),
        email=_text(person, "email"),
        country=country if _COUNTRY.fullmatch(country) else None,
        tax_number=_text(person, "tax_id") or (_text(tax_ids[0], "value") if tax_ids else None),
        **{part: _text(address, part) for part in ("line1", "line2", "city", "postal_code", "state")},
    )
    return payer if payer.name or payer.email else None


_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)


def _invoice_payer(invoice: dict[str, Any]) -> Payer | None:
    prefix = "customer_"
    return _payer({name.removeprefix(prefix): value for name, value in invoice.items() if name.startswith(prefix)})


# --- reading objects -----------------------------------------------------------------------------------------------------

_CODE = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)


def _text(source: dict[str, Any], field: str) -> str | None:
    """A text, None if it is absent or empty. Raises `Reject` if it is anything else."""
    value = source.get(field)
    if value is not None and not isinstance(value, str):
        raise Reject(UNREADABLE_BODY, f"{field} is no text")
    return value or None


def _code(source: dict[str, Any], field: str) -> str | None:
    """A machine-readable code; free text, which may name people, is left out."""
    value = _text(source, field) or ""
    return value if _CODE.fullmatch(value) else None


def _id(source: dict[str, Any], field: str) -> str | None:
    """An id, also out of an object that was expanded in its place."""
    value = source.get(field)
    name = _text(value, "id") if isinstance(value, dict) else _text(source, field)
    if name and len(name) > ID_LENGTH_MAX:
        raise Reject(UNREADABLE_BODY, f"{field} is too long")
    return name


def _key(source: dict[str, Any]) -> str:
    """The object's own id."""
    if not (name := _id(source, "id")):
        raise Reject(UNREADABLE_BODY, "an object without its id")
    return name


def _names(name: str | None, *, but: str | None = None) -> tuple[str, ...]:
    return (name,) if name and name != but else ()


def _object(source: dict[str, Any], field: str) -> dict[str, Any]:
    value = source.get(field)
    if not isinstance(value, dict):
        raise Reject(UNREADABLE_BODY, f"{field} is no object")
    return value


def _optional_object(source: dict[str, Any], field: str) -> dict[str, Any]:
    return _object(source, field) if source.get(field) is not None else {}


def _expanded(source: dict[str, Any], field: str) -> dict[str, Any]:
    """An object where Stripe may have sent its id instead; empty if so."""
    value = source.get(field)
    return value if isinstance(value, dict) else {}


def _list(source: dict[str, Any], field: str) -> list[dict[str, Any]]:
    """The objects of a list, plain or in Stripe's paging envelope; empty if it is absent."""
    value = source.get(field)
    if isinstance(value, dict):
        value = value.get("data")
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise Reject(UNREADABLE_BODY, f"{field} is no list of objects")
    return value


def _whole_number(source: dict[str, Any], field: str) -> int:
    value = source.get(field)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Reject("amount_not_integer")
    return value


def _charge_of(intent: dict[str, Any]) -> dict[str, Any]:
    """The charge of a PaymentIntent as far as the event shows it: expanded, listed, or only its id; empty if there is none."""
    if name := _id(intent, "latest_charge"):
        return _expanded(intent, "latest_charge") or {"id": name}
    charges = _list(intent, "charges")
    return next((charge for charge in charges if charge.get("status") == "succeeded"), charges[0] if charges else {})
