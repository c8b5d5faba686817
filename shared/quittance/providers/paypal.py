"""PayPal: webhooks of one REST app, about objects of its first and its second generation of payment APIs.

A delivery is signed with the key of a certificate that PayPal publishes. Payments are captures, or sales where a subscription or
an older integration made them; orders and invoices only repeat them. Objects of the second generation have a `status`, and
amounts of `value` and `currency_code`; those of the first have a `state`, amounts of `total` and `currency`, and count refunds
below zero.

No event says reliably whose money it is about, so all of it belongs to the connection.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zlib import crc32

from quittance.errors import Reject
from quittance.facts import Fact, FactType
from quittance.money import EXPONENTS, VALUE_MAX, Money, money_from_decimal
from quittance.providers import (
    SIGNATURE_MALFORMED,
    SIGNATURE_MISMATCH,
    SIGNATURE_MISSING,
    SIGNATURE_OUTSIDE_TOLERANCE,
    Acknowledgement,
    Translation,
)
from quittance.providers.fields import (
    UNKNOWN_CURRENCY,
    Ignored,
    code,
    country,
    facts_or_reason,
    identifier,
    instant,
    member,
    names,
    objects,
    payer_of,
    reason_for,
    required,
    text,
)
from quittance.providers.payload import UNREADABLE_BODY, json_object, utc_instant
from quittance.providers.published import PUBLICATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from quittance.facts import Payer

PROVIDER = "paypal"

REPLAY_WINDOW_S = 4 * 86_400
"""How old a transmission may be. PayPal repeats one for three days, and does not say that it is timed anew."""
CLOCK_SKEW_S = 300
"""How far ahead of ours PayPal's clock may be."""

CERTIFICATE_NAMES = frozenset({"messageverificationcerts.paypal.com", "messageverificationcerts.sandbox.paypal.com"})
"""Whom the certificate must be issued to: the names that PayPal's own libraries look for.

Any other subdomain could, once PayPal has forgotten it, be taken over by somebody who then gets a certificate for it.
"""
ALGORITHM = "SHA256withRSA"

LIST_MAX = 50
"""Of links, of disputed transactions, and of movements of money."""

_CERTIFICATE_URL = re.compile(r"https://(?:[a-z0-9-]{1,63}\.){0,5}paypal\.com(?:/[A-Za-z0-9._-]{1,200}){1,10}", re.ASCII)
"""Nothing in which two readers of an address could see two hosts: no user, port, query, escape or upper case."""
_TRANSMISSION_ID = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)


# --- verify ------------------------------------------------------------------------------------------------------------


def verify(raw: bytes, headers: Mapping[str, str], secrets: Sequence[str], now_s: int) -> None:
    """SHA-256 with RSA over `id|time|webhook id|CRC-32 of the body`, under the certificate that the delivery says where to find.

    `secrets` are webhook ids. They are no secrets and prove nothing alone; they tie the signature to this connection, because
    PayPal signs for everybody who has an account.

    Raises `Reject` with a signature code, and `Retry` when the certificate cannot be read now.
    """
    given = {name: headers.get(f"paypal-{name}", "") for name in ("transmission-id", "transmission-time", "transmission-sig")}
    url, algorithm = headers.get("paypal-cert-url", ""), headers.get("paypal-auth-algo", "")
    if not (all(given.values()) and url and algorithm):
        raise Reject(SIGNATURE_MISSING)
    name, sent_at, signature = given.values()
    if algorithm != ALGORITHM or not _CERTIFICATE_URL.fullmatch(url) or not _TRANSMISSION_ID.fullmatch(name):
        raise Reject(SIGNATURE_MALFORMED)
    _require_recent(sent_at, now_s)
    signed = [f"{name}|{sent_at}|{webhook_id}|{crc32(raw)}".encode() for webhook_id in secrets if webhook_id]
    _require_signed(signed, _decoded(signature), url, now_s)


