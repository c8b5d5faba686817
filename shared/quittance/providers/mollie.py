"""Mollie: classic webhooks, which only name an object, and next-generation events, simple or full.

Nothing in a delivery is booked, not even the snapshot of a full event: it may be a day old, and there are events whose snapshot
is of another object than the one they name. What was named is fetched, and every fact that the fetched payment states is told
again, every time. That needs no memory here: a fact's identity is the id of the payment, capture, refund or chargeback, its time
and amount are the object's own, and the ledger holds each once. So it does not matter how often Mollie calls, which of the calls
was lost, or whether both kinds of webhook are active. Running totals such as `amountRefunded` are not looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quittance.errors import Park, Reject
from quittance.facts import Fact, FactType, PayoutAdjustment, PayoutLine
from quittance.money import EXPONENTS, Money, money_from_decimal
from quittance.providers import (
    SIGNATURE_MISMATCH,
    SIGNATURE_MISSING,
    Acknowledgement,
    Reference,
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
    objects,
    payer_of,
    reason_for,
    required,
    text,
)
from quittance.providers.payload import UNREADABLE_BODY, any_equal, hex_digests, json_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from quittance.facts import Payer
    from quittance.providers import Api, FetchedFor

PROVIDER = "mollie"
API_BASE_URL = "https://api.mollie.com/v2/"

PAGE = 250
"""The most that Mollie lists at once."""
PAGES_MAX = 40
"""Of one list. Ten thousand payments in one settlement are more than the ledger keeps of a payout."""

_FORM = re.compile(rb"\w{1,64}=[\w.-]{0,200}(?:&\w{1,64}=[\w.-]{0,200})*")
_ID = re.compile(r"[a-z]{2,12}_[A-Za-z0-9_-]{1,64}", re.ASCII)
"""Ids become part of an address at the API, and those of classic deliveries come from anybody."""


def api_headers(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"}


# --- verify --------------------------------------------------------------------------------------------------------------


def verify(raw: bytes, headers: Mapping[str, str], secrets: Sequence[str], now_s: int) -> None:  # noqa: ARG001 - nothing is timed
    """One of the signatures must be the HMAC-SHA256 of the body under one of `secrets`; while a secret is replaced there are two.

    A classic delivery has none. It proves nothing and is accepted, because all that it can bring about is a look at an object
    with the connection's own key, which any number of calls turns into the same facts.

    Raises `Reject` with a signature code.
    """
    given = headers.get("x-mollie-signature", "").strip()
    if not given:
        if not _names_an_object_at_most(raw):
            raise Reject(SIGNATURE_MISSING)
        return
    if not any_equal(hex_digests(raw, secrets), (signature.strip().removeprefix("sha256=") for signature in given.split(","))):
        raise Reject(SIGNATURE_MISMATCH)


def _names_an_object_at_most(raw: bytes) -> bool:
    form = _form(raw)
    return form is not None and (not form.get("id") or bool(_ID.fullmatch(form["id"])))


def _form(raw: bytes) -> dict[str, str] | None:
    """The fields of a classic delivery; None if the body is anything else."""
    body = raw.strip()
    if not _FORM.fullmatch(body):
        return None
    fields = (field.partition("=") for field in body.decode("ascii").split("&"))
    return {name: value for name, _, value in fields}


def acknowledge() -> Acknowledgement:
    return Acknowledgement()


# --- translate -----------------------------------------------------------------------------------------------------------

_KIND_OF_PREFIX = {"tr": "payment", "ord": "order", "pl": "payment-link", "stl": "settlement", "po": "payout"}
"""What a classic delivery may name, by the beginning of its id."""
_KNOWN_PREFIXES = frozenset({"re", "chb", "cpt", "sub", "cst", "mdt"})
"""Parts of a payment, whose own call names the payment, and what is no payment."""

_OF_PAYMENTS = frozenset(f"payment.{status}" for status in ("paid", "authorized", "failed", "canceled", "expired"))
_OF_PARTS = frozenset(
    {
        *("refund.refunded", "refund.failed", "refund.canceled"),
        *("chargeback.received", "chargeback.reversed", "capture.succeeded"),
    }
)
"""Events about a part of a payment."""
_OF_OTHERS = {
    "payment-link.paid": "payment-link",
    "payout.completed": "payout",
    "payout.failed": "payout",
    "payout.canceled": "payout",
}
_REASONS = {
    "payment.pending": "not_paid",
    "capture.failed": "not_paid",
    "refund.queued": "refund_pending",
    "refund.pending": "refund_pending",
    "refund.processing": "refund_pending",
    "payout.initiated": "payout_pending",
    "payout.processing-at-bank": "payout_pending",
}
_FAMILIES = {
    "balance-transaction": "no_new_fact",
    "business-account-draft-transfer": "not_a_sale",
    "business-account-transfer": "not_a_sale",
    "connect-balance-transfer": "not_a_sale",
    "file": "no_new_fact",
    "profile": "no_new_fact",
    "sales-invoice": "no_new_fact",  # its payment has an event of its own
    "unmatched-credit-transfer": "not_a_sale",
}
"""Why what makes no fact makes none: by event type, else by what comes before its first dot."""

EVENT_TYPES = _OF_PAYMENTS | _OF_PARTS | frozenset(_OF_OTHERS) | frozenset(_REASONS) | frozenset(_KIND_OF_PREFIX.values())
"""Classic deliveries have no type; the kind of object they name stands in for it."""


def translate(raw: bytes, connection: str, settings: Mapping[str, Any]) -> Translation:  # noqa: ARG001
    """The object to fetch that a delivery names.

    Raises `Reject` for a body that is no delivery of Mollie.
    """
    account = f"connection:{connection}"
    form = _form(raw)
    return _of_event(json_object(raw), account) if form is None else _of_call(form, account)


def _of_call(form: dict[str, str], account: str) -> Translation:
    """A classic delivery has no id of its own: it is called after the object it names."""
    named = form.get("id", "")
    if not named:
        return Translation(event_id="none", event_type="unknown", account=account, ignored="names_no_object")
    if not _ID.fullmatch(named):
        raise Reject(UNREADABLE_BODY, "id is no id of Mollie")
    prefix = named.partition("_")[0]
    kind = _KIND_OF_PREFIX.get(prefix)
    if kind is None:
        # Nobody vouches for the delivery: what Mollie never calls for is not worth an alarm.
        reason = "no_new_fact" if prefix in _KNOWN_PREFIXES else "names_no_object"
        return Translation(event_id=named, event_type="unknown", account=account, ignored=reason)
    return Translation(event_id=named, event_type=kind, account=account, fetch=(Reference(kind, named),))


def _of_event(event: dict[str, Any], account: str) -> Translation:
    if event.get("resource") != "event":
        raise Reject(UNREADABLE_BODY, "not an event of Mollie")
    event_id, event_type = required(event, "id"), required(event, "type")
    fetch: tuple[Reference, ...] = ()
    ignored = None
    try:
        fetch = tuple(_named(event, event_id, event_type))
    except Ignored as reason:
        ignored = str(reason)
    entity = member(member(event, "_embedded"), "entity")
    return Translation(
        event_id=event_id,
        event_type=event_type,
        account=account,
        fetch=fetch,
        ignored=ignored,
        is_test=_is_test(event, entity),
        occurred_at=instant(event, "createdAt"),
    )


def _is_test(*sources: dict[str, Any]) -> bool | None:
    modes = [mode for source in sources if (mode := text(source, "mode"))]
    return "test" in modes if modes else None


def _named(event: dict[str, Any], event_id: str, event_type: str) -> Iterator[Reference]:
    """The objects to look at. Events whose snapshot is not of the object they name are about both, as far as one can tell."""
    entity_id = identifier(event, "entityId") or ""
    if event_type in _OF_PAYMENTS:
        embedded = identifier(member(member(event, "_embedded"), "entity"), "id")
        for name in dict.fromkeys(name for name in (entity_id, embedded) if name) or [""]:
            yield Reference("payment", _checked(name, "tr"))
    elif event_type in _OF_PARTS:
        payment_id = _payment_of_part(event)
        yield Reference("payment", payment_id) if payment_id else Reference("event", _checked(event_id, "event"))
    elif kind := _OF_OTHERS.get(event_type):
        yield Reference(kind, _checked(entity_id, {"payment-link": "pl", "payout": "po"}[kind]))
    else:
        raise Ignored(reason_for(event_type, _REASONS, _FAMILIES))


def _checked(name: str, prefix: str) -> str:
    if not _ID.fullmatch(name) or not name.startswith(f"{prefix}_"):
        raise Ignored("names_no_object")
    return name


def _payment_of_part(event: dict[str, Any]) -> str | None:
    """The payment that a refund, a chargeback or a capture belongs to: its snapshot or the link to it says so."""
    link = text(member(member(event, "_links"), "entity"), "href") or ""
    in_link = _PAYMENT_IN_PATH.search(link)
    name = identifier(member(member(event, "_embedded"), "entity"), "paymentId") or (in_link[1] if in_link else None)
    return _checked(name, "tr") if name else None


_PAYMENT_IN_PATH = re.compile(r"/payments/(tr_[A-Za-z0-9_-]{1,64})(?:/|$)", re.ASCII)


# --- fetch ---------------------------------------------------------------------------------------------------------------


def fetch(reference: Reference, api: Api, settings: Mapping[str, Any], told: FetchedFor) -> tuple[Translation, ...]:  # noqa: ARG001
    """Everything that the object states now, whether it was told before or not; for an order or a link, that its payments state.

    Raises `Retry` or `Park` as `api` does, and `Reject` for an answer that makes no sense.
    """
    try:
        return _fetched(reference, api, told)
    except Ignored as reason:
        return (_translation(told, told.account, (), str(reason)),)


def _fetched(reference: Reference, api: Api, told: FetchedFor) -> tuple[Translation, ...]:
    match reference.object:
        case "payment":
            return _of_payment(reference.id, api, told)
        case "event":
            return _of_payment(_payment_of_event(reference.id, api), api, told)
        case "order":
            order = api.get(f"orders/{reference.id}", {"embed": "payments"})
            return _of_payments(objects(member(order, "_embedded"), "payments"), api, told)
        case "payment-link":
            return _of_payments(_pages(api, f"payment-links/{reference.id}/payments", "payments"), api, told)
        case "settlement":
            return _of_settlement(reference.id, api, told)
        case "payout":
            return (_of_payout(reference.id, api, told),)
        case _:
            raise Ignored("unknown_object")


def _payment_of_event(event_id: str, api: Api) -> str:
    if not (payment_id := _payment_of_part(api.get(f"events/{event_id}"))):
        raise Ignored("names_no_payment")
    return payment_id


def _of_payments(payments: Iterable[dict[str, Any]], api: Api, told: FetchedFor) -> tuple[Translation, ...]:
    names = dict.fromkeys(_checked(required(payment, "id"), "tr") for payment in payments)
    meanings = [meaning for name in names for meaning in _of_payment(name, api, told)]
    return tuple(meanings) or (_translation(told, told.account, (), "not_paid"),)


def _of_payment(payment_id: str, api: Api, told: FetchedFor) -> tuple[Translation, ...]:
    """What a payment states; a part of it in a state that is not known is told besides, because it takes nothing away."""
    fetched = api.get(f"payments/{payment_id}", {"embed": "captures,chargebacks,refunds"})
    payment = _Payment(fetched, required(fetched, "id"), identifier(fetched, "profileId") or told.account, told)
    facts, ignored = facts_or_reason(lambda: _facts(payment, api))
    has_unknown = any(_is_unknown(payment, name) for name in _STATUSES_OF_PARTS)
    meanings = [_translation(told, payment.account, facts, ignored, fetched)] if facts or ignored else []
    meanings += [_translation(told, payment.account, (), "unknown_status", fetched)] if has_unknown else []
    return tuple(meanings) or (_translation(told, payment.account, (), "not_paid", fetched),)


_STATUSES_OF_PARTS = {
    "captures": {"pending", "succeeded", "failed"},
    "refunds": {"queued", "pending", "processing", "refunded", "failed", "canceled"},
}


def _is_unknown(payment: _Payment, name: str) -> bool:
    return any(text(part, "status") not in {None, *_STATUSES_OF_PARTS[name]} for part in payment.parts(name))


def _translation(
    told: FetchedFor, account: str, facts: tuple[Fact, ...], ignored: str | None, *sources: dict[str, Any]
) -> Translation:
    return Translation(
        event_id=told.event_id,
        event_type=told.event_type,
        account=account,
        facts=facts,
        ignored=ignored,
        is_test=_is_test(*sources),
    )


@dataclass(frozen=True, slots=True)
class _Payment:
    """A fetched payment, and for whose sake it was fetched."""

    object: dict[str, Any]
    id: str
    account: str
    told: FetchedFor

    def parts(self, name: str) -> list[dict[str, Any]]:
        """Its captures, chargebacks or refunds."""
        return objects(member(self.object, "_embedded"), name)

    def fact(self, kind: FactType, source: dict[str, Any], occurred_at: str, **more: Any) -> Fact:  # noqa: ANN401 - fields of `Fact`
        """A fact about the payment, or about the part of it that `source` is."""
        return Fact(
            type=kind,
            provider=PROVIDER,
            account=self.account,
            key=required(source, "id"),
            occurred_at=occurred_at,
            payment_id=self.id,
            amount=_amount(source, "amount"),
            **more,
        )


_STATUSES = frozenset({"open", "pending", "authorized", "paid", "canceled", "expired", "failed"})


def _facts(payment: _Payment, api: Api) -> Iterator[Fact]:
    if text(payment.object, "status") not in _STATUSES:
        raise Ignored("unknown_status")
    yield from _sale(payment, api)
    yield from _failure(payment)
    yield from _refunds(payment)
    yield from _chargebacks(payment)


def _sale(payment: _Payment, api: Api) -> Iterator[Fact]:
    """What was authorized, and what of it was captured, else that it was paid: captures and a success never both count."""
    source = payment.object
    is_authorized, is_paid = (text(source, "status") == s or f"{s}At" in source for s in ("authorized", "paid"))
    captures = [capture for capture in payment.parts("captures") if text(capture, "status") in {None, "succeeded"}]
    if not (is_authorized or is_paid or captures):
        return
    if not _amount(source, "amount"):
        raise Ignored("zero_amount")  # it only sets up a mandate
    details = _details(source) | {"payer": _payer(source, api)}
    if is_authorized:
        yield payment.fact(FactType.PAYMENT_AUTHORIZED, source, instant(source, "authorizedAt", "createdAt"), **details)
    if captures:
        yield from _captured(payment, captures, details)
    elif is_paid:
        yield from _paid(payment, details)


def _captured(payment: _Payment, captures: list[dict[str, Any]], details: dict[str, Any]) -> Iterator[Fact]:
    """The fee of the payment goes with its first capture. The only one may leave its amount out: it took everything."""
    fee = _fee(payment.object)
    whole = {"amount": member(payment.object, "amount")} if len(captures) == 1 else {}
    for capture in sorted(captures, key=lambda capture: (instant(capture, "createdAt"), required(capture, "id"))):
        made_at, name = instant(capture, "createdAt"), required(capture, "id")
        yield payment.fact(FactType.PAYMENT_CAPTURED, whole | capture, made_at, capture_id=name, fee=fee, **details)
        fee = None


def _paid(payment: _Payment, details: dict[str, Any]) -> Iterator[Fact]:
    source = payment.object
    paid_at = instant(source, "paidAt", "createdAt")
    subscription_id = identifier(source, "subscriptionId")
    is_renewal = bool(subscription_id) and text(source, "sequenceType") == "recurring"
    yield payment.fact(
        FactType.PAYMENT_SUCCEEDED,
        source,
        paid_at,
        fee=_fee(source),
        subscription_id=subscription_id,
        awaits_renewal=True if is_renewal else None,
        **details,
    )
    if is_renewal:
        yield payment.fact(
            FactType.SUBSCRIPTION_RENEWED,
            source,
            paid_at,
            subscription_id=subscription_id,
            subscription_plan=details.get("description"),
            payer=details["payer"],
        )


def _failure(payment: _Payment) -> Iterator[Fact]:
    """A payment that expired or was canceled never had money, unless it had been authorized: then that is over."""
    source = payment.object
    status = text(source, "status")
    was_promised = "authorizedAt" in source or "paidAt" in source
    if status == "failed" or (status in {"canceled", "expired"} and was_promised):
        reason = code(member(source, "details"), "failureReason") or status
        failed_at = instant(source, f"{status}At", "createdAt")
        yield payment.fact(FactType.PAYMENT_FAILED, source, failed_at, reason=reason)


def _refunds(payment: _Payment) -> Iterator[Fact]:
    """A refund says when it was made. When it failed it does not say: that is known since the call that made us look."""
    for refund in payment.parts("refunds"):
        made_at = instant(refund, "createdAt")
        match text(refund, "status"):
            case "refunded":
                yield payment.fact(FactType.REFUND_SUCCEEDED, refund, made_at)
            case "failed" | "canceled":
                yield payment.fact(FactType.REFUND_FAILED, refund, max(made_at, payment.told.occurred_at))


def _chargebacks(payment: _Payment) -> Iterator[Fact]:
    """The money is gone at once. The amount is in the payment's currency; `settlementAmount` need not be."""
    for chargeback in payment.parts("chargebacks"):
        made_at = instant(chargeback, "createdAt")
        reason = code(member(chargeback, "reason"), "code")
        yield payment.fact(FactType.DISPUTE_OPENED, chargeback, made_at, reason=reason)
        yield payment.fact(FactType.DISPUTE_LOST, chargeback, made_at, reason=reason)
        if "reversedAt" in chargeback:
            yield payment.fact(FactType.DISPUTE_WON, chargeback, instant(chargeback, "reversedAt"))


