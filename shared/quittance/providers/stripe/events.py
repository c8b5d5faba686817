"""What Stripe's events state: snapshots of every API version, Connect accounts, and thin events, which only name an object.

Stripe reports one fact in up to six event types. Everything is therefore keyed by the object the money moved under: the
PaymentIntent (else the charge, else the billing invoice until it names its payment), the refund, the dispute, the payout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from quittance.errors import Reject
from quittance.facts import Fact, FactType, Payer
from quittance.money import Money
from quittance.providers import (
    SIGNATURE_MALFORMED,
    SIGNATURE_MISMATCH,
    SIGNATURE_MISSING,
    Acknowledgement,
    Reference,
    Translation,
)
from quittance.providers.fields import (
    Ignored,
    code,
    country,
    facts_or_reason,
    identifier,
    instant,
    member,
    names,
    payer_of,
    reason_for,
    required,
    text,
)
from quittance.providers.payload import (
    UNREADABLE_BODY,
    any_equal,
    hex_digests,
    json_object,
    signed_at,
    utc_instant_from_epoch,
)
from quittance.providers.stripe.reading import (
    difference,
    expanded,
    id_in,
    list_in,
    money_in,
    money_or_zero,
    stripe_money,
    whole_number,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

PROVIDER = "stripe"
TOLERANCE_S = 300
"""How far Stripe's clock may be from ours. Stripe's libraries check only for the past; a future timestamp is no better."""

REFUND_EVENTS_FOR_ALL_REFUNDS = "2024-10-28"
"""From this API version on `refund.*` events report every refund, so that `charge.refunded` adds nothing."""


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
    if not any_equal(hex_digests(signed, secrets), signatures):
        raise Reject(SIGNATURE_MISMATCH)


def acknowledge() -> Acknowledgement:
    return Acknowledgement()


# --- translate -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """What every row of the table below starts from."""

    type: str
    object: dict[str, Any]
    account: str
    occurred_at: str
    api_version: str
    """The API version that rendered `object`, which begins with its day; empty when the event does not say."""

    def fact(self, kind: FactType, key: str, payment_id: str | None, **more: Any) -> Fact:  # noqa: ANN401 - the fields of `Fact`
        """A fact of this event, with what `more` adds to it."""
        values = {"provider": PROVIDER, "account": self.account, "occurred_at": self.occurred_at} | more
        return Fact(type=kind, key=key, payment_id=payment_id, **values)


THIN = "v1."
"""What the type of a thin event about one of the objects below begins with."""
OBJECT_ID = re.compile(r"\w+", re.ASCII)
"""An id that an object can be asked for by."""


def translate(raw: bytes, connection: str, settings: Mapping[str, Any]) -> Translation:  # noqa: ARG001
    """The facts a Stripe event states.

    Money belongs to the Connect account the event names, else to the connection. Unknown types and statuses are ignored, never
    guessed.

    Raises `Reject` for a body that is no Stripe event, or whose object misses or contradicts what its type needs.
    """
    body = json_object(raw)
    style = body.get("object")
    if style not in ["event", "v2.core.event"]:  # a list: whatever JSON holds can be looked for in it
        raise Reject(UNREADABLE_BODY, "not a Stripe event")
    event_id, event_type = required(body, "id"), required(body, "type")
    if style == "v2.core.event":
        return _thin(body, event_id, event_type, connection)
    event = Event(
        type=event_type,
        object=member(member(body, "data"), "object"),
        account=identifier(body, "account") or f"connection:{connection}",
        occurred_at=utc_instant_from_epoch(body.get("created")),
        api_version=text(body, "api_version") or "",
    )
    facts, ignored = facts_or_reason(lambda: facts_of(event))
    return Translation(
        event_id=event_id,
        event_type=event_type,
        account=event.account,
        facts=facts,
        fetch=() if ignored else tuple(_left_out(event)),
        ignored=ignored,
        is_test=is_test(body, event.object),
        occurred_at=event.occurred_at,
    )


def is_test(*sources: dict[str, Any]) -> bool | None:
    """Whether the event, or the object it is about, belongs to Stripe's test mode."""
    modes = [source["livemode"] for source in sources if isinstance(source.get("livemode"), bool)]
    return not all(modes) if modes else None


