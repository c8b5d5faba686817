"""GoCardless: batches of events that hold ids only; amounts, currencies and people are fetched.

An event says what happened and when, the object how much, whose, and how it stands now. Where it stands elsewhere than the
event says, as a payment that was confirmed and has failed meanwhile, the event that brought it there is looked up and told as
well, each at its own time. When that event arrives by itself it is the same fact again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from quittance.errors import Park, Reject
from quittance.facts import Fact, FactType, PayoutAdjustment, PayoutLine
from quittance.money import Money, money_from_minor_units
from quittance.providers import (
    SIGNATURE_MISMATCH,
    SIGNATURE_MISSING,
    Acknowledgement,
    Reference,
    Translation,
    together,
)
from quittance.providers.fields import (
    UNKNOWN_CURRENCY,
    Ignored,
    country,
    identifier,
    instant,
    member,
    objects,
    payer_of,
    reason_for,
    required,
    text,
)
from quittance.providers.payload import UNREADABLE_BODY, any_equal, hex_digests, json_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from quittance.facts import Payer
    from quittance.providers import Api, FetchedFor

PROVIDER = "gocardless"
API_BASE_URL = "https://api.gocardless.com/"
API_VERSION = "2015-07-06"

EVENTS_MAX = 250
"""As many as GoCardless puts into one delivery. Every one becomes a message of its own."""
PAGE = 500
"""The most that GoCardless lists at once."""
PAGES_MAX = 40

CURRENCIES = frozenset({"AUD", "CAD", "DKK", "EUR", "GBP", "NZD", "SEK", "USD"})
"""All that GoCardless collects in, each in hundredths. Another one is not guessed."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
"""Ids become part of an address at the API."""


def api_headers(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}", "GoCardless-Version": API_VERSION, "Accept": "application/json"}


# --- verify --------------------------------------------------------------------------------------------------------------


def verify(raw: bytes, headers: Mapping[str, str], secrets: Sequence[str], now_s: int) -> None:  # noqa: ARG001 - nothing is timed
    """The signature must be the HMAC-SHA256 of the body under one of `secrets`: while a secret is replaced nothing says which.

    Raises `Reject` with a signature code.
    """
    given = headers.get("webhook-signature", "").strip()
    if not given:
        raise Reject(SIGNATURE_MISSING)
    if not any_equal(hex_digests(raw, secrets), (signature.strip() for signature in given.split(","))):
        raise Reject(SIGNATURE_MISMATCH)


def acknowledge() -> Acknowledgement:
    return Acknowledgement()


# --- translate -----------------------------------------------------------------------------------------------------------

_FETCHED = {
    "payments": ("payment", "confirmed failed cancelled customer_approval_denied charged_back chargeback_cancelled"),
    "refunds": ("refund", "paid failed bounced funds_returned"),
    "payouts": ("payout", "paid bounced"),
}
_LINK_OF = {f"{resource}.{action}": link for resource, (link, actions) in _FETCHED.items() for action in actions.split()}
"""Event type that may make a fact -> the link to the object that it is about."""

_REASONS = {
    "payments.chargeback_settled": "no_new_fact",  # what is settled was told when it happened
    "payments.created": "not_paid",
    "payments.customer_approval_granted": "not_paid",
    "payments.late_failure_settled": "no_new_fact",
    "payments.paid_out": "no_new_fact",
    "payments.resubmission_requested": "not_paid",
    "payments.sds_settlement_delayed": "no_new_fact",
    "payments.submitted": "not_paid",
    "payments.surcharge_fee_credited": "no_new_fact",
    "payments.surcharge_fee_debited": "no_new_fact",
    "payouts.fx_rate_confirmed": "no_new_fact",
    "payouts.tax_exchange_rates_confirmed": "no_new_fact",
    "refunds.created": "refund_pending",
    "refunds.refund_settled": "no_new_fact",
    "refunds.submitted": "refund_pending",
}
_RESOURCES = {
    "billing_requests": "not_paid",
    "creditors": "no_new_fact",
    "customer": "no_new_fact",
    "customers": "no_new_fact",
    "exports": "no_new_fact",
    "instalment_schedules": "not_paid",
    "mandates": "no_new_fact",
    "organisations": "no_new_fact",
    "outbound_payments": "not_a_sale",
    "payer_authorisations": "not_paid",
    "payment_account_transaction": "no_new_fact",
    "payment_account_transactions": "no_new_fact",
    "scheme_identifiers": "no_new_fact",
    "subscriptions": "not_paid",  # the payment of a period has events of its own
}
"""Why what makes no fact makes none: by event type, else by the resource it is about."""

