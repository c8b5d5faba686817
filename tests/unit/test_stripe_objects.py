"""Objects of Stripe's API: what they mean as they are now, for the sake of the event that named them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import stripe as official

from quittance.errors import Park, Reject, Retry
from quittance.facts import Fact, FactType, PayoutAdjustment, PayoutLine, fact_from_json
from quittance.money import Money
from quittance.providers import FetchedFor, Reference, Translation, stripe
from quittance.providers.payload import json_object
from quittance.providers.stripe import objects
from tests.unit.stripe_payloads import charge, dispute, event, intent, invoice, payout, refund, session, translation

if TYPE_CHECKING:
    from collections.abc import Mapping

AT = "2026-11-20T10:00:00Z"
LINK = {"id": "inpay_1", "object": "invoice_payment", "status": "paid", "amount_paid": 5000, "currency": "eur", "invoice": "in_1"}
LINK |= {"payment": {"type": "payment_intent", "payment_intent": "pi_1"}}
NOTHING_PAID = {"object": "list", "data": [], "has_more": False}


class Stripe:
    """An API that holds these answers by path, and notes what it was asked for."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = {"v1/invoice_payments": NOTHING_PAID} | answers
        self.asked: list[tuple[str, dict[str, str]]] = []

    def get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        self.asked.append((path, dict(params or {})))
        answer = self._answers.get(path)
        if callable(answer):
            answer = answer(dict(params or {}))
        if answer is None:
            raise Park("object_not_found")
        return json_object(json.dumps(answer).encode())  # an API gives no members that are null


def told(kind: str, account: str = "acct_1") -> FetchedFor:
    return FetchedFor(connection="default", event_id="evt_1", event_type=kind, account=account, occurred_at=AT)


def fetched(api: Stripe, reference: Reference, kind: str) -> Translation:
    (found,) = stripe.fetch(reference, api, {}, told(kind))
    assert (found.event_id, found.event_type, found.account) == ("evt_1", kind, "acct_1")
    return found


def now(obj: dict[str, Any], kind: str) -> Translation:
    """What the object means after an event of that type."""
    path = f"v1/{objects._COLLECTION_OF[obj['object']]}/{obj['id']}"
    return fetched(Stripe({path: obj}), Reference(obj["object"], obj["id"]), kind)


# --- how it is asked


def test_the_key_the_version_and_the_connected_account_are_named() -> None:
    assert stripe.api_headers("sk_1") == {"Authorization": "Bearer sk_1", "Stripe-Version": "2025-03-31.basil"}
    assert stripe.account_headers("acct_7") == {"Stripe-Account": "acct_7"}
    assert stripe.account_headers("connection:default") == {}


def test_the_official_library_asks_for_the_same_addresses() -> None:
    classes: list[Any] = [official.Charge, official.Dispute, official.Invoice, official.InvoicePayment, official.PaymentIntent]
    classes += [official.Payout, official.Refund, official.checkout.Session]
    assert {one.OBJECT_NAME: one.class_url().removeprefix("/v1/") for one in classes} == objects._COLLECTION_OF
    assert official.BalanceTransaction.class_url() == "/v1/balance_transactions"


def test_an_object_is_asked_for_with_what_its_document_needs() -> None:
    api = Stripe({"v1/payment_intents/pi_1": intent(status="succeeded"), "v1/invoices/in_1": invoice(status="paid")})
    fetched(api, Reference("payment_intent", "pi_1"), "v1.payment_intent.succeeded")
    fetched(api, Reference("invoice", "in_1"), "v1.invoice.paid")
    assert api.asked[0] == ("v1/payment_intents/pi_1", {"expand[0]": "latest_charge.balance_transaction"})
    assert api.asked[-1] == ("v1/invoices/in_1", {"expand[0]": "payments"})


@pytest.mark.parametrize("reference", [Reference("customer", "cus_1"), Reference("charge", ".."), Reference("charge", "")])
def test_nothing_else_is_asked_for(reference: Reference) -> None:
    api = Stripe({})
    with pytest.raises(Park, match="object_not_found"):
        stripe.fetch(reference, api, {}, told("v1.charge.succeeded"))
    assert api.asked == []