def _thin(body: dict[str, Any], event_id: str, event_type: str, connection: str) -> Translation:
    """A thin event carries no snapshot: it names the object, and in `context` the connected account."""
    context = (identifier(body, "context") or "").rpartition("/")[2]
    named, ignored = _named(member(body, "related_object"), event_type.removeprefix(THIN))
    return Translation(
        event_id=event_id,
        event_type=event_type,
        account=context if context.startswith("acct_") else f"connection:{connection}",
        fetch=(named,) if named else (),
        ignored=ignored,
        is_test=is_test(body),
        occurred_at=instant(body, "created") if "created" in body else "",
    )


def _named(related: dict[str, Any], event_type: str) -> tuple[Reference | None, str | None]:
    """The object to fetch for an event of a type that says something about money, or why nothing is fetched."""
    if event_type not in ROWS:
        return None, reason_for(event_type, _REASONS, _FAMILIES)
    kind, object_id = id_in(related, "type"), id_in(related, "id") or ""
    if kind != ROWS[event_type][0] or not OBJECT_ID.fullmatch(object_id):
        return None, "names_no_object"
    return Reference(kind, object_id), None


def _left_out(event: Event) -> Iterator[Reference]:
    """What a snapshot does not say, and an object does: what a charge cost, the payments of an invoice, what a payout holds."""
    object_id = id_in(event.object, "id") or ""
    if not OBJECT_ID.fullmatch(object_id):
        return
    if event.type == "charge.updated" and not expanded(event.object, "balance_transaction"):
        yield Reference("charge", object_id, optional=True)
    elif event.type in _INVOICE_PAID and _names_no_payment(event.object):
        yield Reference("invoice", object_id, optional=True)
    elif event.type == "payout.paid" and event.object.get("automatic") is not False:
        yield Reference("payout", object_id, optional=True)
    elif event.type == "payout.reconciliation_completed":
        yield Reference("payout", object_id)


def facts_of(event: Event) -> Iterable[Fact]:
    """The facts that an event states, or that a fetched object does.

    Raises `Ignored` if there are none, also for a version or a status of its object that is not known.
    """
    if event.type not in ROWS:
        raise Ignored(reason_for(event.type, _REASONS, _FAMILIES))
    kind, row = ROWS[event.type]
    if text(event.object, "object") not in {kind, None}:
        raise Reject(UNREADABLE_BODY, "the object is not what the event's type is about")
    if event.api_version and not _is_known(event.api_version):
        raise Ignored("unknown_version")
    status = text(event.object, "payment_status" if kind == "checkout.session" else "status")
    if status and status not in _STATUSES[kind].split():
        raise Ignored("unknown_status")
    return row(event)


def _is_known(version: str) -> bool:
    """A day, since the end of 2024 with the name of the last release that broke something, and whatever is on trial.

    What a release of another name broke is not known.
    """
    found = _VERSION.fullmatch(version)
    return found is not None and (found["name"] in _RELEASES if found["name"] else found["day"] <= _LAST_VERSION)


_VERSION = re.compile(r"(?P<day>20\d\d-\d\d-\d\d)(?:\.(?P<name>[a-z]+))?(?:;.*)?", re.ASCII)
_RELEASES = frozenset({"acacia", "basil", "clover", "dahlia", "endive", "preview"})
_LAST_VERSION = "2026-10-28"

_STATUSES = {
    "charge": "succeeded paid pending failed",  # "paid" until API version 2015-02-18
    "checkout.session": "paid unpaid no_payment_required",
    "dispute": "warning_needs_response warning_under_review warning_closed needs_response under_review charge_refunded won lost"
    " prevented appeal_needs_response appeal_under_review",
    "invoice": "draft open paid uncollectible void",
    "invoice_payment": "open paid canceled",
    "payment_intent": "requires_payment_method requires_confirmation requires_action requires_source requires_source_action"
    " requires_capture processing canceled succeeded",
    "payout": "pending in_transit paid failed canceled",
    "refund": "pending requires_action succeeded failed canceled",
}
"""Every status that an object of each kind may have; a Checkout session's is that of its payment. Any other is not guessed."""


# --- payments ------------------------------------------------------------------------------------------------------------


def _payment_intent_succeeded(event: Event) -> Iterator[Fact]:
    intent = event.object
    intent_id, amount = required(intent, "id"), money_in(intent, "amount_received")
    _require_cash(amount)
    charge = _charge_of(intent)
    charge_id = id_in(charge, "id")
    details = _payment_details(intent) | _payment_details(charge) | _fee_of(intent, charge) | {"also_known_as": names(charge_id)}
    if text(intent, "capture_method") == "manual" and charge_id:
        yield _capture(event, charge_id, intent_id, amount, details)
    else:
        yield event.fact(FactType.PAYMENT_SUCCEEDED, intent_id, intent_id, amount=amount, **details)


