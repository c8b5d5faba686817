"""From a history that fails to the shortest one found that still fails."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from quittance.runtime.dead_letters import RECEIVES_MAX
from tests.simulation.simulate import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.history import History

Part = TypeVar("Part")
TRIALS_MAX = 1500


def shortest(history: History) -> History:
    """Leaves out deliveries, faults and settings as long as something still fails.

    What fails may change on the way: a shorter history that fails otherwise is as good a clue.
    """
    trials = 0

    def fails(candidate: History) -> bool:
        nonlocal trials
        trials += 1
        return trials <= TRIALS_MAX and bool(simulate(candidate).violation)

    before = None
    while before != history:
        before = history
        for simpler in (
            {"shuffled": False},
            {"outages": ()},
            {"poison": ()},
            {"rotated_at": None},
            {"receives_max": RECEIVES_MAX},
            {"honoured_headers": ("x-request-id", "idempotency-key")},
        ):
            if fails(candidate := replace(history, **simpler)):
                history = candidate
        history = replace(history, deliveries=_fewest(history.deliveries, lambda kept: fails(replace(history, deliveries=kept))))  # noqa: B023
        history = replace(history, faults=_fewest(history.faults, lambda kept: fails(replace(history, faults=kept))))  # noqa: B023
    return history


def _fewest(parts: tuple[Part, ...], fails: Callable[[tuple[Part, ...]], bool]) -> tuple[Part, ...]:
    """Delta debugging: ever smaller pieces are left out, and stay out where it still fails without them."""
    size = max(1, len(parts) // 2)
    while parts:
        for start in range(0, len(parts), size):
            kept = parts[:start] + parts[start + size :]
            if len(kept) < len(parts) and fails(kept):
                parts = kept
                break
        else:
            if size == 1:
                break
            size //= 2
    return parts
