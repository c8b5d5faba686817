"""The mission's table, row by row, and the properties that hold in whatever order the facts arrive."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quittance.customers import BusinessCustomer
from quittance.documents import DocumentKind, DocumentState
from quittance.facts import Fact
from quittance.money import Money
from quittance.plan import Case, plan
from quittance.policy import Policy
from tests.unit.stories import CUSTOMER, arrive, balance, dispute, fact, issue, keys, received, refund, renewal, succeeded


def test_payment_succeeded_makes_one_invoice_with_its_payment_recorded() -> None:
    case, _ = arrive([succeeded(method="card")])
    (known,) = case.documents
    assert known.document.kind is DocumentKind.INVOICE
    assert known.document.amount == Money(10000, "EUR")
    assert known.document.payments[0].reference == "pay_1"
    assert known.document.payments[0].method == "card"


def test_payment_authorized_makes_nothing() -> None:
    case, outcome = arrive([fact("payment.authorized", "pay_1", 10000)])
    assert not case.documents
    assert not outcome.waiting


def test_payment_failed_makes_nothing() -> None:
    case, outcome = arrive([fact("payment.failed", "pay_1", 10000)])
    assert not case.documents
    assert not outcome.findings


def test_a_failed_attempt_before_the_success_undoes_nothing() -> None:
    for order in permutations([fact("payment.failed", "pay_1", 10000, minute=1), succeeded(minute=2)]):
        case, outcome = arrive(order)
        assert received(case) == 10000
        assert not outcome.findings


def test_a_failed_attempt_of_another_charge_undoes_nothing() -> None:
    failed = fact("payment.failed", "pay_1", 10000, minute=9, occurrence="ch_failed")
    case, _ = arrive([succeeded(also_known_as=("ch_good",)), failed])
    assert received(case) == 10000


@pytest.mark.trap(15)
def test_a_late_failure_removes_the_payment_record_and_opens_a_finding() -> None:
    for order in permutations([succeeded(), fact("payment.failed", "pay_1", 10000, minute=9)]):
        case, outcome = arrive(order)
        assert balance(case) == 10000, "the sale is still due"
        assert received(case) == 0
        assert [finding.code for finding in outcome.findings] == ["payment_failed_after_success"]


def test_several_captures_make_one_invoice_each() -> None:
    captures = [fact("payment.captured", f"cap_{n}", 3000, capture_id=f"cap_{n}", minute=n) for n in (1, 2)]
    case, _ = arrive(captures)
    assert keys(case) == ["invoice:capture:cap_1", "invoice:capture:cap_2"]
    assert received(case) == 6000


def test_success_and_captures_of_one_payment_never_both_count() -> None:
    capture = fact("payment.captured", "cap_1", 10000, capture_id="cap_1")
    for order in permutations([succeeded(), capture]):
        assert balance(arrive(order)[0]) == 10000


def test_a_running_total_of_captures_adds_what_is_missing() -> None:
    totals = [
        fact("payment.captured", "ch_1", t, capture_id="ch_1", occurrence=str(t), running_total=True) for t in (6000, 10000)
    ]
    for order in permutations(totals):
        case, _ = arrive(order)
        assert balance(case) == 10000
        assert received(case) == 10000


def test_a_renewal_makes_a_recurring_invoice_due_in_14_days() -> None:
    case, _ = arrive([renewal()])
    document = case.documents[0].document
    assert document.lines[0].name == "Pro - 2026-11-01 to 2026-11-30"
    assert (document.date_service, document.date_service_to) == ("2026-11-01", "2026-11-30")
    assert (document.date, document.date_due) == ("2026-11-20", "2026-12-04")
    assert not document.payments


def test_a_renewal_of_zero_makes_nothing() -> None:
    assert not arrive([renewal(0)])[0].documents


def test_a_renewal_and_its_payment_share_one_invoice_in_either_order() -> None:
    paid = succeeded(invoice_id="in_1", awaits_renewal=True)
    for order in permutations([renewal(), paid]):
        case, _ = arrive(order)
        invoices = [k.document for k in case.documents if k.document.kind is DocumentKind.INVOICE]
        assert [invoice.subject for invoice in invoices] == ["renewal:in_1"]
        assert received(case) == 10000


def test_a_renewal_that_names_its_payment_is_paid_at_once() -> None:
    for order in permutations([renewal(payment_id="pay_1"), succeeded(invoice_id="in_1", awaits_renewal=True)]):
        case, _ = arrive(order)
        assert balance(case) == received(case) == 10000


def test_a_payment_invoiced_before_its_renewal_was_linked_covers_the_renewal() -> None:
    case, _ = arrive([succeeded(), renewal(payment_id="pay_1")])
    assert keys(case) == ["invoice:payment:pay_1"]


def test_a_billing_invoice_paid_by_a_payment_not_named_yet_waits_for_its_name() -> None:
    unnamed = succeeded(payment_id="in_1", invoice_id="in_1", awaits_renewal=True)
    case, outcome = arrive([unnamed, renewal()])
    assert not case.documents
    assert {waiting.awaited for waiting in outcome.waiting} == {"payment named"}


def test_a_named_payment_releases_the_renewal_in_any_order() -> None:
    unnamed = succeeded(payment_id="in_1", invoice_id="in_1", awaits_renewal=True)
    named = succeeded(invoice_id="in_1", awaits_renewal=True)
    for order in permutations([unnamed, renewal(), named]):
        case, outcome = arrive(order)
        assert balance(case) == received(case) == 10000
        assert not outcome.waiting


def test_a_refund_is_credited_with_its_payout_recorded() -> None:
    case, _ = arrive([succeeded(), refund("re_1", 2500)])
    credit_note = case.documents[1].document
    assert credit_note.kind is DocumentKind.CREDIT_NOTE
    assert credit_note.refers_to == "invoice:payment:pay_1"
    assert credit_note.payments[0].reference == "re_1"
    assert balance(case) == 7500


def test_a_refund_before_its_payment_waits() -> None:
    _, outcome = arrive([refund("re_1", 2500)])
    assert not outcome.documents
    assert [waiting.awaited for waiting in outcome.waiting] == ["payment"]


def test_a_refund_that_fails_after_it_was_credited_is_invoiced_again() -> None:
    case, _ = arrive([succeeded(), refund("re_1", 2500), fact("refund.failed", "re_1", 2500, minute=30)])
    corrective = case.documents[-1].document
    assert corrective.kind is DocumentKind.INVOICE
    assert corrective.refers_to == "credit_note:refund:re_1"
    assert balance(case) == 10000


def test_a_dispute_that_is_opened_or_won_makes_nothing() -> None:
    case, _ = arrive([succeeded(), dispute("opened"), dispute("won", minute=30)])
    assert keys(case) == ["invoice:payment:pay_1"]


def test_a_lost_dispute_after_a_refund_is_credited_up_to_what_is_left() -> None:
    case, outcome = arrive([succeeded(), refund("re_1", 3000), dispute("lost")])
    assert case.documents[-1].document.amount == Money(7000, "EUR")
    assert balance(case) == 0
    assert [(finding.code, finding.amount) for finding in outcome.findings] == [("returned_more_than_paid", Money(3000, "EUR"))]


def test_a_dispute_lost_then_won_is_corrected_and_lost_again_credited_again() -> None:
    lost, won = dispute("lost", minute=20), dispute("won", minute=30)
    case, _ = arrive([succeeded(), lost, won])
    assert balance(case) == 10000
    lost_again = Fact(**{name: getattr(lost, name) for name in lost.__slots__} | {"last_occurred_at": "2026-11-23T13:00:00Z"})
    again = Case(facts=(succeeded(), lost_again, won), documents=case.documents)
    (document,) = plan(again, CUSTOMER).documents
    assert document.key == "credit_note:dispute:dp_1:2"
    assert document.date == "2026-11-23", "it was lost again three days later"


def test_running_totals_of_refunds_are_credited_by_what_they_add() -> None:
    totals = [refund("ch_1", t, occurrence=str(t), running_total=True) for t in (500, 1500)]
    for order in permutations([succeeded(1500), *totals]):
        assert balance(arrive(order)[0]) == 0


def test_a_refund_reported_alone_and_in_a_running_total_is_credited_once() -> None:
    reports = [refund("ch_1", 1500, occurrence="1500", running_total=True), refund("re_1", 500), refund("re_2", 1000)]
    for order in permutations([succeeded(1500), *reports]):
        assert balance(arrive(order)[0]) == 0


def test_an_amount_that_two_decimals_cannot_carry_is_a_finding() -> None:
    case, outcome = arrive([succeeded(1234, currency="KWD")])
    assert not case.documents
    assert [finding.code for finding in outcome.findings] == ["amount_not_representable"]


def test_a_refund_in_another_currency_is_a_finding() -> None:
    case, outcome = arrive([succeeded(), refund("re_1", 100, currency="USD")])
    assert keys(case) == ["invoice:payment:pay_1"]
    assert [finding.code for finding in outcome.findings] == ["return_currency_differs"]


def test_the_date_is_the_day_of_the_fact_where_the_customer_is() -> None:
    late = succeeded(occurred_at="2026-12-31T23:30:00Z")
    assert arrive([late])[0].documents[0].document.date == "2027-01-01"
    in_new_york = BusinessCustomer(id="bc_1", profile={"timezone": "America/New_York"}, entity_id="ent_1")
    assert arrive([late], in_new_york)[0].documents[0].document.date == "2026-12-31"


def test_a_refused_document_is_not_planned_again() -> None:
    case = Case(facts=(succeeded(),))
    case = issue(case, plan(case, CUSTOMER).documents)
    (known,) = case.documents
    refused = Case(facts=case.facts, documents=(type(known)(document=known.document, state=DocumentState.REFUSED),))
    outcome = plan(refused, CUSTOMER)
    assert not outcome.documents
    assert [finding.code for finding in outcome.findings] == ["document_refused"]


@pytest.mark.parametrize(("credit_on", "expected"), [("lost", 0), ("opened", -1), ("never", 0)])
def test_policy_decides_when_a_dispute_is_credited(credit_on: Any, expected: int) -> None:
    customer = BusinessCustomer(id="bc_1", policies=(Policy(dispute_credit_on=credit_on),), entity_id="ent_1")
    case, _ = arrive([succeeded(), dispute("opened")], customer)
    assert balance(case) == 10000 * (1 + expected)


amounts = st.integers(min_value=1, max_value=12000)


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """A payment with refunds that may fail and disputes that may flip, in any order of arrival."""
    facts = [succeeded(draw(amounts))]
    for n in range(draw(st.integers(0, 3))):
        amount = draw(amounts)
        facts.append(refund(f"re_{n}", amount, minute=10 + n))
        if draw(st.booleans()):
            facts.append(fact("refund.failed", f"re_{n}", amount, minute=40 + n))
    for n in range(draw(st.integers(0, 2))):
        amount = draw(amounts)
        outcomes = draw(st.lists(st.sampled_from(["opened", "won", "lost"]), unique=True, max_size=3))
        facts += [dispute(outcome, amount, f"dp_{n}", minute=20 + n + 3 * place) for place, outcome in enumerate(outcomes)]
    return list(draw(st.permutations(facts)))


@given(histories())
def test_totals_do_not_depend_on_the_order_of_arrival(history: list[Fact]) -> None:
    assert balance(arrive(history)[0]) == balance(arrive(sorted(history, key=lambda f: f.occurred_at))[0])


@given(histories())
def test_credits_never_exceed_their_invoice(history: list[Fact]) -> None:
    case, _ = arrive(history)
    for known in case.documents:
        if known.document.kind is DocumentKind.INVOICE:
            credited = sum(
                other.document.amount.value
                for other in case.documents
                if other.document.kind is DocumentKind.CREDIT_NOTE and other.document.refers_to == known.document.key
            )
            assert credited <= known.document.amount.value


@given(histories())
def test_every_document_has_its_own_key_and_a_reason(history: list[Fact]) -> None:
    case, _ = arrive(history)
    assert len(set(keys(case))) == len(case.documents)
    assert all(known.document.reason and known.document.fact for known in case.documents)


@given(histories())
def test_what_stands_invoiced_is_what_was_paid_less_what_was_returned(history: list[Fact]) -> None:
    paid = next(f.amount.value for f in history if f.type == "payment.succeeded" and f.amount)
    failed = {f.key for f in history if f.type == "refund.failed"}
    refunded = sum(f.amount.value for f in history if f.type == "refund.succeeded" and f.amount and f.key not in failed)
    disputes = {f.key for f in history if f.type in ("dispute.lost", "dispute.won")}
    last = [
        max((f for f in history if f.key == key and f.type != "dispute.opened"), key=lambda f: f.occurred_at) for key in disputes
    ]
    lost = sum(f.amount.value for f in last if f.type == "dispute.lost" and f.amount)
    assert balance(arrive(history)[0]) == max(0, paid - refunded - lost)


def test_a_paid_billing_invoice_that_is_no_renewal_is_invoiced_in_any_order_of_its_reports() -> None:
    unnamed = succeeded(payment_id="in_1", invoice_id="in_1", awaits_renewal=False)
    link = succeeded(invoice_id="in_1", awaits_renewal=True)
    for order in permutations([unnamed, link]):
        case, _ = arrive(order)
        assert keys(case) == ["invoice:payment:pay_1"]


# --- one debit told as a dispute and as a reversal -----------------------------------------------------------------------


def reversed_by_provider(key: str = "R1", amount: int = 4000) -> Fact:
    return refund(key, amount, provider="paypal", reason="reversed", capture_id="pay_1")


def disputed(outcome: str, minute: int = 20) -> Fact:
    return dispute(outcome, 4000, provider="paypal", capture_id="pay_1", minute=minute)


@pytest.mark.parametrize(
    ("told", "credited"),
    [
        ((reversed_by_provider(), disputed("lost")), 4000),
        ((reversed_by_provider(), disputed("opened", 5), disputed("won", 30)), 0),
        ((reversed_by_provider(), refund("R2", 1500, capture_id="pay_1")), 5500),
        ((reversed_by_provider(), refund("R2", 1500, capture_id="pay_1"), disputed("lost")), 5500),
        ((refund("R1", 4000, provider="platform", reason="reversed"), dispute("lost", 4000)), 8000),
    ],
    ids=["lost", "won", "and a refund", "all three", "a platform's own word"],
)
def test_a_debit_that_is_told_twice_is_credited_once(told: tuple[Fact, ...], credited: int) -> None:
    for order in permutations((succeeded(), *told)):
        case, _ = arrive(order)
        assert balance(case) == 10000 - credited, [fact.identity for fact in order]


# --- payouts


@pytest.mark.parametrize(("paid_at", "found"), [(None, True), (10, True), (30, False)])
def test_a_payout_that_failed_is_found_unless_it_was_paid_after_all(paid_at: int | None, *, found: bool) -> None:
    failed = fact("payout.failed", "po_1", 9000, payment_id=None, minute=20)
    paid = [] if paid_at is None else [fact("payout.paid", "po_1", 9000, payment_id=None, minute=paid_at)]
    findings = plan(Case(facts=(failed, *paid)), CUSTOMER).findings
    assert [(one.code, one.subject, one.amount) for one in findings] == (
        [("payout_failed", "payout:po_1", Money(9000, "EUR"))] if found else []
    )
