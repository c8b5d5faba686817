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
AWAITS_REGISTRATION = "its business customer to be registered"
AWAITS_INVOICE = "invoice"
AWAITS_SETTLEMENT = "settlement"


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
    tax: int = 0
    """Of the total, in minor units."""
    by_platform: bool = False
    """For a fee, to the business customer."""
    reverse_charge: bool = False
    """With the clause that says so and the registry's word on the buyer's number."""


@dataclass(frozen=True, slots=True, eq=False)
class Story:
    """Rounds of deliveries and everything that must exist after the last one."""

    title: str
    rounds: tuple[tuple[Delivery, ...], ...]
    documents: tuple[Expected, ...] = ()
    findings: tuple[str, ...] = ()
    waits_first: tuple[str, ...] = ()
    """What the payment must be waiting for when the first round is done."""


def _platform(name: str, /, **data: object) -> Delivery:
    """A platform event; `data` replaces members of its `data`, `event` the event's own id, `time` its time."""
    own = {"event": "id", "time": "time"}
    return Delivery(f"platform/{name}.json", {own.get(key, f"data.{key}"): value for key, value in data.items()})


def provider_of(sample: str) -> str:
    """Who sends a sample."""
    return sample.partition("/")[0]


def _stripe(name: str, **thing: object) -> Delivery:
    """A Stripe event; `thing` replaces members of its object, `event` the event's own id."""
    own = {"event": "id"}
    return Delivery(f"stripe/{name}.json", {own.get(key, f"data.object.{key}"): value for key, value in thing.items()})


def _adyen(name: str) -> Delivery:
    return Delivery(f"adyen/{name}.json")


def _checkout(name: str) -> Delivery:
    return Delivery(f"checkout/{name}.json")


def _gocardless(name: str) -> Delivery:
    return Delivery(f"gocardless/{name}.json")


def _paypal(name: str) -> Delivery:
    return Delivery(f"paypal/{name}.json")


def _customer(customer: str, name: str, **data: object) -> Delivery:
    """A business customer of the platform's own events alone."""
    email = f"office@{customer.removeprefix('bc_').replace('_', '-')}.example"
    own = {"event": f"evt_registered_{customer}", "business_customer": customer, "name": name, "email": email, "accounts": []}
    return _platform("business_customer.created", **own, **data)


def _paid(owner: str, payment: str, value: int, **data: object) -> Delivery:
    own = {"event": f"evt_paid_{payment}", "business_customer": owner, "payment_id": f"pay_{payment}", "amount": _euros(value)}
    return _platform("payment.succeeded.jpy", **own, **({"customer": _AT_HOME} | data))


def _refunded(customer: str, payment: str, refund: str, value: int, **data: object) -> Delivery:
    own = {"event": f"evt_{refund}", "business_customer": customer, "payment_id": f"pay_{payment}", "refund_id": f"ref_{refund}"}
    return _platform("refund.succeeded.partial", **own, amount=_euros(value), **data)


def _paid_out(customer: str, payment: str, gross: int, fee: int) -> Delivery:
    paid = {"payment_id": f"pay_{payment}", "gross": _euros(gross), "fee": _euros(fee), "net": _euros(gross - fee)}
    own = {"event": f"evt_paid_out_{payment}", "business_customer": customer, "payout_id": f"po_{payment}", "payments": [paid]}
    return _platform("payout.paid", **own, amount=_euros(gross - fee))


def _euros(value: int) -> dict[str, object]:
    return {"value": value, "currency": "EUR"}


_AT_HOME = {"name": "Ana Novak", "country": "SI"}


def _invoice(value: int, currency: str = "EUR", **more: Any) -> Expected:  # noqa: ANN401 - as `Expected` has them
    return Expected("invoice", Money(value, currency), **more)


def _credit_note(value: int, currency: str = "EUR", **more: Any) -> Expected:  # noqa: ANN401 - as `Expected` has them
    return Expected("credit_note", Money(value, currency), **more)


_TAX = {
    "domestic": {"standard": 22, "reduced": 9.5},
    "reverse_charge_clause": "Reverse charge, Article 196 of Directive 2006/112/EC",
}