EVENT_TYPES = frozenset(_LINK_OF) | frozenset(_REASONS)


def translate(raw: bytes, connection: str, settings: Mapping[str, Any]) -> Translation:  # noqa: ARG001
    """The objects to fetch that a delivery names, each under the id, the time and the organisation of its own event.

    Raises `Reject` for a body that is no delivery of GoCardless.
    """
    body = json_object(raw)
    if "events" not in body:
        raise Reject(UNREADABLE_BODY, "not a delivery of GoCardless")
    if not (events := objects(body, "events", EVENTS_MAX)):
        delivery_id = identifier(member(body, "meta"), "webhook_id") or "none"
        return Translation(event_id=delivery_id, event_type="none", account=f"connection:{connection}", ignored="names_no_object")
    return together([_of_event(event, connection) for event in events])


def _of_event(event: dict[str, Any], connection: str) -> Translation:
    """One event that cannot be read must not have the whole batch sent again: it is kept with the reason."""
    event_id = required(event, "id")
    event_type = f"{required(event, 'resource_type')}.{required(event, 'action')}"
    account = f"connection:{connection}"
    occurred_at = ""
    fetch: tuple[Reference, ...] = ()
    ignored = None
    try:
        links = member(event, "links")
        account = identifier(links, "organisation") or account
        occurred_at = instant(event, "created_at")
        fetch = (_named(event_type, links),)
    except Ignored as reason:
        ignored = str(reason)
    except Reject as unreadable:
        ignored = unreadable.code
    return Translation(
        event_id=event_id, event_type=event_type, account=account, fetch=fetch, ignored=ignored, occurred_at=occurred_at
    )


def _named(event_type: str, links: dict[str, Any]) -> Reference:
    if not (link := _LINK_OF.get(event_type)):
        raise Ignored(reason_for(event_type, _REASONS, _RESOURCES))
    name = identifier(links, link) or ""
    if not _ID.fullmatch(name):
        raise Ignored("names_no_object")
    return Reference(event_type, name)


# --- fetch ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Happened:
    """One event in the life of an object."""

    action: str
    event_id: str
    occurred_at: str


def fetch(reference: Reference, api: Api, settings: Mapping[str, Any], told: FetchedFor) -> tuple[Translation, ...]:  # noqa: ARG001
    """What the event means now that its object is known, and what has become of the object since, in the order of time.

    Raises `Retry` or `Park` as `api` does, and `Reject` for an answer that makes no sense.
    """
    resource, _, action = reference.object.partition(".")
    happened = _Happened(action, told.event_id, told.occurred_at)
    try:
        source = _one(api, resource, reference.id)
        events = sorted({happened, *_later(api, resource, source, happened)}, key=lambda event: event.occurred_at)
        return tuple(
            Translation(
                event_id=event.event_id,
                event_type=f"{resource}.{event.action}",
                account=told.account,
                facts=tuple(_FACTS_OF[resource](source, event, told.account, api)),
            )
            for event in events
        )
    except Ignored as reason:
        return (Translation(event_id=told.event_id, event_type=told.event_type, account=told.account, ignored=str(reason)),)


_BROUGHT_BY: dict[str, dict[str, str | None]] = {
    "payments": {
        "pending_customer_approval": None,
        "pending_submission": None,
        "submitted": None,
        "confirmed": "confirmed",
        "paid_out": "confirmed",
        "failed": "failed",
        "cancelled": "cancelled",
        "customer_approval_denied": "customer_approval_denied",
        "charged_back": "charged_back",
    },
    "refunds": {
        "created": None,
        "pending_submission": None,
        "submitted": None,
        "paid": "paid",
        "cancelled": None,
        "failed": "failed",
        "bounced": "bounced",
        "funds_returned": "funds_returned",
    },
    "payouts": {"pending": None, "paid": "paid", "bounced": "bounced"},
}
"""Resource and status -> the action that brings it about; None for one at which there is nothing to tell of."""


def _later(api: Api, resource: str, source: dict[str, Any], happened: _Happened) -> Iterator[_Happened]:
    """The last event that brought the object to where it stands, if that is not where `happened` brought it.

    Nothing if GoCardless does not list it, as it does for some months only: then it arrives by itself, or came before.
    """
    status, known = text(source, "status"), _BROUGHT_BY[resource]
    if status not in {None, *known}:
        raise Ignored("unknown_status")
    action = known[status] if status else None
    if action is None or action == happened.action:
        return
    link, _ = _FETCHED[resource]
    asked = {"resource_type": resource, "action": action, link: required(source, "id")}
    found = [event for event in objects(api.get("events", asked), "events") if text(event, "action") == action]
    if found:
        last = max(found, key=lambda event: instant(event, "created_at"))
        yield _Happened(action, required(last, "id"), instant(last, "created_at"))