# --- settlements and payouts ---------------------------------------------------------------------------------------------

_OUTCOME_OF_SETTLEMENT = {"paidout": FactType.PAYOUT_PAID, "failed": FactType.PAYOUT_FAILED}
_OUTCOME_OF_PAYOUT = {
    "completed": FactType.PAYOUT_PAID,
    "failed": FactType.PAYOUT_FAILED,
    "canceled": FactType.PAYOUT_FAILED,
}


def _outcome(source: dict[str, Any], outcomes: dict[str, FactType], pending: set[str]) -> FactType:
    status = text(source, "status") or ""
    if status not in outcomes:
        raise Ignored("payout_pending" if status in pending else "unknown_status")
    return outcomes[status]


def _of_settlement(settlement_id: str, api: Api, told: FetchedFor) -> tuple[Translation, ...]:
    """A settlement pays the whole organisation: it is told to each profile that has a part in it, with that part."""
    settlement = api.get(f"settlements/{settlement_id}")
    kind = _outcome(settlement, _OUTCOME_OF_SETTLEMENT, {"open", "pending"})
    whole = _amount(settlement, "amount")
    shares = _shares(settlement_id, api, whole.currency) if kind is FactType.PAYOUT_PAID else {}
    is_shared = len(shares) > 1
    facts = [
        Fact(
            type=kind,
            provider=PROVIDER,
            account=account,
            key=required(settlement, "id"),
            occurred_at=instant(settlement, "settledAt", "createdAt"),
            amount=Money(max(0, share.net), whole.currency) if is_shared else whole,
            payout_lines=tuple(share.lines.values()),
            payout_adjustments=tuple(share.adjustments),
        )
        for account, share in (shares or {told.account: _Share()}).items()
    ]
    return tuple(_translation(told, fact.account, (fact,), None) for fact in facts)


