"""Every planted mistake is found. One that is not is a hole in the proof: close the hole, do not drop the mistake."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pytest

from tests.simulation.generate import history
from tests.simulation.planted import BUGS, Bug, planted
from tests.simulation.scenarios import (
    STORIES,
    TELLING,
    after_a_long_outage,
    poisoned,
    policy_changes,
    single_faults,
    storms,
    variants,
    while_secrets_are_rotated,
)
from tests.simulation.simulate import calls_of, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.history import History

pytestmark = [pytest.mark.exhaustive, pytest.mark.timeout(1800)]

SEEDS = range(1, 501)


def _hunted() -> Iterator[History]:
    """The first seeds, then every fault at every call of every story, in every way to tell it, alone and in a row."""
    yield from (history(seed) for seed in SEEDS)
    yield from after_a_long_outage()
    yield from while_secrets_are_rotated()
    yield from policy_changes("dispute that flips")
    yield from poisoned(variants("two refunds, one fails")["one by one"])
    for story in sorted(STORIES, key=lambda name: name not in TELLING):
        for quiet in variants(story).values():
            calls = calls_of(quiet)
            yield from chain([quiet], single_faults(quiet, calls), storms(quiet, calls))


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_a_planted_bug_is_found(bug: Bug) -> None:
    with planted(bug):
        assert any(simulate(one).violation for one in _hunted()), f"nothing notices: {bug.name}"


def test_a_planted_bug_leaves_nothing_behind() -> None:
    with planted(BUGS[0]):
        pass
    assert not any(simulate(history(seed)).violation for seed in range(1, 41))


def test_a_bug_whose_text_is_gone_is_an_error() -> None:
    with pytest.raises(ValueError, match="the product has changed"), planted(Bug("none", "quittance.plan", "no such text", "")):
        pass