@pytest.mark.parametrize("wrong", [charge(id="ch_2"), charge(object="refund"), charge(id=None)])
def test_another_object_than_the_one_asked_for_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Reject):
        fetched(Stripe({"v1/charges/ch_1": wrong}), Reference("charge", "ch_1"), "v1.charge.succeeded")


# --- an object means what a snapshot of it would

SAME: dict[str, tuple[str, dict[str, Any]]] = {
    "payment": ("payment_intent.succeeded", intent(status="succeeded")),
    "payment, charge shown": ("payment_intent.succeeded", intent(status="succeeded", latest_charge=charge())),
    "payment captured": ("payment_intent.succeeded", intent(status="succeeded", capture_method="manual")),
    "payment authorized": (
        "payment_intent.amount_capturable_updated",
        intent(status="requires_capture", amount_capturable=5000, capture_method="manual"),
    ),
    "payment failed": (
        "payment_intent.payment_failed",
        intent(status="requires_payment_method", last_payment_error={"charge": "ch_9", "code": "card_declined"}),
    ),
    "charge": ("charge.succeeded", charge(payment_intent=None)),
    "charge captured": ("charge.captured", charge()),
    "charge whose fee was booked": (
        "charge.updated",
        charge(application_fee_amount=100, balance_transaction={"id": "txn_1", "created": 1795168700, "fee_details": []}),
    ),
    "charge failed": ("charge.failed", charge(status="failed", failure_code="card_declined")),
    "invoice": ("invoice.paid", invoice(status="paid", payments={"data": [LINK]})),
    "invoice failed": ("invoice.payment_failed", invoice(status="open", amount_remaining=5000)),
    "invoice payment": ("invoice_payment.paid", LINK),
    "checkout": ("checkout.session.completed", session()),
    "checkout failed": ("checkout.session.async_payment_failed", session(payment_status="unpaid")),
    "refund": ("refund.created", refund()),
    "refund failed": ("refund.failed", refund(status="failed")),
    "dispute opened": ("charge.dispute.created", dispute("needs_response")),
    "dispute lost": ("charge.dispute.closed", dispute("lost", -5000)),
    "payout failed": ("payout.failed", payout(status="failed")),
    "payout by hand": ("payout.paid", payout(automatic=False)),
    "payout of no known content": ("payout.paid", payout(reconciliation_status="not_applicable")),
}


@pytest.mark.parametrize("row", SAME)
def test_an_object_means_what_a_snapshot_of_it_would(row: str) -> None:
    kind, obj = SAME[row]
    body = event(kind, **obj) | {"created": 1795168800, "account": "acct_1", "api_version": objects.API_VERSION}
    expected = translation(body).facts
    assert expected
    assert now(obj, f"v1.{kind}").facts == expected


def test_every_kind_of_object_is_tried() -> None:
    assert {obj["object"] for _, obj in SAME.values()} == set(objects._COLLECTION_OF)


def test_members_that_are_null_are_absent() -> None:
    obj = charge(status="succeeded", billing_details={"name": None, "email": None}, amount_captured=None)
    assert now(obj, "v1.charge.captured").facts[0].amount == Money(5000, "EUR")


# --- its state is trusted over the event

NOW: dict[str, tuple[str, dict[str, Any], FactType | str]] = {
    "failed once, paid since": ("payment_intent.payment_failed", intent(status="succeeded"), FactType.PAYMENT_SUCCEEDED),
    "authorized, captured since": (
        "payment_intent.amount_capturable_updated",
        intent(status="succeeded", capture_method="manual"),
        FactType.PAYMENT_CAPTURED,
    ),
    "not paid after all": ("payment_intent.succeeded", intent(status="processing"), "not_paid"),
    "not tried yet": ("payment_intent.payment_failed", intent(status="requires_payment_method"), "not_paid"),
    "given up": ("payment_intent.succeeded", intent(status="canceled"), "not_paid"),
    "given up after a failure": (
        "payment_intent.succeeded",
        intent(status="canceled", last_payment_error={}),
        FactType.PAYMENT_FAILED,
    ),
    "charge failed": ("charge.succeeded", charge(status="failed"), FactType.PAYMENT_FAILED),
    "charge did not fail": ("charge.failed", charge(), FactType.PAYMENT_SUCCEEDED),
    "charge pending": ("charge.succeeded", charge(status="pending"), "not_paid"),
    "refunds report themselves": ("charge.refunded", charge(amount_refunded=700), "refund_events_report_it"),
    "invoice paid since": ("invoice.payment_failed", invoice(status="paid"), FactType.PAYMENT_SUCCEEDED),
    "invoice open": ("invoice.paid", invoice(status="open"), "not_paid"),
    "invoice void": ("invoice.payment_failed", invoice(status="void"), "not_paid"),
    "checkout paid since": ("checkout.session.async_payment_failed", session(), FactType.PAYMENT_SUCCEEDED),
    "refund failed since": ("refund.created", refund(status="failed"), FactType.REFUND_FAILED),
    "refund pending": ("refund.failed", refund(status="pending"), "refund_pending"),
    "inquiry": ("charge.dispute.created", dispute("warning_needs_response"), "inquiry"),
    "dispute open": ("charge.dispute.closed", dispute("under_review"), "dispute_open"),
    "payout failed since": ("payout.paid", payout(status="failed"), FactType.PAYOUT_FAILED),
    "payout on its way": ("payout.paid", payout(status="in_transit"), "payout_pending"),
}