def _require_recent(sent_at: str, now_s: int) -> None:
    try:
        age_s = now_s - datetime.fromisoformat(utc_instant(sent_at)).timestamp()
    except ValueError:
        raise Reject(SIGNATURE_MALFORMED) from None
    if not -CLOCK_SKEW_S <= age_s <= REPLAY_WINDOW_S:
        raise Reject(SIGNATURE_OUTSIDE_TOLERANCE)


def _decoded(signature: str) -> bytes:
    try:
        return base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        raise Reject(SIGNATURE_MALFORMED) from None


def _require_signed(contents: Iterable[bytes], signature: bytes, url: str, now_s: int) -> None:
    from quittance.providers.certificates import certificates_of, is_signed  # noqa: PLC0415 - only here, because of what it costs

    key = certificates_of(PUBLICATIONS.source).rsa_key(url, CERTIFICATE_NAMES, now_s)
    if not any(is_signed(content, signature, key) for content in contents):
        raise Reject(SIGNATURE_MISMATCH)


def acknowledge() -> Acknowledgement:
    return Acknowledgement()


# --- translate -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Event:
    """What every row of the table below starts from."""

    object: dict[str, Any]
    """`resource`."""
    account: str
    occurred_at: str

    @property
    def id(self) -> str:
        return required(self.object, "id")

    @property
    def status(self) -> str:
        """What becomes of the object, in upper case in either generation; empty if the event does not say."""
        return (code(self.object, "status") or code(self.object, "state") or "").upper()

    @property
    def reason(self) -> str | None:
        return code(member(self.object, "status_details"), "reason") or code(self.object, "reason_code")

    @property
    def order_id(self) -> str | None:
        """The merchant's own key."""
        return next((key for name in _OWN_KEYS if (key := identifier(self.object, name))), None)

    def fact(self, kind: FactType, key: str, payment_id: str | None, **more: Any) -> Fact:  # noqa: ANN401 - the fields of `Fact`
        """A fact of this event, with what `more` adds to it."""
        values = {"provider": PROVIDER, "account": self.account, "occurred_at": self.occurred_at} | more
        return Fact(type=kind, key=key, payment_id=payment_id, **values)


_OWN_KEYS = ("custom_id", "invoice_id", "custom", "invoice_number")


def translate(raw: bytes, connection: str, settings: Mapping[str, Any]) -> Translation:  # noqa: ARG001
    """The facts that an event states. Unknown types, versions, statuses and currencies are ignored, never guessed.

    Raises `Reject` for a body that is no event of PayPal, or whose object misses or contradicts what its type needs.
    """
    body = json_object(raw)
    event_id, event_type = required(body, "id"), required(body, "event_type")
    event = _Event(member(body, "resource"), f"connection:{connection}", instant(body, "create_time"))
    facts, ignored = facts_or_reason(lambda: _facts(event_type, event, body))
    return Translation(
        event_id=event_id,
        event_type=event_type,
        account=event.account,
        facts=facts,
        ignored=ignored,
        is_test=_is_test(body),
    )


def _require_known_version(body: dict[str, Any]) -> None:
    versions = [text(body, name) for name in ("event_version", "resource_version")]
    if not all(version is None or _VERSION.fullmatch(version) for version in versions):
        raise Ignored("unknown_version")


_VERSION = re.compile(r"[12](\.\d{1,3}){0,2}", re.ASCII)


def _is_test(body: dict[str, Any]) -> bool | None:
    """Whether the event is kept at PayPal's sandbox, by its link to itself."""
    found = next((match for link in _links(body, "self") if (match := _OWN_LINK.match(link))), None)
    return bool(found["sandbox"]) if found else None


_OWN_LINK = re.compile(r"https://api(?:-m)?(?P<sandbox>\.sandbox)?\.paypal\.com/", re.ASCII)


def _facts(event_type: str, event: _Event, body: dict[str, Any]) -> Iterable[Fact]:
    if row := _ROWS.get(event_type):
        _require_known_version(body)
        return row(event)
    raise Ignored(reason_for(event_type, _REASONS, _FAMILIES))


# --- payments ------------------------------------------------------------------------------------------------------------


