"""What can go wrong, each under a switch of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.simulation.history import ANY_CALL, CALLS, Delivery, Fault, Poison
from tests.simulation.poison import SHAPES, beside

if TYPE_CHECKING:
    from random import Random

HOUR = 3600
_API = ("api.create", "api.list", "api.delete")
_MUTATIONS = ("api.create", "api.create", "api.create", "api.delete")
_TABLE = ("table.read", "table.commit")

CALL_FAULTS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]] = {
    # switch: the kinds of fault it stands for, the calls it can hit, the amounts it may have
    "kill": (("kill-before", "kill-after"), CALLS, (0,)),
    "compete": (("compete",), CALLS, (1, 2, 8)),
    "slow-call": (("pause",), CALLS, (3, 9, 25)),
    "lost-response": (("lost-response",), _MUTATIONS, (0,)),
    "no-connection": (("unreachable", "reset"), _API, (0,)),
    "rate-limit": (("rate-limited",), _API, (1, 60)),
    "server-error": (("server-error", "unavailable", "error-after-commit", "unavailable-after-commit"), _API, (0,)),
    "unreadable": (("unreadable",), _API, (0,)),
    "slow-commit": (("slow-commit",), _MUTATIONS, (11, 14, 30, 200)),
    "look-up-lag": (("lookup-lag",), ("api.list",), (5, 60, 600)),
    "table-busy": (("throttled", "conflict"), _TABLE, (0,)),
    "lost-commit": (("lost-commit", "repeated-commit"), ("table.commit",), (0,)),
    "queue": (("throttled", "lost-send", "half-sent"), ("queue.send",), (0,)),
    "visibility": (("throttled",), ("queue.hide",), (0,)),
    "secrets": (("throttled",), ("secrets.read",), (0,)),
    "lost-delete": (("lost-delete",), ("queue.delete",), (0,)),
}
"""Faults of single calls."""

DELIVERY_FAULTS = frozenset({"duplicate", "reorder", "delay", "drop"})
SETTINGS = frozenset({"crowd", "refusal", "bundle", "idempotency", "calendar", "rotation", "outage", "dead-letters", "poison"})
ALL = frozenset(CALL_FAULTS) | DELIVERY_FAULTS | SETTINGS
UNANSWERABLE = frozenset({"slow-commit", "look-up-lag"})
"""What cannot be survived where the API ignores idempotency keys: then only an up-to-date look-up can tell what exists."""
_REACH = {
    "table.read": 6,
    "table.commit": 5,
    "api.create": 2,
    "api.list": 1,
    "api.delete": 1,
    "queue.send": 2,
    "queue.hide": 1,
    "queue.delete": 2,
    "secrets.read": 1,
}
"""About how many calls of each kind one delivery causes: faults are drawn among so many."""


def draw(random: Random, deliveries: int, enabled: frozenset[str]) -> tuple[Fault, ...]:
    """Faults of calls for a history of so many deliveries: mostly a few, sometimes none, sometimes a storm."""
    switches = sorted(enabled & CALL_FAULTS.keys())
    if not switches:
        return ()
    if random.random() < 0.5:
        switches = random.sample(switches, min(len(switches), 3))
    number = random.choice((0, 1, 2, 3, 5, 8, 12, 20))
    drawn = [_one(random, deliveries, random.choice(switches)) for _ in range(number)]
    if drawn and random.random() < 0.15:
        drawn += [replace(drawn[0], nth=drawn[0].nth + more) for more in range(1, random.randint(2, 7))]
    return tuple(drawn)


def crowd(random: Random, deliveries: int) -> tuple[Fault, ...]:
    """Functions that keep running into each other."""
    share = random.choice((0.1, 0.3, 0.6))
    return tuple(
        Fault("compete", ANY_CALL, nth, random.choice((1, 1, 3))) for nth in range(1, 12 * deliveries) if random.random() < share
    )


def refusals(random: Random, deliveries: int) -> tuple[Fault, ...]:
    """The API refuses documents for good."""
    return tuple(Fault("refused", "api.create", random.randint(1, deliveries)) for _ in range(random.choice((1, 3))))


def poison(random: Random, deliveries: list[Delivery]) -> tuple[Poison, ...]:
    """Messages that nobody can read, at about the time of one that can, and in its group."""
    chosen = [(random.choice(deliveries), random.choice(sorted(SHAPES))) for _ in range(random.choice((1, 1, 2, 4)))]
    return tuple(beside(one, shape, max(0, one.at + random.choice((-1, 0, 0, 1, 30)))) for one, shape in chosen)


def _one(random: Random, deliveries: int, switch: str) -> Fault:
    kinds, calls, amounts = CALL_FAULTS[switch]
    call = random.choice(calls)
    return Fault(random.choice(kinds), call, random.randint(1, max(2, deliveries * _REACH[call])), random.choice(amounts))


def disturb_deliveries(random: Random, deliveries: list[Delivery], enabled: frozenset[str]) -> list[Delivery]:
    """The deliveries as they arrive: late, twice, in another order, or only when the sender tries again."""
    if "delay" in enabled and random.random() < 0.5:
        deliveries = [replace(one, at=one.at + random.choice((0, 0, 1, 30, HOUR, 30 * HOUR))) for one in deliveries]
    if "drop" in enabled:
        deliveries = [
            replace(one, at=one.at + random.choice((60, 7200))) if random.random() < 0.05 else one for one in deliveries
        ]
    if "bundle" in enabled and random.random() < 0.5:
        deliveries = _bundled(random, deliveries)
    if "reorder" in enabled and random.random() < 0.5:
        deliveries = _in_a_burst(random, deliveries)
    if "duplicate" in enabled:
        again = [one for one in deliveries if random.random() < 0.12]
        deliveries = deliveries + [replace(one, at=one.at + random.choice((0, 1, 100, HOUR))) for one in again]
    return deliveries


def _in_a_burst(random: Random, deliveries: list[Delivery]) -> list[Delivery]:
    """All of them within seconds, in any order, after everything has happened."""
    last = max((one.at for one in deliveries), default=0)
    within = random.choice((1, 12))
    return [replace(one, at=last + random.randrange(within)) for one in deliveries]


def _bundled(random: Random, deliveries: list[Delivery]) -> list[Delivery]:
    """Some events report several facts at once, all of one account."""
    bundled: list[Delivery] = []
    for one in deliveries:
        last = bundled[-1] if bundled else None
        fits = last and not one.is_platform and not last.is_platform and last.facts[0].account == one.facts[0].account
        if last and fits and random.random() < 0.4:
            bundled[-1] = replace(one, at=max(last.at, one.at), facts=last.facts + one.facts)
        else:
            bundled.append(one)
    return bundled
