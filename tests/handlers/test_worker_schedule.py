"""The waits between attempts: long enough for an outage, within what SQS can do, and the same in every run."""

from __future__ import annotations

import pytest

from quittance.runtime.dead_letters import RECEIVES_MAX
from quittance.runtime.retry_schedule import (
    DOUBLED_UP_TO_S,
    GIVEN_UP_AFTER_S,
    KEPT_WAITING_S,
    LONGEST_DELAY_S,
    OF_A_DEFECT,
    OF_A_PASSING_FAILURE,
    SHORTEST_DELAY_S,
    SPREAD,
    delay_s,
)

SQS_LONGEST_VISIBILITY_S = 43_200
SQS_LONGEST_RETENTION_S = 14 * 86_400
LONGEST_FUNCTION_S = 900
HOUR_S = 3600
MESSAGE_IDS = [f"message-{number}" for number in range(200)]
SHARES = (OF_A_PASSING_FAILURE, OF_A_DEFECT)


def receives(name: str, share: float, until_s: float) -> list[float]:
    """When a message is received that fails every time, by its age."""
    ages = [0.0]
    while ages[-1] < until_s:
        ages.append(ages[-1] + delay_s(ages[-1], None, name, share))
    return ages


@pytest.mark.parametrize("share", SHARES)
def test_an_outage_of_days_uses_up_nobodys_receives(share: float) -> None:
    assert max(len(receives(name, share, GIVEN_UP_AFTER_S)) for name in MESSAGE_IDS) < RECEIVES_MAX
    assert GIVEN_UP_AFTER_S > 4 * 86_400


def test_what_is_given_up_is_not_forgotten_before() -> None:
    longest = max(GIVEN_UP_AFTER_S, KEPT_WAITING_S)
    assert longest + LONGEST_DELAY_S + LONGEST_FUNCTION_S < SQS_LONGEST_RETENTION_S


@pytest.mark.parametrize(("outage_s", "later_s"), [(10, 15), (60, 25), (HOUR_S, 220), (2 * HOUR_S, 440)])
def test_everything_is_back_soon_after_an_outage(outage_s: int, later_s: int) -> None:
    for name in MESSAGE_IDS:
        assert receives(name, OF_A_PASSING_FAILURE, outage_s)[-1] <= outage_s + later_s


def test_what_nobody_foresaw_is_not_tried_too_often() -> None:
    assert max(len(receives(name, OF_A_DEFECT, 86_400)) for name in MESSAGE_IDS) < 20


def test_sqs_can_wait_that_long_after_the_longest_function() -> None:
    longest = max(delay_s(age, asked, name) for age in (0, 10**7) for asked in (None, 10**9) for name in MESSAGE_IDS)
    assert longest == LONGEST_DELAY_S <= SQS_LONGEST_VISIBILITY_S - LONGEST_FUNCTION_S


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("age_s", [0, 1, 60, 1000, 30_000])
def test_waits_grow_with_the_age_and_are_spread(age_s: int, share: float) -> None:
    waits = [delay_s(age_s, None, name, share) for name in MESSAGE_IDS]
    least = max(SHORTEST_DELAY_S, min(age_s, DOUBLED_UP_TO_S), age_s * share)
    assert least - 1 <= min(waits) <= max(waits) <= least * (1 + SPREAD) + 1
    if least >= 100:
        assert max(waits) - min(waits) > least * SPREAD * 0.9


@pytest.mark.parametrize(("age_s", "asked_s"), [(0, 1), (0, 60), (40, 60), (600, 3600), (10_000, 60)])
def test_what_the_other_side_asks_for_is_a_minimum(age_s: int, asked_s: int) -> None:
    for name in MESSAGE_IDS:
        wait = delay_s(age_s, asked_s, name)
        assert wait >= asked_s
        assert wait >= delay_s(age_s, None, name)
        assert wait <= max(age_s, asked_s, SHORTEST_DELAY_S) * (1 + SPREAD) + 1


def test_the_same_message_always_waits_the_same() -> None:
    assert [delay_s(500, None, "message-1") for _ in range(3)] == [delay_s(500, None, "message-1")] * 3
    assert len({delay_s(100_000, None, name) for name in MESSAGE_IDS}) > 100
