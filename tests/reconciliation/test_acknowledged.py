"""What somebody acknowledged is found as ever, stays in the record of every run, and counts nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from quittance.acknowledgements import Acknowledgement, acknowledge, acknowledgements, take_back
from quittance.ledger import OPEN_FINDING
from quittance.reconciliation.report import rendered
from quittance.reconciliation.run import Scope
from quittance.reconciliation.tally import Tally, levels
from quittance.storage import Keys
from tests.reconciliation.large_ledger import LATER_S, LargeLedger, names, payment, seed_others
from tests.unit.stories import fact, refund, succeeded

if TYPE_CHECKING:
    from pathlib import Path

    from quittance.reconciliation.results import Found
    from quittance.reconciliation.run import Run
    from quittance.storage import Item

GIVEN = Acknowledgement(1_795_000_000, "finance", "sold outside of this service")


def standing(ledger: LargeLedger, *codes: str) -> list[Item]:
    return [item for item in ledger.table.find(OPEN_FINDING) if not codes or item["code"] in codes]


def acknowledge_all(ledger: LargeLedger, *codes: str) -> None:
    """What stands now, of these codes or of any."""
    for item in standing(ledger, *codes):
        acknowledge(ledger.table, Keys(item["pk"], item["sk"]), GIVEN)


def open_ones(found: list[Found]) -> list[Found]:
    return [one for one in found if not one.acknowledged]


def told(run: Run) -> dict[str, int]:
    """The metrics of a run that say that something is open."""
    tally = Tally(run.result().finished_at)
    list(rendered(run.result(), run.found(), run._book.payouts(), tally))
    return {
        f"{one.metric}{one.severity}": one.value for one in levels(run.result(), tally) if one.metric.endswith(("Open", "due"))
    }


@pytest.fixture
def ledger() -> LargeLedger:
    """Every kind of finding that only people can put right, as it was found a while ago."""
    ledger = LargeLedger(40)
    seed_others(ledger)
    ledger.seconds += LATER_S
    return ledger


def test_what_is_acknowledged_is_found_and_counts_nowhere(ledger: LargeLedger, tmp_path: Path) -> None:
    first, before = ledger.reconciled(tmp_path / "first")
    assert not first.result().agrees
    assert min(told(first).values()) > 0
    acknowledge_all(ledger)
    ledger.seconds += 86_400
    second, after = ledger.reconciled(tmp_path / "second")
    assert names(after) == names(before)
    assert {one.acknowledged for one in after} == {GIVEN}
    assert second.result().agrees
    assert [dict(customer.found_by_code) for customer in second.result().customers] == [{}]
    assert [one.residual for customer in second.result().customers for one in customer.totals] == [0, 0]
    assert set(told(second).values()) == {0}


def test_acknowledged_again_and_again_changes_nothing(ledger: LargeLedger, tmp_path: Path) -> None:
    ledger.reconciled(tmp_path / "first")
    acknowledge_all(ledger)
    before = ledger.table.items()
    run, _ = ledger.reconciled(tmp_path / "second")
    assert ledger.table.items() == before
    run._book.set_state("step", "keeping")
    assert run.work()
    assert run.result().agrees


def test_without_keeping_anything_it_counts_nowhere_either(ledger: LargeLedger, tmp_path: Path) -> None:
    ledger.reconciled(tmp_path / "first")
    acknowledge_all(ledger)
    run = ledger.run(tmp_path, scope=Scope(counts_at_once=True, keeps=False))
    run.work()
    assert open_ones(list(run.found())) == []


def test_what_says_something_else_is_open_again(tmp_path: Path) -> None:
    ledger = LargeLedger(20)
    ledger.document(3).update(total_with_tax=105, total=105)
    ledger.document(4).update(number="2026-X")
    ledger.reconciled(tmp_path / "first")
    acknowledge_all(ledger)
    ledger.document(3).update(total_with_tax=106, total=106)
    ledger.document(4).update(number="2026-Y")
    for number, scope in enumerate((Scope(keeps=False), Scope())):
        (tmp_path / str(number)).mkdir()
        run = ledger.run(tmp_path / str(number), scope=scope)
        run.work()
        assert names(open_ones(list(run.found()))) == [("number_differs", payment(4)), ("total_with_tax_differs", payment(3))]
        assert [one.residual for customer in run.result().customers for one in customer.totals] == [600]
    known = acknowledgements(ledger.table)
    assert [known.of(item) for item in standing(ledger)] == [None, None]


def test_a_document_that_was_numbered_otherwise_meanwhile_is_open_again(tmp_path: Path) -> None:
    ledger = LargeLedger(5)
    ledger.add(ledger.document(1), "inv_hand", metadata={})
    ledger.reconciled(tmp_path / "first")
    acknowledge_all(ledger)
    ledger.book.invoices["inv_hand"]["number"] = "2026-Y"
    _, found = ledger.reconciled(tmp_path / "second")
    assert [one.code for one in open_ones(found)] == ["made_by_hand"]


def test_what_comes_back_after_it_was_gone_is_open_again(tmp_path: Path) -> None:
    ledger = LargeLedger(20)
    number = ledger.document(3)["number"]
    for folder, own in (("found", "2026-X"), ("gone", number), ("back", "2026-X")):
        ledger.document(3).update(number=own)
        ledger.seconds += 3600
        _, found = ledger.reconciled(tmp_path / folder)
        assert names(open_ones(found)) == ([] if folder == "gone" else [("number_differs", payment(3))])
        if folder == "found":
            acknowledge_all(ledger)
    ledger.document(3).update(number=number)
    run = ledger.run(tmp_path, scope=Scope(keeps=False))
    run.work()
    assert list(run.found()) == []


def test_what_is_gone_and_found_again_by_a_run_that_keeps_nothing_is_open(tmp_path: Path) -> None:
    ledger = LargeLedger(20)
    number = ledger.document(3)["number"]
    ledger.document(3).update(number="2026-X")
    ledger.reconciled(tmp_path / "found")
    acknowledge_all(ledger)
    ledger.document(3).update(number=number)
    ledger.reconciled(tmp_path / "gone")
    ledger.document(3).update(number="2026-X")
    run = ledger.run(tmp_path, scope=Scope(keeps=False))
    run.work()
    assert len(open_ones(list(run.found()))) == 1


def test_an_amount_that_the_plan_changed_is_open_before_the_payment_is_converged_again(tmp_path: Path) -> None:
    ledger = LargeLedger(5)
    ledger.take(fact("payment.captured", "cap_1", 5000, payment_id="pay_c"), refund("re_1", 8000, payment_id="pay_c"))
    acknowledge_all(ledger)
    run, found = ledger.reconciled(tmp_path / "same")
    assert ([one.code for one in found], open_ones(found)) == (["returned_more_than_paid"], [])
    assert run.result().agrees
    ledger.report(fact("refund.succeeded", "re_0", 100, payment_id="pay_c"))
    _, found = ledger.reconciled(tmp_path / "other")
    assert ("returned_more_than_paid", "pay_c") in names(open_ones(found))


def test_taken_back_it_counts_again(ledger: LargeLedger, tmp_path: Path) -> None:
    first, _ = ledger.reconciled(tmp_path / "first")
    acknowledge_all(ledger)
    for item in standing(ledger):
        take_back(ledger.table, Keys(item["pk"], item["sk"]), "controller", GIVEN.at + 1)
    ledger.seconds += 60
    second, found = ledger.reconciled(tmp_path / "second")
    assert len(open_ones(found)) == len(found)
    assert told(second) == told(first)


# --- residuals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "change", "code", "residual"),
    [
        ("inv_hand", {"metadata": {}}, "made_by_hand", 10000),
        ("cre_hand", {"metadata": {}}, "made_by_hand", -10000),
        ("inv_copy", {}, "duplicate", 10000),
        ("inv_draft", {"metadata": {}, "is_draft": True}, "made_by_hand", 0),
    ],
)
def test_a_document_that_is_too_much_leaves_no_residual_once_it_is_acknowledged(
    own: str, change: dict[str, object], code: str, residual: int, tmp_path: Path
) -> None:
    ledger = LargeLedger(5)
    ledger.add(ledger.document(1), own, **change)
    residuals = []
    for folder in ("open", "acknowledged"):
        run, found = ledger.reconciled(tmp_path / folder)
        assert code in {one.code for one in found}
        residuals += [(one.acknowledged, one.residual) for customer in run.result().customers for one in customer.totals]
        acknowledge_all(ledger)
    assert residuals == [(0, residual), (residual, 0)]


@pytest.mark.parametrize(
    ("change", "code", "residual"),
    [
        ({"total_with_tax": 105, "total": 105}, "total_with_tax_differs", 500),
        ({"voided_at": "2026-11-21T08:00:00.000Z"}, "voided_by_hand", -10000),
        ({"deleted_at": "2026-11-21T08:00:00.000Z"}, "document_missing", -10000),
        ({"is_draft": True}, "is_draft_differs", -10000),
        ({"number": "2026-X"}, "number_differs", 0),
    ],
)
def test_a_document_that_is_otherwise_leaves_no_residual_once_it_is_acknowledged(
    change: dict[str, object], code: str, residual: int, tmp_path: Path
) -> None:
    ledger = LargeLedger(5)
    ledger.document(1).update(change)
    ledger.seconds += 60
    residuals = []
    for folder in ("open", "acknowledged"):
        run, found = ledger.reconciled(tmp_path / folder)
        assert [one.code for one in found] == [code]
        residuals += [(one.acknowledged, one.residual) for customer in run.result().customers for one in customer.totals]
        acknowledge_all(ledger)
    assert residuals == [(0, residual), (residual, 0)]


def test_a_document_of_which_something_is_open_leaves_its_residual(tmp_path: Path) -> None:
    ledger = LargeLedger(5)
    ledger.document(1).update(total_with_tax=105, total=105, number="2026-X")
    ledger.reconciled(tmp_path / "first")
    acknowledge_all(ledger, "number_differs")
    run, found = ledger.reconciled(tmp_path / "second")
    assert len(open_ones(found)) == 1
    assert [one.residual for customer in run.result().customers for one in customer.totals] == [500]


def test_a_payout_that_is_acknowledged_is_not_open(ledger: LargeLedger, tmp_path: Path) -> None:
    first, _ = ledger.reconciled(tmp_path / "first")
    acknowledge_all(ledger, "payout_residual")
    second, _ = ledger.reconciled(tmp_path / "second")
    assert told(second)["ResidualsOpen"] == told(first)["ResidualsOpen"] - 1
    assert [one.is_acknowledged for one in second._book.payouts() if not one.is_explained] == [True]


def test_another_business_customer_is_another_finding(tmp_path: Path) -> None:
    ledger = LargeLedger(5)
    ledger.take(succeeded(payment_id="pay_x"), succeeded(9900, payment_id="pay_x"))
    ledger.take(succeeded(payment_id="pay_y"), succeeded(9900, payment_id="pay_y"))
    [first, _] = standing(ledger)
    acknowledge(ledger.table, Keys(first["pk"], first["sk"]), GIVEN)
    _, found = ledger.reconciled(tmp_path / "run")
    assert names(open_ones(found)) == [("conflict", "pay_y")]