@pytest.mark.parametrize("row", NOW)
def test_the_state_of_an_object_is_trusted_over_the_event(row: str) -> None:
    kind, obj, expected = NOW[row]
    found = now(obj, f"v1.{kind}")
    if isinstance(expected, FactType):
        assert found.facts[0].type is expected
        assert found.facts[0].occurred_at == AT
    else:
        assert (found.facts, found.ignored) == ((), expected)


def test_without_the_time_of_the_event_its_object_is_dated_by_itself() -> None:
    api = Stripe({"v1/refunds/re_1": refund(created=1795168800)})
    undated = FetchedFor(connection="default", event_id="evt_1", event_type="v1.refund.created", account="acct_1")
    (found,) = stripe.fetch(Reference("refund", "re_1"), api, {}, undated)
    assert found.facts[0].occurred_at == AT


@pytest.mark.parametrize("livemode", [True, False])
def test_an_object_says_whether_it_is_a_test(*, livemode: bool) -> None:
    assert now(charge(livemode=livemode), "v1.charge.succeeded").is_test is not livemode


# --- invoices and payments, which no longer name each other


def test_an_invoice_that_named_no_payment_does_once_it_is_fetched() -> None:
    shown = invoice(status="paid", payments={"data": [LINK], "has_more": False})
    payment, renewal = now(shown, "invoice.paid").facts
    assert (payment.key, payment.invoice_id, payment.awaits_renewal) == ("pi_1", "in_1", True)
    assert (renewal.type, renewal.key, renewal.payment_id) == (FactType.SUBSCRIPTION_RENEWED, "in_1", "pi_1")


def test_the_payments_of_an_invoice_are_listed_where_not_all_are_shown() -> None:
    links = [LINK | {"payment": {"payment_intent": f"pi_{number}"}} for number in range(11)]
    shown = invoice(status="paid", payments={"data": links[:10], "has_more": True})
    api = Stripe({"v1/invoices/in_1": shown, "v1/invoice_payments": {"data": links}})
    found = fetched(api, Reference("invoice", "in_1"), "invoice.paid")
    assert [fact.key for fact in found.facts if fact.type is FactType.PAYMENT_SUCCEEDED] == [f"pi_{n}" for n in range(11)]
    assert api.asked[-1] == ("v1/invoice_payments", {"invoice": "in_1", "status": "paid", "limit": "51"})


@pytest.mark.parametrize(("reason", "awaits"), [("subscription_cycle", True), ("manual", False)])
def test_a_payment_is_told_the_invoice_it_pays(reason: str, *, awaits: bool) -> None:
    link = LINK | {"invoice": invoice(billing_reason=reason)}
    api = Stripe({"v1/payment_intents/pi_1": intent(status="succeeded"), "v1/invoice_payments": {"data": [link]}})
    (fact,) = fetched(api, Reference("payment_intent", "pi_1"), "v1.payment_intent.succeeded").facts
    assert (fact.invoice_id, fact.awaits_renewal) == ("in_1", awaits)
    asked = {"payment[type]": "payment_intent", "payment[payment_intent]": "pi_1", "status": "paid", "limit": "2"}
    assert api.asked[-1] == ("v1/invoice_payments", asked | {"expand[0]": "data.invoice"})


