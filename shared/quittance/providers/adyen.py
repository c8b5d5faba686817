"""Adyen: payment notifications, signed item by item inside their body, and webhooks of the balance platform.

A notification that is refused holds back every later one of its endpoint for up to a month. What is proven to come from Adyen is
therefore always acknowledged: what makes no fact, or cannot be read, is kept with the reason.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quittance.errors import Reject, Retry
from quittance.facts import Fact, FactType
from quittance.providers import SIGNATURE_MISMATCH, SIGNATURE_MISSING, Acknowledgement, Translation, together
from quittance.providers.fields import (
    Ignored,
    code,
    country,
    facts_or_any_reason,
    identifier,
    instant,
    member,
    money,
    payer_of,
    reason_for,
    required,
    text,
)
from quittance.providers.payload import ID_BYTES_MAX, UNREADABLE_BODY, any_equal, json_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from quittance.facts import Payer
    from quittance.money import Money

PROVIDER = "adyen"

ITEMS_MAX = 50
"""Adyen sends one item in JSON and up to six in other formats. Every one may become a message of its own."""

CAPTURE_MODE = "capture_mode"
"""The connection's setting: `immediate` (the default) or `manual`, or an object with one of them for each merchant account.

The account's configuration decides what an authorisation means, and no notification says what it is.
"""

DEVIATING_EXPONENTS = {"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2}
"""Adyen's number of decimals in the four currencies in which its own table says that it departs from ISO 4217."""


# --- verify ------------------------------------------------------------------------------------------------------------


def verify(raw: bytes, headers: Mapping[str, str], secrets: Sequence[str], now_s: int) -> None:  # noqa: ARG001 - nothing is timed
    """Every item must carry the HMAC-SHA256 of its eight signed fields, or else the header that of the whole body.

    Each may be under another one of `secrets`: what waits in Adyen's queue keeps the signature it was queued with.

    Raises `Reject` with a signature code.
    """
    if given := headers.get("hmacsignature"):
        signed = [(raw, [part.strip() for part in given.split(",")])]
    else:
        signed = [(_signed_text(item), [signature]) for item, signature in _signed_items(raw)]
    keys = [*_keys(secrets)]
    # A list, so that every item is checked: stopping at the first would tell which one it was.
    proven = [any_equal([_signature(key, content) for key in keys], signatures) for content, signatures in signed]
    if not all(proven):
        raise Reject(SIGNATURE_MISMATCH)


def _signed_items(raw: bytes) -> list[tuple[dict[str, Any], str]]:
    """Every item with its signature. A body in which one cannot be found is not signed."""
    try:
        items = _items(json_object(raw))
        signed = [(item, text(member(item, "additionalData"), "hmacSignature")) for item in items]
    except Reject:
        raise Reject(SIGNATURE_MISSING) from None
    found = [(item, signature) for item, signature in signed if signature]
    if not found or len(found) < len(signed):
        raise Reject(SIGNATURE_MISSING)
    return found


def _keys(secrets: Sequence[str]) -> Iterator[bytes]:
    for secret in secrets:
        try:
            key = bytes.fromhex(secret)
        except ValueError:
            continue
        if key:
            yield key


def _signature(key: bytes, content: bytes) -> bytes:
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest())


def _signed_text(item: dict[str, Any]) -> bytes:
    """The eight fields as they were written. Nothing in them is escaped, and what is absent is empty."""
    amount = item.get("amount")
    fields = item | (amount if isinstance(amount, dict) else {})
    return ":".join(_as_written(fields.get(name)) for name in _SIGNED_FIELDS).encode()


_SIGNED_FIELDS = (
    *("pspReference", "originalReference", "merchantAccountCode", "merchantReference"),
    *("value", "currency", "eventCode", "success"),
)


def _as_written(value: object) -> str:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number or isinstance(value, str) else ""


def acknowledge() -> Acknowledgement:
    """The body that Adyen's older contract asks for; the newer one looks at the status only."""
    return Acknowledgement(body="[accepted]", content_type="text/plain")


