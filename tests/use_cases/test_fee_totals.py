"""Fee documents against what payouts kept, month by month; and several payouts of one payment."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.stories import fact
from tests.use_cases.fee_world import FeeWorld, charged, disputed, euros, given_back, payout

IN_DECEMBER = "2026-12-10T12:00:00+00:00"
IN_JANUARY = "2027-01-10T12:00:00+00:00"


def closed(world: FeeWorld, moment: str = IN_DECEMBER) -> dict[str, str]:
    world.at(moment)
    world.close_due()
    return world.fee_totals()


@pytest.mark.parametrize("rule", ["each", "monthly"])
def test_documents_come_to_what_the_payouts_kept(rule: str) -> None:
    world = FeeWorld({"fee_invoices": rule})
    world.at("2026-11-28T12:00:00+00:00")
    world.take(charged("pay_1"), charged("pay_2", 90), *payout(pay_1=(10000, 200), pay_2=(10000, 90)))
    world.take(given_back("pay_2", 40))
    assert closed(world) == {"2026-11 EUR": "2.50 - 2.50 = 0.00"}


def test_a_month_that_is_not_closed_has_no_documents_yet() -> None:
    world = FeeWorld()
    world.take(charged())
    assert world.fee_totals() == {"2026-11 EUR": "0.00 - 2.10 = -2.10"}


def test_a_document_that_is_missing_shows() -> None:
    world = FeeWorld()
    world.take(charged())
    world.sandbox.faults.add_json({"kind": "status", "status": 422, "match": {"method": "POST", "path_prefix": "/invoices"}})
    assert closed(world) == {"2026-11 EUR": "0.00 - 2.10 = -2.10"}


def test_a_fee_that_only_the_payouts_know_shows() -> None:
    world = FeeWorld()
    whole, _ = payout(pay_1=(10000, 250))
    world.take(charged(), whole)
    assert closed(world) == {"2026-11 EUR": "2.10 - 2.50 = -0.40"}


def test_what_is_given_back_later_counts_in_the_month_it_was_charged_in() -> None:
    world = FeeWorld()
    world.take(charged("pay_1"), *payout(pay_1=(10000, 210)))
    closed(world)
    world.take(charged("pay_2", at="2026-12-01T12:00:00Z"), given_back("pay_1", 60, at="2026-12-09T12:00:00Z"))
    assert world.fee_totals() == {"2026-11 EUR": "2.10 - 1.50 = 0.60", "2026-12 EUR": "0.00 - 2.10 = -2.10"}
    assert closed(world, IN_JANUARY) == {"2026-11 EUR": "1.50 - 1.50 = 0.00", "2026-12 EUR": "2.10 - 2.10 = 0.00"}


@pytest.mark.parametrize("reports", [
    [*payout("po_2", "2026-11-24T12:00:00Z", pay_1=(0, -60))],
    [given_back("pay_1", 60)],
    [given_back("pay_1", 60), *payout("po_2", "2026-11-24T12:00:00Z", pay_1=(-10000, -60))],
])  # fmt: skip
def test_what_is_given_back_is_counted_once_however_often_it_is_told(reports: list[Any]) -> None:
    world = FeeWorld()
    world.take(charged(), *payout(pay_1=(10000, 210)), *reports)
    assert closed(world) == {"2026-11 EUR": "1.50 - 1.50 = 0.00"}


@pytest.mark.parametrize("reports", [
    [disputed("lost", 1500, "2026-11-24T12:00:00Z")],
    [*payout("po_2", "2026-11-24T12:00:00Z", pay_1=(-10000, 1500))],
    [disputed("opened", 1500, "2026-11-22T12:00:00Z"), *payout("po_2", "2026-11-24T12:00:00Z", pay_1=(-10000, 1500))],
])  # fmt: skip
def test_a_dispute_fee_is_counted_once_however_often_it_is_told(reports: list[Any]) -> None:
    world = FeeWorld()
    world.take(charged(), *payout(pay_1=(10000, 210)), *reports)
    assert closed(world) == {"2026-11 EUR": "17.10 - 17.10 = 0.00"}


@pytest.mark.trap(26)
def test_a_payout_that_failed_and_came_again_keeps_its_fees_once() -> None:
    world = FeeWorld()
    world.take(charged(), *payout(pay_1=(10000, 200)))
    world.take(fact("payout.failed", "po_1", 9800, payment_id=None, occurred_at="2026-11-24T12:00:00Z"))
    world.take(*payout("po_2", "2026-11-25T12:00:00Z", pay_1=(10000, 200)))
    assert closed(world) == {"2026-11 EUR": "2.00 - 2.00 = 0.00"}


def test_captures_paid_out_one_by_one_are_kept_of_one_by_one() -> None:
    world = FeeWorld()
    parts = [
        fact("payment.captured", f"cap_{n}", 5000, fee=euros(100), occurred_at=f"2026-11-0{n}T12:00:00Z", capture_id=f"cap_{n}")
        for n in (1, 2)
    ]
    world.take(*parts, *payout("po_1", "2026-11-03T12:00:00Z", pay_1=(5000, 110)))
    (case,) = [case for case in world.cases() if case.fees]
    assert sum(entry.amount.value for entry in case.fees.values()) == 200, "the second capture is still to be paid out"
    world.take(*payout("po_2", "2026-11-04T12:00:00Z", pay_1=(5000, 110)))
    assert closed(world) == {"2026-11 EUR": "2.20 - 2.20 = 0.00"}


def test_a_fee_kept_in_another_currency_replaces_the_reported_one() -> None:
    world = FeeWorld({"fee_invoices": "each"})
    world.at("2026-11-28T12:00:00+00:00")
    world.take(charged())
    dollars = fact("payment.settled", "pay_1", 10500, currency="USD", fee=type(euros(1))(230, "USD"), occurrence="po_1")
    world.take(dollars)
    totals = sorted(f"{name} {total}" for _, name, total, _ in world.papers())
    assert totals == ["credit-notes 2.10 EUR", "invoices 2.10 EUR", "invoices 2.30 USD"]


def test_who_is_charged_no_fees_has_none() -> None:
    world = FeeWorld({"invoices": "sale"})
    world.take(charged(), *payout(pay_1=(10000, 210)))
    assert closed(world) == {}