def test_a_payment_of_several_invoices_names_none_of_them() -> None:
    links = [LINK, LINK | {"invoice": "in_2"}]
    api = Stripe({"v1/payment_intents/pi_1": intent(status="succeeded"), "v1/invoice_payments": {"data": links}})
    (fact,) = fetched(api, Reference("payment_intent", "pi_1"), "v1.payment_intent.succeeded").facts
    assert (fact.invoice_id, fact.awaits_renewal) == (None, None)


def test_only_a_payment_that_succeeded_is_asked_for_its_invoice() -> None:
    api = Stripe({"v1/payment_intents/pi_1": intent(status="processing")})
    fetched(api, Reference("payment_intent", "pi_1"), "v1.payment_intent.succeeded")
    assert [path for path, _ in api.asked] == ["v1/payment_intents/pi_1"]


# --- payouts


def moved(number: int, kind: str = "charge", amount: int = 1000, fee: int = 45, **more: Any) -> dict[str, Any]:
    """A balance transaction; of its fee 15 are the platform's."""
    source = charge(id=f"ch_{number}", payment_intent=f"pi_{number}")
    details = [{"type": "stripe_fee", "amount": fee - 15, "currency": "eur"}]
    details += [{"type": "application_fee", "amount": 15, "currency": "eur"}]
    base = {"id": f"txn_{number}", "object": "balance_transaction", "type": kind, "amount": amount, "currency": "eur", "fee": fee}
    return base | {"net": amount - fee, "fee_details": details, "source": source} | more


THE_PAYOUT = moved(0, "payout", -9000, 0, fee_details=[], source=payout())


def paid_out(*transactions: dict[str, Any], **more: Any) -> Stripe:
    """A payout of these, listed by the page as Stripe does."""

    def page(params: dict[str, str]) -> dict[str, Any]:
        assert (params["payout"], params["limit"], params["expand[0]"]) == ("po_1", "100", "data.source")
        ids = [one["id"] for one in transactions]
        start = ids.index(params["starting_after"]) + 1 if "starting_after" in params else 0
        return {"data": list(transactions[start : start + 100]), "has_more": start + 100 < len(transactions)}

    shown = payout(reconciliation_status="completed", automatic=True, **more)
    return Stripe({"v1/payouts/po_1": shown, "v1/balance_transactions": page})


def told_of(api: Stripe, reference: Reference | None = None) -> tuple[Fact, Translation]:
    found = fetched(api, reference or Reference("payout", "po_1", optional=True), "payout.paid")
    (fact,) = found.facts
    return fact, found


def test_a_payout_says_what_each_payment_brought() -> None:
    fact, found = told_of(paid_out(THE_PAYOUT, moved(1), moved(2, "payment", 2000)))
    assert (fact.type, fact.key, fact.amount, found.fetch) == (FactType.PAYOUT_PAID, "po_1", Money(9000, "EUR"), ())
    assert fact.payout_lines == (
        PayoutLine(payment_id="pi_1", gross=1000, fee=15, net=955),
        PayoutLine(payment_id="pi_2", gross=2000, fee=15, net=1955),
    )
    assert fact.payout_adjustments == ()


def test_several_transactions_of_one_payment_are_one_line() -> None:
    fact, _ = told_of(paid_out(moved(1), moved(2, source=charge(payment_intent="pi_1"))))
    assert fact.payout_lines == (PayoutLine(payment_id="pi_1", gross=2000, fee=30, net=1910),)


def test_a_charge_without_a_payment_intent_stands_for_itself() -> None:
    fact, _ = told_of(paid_out(moved(1, source=charge(payment_intent=None)), moved(2, source="ch_2"), moved(3, source=None)))
    assert [line.payment_id for line in fact.payout_lines] == ["ch_1", "ch_2", "txn_3"]