def _charge_captured(event: Event) -> Iterator[Fact]:
    charge = event.object
    charge_id = required(charge, "id")
    if "amount_captured" in charge:
        amount = money_in(charge, "amount_captured")
    else:
        amount = difference(money_in(charge, "amount"), money_or_zero(charge, "amount_refunded"))
    _require_cash(amount)
    details = _payment_details(charge) | _fee_of(charge) | {"also_known_as": names(charge_id)}
    yield _capture(event, charge_id, id_in(charge, "payment_intent") or charge_id, amount, details)


def _capture(event: Event, charge_id: str, payment_id: str, amount: Money, details: dict[str, Any]) -> Fact:
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


def _charge_succeeded(event: Event) -> Iterator[Fact]:
    charge = event.object
    charge_id = required(charge, "id")
    payment_id = id_in(charge, "payment_intent") or charge_id
    if text(charge, "status") in {"pending", "failed"}:
        raise Ignored("not_paid")
    details = _payment_details(charge) | {"also_known_as": names(charge_id, but=payment_id)}
    if charge.get("captured") is False:
        yield _authorization(event, payment_id, money_in(charge, "amount"), details)
        return
    amount = money_in(charge, "amount_captured" if charge.get("amount_captured") else "amount")
    _require_cash(amount)
    yield event.fact(FactType.PAYMENT_SUCCEEDED, payment_id, payment_id, amount=amount, **details, **_fee_of(charge))


def _charge_updated(event: Event) -> Iterable[Fact]:
    """The payment once more, now that a fee of it is known: what a charge cost is booked with its money, which may be later.

    Only the platform's own fee is told; what Stripe keeps for itself is on Stripe's own invoice.
    """
    if not _may_tell_fee(event.object):
        raise Ignored("no_new_fact")
    if not (booked := expanded(event.object, "balance_transaction")):
        return ()  # what it names is fetched
    # The update may be late. The money was booked when the payment succeeded, and that is all that is told again.
    at_booking = replace(event, occurred_at=min(event.occurred_at, utc_instant_from_epoch(booked.get("created"))))
    is_by_hand = text(expanded(event.object, "payment_intent"), "capture_method") == "manual"
    return (_charge_captured if is_by_hand else _charge_succeeded)(at_booking)


def _may_tell_fee(charge: dict[str, Any]) -> bool:
    """Whether a paid charge names what it cost, and the platform kept some of it."""
    is_paid = charge.get("captured") is not False and text(charge, "status") in {"succeeded", "paid"}
    is_booked = bool(id_in(charge, "balance_transaction"))
    return is_paid and is_booked and ("application_fee" in charge or "application_fee_amount" in charge)


def _fee_of(*sources: dict[str, Any]) -> dict[str, Money]:
    """What the platform keeps: as it was booked, in the currency of the account, else as it was asked for; empty if nothing."""
    booked = (expanded(source, "balance_transaction") for source in sources)
    kept = (detail for entry in booked for detail in list_in(entry, "fee_details"))
    asked = (source for source in sources if "application_fee_amount" in source)
    fees = [money_in(detail, "amount") for detail in kept if text(detail, "type") == "application_fee"]
    fees += [money_in(source, "application_fee_amount") for source in asked]
    return {"fee": fees[0]} if fees and fees[0] else {}


def _amount_capturable_updated(event: Event) -> Iterator[Fact]:
    intent = event.object
    intent_id = required(intent, "id")
    if not money_in(intent, "amount_capturable"):
        raise Ignored("nothing_capturable")
    charge = _charge_of(intent)
    details = _payment_details(intent) | _payment_details(charge) | {"also_known_as": names(id_in(charge, "id"))}
    yield _authorization(event, intent_id, money_in(intent, "amount"), details)


def _authorization(event: Event, payment_id: str, amount: Money, details: dict[str, Any]) -> Fact:
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