@dataclass(slots=True)
class _Share:
    """One profile's part in a settlement. Mollie's own fees are not told payment by payment."""

    lines: dict[str, PayoutLine] = field(default_factory=dict)
    adjustments: list[PayoutAdjustment] = field(default_factory=list)

    @property
    def net(self) -> int:
        return sum(line.net for line in self.lines.values()) + sum(part.net for part in self.adjustments)

    def add(self, payment_id: str, amount: int) -> None:
        """A payment, or one capture of it."""
        amount += self.lines[payment_id].gross if payment_id in self.lines else 0
        self.lines[payment_id] = PayoutLine(payment_id=payment_id, gross=amount, fee=0, net=amount)


def _shares(settlement_id: str, api: Api, currency: str) -> dict[str, _Share]:
    """By profile. A payment that was captured in parts is settled by its captures."""
    shares: dict[str, _Share] = {}
    settled_whole = set()
    for payment in _pages(api, f"settlements/{settlement_id}/payments", "payments"):
        if amount := _settled(payment, currency):
            settled_whole.add(required(payment, "id"))
            shares.setdefault(required(payment, "profileId"), _Share()).add(required(payment, "id"), amount)
    for kind in ("captures", "chargebacks", "refunds"):
        for part in _pages(api, f"settlements/{settlement_id}/{kind}", kind, embed="payment"):
            payment = member(member(part, "_embedded"), "payment")
            payment_id, amount = required(payment, "id"), _settled(part, currency)
            share = shares.setdefault(required(payment, "profileId"), _Share())
            if kind != "captures":
                name = {"kind": kind.removesuffix("s"), "id": required(part, "id"), "payment_id": payment_id}
                share.adjustments.append(PayoutAdjustment(**name, gross=amount, fee=0, net=amount))
            elif amount and payment_id not in settled_whole:
                share.add(payment_id, amount)
    return shares


