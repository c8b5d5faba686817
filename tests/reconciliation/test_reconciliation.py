"""Everything that is wrong is found, nothing else is, and what can be put right is, by the pipeline itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from quittance.ledger import Ledger
from quittance.money import Money
from quittance.reconciliation import run as runs
from quittance.reconciliation.finding_classes import CLASSES
from quittance.reconciliation.listing import Listing
from quittance.reconciliation.report import rendered
from quittance.reconciliation.results import RepairMode
from quittance.reconciliation.run import Run, Scope
from quittance.reconciliation.tally import Tally
from quittance.reconciliation.workbook import Workbook
from quittance.runtime.repairs import repair_message
from tests.reconciliation.large_ledger import LATER_S, PAGE, LargeLedger, names, payment, seed_others, seed_repairable
from tests.unit.stories import fact, refund, succeeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from quittance.storage import Item

PAYMENTS = 10_000
STANDS = ("payment_failed_after_success", "pay_failed")
"""What the ledger itself keeps as a finding of a payment that failed."""


# --- found and put right -------------------------------------------------------------------------------------------------


@pytest.mark.timeout(120)
def test_faults_of_every_class_among_many_payments(tmp_path: Path) -> None:
    ledger = LargeLedger(PAYMENTS)
    repairable, others = seed_repairable(ledger), seed_others(ledger)
    ledger.seconds += LATER_S
    run, found = ledger.reconciled(tmp_path / "first")
    assert names(found) == sorted([*repairable, *others, STANDS])
    assert not run.result().agrees
    [customer] = run.result().customers
    documents = len(ledger.book.invoices) + len(ledger.book.credit_notes)
    assert ledger.lists <= documents / PAGE + 2
    assert ledger.looks <= len(found)
    ledger.repair(found, RepairMode.AUTOMATIC)
    _, left = ledger.reconciled(tmp_path / "second")
    assert names(left) == sorted([*others, STANDS])
    assert customer.payments >= PAYMENTS


def test_what_can_be_put_right_leaves_nothing_behind(tmp_path: Path) -> None:
    ledger = LargeLedger(30)
    seed_repairable(ledger)
    ledger.seconds += LATER_S
    _, found = ledger.reconciled(tmp_path / "first")
    ledger.repair(found, RepairMode.AUTOMATIC)
    run, left = ledger.reconciled(tmp_path / "second")
    assert names(left) == [STANDS]
    assert run.result().agrees
    assert [one.residual for customer in run.result().customers for one in customer.totals] == [0]


def test_every_class_is_seeded() -> None:
    """What is told of documents and payments; registrations and answers of the API are the ledger's own to find."""
    ledger = LargeLedger(40)
    seeded = {code for code, _ in (*seed_repairable(ledger), *seed_others(ledger))}
    differences = {code for code, known in CLASSES.items() if known.is_difference}
    assert differences - seeded == {"payout_currency_differs"} & set(CLASSES)


def test_amounts_say_what_is_at_stake(tmp_path: Path) -> None:
    ledger = LargeLedger(40)
    seed_others(ledger)
    ledger.seconds += LATER_S
    _, found = ledger.reconciled(tmp_path / "run")
    amounts = {(one.code, one.payment_id): one.amount for one in found}
    assert amounts["total_with_tax_differs", payment(20)] == Money(500, "EUR")
    assert amounts["total_with_tax_differs", payment(21)] == Money(-500, "EUR")
    assert amounts["tax_amount_differs", payment(23)] == Money(1597, "EUR")
    assert amounts["total_paid_differs", payment(27)] == Money(-4000, "EUR")
    assert amounts["over_credited", payment(33)] == Money(2000, "EUR")
    assert amounts["unpaid_though_settled", payment(28)] == Money(10000, "EUR")
    assert amounts["payout_residual", "po_9"] == Money(10000, "EUR")


def test_only_payments_of_what_may_be_repaired_are_converged_again(tmp_path: Path) -> None:
    ledger = LargeLedger(40)
    seed_repairable(ledger)
    seed_others(ledger)
    ledger.seconds += LATER_S
    _, found = ledger.reconciled(tmp_path / "run")
    for one in found:
        message = repair_message(one, "2026-11-23T05:00:00Z")
        assert (message is None) is (one.repair is RepairMode.NEVER), one
        assert message is None or (message.function, one.payment_id in message.body) == ("payment_revisited", True)


