"""The API's allowance is used up, hardly exceeded, and shared fairly, by functions that know little of each other."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quittance.errors import Retry
from quittance.runtime.allowance import FEW, SPAN_S, TIGHT_S, Allowance, Ask
from tests.fakes.shared_count import MemorySharedCount
from tests.use_cases.backlog import Backlog

NEW, KNOWN = Ask("big", is_new=True), Ask("big", is_new=False)


class Clock:
    now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


def tight(per_minute: int = 600, pause_s: int = 0) -> tuple[Allowance, Clock, MemorySharedCount]:
    clock, shared = Clock(), MemorySharedCount()
    allowance = Allowance(shared, per_minute, clock)
    allowance.refused(pause_s)
    return allowance, clock, shared


def test_nothing_is_asked_as_long_as_the_api_takes_everything() -> None:
    allowance = Allowance(MemorySharedCount(), 600, Clock())
    assert not allowance.is_tight


def test_nothing_is_sent_before_the_api_said_so() -> None:
    allowance, clock, _ = tight(pause_s=37)
    assert all(wait is not None and wait >= 37 for wait in allowance.waits_s([NEW, KNOWN]))
    clock.now += 37
    assert allowance.waits_s([NEW]) == [None]


def test_what_was_refused_long_ago_is_forgotten() -> None:
    allowance, clock, _ = tight(pause_s=37)
    clock.now += 37 + TIGHT_S
    assert not allowance.is_tight


def test_a_span_has_room_for_its_share_of_the_minute() -> None:
    allowance, clock, _ = tight(per_minute=60)
    tried = allowance.waits_s([Ask(f"customer {place}", is_new=True) for place in range(2 * SPAN_S)]).count(None)
    assert tried == SPAN_S
    clock.now += SPAN_S
    assert allowance.waits_s([NEW]) == [None]


def backlogged(per_minute: int = 600) -> tuple[Allowance, Clock, MemorySharedCount]:
    allowance, clock, shared = tight(per_minute, pause_s=1)
    for _ in range(2 * FEW):
        allowance.wait_s("big")
    clock.now += SPAN_S
    return allowance, clock, shared


def test_an_account_with_a_backlog_gets_turns_at_the_rate_of_the_allowance() -> None:
    allowance, _, _ = backlogged(per_minute=60)
    waits = [wait for _ in range(10) for wait in allowance.waits_s([NEW])]
    assert None not in waits
    assert [int(later or 0) - int(sooner or 0) for sooner, later in pairwise(waits)] == [1] * 9


def test_who_has_no_backlog_is_tried_before_who_has() -> None:
    allowance, _, _ = backlogged()
    assert allowance.waits_s([NEW, Ask("small", is_new=True)])[1] is None
    room = 600 * SPAN_S // 60
    assert allowance.waits_s([KNOWN] * room).count(None) < room, "some room is kept for the others"
    assert allowance.waits_s([Ask("small", is_new=True)]) == [None]


def test_in_the_last_second_of_a_span_nothing_is_kept() -> None:
    allowance, clock, _ = backlogged()
    clock.now = (clock.now // SPAN_S + 1) * SPAN_S - 0.5
    room = 600 * SPAN_S // 60
    assert allowance.waits_s([KNOWN] * room).count(None) == room


def test_a_backlog_is_over_some_time_after_it_was_last_seen() -> None:
    allowance, clock, _ = backlogged()
    clock.now += 60
    assert allowance.waits_s([NEW]) == [None]


def test_without_the_shared_count_only_the_api_slows_down() -> None:
    class Broken(MemorySharedCount):
        def take(self, *_: object) -> int:
            raise Retry("table_busy")

        def reserve(self, *_: object) -> float:
            raise Retry("table_busy")

    clock = Clock()
    allowance = Allowance(Broken(), 600, clock)
    allowance.refused(10)
    assert allowance.waits_s([NEW]) == [10]
    clock.now += 10
    assert allowance.waits_s([NEW]) == [None]
    assert [allowance.wait_s("big") for _ in range(FEW + 1)][-1] == 0


@given(
    per_minute=st.integers(12, 6000),
    batches=st.lists(st.tuples(st.floats(0, 3), st.lists(st.builds(Ask, st.sampled_from("abc"), st.booleans()), max_size=5))),
)
def test_whatever_comes_no_span_has_more_than_its_room(per_minute: int, batches: list[tuple[float, list[Ask]]]) -> None:
    allowance, clock, _ = tight(per_minute)
    tried: dict[int, int] = {}
    for later, asks in batches:
        clock.now += later
        if allowance.is_tight:
            waits = allowance.waits_s(asks)
            assert all(wait is None or wait >= 0 for wait in waits)
            span = int(clock.now // SPAN_S)
            tried[span] = tried.get(span, 0) + waits.count(None)
    assert all(count <= math.ceil(per_minute * SPAN_S / 60) for count in tried.values())


SMALL = {f"bc_small_{number}": (2, 31.0 * number + 5) for number in range(3)}


@pytest.mark.parametrize(
    ("payments", "outage_s", "receives_max"),
    [({"bc_big": (300, 0)} | SMALL, 0, 30), ({f"bc_{number}": (3, 0) for number in range(100)}, 0, 40)],
    ids=["one with much", "many with little"],
)
def test_a_backlog_is_worked_off_at_the_rate_of_the_allowance(
    payments: dict[str, tuple[int, float]], outage_s: float, receives_max: int
) -> None:
    drained = Backlog(payments, per_minute=60, outage_s=outage_s).drain()
    expected = sum(number for number, _ in payments.values())
    assert (drained.documents, drained.dead_letters) == (expected, 0)
    assert drained.used > 0.9
    assert drained.refused < expected / 5
    assert drained.receives_max <= receives_max
    assert max([wait for name, wait in drained.worst_wait_s.items() if name in SMALL], default=0) <= 75