def _settled(source: dict[str, Any], currency: str) -> int:
    """What it came to in the settlement, less than nothing where money went back; 0 if that was in another currency."""
    stated = member(source, "settlementAmount")
    written = text(stated, "value") or ""
    if text(stated, "currency") != currency:
        return 0
    size = money_from_decimal(written.removeprefix("-"), currency).value
    return -size if written.startswith("-") else size


def _of_payout(payout_id: str, api: Api, told: FetchedFor) -> Translation:
    """A payout of a balance names no payments."""
    payout = api.get(f"payouts/{payout_id}")
    kind = _outcome(payout, _OUTCOME_OF_PAYOUT, {"requested", "initiated", "processing-at-bank", "pending"})
    finished_at = instant(payout, "completedAt", "canceledAt", "createdAt")
    fact = Fact(
        type=kind,
        provider=PROVIDER,
        account=told.account,
        key=required(payout, "id"),
        occurred_at=finished_at if kind is FactType.PAYOUT_PAID else max(finished_at, told.occurred_at),
        amount=_amount(payout, "amount") if "amount" in payout else None,
        reason=code(member(payout, "statusReason"), "code"),
    )
    return _translation(told, told.account, (fact,), None, payout)


# --- reading objects -----------------------------------------------------------------------------------------------------


