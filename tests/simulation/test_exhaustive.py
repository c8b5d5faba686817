"""Small cases tried out completely: every order, every death, every fault, every pair of deaths.

`python -m tests.simulation --exhaustive` tries all stories in all ways; here the ways other than the plain one are tried on the
stories in which most can go wrong.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pytest

from tests.simulation.history import ANY_CALL
from tests.simulation.scenarios import (
    DISPUTED,
    FACTS_MAX,
    STORIES,
    TELLING,
    orders,
    pairs_of_deaths,
    poisoned,
    policy_changes,
    single_deaths,
    single_faults,
    storms,
    variants,
)
from tests.simulation.simulate import calls_of, simulate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.simulation.history import History

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(1800)]

PLAIN = "one by one"
OTHER_WAYS = [(story, way) for story in TELLING for way in variants(story) if way != PLAIN]


def violations(histories: Iterable[History]) -> list[str]:
    return [f"{violation}\n{one}" for one in histories if (violation := simulate(one).violation)]


@pytest.mark.parametrize("story", STORIES)
def test_every_order_of_arrival(story: str) -> None:
    assert len(STORIES[story]) <= FACTS_MAX
    assert not violations(orders(story, with_registration=len(STORIES[story]) < FACTS_MAX - 1))


@pytest.mark.parametrize(("story", "way"), [*((story, PLAIN) for story in STORIES), *OTHER_WAYS])
def test_every_death_and_every_fault_at_every_call(story: str, way: str) -> None:
    quiet = variants(story)[way]
    calls = calls_of(quiet)
    assert not violations(chain([quiet], single_deaths(quiet, calls[ANY_CALL] + 2), single_faults(quiet, calls)))


@pytest.mark.parametrize("story", TELLING)
def test_every_storm_of_one_fault(story: str) -> None:
    quiet = variants(story)[PLAIN]
    assert not violations(storms(quiet, calls_of(quiet)))


@pytest.mark.parametrize("story", TELLING)
def test_every_message_that_nobody_can_read_beside_every_message(story: str) -> None:
    assert not violations(poisoned(variants(story)[PLAIN]))


@pytest.mark.parametrize("story", DISPUTED)
def test_a_change_of_policy_at_every_fact(story: str) -> None:
    assert not violations(policy_changes(story))


@pytest.mark.parametrize("story", ["paid", "late failure"])
def test_every_pair_of_deaths(story: str) -> None:
    assert not violations(pairs_of_deaths(variants(story)[PLAIN], calls_of))
