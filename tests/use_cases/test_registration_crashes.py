"""A registration killed before or after any call of the outside is finished by the next run, and nothing is double."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from random import Random
from typing import Any

import pytest

from quittance.entities import connection_of
from quittance.ledger import Ledger
from tests.use_cases.onboarding import Killed, Onboarding

ACCOUNTS = [{"provider": "stripe", "account": "acct_1"}]
DESTINATION = {"eu_consumer": "destination", "destination": {"FR": "20"}}
WHOLE: dict[str, Any] = {
    "accounts": ACCOUNTS,
    "role": "platform",
    "policy": {"tax": {"domestic": {"standard": "19", "reduced": "7"}, **DESTINATION}},
}


class Scenario:
    """A world before the run that is killed, and that run."""

    def __init__(self, *, lag: bool = False) -> None:
        self.world = Onboarding()
        if lag:
            self.world.sandbox.faults.add_json({"kind": "lookup_lag", "seconds": 60, "times": None})

    def run(self) -> None:
        self.world.registered(**WHOLE)


class Adopted(Scenario):
    def __init__(self) -> None:
        super().__init__()
        made = self.world.made_by_hand("entities", {"name": "Own", "country": "Germany", "country_code": "DE"})
        self.world.made_by_hand("taxes", {"tax_rates": [{"rate": 19}]}, made["id"])
        self.entity_id = made["id"]

    def run(self) -> None:
        self.world.registered(entity_id=self.entity_id, **WHOLE)


class Changed(Scenario):
    """Registered before, by a stack at another address and with less."""

    def __init__(self) -> None:
        super().__init__()
        self.world.restart("https://old.example")
        self.world.registered(day=19, name="Old", policy={"tax": {"domestic": "19"}})

    def run(self) -> None:
        self.world.registered(**WHOLE)


SCENARIOS: dict[str, Callable[[], Scenario]] = {
    "fresh": Scenario,
    "lagging lists": partial(Scenario, lag=True),
    "adopted": Adopted,
    "changed": Changed,
}


def boundaries(scenario: Scenario, visit: Callable[[int], None]) -> None:
    """Call `visit` with the number of each moment right before and right after a call of the outside."""
    number = count()

    def moment(_: object) -> None:
        visit(next(number))

    world = scenario.world
    world.before_call = world.after_call = moment
    world.table.before_commit = world.table.after_commit = moment


def run_until(scenario: Scenario, last: int) -> None:
    """A run that is killed at this boundary, on a worker that just started."""

    def kill(number: int) -> None:
        if number == last:
            raise Killed

    boundaries(scenario, kill)
    scenario.world.restart()
    try:
        scenario.run()
    except Killed:
        scenario.world.asked.clear()


def run_to_the_end(scenario: Scenario) -> None:
    boundaries(scenario, lambda _: None)
    scenario.world.restart()
    scenario.run()


def length_of(scenario: Scenario) -> int:
    seen: list[int] = []
    boundaries(scenario, seen.append)
    scenario.world.restart()
    scenario.run()
    return len(seen)


def check_whole(world: Onboarding) -> None:
    (entity,) = world.entities()
    assert entity["metadata"] == {"business_customer": "bc_1"}
    customer = world.customer()
    assert customer.entity_id == entity["id"]
    assert {name: tax.percent for name, tax in customer.taxes.items()} == {"19%": "19", "7%": "7", "FR 20%": "20"}
    assert sorted(tax["id"] for tax in world.taxes()) == sorted(tax.tax_id for tax in customer.taxes.values())
    (webhook,) = world.webhooks()
    assert webhook["url"].startswith("https://quittance.example/")
    assert world.secrets == {connection_of("bc_1"): webhook["secret"]}
    ledger = Ledger(world.table)
    assert ledger.owner("stripe", "acct_1") == ledger.owner("platform", "bc_1") == "bc_1"
    platform = world.directory().platform()
    assert platform
    assert platform.id == "bc_1"
    assert not world.findings()


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_any_boundary_and_resumed(name: str) -> None:
    length = length_of(SCENARIOS[name]())
    assert length >= 30
    for last in range(length):
        scenario = SCENARIOS[name]()
        run_until(scenario, last)
        run_to_the_end(scenario)
        check_whole(scenario.world)


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_again_and_again(name: str) -> None:
    random = Random(name)  # noqa: S311 - replayed by its seed
    length = length_of(SCENARIOS[name]())
    for _ in range(40):
        scenario = SCENARIOS[name]()
        for _ in range(random.randint(2, 4)):
            run_until(scenario, random.randrange(length))
        run_to_the_end(scenario)
        check_whole(scenario.world)


@pytest.mark.parametrize("name", ["fresh", "adopted", "changed"])
def test_what_was_finished_is_not_asked_for_again(name: str) -> None:
    scenario = SCENARIOS[name]()
    scenario.run() if name != "changed" else run_to_the_end(scenario)
    scenario.world.asked.clear()
    run_to_the_end(scenario)
    assert not scenario.world.asked
