"""Running histories: the verdict, and the traceback of what was not foreseen."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quittance.runtime.dead_letters import RECEIVES_MAX
from tests.simulation.checks import check_end
from tests.simulation.history import History, Trace, Violation
from tests.simulation.world import World

if TYPE_CHECKING:
    from collections import Counter


REDRIVES_MAX = 30
REDRIVEN_AFTER_S = 6 * 3600


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one history ended. `violation` is empty when everything held."""

    violation: str
    injected: Counter[str]
    events: int
    """Deliveries posted, repetitions and the sender's further attempts included."""
    calls: int
    """Calls that left a function: each is a point at which it may die."""
    documents: int
    trace: list[str]


def simulate(history: History, *, trace: bool = False) -> Verdict:
    """Run a history to its end and check everything. The same history always gives the same verdict and trace."""
    kept = Trace(is_kept=trace)
    violation, world = "", None
    try:
        world = World(history, trace=kept)
        world.run()
        _redrive(world)
        if history.changes_policy:
            world.repair()
            _redrive(world)
        check_end(world)
    except Violation as found:
        violation = str(found)
    except Exception as error:  # noqa: BLE001 - a defect of product or simulation is a violation of this history
        where = traceback.extract_tb(error.__traceback__)[-1]
        violation = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
    assert world
    documents = sum(len(book.invoices) + len(book.credit_notes) for book in world.api.books.values())
    return Verdict(violation, world.injected, world.posted, world.calls["any"], documents, kept.lines)


def calls_of(history: History) -> Counter[str]:
    """How many calls of each kind leave the functions in a history."""
    world = World(history)
    world.run()
    return world.calls


def _redrive(world: World) -> None:
    """An operator redrives the dead letters: poison, which comes back, and good messages, where very much goes wrong."""
    history = world.history
    may_die = history.receives_max < RECEIVES_MAX
    has_to = bool(history.poison)
    for _ in range(REDRIVES_MAX):
        good = any(not message.is_poison for message in world.dead_letters)
        if not (good or has_to) or (good and not may_die):
            return
        has_to = False
        world.now += REDRIVEN_AFTER_S
        world.redrive()