def test_two_errors_that_cancel_each_other_out_are_two(tmp_path: Path) -> None:
    ledger = LargeLedger(10)
    ledger.document(1).update(total_with_tax=105, total=105)
    ledger.document(2).update(total_with_tax=95, total=95)
    run, found = ledger.reconciled(tmp_path / "run")
    assert names(found) == [("total_with_tax_differs", payment(1)), ("total_with_tax_differs", payment(2))]
    assert [one.residual for customer in run.result().customers for one in customer.totals] == [0]
    assert not run.result().agrees


def test_a_currency_that_nobody_lists_stops_nothing(tmp_path: Path) -> None:
    """Somebody invoices by hand in a currency that was replaced."""
    ledger = LargeLedger(5)
    ledger.add(ledger.document(1), "inv_hand", metadata={}, currency_code="BGN", total_with_tax=12.34, total=12.34)
    relation = {"relation_type": "credit_for", "target_id": "inv_hand"}
    note = {"total_with_tax": 20, "total": 20, "currency_code": "BGN", "document_relations": [relation]}
    ledger.add(ledger.document(1), "cre_hand", metadata={}, **note)
    run, found = ledger.reconciled(tmp_path / "run")
    details = [(one.code, one.document, one.detail, one.amount) for one in found]
    assert details == [
        ("made_by_hand", "cre_hand", "20.00 BGN", None),
        ("made_by_hand", "inv_hand", "12.34 BGN", None),
        ("over_credited", "inv_hand", "7.66 BGN", None),
    ]
    [customer] = run.result().customers
    assert {one.currency: one.residual for one in customer.totals} == {"BGN": -766, "EUR": 0}
    assert b"-7.66" in {name: body for name, _, body in rendered(run.result(), found, (), Tally(0))}["customers.csv"]


# --- when it counts ------------------------------------------------------------------------------------------------------


def test_what_is_under_way_does_not_count_yet(tmp_path: Path) -> None:
    ledger = LargeLedger(20)
    ledger.forget(11)
    run, found = ledger.reconciled(tmp_path / "soon")
    assert found == []
    assert names(run.found(counts=False)) == [("payment_without_invoice", payment(11))]
    ledger.seconds += CLASSES["payment_without_invoice"].age_s
    _, found = ledger.reconciled(tmp_path / "later")
    assert names(found) == [("payment_without_invoice", payment(11))]


def test_whoever_asks_for_it_is_told_at_once(tmp_path: Path) -> None:
    ledger = LargeLedger(20)
    ledger.forget(11)
    ledger.take(refund("re_early", 2500, payment_id="pay_never"))
    run = ledger.run(tmp_path, scope=Scope(counts_at_once=True))
    run.work()
    assert names(run.found()) == [("payment_without_invoice", payment(11))]


# --- a ledger that changes meanwhile -------------------------------------------------------------------------------------


def test_what_is_issued_or_changed_during_the_listing_is_no_finding(tmp_path: Path) -> None:
    ledger = LargeLedger(350)
    ledger.take(succeeded(payment_id="pay_before"))

    def meanwhile(page: int) -> None:
        if page in {2, 4, 5}:
            ledger.seconds += 5
            ledger.take(succeeded(payment_id=f"pay_during_{page}"))
            ledger.take(refund(f"re_{page}", 100, payment_id="pay_before"))
            ledger.take(refund(f"re_copied_{page}", 100, payment_id=payment(page)))

    ledger.before_page = meanwhile
    run, found = ledger.reconciled(tmp_path / "run")
    assert found == []
    assert ledger.looks == 0
    assert list(run.found(counts=False)) == []
    assert run.result().agrees
    ledger.before_page = lambda _: None
    again, found = ledger.reconciled(tmp_path / "again")
    assert found == []
    [customer] = again.result().customers
    assert customer.documents == len(ledger.book.invoices) + len(ledger.book.credit_notes)