def _pages(api: Api, path: str, name: str, **params: str) -> Iterator[dict[str, Any]]:
    """Every entry of a list. Only the cursor is taken from the link to the next page: our key goes nowhere else."""
    asked = {"limit": str(PAGE)} | params
    for _ in range(PAGES_MAX):
        page = api.get(path, asked)
        yield from objects(member(page, "_embedded"), name)
        following = _CURSOR.search(text(member(member(page, "_links"), "next"), "href") or "")
        if not following:
            return
        asked = asked | {"from": following[1]}
    raise Reject("list_too_long")


_CURSOR = re.compile(r"[?&]from=([A-Za-z0-9_-]{1,80})(?:&|$)", re.ASCII)


def _amount(source: dict[str, Any], name: str) -> Money:
    """`{"value": "10.00", "currency": "EUR"}`, exactly."""
    stated = member(source, name)
    currency = text(stated, "currency")
    if currency not in EXPONENTS:
        raise Ignored(UNKNOWN_CURRENCY)
    return money_from_decimal(stated.get("value"), currency)


def _fee(payment: dict[str, Any]) -> Money | None:
    """What the platform keeps, with Mollie Connect."""
    fee = member(payment, "applicationFee")
    return _amount(fee, "amount") if "amount" in fee else None


_DIRECT_DEBIT = "directdebit bacs"
_CARD = "creditcard applepay googlepay pointofsale"
_BANK_TRANSFER = "banktransfer ideal bancontact belfius eps giropay kbc multibanco paybybank przelewy24 sofort trustly"
_METHOD_OF = (
    {"paypal": "paypal"}
    | dict.fromkeys(_CARD.split(), "card")
    | dict.fromkeys(_DIRECT_DEBIT.split(), "direct_debit")
    | dict.fromkeys(_BANK_TRANSFER.split(), "bank_transfer")
)