# --- translate -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Item:
    """What every row of the table below starts from."""

    code: str
    reference: str
    """`pspReference`: of the payment, or of what was done to it."""
    original: str | None
    """`originalReference`: the payment, where `reference` is of something else."""
    account: str
    occurred_at: str
    fields: dict[str, Any]
    extra: dict[str, Any]
    """`additionalData`, which is not signed."""
    captured_by_hand: bool

    @property
    def succeeded(self) -> bool:
        """`success` is a text. What any other text would mean is not known."""
        said = _said(self.fields, "success")
        if said not in {"true", "false"}:
            raise Ignored("unknown_status")
        return said == "true"

    @property
    def amount(self) -> Money:
        stated = member(self.fields, "amount")
        return money(stated.get("value"), stated.get("currency"), DEVIATING_EXPONENTS)

    def fact(self, kind: FactType, payment_id: str | None, **more: Any) -> Fact:  # noqa: ANN401 - the fields of `Fact`
        """A fact about what `reference` names, with what `more` adds to it."""
        return Fact(
            type=kind,
            provider=PROVIDER,
            account=self.account,
            key=self.reference,
            occurred_at=self.occurred_at,
            payment_id=payment_id,
            amount=self.amount,
            **more,
        )


def translate(raw: bytes, connection: str, settings: Mapping[str, Any]) -> Translation:
    """The facts that a delivery states, each of the merchant account, or of the account holder, that it names.

    Raises `Reject` for a body that is no delivery of Adyen, and `Retry` for a capture mode that is none.
    """
    body = json_object(raw)
    if "notificationItems" not in body:
        return _of_platform(raw, body, connection)
    is_test = {"true": False, "false": True}.get(text(body, "live") or "")
    return together([_of_item(item, connection, settings, is_test=is_test) for item in _items(body)])


def _items(body: dict[str, Any]) -> list[dict[str, Any]]:
    wrapped = body.get("notificationItems")
    if not isinstance(wrapped, list) or not 0 < len(wrapped) <= ITEMS_MAX:
        raise Reject(UNREADABLE_BODY, "notificationItems is no list of items")
    items = [entry.get("NotificationRequestItem") if isinstance(entry, dict) else None for entry in wrapped]
    if not all(isinstance(item, dict) for item in items):
        raise Reject(UNREADABLE_BODY, "notificationItems is no list of items")
    return [item for item in items if isinstance(item, dict)]


def _of_item(fields: dict[str, Any], connection: str, settings: Mapping[str, Any], *, is_test: bool | None) -> Translation:
    event_code, reference = required(fields, "eventCode"), required(fields, "pspReference")
    account = identifier(fields, "merchantAccountCode") or f"connection:{connection}"
    captured_by_hand = _captured_by_hand(settings, account)

    def facts_of_item() -> Iterable[Fact]:
        item = _Item(
            code=event_code,
            reference=reference,
            original=identifier(fields, "originalReference"),
            account=account,
            occurred_at=instant(fields, "eventDate"),
            fields=fields,
            extra=member(fields, "additionalData"),
            captured_by_hand=captured_by_hand,
        )
        return _facts(item)

    facts, ignored = facts_or_any_reason(facts_of_item)
    # There is no event id. A correction of an event has another time than the event.
    event_id = _bounded(":".join((reference, event_code, *(_said(fields, name) for name in ("success", "eventDate")))))
    return Translation(event_id=event_id, event_type=event_code, account=account, facts=facts, ignored=ignored, is_test=is_test)


def _bounded(name: str) -> str:
    return name if len(name.encode()) <= ID_BYTES_MAX else hashlib.sha256(name.encode()).hexdigest()


def _captured_by_hand(settings: Mapping[str, Any], account: str) -> bool:
    mode = settings.get(CAPTURE_MODE, "immediate")
    if isinstance(mode, dict):
        mode = mode.get(account, "immediate")
    if mode not in ["immediate", "manual"]:  # a list: whatever JSON holds can be looked for in it
        raise Retry("settings_unreadable", f"{CAPTURE_MODE} is neither immediate nor manual")
    return bool(mode == "manual")


def _facts(item: _Item) -> Iterable[Fact]:
    if row := _ROWS.get(item.code):
        return row(item)
    raise Ignored(_REASONS.get(item.code, "unknown_event_type"))


# --- payments ------------------------------------------------------------------------------------------------------------


