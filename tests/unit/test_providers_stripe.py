"""Stripe deliveries: signatures, and what each row of the event table means under old and new API versions."""

from __future__ import annotations

import copy
import hashlib
import hmac
import itertools
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import stripe as official
from hypothesis import given, settings
from hypothesis import strategies as st
from stripe.events._event_classes import _V2_EVENT_NOTIFICATION_CLASS_LOOKUP

from quittance.errors import Reject
from quittance.facts import Fact, FactType, Payer, conflicting_fields, merged
from quittance.money import Money
from quittance.providers import SIGNATURE_CODES, Reference, stripe
from quittance.providers.stripe import events as stripe_events
from quittance.providers.stripe.reading import LIST_MAX
from tests.unit.stripe_payloads import NOW, charge, dispute, event, intent, invoice, payout, refund, session, translation
from tools.deliveries import signed_delivery

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLES = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))
    for file in (Path(__file__).parents[2] / "events" / "stripe").glob("*.json")
}
SECRET, OTHER_SECRET = "whsec_current", "whsec_previous"
BODY = json.dumps(SAMPLES["payment_intent.succeeded"]).encode()


def header(secret: str = SECRET, at: int = NOW, body: bytes = BODY) -> str:
    """The header as the official library signs it."""
    signed: str = official.WebhookSignature.generate_signature_header(body.decode(), secret, at)
    return signed


def code_of_verification(
    value: str | None, secrets: tuple[str, ...] = (SECRET,), now: int = NOW, body: bytes = BODY
) -> str | None:
    try:
        stripe.verify(body, {} if value is None else {"stripe-signature": value}, secrets, now)
    except Reject as rejected:
        return rejected.code
    return None


def one(body: dict[str, Any]) -> Fact:
    (fact,) = translation(body).facts
    return fact


def ignored(body: dict[str, Any]) -> str | None:
    found = translation(body)
    assert found.facts == ()
    return found.ignored


# --- verify


def test_what_the_official_library_signs_is_accepted() -> None:
    assert code_of_verification(header()) is None


def test_the_official_library_accepts_what_the_sample_sender_signs() -> None:
    _, headers = signed_delivery("stripe", BODY, SECRET, int(time.time()))
    assert official.Webhook.construct_event(BODY.decode(), headers["Stripe-Signature"], SECRET).id == "evt_1Harbour0001"


def test_both_secrets_of_a_rotation_are_accepted() -> None:
    for secret in (SECRET, OTHER_SECRET):
        assert code_of_verification(header(secret), (SECRET, OTHER_SECRET)) is None
    assert code_of_verification(header(OTHER_SECRET)) == "signature_mismatch"


def test_one_right_signature_among_several_is_enough() -> None:
    stamp, right = header().split(",")
    assert code_of_verification(f"{stamp},v1={'0' * 64}, {right},v0=anything") is None


def test_other_schemes_do_not_count() -> None:
    assert code_of_verification(header().replace("v1=", "v0=")) == "signature_malformed"


@pytest.mark.parametrize(("distance", "code"), [(300, None), (-300, None), (301, "outside"), (-301, "outside")])
def test_the_tolerance_holds_in_both_directions(distance: int, code: str | None) -> None:
    assert code_of_verification(header(at=NOW + distance)) == (f"signature_{code}_tolerance" if code else None)


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_without_a_secret_nothing_is_accepted(secrets: tuple[str, ...]) -> None:
    signed_with_nothing = hmac.new(b"", f"{NOW}.".encode() + BODY, hashlib.sha256).hexdigest()
    assert code_of_verification(f"t={NOW},v1={signed_with_nothing}", secrets) == "signature_mismatch"


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        ",",
        "t",
        "t=",
        f"t={NOW}",
        "v1=00",
        "t=é,v1=00",
        f"t={NOW},v1=é",
        f"t={NOW},v1=\ud800",
        "t=٣,v1=0",
        "t=-1,v1=0",
        f"t={'9' * 400},v1=0",
    ],
)
def test_malformed_headers_are_a_signature_failure_and_nothing_else(value: str | None) -> None:
    assert code_of_verification(value) in SIGNATURE_CODES


@given(st.text(alphabet=st.sampled_from("tv10=,é; 9abf"), max_size=60) | st.text(max_size=60))
def test_no_header_gets_in_or_breaks_the_check(value: str) -> None:
    assert code_of_verification(value) in SIGNATURE_CODES


def test_a_changed_body_is_refused() -> None:
    assert code_of_verification(header(), body=BODY + b" ") == "signature_mismatch"


# --- the rows: event -> type, key, payment, amount in minor units

