"""Whatever was done to the ledger past the stream is found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from quittance.journal.entries import Key, KeyRing
from quittance.ledger import Ledger
from quittance.storage import Delete, Put
from tests.evidence.journal_world import RING, JournalWorld
from tools.evidence.comparison import Comparison, Deviation, Disagreement, found, standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from quittance.storage import Item
    from tests.use_cases.world import World

Played = tuple["World", JournalWorld]


def deviations(journal: JournalWorld) -> list[Deviation]:
    comparison = Comparison(journal.ledger, journal.journal, RING)
    items = {(item["pk"], item["sk"]): item for item in journal.ledger.items()}
    known = [(item["pk"].removeprefix("ITEM#"), item["sk"]) for item in journal.table.items() if item["pk"].startswith("ITEM#")]
    looked_at = {**dict.fromkeys(known), **items}
    return [one for keys, item in looked_at.items() if (one := comparison.of_item(*keys, item))]


def past_the_stream(journal: JournalWorld, sk: str, edit: Callable[[Item], None]) -> None:
    (item,) = [item for item in journal.ledger.items() if item["sk"].startswith(sk) and item["pk"].startswith("CASE#")]
    edit(item)
    journal.ledger.commit([Put(item)])
    journal.ledger.stream.pop()


def test_a_ledger_that_was_entered_agrees(played: Played) -> None:
    _, journal = played
    journal.recorder().record(journal.ledger.stream)
    assert deviations(journal) == []


def test_what_the_stream_has_not_told_yet_differs(played: Played) -> None:
    _, journal = played
    issued = next(n for n, one in enumerate(journal.ledger.stream) if (one.new or {}).get("state") == "issued")
    journal.recorder().record(journal.ledger.stream[:issued])
    assert {one.what for one in deviations(journal)} == {Disagreement.DIFFERS}


def test_what_was_never_told_is_not_entered(played: Played) -> None:
    _, journal = played
    assert {one.what for one in deviations(journal)} == {Disagreement.NOT_ENTERED}


@pytest.mark.parametrize(
    ("sk", "edit"),
    [
        ("FACT#", lambda item: item["fact"]["amount"].update(value=1)),
        ("FACT#", lambda item: item["fact"]["payer"].update(name="Bob")),
        ("FACT#", lambda item: item["fact"].pop("payer")),
        ("DOC#", lambda item: item.update(number="2026-0")),
        ("DOC#", lambda item: item.update(body="{}")),
        ("HEAD", lambda item: item.update(business_customer="bc_2")),
    ],
)
def test_what_was_changed_past_the_stream_differs(played: Played, sk: str, edit: Callable[[Any], None]) -> None:
    _, journal = played
    journal.recorder().record(journal.ledger.stream)
    past_the_stream(journal, sk, edit)
    (named,) = deviations(journal)
    assert (named.sk.startswith(sk), named.what) == (True, Disagreement.DIFFERS)


def test_what_was_removed_past_the_stream_is_gone(played: Played) -> None:
    _, journal = played
    journal.recorder().record(journal.ledger.stream)
    (fact,) = [item for item in journal.ledger.items() if item["sk"].startswith("FACT#") and item["pk"].startswith("CASE#")]
    journal.ledger.commit([Delete(fact["pk"], fact["sk"])])
    assert deviations(journal) == [Deviation(fact["pk"], fact["sk"], Disagreement.GONE)]
    journal.recorder().record(journal.ledger.stream)
    assert deviations(journal) == []


def test_an_entry_of_another_key_is_forged(played: Played) -> None:
    _, journal = played
    forger = journal.new_journal(KeyRing((Key("k1", b"x" * 32),)))
    forger.append("customer:bc_1", journal.ledger.stream)
    assert {one.what for one in deviations(journal)} == {Disagreement.FORGED}


def test_what_was_missed_is_entered_as_caught_up_and_agrees_then(played: Played) -> None:
    _, journal = played
    for one in deviations(journal):
        item = journal.ledger.read(one.pk, one.sk)
        journal.recorder().record([found(one.pk, one.sk, item, journal.clock())])
    assert deviations(journal) == []
    assert "fact.caught_up" in journal.kinds("customer:bc_1")


def test_joined_cases_agree(played: Played) -> None:
    world, journal = played
    ledger = Ledger(journal.ledger)
    ledger.commit(ledger.open("stripe", "acct_1", ("pay_1", "ch_1"), join=False))
    world.drain_revisits()
    journal.recorder().record(journal.ledger.stream)
    assert deviations(journal) == []
    assert "case.recorded" in journal.kinds("customer:bc_1")


def test_what_is_on_its_way_is_looked_at_again(played: Played) -> None:
    _, journal = played
    comparison = Comparison(journal.ledger, journal.journal, RING)
    early = deviations(journal)
    assert early
    patience = iter((True, True))

    def wait() -> bool:
        journal.recorder().record(journal.ledger.stream)
        return next(patience)

    assert standing(comparison, early, wait=wait) == []
    assert standing(comparison, early[:1], wait=lambda: False) == early[:1]
