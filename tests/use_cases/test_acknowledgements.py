"""A finding is acknowledged once, for as long as it stays the same, and nothing that works on its payment gets in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from quittance.acknowledgements import Acknowledgement, acknowledge, acknowledged_pk, acknowledgements, take_back
from quittance.errors import Reject
from quittance.ledger import OPEN_FINDING, Ledger
from quittance.money import Money
from quittance.plan import Plan
from quittance.plan.sheet import Finding
from quittance.storage import Keys
from tests.unit.stories import fact, refund, succeeded
from tests.use_cases.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from quittance.ledger import CaseFile
    from quittance.storage import Item, Write

GIVEN = Acknowledgement(1_795_000_000, "arn:aws:iam::123456789012:user/finance", "credited by hand, case 7")
TOO_MUCH = "returned_more_than_paid"


@pytest.fixture
def world() -> World:
    """A payment of which 10.00 more than it came to was returned."""
    world = World()
    world.register()
    world.take(succeeded(10000), refund("re_1", 11000))
    return world


def standing(world: World) -> list[Item]:
    return world.table.find(OPEN_FINDING)


def keys(item: Item) -> Keys:
    return Keys(item["pk"], item["sk"])


def given(world: World) -> list[Acknowledgement | None]:
    """What was said of each finding that stands."""
    known = acknowledgements(world.table)
    return [known.of(item) for item in standing(world)]


def acknowledge_all(world: World) -> None:
    for item in standing(world):
        acknowledge(world.table, keys(item), GIVEN)


def amounts(world: World) -> list[int]:
    return [item["amount"]["value"] for item in standing(world)]


def test_what_nobody_acknowledged_is_open(world: World) -> None:
    assert [item["code"] for item in standing(world)] == [TOO_MUCH]
    assert given(world) == [None]


def test_it_stays_acknowledged_while_its_payment_goes_on(world: World) -> None:
    acknowledge_all(world)
    assert given(world) == [GIVEN]
    world.seconds += 3600
    world.take(succeeded(10000), refund("re_1", 11000))
    world.converger().revisit("stripe", "acct_1", "pay_1")
    assert given(world) == [GIVEN]


def test_another_amount_is_open_again() -> None:
    """More of the payment is captured, and less of the refund is too much."""
    world = World()
    world.register()
    world.take(fact("payment.captured", "cap_1", 5000, payment_id="pay_1"), refund("re_1", 8000))
    assert (amounts(world), given(world)) == ([3000], [None])
    acknowledge_all(world)
    counted = world.counts["Findings"]
    world.take(fact("payment.captured", "cap_2", 2000, payment_id="pay_1", minute=5))
    assert (amounts(world), given(world)) == ([1000], [None])
    assert world.counts["Findings"] == counted + 1
    world.take(fact("payment.captured", "cap_3", 1000, payment_id="pay_1", minute=6))
    assert standing(world) == []


def test_a_finding_that_comes_back_is_open_again(world: World) -> None:
    with_finding(world, 1000)
    acknowledge_all(world)
    assert given(world) == [GIVEN]
    world.seconds += 60
    with_finding(world, None)
    assert standing(world) == []
    world.seconds += 60
    with_finding(world, 1000)
    assert given(world) == [None]


def test_what_is_gone_is_not_acknowledged_any_more(world: World) -> None:
    acknowledge_all(world)
    [item] = standing(world)
    with_finding(world, None)
    gone = world.table.read(*keys(item)) or {}
    assert gone["resolved_at"]
    assert acknowledgements(world.table).of(gone) is None


def with_finding(world: World, value: int | None) -> list[str]:
    """Let a plan say this amount of the finding, or nothing of it."""
    ledger = Ledger(world.table)
    case = ledger.open("stripe", "acct_1", ("pay_1",), join=False)
    found = () if value is None else (Finding(TOO_MUCH, "refund:re_1", Money(value, "EUR")),)
    codes = case.align_with(Plan(findings=found), world.seconds)
    ledger.commit(case)
    return codes


def test_the_amount_of_a_standing_finding_follows_the_plan(world: World) -> None:
    [before] = standing(world)
    world.seconds += 3600
    assert with_finding(world, 1500) == [TOO_MUCH]
    [after] = standing(world)
    assert (after["amount"]["value"], after["opened_at"]) == (1500, before["opened_at"])
    assert with_finding(world, 1500) == []


def test_a_finding_that_no_plan_takes_back_is_acknowledged_as_well(world: World) -> None:
    world.take(succeeded(9000))
    acknowledge_all(world)
    assert given(world) == [GIVEN, GIVEN]
    world.take(succeeded(9000))
    world.converger().take(succeeded(8000), "evt_another")
    assert sorted(map(bool, given(world))) == [False, True, True]


def test_a_finding_of_a_business_customer_is_acknowledged_as_well() -> None:
    world = World()
    world.register(entity_id="ent_none")
    [item] = standing(world)
    acknowledge_all(world)
    world.update("2026-11-20T10:00:00Z", entity_id="ent_none")
    assert (item["code"], given(world)) == ("entity_unknown", [GIVEN])


# --- at the same moment --------------------------------------------------------------------------------------------------


def test_a_worker_with_a_request_under_way_loses_nothing_and_is_not_disturbed() -> None:
    """At whatever moment somebody acknowledges a finding of the payment that a worker is at."""
    commits = credited_while_acknowledging(at=0)
    assert commits >= 2
    for number in range(1, commits + 1):
        assert credited_while_acknowledging(at=number) == commits


def credited_while_acknowledging(*, at: int) -> int:
    """A worker credits a refund, and what stands is acknowledged before its n-th commit. Returns how many it made."""
    world = World()
    world.register()
    world.take(succeeded(10000), succeeded(9000))
    count = 0

    def before(_: Sequence[Write]) -> None:
        nonlocal count
        count += 1
        if count == at:
            world.table.before_commit = lambda _: None
            acknowledge_all(world)
            world.table.before_commit = before

    world.table.before_commit = before
    world.take(refund("re_9", 100))
    assert world.totals() == {"invoices": ["100"], "credit-notes": ["1"]}
    assert given(world) == [GIVEN if at else None]
    return count


def test_a_worker_that_writes_the_very_case_of_the_finding_is_not_disturbed(world: World) -> None:
    [item] = standing(world)
    ledger = Ledger(world.table)
    worker = ledger.open("stripe", "acct_1", ("pay_1",), join=False)
    worker.take_lease("worker", world.seconds + 60)
    ledger.commit(worker)
    acknowledge(world.table, keys(item), GIVEN)
    worker.open_finding("duplicate_document", "invoice:payment:pay_1", world.seconds)
    worker.drop_lease()
    ledger.commit(worker)
    known = acknowledgements(world.table)
    assert {one["code"]: known.of(one) for one in standing(world)} == {TOO_MUCH: GIVEN, "duplicate_document": None}


def test_what_changed_while_it_was_acknowledged_is_open(world: World) -> None:
    [item] = standing(world)

    def first(_: Sequence[Write]) -> None:
        world.table.before_commit = lambda _: None
        with_finding(world, 2500)

    world.table.before_commit = first
    acknowledge(world.table, keys(item), GIVEN)
    assert (amounts(world), given(world)) == ([2500], [None])


def test_a_finding_of_a_payment_that_turns_out_to_be_another_one_is_open_again(world: World) -> None:
    acknowledge_all(world)
    joined = joining(world)
    assert joined.id != "pay_1"
    assert given(world) == [None]


def joining(world: World) -> CaseFile:
    """Both ids turn out to name one payment, and what is known moves to the case of the first one."""
    ledger = Ledger(world.table)
    case = ledger.open("stripe", "acct_1", ("in_1", "pay_1"), join=True)
    ledger.commit(case)
    return case


# --- by whom, and taken back ---------------------------------------------------------------------------------------------


def test_what_was_said_last_counts(world: World) -> None:
    acknowledge_all(world)
    [item] = standing(world)
    later = Acknowledgement(GIVEN.at + 5, "somebody else", "as agreed")
    assert acknowledge(world.table, keys(item), later)["code"] == TOO_MUCH
    assert given(world) == [later]


def test_taken_back_it_is_open_and_who_did_either_is_kept(world: World) -> None:
    acknowledge_all(world)
    [item] = standing(world)
    take_back(world.table, keys(item), "controller", GIVEN.at + 60)
    assert given(world) == [None]
    kept = world.table.read(acknowledged_pk(item["pk"]), item["sk"]) or {}
    assert (kept["by"], kept["because"]) == (GIVEN.by, GIVEN.reason)
    assert kept["taken_back"] == {"at": GIVEN.at + 60, "by": "controller"}
    with pytest.raises(Reject, match="acknowledgement_unknown"):
        take_back(world.table, keys(item), "controller", GIVEN.at + 61)
    acknowledge_all(world)
    assert given(world) == [GIVEN]


def nothing_there(world: World) -> Iterator[Keys]:
    [item] = standing(world)
    yield Keys(item["pk"], "FINDING#none#none")
    yield Keys(item["pk"], "HEAD")
    yield Keys(acknowledged_pk(item["pk"]), item["sk"])
    with_finding(world, None)
    yield keys(item)


def test_only_what_stands_is_acknowledged(world: World) -> None:
    for name in nothing_there(world):
        with pytest.raises(Reject, match="finding_unknown"):
            acknowledge(world.table, name, GIVEN)
        with pytest.raises(Reject, match="acknowledgement_unknown"):
            take_back(world.table, name, "controller", GIVEN.at)
    assert not [item for item in world.table.items() if item["pk"].startswith("ACKNOWLEDGED#")]


def test_nothing_of_the_finding_is_copied_but_what_makes_it_another_one(world: World) -> None:
    """A conflict holds what was reported, with whom it was about."""
    world.take(succeeded(9000))
    acknowledge_all(world)
    allowed = {"pk", "sk", "reference", "code", "subject", "said", "at", "by", "because"}
    held: list[Any] = [item for item in world.table.items() if item["pk"].startswith("ACKNOWLEDGED#")]
    assert len(held) == 2
    assert all(set(item) == allowed and set(item["said"]) <= {"opened_at", "amount", "detail", "number"} for item in held)