PAID, CAPTURED, AUTHORIZED, FAILED = (FactType(f"payment.{state}") for state in ("succeeded", "captured", "authorized", "failed"))
ROWS: dict[str, tuple[dict[str, Any], tuple[FactType, str, str | None, int]]] = {
    "payment intent": (event("payment_intent.succeeded", **intent()), (PAID, "pi_1", "pi_1", 5000)),
    "payment intent, captured by hand": (
        event("payment_intent.succeeded", **intent(capture_method="manual")),
        (CAPTURED, "ch_1", "pi_1", 5000),
    ),
    "payment intent, captured by hand, old API": (
        event("payment_intent.succeeded", **intent(capture_method="manual", latest_charge=None, charges={"data": [charge()]})),
        (CAPTURED, "ch_1", "pi_1", 5000),
    ),
    "payment intent, captured by hand, no charge named": (
        event("payment_intent.succeeded", **intent(capture_method="manual", latest_charge=None)),
        (PAID, "pi_1", "pi_1", 5000),
    ),
    "charge": (event("charge.succeeded", **charge()), (PAID, "pi_1", "pi_1", 5000)),
    "charge without payment intent": (event("charge.succeeded", **charge(payment_intent=None)), (PAID, "ch_1", "ch_1", 5000)),
    "charge of 2014": (
        event("charge.succeeded", id="ch_1", amount=5000, currency="eur", captured=True, status="paid"),
        (PAID, "ch_1", "ch_1", 5000),
    ),
    "charge held": (event("charge.succeeded", **charge(captured=False, amount_captured=0)), (AUTHORIZED, "pi_1", "pi_1", 5000)),
    "amount capturable": (
        event("payment_intent.amount_capturable_updated", **intent(amount_capturable=5000)),
        (AUTHORIZED, "pi_1", "pi_1", 5000),
    ),
    "fee booked": (
        event(
            "charge.updated",
            **charge(application_fee_amount=100, balance_transaction={"id": "txn_1", "created": NOW, "fee_details": []}),
        ),
        (PAID, "pi_1", "pi_1", 5000),
    ),
    "captured in part": (event("charge.captured", **charge(amount_captured=3000)), (CAPTURED, "ch_1", "pi_1", 3000)),
    "captured in part, old API": (
        event("charge.captured", id="ch_1", amount=5000, amount_refunded=2000, currency="eur", captured=True),
        (CAPTURED, "ch_1", "ch_1", 3000),
    ),
    "checkout": (event("checkout.session.completed", **session()), (PAID, "pi_1", "pi_1", 5000)),
    "checkout, later": (event("checkout.session.async_payment_succeeded", **session()), (PAID, "pi_1", "pi_1", 5000)),
    "checkout of a subscription": (
        event("checkout.session.completed", **session(payment_intent=None, invoice="in_1")),
        (PAID, "in_1", "in_1", 5000),
    ),
    "invoice payment": (
        event(
            "invoice_payment.paid",
            object="invoice_payment",
            amount_paid=5000,
            currency="eur",
            invoice="in_1",
            status="paid",
            payment={"type": "payment_intent", "payment_intent": "pi_1"},
        ),
        (PAID, "pi_1", "pi_1", 5000),
    ),
    "attempt failed": (
        event("payment_intent.payment_failed", **intent(last_payment_error={"charge": "ch_9", "code": "card_declined"})),
        (FAILED, "pi_1", "pi_1", 5000),
    ),
    "charge failed": (event("charge.failed", **charge(status="failed")), (FAILED, "pi_1", "pi_1", 5000)),
    "charge failed without payment intent": (
        event("charge.failed", **charge(payment_intent=None)),
        (FAILED, "ch_1", "ch_1", 5000),
    ),
    "invoice failed": (
        event("invoice.payment_failed", **invoice(payment_intent="pi_1", charge="ch_9", amount_remaining=5000)),
        (FAILED, "pi_1", "pi_1", 5000),
    ),
    "invoice failed, basil": (event("invoice.payment_failed", **invoice(amount_remaining=5000)), (FAILED, "in_1", "in_1", 5000)),
    "checkout failed": (
        event("checkout.session.async_payment_failed", **session(payment_status="unpaid")),
        (FAILED, "pi_1", "pi_1", 5000),
    ),
    "refund made": (event("refund.created", **refund()), (FactType.REFUND_SUCCEEDED, "re_1", "pi_1", 700)),
    "refund succeeded": (event("refund.updated", **refund()), (FactType.REFUND_SUCCEEDED, "re_1", "pi_1", 700)),
    "refund of a charge": (
        event("charge.refund.updated", **refund(payment_intent=None)),
        (FactType.REFUND_SUCCEEDED, "re_1", "ch_1", 700),
    ),
    "refund failed": (event("refund.failed", **refund(status="failed")), (FactType.REFUND_FAILED, "re_1", "pi_1", 700)),
    "refund failed, updated": (event("refund.updated", **refund(status="failed")), (FactType.REFUND_FAILED, "re_1", "pi_1", 700)),
    "refund canceled": (
        event("charge.refund.updated", **refund(status="canceled")),
        (FactType.REFUND_FAILED, "re_1", "pi_1", 700),
    ),
    "dispute opened": (
        event("charge.dispute.created", **dispute("needs_response", -5000)),
        (FactType.DISPUTE_OPENED, "du_1", "pi_1", 5000),
    ),
    "dispute accepted at once": (
        event("charge.dispute.created", **dispute("lost", -5000)),
        (FactType.DISPUTE_OPENED, "du_1", "pi_1", 5000),
    ),
    "inquiry escalated": (
        event("charge.dispute.funds_withdrawn", **dispute("needs_response", -5000)),
        (FactType.DISPUTE_OPENED, "du_1", "pi_1", 5000),
    ),
    "dispute lost": (event("charge.dispute.closed", **dispute("lost", -5000)), (FactType.DISPUTE_LOST, "du_1", "pi_1", 5000)),
    "dispute lost in part": (
        event("charge.dispute.closed", **dispute("lost", -5000, 1000)),
        (FactType.DISPUTE_LOST, "du_1", "pi_1", 4000),
    ),
    "dispute lost, balance silent": (
        event("charge.dispute.closed", **dispute("lost")),
        (FactType.DISPUTE_LOST, "du_1", "pi_1", 5000),
    ),
    "dispute lost, balance implausible": (
        event("charge.dispute.closed", **dispute("lost", -9000)),
        (FactType.DISPUTE_LOST, "du_1", "pi_1", 5000),
    ),
    "dispute lost, balance in another currency": (
        event("charge.dispute.closed", **dispute("lost", balance_transactions=[{"amount": -4000, "currency": "usd"}])),
        (FactType.DISPUTE_LOST, "du_1", "pi_1", 5000),
    ),
    "dispute updated to lost": (
        event("charge.dispute.updated", **dispute("lost", -5000)),
        (FactType.DISPUTE_LOST, "du_1", "pi_1", 5000),
    ),
    "dispute won": (event("charge.dispute.closed", **dispute("won", -5000, 5000)), (FactType.DISPUTE_WON, "du_1", "pi_1", 5000)),
    "dispute won, not yet reinstated": (
        event("charge.dispute.closed", **dispute("won", -5000)),
        (FactType.DISPUTE_WON, "du_1", "pi_1", 5000),
    ),
    "dispute won in part": (
        event("charge.dispute.funds_reinstated", **dispute("won", -5000, 3500)),
        (FactType.DISPUTE_LOST, "du_1", "pi_1", 1500),
    ),
    "dispute won, reinstated": (
        event("charge.dispute.funds_reinstated", **dispute("won", -5000, 5000)),
        (FactType.DISPUTE_WON, "du_1", "pi_1", 5000),
    ),
    "dispute of 2013": (
        event("charge.dispute.closed", object="dispute", status="won", charge="ch_1", amount=5000, currency="eur"),
        (FactType.DISPUTE_WON, "ch_1", "ch_1", 5000),
    ),
    "dispute of a charge": (
        event("charge.dispute.closed", **dispute("lost", -5000, payment_intent=None)),
        (FactType.DISPUTE_LOST, "du_1", "ch_1", 5000),
    ),
    "payout": (event("payout.paid", **payout()), (FactType.PAYOUT_PAID, "po_1", None, 9000)),
    "payout updated": (event("payout.updated", **payout()), (FactType.PAYOUT_PAID, "po_1", None, 9000)),
    "payout failed": (event("payout.failed", **payout(status="failed")), (FactType.PAYOUT_FAILED, "po_1", None, 9000)),
    "payout canceled": (event("payout.canceled", **payout(status="canceled")), (FactType.PAYOUT_FAILED, "po_1", None, 9000)),
    "payout updated to failed": (
        event("payout.updated", **payout(status="failed")),
        (FactType.PAYOUT_FAILED, "po_1", None, 9000),
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_an_event_states_one_fact_under_its_business_key(row: str) -> None:
    body, (kind, key, payment_id, value) = ROWS[row]
    fact = one(body)
    assert (fact.type, fact.key, fact.payment_id, fact.amount) == (kind, key, payment_id, Money(value, "EUR"))
    assert (fact.provider, fact.account, fact.occurred_at) == ("stripe", "connection:default", "2026-11-18T11:06:40Z")


def test_every_row_of_the_table_is_tested() -> None:
    tested = {body["type"] for body, _ in ROWS.values()} | {body["type"] for body, _ in IGNORED.values()}
    assert set(stripe_events.ROWS) - tested == {"invoice.payment_succeeded", "charge.refunded"}  # below, on their own


RECORDED: dict[str, Any] = {
    "object": "invoice_payment",
    "status": "paid",
    "payment": {"type": "payment_record", "payment_record": "pr_1"},
}
"""A payment of an invoice that did not go through Stripe, as it is told since API version 2025-03-31."""

IGNORED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing received": (event("payment_intent.succeeded", **intent(amount_received=0)), "zero_amount"),
    "charge still pending": (event("charge.succeeded", **charge(status="pending")), "not_paid"),
    "nothing capturable": (
        event("payment_intent.amount_capturable_updated", **intent(amount_capturable=0)),
        "nothing_capturable",
    ),
    "checkout unpaid": (event("checkout.session.completed", **session(payment_status="unpaid")), "not_paid"),
    "checkout without payment": (
        event("checkout.session.completed", **session(payment_status="no_payment_required")),
        "not_paid",
    ),
    "checkout of nothing": (event("checkout.session.completed", **session(amount_total=0)), "zero_amount"),
    "checkout that names nothing": (event("checkout.session.completed", **session(payment_intent=None)), "names_no_payment"),
    "trial": (event("invoice.paid", **invoice(amount_paid=0)), "zero_amount"),
    "paid in cash": (event("invoice.paid", **invoice(billing_reason="manual", paid_out_of_band=True)), "paid_out_of_band"),
    "paid by a record of money elsewhere": (
        event("invoice.paid", **invoice(billing_reason="manual", payments={"data": [RECORDED]})),
        "paid_out_of_band",
    ),
    "invoice payment open": (event("invoice_payment.paid", object="invoice_payment", status="open"), "not_paid"),
    "invoice payment outside Stripe": (
        event("invoice_payment.paid", **RECORDED),
        "paid_out_of_band",
    ),
    "refund pending": (event("refund.created", **refund(status="pending")), "refund_pending"),
    "refund waits for the payer": (event("refund.updated", **refund(status="requires_action")), "refund_pending"),
    "refund of tomorrow": (event("refund.updated", **refund(status="teleported")), "unknown_status"),
    "refund of a cash balance": (event("refund.updated", **refund(charge=None, payment_intent=None)), "names_no_payment"),
    "inquiry": (event("charge.dispute.created", **dispute("warning_needs_response")), "inquiry"),
    "inquiry closed": (event("charge.dispute.closed", **dispute("warning_closed")), "inquiry"),
    "inquiry updated": (event("charge.dispute.updated", **dispute("warning_under_review")), "inquiry"),
    "dispute under way": (event("charge.dispute.updated", **dispute("under_review")), "dispute_open"),
    "appeal": (event("charge.dispute.updated", **dispute("appeal_under_review")), "dispute_open"),
    "prevented": (event("charge.dispute.closed", **dispute("prevented")), "refund_events_report_it"),
    "prevented at once": (event("charge.dispute.created", **dispute("prevented")), "refund_events_report_it"),
    "dispute of tomorrow": (event("charge.dispute.closed", **dispute("arbitrated")), "unknown_status"),
    "opening of tomorrow": (event("charge.dispute.created", **dispute("arbitrated")), "unknown_status"),
    "money back while open": (event("charge.dispute.funds_reinstated", **dispute("needs_response", -5000, 5000)), "dispute_open"),
    "money back of an inquiry": (event("charge.dispute.funds_reinstated", **dispute("warning_closed")), "inquiry"),
    "payout on its way": (event("payout.created", **payout(status="in_transit")), "payout_pending"),
    "payout that collects": (event("payout.paid", **payout(amount=-9000)), "payout_collects_money"),
    "payout reconciled that collects": (
        event("payout.reconciliation_completed", **payout(amount=-9000)),
        "payout_collects_money",
    ),
    "authorization released": (event("payment_intent.canceled", **intent()), "not_paid"),
    "fee of Stripe's own": (event("charge.updated", **charge(balance_transaction="txn_1")), "no_new_fact"),
    "fee not booked yet": (event("charge.updated", **charge(application_fee_amount=123)), "no_new_fact"),
    "fee of an authorization": (
        event("charge.updated", **charge(balance_transaction="txn_1", application_fee_amount=123, captured=False)),
        "no_new_fact",
    ),
    "fee of a failed charge": (
        event("charge.updated", **charge(balance_transaction="txn_1", application_fee_amount=123, status="failed")),
        "no_new_fact",
    ),
    "dispute that became a refund": (event("charge.dispute.closed", **dispute("charge_refunded")), "refund_events_report_it"),
    "old payout": (event("transfer.paid", id="tr_1", object="transfer"), "unknown_version"),
    "credit note": (event("credit_note.created", id="cn_1"), "refund_events_report_it"),
    "customer": (event("customer.subscription.updated", id="sub_1"), "no_new_fact"),
    "unknown": (event("charge.dreamt", id="x"), "unknown_event_type"),
}


@pytest.mark.parametrize("row", IGNORED)
def test_an_event_without_a_fact_says_why(row: str) -> None:
    body, reason = IGNORED[row]
    assert ignored(body) == reason


# --- several events for one fact


@pytest.mark.trap(1)
def test_one_payment_is_one_fact_whichever_event_reports_it() -> None:
    reports = [
        event("payment_intent.succeeded", **intent()),
        event("charge.succeeded", **charge()),
        event("checkout.session.completed", **session()),
        event("invoice.paid", **invoice(payment_intent="pi_1", charge="ch_1", billing_reason="subscription_create")),
        event("invoice.payment_succeeded", **invoice(payment_intent="pi_1", charge="ch_1", billing_reason="subscription_create")),
        event(
            "invoice_payment.paid",
            object="invoice_payment",
            amount_paid=5000,
            currency="eur",
            invoice="in_1",
            status="paid",
            payment={"payment_intent": "pi_1"},
        ),
    ]
    facts = [one(report) for report in reports]
    assert {fact.identity for fact in facts} == {"payment.succeeded#pi_1"}
    together = {repr(_merged(order)) for order in itertools.permutations(facts[:4])}
    assert len(together) == 1
    whole = _merged(facts)
    assert (whole.invoice_id, whole.also_known_as, whole.awaits_renewal) == ("in_1", ("ch_1",), False)


def _merged(facts: Sequence[Fact]) -> Fact:
    whole, *others = facts
    for other in others:
        assert conflicting_fields(whole, other) == ()
        whole = merged(whole, other)
    return whole


def test_a_capture_and_the_success_that_follows_are_one_fact() -> None:
    capture = one(event("charge.captured", **charge(amount_captured=3000)))
    success = one(event("payment_intent.succeeded", **intent(capture_method="manual", amount_received=3000)))
    assert capture.identity == success.identity == "payment.captured#ch_1#3000"
    assert (capture.capture_id, capture.running_total) == (success.capture_id, success.running_total) == ("ch_1", True)


def test_one_failed_attempt_is_one_fact_and_two_are_two() -> None:
    first = [
        one(event("payment_intent.payment_failed", **intent(last_payment_error={"charge": "ch_9", "code": "card_declined"}))),
        one(event("payment_intent.payment_failed", **intent(latest_charge="ch_9"))),
        one(event("charge.failed", **charge(id="ch_9", failure_code="card_declined"))),
        one(event("invoice.payment_failed", **invoice(payment_intent="pi_1", charge="ch_9", amount_remaining=5000))),
    ]
    for shown in ({"last_payment_error": {"charge": "ch_9"}}, {"latest_charge": "ch_9"}, {"charges": {"data": [{"id": "ch_9"}]}}):
        expanded = invoice(payment_intent={"id": "pi_1"} | shown, amount_remaining=5000)
        first.append(one(event("invoice.payment_failed", **expanded)))
    second = one(event("charge.failed", **charge(id="ch_10")))
    assert {fact.identity for fact in first} == {"payment.failed#pi_1#ch_9"}
    assert second.identity == "payment.failed#pi_1#ch_10"
    assert first[0].reason == first[2].reason == "card_declined"


def test_the_attempts_of_an_invoice_that_names_no_payment_are_counted() -> None:
    assert one(event("invoice.payment_failed", **invoice(amount_remaining=5000))).occurrence == "attempt:2"


def test_free_text_is_no_reason() -> None:
    assert one(event("charge.failed", **charge(failure_code="Ms Novak's card"))).reason is None


# --- renewals

LINE_OLD = {"type": "subscription", "description": "Gold", "period": {"start": 1795000000, "end": 1797592000}, "proration": False}
LINE_NEW = {
    "description": "Gold",
    "period": LINE_OLD["period"],
    "parent": {"type": "subscription_item_details", "subscription_item_details": {"proration": False}},
}
PRORATION = {"type": "invoiceitem", "description": "Remaining time", "period": {"start": 1, "end": 2}, "proration": True}
RENEWALS = {
    "2020": invoice(payment_intent="pi_1", charge="ch_1", subscription="sub_1", lines={"data": [PRORATION, LINE_OLD]}),
    "2020, charge only": invoice(payment_intent=None, charge="pi_1", subscription="sub_1", lines={"data": [LINE_OLD]}),
    "basil, expanded": invoice(
        parent={"subscription_details": {"subscription": "sub_1"}},
        payments={
            "data": [
                {"status": "paid", "amount_paid": 5000, "currency": "eur", "payment": {"payment_intent": "pi_1"}},
                {"status": "canceled"},
            ]
        },
        lines={"data": [PRORATION, LINE_NEW]},
    ),
    "basil": invoice(parent={"subscription_details": {"subscription": {"id": "sub_1"}}}, lines={"data": [LINE_NEW]}),
}


@pytest.mark.parametrize("kind", ["invoice.paid", "invoice.payment_succeeded"])
@pytest.mark.parametrize("version", RENEWALS)
def test_a_renewal_says_what_its_payment_is_for(kind: str, version: str) -> None:
    named = None if version == "basil" else "pi_1"
    payment, renewal = translation(event(kind, **RENEWALS[version])).facts
    assert (payment.type, payment.key, payment.payment_id, payment.invoice_id) == (PAID, named or "in_1", named or "in_1", "in_1")
    assert (payment.awaits_renewal, payment.amount) == (True, Money(5000, "EUR"))
    assert (renewal.type, renewal.key, renewal.invoice_id) == (FactType.SUBSCRIPTION_RENEWED, "in_1", "in_1")
    assert (renewal.payment_id, renewal.amount, renewal.subscription_id) == (named, Money(5000, "EUR"), "sub_1")
    assert (renewal.subscription_plan, renewal.period_start, renewal.period_end) == (
        "Gold",
        "2026-11-18T11:06:40Z",
        "2026-12-18T11:06:39Z",
    )


@pytest.mark.parametrize("reason", ["subscription_create", "subscription_update", "manual", "subscription_threshold"])
def test_only_a_cycle_is_a_renewal(reason: str) -> None:
    payment = one(event("invoice.paid", **invoice(billing_reason=reason, payment_intent="pi_1")))
    assert (payment.type, payment.awaits_renewal) == (PAID, False)


def test_an_invoice_of_an_api_without_reasons_cannot_say_whether_it_is_a_renewal() -> None:
    assert one(event("invoice.paid", **invoice(billing_reason=None, payment_intent="pi_1"))).awaits_renewal is None


def test_an_invoice_of_2017_tells_only_what_was_due() -> None:
    old = {"id": "in_1", "object": "invoice", "amount_due": 5000, "currency": "eur", "charge": "ch_1"}
    paid = one(event("invoice.payment_succeeded", **old, paid=True) | {"api_version": "2017-12-14"})
    assert (paid.key, paid.amount) == ("ch_1", Money(5000, "EUR"))
    with pytest.raises(Reject, match="amount_not_integer"):
        translation(event("invoice.payment_succeeded", **old, paid=False))


def test_a_renewal_paid_in_cash_is_a_renewal_without_payment() -> None:
    for told in ({"paid_out_of_band": True}, {"payments": {"data": [RECORDED]}}):
        renewal = one(event("invoice.paid", **invoice(**told)))
        assert (renewal.type, renewal.payment_id, renewal.is_paid) == (FactType.SUBSCRIPTION_RENEWED, None, None)


def test_a_renewal_paid_in_two_parts_names_both() -> None:
    parts = [
        {"status": "paid", "amount_paid": amount, "currency": "eur", "payment": {"payment_intent": name}}
        for name, amount in (("pi_1", 2000), ("pi_2", 3000))
    ]
    *payments, renewal = translation(event("invoice.paid", **invoice(payments={"data": parts}))).facts
    assert [(fact.key, fact.amount) for fact in payments] == [("pi_1", Money(2000, "EUR")), ("pi_2", Money(3000, "EUR"))]
    assert (renewal.payment_id, renewal.also_known_as, renewal.amount) == (None, ("pi_1", "pi_2"), Money(5000, "EUR"))


def test_a_payment_of_a_billing_invoice_awaits_what_the_invoice_says() -> None:
    old = one(event("charge.succeeded", **charge(invoice="in_1")))
    assert (old.invoice_id, old.awaits_renewal) == ("in_1", True)
    assert one(event("payment_intent.succeeded", **intent(invoice="in_1"))).awaits_renewal is True
    assert (
        one(event("payment_intent.succeeded", **intent(invoice={"id": "in_1", "billing_reason": "manual"}))).awaits_renewal
        is False
    )
    assert one(event("payment_intent.succeeded", **intent())).awaits_renewal is None


# --- charge.refunded


def refunded(version: str | None, **more: Any) -> dict[str, Any]:
    return event("charge.refunded", **charge(amount_refunded=700, **more)) | {"api_version": version}


@pytest.mark.parametrize("version", ["2024-10-28.acacia", "2025-03-31.basil", "2026-10-28.endive"])
def test_new_apis_report_refunds_elsewhere(version: str) -> None:
    assert ignored(refunded(version, refunds={"data": [refund()]})) == "refund_events_report_it"


@pytest.mark.parametrize("version", ["2024-06-20", "2022-11-15", None])
def test_old_apis_report_the_running_total(version: str | None) -> None:
    fact = one(refunded(version))
    assert (fact.key, fact.payment_id, fact.amount, fact.running_total) == ("ch_1", "pi_1", Money(700, "EUR"), True)
    assert fact.identity == "refund.succeeded#ch_1#700"


def test_older_apis_list_the_refunds() -> None:
    listed = [
        refund(id="re_2", amount=200, created=NOW - 5),
        refund(id="re_1", amount=500, payment_intent=None, created=NOW - 86400),
        refund(id="re_3", status="pending"),
    ]
    facts = translation(refunded("2020-08-27", refunds={"data": listed})).facts
    assert [(fact.key, fact.payment_id, fact.amount, fact.running_total) for fact in facts] == [
        ("re_2", "pi_1", Money(200, "EUR"), False),
        ("re_1", "pi_1", Money(500, "EUR"), False),
    ]
    assert facts[1].occurred_at == "2026-11-17T11:06:40Z"


def test_listed_refunds_that_are_all_pending_are_none() -> None:
    assert ignored(refunded("2020-08-27", refunds={"data": [refund(status="pending")]})) == "refund_pending"


def test_refunds_listed_without_their_status_count_by_the_total() -> None:
    assert one(refunded("2013-08-13", refunds=[refund(status=None)])).running_total


def test_what_a_partial_capture_released_is_no_refund() -> None:
    partly = {"amount": 5000, "amount_captured": 3000}
    assert (
        ignored(refunded("2020-08-27", **partly) | {"data": {"object": charge(**partly, amount_refunded=2000)}})
        == "authorization_released"
    )
    both = charge(**partly, amount_refunded=2300)
    assert one(refunded("2020-08-27") | {"data": {"object": both}}).amount == Money(300, "EUR")
    listed = [refund(id="re_2", amount=300, created=NOW), refund(id="re_1", amount=2000, created=NOW - 9)]
    assert one(refunded("2020-08-27") | {"data": {"object": both | {"refunds": {"data": listed}}}}).key == "re_2"
    assert ignored(refunded("2020-08-27", captured=False)) == "authorization_released"


# --- fees

BOOKED: dict[str, Any] = {
    "id": "txn_1",
    "object": "balance_transaction",
    "created": NOW - 60,
    "currency": "usd",
    "fee_details": [
        {"type": "stripe_fee", "amount": 175, "currency": "usd"},
        {"type": "application_fee", "amount": 123, "currency": "usd"},
    ],
}


@pytest.mark.trap(28)
def test_the_fee_of_an_update_is_looked_up_where_only_the_id_of_its_booking_is_named() -> None:
    found = translation(event("charge.updated", **charge(application_fee_amount=100, balance_transaction="txn_1")))
    assert (found.facts, found.fetch, found.ignored) == ((), (Reference("charge", "ch_1", optional=True),), None)


@pytest.mark.trap(28)
def test_the_fee_of_an_update_belongs_to_the_payment_it_was_booked_with() -> None:
    updated = one(event("charge.updated", **charge(application_fee="fee_1", balance_transaction=BOOKED)))
    before = one(event("charge.succeeded", **charge(balance_transaction=None)))
    assert updated.identity == before.identity
    assert (updated.fee, updated.amount) == (Money(123, "USD"), before.amount)
    assert (before.fee, updated.occurred_at) == (None, "2026-11-18T11:05:40Z")


def test_the_fee_of_what_was_captured_by_hand_belongs_to_its_capture() -> None:
    by_hand = charge(
        amount_captured=3000,
        application_fee_amount=100,
        balance_transaction=BOOKED,
        payment_intent=intent(capture_method="manual"),
    )
    captured = one(event("charge.captured", **charge(amount_captured=3000)))
    assert one(event("charge.updated", **by_hand)).identity == captured.identity


@pytest.mark.parametrize(
    ("kind", "obj", "fee"),
    [
        ("charge.succeeded", charge(application_fee_amount=100), Money(100, "EUR")),
        ("charge.succeeded", charge(application_fee_amount=100, balance_transaction=BOOKED), Money(123, "USD")),
        ("charge.succeeded", charge(balance_transaction=BOOKED | {"fee_details": BOOKED["fee_details"][:1]}), None),
        ("charge.succeeded", charge(application_fee_amount=0), None),
        ("charge.captured", charge(application_fee_amount=100), Money(100, "EUR")),
        ("payment_intent.succeeded", intent(application_fee_amount=100), Money(100, "EUR")),
        ("payment_intent.succeeded", intent(latest_charge=charge(application_fee_amount=100)), Money(100, "EUR")),
        ("payment_intent.succeeded", intent(capture_method="manual", application_fee_amount=100), Money(100, "EUR")),
        ("payment_intent.amount_capturable_updated", intent(amount_capturable=5000, application_fee_amount=100), None),
    ],
)
def test_what_the_platform_keeps_is_told_as_booked_else_as_asked_for(kind: str, obj: dict[str, Any], fee: Money | None) -> None:
    assert one(event(kind, **obj)).fee == fee


# --- whose money, who paid, how


def test_a_connect_account_owns_its_money() -> None:
    assert one(event("payment_intent.succeeded", **intent()) | {"account": "acct_7"}).account == "acct_7"


def test_a_connection_owns_what_names_no_account() -> None:
    found = stripe.translate(json.dumps(event("payment_intent.succeeded", **intent())).encode(), "shop", {})
    assert found.account == found.facts[0].account == "connection:shop"


@pytest.mark.parametrize(
    ("method", "meant"),
    [
        ("card", "card"),
        ("sepa_debit", "direct_debit"),
        ("us_bank_account", "direct_debit"),
        ("ideal", "bank_transfer"),
        ("customer_balance", "bank_transfer"),
        ("paypal", "paypal"),
        ("klarna", "other"),
    ],
)
def test_the_method_is_told_in_our_words(method: str, meant: str) -> None:
    assert one(event("charge.succeeded", **charge(payment_method_details={"type": method}))).method == meant
    assert one(event("payment_intent.succeeded", **intent(payment_method_types=[method]))).method == meant


def test_a_method_on_offer_is_not_the_method_used() -> None:
    assert one(event("payment_intent.succeeded", **intent(payment_method_types=["card", "ideal"]))).method is None


def test_the_payer_is_read_from_wherever_stripe_puts_it() -> None:
    address = {"line1": "1 Quay", "city": "Koper", "postal_code": "6000", "country": "si", "line2": "", "state": None}
    person = {"name": "Mira", "email": "mira@example.com", "address": address}
    payer = Payer(
        name="Mira", email="mira@example.com", country="SI", tax_number="SI1", line1="1 Quay", city="Koper", postal_code="6000"
    )
    tax_ids = [{"type": "eu_vat", "value": "SI1"}]
    reports = [
        event("charge.succeeded", **charge(billing_details=person | {"tax_id": "SI1"})),
        event("payment_intent.succeeded", **intent(latest_charge=charge(billing_details=person | {"tax_id": "SI1"}))),
        event("checkout.session.completed", **session(customer_details=person | {"tax_ids": tax_ids})),
        event(
            "invoice.paid",
            **invoice(
                billing_reason="manual",
                payment_intent="pi_1",
                customer_tax_ids=tax_ids,
                **{f"customer_{name}": value for name, value in person.items()},
            ),
        ),
    ]
    assert {one(report).payer for report in reports} == {payer}


@pytest.mark.parametrize("country", ["", "Slovenia", "S1"])
def test_nobody_and_nowhere_are_not_printed(country: str) -> None:
    assert (
        one(
            event("charge.succeeded", **charge(billing_details={"name": "", "email": None, "address": {"country": country}}))
        ).payer
        is None
    )


# --- amounts


@pytest.mark.parametrize(
    ("currency", "sent", "meant"),
    [
        ("eur", 1234, 1234),
        ("jpy", 500, 500),
        ("krw", 500, 500),
        ("clp", 1000, 1000),
        ("isk", 500, 5),
        ("ugx", 500, 5),
        ("mga", 5, 500),  # Stripe sends whole ariary; ISO 4217 gives it two decimals
        ("kwd", 5120, 5120),
        ("huf", 1000, 1000),
        ("twd", 1000, 1000),
        ("idr", 1000000, 1000000),
    ],
)
def test_amounts_follow_stripes_own_decimals(currency: str, sent: int, meant: int) -> None:
    assert one(event("payment_intent.succeeded", **intent(amount_received=sent, currency=currency))).amount == Money(
        meant, currency.upper()
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount_received": -1}, "amount_negative"),
        ({"amount_received": 10.5}, "amount_not_integer"),
        ({"amount_received": True}, "amount_not_integer"),
        ({"amount_received": "5000"}, "amount_not_integer"),
        ({"amount_received": None}, "amount_not_integer"),
        ({"amount_received": 10**15}, "amount_too_large"),
        ({"currency": "isk", "amount_received": 501}, "amount_not_expressible"),
    ],
)
def test_an_amount_is_never_guessed(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Reject) as rejected:
        translation(event("payment_intent.succeeded", **intent(**changes)))
    assert rejected.value.code == code


