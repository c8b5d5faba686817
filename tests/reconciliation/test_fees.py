"""The platform's own documents, and its fees against what payouts kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quittance.facts import Payer
from quittance.fee_totals import fee_totals
from quittance.ledger import Ledger
from quittance.reconciliation.run import Run, Scope
from quittance.reconciliation.workbook import Workbook
from quittance.registration import read_customer
from tests.use_cases.fee_world import FeeWorld, charged, disputed, given_back, payout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IN_DECEMBER = "2026-12-10T12:00:00+00:00"


def closed_month() -> FeeWorld:
    world = FeeWorld()
    world.at("2026-11-28T12:00:00+00:00")
    world.take(charged("pay_1"), charged("pay_2", 90), charged("pay_3"), *payout(pay_1=(10000, 250), pay_2=(10000, 90)))
    world.take(given_back("pay_2", 40), disputed("lost", 1500, "2026-11-24T12:00:00Z"))
    world.take(*payout("po_2", "2026-11-25T12:00:00Z", pay_1=(-10000, 1500)))
    world.at(IN_DECEMBER)
    world.close_due()
    world.take(charged("pay_4", at="2026-12-01T12:00:00Z"))
    return world


def reconciled(world: FeeWorld, folder: Path, business_customer: str | None = None) -> tuple[Run, Workbook]:
    workbook = Workbook(folder / "workbook.sqlite3")
    run = sit(world, workbook, scope=Scope(business_customer=business_customer, keeps=False))
    assert run.work()
    return run, workbook


def sit(world: FeeWorld, workbook: Workbook, **options: Any) -> Run:
    return Run(
        ledger=Ledger(world.table),
        scan=lambda after: world.table.scan(after, prefix="CASE#"),
        api=world.api,
        workbook=workbook,
        now=lambda: world.seconds,
        pace=lambda: None,
        **options,
    )


def test_fees_come_to_the_same_in_one_pass(tmp_path: Path) -> None:
    world = closed_month()
    _, workbook = reconciled(world, tmp_path)
    customer = read_customer(world.table, "bc_1")
    assert customer
    expected = fee_totals(customer, [case for case in world.cases() if case.account in {"acct_1", "bc_1"}])
    assert workbook.fees("bc_1") == expected
    assert [(one.month, bool(one.residual)) for one in expected] == [("2026-11", False), ("2026-12", True)]


def test_fees_come_to_the_same_in_many_sittings(tmp_path: Path) -> None:
    world = closed_month()
    (tmp_path / "whole").mkdir()
    _, whole = reconciled(world, tmp_path / "whole")
    workbook = Workbook(tmp_path / "workbook.sqlite3")
    sittings = 1
    while not sit(world, workbook, is_time_up=time_for_one_piece(workbook), scope=Scope(keeps=False)).work():
        sittings += 1
        assert sittings < 100
    assert sittings > 10
    assert workbook.fees("bc_1") == whole.fees("bc_1") != []


def time_for_one_piece(workbook: Workbook) -> Callable[[], bool]:
    """A run asks before each step, and before a page of the listing, but after anything else."""
    answers = iter([False] * (2 if workbook.state("step", "listing") == "listing" else 1))
    return lambda: next(answers, True)


def test_documents_of_the_platform_are_compared_under_the_platform(tmp_path: Path) -> None:
    world = closed_month()
    run, _ = reconciled(world, tmp_path)
    documents = {one.business_customer: one.documents for one in run.result().customers}
    held = {name: len(world.issued_by_platform(name)) for name in ("invoices", "credit-notes")}
    assert documents["platform"] == sum(held.values()) > 0
    assert [one.code for one in run.found() if one.code != "payout_residual"] == []
    assert all(one.agrees for one in run.result().customers if one.business_customer == "platform")


def test_a_fee_invoice_that_was_edited_is_the_platforms(tmp_path: Path) -> None:
    world = closed_month()
    books = world.sandbox._worlds["sandbox"].books.values()
    [book] = [book for book in books if book.entity["metadata"]["business_customer"] == "platform"]
    next(iter(book.invoices.values()))["number"] = "2026-X"
    for scope in (None, "platform"):
        folder = tmp_path / str(scope)
        folder.mkdir()
        run, _ = reconciled(world, folder, scope)
        found = [one for one in run.found() if one.code == "number_differs"]
        assert [(one.business_customer, one.provider) for one in found] == [("platform", "fees")]
    folder = tmp_path / "other"
    folder.mkdir()
    run, _ = reconciled(world, folder, "bc_1")
    assert [one for one in run.found() if one.code == "number_differs"] == []


def test_the_workbook_holds_nobody(tmp_path: Path) -> None:
    world = FeeWorld()
    payer = Payer(name="Vera Vogel", email="vera@example.com", country="DE", tax_number="DE123456788")
    world.take(replace(charged("pay_1"), payer=payer, description="a gift for Vera"))
    reconciled(world, tmp_path)
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"pay_1" in content
    assert not [secret for secret in (b"Vera", b"vera", b"DE123456788") if secret in content]
