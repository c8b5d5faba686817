"""What the simulation found once: lists that lag behind, and links between payments that are told late."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from quittance.errors import InDoubt
from tests.unit.stories import fact, refund, renewal, succeeded
from tests.use_cases.world import World


@pytest.fixture
def world() -> World:
    world = World()
    world.register()
    return world


def fail(world: World, kind: str, path: str, *, method: str = "POST", **details: Any) -> None:
    world.sandbox.faults.add_json({"kind": kind, "match": {"method": method, "path_prefix": path}, **details})


def test_a_payment_record_that_is_not_listed_yet_is_not_taken_for_removed(world: World) -> None:
    world.take(succeeded())
    fail(world, "lookup_lag", "/payments", method="GET", seconds=60)
    with pytest.raises(InDoubt, match="payment_not_listed"):
        world.take(fact("payment.failed", "pay_1", 10000, minute=30))
    assert str(world.held("invoices")[0]["total_paid"]) == "100"
    world.take(fact("payment.failed", "pay_1", 10000, minute=30))
    assert str(world.held("invoices")[0]["total_paid"]) == "0"


def test_a_record_removed_by_a_run_that_died_is_not_looked_for_for_ever(world: World) -> None:
    world.take(succeeded())
    fail(world, "lose_response_after_commit", "/payments", method="DELETE")
    with pytest.raises(InDoubt):
        world.take(fact("payment.failed", "pay_1", 10000, minute=30))
    world.take(fact("payment.failed", "pay_1", 10000, minute=30))
    assert str(world.held("invoices")[0]["total_paid"]) == "0"


def test_an_old_intent_gets_one_new_key_not_one_for_every_attempt(world: World) -> None:
    fail(world, "status", "/invoices", status=503)
    with pytest.raises(InDoubt):
        world.take(succeeded())
    world.seconds += 7 * 3600
    fail(world, "lose_response_after_commit", "/invoices")
    with pytest.raises(InDoubt):
        world.take(succeeded())
    fail(world, "lookup_lag", "/invoices", method="GET", seconds=60, times=None)
    world.take(refund("re_1", 2500))
    world.sandbox.faults.clear()
    assert world.totals() == {"invoices": ["100"], "credit-notes": ["25"]}


def test_a_sale_invoiced_beside_its_renewal_is_taken_back_once_they_are_linked() -> None:
    linked = succeeded(invoice_id="in_1", awaits_renewal=True, minute=1)
    for order in permutations([succeeded(), renewal(), linked, refund("re_1", 2500)]):
        world = World()
        world.register()
        world.take(*order)
        totals = world.totals()
        net = sum(map(int, totals["invoices"])) - sum(map(int, totals["credit-notes"]))
        assert net == 75, [one.identity for one in order]
