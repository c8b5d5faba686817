"""Small cases that are tried out completely: every order of arrival, every call at which a function may die, every pair."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import chain, permutations
from typing import TYPE_CHECKING, Any

from quittance.facts import Fact, FactType
from tests.simulation.faults import CALL_FAULTS, UNANSWERABLE
from tests.simulation.generate import ORDINARY_START, moment
from tests.simulation.history import ANY_CALL, Delivery, Fault, History, Outage
from tests.simulation.poison import SHAPES, beside
from tests.simulation.policies import SETTINGS
from tests.simulation.world import World
from tests.unit.stories import dispute, fact, refund, renewal, succeeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

AFTERNOON = 7 * 3600
"""The first delivery, in seconds after the start: when everything in the stories has happened."""
APART_S = 40
FACTS_MAX = 6
STORM = 7
"""Calls in a row that one fault hits: more than any function tries by itself, fewer than make a dead letter."""
STORY_DAY = ORDINARY_START + 3 * 86_400

_PAID = succeeded(also_known_as=("ch_1",))
_CAPTURES = [fact("payment.captured", f"cap_{n}", 3000, capture_id=f"cap_{n}", minute=n) for n in (1, 2)]
_TOTALS = [
    fact("payment.captured", "ch_1", t, capture_id="ch_1", occurrence=str(t), running_total=True, minute=t // 1000)
    for t in (3000, 7000, 10000)
]
_REFUND_TOTALS = [refund("ch_1", t, occurrence=str(t), running_total=True, minute=t // 100) for t in (1000, 2500)]
_IN_1: dict[str, Any] = {"invoice_id": "in_1", "awaits_renewal": True}
_UNNAMED = succeeded(payment_id="in_1", **_IN_1)

STORIES: dict[str, list[Fact]] = {
    "paid": [_PAID],
    "paid and refunded": [_PAID, refund("re_1", 2500)],
    "refund that fails": [_PAID, refund("re_1", 2500), fact("refund.failed", "re_1", 2500, minute=30)],
    "two refunds, one fails": [
        _PAID,
        refund("re_1", 2500),
        refund("re_2", 7500, minute=12),
        fact("refund.failed", "re_1", 2500, minute=30),
    ],
    "dispute lost": [_PAID, dispute("opened"), dispute("lost", minute=25)],
    "dispute that flips": [
        _PAID,
        dispute("opened"),
        dispute("lost", minute=25),
        dispute("won", minute=40),
        dispute("lost", minute=50),
    ],
    "dispute after a refund": [
        _PAID,
        refund("re_1", 3000),
        dispute("lost"),
        dispute("won", minute=40),
        fact("refund.failed", "re_1", 3000, minute=50),
    ],
    "dispute named by its charge": [
        _PAID,
        dispute("lost", payment_id="ch_1"),
        refund("re_1", 1000, payment_id="ch_1"),
        succeeded(minute=1),
    ],
    "captures": [*_CAPTURES, succeeded(6000, minute=3), refund("re_1", 4000, minute=9)],
    "a capture that fails": [
        *_CAPTURES,
        fact("payment.failed", "pay_1", 3000, capture_id="cap_1", occurrence="cap_1", minute=30),
    ],
    "captures as running totals": [*_TOTALS, refund("re_1", 6000, minute=20)],
    "refunds as running totals": [_PAID, *_REFUND_TOTALS, refund("re_1", 1000, minute=9), refund("re_2", 1500, minute=24)],
    "refunds of both kinds, one fails": [
        _PAID,
        *_REFUND_TOTALS,
        refund("re_1", 1000, minute=9),
        refund("re_2", 1500, minute=24),
        fact("refund.failed", "re_2", 1500, minute=50),
    ],
    "more returned than paid": [_PAID, refund("re_1", 8000), dispute("lost"), refund("re_2", 2500, minute=22)],
    "late failure": [_PAID, fact("payment.failed", "pay_1", 10000, minute=30)],
    "late failure, then paid again": [
        _PAID,
        fact("payment.failed", "pay_1", 10000, minute=30),
        replace(_PAID, occurred_at=succeeded(minute=50).occurred_at),
        refund("re_1", 500, minute=55),
    ],
    "failed attempt first": [
        fact("payment.failed", "pay_1", 10000, minute=0, occurrence="ch_0"),
        succeeded(minute=5, also_known_as=("ch_1",)),
    ],
    "renewal": [renewal(), succeeded(minute=2, **_IN_1), refund("re_1", 2500)],
    "renewal that names its payment": [renewal(payment_id="pay_1"), succeeded(minute=2, **_IN_1), dispute("lost")],
    "renewal, payment named late": [_UNNAMED, renewal(is_paid=True), succeeded(), succeeded(**_IN_1), refund("re_1", 2500)],
    "renewal, payment fails": [
        renewal(),
        succeeded(minute=2, **_IN_1),
        fact("payment.failed", "pay_1", 10000, minute=30, invoice_id="in_1"),
    ],
    "renewal never paid": [renewal(), fact("payment.failed", "pay_1", 10000, minute=30, invoice_id="in_1")],
    "renewal linked late": [renewal(), succeeded(), succeeded(minute=1, **_IN_1), refund("re_1", 2500)],
    "no renewal after all": [
        succeeded(**_IN_1),
        succeeded(minute=1, invoice_id="in_1", awaits_renewal=False),
        refund("re_1", 2500),
    ],
    "renewal of zero": [renewal(0)],
    "returns without a payment": [refund("re_1", 2500), dispute("lost")],
    "one payment, many names": [
        succeeded(also_known_as=("ch_1",)),
        succeeded(invoice_id="in_1", minute=1),
        refund("re_1", 1000, payment_id="ch_1"),
        dispute("lost", 500, payment_id="in_1"),
    ],
    "contradiction": [_PAID, refund("re_1", 2500), refund("re_1", 2600, minute=11)],
}
"""What happened, as the facts that report it, in the order in which it happened."""


TELLING = (
    "captures",
    "late failure",
    "no renewal after all",
    "paid and refunded",
    "renewal linked late",
    "two refunds, one fails",
)
"""The stories in which most can go wrong."""


DISPUTED = tuple(
    story
    for story, facts in STORIES.items()
    if any(fact.type in {FactType.DISPUTE_OPENED, FactType.DISPUTE_LOST} for fact in facts)
)
"""The stories in which a policy decides."""


def registration(policy: Mapping[str, Any] | None = None) -> Fact:
    profile: dict[str, Any] = {"name": "Acme", "country": "DE", "timezone": "Europe/Berlin"}
    profile["accounts"] = [{"provider": "stripe", "account": "acct_1"}]
    return Fact(
        type=FactType.BUSINESS_CUSTOMER_CREATED, provider="platform", account="bc_1", key="bc_1",
        occurred_at=moment(ORDINARY_START), registration=profile | ({"policy": policy} if policy else {}),
    )  # fmt: skip


def told(facts: list[Fact] | tuple[Fact, ...], *, apart_s: int = APART_S, **settings: Any) -> History:
    """A history in which these facts are delivered in this order."""
    deliveries = tuple(_delivery(AFTERNOON + apart_s * place, (one,)) for place, one in enumerate(facts))
    return History(seed=0, start=STORY_DAY, deliveries=deliveries, **settings)


def told_at_once(story: str) -> History:
    """A history in which one event reports the whole story."""
    deliveries = (_delivery(AFTERNOON, (registration(),)), _delivery(AFTERNOON + APART_S, tuple(STORIES[story])))
    return History(seed=0, start=STORY_DAY, deliveries=deliveries)


def variants(story: str) -> dict[str, History]:
    """A story without faults: told slowly, in a crowd, before the customer is known, in one event, without idempotency keys."""
    facts = [registration(), *STORIES[story]]
    return {
        "one by one": told(facts),
        "all at once": told(facts, apart_s=0, shuffled=True),
        "registered last": told([*STORIES[story], registration()], apart_s=0),
        "in one event": told_at_once(story),
        "without idempotency": told(facts, apart_s=1, honoured_headers=()),
    }


def _delivery(at: int, facts: tuple[Fact, ...]) -> Delivery:
    return Delivery(at, facts, _event_id(facts[0]), str(facts[0].type))


def _event_id(fact: Fact) -> str:
    """One for each report, the same in every order."""
    name = f"evt_{fact.identity}_{fact.occurred_at}_{fact.amount and fact.amount.value}_{fact.invoice_id}"
    return re.sub(r"[^a-z0-9_]", "_", name, flags=re.IGNORECASE)


def orders(story: str, *, with_registration: bool) -> Iterator[History]:
    """Every order of arrival; the customer is registered first, or at any place among the others."""
    if with_registration:
        yield from (told(order) for order in permutations([registration(), *STORIES[story]]))
    else:
        yield from (told([registration(), *order]) for order in permutations(STORIES[story]))


def policy_changes(story: str) -> Iterator[History]:
    """Another policy from any fact of a story on, reported in its time, before anything else, or after everything."""
    facts = STORIES[story]
    for before, after in permutations(SETTINGS["dispute_credit_on"].values[1:], 2):
        first = registration({"version": 1, "dispute_credit_on": before, "due_days": 7})
        for place, reported in enumerate(facts):
            changed = registration({"version": 2, "dispute_credit_on": after, "due_days": 21})
            second = replace(changed, type=FactType.BUSINESS_CUSTOMER_UPDATED, occurred_at=reported.occurred_at)
            for order in (
                [first, *facts[:place], second, *facts[place:]],
                [second, first, *facts],
                [replace(second, occurred_at=facts[-1].occurred_at), second, first, *facts],
                [second, *facts, first],
                [first, *facts, second],
            ):
                yield told(order)


def poisoned(quiet: History) -> Iterator[History]:
    """Every shape of message that nobody can read, before each message of a history, beside it and after it."""
    for delivery in quiet.deliveries:
        for shape in SHAPES:
            for late in (-1, 0, 1):
                yield replace(quiet, poison=(beside(delivery, shape, delivery.at + late),))


def single_deaths(history: History, calls: int) -> Iterator[History]:
    """A death before and after every call that leaves a function."""
    for nth in range(1, calls + 1):
        for kind in ("kill-before", "kill-after"):
            yield replace(history, faults=(*history.faults, Fault(kind, ANY_CALL, nth)))


def single_faults(history: History, calls: Mapping[str, int]) -> Iterator[History]:
    """Every fault at every call that can have it."""
    for kind, call, amount in _kinds(history):
        for nth in range(1, calls.get(call, 0) + 1):
            yield replace(history, faults=(Fault(kind, call, nth, amount),))


def storms(history: History, calls: Mapping[str, int]) -> Iterator[History]:
    """Every fault at several calls in a row, wherever that may begin."""
    for kind, call, amount in _kinds(history):
        for first in range(1, calls.get(call, 0) + 1, 2):
            yield replace(history, faults=tuple(Fault(kind, call, nth, amount) for nth in range(first, first + STORM)))


def _kinds(history: History) -> Iterator[tuple[str, str, int]]:
    for switch, (kinds, targets, amounts) in CALL_FAULTS.items():
        if history.honoured_headers or switch not in UNANSWERABLE:
            yield from ((kind, call, amounts[-1]) for kind in kinds for call in sorted(set(targets)))


def after_a_long_outage() -> Iterator[History]:
    """The first request after hours in vain loses its response, and the next fact of the payment comes while look-ups lag."""
    payment, refunded = STORIES["paid and refunded"]
    begin = AFTERNOON + APART_S
    for hours in (1, 5, 7, 9):
        outages = (Outage(begin, begin + hours * 3600, 503),)
        quiet = told([registration(), payment], outages=outages)
        world = World(quiet)
        world.run()
        issued_at = next(item["issued_at"] for item in world.table.items() if item["sk"].startswith("DOC#"))
        next_fact = _delivery(issued_at - STORY_DAY + 5, (refunded,))
        lost = (Fault("lost-response", "api.create", world.calls["api.create"]),)
        lags = tuple(Fault("lookup-lag", "api.list", nth, 600) for nth in range(1, world.calls["api.list"] + 10))
        yield replace(quiet, deliveries=(*quiet.deliveries, next_fact), faults=lost + lags)


def while_secrets_are_rotated() -> Iterator[History]:
    """The platform's secret changes between two of its deliveries, and any fetch of secrets is in vain."""
    created = registration()
    updated = replace(created, type=FactType.BUSINESS_CUSTOMER_UPDATED, occurred_at=moment(ORDINARY_START + 1))
    quiet = told([created, updated], apart_s=4000, rotated_at=AFTERNOON + 1000)
    for nth in range(1, 5):
        yield replace(quiet, faults=(Fault("throttled", "secrets.read", nth),))


def everything(story: str, calls_of: Callable[[History], Mapping[str, int]]) -> Iterator[History]:
    """Every order of a story, and every death, fault and storm at every call in every way to tell it."""
    yield from orders(story, with_registration=len(STORIES[story]) < FACTS_MAX)
    for quiet in variants(story).values():
        calls = calls_of(quiet)
        yield from chain([quiet], single_deaths(quiet, calls[ANY_CALL] + 2), single_faults(quiet, calls), storms(quiet, calls))
    yield from poisoned(variants(story)["one by one"])
    if story in DISPUTED:
        yield from policy_changes(story)


def pairs_of_deaths(quiet: History, calls_of: Callable[[History], Mapping[str, int]]) -> Iterator[History]:
    """A death at any call, and another at any call after it."""
    for once in single_deaths(quiet, calls_of(quiet)[ANY_CALL]):
        for twice in single_deaths(once, calls_of(once)[ANY_CALL]):
            if twice.faults[1].nth > once.faults[0].nth:
                yield twice
