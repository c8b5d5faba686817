"""Reports of one fact are merged the same whatever their order, and contradictions are seen."""

from __future__ import annotations

import json
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from quittance.facts import Fact, Payer, conflicting_fields, fact_from_json, merged
from quittance.money import Money
from tests.unit.stories import at, succeeded


@st.composite
def reports(draw: st.DrawFn) -> Fact:
    """One of the reports that a provider may send of one success: always the same money, more or less about it."""
    return succeeded(
        occurred_at=at(draw(st.integers(0, 5))),
        invoice_id=draw(st.sampled_from([None, "in_1"])),
        awaits_renewal=draw(st.sampled_from([None, True, False])),
        method=draw(st.sampled_from([None, "card", "paypal"])),
        payer=draw(st.sampled_from([None, Payer(name="Ada"), Payer(name="Bob", country="DE")])),
        also_known_as=draw(st.sampled_from([(), ("ch_1",), ("ch_1", "ch_2")])),
    )


@given(reports(), reports())
def test_merging_does_not_depend_on_who_came_first(one: Fact, other: Fact) -> None:
    assert merged(one, other) == merged(other, one)


@given(reports(), reports())
def test_a_repeated_report_adds_nothing(one: Fact, other: Fact) -> None:
    together = merged(one, other)
    assert merged(together, other) == together
    assert merged(together, one) == together


@given(st.lists(reports(), min_size=3, max_size=3))
def test_the_time_and_the_names_do_not_depend_on_the_order_of_three(three: list[Fact]) -> None:
    ends = set()
    for first, second, third in permutations(three):
        end = merged(merged(first, second), third)
        ends.add((end.occurred_at, end.latest_at, end.also_known_as, end.awaits_renewal, end.invoice_id))
    assert len(ends) == 1


@given(reports())
def test_a_fact_survives_the_queue(fact: Fact) -> None:
    assert fact_from_json(json.loads(json.dumps(fact.to_json()))) == fact


def test_another_amount_is_a_conflict_and_more_detail_is_not() -> None:
    known = succeeded(100)
    assert conflicting_fields(known, succeeded(101)) == ("amount",)
    assert conflicting_fields(known, succeeded(100, payer=Payer(name="Ada"))) == ()


def test_the_platform_may_not_contradict_itself_at_all() -> None:
    known = succeeded(100, provider="platform", payer=Payer(name="Ada"), fee=Money(1, "EUR"))
    assert conflicting_fields(known, succeeded(100, provider="platform", payer=Payer(name="Bob"))) == ("payer",)
    assert conflicting_fields(known, succeeded(100, provider="platform")) == ()
    assert conflicting_fields(succeeded(100, payer=Payer(name="Ada")), succeeded(100, payer=Payer(name="Bob"))) == ()