@pytest.mark.parametrize("currency", ["xxx", None, 978, "iqd"])
def test_a_currency_whose_decimals_nobody_knows_is_not_guessed(currency: object) -> None:
    """ISO 4217 knows the last one; Stripe's rule for it is not known."""
    assert ignored(event("payment_intent.succeeded", **intent(currency=currency))) == "unknown_currency"


@pytest.mark.parametrize("version", ["unversioned", "2027-03-31.fennel", "2027-03-31", "3", "2026-10-28.endive.1"])
def test_a_version_that_nobody_knows_is_not_guessed(version: str) -> None:
    body = event("payment_intent.succeeded", **intent()) | {"api_version": version}
    assert ignored(body) == "unknown_version"
    assert ignored(event("customer.created", id="cus_1") | {"api_version": version}) == "no_new_fact"


@pytest.mark.parametrize(
    "version", ["2013-08-13", "2024-09-30.acacia", "2026-10-28.endive", "2025-03-31.preview", "2025-03-31", "2020-08-27; x=v1"]
)
def test_every_version_so_far_is_known(version: str) -> None:
    assert one(event("payment_intent.succeeded", **intent()) | {"api_version": version})


def test_the_last_release_is_the_one_of_the_official_library() -> None:
    current = official.api_version or ""
    assert one(event("payment_intent.succeeded", **intent()) | {"api_version": current})