def _authorisation(item: _Item) -> Iterator[Fact]:
    if not item.amount:
        raise Ignored("zero_amount")
    payment = item.reference
    if not item.succeeded:
        yield item.fact(FactType.PAYMENT_FAILED, payment, order_id=_order(item), reason=code(item.fields, "reason"))
        return
    kind = FactType.PAYMENT_AUTHORIZED if item.captured_by_hand and _can_be_captured(item) else FactType.PAYMENT_SUCCEEDED
    yield item.fact(kind, payment, order_id=_order(item), method=_method(item), payer=_payer(item))


def _can_be_captured(item: _Item) -> bool:
    """Many methods know no separate capture, whatever the account's mode is: then it is not among the operations offered."""
    offered = item.fields.get("operations")
    return not isinstance(offered, list) or not offered or "CAPTURE" in offered


def _capture(item: _Item) -> Iterator[Fact]:
    if not item.succeeded:
        yield _failed_capture(item, capture_id=item.reference)
        return
    yield item.fact(
        FactType.PAYMENT_CAPTURED,
        _payment(item),
        capture_id=item.reference,
        also_known_as=(item.reference,),
        order_id=_order(item),
        method=_method(item),
        payer=_payer(item),
    )


def _capture_failed(item: _Item) -> Iterator[Fact]:
    """A capture that had succeeded. One that followed by itself was never reported: the payment itself is undone then."""
    _require_true(item)
    if item.captured_by_hand:
        yield _failed_capture(item, capture_id=item.reference)
    else:
        yield _failed_capture(item, occurrence=item.reference)


def _failed_capture(item: _Item, **more: str) -> Fact:
    return item.fact(FactType.PAYMENT_FAILED, _payment(item), reason=code(item.fields, "reason"), **more)


def _payment(item: _Item) -> str:
    if not item.original:
        raise Ignored("names_no_payment")
    return item.original


def _require_true(item: _Item) -> None:
    """`success` says only whether what the event code says is so, even where that is a failure."""
    if not item.succeeded:
        raise Ignored("did_not_happen")


# --- refunds -------------------------------------------------------------------------------------------------------------


def _refund(item: _Item) -> Iterator[Fact]:
    kind = FactType.REFUND_SUCCEEDED if item.succeeded else FactType.REFUND_FAILED
    yield item.fact(kind, _payment(item), capture_id=_captured_by(item))


def _refund_with_data(item: _Item) -> Iterator[Fact]:
    """A refund to a card that was given anew may belong to no payment of Adyen; it then waits for one."""
    kind = FactType.REFUND_SUCCEEDED if item.succeeded else FactType.REFUND_FAILED
    yield item.fact(kind, item.original)


def _refund_undone(item: _Item) -> Iterator[Fact]:
    _require_true(item)
    yield item.fact(FactType.REFUND_FAILED, _payment(item))


def _cancel_or_refund(item: _Item) -> Iterator[Fact]:
    match text(item.extra, "modification.action"):
        case "refund":
            yield from _refund(item)
        case "cancel":
            raise Ignored("authorization_released")
        case _:
            raise Ignored("unknown_status")


# --- disputes ------------------------------------------------------------------------------------------------------------


def _dispute_opened(item: _Item) -> Iterator[Fact]:
    yield _dispute(item, _outcome(item) or FactType.DISPUTE_OPENED)


def _dispute_won(item: _Item) -> Iterator[Fact]:
    """Provisionally even: the issuer may come back, and a later event of the same dispute says that it is lost."""
    yield _dispute(item, _outcome(item) or FactType.DISPUTE_WON)


def _dispute_lost(item: _Item) -> Iterator[Fact]:
    yield _dispute(item, _outcome(item) or FactType.DISPUTE_LOST)


def _defense_period_ended(item: _Item) -> Iterator[Fact]:
    """Lost, unless a defense is being considered. Disputes in Brazil have no status, and then nothing was defended."""
    if _dispute_status(item) == "pending":
        raise Ignored("dispute_open")
    yield from _dispute_lost(item)


def _dispute_information(item: _Item) -> Iterator[Fact]:
    if not (outcome := _outcome(item)):
        raise Ignored("dispute_open")
    yield _dispute(item, outcome)


def _dispute_accepted(item: _Item) -> Iterator[Fact]:
    """Somebody accepted the case; who gave in by that, only the status says."""
    if not (outcome := _outcome(item)):
        raise Ignored("unknown_outcome")
    yield _dispute(item, outcome)