def test_what_is_no_payment_is_not_lost() -> None:
    taken = [
        moved(1, "refund", -700, 0, fee_details=[], source=refund()),
        moved(2, "adjustment", -5000, 1500, fee_details=[], source=dispute("lost")),
        moved(3, "stripe_fee", -90, 0, fee_details=[], source=None),
        moved(4, "A kind unheard of", 5, 0, fee_details=[], source={"id": "x_1", "object": "x"}),
    ]
    fact, _ = told_of(paid_out(THE_PAYOUT, *taken))
    assert fact.payout_lines == ()
    assert fact.payout_adjustments == (
        PayoutAdjustment(kind="refund", id="re_1", payment_id="pi_1", gross=-700, fee=0, net=-700),
        PayoutAdjustment(kind="adjustment", id="du_1", payment_id="pi_1", gross=-5000, fee=1500, net=-6500),
        PayoutAdjustment(kind="stripe_fee", id="txn_3", payment_id=None, gross=-90, fee=0, net=-90),
        PayoutAdjustment(kind="unknown", id="x_1", payment_id=None, gross=5, fee=0, net=5),
    )
    assert fact_from_json(fact.to_json()) == fact


def test_an_adjustment_is_called_as_in_stripes_reports() -> None:
    taken = moved(2, "adjustment", -5000, 1500, fee_details=[], source=dispute("lost"), reporting_category="dispute")
    fact, _ = told_of(paid_out(THE_PAYOUT, taken))
    assert [one.kind for one in fact.payout_adjustments] == ["dispute"]


def test_what_was_never_captured_is_no_part_of_the_payment() -> None:
    released = moved(1, "refund", -400, 0, fee_details=[], reporting_category="partial_capture_reversal")
    fact, _ = told_of(paid_out(THE_PAYOUT, moved(1), released))
    assert fact.payout_lines == (PayoutLine(payment_id="pi_1", gross=600, fee=15, net=555),)
    assert fact.payout_adjustments == ()


def test_amounts_are_in_the_minor_units_of_iso_4217() -> None:
    isk = {"currency": "isk", "fee_details": []}
    fact, _ = told_of(paid_out(moved(1, "charge", 500, 100, **isk), moved(2, "refund", -300, 0, **isk), currency="isk"))
    assert (fact.payout_lines[0].gross, fact.payout_lines[0].net) == (5, 4)
    assert fact.payout_adjustments[0].gross == -3


def test_a_large_payout_is_read_in_shares_that_each_stand_alone() -> None:
    api = paid_out(THE_PAYOUT, *(moved(number) for number in range(1, 451)))
    shares: list[Fact] = []
    waiting: list[Reference] = [Reference("payout", "po_1", optional=True)]
    while waiting:
        before = len(api.asked)
        fact, found = told_of(api, waiting.pop())
        assert len(api.asked) - before <= 1 + objects.PAGES_AT_ONCE
        shares.append(fact)
        waiting += found.fetch
    assert [share.key for share in shares] == ["po_1", "po_1/txn_199", "po_1/txn_399"]
    assert [line.payment_id for share in shares for line in share.payout_lines] == [f"pi_{n}" for n in range(1, 451)]
    assert len({share.identity for share in shares}) == 3
    assert {share.case_ids for share in shares} == {("po_1",)}


@pytest.mark.parametrize("optional", [True, False])
def test_the_rest_of_a_payout_is_as_optional_as_the_beginning(*, optional: bool) -> None:
    api = paid_out(*(moved(number) for number in range(1, 301)))
    _, found = told_of(api, Reference("payout", "po_1", optional=optional))
    assert found.fetch == (Reference("payout", "po_1/txn_200", optional=optional),)


def test_a_payout_that_is_not_reconciled_yet_is_asked_for_later() -> None:
    with pytest.raises(Retry, match="payout_not_reconciled") as caught:
        now(payout(reconciliation_status="in_progress"), "payout.paid")
    assert caught.value.delay_s == 3600


@pytest.mark.parametrize(
    ("page", "code"),
    [
        ({"data": None}, "unreadable_body"),
        ({"data": ["txn_1"]}, "unreadable_body"),
        ({"data": [moved(1) | {"amount": 1.5}]}, "amount_not_integer"),
        ({"data": [moved(1, currency="usd")]}, "currencies_differ"),
        ({"data": [moved(1, currency="xts")]}, "currencies_differ"),
        ({"data": [moved(number) for number in range(101)]}, "unreadable_body"),
    ],
)
def test_a_page_that_cannot_be_read_is_refused(page: dict[str, Any], code: str) -> None:
    api = Stripe({"v1/payouts/po_1": payout(), "v1/balance_transactions": page})
    with pytest.raises(Reject) as rejected:
        told_of(api)
    assert rejected.value.code == code
