"""What Stripe's API says of an object that a delivery only names, or shows without all that a document needs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quittance.errors import Park, Reject, Retry
from quittance.facts import Fact, FactType, PayoutAdjustment, PayoutLine
from quittance.providers import Reference, Translation
from quittance.providers.fields import code, facts_or_reason, names, objects, required, text
from quittance.providers.payload import UNREADABLE_BODY, utc_instant_from_epoch
from quittance.providers.stripe.events import OBJECT_ID, THIN, Event, facts_of, is_test
from quittance.providers.stripe.reading import LIST_MAX, expanded, id_in, list_in, stripe_money, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from quittance.providers import Api, FetchedFor

API_BASE_URL = "https://api.stripe.com"
API_VERSION = "2025-03-31.basil"
"""The version in which objects are asked for, whatever the account's own is: the first that has `invoice_payments`."""

PAGE = 100
"""The most objects that Stripe lists at once."""
PAGES_AT_ONCE = 2
"""How many pages of a payout one run reads, so that it ends within a function's time. The rest is asked for by another run."""
RECONCILIATION_PAUSE_S = 3600
"""How long to wait for a payout that is paid and not reconciled yet."""

_COLLECTION_OF = {
    "charge": "charges",
    "checkout.session": "checkout/sessions",
    "dispute": "disputes",
    "invoice": "invoices",
    "invoice_payment": "invoice_payments",
    "payment_intent": "payment_intents",
    "payout": "payouts",
    "refund": "refunds",
}
_EXPANDED = {
    "charge": ("balance_transaction", "payment_intent"),
    "invoice": ("payments",),
    "payment_intent": ("latest_charge.balance_transaction",),
}
_CURSOR = "/"
"""Between the id of a payout and that of the balance transaction after which to go on."""


def api_headers(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}", "Stripe-Version": API_VERSION}


def account_headers(account: str) -> dict[str, str]:
    """The header that asks for an object of a connected account."""
    return {"Stripe-Account": account} if account.startswith("acct_") else {}


def fetch(
    reference: Reference,
    api: Api,
    settings: Mapping[str, Any],  # noqa: ARG001 - what every provider is given
    told: FetchedFor,
) -> tuple[Translation, ...]:
    """What the object means as it is now, in the terms of the event that named it. Its state is trusted over the event's type.

    Raises `Retry` or `Park` as `api` does, `Retry` for a payout whose balance transactions cannot be listed yet, and `Reject`
    for an object that is not what Stripe's API describes.
    """
    object_id, _, after = reference.id.partition(_CURSOR)
    found = _object(api, reference.object, object_id)
    if reference.object == "invoice":
        found |= _payments(api, found)
    elif reference.object == "payment_intent":
        found |= _invoice(api, found)
    event = Event(
        type=_type_now(reference.object, found, told.event_type.removeprefix(THIN)),
        object=found,
        account=told.account,
        occurred_at=told.occurred_at or utc_instant_from_epoch(found.get("created")),
        api_version=API_VERSION,
    )
    meaning = _translated(event, told)
    if reference.object == "payout" and any(fact.type is FactType.PAYOUT_PAID for fact in meaning.facts):
        return (_with_transactions(meaning, api, reference, after, found),)
    return (meaning,)


def _translated(event: Event, told: FetchedFor) -> Translation:
    facts, ignored = facts_or_reason(lambda: facts_of(event))
    return Translation(
        event_id=told.event_id,
        event_type=told.event_type,
        account=told.account,
        facts=facts,
        ignored=ignored,
        is_test=is_test(event.object),
        occurred_at=event.occurred_at,
    )


def _object(api: Api, kind: str, object_id: str) -> dict[str, Any]:
    collection = _COLLECTION_OF.get(kind)
    if not collection or not OBJECT_ID.fullmatch(object_id):
        raise Park("object_not_found")
    expand = {f"expand[{place}]": member for place, member in enumerate(_EXPANDED.get(kind, ()))}
    found = api.get(f"v1/{collection}/{object_id}", expand)
    if required(found, "id") != object_id or text(found, "object") != kind:
        raise Reject(UNREADABLE_BODY, "another object than the one that was asked for")
    return found