# --- payments and refunds ------------------------------------------------------------------------------------------------


def _of_payment(payment: dict[str, Any], event: _Happened, account: str, api: Api) -> Iterator[Fact]:
    payment_id = required(payment, "id")

    def fact(kind: FactType, **more: Any) -> Fact:  # noqa: ANN401 - the fields of `Fact`
        return Fact(
            type=kind,
            provider=PROVIDER,
            account=account,
            key=payment_id,
            occurred_at=event.occurred_at,
            payment_id=payment_id,
            amount=_amount(payment, "amount"),
            **more,
        )

    match event.action:
        case "confirmed":
            yield from _confirmed(payment, fact, api)
        case "charged_back":
            # Claims for a refund under a scheme's rules cannot be defended: the money is gone at once.
            yield fact(FactType.DISPUTE_OPENED)
            yield fact(FactType.DISPUTE_LOST)
        case "chargeback_cancelled":
            yield fact(FactType.DISPUTE_WON)
        case _:
            # Also after it was confirmed, or paid out: a bank may take a debit back days later.
            yield fact(FactType.PAYMENT_FAILED, reason=event.action)


def _confirmed(payment: dict[str, Any], fact: Callable[..., Fact], api: Api) -> Iterator[Fact]:
    links = member(payment, "links")
    subscription_id = identifier(links, "subscription")
    payer = _payer(links, api)
    yield fact(
        FactType.PAYMENT_SUCCEEDED,
        subscription_id=subscription_id,
        awaits_renewal=True if subscription_id else None,
        method="bank_transfer" if text(payment, "scheme") in _BANK_TRANSFERS else "direct_debit",
        fee=_amount(payment, "app_fee") if payment.get("app_fee") else None,
        order_id=_order(payment),
        description=text(payment, "description"),
        payer=payer,
    )
    if subscription_id:
        yield fact(
            FactType.SUBSCRIPTION_RENEWED,
            subscription_id=subscription_id,
            subscription_plan=text(_optional(api, "subscriptions", subscription_id), "name"),
            order_id=_order(payment),
            payer=payer,
        )


_BANK_TRANSFERS = frozenset({"faster_payments", "pay_to", "sepa_credit_transfer", "sepa_instant_credit_transfer"})
"""Schemes in which the payer sends the money."""


def _order(source: dict[str, Any]) -> str | None:
    """GoCardless has no field for it; what a merchant calls `order_id` among its own data is one."""
    order_id = member(source, "metadata").get("order_id")
    return identifier({"order_id": order_id}, "order_id") if isinstance(order_id, str) else None


def _of_refund(refund: dict[str, Any], event: _Happened, account: str, api: Api) -> Iterator[Fact]:  # noqa: ARG001
    payment_id = identifier(member(refund, "links"), "payment")
    if not payment_id:
        raise Ignored("names_no_payment")  # money sent to a mandate that no payment brought
    yield Fact(
        type=FactType.REFUND_SUCCEEDED if event.action == "paid" else FactType.REFUND_FAILED,
        provider=PROVIDER,
        account=account,
        key=required(refund, "id"),
        occurred_at=event.occurred_at,
        payment_id=payment_id,
        amount=_amount(refund, "amount"),
        reason=None if event.action == "paid" else event.action,
    )


# --- payouts -------------------------------------------------------------------------------------------------------------

_FEES = frozenset({"gocardless_fee", "app_fee", "surcharge_fee"})


def _of_payout(payout: dict[str, Any], event: _Happened, account: str, api: Api) -> Iterator[Fact]:
    is_paid = event.action == "paid"
    lines, adjustments = _content(required(payout, "id"), api) if is_paid else ((), ())
    yield Fact(
        type=FactType.PAYOUT_PAID if is_paid else FactType.PAYOUT_FAILED,
        provider=PROVIDER,
        account=account,
        key=required(payout, "id"),
        occurred_at=event.occurred_at,
        amount=_amount(payout, "amount"),
        reason=None if is_paid else event.action,
        payout_lines=lines,
        payout_adjustments=adjustments,
    )