def _outcome(item: _Item) -> FactType | None:
    """What the dispute's status says, which is nearer to the truth than the name of the stage that it is in."""
    return {"won": FactType.DISPUTE_WON, "lost": FactType.DISPUTE_LOST}.get(_dispute_status(item))


def _dispute_status(item: _Item) -> str:
    return (text(item.extra, "disputeStatus") or "").lower()


def _dispute(item: _Item, kind: FactType) -> Fact:
    """All stages of a dispute have its reference, but not all name the payment: by the dispute's they find their case."""
    _require_true(item)
    return item.fact(
        kind,
        item.original,
        also_known_as=(item.reference,),
        capture_id=_captured_by(item),
        reason=code(item.extra, "chargebackReasonCode"),
    )


def _captured_by(item: _Item) -> str | None:
    return identifier(item.extra, "capturePspReference")


# --- the table of event codes --------------------------------------------------------------------------------------------

_ROWS: dict[str, Callable[[_Item], Iterable[Fact]]] = {
    "AUTHORISATION": _authorisation,
    "CAPTURE": _capture,
    "CAPTURE_FAILED": _capture_failed,
    "REFUND": _refund,
    "REFUND_WITH_DATA": _refund_with_data,
    "REFUND_FAILED": _refund_undone,
    "REFUNDED_REVERSED": _refund_undone,
    "CANCEL_OR_REFUND": _cancel_or_refund,
    "NOTIFICATION_OF_CHARGEBACK": _dispute_opened,
    "CHARGEBACK": _dispute_opened,
    "CHARGEBACK_REVERSED": _dispute_won,
    "PREARBITRATION_WON": _dispute_won,
    "PREARBITRATION_ISSUER_WITHDRAWN": _dispute_won,
    "SCHEME_ARBITRATION_WON": _dispute_won,
    "ISSUER_RESPONSE_TIMEFRAME_EXPIRED": _dispute_won,
    "SECOND_CHARGEBACK": _dispute_lost,
    "PREARBITRATION_LOST": _dispute_lost,
    "SCHEME_ARBITRATION_LOST": _dispute_lost,
    "DISPUTE_DEFENSE_PERIOD_ENDED": _defense_period_ended,
    "PREARBITRATION_OPEN": _dispute_information,
    "PREARBITRATION_ACCEPTED": _dispute_accepted,
    "PREARBITRATION_DECLINED": _dispute_information,
    "SCHEME_ARBITRATION": _dispute_information,
    "INFORMATION_SUPPLIED": _dispute_information,
    "ISSUER_COMMENTS": _dispute_information,
}

_REASONS = {
    "AUTHORISATION_ADJUSTMENT": "capture_events_report_it",
    "CANCELLATION": "authorization_released",
    "TECHNICAL_CANCEL": "authorization_released",
    "EXPIRE": "authorization_released",
    "OFFER_CLOSED": "not_paid",
    "PENDING": "not_paid",
    "MANUAL_REVIEW_ACCEPT": "no_new_fact",
    "MANUAL_REVIEW_REJECT": "no_new_fact",
    "HANDLED_EXTERNALLY": "no_new_fact",
    "AUTORESCUE": "no_new_fact",
    "CANCEL_AUTORESCUE": "no_new_fact",
    "AUTHENTICATION": "no_new_fact",
    "RECURRING_CONTRACT": "no_new_fact",
    "DISABLE_RECURRING": "no_new_fact",
    "POSTPONED_REFUND": "refund_pending",
    "VOID_PENDING_REFUND": "refund_pending",
    "ORDER_OPENED": "no_new_fact",
    "ORDER_CLOSED": "payments_of_order_report_it",
    "REQUEST_FOR_INFORMATION": "inquiry",
    "NOTIFICATION_OF_FRAUD": "inquiry",
    "PAYOUT_THIRDPARTY": "not_a_sale",
    "PAYOUT_DECLINE": "not_a_sale",
    "PAYOUT_EXPIRE": "not_a_sale",
    "PAIDOUT_REVERSED": "not_a_sale",
    "DONATION": "not_a_sale",
    "REPORT_AVAILABLE": "report_not_read",
    "ACH_NOTIFICATION_OF_CHANGE": "no_new_fact",
    "DIRECT_DEBIT_NOTICE_OF_CHANGE_NOTIFICATION": "no_new_fact",
    "NOTIFICATIONTEST": "no_new_fact",
}
"""Why what makes no fact makes none."""