def _authorized(event: _Event) -> Iterator[Fact]:
    _require_status(event, good={"", "CREATED", "AUTHORIZED", "CAPTURED", "PARTIALLY_CAPTURED"}, others={"PENDING", "DENIED"})
    payment_id = _first_generation_payment(event) or event.id
    yield event.fact(
        FactType.PAYMENT_AUTHORIZED,
        event.id,
        payment_id,
        amount=_cash(event),
        also_known_as=names(event.id, but=payment_id),
        **_details(event),
    )


def _captured(event: _Event) -> Iterator[Fact]:
    _require_paid(event)
    details = _details(event) | {"amount": _cash(event), "fee": _fee(event)}
    if authorization := _authorization(event):
        yield event.fact(
            FactType.PAYMENT_CAPTURED,
            event.id,
            authorization,
            capture_id=event.id,
            also_known_as=(event.id,),
            **details,
        )
    else:
        yield event.fact(FactType.PAYMENT_SUCCEEDED, event.id, event.id, **details)


def _sold(event: _Event) -> Iterator[Fact]:
    """A sale of the first generation. Subscriptions of either generation are paid by sales, each of which renews one."""
    _require_paid(event)
    amount, subscription_id = _cash(event), identifier(event.object, "billing_agreement_id")
    yield event.fact(
        FactType.PAYMENT_SUCCEEDED,
        event.id,
        event.id,
        amount=amount,
        fee=_fee(event),
        also_known_as=names(_first_generation_payment(event), but=event.id),
        subscription_id=subscription_id,
        awaits_renewal=True if subscription_id else None,
        **_details(event),
    )
    if subscription_id:
        yield event.fact(
            FactType.SUBSCRIPTION_RENEWED,
            event.id,
            event.id,
            amount=amount,
            subscription_id=subscription_id,
            order_id=event.order_id,
        )


def _capture_failed(event: _Event) -> Iterator[Fact]:
    authorization = _authorization(event)
    yield event.fact(
        FactType.PAYMENT_FAILED,
        event.id,
        authorization or event.id,
        amount=_money(event.object, "amount"),
        # One of several captures that may be made of the authorization.
        capture_id=event.id if authorization else None,
        also_known_as=names(event.id, but=authorization or event.id),
        reason=event.reason,
        **_details(event),
    )


def _sale_failed(event: _Event) -> Iterator[Fact]:
    yield event.fact(
        FactType.PAYMENT_FAILED,
        event.id,
        event.id,
        amount=_money(event.object, "amount"),
        also_known_as=names(_first_generation_payment(event), but=event.id),
        subscription_id=identifier(event.object, "billing_agreement_id"),
        reason=event.reason,
        **_details(event),
    )


def _renewal_failed(event: _Event) -> Iterator[Fact]:
    """No payment came about that would have an id: the attempts of one subscription differ by their time."""
    failed = member(member(event.object, "billing_info"), "last_failed_payment")
    yield event.fact(
        FactType.PAYMENT_FAILED,
        event.id,
        None,
        occurrence=instant(failed, "time") if failed.get("time") else event.occurred_at,
        amount=_money(failed, "amount") if failed.get("amount") else None,
        subscription_id=event.id,
        reason=code(failed, "reason_code"),
    )


def _require_paid(event: _Event) -> None:
    """A capture or sale that an event reports late may have been refunded meanwhile."""
    paid = {"", "COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"}
    _require_status(event, good=paid, others={"PENDING", "DECLINED", "DENIED", "FAILED"})


def _require_status(event: _Event, *, good: set[str], others: set[str]) -> None:
    if event.status not in good:
        raise Ignored("not_paid" if event.status in others else "unknown_status")


def _authorization(event: _Event) -> str | None:
    """What the captured money was authorized under. The first generation names only the payment that both belong to."""
    related = member(member(event.object, "supplementary_data"), "related_ids")
    named = identifier(related, "authorization_id") or _linked(event, "up", "authorizations")
    return named or _first_generation_payment(event)


def _first_generation_payment(event: _Event) -> str | None:
    return identifier(event.object, "parent_payment")