def test_a_page_that_is_old_already_is_looked_at_again(tmp_path: Path) -> None:
    """A record of money is removed between the listing of its invoice and the reading of its payment."""
    ledger = LargeLedger(20)
    ledger.take(succeeded(payment_id="pay_late"))

    def scan(after: tuple[str, str] | None) -> Iterator[Item]:
        ledger.take(fact("payment.failed", "pay_late", 10000, payment_id="pay_late", minute=30))
        return ledger.table.scan(after, prefix="CASE#")

    run = ledger.run(tmp_path, scan=scan)
    run.work()
    assert names(run.found()) == [("payment_failed_after_success", "pay_late")]
    assert run.result().agrees
    assert ledger.looks == 1


def test_a_payment_that_was_joined_while_the_table_was_read_hides_nothing(tmp_path: Path) -> None:
    ledger = LargeLedger(5)
    ledger.take(succeeded(payment_id="pay_zz"))

    def scan(after: tuple[str, str] | None) -> Iterator[Item]:
        for item in ledger.table.scan(after, prefix="CASE#"):
            if item["pk"].endswith("pay_zz"):
                ledger.take(succeeded(payment_id="pay_aa", also_known_as=("pay_zz",)))
                return
            yield item

    run = ledger.run(tmp_path, scan=scan)
    run.work()
    assert list(run.found()) == []
    assert run.result().agrees


# --- again, and killed ---------------------------------------------------------------------------------------------------


def test_running_again_changes_nothing(tmp_path: Path) -> None:
    ledger = LargeLedger(40)
    seed_repairable(ledger)
    seed_others(ledger)
    ledger.seconds += LATER_S
    ledger.reconciled(tmp_path / "first")
    before = ledger.table.items()
    commits: list[object] = []
    ledger.table.before_commit = commits.append
    ledger.seconds += 3600
    ledger.reconciled(tmp_path / "second")
    assert ledger.table.items() == before
    assert commits == []


def test_a_finding_is_kept_until_it_is_gone(tmp_path: Path) -> None:
    ledger = LargeLedger(20)
    ledger.document(3).update(number="2026-X")
    ledger.reconciled(tmp_path / "first")
    [stands] = ledger.table.find("finding:open")
    assert (stands["pk"], stands["code"], stands["payment_id"]) == ("RECONCILIATION#bc_1", "number_differs", payment(3))
    first_seen = stands["opened_at"]
    ledger.seconds += 3600
    ledger.document(3).update(total_with_tax=105, total=105)
    ledger.reconciled(tmp_path / "second")
    standing = {one["code"]: one["opened_at"] for one in ledger.table.find("finding:open")}
    assert standing == {"number_differs": first_seen, "total_with_tax_differs": first_seen + 3600}
    ledger.document(3).update(number="2026-00001", total_with_tax=100, total=100)
    ledger.reconciled(tmp_path / "third")
    assert ledger.table.find("finding:open") == []
    kept = [item for item in ledger.table.items() if item["pk"] == "RECONCILIATION#bc_1"]
    assert [item["resolved_at"] for item in kept] == [ledger.seconds] * 2


@pytest.fixture
def damaged(monkeypatch: pytest.MonkeyPatch) -> LargeLedger:
    """Little enough to be reconciled many times, in several pages and batches all the same."""
    monkeypatch.setattr(runs, "BATCH", 20)
    monkeypatch.setattr(runs, "COMMIT_EVERY", 1)
    ledger = LargeLedger(230)
    seed_repairable(ledger)
    seed_others(ledger)
    for name in ("po_1", "po_2", "po_3"):
        ledger.report(fact("payout.paid", name, 500, payment_id=None))
    ledger.seconds += LATER_S
    return ledger


def outcome(run: Run) -> tuple[object, ...]:
    return run.result(), list(run.found()), list(run.found(counts=False)), list(run._book.payouts())


class KilledError(Exception):
    """The process is gone."""


class Calls:
    """Counts, and kills at one of them."""

    def __init__(self, kill_at: int = 0) -> None:
        self.count = 0
        self.kill_at = kill_at

    def __call__(self, *_: Any) -> None:
        self.count += 1
        if self.count == self.kill_at:
            raise KilledError


