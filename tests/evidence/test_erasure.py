"""A payer is forgotten; what is left still verifies, and the books still close."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from quittance.acknowledgements import Acknowledgement, acknowledge, acknowledgements
from quittance.errors import Reject, Retry
from quittance.ledger import OPEN_FINDING, Ledger, case_pk, reports_pk
from quittance.storage import ConditionFailedError, Keys, Put
from tests.evidence.journal_world import RING, JournalWorld, problems
from tests.evidence.payments import paid, refunded
from tests.evidence.test_comparison import deviations
from tools.evidence.comparison import Comparison
from tools.evidence.erasure import Erased, Erasure, without_payer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from quittance.storage import Write
    from tests.use_cases.world import World

Played = tuple["World", JournalWorld]
SAID = ("Ada", "Lovelace", "ada@example.com", "Lane 1", "Ulm", "DE1")


def erase(journal: JournalWorld, wait: Callable[[], bool] | None = None) -> Erased:
    ledger = Ledger(journal.ledger)
    erasure = Erasure(ledger, journal.journal, Comparison(journal.ledger, journal.journal, RING))
    case = ledger.open("stripe", "acct_1", ("pay_1",), join=False)
    return erasure.erase(case, by="dpo", reason="request 7", wait=wait or streaming(journal))


def streaming(journal: JournalWorld) -> Callable[[], bool]:
    patience = iter([True] * 5)

    def wait() -> bool:
        journal.recorder().record(journal.ledger.stream)
        return next(patience, False)

    return wait


def said_of_payer(items: list[dict[str, object]]) -> set[str]:
    text = json.dumps([item for item in items if "BUSINESS_CUSTOMER" not in str(item["pk"])])
    return {word for word in SAID if word in text}


def test_a_payer_is_gone_from_ledger_and_journal_and_the_chain_verifies(played: Played, tmp_path: Path) -> None:
    world, journal = played
    world.take(refunded())
    journal.ledger.commit(
        [
            Put(
                {
                    "pk": case_pk("stripe", "acct_1", "pay_1"),
                    "sk": "EVIDENCE#DE:DE:DE1",
                    "evidence": {"checked_at": "2026-11-20T10:00:00Z"},
                }
            )
        ]
    )
    told_again = {"sk": "x", "changed": {"payer": {"name": "Ada Lovelace"}}}
    journal.ledger.commit([Put({"pk": reports_pk("stripe", "acct_1", "pay_1")} | told_again)])
    journal.recorder().record(journal.ledger.stream)
    assert said_of_payer([*journal.ledger.items(), *journal.table.items()])
    erased = erase(journal)
    assert (erased.items, erased.entries) >= (3, 6)
    # What was sold stays in the ledger, where credit notes are made of it; in the journal nothing of free text stays.
    assert said_of_payer(journal.ledger.items()) <= {"Ada"}
    assert said_of_payer([item for item in journal.table.items() if item["pk"] == "CHAIN#customer:bc_1"]) == set()
    assert problems(journal.export(tmp_path)) == []
    assert deviations(journal) == []
    assert journal.kinds("customer:bc_1")[-1] == "personal_data.erased"


def test_why_a_finding_was_acknowledged_is_gone_and_who_did_is_kept(played: Played, tmp_path: Path) -> None:
    _, journal = played
    pk = case_pk("stripe", "acct_1", "pay_1")
    found = {"code": "conflict", "subject": "x", "opened_at": 1, "reference": OPEN_FINDING}
    journal.ledger.commit([Put({"pk": pk, "sk": "FINDING#conflict#x"} | found)])
    acknowledge(journal.ledger, Keys(pk, "FINDING#conflict#x"), Acknowledgement(5, "finance", "Lovelace phoned"))
    erase(journal)
    assert "phoned" not in json.dumps([*journal.ledger.items(), *journal.table.items()])
    known = acknowledgements(journal.ledger)
    [item] = [one for one in journal.ledger.find(OPEN_FINDING) if one["code"] == "conflict"]
    assert known.of(item) == Acknowledgement(5, "finance", "")
    assert problems(journal.export(tmp_path)) == []
    assert deviations(journal) == []


def test_who_erased_what_and_why_is_kept(played: Played) -> None:
    _, journal = played
    erase(journal)
    said = journal.entries("customer:bc_1")[-1]["content"]
    assert (said["by"], said["reason"]) == ("dpo", "request 7")
    assert len(said["entries"]) == len(set(said["entries"]))


def test_erasing_again_finds_nothing_left(played: Played) -> None:
    _, journal = played
    erase(journal)
    count = len(journal.entries("customer:bc_1"))
    assert erase(journal) == Erased(0, 0)
    assert len(journal.entries("customer:bc_1")) == count


def test_documents_that_come_later_are_right_without_the_payer(played: Played) -> None:
    world, journal = played
    erase(journal)
    world.take(refunded())
    assert world.totals() == {"invoices": ["123.45"], "credit-notes": ["10"]}
    case = Ledger(journal.ledger).open("stripe", "acct_1", ("pay_1",), join=False)
    assert not [item for item in case.findings.values() if not item.get("resolved_at")]
    assert "Lovelace" not in json.dumps(world.held("credit-notes"), default=str)


def test_erasing_brings_about_no_document(played: Played) -> None:
    world, journal = played
    before = world.totals()
    erase(journal)
    world.converger().revisit("stripe", "acct_1", "pay_1")
    assert world.totals() == before


def test_nothing_is_erased_while_a_document_is_under_way(played: Played) -> None:
    _, journal = played
    ledger = Ledger(journal.ledger)
    case = ledger.open("stripe", "acct_1", ("pay_1",), join=False)
    case.take_lease("somebody", 10**10)
    ledger.commit(case)
    with pytest.raises(Reject, match="payment_unfinished"):
        erase(journal)


def test_a_payment_that_changes_meanwhile_is_left_for_another_try(played: Played) -> None:
    _, journal = played

    def lose(_writes: Sequence[Write]) -> None:
        raise ConditionFailedError

    journal.ledger.before_commit = lose
    with pytest.raises(Retry, match="case_contended"):
        erase(journal)


def test_entries_are_erased_only_once_the_journal_has_everything(played: Played) -> None:
    """What is on its way would bring the payer back."""
    _, journal = played
    with pytest.raises(Retry, match="journal_behind"):
        erase(journal, wait=lambda: False)
    erase(journal)
    assert said_of_payer([item for item in journal.table.items() if item["pk"] == "CHAIN#customer:bc_1"]) == set()


@pytest.mark.parametrize("crash", range(1, 6))
@pytest.mark.parametrize("table", ["ledger", "table"])
def test_killed_anywhere_it_is_finished_by_the_next_run(played: Played, crash: int, table: str, tmp_path: Path) -> None:
    _, journal = played
    journal.recorder().record(journal.ledger.stream)
    calls = 0

    def die(_writes: Sequence[Write]) -> None:
        nonlocal calls
        calls += 1
        if calls == crash:
            raise InterruptedError

    getattr(journal, table).after_commit = die
    try:
        erase(journal)
    except InterruptedError:
        erase(journal)
    assert said_of_payer([item for item in journal.table.items() if item["pk"] == "CHAIN#customer:bc_1"]) == set()
    assert problems(journal.export(tmp_path)) == []


def test_what_was_sold_the_country_and_the_bytes_of_others_stay() -> None:
    item = {
        "fact": paid().to_json(),
        "body": '{"customer":{"name":"Ada"},"items":[1.50],"to":"ada@example.com"}',
        "document": {"payer": {"name": "Ada"}, "lines": [{"name": "Advice"}]},
    }
    erased = without_payer(item)
    assert erased["fact"]["payer"] == {"country": "DE", "state": None}
    assert erased["fact"]["description"] == "Advice to Ada"
    assert json.loads(erased["body"]) == {"items": [1.5]}
    assert erased["document"] == {"lines": [{"name": "Advice"}]}
    assert without_payer({"body": '{"a": 1.50}'}) == {"body": '{"a": 1.50}'}
    assert without_payer({"body": ""}) == {"body": ""}
