"""Payouts tied out line by line: what counts, what does not, and that nothing is ever hidden."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from quittance.documents import DocumentState
from quittance.facts import PayoutAdjustment, PayoutLine
from quittance.ledger import CaseFile
from quittance.money import Money
from quittance.reconciliation.finding_classes import CLASSES
from quittance.reconciliation.payouts import PARTS, TieOut, residual_found, tie_out
from tests.unit.payout_world import PayoutWorld, line, other
from tests.unit.stories import CUSTOMER, at, dispute, fact, refund, renewal, succeeded


def known(**details: Any) -> PayoutWorld:
    """pay_1 of 100.00 and pay_2 of 50.00, documented; 7.00 of the first were refunded."""
    world = PayoutWorld(**details)
    world.take(succeeded(10000), succeeded(5000, payment_id="pay_2"), refund("re_1", 700))
    return world


def reasons(tied: TieOut) -> dict[str, str]:
    return {one.id: one.reason for one in tied.unexplained}


WHOLE: dict[str, Any] = {
    "lines": [line("pay_1", 10000, 210, 30), line("pay_2", 5000, 100)],
    "adjustments": [other("refund", "re_1", -700, "pay_1")],
}


def test_a_payout_that_is_known_to_the_last_line_leaves_nothing() -> None:
    world = known()
    world.pay_out(**WHOLE)
    tied = world.tied()
    assert tied.parts == {"payments": 15000, "fees": -340, "refunds": -700, "disputes": 0, "other": 0}
    assert (tied.amount, tied.residual, tied.unexplained) == (Money(13960, "EUR"), 0, ())
    summary = tied.summary()
    assert summary.amount.value == sum(getattr(summary, part) for part in PARTS) + summary.residual
    assert summary.documents == (
        "api:invoice:payment:pay_1",
        "api:invoice:payment:pay_2",
        "api:credit_note:refund:re_1",
    )
    assert residual_found(tied) is None


@pytest.mark.parametrize("gone", ["pay_1", "pay_2"])
def test_an_unknown_payment_is_left_over(gone: str) -> None:
    world = known()
    world.pay_out(lines=WHOLE["lines"], marks=False)
    world.forget(gone)
    tied = world.tied()
    assert (tied.residual, reasons(tied)) == ({"pay_1": 10000, "pay_2": 5000}[gone], {gone: "payment_unknown"})
    assert tied.parts["fees"] == -340


@pytest.mark.parametrize("state", [DocumentState.INTENDED, DocumentState.REFUSED])
def test_a_document_that_is_not_there_is_left_over(state: DocumentState) -> None:
    world = known()
    world.pay_out(**WHOLE)
    entry = world.cases["pay_2"].documents["invoice:payment:pay_2"]
    entry.record = replace(entry.record, state=state)
    assert reasons(world.tied()) == {"pay_2": "document_missing"}
    assert world.tied().residual == 5000


def test_a_document_that_was_never_made_is_left_over() -> None:
    world = known()
    world.pay_out(**WHOLE)
    del world.cases["pay_1"].documents["credit_note:refund:re_1"]
    tied = world.tied()
    assert (tied.residual, reasons(tied)) == (-700, {"re_1": "document_missing"})


def test_an_unknown_refund_is_left_over() -> None:
    world = known()
    world.pay_out(**WHOLE | {"adjustments": [other("refund", "re_9", -700, "pay_1")]})
    tied = world.tied()
    assert (tied.residual, reasons(tied)) == (-700, {"re_9": "refund_unknown"})


def test_lines_that_cancel_each_other_out_are_told_although_nothing_is_left() -> None:
    world = known()
    world.pay_out(lines=[line("pay_8", 700)], adjustments=[other("refund", "re_9", -700, "pay_1")])
    tied = world.tied()
    assert tied.residual == 0
    found = residual_found(tied)
    assert found is not None
    assert (found.code, found.amount, found.payment_id) == ("payout_residual", Money(0, "EUR"), "po_1")
    assert found.detail == "pay_8 payment_unknown, re_9 refund_unknown"


def test_lines_that_do_not_come_to_the_amount_leave_the_difference() -> None:
    world = known()
    world.pay_out(**WHOLE, amount=14000)
    found = residual_found(world.tied())
    assert found is not None
    assert (found.amount, found.detail) == (Money(40, "EUR"), "the lines do not come to the amount")
    assert found.code in CLASSES


def test_a_payout_without_lines_is_wholly_unexplained() -> None:
    world = known()
    world.pay_out(amount=9000)
    assert (world.tied().residual, world.tied().lines) == (9000, ())


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        ([line("pay_1", 9999)], "amount_differs"),
        ([line("pay_1", 10000), line("pay_1", 10000)], "amount_differs"),
    ],
)
def test_another_amount_than_was_paid_explains_nothing(listed: list[PayoutLine], reason: str) -> None:
    world = known()
    world.pay_out(lines=listed)
    assert reasons(world.tied()) == {"pay_1": reason}
    assert world.tied().residual == sum(one.gross for one in listed)


def test_another_currency_is_not_compared() -> None:
    world = known()
    world.pay_out(lines=[line("pay_1", 10000)], currency="USD")
    tied = world.tied()
    found = residual_found(tied)
    assert found is not None
    assert (reasons(tied), tied.residual, found.code) == ({"pay_1": "currency_differs"}, 10000, "payout_currency_differs")
    world.pay_out("po_2", lines=[line("pay_1", 10000), line("pay_9", 1)], currency="USD")
    mixed = residual_found(world.tied("po_2"))
    assert mixed is not None
    assert mixed.code == "payout_residual"


def test_an_account_that_nobody_registered_has_no_documents() -> None:
    world = PayoutWorld(customer=None)
    for one in (succeeded(10000), fact("payout.paid", "po_1", 10000, payment_id=None, payout_lines=(line("pay_1", 10000),))):
        case = world.cases.setdefault(one.case_ids[0], CaseFile(one.provider, one.account, one.case_ids[0]))
        case.facts[one.identity] = one
    assert reasons(world.tied()) == {"pay_1": "business_customer_unknown"}


# --- what payments look like


def test_a_payment_is_known_by_its_other_ids() -> None:
    world = PayoutWorld()
    world.take(succeeded(10000, payment_id="pi_1", also_known_as=("ch_1",)))
    world.pay_out(lines=[line("ch_1", 10000)])
    assert (world.tied().residual, world.tied().lines[0].documents[0].number) == (0, "N-invoice:payment:pi_1")


def capture(key: str, amount: int, **details: Any) -> Any:
    return fact("payment.captured", key, amount, capture_id=key, **details)


@pytest.mark.parametrize(("gross", "reason"), [(6000, ""), (3600, ""), (9600, ""), (5000, "amount_differs")])
def test_captures_may_be_paid_out_one_by_one_or_together(gross: int, reason: str) -> None:
    world = PayoutWorld()
    world.take(capture("cap_1", 6000), capture("cap_2", 3600, minute=1))
    world.pay_out(lines=[line("pay_1", gross)])
    assert world.tied().lines[0].reason == reason


@pytest.mark.parametrize("gross", [4000, 6000, 10000])
def test_a_running_total_of_captures_is_paid_out_in_its_steps(gross: int) -> None:
    world = PayoutWorld()
    totals = [capture("ch_1", total, occurrence=str(total), running_total=True) for total in (4000, 10000)]
    world.take(*totals)
    world.pay_out(lines=[line("pay_1", gross)])
    assert world.tied().residual == 0


def test_of_many_captures_all_or_one_are_expected() -> None:
    world = PayoutWorld()
    world.take(*(capture(f"cap_{number}", 100 + number, minute=number) for number in range(14)))
    total = sum(100 + number for number in range(14))
    world.pay_out(lines=[line("pay_1", total)])
    world.pay_out("po_2", lines=[line("pay_1", 201)])
    assert (world.tied().residual, world.tied("po_2").lines[0].reason) == (0, "amount_differs")


def test_the_payment_of_a_renewal_has_the_invoice_of_the_renewal() -> None:
    world = PayoutWorld()
    world.take(renewal(), succeeded(invoice_id="in_1", also_known_as=("in_1",)))
    world.pay_out(lines=[line("pay_1", 10000)])
    assert [one.id for one in world.tied().lines[0].documents] == ["api:invoice:renewal:in_1"]
    assert world.tied().residual == 0


def test_two_payments_of_one_renewal_are_two() -> None:
    world = PayoutWorld()
    names = {"invoice_id": "in_1", "also_known_as": ("in_1",)}
    world.take(renewal(), succeeded(4000, **names), succeeded(6000, payment_id="pay_2", **names))
    world.pay_out(lines=[line("pay_1", 4000), line("pay_2", 6000)])
    assert world.tied().residual == 0
    world.pay_out("po_2", lines=[line("pay_1", 10000)], minute=10)
    assert reasons(world.tied("po_2")) == {"pay_1": "amount_differs"}


def test_a_policy_that_makes_no_invoice_asks_for_none() -> None:
    policies = tuple(replace(policy, invoices="fee") for policy in CUSTOMER.policies)
    world = PayoutWorld(customer=replace(CUSTOMER, policies=policies))
    world.take(succeeded(10000), refund("re_1", 700))
    world.pay_out(lines=[line("pay_1", 10000)], adjustments=[other("refund", "re_1", -700, "pay_1")])
    assert (world.tied().residual, world.tied().summary().documents) == (0, ())


def test_what_waits_for_its_payout_is_not_there_yet() -> None:
    policies = tuple(replace(policy, issue_on="settled") for policy in CUSTOMER.policies)
    world = PayoutWorld(customer=replace(CUSTOMER, policies=policies))
    world.take(succeeded(10000))
    paid = world.pay_out(lines=[line("pay_1", 10000)], marks=False)
    assert reasons(world.tied()) == {"pay_1": "document_missing"}
    world.pay_out(lines=paid.payout_lines)
    assert world.tied().residual == 0


def test_a_payment_that_two_payouts_hold_counts_once() -> None:
    world = known()
    world.pay_out(lines=[line("pay_1", 10000)])
    world.pay_out("po_2", lines=[line("pay_1", 10000)], minute=55)
    assert (world.tied().residual, reasons(world.tied("po_2"))) == (0, {"pay_1": "paid_out_before"})


def test_what_a_failed_payout_held_comes_with_another_one() -> None:
    world = known()
    world.pay_out(lines=[line("pay_1", 10000)])
    world.take(fact("payout.failed", "po_1", 10000, payment_id=None, minute=52))
    world.pay_out("po_2", lines=[line("pay_1", 10000)], minute=55)
    failed, again = world.tied(), world.tied("po_2")
    assert (failed.state, failed.amount, failed.residual, failed.unexplained) == ("failed", Money(0, "EUR"), 0, ())
    assert (failed.lines[0].gross, again.residual) == (10000, 0)
    assert residual_found(failed) is None


def test_a_payout_that_was_paid_after_all_is_paid() -> None:
    world = known()
    world.take(fact("payout.failed", "po_1", 10000, payment_id=None, minute=40))
    world.pay_out(lines=[line("pay_1", 10000)])
    assert (world.tied().state, world.tied().residual) == ("paid", 0)


def test_the_shares_of_a_large_payout_are_one() -> None:
    world = known()
    world.pay_out(lines=[line("pay_1", 10000)], amount=15000)
    world.pay_out("po_1/txn_9", lines=[line("pay_2", 5000)], amount=15000, also_known_as=("po_1",))
    assert (world.tied().payout_id, world.tied().residual, len(world.tied().lines)) == ("po_1", 0, 2)


def test_shares_of_two_sources_may_overlap() -> None:
    world = known()
    taken = other("refund", "re_1", -700, "pay_1")
    world.pay_out(lines=WHOLE["lines"], adjustments=[taken, other("fee", "txn_1", -90)], amount=13870)
    again = [replace(WHOLE["lines"][0], fee=0), WHOLE["lines"][1]]
    world.pay_out(
        "po_1/txn_9", lines=again, adjustments=[taken, other("stripe_fee", "txn_1", -90)], amount=13870, also_known_as=("po_1",)
    )
    assert (world.tied().residual, world.streamed()["po_1"].residual) == (0, 0)


# --- what else a payout holds


def test_a_refund_may_be_of_a_payment_that_was_paid_out_before() -> None:
    world = known()
    world.pay_out("po_0", lines=WHOLE["lines"], minute=1)
    world.pay_out(lines=[], adjustments=[other("refund", "re_1", -700, "pay_1")], amount=-700)
    assert world.tied().residual == 0


@pytest.mark.parametrize(("kind", "outcome"), [("dispute", "lost"), ("adjustment", "lost"), ("chargeback", "opened")])
def test_a_dispute_takes_its_amount_and_a_fee(kind: str, outcome: str) -> None:
    world = known()
    world.take(dispute(outcome, 5000, payment_id="pay_2"))
    world.pay_out(adjustments=[other(kind, "dp_1", -5000, "pay_2", fee=1500)])
    tied = world.tied()
    assert (tied.residual, tied.parts["disputes"], tied.parts["fees"]) == (0, -5000, -1500)


def test_a_dispute_that_the_policy_credits_needs_its_credit_note() -> None:
    world = known()
    world.take(dispute("lost", 5000, payment_id="pay_2"))
    world.pay_out(adjustments=[other("dispute", "dp_1", -5000, "pay_2")])
    del world.cases["pay_2"].documents["credit_note:dispute:dp_1"]
    assert reasons(world.tied()) == {"dp_1": "document_missing"}
    policies = tuple(replace(policy, dispute_credit_on="never") for policy in CUSTOMER.policies)
    world.customer = replace(CUSTOMER, policies=policies)
    assert world.tied().residual == 0


def test_a_dispute_that_was_won_gives_back_what_it_took() -> None:
    world = known()
    world.take(dispute("opened", 5000, payment_id="pay_2"))
    back = other("dispute_reversal", "dp_1", 5000, "pay_2")
    world.pay_out(adjustments=[back])
    assert reasons(world.tied()) == {"dp_1": "dispute_unknown"}
    world.take(dispute("won", 5000, payment_id="pay_2", minute=30))
    assert world.tied().residual == 0


def test_a_dispute_that_was_lost_for_a_part_gives_back_the_rest() -> None:
    world = known()
    world.take(dispute("opened", 5000, payment_id="pay_2"), dispute("lost", 2000, payment_id="pay_2", minute=30))
    world.pay_out(adjustments=[other("dispute_reversal", "dp_1", 3000, "pay_2")])
    assert world.tied().residual == 0


def test_a_refund_that_failed_comes_back() -> None:
    world = known()
    world.take(fact("refund.failed", "re_1", 700, minute=30))
    world.pay_out(adjustments=[other("refund", "re_1", -700, "pay_1"), other("refund_failure", "re_1", 700, "pay_1")])
    assert (world.tied().residual, world.tied().unexplained) == (0, ())


def test_refunds_that_are_reported_in_sum_explain_as_much() -> None:
    world = PayoutWorld()
    world.take(succeeded(10000), refund("ch_1", 900, running_total=True, occurrence="900"))
    world.pay_out(adjustments=[other("refund", "re_5", -900, "pay_1")])
    world.pay_out("po_2", adjustments=[other("refund", "re_6", -901, "pay_1")])
    assert (world.tied().residual, reasons(world.tied("po_2"))) == (0, {"re_6": "refund_unknown"})


def test_a_provider_may_name_only_the_payment_of_what_it_took_back() -> None:
    world = known()
    world.pay_out(adjustments=[other("payment_refunded", "pay_1", -700, "pay_1")])
    world.pay_out("po_2", lines=[PayoutLine(payment_id="pay_1", gross=-700, fee=0, net=-700)])
    world.pay_out("po_3", lines=[PayoutLine(payment_id="pay_2", gross=-700, fee=0, net=-700)])
    assert [world.tied(key).residual for key in ("po_1", "po_2", "po_3")] == [0, 0, -700]


def test_a_payment_that_failed_after_it_was_paid_out_is_taken_back() -> None:
    world = known()
    world.pay_out(adjustments=[other("payment_failed", "pay_2", -5000, "pay_2")])
    assert reasons(world.tied()) == {"pay_2": "failure_unknown"}
    world.take(fact("payment.failed", "pay_2", 5000, payment_id="pay_2", minute=30))
    assert (world.tied().residual, world.tied().parts["payments"]) == (0, -5000)


def test_fees_and_what_has_to_do_with_no_payment_are_explained_by_their_names() -> None:
    world = known()
    named = [other("stripe_fee", "txn_1", -90), other("payout_failure", "po_0", 9000), other("ReserveAdjustment", "r", -50)]
    world.pay_out(adjustments=named)
    tied = world.tied()
    assert (tied.residual, tied.parts["fees"], tied.parts["other"]) == (0, -90, 8950)


@pytest.mark.parametrize("one", [other("unknown", "x_1", 5), other("adjustment", "x_1", 5, "pay_1")])
def test_what_nobody_can_name_is_left_over(one: PayoutAdjustment) -> None:
    world = known()
    world.pay_out(adjustments=[one])
    assert (world.tied().residual, set(reasons(world.tied()))) == (5, {"x_1"})


def test_a_payout_that_nobody_said_the_amount_of_is_told() -> None:
    paid = replace(fact("payout.paid", "po_1", 1, payment_id=None), amount=None)
    tied = tie_out([paid], "bc_1", PayoutWorld().look)
    found = residual_found(tied)
    assert found is not None
    assert found.detail == "po_1 amount_unknown"


def test_other_facts_are_no_payout() -> None:
    with pytest.raises(ValueError, match="no payout"):
        tie_out([succeeded()], "bc_1", PayoutWorld().look)


def test_many_lines_that_are_left_over_are_named_in_part() -> None:
    world = PayoutWorld()
    world.pay_out(lines=[line(f"pay_{number}", 100) for number in range(8)])
    found = residual_found(world.tied())
    assert found is not None
    assert found.detail.endswith("pay_4 payment_unknown, 3 more")
    assert at(50) == world.tied().occurred_at


def test_a_tie_out_is_ready_for_json() -> None:
    world = known()
    world.pay_out(**WHOLE)
    told = world.tied().to_json()
    assert (told["kind"], told["residual"], told["refunds"]) == ("payout", 0, -700)
    assert told["lines"][0]["documents"][0] == {
        "id": "api:invoice:payment:pay_1",
        "number": "N-invoice:payment:pay_1",
        "kind": "invoice",
        "amount": {"value": 10000, "currency": "EUR"},
        "is_fee": False,
    }