def _details(event: _Event) -> dict[str, Any]:
    """What a capture, a sale or an authorization says beside its amount."""
    return {"method": "paypal", "order_id": event.order_id, "payer": _payer(event)}


def _payer(event: _Event) -> Payer | None:
    """Most objects name nobody, and in a refund it is the merchant who pays."""
    payer = member(event.object, "payer")
    info = member(payer, "payer_info") or payer
    name = info.get("name")
    parts = name if isinstance(name, dict) else info
    return payer_of(
        name=" ".join(part for field in _NAME_PARTS if (part := text(parts, field))) or None,
        email=text(info, "email_address") or text(info, "email"),
        country=country(member(info, "address"), "country_code"),
    )


_NAME_PARTS = ("given_name", "surname", "first_name", "last_name")


# --- refunds and reversals -----------------------------------------------------------------------------------------------


def _refunded(event: _Event) -> Iterator[Fact]:
    """The amount is that of this refund; `total_refunded_amount` is of all refunds so far, and is not looked at."""
    yield _refund(event, _outcome_of_refund(event))


def _refund_failed(event: _Event) -> Iterator[Fact]:
    yield _refund(event, FactType.REFUND_FAILED)


def _reversed(event: _Event) -> Iterator[Fact]:
    """PayPal took the money back by itself, be it for a dispute or a risk, under an id of the reversal or of the payment."""
    yield _refund(event, FactType.REFUND_SUCCEEDED, reason="reversed")


def _outcome_of_refund(event: _Event) -> FactType:
    match event.status:
        case "" | "COMPLETED" | "REFUNDED" | "PARTIALLY_REFUNDED":
            return FactType.REFUND_SUCCEEDED
        case "FAILED" | "CANCELLED":
            return FactType.REFUND_FAILED
        case "PENDING":
            raise Ignored("refund_pending")
        case _:
            raise Ignored("unknown_status")


def _refund(event: _Event, kind: FactType, reason: str | None = None) -> Fact:
    payment_id = _refunded_payment(event)
    if not payment_id and not reason:
        raise Ignored("names_no_payment")
    amount = _money(event.object, "amount", below_zero=True)
    if not amount:
        raise Ignored("zero_amount")
    return event.fact(
        kind,
        event.id,
        payment_id or event.id,
        amount=amount,
        fee=_fee(event),
        capture_id=payment_id or event.id,
        also_known_as=names(_first_generation_payment(event), but=payment_id),
        order_id=event.order_id,
        reason=reason or event.reason,
    )


def _refunded_payment(event: _Event) -> str | None:
    """The capture or sale: a member in the first generation, a link in the second."""
    related = member(member(event.object, "supplementary_data"), "related_ids")
    named = (identifier(event.object, "capture_id"), identifier(event.object, "sale_id"), identifier(related, "capture_id"))
    linked = (_linked(event, rel, kind) for rel in ("up", "capture", "sale") for kind in _KINDS_OF_PAYMENT)
    return next((name for name in (*named, *linked) if name), None)


_KINDS_OF_PAYMENT = ("captures", "capture", "sale")


# --- disputes ------------------------------------------------------------------------------------------------------------


def _dispute_opened(event: _Event) -> Iterator[Fact]:
    if event.status == "RESOLVED":
        yield _dispute_outcome(event)
    else:
        yield _dispute(event, FactType.DISPUTE_OPENED, _disputed(event))


def _dispute_updated(event: _Event) -> Iterator[Fact]:
    if event.status != "RESOLVED":
        raise Ignored("dispute_open")
    yield _dispute_outcome(event)


def _dispute_resolved(event: _Event) -> Iterator[Fact]:
    yield _dispute_outcome(event)


