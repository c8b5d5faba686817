"""`quittance payouts` over a ledger in memory."""

from __future__ import annotations

import json
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from quittance.explanation import as_text
from quittance.ledger import Ledger, case_from_partition, partitions
from quittance.plan import Plan
from tests.unit.payout_world import line, other
from tests.unit.stories import fact, refund, succeeded
from tests.use_cases.test_payouts import PayoutWorld
from tools import cli
from tools.commands import payouts as command
from tools.explaining import Explainer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quittance.ledger import CaseFile
    from quittance.storage import Item


class View:
    """The part of a `LedgerView` that is used."""

    def __init__(self, world: PayoutWorld) -> None:
        self.table = world.table
        self.searched: list[str] = []

    def cases(self) -> Iterator[CaseFile]:
        return filter(None, map(case_from_partition, partitions(self.table.scan(prefix="CASE#"))))

    def case(self, provider: str, account: str, case_id: str) -> CaseFile:
        return Ledger(self.table).open(provider, account, (case_id,), join=False)

    def search(self, some_id: str) -> list[Item]:
        self.searched.append(some_id)
        return [item for item in self.table.scan() if some_id in (item["pk"] + item["sk"])]


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> View:
    world = PayoutWorld("bc_1", [{"provider": "stripe", "account": "acct_1"}])
    listed: dict[str, Any] = {
        "payout_lines": (line("pay_1", 10000, 210),),
        "payout_adjustments": (other("refund", "re_1", -700, "pay_1"),),
    }
    world.report(
        [
            succeeded(10000),
            refund("re_1", 700),
            fact("payout.paid", "po_1", 9090, payment_id=None, minute=50, **listed),
            fact("payout.paid", "po_2", 500, payment_id=None, minute=55, payout_lines=(line("pay_9", 500),)),
            fact("payout.failed", "po_3", 800, payment_id=None, minute=40),
        ]
    )
    found = View(world)

    @contextmanager
    def chosen(_: str | None) -> Iterator[Any]:
        yield SimpleNamespace(ledger=found)

    monkeypatch.setattr(command, "chosen", chosen)
    return found


def said(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli.app, ["payouts", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_payouts_are_listed_with_what_is_left_of_each(view: View) -> None:
    lines = said().splitlines()
    assert [text.split()[1] for text in lines[1:4]] == ["po_3", "po_1", "po_2"]
    assert "(failed)" in lines[1]
    assert lines[2].split()[-8:] == ["90.90", "EUR", "100.00", "-2.10", "-7.00", "0.00", "0.00", "0.00"]
    assert lines[3].split()[-1] == "5.00"
    assert lines[-1] == "payouts: 3, not explained to the last line: 1"
    assert view.searched == []


def test_only_some_payouts_are_asked_for(view: View) -> None:  # noqa: ARG001 - the ledger
    assert [json.loads(text)["payout_id"] for text in said("--unexplained", "--json").splitlines()] == ["po_2"]
    assert said("--provider", "adyen") == "no payouts\n"


def test_one_payout_is_shown_line_by_line(view: View) -> None:
    shown = said("po_1")
    assert "payout po_1 (stripe acct_1) of business customer bc_1, paid" in shown
    payment, returned = (text for text in shown.splitlines() if text.startswith(("payments  ", "refunds  ")))
    assert payment.split()[:5] == ["payments", "payment", "pay_1", "100.00", "2.10"]
    assert payment.rstrip().endswith("100.00 EUR")
    assert returned.split()[:5] == ["refunds", "refund", "re_1", "-7.00", "pay_1"]
    assert shown.splitlines()[-1].endswith("residual 0.00 EUR")
    assert view.searched == ["po_1"]


def test_what_is_not_explained_says_why(view: View) -> None:
    assert "payment unknown" in said("po_2", "--provider", "stripe", "--account", "acct_1")
    assert view.searched == []
    told = json.loads(said("po_2", "--json"))
    assert (told["residual"], told["lines"][0]["reason"]) == (500, "payment_unknown")


def test_what_is_no_payout_is_told_in_one_line(view: View) -> None:  # noqa: ARG001 - the ledger
    for name in ("po_9", "pay_1"):
        assert said(name, code=1).strip() == f"quittance: the ledger knows no payout {name}"


def test_an_explanation_of_a_payout_ties_it_out(view: View) -> None:
    world: Any = view
    world.planned = lambda case, customer: Plan()  # noqa: ARG005 - as a `LedgerView` has it
    world.customer_of = lambda case: None  # noqa: ARG005
    explained = Explainer(world).payment(view.case("stripe", "acct_1", "po_1"))
    assert (explained["payout"]["residual"], len(explained["payout"]["lines"])) == (0, 2)
    assert "residual 0.00 EUR" in as_text(explained)
    assert "nothing arrived" in as_text(Explainer(world).payment(view.case("stripe", "acct_1", "po_3")))
    assert "payout" not in Explainer(world).payment(view.case("stripe", "acct_1", "pay_1"))