def _content(payout_id: str, api: Api) -> tuple[tuple[PayoutLine, ...], tuple[PayoutAdjustment, ...]]:
    """The payments that a payout holds, and whatever else. The platform's own fee is the app fee.

    Fees are told in parts of a hundredth; those of one payment are rounded together.
    """
    parts: dict[str, dict[str, Decimal]] = {}
    others: list[PayoutAdjustment] = []
    items = list(_items(payout_id, api))
    paid = {identifier(member(item, "links"), "payment") for item in items if text(item, "type") == "payment_paid_out"}
    for place, item in enumerate(items):
        links, kind, amount = member(item, "links"), text(item, "type") or "unknown", _hundredths(item)
        payment_id = identifier(links, "payment")
        if payment_id and payment_id in paid and kind in {"payment_paid_out", *_FEES}:
            known = parts.setdefault(payment_id, {})
            known[kind] = known.get(kind, Decimal(0)) + amount
        else:
            name = identifier(links, "refund") or payment_id or str(place)
            value = _rounded(amount)
            others.append(PayoutAdjustment(kind=kind, id=name, payment_id=payment_id, gross=value, fee=0, net=value))
    lines = tuple(
        PayoutLine(
            payment_id=payment_id,
            gross=_rounded(known["payment_paid_out"]),
            fee=_rounded(-known.get("app_fee", Decimal(0))),
            net=_rounded(sum(known.values(), Decimal(0))),
        )
        for payment_id, known in parts.items()
    )
    return lines, tuple(others)


def _rounded(hundredths: Decimal) -> int:
    return int(hundredths.to_integral_value(ROUND_HALF_EVEN))


def _items(payout_id: str, api: Api) -> Iterator[dict[str, Any]]:
    """Nothing for a payout that is so old that GoCardless no longer lists them."""
    asked = {"payout": payout_id, "limit": str(PAGE)}
    for _ in range(PAGES_MAX):
        try:
            page = api.get("payout_items", asked)
        except Park:
            return
        yield from objects(page, "payout_items")
        after = identifier(member(member(page, "meta"), "cursors"), "after")
        if not after:
            return
        asked = asked | {"after": after}
    raise Reject("list_too_long")


def _hundredths(item: dict[str, Any]) -> Decimal:
    """`"45.0"`: hundredths of the currency, as a text; positive where it adds to the payout."""
    try:
        amount = Decimal(text(item, "amount") or "")
    except InvalidOperation:
        raise Reject("amount_not_decimal") from None
    if not amount.is_finite() or abs(amount) > _HUNDREDTHS_MAX:
        raise Reject("amount_too_large")
    return amount


_HUNDREDTHS_MAX = 10**15


_FACTS_OF: dict[str, Callable[[dict[str, Any], _Happened, str, Api], Iterator[Fact]]] = {
    "payments": _of_payment,
    "refunds": _of_refund,
    "payouts": _of_payout,
}


# --- reading objects -----------------------------------------------------------------------------------------------------


def _one(api: Api, resource: str, name: str) -> dict[str, Any]:
    """An object in its envelope, which has the name of the resource."""
    found = member(api.get(f"{resource}/{name}"), resource)
    if not found:
        raise Reject(UNREADABLE_BODY, f"an answer without {resource}")
    return found


def _optional(api: Api, resource: str, name: str | None) -> dict[str, Any]:
    """The same; empty if it is not named, or was removed, which takes nothing away from a payment."""
    if not name or not _ID.fullmatch(name):
        return {}
    try:
        return _one(api, resource, name)
    except Park:
        return {}


def _amount(source: dict[str, Any], name: str) -> Money:
    currency = text(source, "currency")
    if currency not in CURRENCIES:
        raise Ignored(UNKNOWN_CURRENCY)
    return money_from_minor_units(source.get(name), currency)


def _payer(links: dict[str, Any], api: Api) -> Payer | None:
    """The customer of the mandate that was debited."""
    mandate = _optional(api, "mandates", identifier(links, "mandate"))
    customer = _optional(api, "customers", identifier(member(mandate, "links"), "customer"))
    name = " ".join(part for part in (text(customer, "given_name"), text(customer, "family_name")) if part)
    return payer_of(
        name=text(customer, "company_name") or name or None,
        email=text(customer, "email"),
        country=country(customer, "country_code"),
        line1=text(customer, "address_line1"),
        line2=", ".join(part for part in (text(customer, "address_line2"), text(customer, "address_line3")) if part) or None,
        city=text(customer, "city"),
        postal_code=text(customer, "postal_code"),
        state=text(customer, "region"),
    )
