"""The simulation itself: no seed fails, every fault is injected, a failure replays and shrinks."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation import faults
from tests.simulation.generate import history
from tests.simulation.history import Outage
from tests.simulation.planted import BUGS, Bug, planted
from tests.simulation.scenarios import (
    STORIES,
    after_a_long_outage,
    poisoned,
    policy_changes,
    registration,
    told,
    while_secrets_are_rotated,
)
from tests.simulation.shrink import shortest
from tests.simulation.simulate import simulate

ROOT = Path(__file__).parents[2]
SEEDS = range(1, 301)
(_PAID,) = STORIES["paid"]


def test_no_seed_fails() -> None:
    failures = {seed: violation for seed in SEEDS if (violation := simulate(history(seed)).violation)}
    assert not failures


def test_nothing_fails_when_nothing_goes_wrong() -> None:
    failures = {seed: violation for seed in range(1, 101) if (violation := simulate(history(seed, frozenset())).violation)}
    assert not failures


@pytest.mark.parametrize("switch", sorted(faults.ALL))
def test_every_fault_alone_is_survived(switch: str) -> None:
    assert not [seed for seed in range(1, 41) if simulate(history(seed, frozenset({switch}))).violation]


def test_every_kind_of_fault_is_injected() -> None:
    injected: Counter[str] = Counter()
    for seed in SEEDS:
        injected.update(simulate(history(seed)).injected)
    assert set(injected) == {kind for kinds, _, _ in faults.CALL_FAULTS.values() for kind in kinds} | {"refused", "poison"}


def test_what_nobody_can_read_ends_alone_and_holds_nothing_up() -> None:
    failures = [
        f"{violation}\n{one}" for one in poisoned(told([registration(), _PAID])) if (violation := simulate(one).violation)
    ]
    assert not failures


def test_a_delivery_survives_the_rotation_of_its_secret() -> None:
    for run in while_secrets_are_rotated():
        assert not simulate(run).violation, run


def test_a_policy_that_changes_counts_from_its_time() -> None:
    failures = [f"{violation}\n{one}" for one in policy_changes("dispute lost") if (violation := simulate(one).violation)]
    assert not failures


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_a_planted_bug_still_fits_the_product(bug: Bug) -> None:
    """Whether it is found takes long to see; that it is gone from the proof is seen at once."""
    with planted(bug):
        pass


def test_the_readme_counts_the_planted_bugs() -> None:
    assert f"| planted bugs (`make prove`) | {len(BUGS)}, each caught |" in (ROOT / "README.md").read_text()


def test_a_seed_replays_to_the_same_trace() -> None:
    for seed in (3, 14, 26, 262):
        first, second = (simulate(history(seed), trace=True) for _ in range(2))
        assert first.trace == second.trace
        assert first.trace


def test_a_failing_history_is_shortened_to_what_matters() -> None:
    bug = next(bug for bug in BUGS if bug.name == "cap missing")
    with planted(bug):
        failing = next(chosen for seed in SEEDS if simulate(chosen := history(seed)).violation)
        short = shortest(failing)
        assert simulate(short).violation
        assert len(short.deliveries) <= 5
        assert not short.faults
    assert not simulate(short).violation


def test_an_outage_of_two_days_makes_no_dead_letters() -> None:
    for status in (0, 429, 500, 503):
        quiet = told([registration(), *STORIES["paid and refunded"]])
        assert not simulate(replace(quiet, outages=(Outage(0, 48 * 3600, status),))).violation


def test_a_lost_response_after_a_long_outage_is_not_repeated_under_another_key() -> None:
    for run in after_a_long_outage():
        assert not simulate(run).violation, run