# --- the state of an object ----------------------------------------------------------------------------------------------


def _type_now(kind: str, found: dict[str, Any], told: str) -> str:
    """The type of event that the object's state calls for. An event may be late, and a failed attempt be made good since."""
    status = text(found, "status") or ""
    now = told
    match kind:
        case "payment_intent":
            now = _intent_now(status, is_failed="last_payment_error" in found)
        case "charge" if status == "failed" or told == "charge.failed":
            now = "charge.failed" if status == "failed" else "charge.succeeded"
        case "checkout.session" if text(found, "payment_status") == "paid":
            now = "checkout.session.completed"
        case "invoice" if status == "paid":
            now = "invoice.paid"
        case "invoice" if told != "invoice.payment_failed" or status not in {"open", "uncollectible"}:
            now = "invoice.updated"
        case "payout" | "refund":
            now = f"{kind}.updated"
    return now


def _intent_now(status: str, *, is_failed: bool) -> str:
    match status:
        case "succeeded":
            return "payment_intent.succeeded"
        case "requires_capture":
            return "payment_intent.amount_capturable_updated"
        case "requires_payment_method" | "canceled" if is_failed:
            return "payment_intent.payment_failed"
        case "canceled":
            return "payment_intent.canceled"
        case _:
            return "payment_intent.processing"


# --- invoices and their payments -----------------------------------------------------------------------------------------


def _payments(api: Api, invoice: dict[str, Any]) -> dict[str, Any]:
    """All payments of an invoice that holds more than Stripe embeds."""
    if not expanded(invoice, "payments").get("has_more"):
        return {}
    wanted = {"invoice": required(invoice, "id"), "status": "paid", "limit": str(LIST_MAX + 1)}
    return {"payments": api.get("v1/invoice_payments", wanted)}


def _invoice(api: Api, intent: dict[str, Any]) -> dict[str, Any]:
    """The invoice that a PaymentIntent paid, which it does not name itself.

    Of several, each names the payment by its own event, and none is chosen here.
    """
    if text(intent, "status") != "succeeded" or "invoice" in intent:
        return {}
    payment = {"payment[type]": "payment_intent", "payment[payment_intent]": required(intent, "id")}
    wanted = payment | {"status": "paid", "limit": "2"}
    paid = list_in(api.get("v1/invoice_payments", wanted | {"expand[0]": "data.invoice"}), "data")
    return {"invoice": paid[0]["invoice"]} if len(paid) == 1 and "invoice" in paid[0] else {}


# --- payouts and what they hold ------------------------------------------------------------------------------------------

_PAYMENTS = frozenset({"charge", "payment"})
_NEVER_CAPTURED = "partial_capture_reversal"
"""The part of an authorization that was not captured: listed apart from the charge, which is listed as a whole."""


def _with_transactions(meaning: Translation, api: Api, reference: Reference, after: str, payout: dict[str, Any]) -> Translation:
    """The payout with its payments and all else it holds; the pages that one run does not reach are to be fetched by the next.

    Each run's share has a key of its own, so that no share is taken for another report of the first one.
    """
    status = text(payout, "reconciliation_status")
    if status == "in_progress":
        raise Retry("payout_not_reconciled", delay_s=RECONCILIATION_PAUSE_S)
    if status == "not_applicable" or payout.get("automatic") is False:
        return meaning  # Stripe does not know what a payout holds that was made by hand
    (fact,) = meaning.facts
    lines, adjustments, last = _transactions(api, fact, after)
    key = f"{fact.key}{_CURSOR}{after}" if after else fact.key
    rest = (replace(reference, id=f"{fact.key}{_CURSOR}{last}"),) if last else ()
    # By its other name every share finds the case of the payout.
    told = replace(fact, key=key, also_known_as=names(fact.key, but=key), payout_lines=lines, payout_adjustments=adjustments)
    return replace(meaning, facts=(told,), fetch=rest)


