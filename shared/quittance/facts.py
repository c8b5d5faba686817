"""Facts: what happened to money, once, each under a business key.

Providers report one fact late, twice, in several event types and in any order. A fact's `identity` is what makes two reports
the same fact; its `substance` is what must then agree. Everything else is enrichment that a later report may add.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from quittance.money import Money


class FactType(StrEnum):
    """The canonical events: everything a provider can tell us that may concern a document."""

    BUSINESS_CUSTOMER_CREATED = "business_customer.created"
    BUSINESS_CUSTOMER_UPDATED = "business_customer.updated"
    PAYMENT_AUTHORIZED = "payment.authorized"
    PAYMENT_SUCCEEDED = "payment.succeeded"
    PAYMENT_CAPTURED = "payment.captured"
    PAYMENT_FAILED = "payment.failed"
    PAYMENT_SETTLED = "payment.settled"
    SUBSCRIPTION_RENEWED = "subscription.renewed"
    REFUND_SUCCEEDED = "refund.succeeded"
    REFUND_FAILED = "refund.failed"
    DISPUTE_OPENED = "dispute.opened"
    DISPUTE_WON = "dispute.won"
    DISPUTE_LOST = "dispute.lost"
    PAYOUT_PAID = "payout.paid"
    PAYOUT_FAILED = "payout.failed"
    FEES_CLOSED = "fees.closed"
    FEES_RETURNED = "fees.returned"


REGISTRATION_TYPES = frozenset({FactType.BUSINESS_CUSTOMER_CREATED, FactType.BUSINESS_CUSTOMER_UPDATED})
INTERNAL_TYPES = frozenset({FactType.PAYMENT_SETTLED, FactType.FEES_CLOSED, FactType.FEES_RETURNED})
"""What no provider reports: we conclude it."""
PAYOUT_TYPES = frozenset({FactType.PAYOUT_PAID, FactType.PAYOUT_FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Who paid, as printed on the document. Personal data: never logged."""

    name: str | None = None
    email: str | None = None
    country: str | None = None
    """ISO 3166-1 alpha-2, upper case."""
    tax_number: str | None = None
    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    postal_code: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of what was sold. `amount` is the total of the line in minor units of the payment's currency."""

    name: str
    quantity: int
    amount: int
    tax_class: str = ""
    """Which of the policy's rates it carries; empty: the standard one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutLine:
    """What one payment contributed to a payout, in minor units of the payout's currency."""

    payment_id: str
    gross: int
    fee: int
    """What the platform kept of it."""
    net: int
    """What was paid out. Less than `gross` without `fee` where the payment provider kept a fee of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutAdjustment:
    """What else a payout holds: refunds, disputes, reserves, fees of no payment. In minor units of the payout's currency."""

    kind: str
    """The provider's own code."""
    id: str
    gross: int
    fee: int
    net: int
    payment_id: str | None = None
    """The payment it belongs to, if it names one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that happened to money. `key` is the business id as the provider wrote it.

    `account` says whose money it is: a provider account (`acct_...`), `connection:NAME` for deliveries that name none, or
    for platform events the business customer itself.
    """

    type: FactType
    provider: str
    account: str
    key: str
    occurred_at: str
    """When it first happened, RFC 3339 in UTC with second precision, e.g. 2026-11-20T10:00:00Z. Such strings sort by time."""
    last_occurred_at: str = ""
    """When it was last reported to have happened, e.g. a dispute lost again; empty when there was one report."""
    occurrence: str = ""
    """Tells apart several facts under one key: the failed attempt, or the running total of a cumulative report."""
    payment_id: str | None = None
    """The payment this fact belongs to; None for payouts, registrations and renewals whose payment is not known yet."""
    amount: Money | None = None
    running_total: bool = False
    """`amount` is all that was captured or refunded under this key so far, not what this event added."""
    also_known_as: tuple[str, ...] = ()
    """Other ids under which the provider may name this payment: a charge, a billing invoice."""
    invoice_id: str | None = None
    """The provider's billing invoice that a payment pays, or that a renewal raised."""
    awaits_renewal: bool | None = None
    """Whether the billing invoice that is paid is one that a `subscription.renewed` reports too. None: this report cannot say."""
    is_paid: bool | None = None
    """Of a renewal: the provider says that it has been paid, by a payment that it may name only later."""
    capture_id: str | None = None
    subscription_id: str | None = None
    subscription_plan: str | None = None
    period_start: str | None = None
    """First day of the service period, YYYY-MM-DD or RFC 3339."""
    period_end: str | None = None
    method: str | None = None
    """card, bank_transfer, direct_debit, paypal, cash or other; None when the provider did not say."""
    fee: Money | None = None
    """What the platform kept of a payment, or gave back of it with a refund."""
    order_id: str | None = None
    description: str | None = None
    reason: str | None = None
    payer: Payer | None = None
    items: tuple[Item, ...] = ()
    payout_lines: tuple[PayoutLine, ...] = ()
    payout_adjustments: tuple[PayoutAdjustment, ...] = ()
    registration: dict[str, Any] | None = None
    """The validated `data` of a business_customer event."""

    @property
    def identity(self) -> str:
        """What makes two reports the same fact, within one provider account."""
        return f"{self.type}#{self.key}" + (f"#{self.occurrence}" if self.occurrence else "")

    @property
    def latest_at(self) -> str:
        """When it last happened: what decides between a dispute won and the same dispute lost."""
        return max(self.occurred_at, self.last_occurred_at)

    @property
    def case_ids(self) -> tuple[str, ...]:
        """Every id that names the payment this fact belongs to, most specific first; the ledger joins them into one case."""
        named = (self.payment_id, self.invoice_id, *self.also_known_as)
        return tuple(dict.fromkeys(i for i in named if i)) or (self.key,)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dictionary without empty fields; `fact_from_json` restores an equal fact."""
        said = filled_fields(self)
        if not self.running_total:
            del said["running_total"]
        return said


_EMPTY = (None, "", ())
_PLAIN = (str, int, dict, type(None))
_FACT_FIELDS = frozenset(field.name for field in fields(Fact))


def filled_fields(record: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    """The fields of a dataclass that are not empty, ready for JSON. `asdict` is not used: its copies cost most of an event."""
    values = [(name, getattr(record, name)) for name in record.__dataclass_fields__]
    return {name: _plain(value) for name, value in values if value or value not in _EMPTY}


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a field holds
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}


def fact_from_json(data: dict[str, Any]) -> Fact:
    """The inverse of `Fact.to_json`. Raises `TypeError`, `ValueError` or `KeyError` for anything else."""
    if unknown := set(data) - _FACT_FIELDS:
        raise ValueError(f"unknown fact fields: {sorted(unknown)}")
    values = dict(data)
    values["type"] = FactType(values["type"])
    for name in ("amount", "fee"):
        if name in values:
            values[name] = Money(**values[name])
    if "payer" in values:
        values["payer"] = Payer(**values["payer"])
    values["items"] = tuple(Item(**item) for item in values.get("items", ()))
    values["payout_lines"] = tuple(PayoutLine(**line) for line in values.get("payout_lines", ()))
    adjustments = values.get("payout_adjustments", ())
    values["payout_adjustments"] = tuple(PayoutAdjustment(**adjustment) for adjustment in adjustments)
    values["also_known_as"] = tuple(values.get("also_known_as", ()))
    return Fact(**values)


_SUBSTANCE = ("amount",)
_SUBSTANCE_OF_ONE_SOURCE = ("amount", "fee", "invoice_id", "items", "payer", "period_start", "period_end", "subscription_plan")


def conflicting_fields(known: Fact, reported: Fact) -> tuple[str, ...]:
    """The fields in which two reports of one fact contradict each other; empty when they agree.

    Providers describe one fact in several event types with more or less detail, so only the amount must agree. The platform
    reports each fact in one type of event: whatever it says twice must be the same.
    """
    compared = _SUBSTANCE_OF_ONE_SOURCE if known.provider == "platform" else _SUBSTANCE
    pairs = ((name, getattr(known, name), getattr(reported, name)) for name in compared)
    return tuple(name for name, before, now in pairs if before != now and before not in _EMPTY and now not in _EMPTY)


def merged(known: Fact, reported: Fact) -> Fact:
    """One fact out of two reports of it, the same whichever came first.

    The first time wins and the last is kept beside it; what only one report says is added; where both say something, the
    earlier report does, and of two reports of the same second the one that sorts first. A payment awaits its renewal only as
    long as no report says that there is none to come.
    """
    if known.identity != reported.identity:
        raise ValueError("only reports of the same fact can be merged")
    latest = max(known.latest_at, reported.latest_at)
    first, second = (known, reported) if known.occurred_at <= reported.occurred_at else (reported, known)
    is_tie = known.occurred_at == reported.occurred_at
    pairs = {field.name: (getattr(first, field.name), getattr(second, field.name)) for field in fields(Fact)}
    said = {name: _said(one, other, is_tie=is_tie) for name, (one, other) in pairs.items()}
    return Fact(
        **said
        | {
            "payer": _payer(first.payer, second.payer, is_tie=is_tie),
            "last_occurred_at": latest if latest > first.occurred_at else "",
            "also_known_as": tuple(sorted({*first.also_known_as, *second.also_known_as})),
            "awaits_renewal": _awaits_renewal(first.awaits_renewal, second.awaits_renewal),
        },
    )


def _said(one: Any, other: Any, *, is_tie: bool) -> Any:  # noqa: ANN401 - whatever a field holds
    if one in _EMPTY or other in _EMPTY:
        return other if one in _EMPTY else one
    return min(one, other, key=repr) if is_tie else one


def _payer(one: Payer | None, other: Payer | None, *, is_tie: bool) -> Payer | None:
    """The payer with what only one report says of it; two payers who contradict each other are never mixed."""
    if one is None or other is None:
        return one or other
    pairs = {field.name: (getattr(one, field.name), getattr(other, field.name)) for field in fields(Payer)}
    if any(left != right and left not in _EMPTY and right not in _EMPTY for left, right in pairs.values()):
        return min(one, other, key=repr) if is_tie else one
    return Payer(**{name: _said(left, right, is_tie=False) for name, (left, right) in pairs.items()})


def _awaits_renewal(*reports: bool | None) -> bool | None:
    said = [report for report in reports if report is not None]
    return all(said) if said else None