_EVERY_PAYMENT = tuple(
    {"provider": provider, "account": account}
    for provider, account in (
        ("stripe", "connection:default"),
        ("checkout", "connection:default"),
        ("paypal", "connection:default"),
        ("adyen", "HarbourBooksEU"),
    )
)

REGISTERING = Story(
    "Business customers registered, entities created",
    (
        (
            _platform("business_customer.created", accounts=_EVERY_PAYMENT),
            _platform(
                "business_customer.created.mollie",
                accounts=[
                    {"provider": "mollie", "account": "pfl_QuayBakery1"},
                    {"provider": "adyen", "account": "QuayCoffeeEU"},
                ],
            ),
            _platform("business_customer.created.gocardless"),
            _customer("bc_lantern_pay", "Lantern Pay d.o.o.", role="platform", policy={"tax": _TAX}),
            _customer("bc_tide_kitchen", "Tide Kitchen d.o.o.", policy={"tax": _TAX}),
            _customer("bc_ferry_line", "Ferry Line d.o.o.", policy={"issue_on": "settled", "tax": _TAX}),
            _customer("bc_pier_studio", "Pier Studio d.o.o.", policy={"issue_as": "draft", "tax": _TAX}),
            _customer("bc_cliff_hostel", "Cliff Hostel d.o.o.", policy={"invoices": "both", "tax": _TAX}),
        ),
    ),
)
"""The owners of all stories but one, registered before anything else."""

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

_OF_THE_YEN = {
    f"related_object.{name}": value
    for name, value in {"id": "pi_3Harbour0009", "url": "/v1/payment_intents/pi_3Harbour0009"}.items()
}

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
        "Stripe: renewal whose payment is fetched, 2025-03-31",
        (
            (_stripe("invoice.paid.renewal-basil"),),
            (_stripe("invoice_payment.paid.renewal-basil"),),
            (_stripe("payment_intent.succeeded.renewal-basil"),),
        ),
        (_invoice(1900),),
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
    Story(
        "Stripe: thin event, fetched; yen; refunded in part",
        (
            (Delivery("stripe/thin.v1.payment_intent.succeeded.json", _OF_THE_YEN),),
            (
                _stripe("payment_intent.succeeded.jpy"),
                _stripe(
                    "refund.updated",
                    event="evt_1Harbour0104",
                    id="re_3Harbour0009",
                    charge="ch_3Harbour0009",
                    payment_intent="pi_3Harbour0009",
                    amount=3000,
                    currency="jpy",
                ),
            ),
        ),
        (_invoice(8000, "JPY"), _credit_note(3000, "JPY")),
    ),
    Story(
        "Stripe: registered late, its fee booked later",
        (
            (_stripe("payment_intent.succeeded.connect"),),
            (_platform("business_customer.created.connect"),),
            (_stripe("charge.updated.fee-booked"),),
        ),
        (_invoice(6500),),
        waits_first=(AWAITS_REGISTRATION,),
    ),
    Story(
        "Stripe: events that make no document",
        ((_stripe("customer.created"), _stripe("payout.paid")),),
    ),
)

