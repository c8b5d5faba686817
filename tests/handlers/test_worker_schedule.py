"""The waits between attempts: long enough for an outage, within what SQS can do, and the same in every run."""

from __future__ import annotations

import pytest

from quittance.runtime.retry_schedule import LONGEST_DELAY_S, SCHEDULE_S, SPREAD, delay_s

MAX_RECEIVE_COUNT = 20
SQS_LONGEST_VISIBILITY_S = 43_200
LONGEST_FUNCTION_S = 900
MESSAGE_IDS = [f"message-{number}" for number in range(200)]


def test_an_outage_of_days_sends_nothing_to_the_dead_letter_queue() -> None:
    survived_s = [sum(delay_s(count, None, name) for count in range(1, MAX_RECEIVE_COUNT)) for name in MESSAGE_IDS]
    assert min(survived_s) > 4 * 86_400


def test_every_attempt_fits_into_the_retention_of_the_queue() -> None:
    assert MAX_RECEIVE_COUNT * LONGEST_DELAY_S < 14 * 24 * 3600


def test_a_short_outage_is_over_soon_after_it_ends() -> None:
    assert sum(SCHEDULE_S[:4]) < 180


def test_sqs_can_wait_that_long_after_the_longest_function() -> None:
    longest = max(delay_s(count, asked, name) for count in (1, 20, 100) for asked in (None, 10**9) for name in MESSAGE_IDS)
    assert longest == LONGEST_DELAY_S <= SQS_LONGEST_VISIBILITY_S - LONGEST_FUNCTION_S


@pytest.mark.parametrize("count", range(1, MAX_RECEIVE_COUNT + 3))
def test_waits_grow_and_are_spread(count: int) -> None:
    waits = [delay_s(count, None, name) for name in MESSAGE_IDS]
    scheduled = SCHEDULE_S[min(count, len(SCHEDULE_S)) - 1]
    assert scheduled * (1 - SPREAD) - 1 <= min(waits) <= max(waits) <= scheduled
    if scheduled >= 100:
        assert max(waits) - min(waits) > scheduled * SPREAD * 0.9


@pytest.mark.parametrize(("count", "asked_s"), [(1, 1), (1, 60), (3, 60), (5, 3600), (10, 60)])
def test_what_the_other_side_asks_for_is_a_minimum(count: int, asked_s: int) -> None:
    for name in MESSAGE_IDS:
        wait = delay_s(count, asked_s, name)
        assert wait >= asked_s
        assert wait >= delay_s(count, None, name)
        assert wait <= max(SCHEDULE_S[count - 1], asked_s * (1 + SPREAD) + 1)


def test_what_was_paused_together_does_not_come_back_together() -> None:
    waits = {delay_s(1, 3600, name) for name in MESSAGE_IDS}
    assert max(waits) - min(waits) > 3600 * SPREAD * 0.9


def test_the_same_message_always_waits_the_same() -> None:
    assert [delay_s(5, None, "message-1") for _ in range(3)] == [delay_s(5, None, "message-1")] * 3
    assert len({delay_s(8, None, name) for name in MESSAGE_IDS}) > 100


def test_a_count_that_cannot_be_is_taken_for_the_first() -> None:
    assert delay_s(0, None, "message-1") == delay_s(1, None, "message-1") > 0