# --- the balance platform ------------------------------------------------------------------------------------------------


def _of_platform(raw: bytes, body: dict[str, Any], connection: str) -> Translation:
    """Webhooks of balance platforms, and any other in their shape: a type, the environment, and data.

    Those of platforms of the first generation have an `eventType` and `content`.
    """
    event_type = identifier(body, "type") or identifier(body, "eventType")
    data = member(body, "data") or member(body, "content")
    if not event_type or not data:
        raise Reject(UNREADABLE_BODY, "not a delivery of Adyen")
    holder, balance_account = (_said(_inner(data, name), "id") for name in ("accountHolder", "balanceAccount"))
    account = holder or balance_account or _said(data, "balancePlatform")
    account = account if 0 < len(account.encode()) <= ID_BYTES_MAX else f"connection:{connection}"
    facts, ignored = facts_or_any_reason(lambda: [_transfer(event_type, body, data, account)])
    return Translation(
        event_id=_platform_event_id(raw, event_type, body, data),
        event_type=event_type,
        account=account,
        facts=facts,
        ignored=ignored,
        is_test={"live": False, "test": True}.get(_said(body, "environment")),
    )


def _platform_event_id(raw: bytes, event_type: str, body: dict[str, Any], data: dict[str, Any]) -> str:
    """A transfer counts its events; of everything else only the time tells two events apart."""
    number = data.get("sequenceNumber")
    which = str(number) if isinstance(number, int) else _said(body, "timestamp") or _said(data, "status")
    if not (name := _said(data, "id")):
        return hashlib.sha256(raw).hexdigest()
    return _bounded(f"{name}:{event_type}:{which}")


_TRANSFERS = frozenset({"balancePlatform.transfer.created", "balancePlatform.transfer.updated"})
_NOT_PAID_OUT = frozenset({"failed", "returned", "refused", "error", "cancelled", "rejected", "expired", "reversed"})
_ON_ITS_WAY = frozenset(
    {"received", "authorised", "bookingPending", "pending", "pendingApproval", "approvalPending", "pendingExecution"}
)


def _transfer(event_type: str, body: dict[str, Any], data: dict[str, Any], account: str) -> Fact:
    if event_type not in _TRANSFERS:
        raise Ignored(reason_for(event_type, {}, _PLATFORM_FAMILIES))
    is_debit = "DirectDebit" in (text(data, "type") or "")
    if (text(data, "category"), text(data, "direction")) != ("bank", "outgoing") or is_debit:
        raise Ignored("not_a_payout")
    status = text(data, "status") or ""
    if status in _ON_ITS_WAY:
        raise Ignored("payout_pending")
    if status != "booked" and status not in _NOT_PAID_OUT:
        raise Ignored("unknown_status")
    stated = member(data, "amount")
    return Fact(
        type=FactType.PAYOUT_PAID if status == "booked" else FactType.PAYOUT_FAILED,
        provider=PROVIDER,
        account=account,
        key=required(data, "id"),
        occurred_at=instant(body | data, "timestamp", "updatedAt", "creationDate"),
        amount=money(stated.get("value"), stated.get("currency"), DEVIATING_EXPONENTS),
        reason=None if status == "booked" else code(data, "reason"),
    )


