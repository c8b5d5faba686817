"""What is played and what must come of it, written down before anything runs.

A story is about one payment, or a few that belong together. Its deliveries come in rounds: those of one round are sent all at
once, mixed with those of every other story, and the next round starts when nothing is left to do. So a round holds events whose
order must not matter, and two rounds hold events that arrive a day apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from quittance.money import Money

AWAITS_PAYMENT = "payment"
AWAITS_RENEWAL = "subscription.renewed"
AWAITS_NAME = "payment named"
AWAITS_REGISTRATION = "its business customer to be registered"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file under `events/`, with some of its values changed: path with dots -> value."""

    sample: str
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expected:
    """A document that must exist exactly once: its kind, its total, and whether that is fully paid or not at all."""

    kind: Literal["invoice", "credit_note"]
    total: Money
    paid: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Story:
    """Rounds of deliveries and everything that must exist after the last one."""

    title: str
    rounds: tuple[tuple[Delivery, ...], ...]
    documents: tuple[Expected, ...] = ()
    findings: tuple[str, ...] = ()
    waits_first: tuple[str, ...] = ()
    """What the payment must be waiting for when the first round is done."""


def _platform(name: str, **data: object) -> Delivery:
    """A platform event; `data` replaces members of its `data`, `event` the event's own id, `time` its time."""
    own = {"event": "id", "time": "time"}
    return Delivery(f"platform/{name}.json", {own.get(key, f"data.{key}"): value for key, value in data.items()})


def _stripe(name: str) -> Delivery:
    return Delivery(f"stripe/{name}.json")


def _invoice(value: int, currency: str = "EUR", *, paid: bool = True) -> Expected:
    return Expected("invoice", Money(value, currency), paid)


def _credit_note(value: int, currency: str = "EUR") -> Expected:
    return Expected("credit_note", Money(value, currency))


REGISTERING = Story("Business customer registered, entity created", ((_platform("business_customer.created"),),))
"""The owner of most stories, registered before anything else."""

FORGED = _platform("payment.succeeded", event="evt_forged", payment_id="pay_forged")
"""Sent with somebody else's signature; nothing may come of it."""

_PLATFORM_STORIES = (
    Story(
        "Card payment told three times, refunded in part, paid out",
        (
            (_platform("payment.succeeded"), _platform("payment.succeeded.reported-again"), _platform("payment.succeeded")),
            (_platform("refund.succeeded.partial"), _platform("payout.paid"), _platform("refund.succeeded.partial")),
        ),
        (_invoice(12345), _credit_note(2445)),
    ),
    Story(
        "Refund before its payment; later the refund fails",
        (
            (_platform("refund.succeeded.before-its-payment"),),
            (_platform("payment.succeeded.after-its-refund"),),
            (_platform("refund.failed"),),
        ),
        (_invoice(4000), _credit_note(4000), _invoice(4000)),
        waits_first=(AWAITS_PAYMENT,),
    ),
    Story(
        "Dispute lost before its payment is known",
        (
            (_platform("dispute.lost"), _platform("dispute.opened")),
            (_platform("payment.succeeded.disputed-and-lost"),),
        ),
        (_invoice(8800), _credit_note(8800)),
        waits_first=(AWAITS_PAYMENT,),
    ),
    Story(
        "Dispute won",
        (
            (
                _platform("dispute.won"),
                _platform(
                    "dispute.opened",
                    event="evt_opened_1004",
                    payment_id="pay_1004",
                    dispute_id="dsp_1004",
                    amount={"value": 1990, "currency": "EUR"},
                ),
                _platform("payment.succeeded.disputed-and-won"),
            ),
        ),
        (_invoice(1990),),
    ),
    Story(
        "Dispute lost, then won",
        (
            (
                _platform("payment.succeeded.disputed-and-lost", event="evt_paid_2001", payment_id="pay_2001"),
                _platform("dispute.lost", event="evt_lost_2001", payment_id="pay_2001", dispute_id="dsp_2001"),
            ),
            (
                _platform(
                    "dispute.won",
                    event="evt_won_2001",
                    payment_id="pay_2001",
                    dispute_id="dsp_2001",
                    amount={"value": 8800, "currency": "EUR"},
                ),
            ),
        ),
        (_invoice(8800), _credit_note(8800), _invoice(8800)),
    ),
    Story(
        "Refund, then a dispute about the whole payment",
        (
            (
                _platform("payment.succeeded.disputed-and-lost", event="evt_paid_2002", payment_id="pay_2002"),
                _platform("refund.succeeded.partial", event="evt_refunded_2002", payment_id="pay_2002", refund_id="ref_2002"),
            ),
            (_platform("dispute.lost", event="evt_lost_2002", payment_id="pay_2002", dispute_id="dsp_2002"),),
        ),
        (_invoice(8800), _credit_note(2445), _credit_note(6355)),
        findings=("returned_more_than_paid",),
    ),
    Story("Payment that failed", ((_platform("payment.failed"),),)),
    Story("Payment authorized only", ((_platform("payment.authorized"),),)),
    Story(
        "Direct debit that fails after it had succeeded",
        (
            (
                _platform(
                    "payment.succeeded.disputed-and-won", event="evt_paid_2003", payment_id="pay_2003", method="direct_debit"
                ),
            ),
            (
                _platform(
                    "payment.failed",
                    event="evt_failed_2003",
                    time="2026-11-22T08:00:00Z",
                    payment_id="pay_2003",
                    amount={"value": 1990, "currency": "EUR"},
                ),
            ),
        ),
        (_invoice(1990, paid=False),),
        findings=("payment_failed_after_success",),
    ),
    Story(
        "Renewal, then its payment",
        ((_platform("subscription.renewed"), _platform("subscription.renewed")), (_platform("payment.succeeded.of-renewal"),)),
        (_invoice(1500),),
    ),
    Story(
        "Payment, then the renewal it is for",
        (
            (_platform("payment.succeeded.of-renewal", event="evt_paid_2004", payment_id="pay_2004", invoice_id="bill_2004"),),
            (_platform("subscription.renewed", event="evt_renewed_2004", invoice_id="bill_2004"),),
        ),
        (_invoice(1500),),
        waits_first=(AWAITS_RENEWAL,),
    ),
    Story(
        "Two captures, the second first, then the whole payment",
        (
            (
                _platform("payment.captured.second"),
                _platform("payment.captured.first"),
                _platform("payment.captured.second"),
            ),
            (
                _platform(
                    "payment.succeeded.jpy",
                    event="evt_paid_1007",
                    payment_id="pay_1007",
                    amount={"value": 9000, "currency": "EUR"},
                ),
            ),
        ),
        (_invoice(6000), _invoice(3000)),
    ),
    Story(
        "Yen, which have no decimals",
        (
            (
                _platform(
                    "refund.succeeded.partial",
                    event="evt_refunded_1008",
                    payment_id="pay_1008",
                    refund_id="ref_1008",
                    amount={"value": 2500, "currency": "JPY"},
                ),
                _platform("payment.succeeded.jpy"),
            ),
        ),
        (_invoice(12000, "JPY"), _credit_note(2500, "JPY")),
    ),
    Story(
        "Dinars that two decimals cannot carry",
        (
            (
                _platform(
                    "payment.succeeded.jpy",
                    event="evt_paid_2005",
                    payment_id="pay_2005",
                    amount={"value": 1234, "currency": "KWD"},
                ),
            ),
        ),
        findings=("amount_not_representable",),
    ),
    Story(
        "One payment, two different amounts",
        (
            (_platform("payment.succeeded.disputed-and-won", event="evt_paid_2006", payment_id="pay_2006"),),
            (
                _platform(
                    "payment.succeeded.disputed-and-won",
                    event="evt_other_2006",
                    payment_id="pay_2006",
                    amount={"value": 9990, "currency": "EUR"},
                ),
            ),
        ),
        (_invoice(1990),),
        findings=("conflict",),
    ),
)