def _dispute_outcome(event: _Event) -> Fact:
    outcome = member(event.object, "dispute_outcome")
    debited = _debited(event)
    match code(outcome, "outcome_code"):
        case "RESOLVED_SELLER_FAVOUR" | "CANCELED_BY_BUYER" | "DENIED":
            lost = None
        case "RESOLVED_BUYER_FAVOUR" | "ACCEPTED":
            refunded = _money(outcome, "amount_refunded") if outcome.get("amount_refunded") else None
            lost = debited or refunded or (_disputed(event) if refunded is None else None)
        case "RESOLVED_WITH_PAYOUT" | "NONE":
            if debited is None:
                raise Ignored("unknown_outcome")
            lost = debited
        case None:
            raise Ignored("unknown_outcome")
        case _:
            raise Ignored("unknown_status")
    return _dispute(event, FactType.DISPUTE_LOST, lost) if lost else _dispute(event, FactType.DISPUTE_WON, _disputed(event))


def _debited(event: _Event) -> Money | None:
    """What the dispute itself cost the seller, without fees; None if the event does not show any movement of money."""
    movements = [moved for moved in objects(event.object, "money_movements", LIST_MAX) if "amount" in moved]
    if not movements:
        return None
    currency = _disputed(event).currency
    total = 0
    for moved in movements:
        amount = _money(moved, "amount")
        is_settlement = code(moved, "reason") in {None, "DISPUTE_SETTLEMENT"} and amount.currency == currency
        if code(moved, "affected_party") == "SELLER" and is_settlement:
            total += amount.value if code(moved, "type") == "DEBIT" else -amount.value
    if total > VALUE_MAX:
        raise Reject("amount_too_large")
    return Money(max(0, total), currency)


def _disputed(event: _Event) -> Money:
    return _money(event.object, "dispute_amount")


def _dispute(event: _Event, kind: FactType, amount: Money) -> Fact:
    transactions = objects(event.object, "disputed_transactions", LIST_MAX)
    payment_ids = [name for disputed in transactions if (name := identifier(disputed, "seller_transaction_id"))]
    if not payment_ids:
        raise Ignored("names_no_payment")
    return event.fact(
        kind,
        required(event.object, "dispute_id"),
        payment_ids[0],
        amount=amount,
        capture_id=payment_ids[0],
        also_known_as=tuple(dict.fromkeys(payment_ids[1:])),
        reason=code(event.object, "reason"),
    )


# --- the table -----------------------------------------------------------------------------------------------------------

_ROWS: dict[str, Callable[[_Event], Iterable[Fact]]] = {
    "PAYMENT.AUTHORIZATION.CREATED": _authorized,
    "PAYMENT.CAPTURE.COMPLETED": _captured,
    "PAYMENT.CAPTURE.DECLINED": _capture_failed,
    "PAYMENT.CAPTURE.DENIED": _capture_failed,
    "PAYMENT.CAPTURE.REFUNDED": _refunded,
    "PAYMENT.CAPTURE.REVERSED": _reversed,
    "PAYMENT.REFUND.CANCELLED": _refund_failed,
    "PAYMENT.REFUND.COMPLETED": _refunded,
    "PAYMENT.REFUND.FAILED": _refund_failed,
    "PAYMENT.SALE.COMPLETED": _sold,
    "PAYMENT.SALE.DENIED": _sale_failed,
    "PAYMENT.SALE.REFUNDED": _refunded,
    "PAYMENT.SALE.REVERSED": _reversed,
    "BILLING.SUBSCRIPTION.PAYMENT.FAILED": _renewal_failed,
    "CUSTOMER.DISPUTE.CREATED": _dispute_opened,
    "CUSTOMER.DISPUTE.UPDATED": _dispute_updated,
    "CUSTOMER.DISPUTE.RESOLVED": _dispute_resolved,
    "RISK.DISPUTE.CREATED": _dispute_opened,
}
"""Event type -> the facts it states."""