_OLD_PLATFORM = (
    "balancePlatform.incomingTransfer balancePlatform.outgoingTransfer balancePlatform.payment ACCOUNT_HOLDER_PAYOUT"
    " COMPENSATE_NEGATIVE_BALANCE DIRECT_DEBIT_INITIATED PAYMENT_FAILURE REFUND_FUNDS_TRANSFER SCHEDULED_REFUNDS TRANSFER_FUNDS"
)
_OF_NO_MONEY = (
    "ACCOUNT_CLOSED ACCOUNT_CREATED ACCOUNT_FUNDS_BELOW_THRESHOLD ACCOUNT_HOLDER_CREATED ACCOUNT_HOLDER_STATUS_CHANGE"
    " ACCOUNT_HOLDER_STORE_STATUS_CHANGE ACCOUNT_HOLDER_UPCOMING_DEADLINE ACCOUNT_HOLDER_UPDATED ACCOUNT_HOLDER_VERIFICATION"
    " ACCOUNT_UPDATED BENEFICIARY_SETUP ach authentication eft merchant paymentMethod paymentMethodRequest recurring"
    " terminalAssignment terminalBoarding terminalSettings balancePlatform.accountHolder balancePlatform.balanceAccount"
    " balancePlatform.balanceAccountHolder balancePlatform.balanceAccountPayoutSchedule"
    " balancePlatform.balanceAccountPayoutScheduleAutoApplication balancePlatform.balanceAccountPayoutScheduleExecution"
    " balancePlatform.balanceAccountSweep balancePlatform.balancePlatformPayoutSchedule balancePlatform.mandate"
    " balancePlatform.negativeBalanceCompensationWarning balancePlatform.networkToken balancePlatform.paymentInstrument"
    " balancePlatform.score balancePlatform.transaction"
)
_OF_OTHER_MONEY = (
    "balancePlatform.authentication balancePlatform.authorisation balancePlatform.capital balancePlatform.cardorder"
    " balancePlatform.dispute balancePlatform.grants capital"
)
_PLATFORM_FAMILIES = (
    dict.fromkeys(_OF_NO_MONEY.split(), "no_new_fact")
    | dict.fromkeys(_OF_OTHER_MONEY.split(), "not_a_sale")
    | dict.fromkeys(_OLD_PLATFORM.split(), "unknown_version")
    | {"balancePlatform.report": "report_not_read", "REPORT_AVAILABLE": "report_not_read"}
)
"""By what a type begins with. Disputes of a balance platform are of cards that it issued, not of its sales.

What older versions of the platform call otherwise may be a payout, and is not read.
"""

EVENT_TYPES = frozenset(_ROWS) | frozenset(_REASONS) | _TRANSFERS


# --- what may be anything: names of events and accounts are told, not relied upon ---------------------------------------------


def _said(source: dict[str, Any], name: str) -> str:
    value = source.get(name)
    return value if isinstance(value, str) else ""


def _inner(source: dict[str, Any], name: str) -> dict[str, Any]:
    value = source.get(name)
    return value if isinstance(value, dict) else {}


# --- people and methods --------------------------------------------------------------------------------------------------

_CARDS = "visa mc amex maestro bcmc cup diners discover jcb elo hipercard cartebancaire dankort eftpos electron troy"
_BANK_TRANSFERS = "bankTransfer ideal sofort giropay eps dotpay trustly ebanking multibanco blik paybybank"
_DEBITS = "sepadirectdebit directdebit ach elv"
_METHOD_OF = (
    dict.fromkeys(_CARDS.split(), "card")
    | dict.fromkeys(_BANK_TRANSFERS.split(), "bank_transfer")
    | dict.fromkeys(_DEBITS.split(), "direct_debit")
    | {"paypal": "paypal"}
)
_NAME_PARTS = re.compile(r"(?:first|last) name=([^,\]]+)")


def _method(item: _Item) -> str | None:
    """By the brand, which may be followed by a wallet or a country: `visa_applepay`, `bankTransfer_IBAN`."""
    brand = (text(item.fields, "paymentMethod") or "").partition("_")[0]
    return _METHOD_OF.get(brand, "other") if brand else None


def _order(item: _Item) -> str | None:
    return identifier(item.fields, "merchantReference")


def _payer(item: _Item) -> Payer | None:
    """Adyen says who paid only if the endpoint is set up to."""
    extra = item.extra
    line = " ".join(part for part in (text(extra, f"billingAddress.{name}") for name in ("street", "houseNumberOrName")) if part)
    return payer_of(
        name=_full_name(text(extra, "shopperName") or text(extra, "cardHolderName") or ""),
        email=text(extra, "shopperEmail"),
        country=country(extra, "billingAddress.country") or country(extra, "shopperCountry"),
        line1=line or None,
        city=text(extra, "billingAddress.city"),
        postal_code=text(extra, "billingAddress.postalCode"),
        state=text(extra, "billingAddress.stateOrProvince"),
    )


def _full_name(said: str) -> str | None:
    """`[first name=Ada, infix=null, last name=Lovelace, gender=UNKNOWN]`, or the name itself."""
    if not said.startswith("["):
        return said or None
    return " ".join(part for part in _NAME_PARTS.findall(said) if part != "null") or None