@pytest.mark.parametrize("kind", [kind for kind in stripe_events.ROWS if not kind.startswith("checkout.")])
def test_a_status_that_nobody_knows_is_not_guessed(kind: str) -> None:
    obj = {"id": "x_1", "object": stripe_events.ROWS[kind][0], "status": "teleported"}
    found = translation(event(kind, **obj))
    assert (found.facts, found.fetch, found.ignored, found.is_not_understood) == ((), (), "unknown_status", True)


def test_a_status_of_a_checkout_that_nobody_knows_is_not_guessed() -> None:
    assert ignored(event("checkout.session.completed", **session(payment_status="teleported"))) == "unknown_status"


# --- bodies that are no events, and thin ones


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": 5},
        {"id": "x" * 251},
        {"type": None},
        {"object": "charge"},
        {"object": None},
        {"created": "yesterday"},
        {"created": 10**15},
        {"created": True},
        {"data": None},
        {"data": {"object": "pi_1"}},
        {"account": 5},
        {"data": {"object": intent(id=None)}},
        {"data": {"object": charge()}},
        {"data": {"object": intent(latest_charge=5)}},
        {"data": {"object": intent(charges={"data": ["ch_1"]})} | {}, "type": "payment_intent.succeeded", "api_version": 5},
    ],
)
def test_a_body_that_is_no_event_is_unreadable(changes: dict[str, Any]) -> None:
    with pytest.raises(Reject) as rejected:
        translation(event("payment_intent.succeeded", **intent()) | changes)
    assert rejected.value.code == "unreadable_body"


