"""`quittance reconcile --report`: what the command compared is what the report says."""

from __future__ import annotations

import csv
import json
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from quittance.ledger import CASE_PREFIX
from tests.unit.stories import refund, succeeded
from tests.use_cases.world import World
from tools.cli import app
from tools.commands import reconcile as command

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    world.register()
    world.take(succeeded(12_300), refund("re_1", 2_300))
    view = SimpleNamespace(table=world.table, scan=lambda after: world.table.scan(after, prefix=CASE_PREFIX))
    target = SimpleNamespace(ledger=view, space_invoices=world.api, requests_a_minute=0)
    monkeypatch.setattr(command, "chosen", lambda _: nullcontext(target))
    return world


def reported(folder: Path, *, exit_code: int) -> tuple[str, dict[str, Any]]:
    result = CliRunner().invoke(app, ["reconcile", "--report", str(folder)])
    assert result.exit_code == exit_code, result.output
    assert f"report: {folder / 'index.html'}" in result.output
    return (folder / "index.html").read_text(encoding="utf-8"), json.loads((folder / "reconciliation.json").read_bytes())


def test_a_ledger_that_agrees(world: World, tmp_path: Path) -> None:  # noqa: ARG001 - the command reads it
    page, record = reported(tmp_path / "report", exit_code=0)
    assert "1 payment, 2 documents, nothing to look at; residual 0.00\N{NO-BREAK SPACE}EUR" in page
    assert record["found"] == []
    ((totals,),) = [customer["totals"] for customer in record["customers"]]
    assert (totals["invoiced"], totals["credited"], totals["residual"]) == (12_300, 2_300, 0)


def test_a_document_that_somebody_made_by_hand(world: World, tmp_path: Path) -> None:
    (entity,) = world.api.pages("entities", entity_id=None)
    extra = {"items": [{"name": "Extra", "quantity": 1, "gross_price": 5}], "currency_code": "EUR"}
    world.api.create("/invoices", json.dumps(extra).encode(), entity_id=entity["id"], idempotency_key="by-hand")
    page, record = reported(tmp_path / "report", exit_code=1)
    assert "1 thing to look at; residual 5.00" in page
    ((code, amount),) = [(one["code"], one["amount"]) for one in record["found"]]
    assert (code, amount) == ("made_by_hand", {"value": 500, "currency": "EUR"})
    with (tmp_path / "report" / "findings.csv").open(encoding="utf-8-sig", newline="") as sheet:
        (row,) = csv.DictReader(sheet)
    assert (row["code"], row["amount"], row["currency"]) == ("made_by_hand", "5.00", "EUR")