_STRIPE_STORIES = (
    Story(
        "Stripe: refund, charge and payment, out of order and twice",
        (
            (
                _stripe("refund.updated"),
                _stripe("refund.created.pending"),
                _stripe("charge.succeeded"),
                _stripe("payment_intent.succeeded"),
                _stripe("refund.updated"),
                _stripe("payment_intent.succeeded"),
            ),
        ),
        (_invoice(4990), _credit_note(1000)),
    ),
    Story(
        "Stripe: dispute lost",
        (
            (
                _stripe("charge.dispute.closed.lost"),
                _stripe("charge.dispute.created"),
                _stripe("payment_intent.succeeded.disputed-and-lost"),
            ),
        ),
        (_invoice(7200), _credit_note(7200)),
    ),
    Story(
        "Stripe: dispute won",
        ((_stripe("charge.dispute.closed.won"), _stripe("payment_intent.succeeded.disputed-and-won")),),
        (_invoice(3100),),
    ),
    Story("Stripe: payment that failed", ((_stripe("payment_intent.payment_failed"), _stripe("payment_intent.payment_failed")),)),
    Story(
        "Stripe: renewal, API version 2020-08-27",
        ((_stripe("payment_intent.succeeded.renewal-2020-08-27"), _stripe("invoice.paid.renewal-2020-08-27")),),
        (_invoice(1900),),
    ),
    Story(
        "Stripe: renewal whose payment is named later, 2025-03-31",
        (
            (_stripe("invoice.paid.renewal-basil"),),
            (_stripe("invoice_payment.paid.renewal-basil"),),
            (_stripe("payment_intent.succeeded.renewal-basil"),),
        ),
        (_invoice(1900),),
        waits_first=(AWAITS_NAME,),
    ),
    Story(
        "Stripe: refunds as running totals, the later one first",
        (
            (_stripe("charge.refunded.2022-11-15.second"),),
            (_stripe("charge.refunded.2022-11-15.first"), _stripe("charge.succeeded.2022-11-15")),
        ),
        (_invoice(6000), _credit_note(2500)),
        waits_first=(AWAITS_PAYMENT,),
    ),
    Story(
        "Stripe: part captured, then the rest",
        ((_stripe("charge.captured.first"),), (_stripe("payment_intent.succeeded.captured-in-full"),)),
        (_invoice(5000), _invoice(4000)),
    ),
    Story("Stripe: yen", ((_stripe("payment_intent.succeeded.jpy"),),), (_invoice(8000, "JPY"),)),
    Story(
        "Stripe: account that nobody has registered yet",
        ((_stripe("payment_intent.succeeded.connect"),), (_platform("business_customer.created.connect"),)),
        (_invoice(6500),),
        waits_first=(AWAITS_REGISTRATION,),
    ),
    Story(
        "Stripe: events that make no document",
        ((_stripe("customer.created"), _stripe("payout.paid"), _stripe("thin.v1.payment_intent.succeeded")),),
    ),
)

STORIES = _PLATFORM_STORIES + _STRIPE_STORIES
"""Everything that is played after the registration, round by round."""

ONE_BY_ONE = Story(
    "Payments one at a time, to measure how long they take",
    (tuple(_platform("payment.succeeded.jpy", event=f"evt_timed_{n}", payment_id=f"pay_timed_{n}") for n in range(1, 8)),),
    (_invoice(12000, "JPY"),) * 7,
)
"""Played last, each delivery alone, with nothing else to do."""