def test_a_thin_event_says_what_to_fetch() -> None:
    thin = SAMPLES["thin.v1.payment_intent.succeeded"]
    found = translation(thin)
    assert (found.facts, found.ignored, found.fetch) == ((), None, (Reference("payment_intent", "pi_3Harbour0001"),))
    assert (found.account, found.occurred_at) == ("connection:default", "2026-11-20T10:10:02Z")
    assert translation(thin | {"context": "org_1/acct_7"}).account == "acct_7"


@pytest.mark.parametrize(
    "related",
    [
        None,
        {"type": "payment_intent"},
        {"type": "payment_intent", "id": "../balance"},
        {"type": "charge", "id": "ch_1"},
    ],
)
def test_a_thin_event_that_does_not_name_its_object_is_ignored(related: dict[str, str] | None) -> None:
    found = translation(SAMPLES["thin.v1.payment_intent.succeeded"] | {"related_object": related})
    assert (found.fetch, found.ignored) == ((), "names_no_object")


def test_a_thin_event_of_no_instant_is_unreadable() -> None:
    with pytest.raises(Reject, match="created is no instant"):
        translation(SAMPLES["thin.v1.payment_intent.succeeded"] | {"created": "yesterday"})


THIN_TYPES = sorted(_V2_EVENT_NOTIFICATION_CLASS_LOOKUP)