_REASONS = {
    "CHECKOUT.ORDER.APPROVED": "not_paid",
    "CHECKOUT.ORDER.COMPLETED": "capture_reports_it",
    "CHECKOUT.ORDER.PROCESSED": "capture_reports_it",
    "CHECKOUT.PAYMENT-APPROVAL.REVERSED": "not_paid",
    "INVOICING.INVOICE.PAID": "capture_reports_it",
    "INVOICING.INVOICE.REFUNDED": "refund_events_report_it",
    "PAYMENT.AUTHORIZATION.VOIDED": "authorization_released",
    "PAYMENT.CAPTURE.PENDING": "not_paid",
    "PAYMENT.REFUND.PENDING": "refund_pending",
    "PAYMENT.SALE.PENDING": "not_paid",
    "PAYMENTS.PAYMENT.CREATED": "not_paid",
}
_FAMILIES = {
    "BILLING": "no_new_fact",
    "BILLING_AGREEMENTS": "no_new_fact",
    "CATALOG": "no_new_fact",
    "CHECKOUT.ORDER": "not_paid",
    "CUSTOMER.ACCOUNT-LIMITATION": "no_new_fact",
    "CUSTOMER.MANAGED-ACCOUNT": "no_new_fact",
    "CUSTOMER.MERCHANT-INTEGRATION": "no_new_fact",
    "IDENTITY": "no_new_fact",
    "INVOICING": "not_paid",
    "MERCHANT": "no_new_fact",
    "PAYMENT.ORDER": "not_paid",
    "PAYMENT.PAYOUTS-ITEM": "not_a_sale",
    "PAYMENT.PAYOUTSBATCH": "not_a_sale",
    "PAYMENT.REFERENCED-PAYOUT-ITEM": "not_a_sale",
    "VAULT": "no_new_fact",
}
"""Why what makes no fact makes none: by event type, else by the longest beginning of it that ends before a dot."""

EVENT_TYPES = frozenset(_ROWS) | frozenset(_REASONS)


# --- money ---------------------------------------------------------------------------------------------------------------

WHOLE_UNITS = frozenset({"HUF", "JPY", "TWD"})
"""Currencies in which PayPal takes no decimals, whatever ISO 4217 says."""


def _money(source: dict[str, Any], name: str, *, below_zero: bool = False) -> Money:
    """An amount of either generation. `below_zero`: the first one may count it as money that went away."""
    stated = member(source, name)
    if not stated:
        raise Reject(UNREADABLE_BODY, f"{name} is missing")
    is_first = "total" in stated or "currency" in stated
    value = stated.get("total", stated.get("value"))
    currency = stated.get("currency" if is_first else "currency_code")
    if not isinstance(currency, str) or currency not in EXPONENTS:
        raise Ignored(UNKNOWN_CURRENCY)
    if is_first and below_zero and isinstance(value, str):
        value = value.removeprefix("-")
    amount = money_from_decimal(value, currency)
    if currency in WHOLE_UNITS and amount.value % 10 ** EXPONENTS[currency]:
        raise Reject("amount_not_expressible")
    return amount


def _cash(event: _Event) -> Money:
    amount = _money(event.object, "amount")
    if not amount:
        raise Ignored("zero_amount")
    return amount


def _fee(event: _Event) -> Money | None:
    """What the platform kept of a payment, or gave back of it with a refund; `paypal_fee` is PayPal's own.

    None if there is none, as everywhere in the first generation.
    """
    places = (member(event.object, name) for name in ("seller_receivable_breakdown", "seller_payable_breakdown"))
    fees = [_money(fee, "amount") for place in places for fee in objects(place, "platform_fees", LIST_MAX)]
    if len({fee.currency for fee in fees}) != 1:
        return None
    return sum(fees[1:], fees[0]) or None


# --- reading objects -----------------------------------------------------------------------------------------------------

_LINKED = re.compile(r"https://[a-z.-]{1,60}/v\d/payments/(?P<kind>[a-z]{1,20})/(?P<id>[A-Za-z0-9_-]{1,64})", re.ASCII)


def _linked(event: _Event, rel: str, kind: str) -> str | None:
    """The id of an object of this kind that is linked in this way."""
    found = (_LINKED.fullmatch(link) for link in _links(event.object, rel))
    return next((match["id"] for match in found if match and match["kind"] == kind), None)


def _links(source: dict[str, Any], rel: str) -> list[str]:
    return [href for link in objects(source, "links", LIST_MAX) if link.get("rel") == rel and (href := text(link, "href"))]
