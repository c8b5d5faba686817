"""Every document of random histories follows from the ledger again, to the byte, whatever went wrong on the way."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from quittance import derivation
from tests.simulation.generate import history
from tests.simulation.history import Violation
from tests.simulation.table import QuietTable
from tests.simulation.world import World
from tests.use_cases.deriving import derived

if TYPE_CHECKING:
    from collections.abc import Iterator

SEEDS = range(1, 121)


def worlds(seeds: range = SEEDS) -> Iterator[World]:
    for seed in seeds:
        world = World(history(seed))
        try:
            world.run()
        except Violation:
            continue  # for other tests to judge
        yield world


@pytest.fixture(scope="module")
def simulated() -> list[World]:
    return list(worlds())


def test_every_document_derives_again_to_the_byte(simulated: list[World]) -> None:
    counted: Counter[str] = Counter()
    for world in simulated:
        for case, key, one in derived(QuietTable(world.table)):
            assert one.is_same, (world.history.seed, case.pk, key, one)
            counted["documents"] += 1
            counted["of joined cases"] += any(since.moved for since in case.since.values())
    assert counted["documents"] > 300
    assert counted["of joined cases"] > 20


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("_without", lambda fact, _: fact),
        ("_facts_known_to", lambda case, _key, _reports: iter(case.facts.values())),
        ("_is_known", lambda _case, sk, key: not sk.endswith(key)),
    ],
    ids=["what a report changed is not taken back", "later facts are taken for known", "later documents are taken for known"],
)
def test_it_would_not_without_knowing_what_was_known(
    simulated: list[World], monkeypatch: pytest.MonkeyPatch, name: str, broken: object
) -> None:
    monkeypatch.setattr(derivation, name, broken)
    assert not all(one.is_same for world in simulated for _, _, one in derived(QuietTable(world.table)))