def _details(payment: dict[str, Any]) -> dict[str, Any]:
    method = text(payment, "method")
    return {
        "method": _METHOD_OF.get(method, "other") if method else None,
        "order_id": identifier(payment, "orderId"),
        "description": text(payment, "description"),
    }


def _payer(payment: dict[str, Any], api: Api) -> Payer | None:
    """By the billing address, else the customer, else what the bank or the card says."""
    address, details = member(payment, "billingAddress"), member(payment, "details")
    name = text(address, "organizationName") or _full_name(address)
    email = text(address, "email")
    if not name and (customer_id := identifier(payment, "customerId")):
        customer = _customer(customer_id, api)
        name, email = text(customer, "name"), email or text(customer, "email")
    return payer_of(
        name=name or text(details, "consumerName") or text(details, "cardHolder"),
        email=email,
        country=country(address, "country") or country(payment, "countryCode"),
        line1=text(address, "streetAndNumber"),
        line2=text(address, "streetAdditional"),
        city=text(address, "city"),
        postal_code=text(address, "postalCode"),
        state=text(address, "region"),
    )


def _full_name(address: dict[str, Any]) -> str | None:
    return " ".join(part for part in (text(address, "givenName"), text(address, "familyName")) if part) or None


def _customer(customer_id: str, api: Api) -> dict[str, Any]:
    """Empty if it was deleted, which takes nothing away from the payment."""
    if not _ID.fullmatch(customer_id):
        return {}
    try:
        return api.get(f"customers/{customer_id}")
    except Park:
        return {}