def _checkout_paid(event: Event) -> Iterator[Fact]:
    session = event.object
    if text(session, "payment_status") != "paid":
        raise Ignored("not_paid")
    amount = money_in(session, "amount_total")
    _require_cash(amount)
    invoice_id = id_in(session, "invoice")
    payment_id = id_in(session, "payment_intent") or invoice_id
    if not payment_id:
        raise Ignored("names_no_payment")
    yield event.fact(
        FactType.PAYMENT_SUCCEEDED,
        payment_id,
        payment_id,
        amount=amount,
        invoice_id=invoice_id,
        # Checkout starts subscriptions; it never renews one.
        awaits_renewal=False if invoice_id else None,
        method=_only_method(session),
        payer=_payer(member(session, "customer_details")),
    )


# --- billing invoices ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _PaidBy:
    """A payment that a billing invoice names, with what it contributed."""

    id: str
    charge_id: str | None
    amount: Money


_INVOICE_PAID = frozenset({"invoice.paid", "invoice.payment_succeeded"})


def _invoice_paid(event: Event) -> Iterator[Fact]:
    invoice = event.object
    invoice_id, amount = required(invoice, "id"), _amount_paid(invoice)
    _require_cash(amount)
    reason = text(invoice, "billing_reason")
    is_renewal = reason == "subscription_cycle"
    named = _payments_of(invoice, amount)
    payer = _invoice_payer(invoice)
    subscription_id = _subscription_of(invoice)
    out_of_band = _is_paid_out_of_band(invoice, named)
    if out_of_band and not is_renewal:
        raise Ignored("paid_out_of_band")
    for paid in () if out_of_band else named or [_PaidBy(invoice_id, None, amount)]:
        yield event.fact(
            FactType.PAYMENT_SUCCEEDED,
            paid.id,
            paid.id,
            amount=paid.amount,
            invoice_id=invoice_id,
            also_known_as=names(paid.charge_id, but=paid.id),
            awaits_renewal=is_renewal if reason else None,
            subscription_id=subscription_id,
            description=text(invoice, "description"),
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
    intent_id, charge_id = id_in(invoice, "payment_intent"), id_in(invoice, "charge")
    if name := intent_id or charge_id:
        return [_PaidBy(name, charge_id, amount)]
    paid = (entry for entry in list_in(invoice, "payments") if text(entry, "status") == "paid")
    return [by for entry in paid if (by := _paid_by(entry))]


def _names_no_payment(invoice: dict[str, Any]) -> bool:
    """Whether money was paid on an invoice that names none of its payments."""
    amount = _amount_paid(invoice)
    named = _payments_of(invoice, amount)
    return bool(amount) and not named and not _is_paid_out_of_band(invoice, named)


def _is_paid_out_of_band(invoice: dict[str, Any], named: list[_PaidBy]) -> bool:
    """Whether no money moved through Stripe. Since API version 2025-03-31 only what paid the invoice says so."""
    is_listed = any(text(entry, "status") == "paid" for entry in list_in(invoice, "payments"))
    return not named and (invoice.get("paid_out_of_band") is True or is_listed)


def _amount_paid(invoice: dict[str, Any]) -> Money:
    """Until 2018 an invoice told only what was due, and whether that was paid."""
    is_old = "amount_paid" not in invoice and invoice.get("paid") is True
    return money_in(invoice, "amount_due" if is_old else "amount_paid")


def _paid_by(invoice_payment: dict[str, Any]) -> _PaidBy | None:
    """The payment that an `invoice_payment` object links to its invoice; None if no money moved through Stripe."""
    payment = member(invoice_payment, "payment")
    if not payment:
        raise Reject(UNREADABLE_BODY, "an invoice payment without its payment")
    charge_id = id_in(payment, "charge")
    name = id_in(payment, "payment_intent") or charge_id
    return _PaidBy(name, charge_id, money_in(invoice_payment, "amount_paid")) if name else None


def _invoice_payment_paid(event: Event) -> Iterator[Fact]:
    link = event.object
    if text(link, "status") != "paid":
        raise Ignored("not_paid")
    paid = _paid_by(link)
    if paid is None:
        raise Ignored("paid_out_of_band")
    _require_cash(paid.amount)
    invoice_id = id_in(link, "invoice")
    if not invoice_id:
        raise Reject(UNREADABLE_BODY, "an invoice payment without its invoice")
    yield event.fact(
        FactType.PAYMENT_SUCCEEDED,
        paid.id,
        paid.id,
        amount=paid.amount,
        invoice_id=invoice_id,
        also_known_as=names(paid.charge_id, but=paid.id),
        # The invoice's own event says whether it is a renewal; until then this payment must not be invoiced as a plain sale.
        awaits_renewal=True,
    )


def _subscription_of(invoice: dict[str, Any]) -> str | None:
    """Moved into `parent` with API version 2025-03-31."""
    details = member(member(invoice, "parent"), "subscription_details")
    return id_in(invoice, "subscription") or id_in(details, "subscription")


def _period_of(invoice: dict[str, Any]) -> dict[str, str | None]:
    """Plan and period from the line of the subscription. The invoice's own period is the one before."""
    lines = list_in(invoice, "lines")
    line = next((line for line in lines if _is_subscription_line(line)), lines[0] if lines else {})
    period, price, plan = member(line, "period"), expanded(line, "price"), expanded(line, "plan")
    name = text(line, "description") or text(price, "nickname") or text(plan, "nickname") or text(plan, "name")
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
    parent = member(line, "parent")
    details = member(parent, "subscription_item_details")
    is_subscription = "subscription" in (text(line, "type") or "") or bool(details)
    return is_subscription and not (line.get("proration") is True or details.get("proration") is True)


# --- failed payments -----------------------------------------------------------------------------------------------------


def _payment_intent_failed(event: Event) -> Iterator[Fact]:
    intent = event.object
    intent_id = required(intent, "id")
    error = member(intent, "last_payment_error")
    charge = id_in(error, "charge") or id_in(_charge_of(intent), "id")
    yield _failure(event, intent_id, charge, money_in(intent, "amount"), code(error, "code"))


def _charge_failed(event: Event) -> Iterator[Fact]:
    charge = event.object
    charge_id = required(charge, "id")
    payment_id = id_in(charge, "payment_intent") or charge_id
    yield _failure(event, payment_id, charge_id, money_in(charge, "amount"), code(charge, "failure_code"))


def _invoice_failed(event: Event) -> Iterator[Fact]:
    invoice = event.object
    invoice_id = required(invoice, "id")
    intent = expanded(invoice, "payment_intent")
    error = member(intent, "last_payment_error")
    charge = id_in(invoice, "charge") or id_in(error, "charge") or id_in(_charge_of(intent), "id")
    payment_id = id_in(invoice, "payment_intent") or charge or invoice_id
    # An invoice that names no payment still counts its attempts.
    attempt = charge or (f"attempt:{whole_number(invoice, 'attempt_count')}" if payment_id == invoice_id else None)
    amount = money_in(invoice, "amount_remaining" if "amount_remaining" in invoice else "amount_due")
    yield _failure(event, payment_id, attempt, amount, code(error, "code"), invoice_id=invoice_id)


def _checkout_failed(event: Event) -> Iterator[Fact]:
    session = event.object
    invoice_id = id_in(session, "invoice")
    payment_id = id_in(session, "payment_intent") or invoice_id
    if not payment_id:
        raise Ignored("names_no_payment")
    yield _failure(event, payment_id, None, money_in(session, "amount_total"), None, invoice_id=invoice_id)


def _failure(  # noqa: PLR0913 - what the events have in common
    event: Event, payment_id: str, attempt: str | None, amount: Money, reason: str | None, *, invoice_id: str | None = None
) -> Fact:
    """One failed attempt, told apart from the others by its charge, whichever event type reports it."""
    return event.fact(
        FactType.PAYMENT_FAILED,
        payment_id,
        payment_id,
        amount=amount,
        occurrence=attempt or "",
        also_known_as=names(attempt if attempt and not attempt.startswith("attempt:") else None, but=payment_id),
        invoice_id=invoice_id,
        reason=reason,
    )


# --- refunds -------------------------------------------------------------------------------------------------------------


def _refund_changed(event: Event) -> Iterator[Fact]:
    match text(event.object, "status"):
        case "succeeded":
            yield _refund(event, FactType.REFUND_SUCCEEDED, event.object)
        case "failed" | "canceled":
            yield _refund(event, FactType.REFUND_FAILED, event.object)
        case "pending" | "requires_action":
            raise Ignored("refund_pending")
        case _:
            raise Ignored("unknown_status")


def _refund_failed(event: Event) -> Iterator[Fact]:
    yield _refund(event, FactType.REFUND_FAILED, event.object)


def _refund(event: Event, kind: FactType, refund: dict[str, Any], charge: dict[str, Any] | None = None) -> Fact:
    refund_id = required(refund, "id")
    charge = charge or {}
    charge_id = id_in(refund, "charge") or id_in(charge, "id")
    payment_id = id_in(refund, "payment_intent") or id_in(charge, "payment_intent") or charge_id
    if not payment_id:
        raise Ignored("names_no_payment")
    # An event that lists the refunds of a charge also lists those of earlier events: each happened when it was made.
    made_at = utc_instant_from_epoch(refund["created"]) if charge and "created" in refund else event.occurred_at
    return event.fact(
        kind,
        refund_id,
        payment_id,
        occurred_at=min(made_at, event.occurred_at),
        amount=money_in(refund, "amount"),
        also_known_as=names(charge_id, but=payment_id),
        reason=code(refund, "failure_reason") or code(refund, "reason"),
    )


def _charge_refunded(event: Event) -> Iterator[Fact]:
    """Only older API versions need this event: it lists the refunds, or else carries their running total."""
    charge = event.object
    charge_id = required(charge, "id")
    if event.api_version >= REFUND_EVENTS_FOR_ALL_REFUNDS:
        raise Ignored("refund_events_report_it")
    if charge.get("captured") is False:
        raise Ignored("authorization_released")
    released = _released(charge)
    listed = _without_release(list_in(charge, "refunds"), released)
    if listed and all(text(refund, "status") for refund in listed):
        succeeded = [refund for refund in listed if refund["status"] == "succeeded"]
        if not succeeded:
            raise Ignored("refund_pending")
        yield from (_refund(event, FactType.REFUND_SUCCEEDED, refund, charge) for refund in succeeded)
        return
    total = difference(money_in(charge, "amount_refunded"), released)
    if not total:
        raise Ignored("authorization_released" if released else "zero_amount")
    payment_id = id_in(charge, "payment_intent") or charge_id
    yield event.fact(
        FactType.REFUND_SUCCEEDED,
        charge_id,
        payment_id,
        amount=total,
        running_total=True,
        occurrence=str(total.value),
        also_known_as=names(charge_id, but=payment_id),
    )


def _released(charge: dict[str, Any]) -> Money:
    """What a partial capture left uncaptured. Stripe counts it into `amount_refunded`, but nobody ever paid it."""
    amount = money_in(charge, "amount")
    captured = money_in(charge, "amount_captured") if "amount_captured" in charge else amount
    released = difference(amount, captured)
    return released if released.value <= money_in(charge, "amount_refunded").value else Money(0, amount.currency)


def _without_release(refunds: list[dict[str, Any]], released: Money) -> list[dict[str, Any]]:
    """Without the entry that a partial capture left in the list of refunds: the oldest of exactly that amount."""
    if not released:
        return refunds
    oldest_first = sorted(refunds, key=lambda refund: utc_instant_from_epoch(refund.get("created", 0)))
    release = next((refund for refund in oldest_first if money_in(refund, "amount") == released), None)
    return [refund for refund in refunds if refund is not release]


# --- disputes ------------------------------------------------------------------------------------------------------------

_OPEN_DISPUTE = frozenset({"needs_response", "under_review", "appeal_needs_response", "appeal_under_review"})


def _dispute_created(event: Event) -> Iterator[Fact]:
    if _dispute_status(event) not in _OPEN_DISPUTE | {"won", "lost"}:
        raise Ignored("unknown_status")
    yield _dispute(event, FactType.DISPUTE_OPENED)


def _dispute_funds_withdrawn(event: Event) -> Iterator[Fact]:
    """The money is gone, be it by a new dispute or by an inquiry that escalated."""
    yield _dispute(event, FactType.DISPUTE_OPENED)


def _dispute_funds_reinstated(event: Event) -> Iterator[Fact]:
    if _dispute_status(event) != "won":
        raise Ignored("dispute_open")
    yield _dispute_outcome(event)


def _dispute_by_status(event: Event) -> Iterator[Fact]:
    match _dispute_status(event):
        case "won" | "lost":
            yield _dispute_outcome(event)
        case status if status in _OPEN_DISPUTE:
            raise Ignored("dispute_open")
        case _:
            raise Ignored("unknown_status")


def _dispute_status(event: Event) -> str:
    """The dispute's status; what moves no money as a dispute is ignored here: an inquiry, and what ended in a plain refund."""
    status = text(event.object, "status") or ""
    if status.startswith("warning_"):
        raise Ignored("inquiry")
    if status in {"prevented", "charge_refunded"}:
        raise Ignored("refund_events_report_it")
    return status


def _dispute_outcome(event: Event) -> Fact:
    """A dispute is won or lost as a whole by its status, in part by its balance transactions: there is no status for that."""
    withheld, reinstated = _balance(event.object)
    if text(event.object, "status") == "lost" or (withheld and reinstated):
        return _dispute(event, FactType.DISPUTE_LOST, withheld)
    return _dispute(event, FactType.DISPUTE_WON)


def _balance(dispute: dict[str, Any]) -> tuple[Money | None, bool]:
    """What the dispute has cost so far, and whether anything was given back.

    The cost is None when the balance transactions cannot tell: they are in another currency, or do not add up to a part of
    the disputed amount. Fees are kept apart from the amounts and are not part of it.
    """
    transactions = list_in(dispute, "balance_transactions")
    currency = (text(dispute, "currency") or "").lower()
    if any((text(transaction, "currency") or "").lower() != currency for transaction in transactions):
        return None, False
    amounts = [whole_number(transaction, "amount") for transaction in transactions]
    cost = -sum(amounts)
    plausible = 0 < cost <= whole_number(dispute, "amount")
    return stripe_money(cost, dispute.get("currency")) if plausible else None, any(amount > 0 for amount in amounts)


def _dispute(event: Event, kind: FactType, amount: Money | None = None) -> Fact:
    dispute = event.object
    charge_id = id_in(dispute, "charge")
    payment_id = id_in(dispute, "payment_intent") or charge_id
    if not payment_id:
        raise Reject(UNREADABLE_BODY, "a dispute of nothing")
    return event.fact(
        kind,
        required(dispute, "id" if "id" in dispute else "charge"),  # in 2013 a dispute was known by its charge
        payment_id,
        amount=amount or money_in(dispute, "amount"),
        also_known_as=names(charge_id, but=payment_id),
        reason=code(dispute, "reason"),
    )


# --- payouts -------------------------------------------------------------------------------------------------------------


def _payout_paid(event: Event) -> Iterator[Fact]:
    yield _payout(event, FactType.PAYOUT_PAID)


def _payout_failed(event: Event) -> Iterator[Fact]:
    yield _payout(event, FactType.PAYOUT_FAILED)


def _payout_by_status(event: Event) -> Iterator[Fact]:
    match text(event.object, "status"):
        case "paid":
            yield _payout(event, FactType.PAYOUT_PAID)
        case "failed" | "canceled":
            yield _payout(event, FactType.PAYOUT_FAILED)
        case _:
            raise Ignored("payout_pending")


def _payout_reconciled(event: Event) -> Iterator[Fact]:
    """States nothing itself: from now on the balance transactions of the payout can be listed."""
    _require_payment_out(event.object)
    yield from ()


def _require_payment_out(payout: dict[str, Any]) -> None:
    if whole_number(payout, "amount") < 0:
        raise Ignored("payout_collects_money")  # Stripe covers a negative balance from the bank account


def _payout(event: Event, kind: FactType) -> Fact:
    payout = event.object
    _require_payment_out(payout)
    return event.fact(kind, required(payout, "id"), None, amount=money_in(payout, "amount"), reason=code(payout, "failure_code"))


# --- the table -----------------------------------------------------------------------------------------------------------

ROWS: dict[str, tuple[str, Callable[[Event], Iterable[Fact]]]] = {
    "payment_intent.succeeded": ("payment_intent", _payment_intent_succeeded),
    "payment_intent.amount_capturable_updated": ("payment_intent", _amount_capturable_updated),
    "payment_intent.payment_failed": ("payment_intent", _payment_intent_failed),
    "charge.succeeded": ("charge", _charge_succeeded),
    "charge.captured": ("charge", _charge_captured),
    "charge.updated": ("charge", _charge_updated),
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
    "payout.reconciliation_completed": ("payout", _payout_reconciled),
}
"""Event type -> the kind of object it is about, and the facts it states."""

_INVOICE_NOT_PAID = (
    "created deleted finalization_failed finalized marked_uncollectible overdue overpaid payment_action_required"
    " payment_attempt_required sent upcoming updated voided will_be_due discount_added discount_removed line_item_added"
    " line_item_pricing_changed line_item_quantity_changed line_item_removed"
)
_REASONS = dict.fromkeys((f"invoice.{action}" for action in _INVOICE_NOT_PAID.split()), "not_paid") | {
    "charge.expired": "authorization_released",
    "charge.pending": "not_paid",
    "checkout.session.expired": "not_paid",
    "credit_note.created": "refund_events_report_it",
    "credit_note.updated": "refund_events_report_it",
    "credit_note.voided": "refund_events_report_it",
    "invoice_payment.canceled": "not_paid",
    "invoice_payment.open": "not_paid",
    "payment_intent.canceled": "not_paid",
    "payment_intent.created": "not_paid",
    "payment_intent.partially_funded": "not_paid",
    "payment_intent.processing": "not_paid",
    "payment_intent.requires_action": "not_paid",
    "transfer.canceled": "not_a_sale",
    "transfer.created": "not_a_sale",
    "transfer.failed": "not_a_sale",
    "transfer.paid": "unknown_version",  # a bank payout before 2017, with another meaning since
    "transfer.reversed": "not_a_sale",
    "transfer.updated": "not_a_sale",
}
_NO_NEW_FACT = (
    "account apps balance balance_settings billing billing_portal capability cash_balance coupon customer"
    " customer_cash_balance_transaction entitlements file financial_connections identity mandate payment_link payment_method"
    " person plan price product promotion_code radar reporting reserve review sigma source tax tax_rate terminal test_helpers"
    " three_d_secure v2.commerce v2.core"
)
_NOT_A_SALE = (
    "application_fee climate issuing_authorization issuing_card issuing_cardholder issuing_dispute issuing_personalization_design"
    " issuing_token issuing_transaction topup treasury v2.money_management"
)
_NOT_PAID = "invoiceitem quote setup_intent subscription_schedule"
_FAMILIES = (
    dict.fromkeys(_NO_NEW_FACT.split(), "no_new_fact")
    | dict.fromkeys(_NOT_A_SALE.split(), "not_a_sale")
    | dict.fromkeys(_NOT_PAID.split(), "not_paid")
)
"""Why what makes no fact makes none: by event type, else by what it begins with.

No family is known as a whole in which money from customers moves: a new type there may state a fact.
"""

EVENT_TYPES = frozenset(ROWS) | frozenset(_REASONS) | {f"{THIN}{kind}" for kind in ROWS}


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
    reason = text(expanded(source, "invoice"), "billing_reason")
    invoice_id = id_in(source, "invoice")
    used = text(member(source, "payment_method_details"), "type")
    details = {
        "invoice_id": invoice_id,
        "awaits_renewal": (reason in {None, "subscription_cycle"}) if invoice_id else None,
        "method": _METHOD_OF.get(used, "other") if used else _only_method(source),
        "payer": _payer(member(source, "billing_details")),
        "description": text(source, "description"),
    }
    return {name: value for name, value in details.items() if value is not None}


def _only_method(source: dict[str, Any]) -> str | None:
    """The method, where only one was on offer."""
    offered = source.get("payment_method_types")
    if not isinstance(offered, list) or len(offered) != 1 or not isinstance(offered[0], str):
        return None
    return _METHOD_OF.get(offered[0], "other")


def _payer(person: dict[str, Any]) -> Payer | None:
    """Out of `billing_details` or `customer_details`."""
    address, tax_ids = member(person, "address"), list_in(person, "tax_ids")
    return payer_of(
        name=text(person, "name"),
        email=text(person, "email"),
        country=country(address, "country"),
        tax_number=text(person, "tax_id") or (text(tax_ids[0], "value") if tax_ids else None),
        **{part: text(address, part) for part in ("line1", "line2", "city", "postal_code", "state")},
    )


def _invoice_payer(invoice: dict[str, Any]) -> Payer | None:
    prefix = "customer_"
    return _payer({name.removeprefix(prefix): value for name, value in invoice.items() if name.startswith(prefix)})


def _charge_of(intent: dict[str, Any]) -> dict[str, Any]:
    """The charge of a PaymentIntent as far as the event shows it: expanded, listed, or only its id; empty if there is none."""
    if name := id_in(intent, "latest_charge"):
        return expanded(intent, "latest_charge") or {"id": name}
    charges = list_in(intent, "charges")
    return next((charge for charge in charges if charge.get("status") == "succeeded"), charges[0] if charges else {})


def _require_cash(amount: Money) -> None:
    if not amount:
        raise Ignored("zero_amount")