@pytest.mark.parametrize("kind", THIN_TYPES)
def test_only_thin_events_that_say_something_of_money_are_fetched(kind: str) -> None:
    """Of every type that the official library knows."""
    row = stripe_events.ROWS.get(kind.removeprefix("v1."))
    related = {"type": row[0] if row else "customer", "id": "x_1"}
    thin = {"id": "evt_1", "object": "v2.core.event", "type": kind, "created": "2026-11-20T10:00:00Z", "related_object": related}
    found = translation(thin)
    if row:
        assert (found.fetch, found.ignored) == ((Reference(row[0], "x_1"),), None)
    else:
        assert (found.fetch, found.ignored) == ((), ignored(event(kind.removeprefix("v1."), id="x_1")))
        assert not found.is_not_understood
    if kind.startswith("v2."):
        assert found.ignored in {"no_new_fact", "not_a_sale"}


def test_no_type_that_the_official_library_knows_is_unknown() -> None:
    """It lists what a webhook endpoint can be asked to send."""
    source = (Path(official.__file__).parent / "params" / "_webhook_endpoint_create_params.py").read_text(encoding="utf-8")
    known = set(re.findall(r'"([a-z0-9_]+(?:\.[a-z0-9_]+)+)"', source)) - set(stripe_events.ROWS)
    assert len(known) > 200
    assert [kind for kind in sorted(known) if translation(event(kind, id="x_1")).is_not_understood] == []


