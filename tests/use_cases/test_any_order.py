"""What must not depend on the order in which events arrive, however rare the order."""

from __future__ import annotations

from itertools import permutations

import pytest

from quittance.customers import policies_after
from quittance.facts import Fact, FactType
from quittance.policy import Policy, policy_at
from tests.unit.stories import dispute, fact, renewal, succeeded
from tests.use_cases.world import World


def test_a_doubled_sale_that_was_never_paid_pays_nothing_out() -> None:
    """Its dispute was lost and won, so a corrective invoice with money on it is what is left to credit."""
    world = World()
    world.register()
    world.take(
        fact("payment.failed", "pay_1", 10000, minute=30),
        succeeded(),
        dispute("lost", minute=40),
        dispute("won", minute=50),
        renewal(),
        succeeded(invoice_id="in_1", awaits_renewal=True, also_known_as=("ch_1",)),
    )
    doubled = next(one for one in world.held("credit-notes") if "doubled" in one["metadata"]["document_key"])
    assert (doubled["total_with_tax"], doubled["total_paid"]) == (100, 0)


FIRST = {"version": 1, "due_days": 1}
SECOND = {"version": 2, "due_days": 2}


def registration(day: int, policy: dict[str, int]) -> Fact:
    return Fact(
        type=FactType.BUSINESS_CUSTOMER_UPDATED,
        provider="platform",
        account="bc_1",
        key="bc_1",
        occurred_at=f"2026-11-{day:02}T00:00:00Z",
        registration={"name": "Acme", "country": "DE", "policy": policy},
    )


def policies(*registrations: Fact) -> tuple[Policy, ...]:
    known: tuple[Policy, ...] = ()
    for one in registrations:
        known = policies_after(known, one)
    return known


@pytest.mark.parametrize(
    "order", list(permutations([registration(1, FIRST), registration(10, SECOND), registration(12, SECOND)]))
)
def test_the_later_policy_counts_whichever_arrived_first(order: tuple[Fact, ...]) -> None:
    in_force = [policy_at(policies(*order), f"2026-{day}T00:00:00Z").version for day in ("10-01", "11-05", "11-11", "11-20")]
    assert in_force == [1, 1, 2, 2]


def test_a_policy_that_is_repeated_stays_the_one_it_was() -> None:
    assert [known.version for known in policies(registration(1, FIRST), registration(3, FIRST))] == [1]
    unnumbered = {"due_days": 3}
    assert len(policies(registration(1, unnumbered), registration(3, unnumbered))) == 1
