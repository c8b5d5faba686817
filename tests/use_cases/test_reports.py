"""Every event that told something is found by its id, and telling the same thing again writes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from quittance.facts import Payer
from quittance.ledger import Ledger, case_names
from quittance.money import Money
from tests.unit.stories import at, fact, refund, renewal, succeeded
from tests.use_cases.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quittance.facts import Fact
    from quittance.ledger import CaseFile
    from quittance.storage import Item, Write

PAID = succeeded(10000)


@pytest.fixture
def world() -> World:
    world = World()
    world.register()
    return world


def tell(world: World, reported: Fact, event_id: str) -> list[Write]:
    """Let one event arrive; returns what was written for it."""
    written: list[Write] = []

    def keep(writes: Sequence[Write]) -> None:
        written.extend(writes)

    world.table.after_commit = keep
    world.converger().take(reported, event_id)
    return written


def case_of(world: World, payment_id: str = "pay_1") -> CaseFile:
    return Ledger(world.table).open("stripe", "acct_1", [payment_id], join=False)


def reports(world: World) -> list[tuple[str, str]]:
    return [(one["event_id"], one["outcome"]) for one in Ledger(world.table).reports(case_of(world))]


def leads_to(world: World, event_id: str) -> set[str]:
    """The payments that an event id leads to."""
    return {case_of(world, case_names(item["pk"])[2]).id for item in world.table.find(event_id)}


@pytest.mark.parametrize(
    ("second", "outcome"),
    [
        (PAID, "known"),
        (replace(PAID, fee=Money(210, "EUR")), "merged"),
        (replace(PAID, amount=Money(9000, "EUR")), "conflict"),
    ],
)
def test_a_further_event_of_a_fact_is_kept_under_its_own_id_once(world: World, second: Fact, outcome: str) -> None:
    tell(world, PAID, "evt_1")
    assert tell(world, second, "evt_2")
    assert reports(world) == [("evt_2", outcome)]
    assert leads_to(world, "evt_1") == leads_to(world, "evt_2") == {"pay_1"}
    for event_id, reported in (("evt_1", PAID), ("evt_2", second)) * 2:
        assert tell(world, reported, event_id) == []


def test_a_report_that_tells_nothing_new_costs_one_write_and_leaves_the_case_alone(world: World) -> None:
    tell(world, PAID, "evt_1")
    before = case_of(world).version
    assert len(tell(world, PAID, "evt_2")) == 1
    assert case_of(world).version == before


def test_reading_a_payment_does_not_read_its_reports(world: World) -> None:
    for number in range(50):
        tell(world, PAID, f"evt_{number}")
    assert len(reports(world)) == 49
    assert {item["sk"].partition("#")[0] for item in world.table.read_partition(case_of(world).pk)} == {"HEAD", "FACT", "DOC"}


def test_what_a_report_changed_can_be_taken_back(world: World) -> None:
    tell(world, succeeded(10000, payer=Payer(name="Ada")), "evt_1")
    tell(world, succeeded(10000, minute=1, fee=Money(210, "EUR"), payer=Payer(name="Ada", country="DE")), "evt_2")
    (report,) = Ledger(world.table).reports(case_of(world))
    before = report["before"]
    assert (before["fee"], before["payer"]["country"], before["payer"]["name"]) == (None, None, "Ada")
    assert "Ada" not in str({name: value for name, value in report.items() if name != "before"})


def test_events_of_ids_that_turn_out_to_be_one_payment_are_all_found(world: World) -> None:
    tell(world, refund("re_1", 1000, payment_id="ch_1"), "evt_1")
    tell(world, refund("re_1", 1000, payment_id="ch_1", minute=11, fee=Money(5, "EUR")), "evt_2")
    tell(world, refund("re_1", 1000, payment_id="pay_1"), "evt_3")
    tell(world, succeeded(10000, also_known_as=("ch_1",)), "evt_4")
    for event_id in ("evt_1", "evt_2", "evt_3", "evt_4"):
        assert leads_to(world, event_id) == {case_of(world).id}, event_id
    told = {*case_of(world).event_ids.values(), *(event_id for event_id, _ in reports(world))}
    assert told == {"evt_1", "evt_2", "evt_3", "evt_4"}


def test_when_a_fact_was_first_told_stays(world: World) -> None:
    tell(world, PAID, "evt_1")
    first = case_of(world).recorded_at[PAID.identity]
    world.seconds += 60
    tell(world, replace(PAID, fee=Money(210, "EUR")), "evt_2")
    assert case_of(world).recorded_at[PAID.identity] == first
    tell(world, renewal(10000, payment_id="pay_1", occurred_at=at(5)), "evt_3")  # joins what the payment and its invoice told
    assert case_of(world).recorded_at[PAID.identity] == first


def test_two_events_whose_ids_begin_alike_are_two(world: World) -> None:
    tell(world, PAID, "evt_1")
    tell(world, PAID, "evt_22")
    assert tell(world, PAID, "evt_2")
    assert {event_id for event_id, _ in reports(world)} == {"evt_2", "evt_22"}


def test_an_event_without_an_id_is_not_kept(world: World) -> None:
    tell(world, PAID, "evt_1")
    assert tell(world, PAID, "") == []


def test_a_payment_nobody_owns_yet_keeps_its_reports(world: World) -> None:
    stray = fact("payment.succeeded", "pay_1", 100, account="acct_2")
    tell(world, stray, "evt_1")
    assert tell(world, stray, "evt_2")
    kept: list[Item] = world.table.find("evt_2")
    assert [case_names(item["pk"])[1] for item in kept] == ["acct_2"]