@pytest.mark.parametrize("family", ["charge", "checkout.session", "invoice", "payment_intent", "payout", "refund", "v2.dream"])
def test_a_new_type_where_money_moves_is_unknown(family: str) -> None:
    assert ignored(event(f"{family}.dreamt", id="x_1")) == "unknown_event_type"


# --- what a snapshot leaves out

LEFT_OUT = {
    "an invoice of basil": (event("invoice.paid", **invoice()), Reference("invoice", "in_1", optional=True)),
    "the same under its older name": (
        event("invoice.payment_succeeded", **invoice(billing_reason="manual")),
        Reference("invoice", "in_1", optional=True),
    ),
    "a payout": (event("payout.paid", **payout()), Reference("payout", "po_1", optional=True)),
    "a payout that can be listed": (event("payout.reconciliation_completed", **payout()), Reference("payout", "po_1")),
    "an invoice that names its payment": (event("invoice.paid", **invoice(payment_intent="pi_1")), None),
    "an invoice that was paid elsewhere": (event("invoice.paid", **invoice(paid_out_of_band=True)), None),
    "an invoice that was paid by a record": (event("invoice.paid", **invoice(payments={"data": [RECORDED]})), None),
    "an invoice of nothing": (event("invoice.paid", **invoice(amount_paid=0)), None),
    "an invoice of a strange id": (event("invoice.paid", **invoice(id="in/1")), None),
    "a payout by hand": (event("payout.paid", **payout(automatic=False)), None),
    "a payout that failed": (event("payout.failed", **payout(status="failed")), None),
    "a payout that changed": (event("payout.updated", **payout()), None),
    "a payment": (event("payment_intent.succeeded", **intent()), None),
}