_OTHER_PROVIDERS_STORIES = (
    Story(
        "Adyen: refund in part, which fails later",
        ((_adyen("AUTHORISATION"), _adyen("REFUND.partial"), _adyen("AUTHORISATION")), (_adyen("REFUND_FAILED"),)),
        (_invoice(11840), _credit_note(2340), _invoice(2340)),
    ),
    Story(
        "Adyen: one delivery, two business customers",
        ((_adyen("AUTHORISATION.two-merchant-accounts"),),),
        (_invoice(1999), _invoice(2999)),
    ),
    Story(
        "Checkout.com: two captures, refund in part",
        (
            (
                _checkout("payment_captured.second"),
                _checkout("payment_approved"),
                _checkout("payment_captured.first"),
            ),
            (_checkout("payment_refunded.partial"),),
        ),
        (_invoice(6000, "GBP"), _invoice(3600, "GBP"), _credit_note(1200, "GBP")),
    ),
    Story(
        "Checkout.com: dispute lost",
        ((_checkout("dispute_lost"), _checkout("dispute_received"), _checkout("payment_captured.disputed")),),
        (_invoice(4400, "GBP"), _credit_note(4400, "GBP")),
    ),
    Story(
        "Mollie: payment and refund fetched after an unsigned call",
        (
            (Delivery("mollie/payment.refunded-in-part.txt"), Delivery("mollie/payment.refunded-in-part.txt")),
            (Delivery("mollie/refund.refunded.full.json"),),
        ),
        (_invoice(6000), _credit_note(1500)),
    ),
    Story(
        "GoCardless: debit fetched, refund in part",
        ((_gocardless("refunds.paid"), _gocardless("payments.confirmed.refunded-in-part")),),
        (_invoice(5900), _credit_note(900)),
    ),
    Story(
        "GoCardless: debit that fails late",
        ((_gocardless("payments.confirmed.failed-later"),), (_gocardless("payments.failed.late"),)),
        (_invoice(2950, paid=False),),
        findings=("payment_failed_after_success",),
    ),
    Story(
        "PayPal: signed with a certificate; refund in part",
        ((_paypal("PAYMENT.CAPTURE.REFUNDED.partial"), _paypal("PAYMENT.CAPTURE.COMPLETED")),),
        (_invoice(8000), _credit_note(3000)),
    ),
)

_CART = [
    {"name": "Copper pot", "quantity": 1, "amount": _euros(9990)},
    {"name": "Fish", "quantity": 3, "amount": _euros(3015), "tax_class": "reduced"},
]

_POLICY_STORIES = (
    Story(
        "Two rates of tax, refunded in thirds",
        (
            (
                _paid("bc_tide_kitchen", "3001", 13005, items=_CART),
                *(_refunded("bc_tide_kitchen", "3001", f"3001_{third}", 4335) for third in (1, 2, 3)),
            ),
        ),
        (_invoice(13005, tax=2063), _credit_note(4335, tax=688), _credit_note(4335, tax=688), _credit_note(4335, tax=687)),
    ),
    Story(
        "Business in another EU country: reverse charge",
        (
            (
                _paid(
                    "bc_tide_kitchen",
                    "3002",
                    24400,
                    customer={"name": "Bistro du Port SA", "country": "FR", "tax_number": "FR40303265045"},
                ),
            ),
        ),
        (_invoice(24400, reverse_charge=True),),
    ),
    Story(
        "Issued when settled; a refund waits for that",
        (
            (_paid("bc_ferry_line", "3003", 12200), _refunded("bc_ferry_line", "3003", "3003", 2440)),
            (_paid_out("bc_ferry_line", "3003", 12200, 300),),
        ),
        (_invoice(12200, tax=2200), _credit_note(2440, tax=440)),
        waits_first=(AWAITS_INVOICE, AWAITS_SETTLEMENT),
    ),
    Story(
        "Draft that settlement makes final",
        ((_paid("bc_pier_studio", "3004", 6100),), (_paid_out("bc_pier_studio", "3004", 6100, 150),)),
        (_invoice(6100, tax=1100),),
        waits_first=(AWAITS_SETTLEMENT,),
    ),
    Story(
        "Sale and the platform's fee, both refunded in part",
        (
            (_paid("bc_cliff_hostel", "3005", 12200, fee=_euros(244)),),
            (_refunded("bc_cliff_hostel", "3005", "3005", 3050, fee=_euros(61)),),
        ),
        (
            _invoice(12200, tax=2200),
            _invoice(244, tax=44, by_platform=True),
            _credit_note(3050, tax=550),
            _credit_note(61, tax=11, by_platform=True),
        ),
    ),
)

STORIES = _PLATFORM_STORIES + _STRIPE_STORIES + _OTHER_PROVIDERS_STORIES + _POLICY_STORIES
"""Everything that is played after the registration, round by round."""

ONE_BY_ONE = Story(
    "Payments one at a time, to measure how long they take",
    (tuple(_platform("payment.succeeded.jpy", event=f"evt_timed_{n}", payment_id=f"pay_timed_{n}") for n in range(1, 8)),),
    (_invoice(12000, "JPY"),) * 7,
)
"""Played last, each delivery alone, with nothing else to do."""
