"""A fee that becomes known after its payment: Stripe books what a charge cost when its money is booked, which may be later."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from quittance.facts import FactType
from quittance.registration import read_customer
from tests.use_cases.fee_world import FeeWorld, charged, euros, given_back, paid_out

WITH_FEE = charged(at="2026-11-20T12:00:00Z")
WITHOUT = replace(WITH_FEE, fee=None)
EACH = {"invoices": "both", "fee_invoices": "each"}


def of_platform(world: FeeWorld) -> list[tuple[str, str, str]]:
    return [paper[:3] for paper in world.papers()]


def sales(world: FeeWorld) -> list[str]:
    """What the business customer's own entity invoiced."""
    customer = read_customer(world.table, "bc_1")
    assert customer
    return [str(one["total_with_tax"]) for one in world.held("invoices", customer.entity_id)]


@pytest.mark.trap(28)
@pytest.mark.parametrize("policy", [EACH, EACH | {"invoices": "fee"}])
def test_a_fee_that_comes_after_its_payment_is_invoiced_once_and_the_sale_is_not_repeated(policy: dict[str, str]) -> None:
    world = FeeWorld(policy)
    world.take(WITHOUT)
    assert of_platform(world) == []
    world.take(WITH_FEE, WITH_FEE, WITHOUT)
    assert of_platform(world) == [("2026-11-20", "invoices", "2.10 EUR")]
    assert sales(world) == (["100"] if policy["invoices"] == "both" else [])


@pytest.mark.trap(28)
def test_a_fee_that_comes_after_the_payout_told_it_changes_nothing() -> None:
    world = FeeWorld(EACH)
    world.take(WITHOUT, paid_out(fee=250))
    told = of_platform(world)
    assert told == [("2026-11-20", "invoices", "2.50 EUR")]
    world.take(WITH_FEE)
    assert of_platform(world) == told


@pytest.mark.trap(28)
def test_a_fee_that_comes_after_its_month_was_closed_counts_in_the_present_one() -> None:
    world = FeeWorld()
    world.take(WITHOUT, charged("pay_2", 150))
    world.at("2026-12-10T12:00:00+00:00")
    world.close_due()
    world.take(WITH_FEE)
    world.at("2027-01-10T12:00:00+00:00")
    world.close_due()
    assert of_platform(world) == [("2026-11-30", "invoices", "1.50 EUR"), ("2026-12-31", "invoices", "2.10 EUR")]


@pytest.mark.trap(28)
def test_in_every_order_with_a_refund_and_a_payout_a_late_fee_comes_to_the_same() -> None:
    reports = [WITHOUT, WITH_FEE, given_back(fee=60), paid_out(fee=220)]
    sums = set()
    for order in permutations(reports):
        world = FeeWorld(EACH)
        world.at("2026-11-28T12:00:00+00:00")
        world.take(*order)
        sums.add(world.sum_of_papers())
    assert sums == {"1.60"}


def test_running_totals_of_one_charge_do_not_add_up_their_fees() -> None:
    world = FeeWorld(EACH)
    charge: dict[str, Any] = {"type": FactType.PAYMENT_CAPTURED, "key": "ch_1", "capture_id": "ch_1", "running_total": True}
    first = replace(WITH_FEE, **charge, occurrence="6000", amount=euros(6000), fee=euros(120))
    second = replace(WITH_FEE, **charge, occurrence="10000", occurred_at="2026-11-20T13:00:00Z")
    for order in permutations([first, second]):
        world = FeeWorld(EACH)
        world.take(*order)
        assert world.sum_of_papers() == "2.10"
        assert world.fee_totals() == {"2026-11 EUR": "2.10 - 2.10 = 0.00"}