@pytest.mark.parametrize("row", LEFT_OUT)
def test_what_a_snapshot_leaves_out_is_fetched(row: str) -> None:
    body, reference = LEFT_OUT[row]
    assert translation(body).fetch == ((reference,) if reference else ())


def test_what_is_fetched_for_a_snapshot_is_dated_by_it() -> None:
    assert translation(event("payout.paid", **payout())).occurred_at == "2026-11-18T11:06:40Z"


# --- anything at all

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=12), children, max_size=4),
    max_leaves=12,
)
BODIES = [*SAMPLES.values(), *(body for body, _ in ROWS.values()), *(event("invoice.paid", **body) for body in RENEWALS.values())]


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, member in members for path in ((*prefix, key), *paths(member, (*prefix, key)))]


@settings(max_examples=500)
@given(st.data())
def test_a_mutated_event_is_translated_or_refused(data: st.DataObject) -> None:
    body = copy.deepcopy(data.draw(st.sampled_from(BODIES)))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(paths(body)))
        holder = body
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = data.draw(json_values | st.sampled_from(paths(body)).map(lambda other: other[-1]))
    try:
        found = translation(body)
    except Reject:
        return
    assert found.facts or found.ignored or found.fetch
    json.dumps([fact.to_json() for fact in found.facts]).encode()


@given(json_values)
def test_any_json_is_refused(value: Any) -> None:
    with pytest.raises(Reject):
        stripe.translate(json.dumps(value).encode(), "default", {})


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_sample_is_understood(name: str) -> None:
    found = translation(SAMPLES[name])
    assert found.facts or found.fetch or found.ignored in {"no_new_fact", "refund_pending"}


# --- what no worker could take


@pytest.mark.parametrize(
    ("created", "is_taken"), [(0, True), (221_845_391_999, True), (221_845_392_000, False), (253_402_300_799, False)]
)
def test_an_instant_leaves_room_for_a_time_zone_and_a_due_date(created: int, is_taken: bool) -> None:
    body = event("payment_intent.succeeded", **intent()) | {"created": created}
    if is_taken:
        assert one(body).occurred_at[:4] in {"1970", "8999"}
    else:
        with pytest.raises(Reject, match="not an instant"):
            one(body)


def test_an_id_is_short_in_bytes() -> None:
    assert one(event("payment_intent.succeeded", **intent(id="é" * 125))).key == "é" * 125
    with pytest.raises(Reject, match="id is too long"):
        one(event("payment_intent.succeeded", **intent(id="é" * 126)))


def test_a_list_is_no_longer_than_the_ledger_can_join() -> None:
    def paid(number: int) -> dict[str, Any]:
        payments = [
            {
                "status": "paid",
                "amount_paid": 100,
                "currency": "eur",
                "payment": {"type": "payment_intent", "payment_intent": f"pi_{i}"},
            }
            for i in range(number)
        ]
        invoice = {"id": "in_1", "object": "invoice", "amount_paid": 100 * number, "currency": "eur"}
        return event(
            "invoice.paid", **invoice, billing_reason="subscription_cycle", payments={"object": "list", "data": payments}
        )

    assert len(translation(paid(LIST_MAX)).facts) == LIST_MAX + 1
    with pytest.raises(Reject, match="data is too long a list"):
        translation(paid(LIST_MAX + 1))


def test_an_amount_is_not_too_large_in_the_currency_s_own_units_either() -> None:
    largest = (10**15 - 1) // 100
    assert one(event("payment_intent.succeeded", **intent(currency="mga", amount_received=largest))).amount == Money(
        largest * 100, "MGA"
    )
    with pytest.raises(Reject, match="amount_too_large"):
        one(event("payment_intent.succeeded", **intent(currency="mga", amount_received=largest + 1)))


def test_the_end_of_an_endless_text_is_cut() -> None:
    assert one(event("payment_intent.succeeded", **intent(description="é" * 70_000))).description == "é" * 2000


def test_the_attempts_of_an_invoice_are_a_number_that_an_id_can_hold() -> None:
    invoice = {"id": "in_1", "object": "invoice", "amount_due": 100, "currency": "eur"}
    assert one(event("invoice.payment_failed", **invoice, attempt_count=3)).occurrence == "attempt:3"
    with pytest.raises(Reject, match="amount_too_large"):
        one(event("invoice.payment_failed", **invoice, attempt_count=10**300))