def test_killed_at_any_request_or_commit_the_outcome_is_the_same(damaged: LargeLedger, tmp_path: Path) -> None:
    whole, _ = damaged.reconciled(tmp_path / "whole")
    expected = outcome(whole)
    calls = Calls()
    folder = tmp_path / "counted"
    folder.mkdir()
    damaged.run(folder, pace=calls, committed=calls).work()
    assert calls.count > 30
    for kill_at in range(1, calls.count + 1):
        folder = tmp_path / str(kill_at)
        folder.mkdir()
        calls = Calls(kill_at)
        workbook = Workbook(folder / "workbook.sqlite3")
        run = damaged.run(folder, workbook=workbook, pace=calls, committed=calls)
        with pytest.raises(KilledError):
            run.work()
        if kill_at % 2:
            workbook.close()
            run = damaged.run(folder)
        assert run.work()
        assert outcome(run) == expected, kill_at


def test_killed_within_a_batch_nothing_counts_twice(damaged: LargeLedger, tmp_path: Path) -> None:
    whole, _ = damaged.reconciled(tmp_path / "whole")
    items = sum(1 for _ in damaged.table.scan(None, prefix="CASE#"))
    for kill_at in range(1, items, items // 25):
        folder = tmp_path / str(kill_at)
        folder.mkdir()
        run = damaged.run(folder, scan=_killing_scan(damaged, kill_at))
        with pytest.raises(KilledError):
            run.work()
        assert run.work(), "the same object goes on as well"
        assert outcome(run) == outcome(whole), kill_at


def _killing_scan(ledger: LargeLedger, kill_at: int) -> Callable[[tuple[str, str] | None], Iterator[Item]]:
    calls = Calls(kill_at)

    def scan(after: tuple[str, str] | None) -> Iterator[Item]:
        for item in ledger.table.scan(after, prefix="CASE#"):
            calls()
            yield item

    return scan


def test_in_many_sittings_the_outcome_is_the_same(damaged: LargeLedger, tmp_path: Path) -> None:
    whole, _ = damaged.reconciled(tmp_path / "whole")
    looked_up: list[str] = []
    damaged.table.before_read = looked_up.append
    folder = tmp_path / "sittings"
    folder.mkdir()
    sittings = 0
    while not (run := damaged.run(folder, is_time_up=_second_time())).work():
        sittings += 1
    assert sittings > 10
    assert outcome(run) == outcome(whole)
    searched = [name for name in looked_up if name.startswith(("inv_", "cre_"))]
    assert len(searched) <= 5, "what was seen in an earlier sitting is known"


def test_an_entity_that_is_learned_of_late_is_listed_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is up between two pages of an entity that the API's list of entities did not show."""
    ledger = LargeLedger(3 * PAGE)
    monkeypatch.setattr(Listing, "_learn_entities", lambda _: None)
    ledger.seconds += LATER_S
    while ledger.lists < 2:
        assert not ledger.run(tmp_path, is_time_up=_second_time()).work()
    run = ledger.run(tmp_path)
    assert run.work()
    assert [*run.found(), *run.found(counts=False)] == []
    assert run.result().agrees
    assert ledger.looks == 0


def _second_time() -> Callable[[], bool]:
    answers = iter([False, False])
    return lambda: next(answers, True)


def test_one_business_customer_alone(tmp_path: Path) -> None:
    ledger = LargeLedger(20)
    ledger.register("bc_2", accounts=[{"provider": "stripe", "account": "acct_2"}])
    ledger.document(3).update(number="2026-X")
    run = ledger.run(tmp_path, scope=Scope(business_customer="bc_2"))
    run.work()
    assert [(one.business_customer, one.documents) for one in run.result().customers] == [("bc_2", 0)]
    assert list(run.found()) == []


def test_a_workbook_is_one_file(tmp_path: Path) -> None:
    ledger = LargeLedger(20)
    workbook = Workbook(tmp_path / "workbook.sqlite3")
    run = Run(
        ledger=Ledger(ledger.table),
        scan=lambda after: ledger.table.scan(after, prefix="CASE#"),
        api=ledger.api,
        workbook=workbook,
        now=lambda: ledger.seconds,
        pace=lambda: None,
        is_time_up=_second_time(),
    )
    assert not run.work()
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "workbook.sqlite3").write_bytes(workbook.path.read_bytes())
    moved = ledger.run(tmp_path / "moved")
    assert moved.work()
    assert moved.result().agrees