def _transactions(api: Api, payout: Fact, after: str) -> tuple[tuple[PayoutLine, ...], tuple[PayoutAdjustment, ...], str]:
    """Some pages of a payout: its payments, everything else, and the last balance transaction if there are more."""
    transactions: list[dict[str, Any]] = []
    for _ in range(PAGES_AT_ONCE):
        page = _page(api, payout.key, after)
        listed = objects(page, "data", PAGE)
        transactions += listed
        after = required(listed[-1], "id") if listed and page.get("has_more") is True else ""
        if not after:
            break
    return *content(transactions, payout), after


def content(transactions: Iterable[dict[str, Any]], payout: Fact) -> tuple[tuple[PayoutLine, ...], tuple[PayoutAdjustment, ...]]:
    """What a payout holds by its balance transactions: its payments, and everything else.

    Raises `Reject` for what is no balance transaction, or is in another currency than the payout.
    """
    paid: dict[str, Counter[str]] = {}
    adjustments: list[PayoutAdjustment] = []
    for transaction in transactions:
        if _is_of_payment(transaction):
            name = _payment_of(transaction) or required(transaction, "id")
            paid.setdefault(name, Counter()).update(_parts(transaction, payout))
        elif text(transaction, "type") != "payout":  # the payout itself, which brings the balance to zero
            adjustments.append(_adjustment(transaction, payout))
    return tuple(PayoutLine(payment_id=name, **parts) for name, parts in paid.items()), tuple(adjustments)


def _page(api: Api, payout_id: str, after: str) -> dict[str, Any]:
    wanted = {"payout": payout_id, "limit": str(PAGE), "expand[0]": "data.source"}
    page = api.get("v1/balance_transactions", wanted | ({"starting_after": after} if after else {}))
    if "data" not in page:
        raise Reject(UNREADABLE_BODY, "no page of balance transactions")
    return page


def _payment_of(transaction: dict[str, Any]) -> str | None:
    """The id under which the payment was reported that a balance transaction belongs to."""
    source = expanded(transaction, "source")
    named = id_in(source, "payment_intent") or id_in(source, "charge")
    return named or (id_in(transaction, "source") if _is_of_payment(transaction) else None)


def _is_of_payment(transaction: dict[str, Any]) -> bool:
    return text(transaction, "type") in _PAYMENTS or text(transaction, "reporting_category") == _NEVER_CAPTURED


def _parts(transaction: dict[str, Any], payout: Fact) -> dict[str, int]:
    """What a balance transaction adds to its payment.

    Of its fees only the application fee is the platform's; the rest is Stripe's own.
    """
    kept = (detail for detail in list_in(transaction, "fee_details") if text(detail, "type") == "application_fee")
    return {
        "gross": _signed(transaction, "amount", payout),
        "net": _signed(transaction, "net", payout),
        "fee": sum(_signed(detail, "amount", payout) for detail in kept),
    }


def _adjustment(transaction: dict[str, Any], payout: Fact) -> PayoutAdjustment:
    return PayoutAdjustment(
        kind=_kind(transaction),
        id=id_in(transaction, "source") or required(transaction, "id"),
        payment_id=_payment_of(transaction),
        gross=_signed(transaction, "amount", payout),
        fee=_signed(transaction, "fee", payout),
        net=_signed(transaction, "net", payout),
    )


def _kind(transaction: dict[str, Any]) -> str:
    """The type; of an adjustment, which may be anything, what Stripe's reports call it."""
    kind = code(transaction, "type") or "unknown"
    return (code(transaction, "reporting_category") or kind) if kind == "adjustment" else kind


def _signed(source: dict[str, Any], field: str, payout: Fact) -> int:
    """An amount that may be negative, in minor units of ISO 4217. Raises `Reject` if its currency is not the payout's."""
    value = whole_number(source, field)
    if payout.amount is None or (text(source, "currency") or "").upper() != payout.amount.currency:
        raise Reject("currencies_differ")
    size = stripe_money(abs(value), payout.amount.currency).value
    return -size if value < 0 else size
