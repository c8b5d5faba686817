"""The evidence journal in the real stack: entered from the table's stream, anchored, exported, verified, and a payer erased."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from quittance.journal.chains import Journal
from quittance.runtime.journal import new_secret
from quittance.runtime.table import DynamoTable
from tests.end_to_end.conftest import CUSTOMER, ON_THE_STACK, PATIENCE_S, PAYER
from tools import verify_evidence
from tools.cli import app
from tools.evidence.keys import keys_of
from tools.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.conftest import Stack

pytestmark = ON_THE_STACK
CHAIN = f"customer:{CUSTOMER}"


def journal_of(stack: Stack) -> Journal:
    table = DynamoTable(stack.target.output("JournalTableName"), stack.target.client("dynamodb"))
    return Journal(table, keys=lambda: keys_of(stack.target), now=lambda: "", new_secret=new_secret)


def kinds_of(stack: Stack, payment_id: str) -> list[str]:
    journal = journal_of(stack)
    entries = journal.entries(CHAIN, 1, journal.head(CHAIN).sequence)
    return [str(one.header["kind"]) for one in entries if one.header["item"] and one.header["item"][0].endswith(f"#{payment_id}")]


def anchor(stack: Stack) -> dict[str, Any]:
    name = f"{stack.local.stack_name}-EvidenceAnchored"
    answer = stack.target.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    assert "FunctionError" not in answer
    return dict(json.loads(answer["Payload"].read()))


@pytest.fixture
def command(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr("tools.commands.evidence.chosen", lambda _: stack.target)
    monkeypatch.setattr("tools.target.Target.__exit__", lambda *_: None)  # the stack's other tests need it open
    return lambda *arguments: CliRunner().invoke(app, ["evidence", *map(str, arguments)])


def deviations(command: Callable[..., Any]) -> set[str]:
    return set(command("check", "--json").output.splitlines())


def test_a_payment_is_entered_anchored_exported_and_verified(
    stack: Stack, new_id: Callable[[str], str], command: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Other tests kill the emulator, and its streams do not outlive it. AWS keeps them for a day.
    command("check", "--append")
    lost = deviations(command)
    assert all("gone from the ledger" in line for line in lost), lost
    payment_id = new_id("pay")
    assert stack.payment(payment_id).is_success
    stack.wait_for_documents(payment_id, f"invoice:payment:{payment_id}")
    wait_for("the journal", lambda: "document.issued" in kinds_of(stack, payment_id), seconds=PATIENCE_S)
    assert kinds_of(stack, payment_id).count("fact.recorded") == 1
    assert anchor(stack)["anchored"] >= 1

    today = datetime.now(UTC).date().isoformat()
    archive, keys = tmp_path / "evidence.zip", tmp_path / "keys"
    done = command("export", "--from", today, "--to", today, "-o", archive)
    assert done.exit_code == 0, done.output
    assert command("keys", "-o", keys).exit_code == 0
    assert verify_evidence.main([str(archive), "--key-file", str(keys)]) == 0, capsys.readouterr().out
    assert deviations(command) == lost

    who = ("--provider", "platform", "--account", CUSTOMER, "--by", "tests", "--reason", "request 1")
    erased = command("erase", payment_id, *who)
    assert erased.exit_code == 0, erased.output
    assert PAYER not in json.dumps([entry.record.document.to_json() for entry in stack.case(payment_id).documents.values()])
    assert command("export", "--from", today, "--to", today, "-o", archive).exit_code == 0
    assert verify_evidence.main([str(archive), "--key-file", str(keys)]) == 0, capsys.readouterr().out
    assert "erased by tests" in capsys.readouterr().out
