"""`quittance backfill` and `quittance replay` as a person uses them, over emulated DynamoDB and SQS."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from quittance.ledger import Ledger
from quittance.registration import Registrar
from quittance.runtime.letters import QueuePair
from quittance.runtime.queues import FUNCTION_OF, Message, Queues
from quittance.runtime.table import DynamoTable
from quittance.space_invoices import SpaceInvoices
from tests.fakes.emulated_table import create_table
from tests.history.stack import Stack, indexed, written
from tests.unit.stories import refund, succeeded
from tools import target as targets
from tools.backfill.overlay import ReadOnlyTransport
from tools.cli import app
from tools.ledger_view import LedgerView
from tools.sandbox.transport import mounted

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLES = Path(__file__).parents[2] / "events" / "history"
TABLE = "quittance-test-ledger"
WILLOW = ("--account", "acct_1WillowStudio")


class EmulatedStack(Stack):
    """The same stack, whose table and queues are AWS's. Its functions work while somebody sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.sqs = boto3.client("sqs")
        self.table = DynamoTable(TABLE, boto3.client("dynamodb"))  # type: ignore[assignment]
        names = sorted({*FUNCTION_OF.values(), "payment_revisited"})
        self.urls = {name: self._made(name) for name in names}
        self.queue = Queues(self.sqs, self.urls)
        self.registrar = Registrar(
            ledger=Ledger(self.table), api=self.api, stage="test", now=lambda: self.seconds, revisit_later=self._revisit_later
        )

    def _made(self, name: str) -> str:
        attributes: Any = {"FifoQueue": "true", "VisibilityTimeout": "0"}
        return str(self.sqs.create_queue(QueueName=f"{name}.fifo", Attributes=attributes)["QueueUrl"])

    def send(self, messages: Any) -> None:
        sent = list(messages)
        self.sent += sent
        self.queue.send(sent)

    def work(self, most: int = 1_000_000) -> None:  # noqa: ARG002 - all there are
        self.drain_revisits()
        for name, url in self.urls.items():
            while received := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
                for message in received:
                    self.sent.append(Message(name, "", message["Body"]))
                    self._use(json.loads(message["Body"]))
                    self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatedStack]:
    with mock_aws():
        client = boto3.client("dynamodb")
        create_table(client, TABLE)
        stack = EmulatedStack()
        target = targets.Target("test", boto3.Session())
        parameters = {"App": "quittance", "Stage": "test", "InvoicingEnvironment": "sandbox", "RequestsPerMinute": "0"}
        target.__dict__["_description"] = {
            "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
        }
        target.__dict__["ledger"] = LedgerView(TABLE, client)
        target.__dict__["rehearsed_space_invoices"] = SpaceInvoices(
            "http://sandbox", lambda: "sk_sandbox_test", transport=ReadOnlyTransport(mounted(stack.sandbox))
        )
        target.__dict__["queues"] = {name: QueuePair(name, url, "unused") for name, url in stack.urls.items()}
        for command in ("backfill", "replay"):
            monkeypatch.setattr(f"tools.commands.{command}.chosen", lambda _: target)
        monkeypatch.setattr("tools.commands.backfill.time.sleep", stack.sleep)
        yield stack


def run(*arguments: str | Path, exit_code: int = 0) -> str:
    if (arguments[0] == "backfill" and "--apply" in arguments) or "replay" in arguments:
        arguments = (*arguments, "--per-minute", "60000")
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == exit_code, result.output
    return result.output


def summary(*arguments: str | Path, exit_code: int = 0) -> dict[str, Any]:
    line = next(line for line in run(*arguments, "--json", exit_code=exit_code).splitlines() if '"summary"' in line)
    told: dict[str, Any] = json.loads(line)["summary"]
    return told


def test_a_history_is_looked_at_and_then_brought_in(stack: EmulatedStack) -> None:
    nothing = {"documents": 0, "net": "0.00", "tax": "0.00", "total": "0.00", "first_date": None, "last_date": None}
    before = summary("backfill", SAMPLES / "platform.jsonl", "--dry-run")
    assert before["payments"] == {"would-create": 3}
    assert before["totals"] == [
        {
            "business_customer": "bc_willow_studio",
            "currency": "EUR",
            "tax_rate": rate,
            "invoices": {"documents": count, "net": net, "tax": tax, "total": total} | days,
            "credit_notes": nothing,
        }
        for rate, count, net, tax, total, days in (
            ("19", 3, "165.55", "31.45", "197.00", {"first_date": "2026-02-03", "last_date": "2026-04-01"}),
            ("7", 1, "32.71", "2.29", "35.00", {"first_date": "2026-02-03", "last_date": "2026-02-03"}),
        )
    ]
    assert not stack.sent
    assert "issued 3 invoices and 0 credit notes" in run("backfill", SAMPLES / "platform.jsonl", "--apply")
    assert sorted(str(one["total_with_tax"]) for one in stack.held("invoices")) == ["154", "29", "49"]
    sent = len(stack.sent)
    again = summary("backfill", SAMPLES / "platform.jsonl", "--apply")
    assert (again["payments"], again["new_facts"], len(stack.sent)) == ({"already-right": 3}, 0, sent)
    assert not list(SAMPLES.glob("*.quittance-progress"))


def test_adyens_settings_count_for_its_exports(stack: EmulatedStack) -> None:  # noqa: ARG001 - is there
    boto3.client("ssm").put_parameter(
        Name="/quittance/test/connections/adyen/default/settings", Value='{"capture_mode": "manual"}', Type="String"
    )
    lines = run("backfill", SAMPLES / "adyen-accounting.csv", "--dry-run", "--json").splitlines()
    facts = [fact for line in lines if line.startswith("{") for fact in json.loads(line).get("new_facts", ())]
    assert "payment.captured#WIMOD10000000001" in facts


def test_an_export_that_names_no_account_is_told_whose_it_is(stack: EmulatedStack) -> None:  # noqa: ARG001 - is there
    run("backfill", SAMPLES / "platform.jsonl", "--apply")
    assert summary("backfill", SAMPLES / "stripe-payments.csv", "--dry-run")["payments"] == {"waiting": 3}
    assert summary("backfill", SAMPLES / "stripe-payments.csv", "--dry-run", *WILLOW)["payments"] == {
        "would-create": 2,
        "would-record": 1,
    }
    output = run("backfill", SAMPLES / "stripe-payments.csv", "--dry-run", *WILLOW)
    assert "175.63 EUR" not in output
    assert "209.00 EUR" in output


def test_one_of_two_must_be_chosen(stack: EmulatedStack) -> None:  # noqa: ARG001 - is there
    assert "choose one" in run("backfill", SAMPLES / "platform.jsonl", exit_code=2)
    assert "choose one" in run("backfill", SAMPLES / "platform.jsonl", "--dry-run", "--apply", exit_code=2)
    assert "there is no format fax" in run("backfill", SAMPLES / "platform.jsonl", "--dry-run", "--format", "fax", exit_code=2)


def test_nothing_is_done_with_a_file_that_has_a_bad_line_unless_asked_for(stack: EmulatedStack, tmp_path: Path) -> None:
    stack.register()
    path = written(tmp_path / "a.jsonl", [succeeded()])
    path.write_text(path.read_text(encoding="utf-8") + "{broken\n", encoding="utf-8")
    for mode in ("--dry-run", "--apply"):
        output = run("backfill", path, mode, exit_code=1)
        assert "line 2: not one JSON object" in output
        assert "nothing was done" in output
    assert not stack.sent
    assert "line 2" in run("backfill", path, "--apply", "--skip-bad", exit_code=1)
    assert len(stack.held("invoices")) == 1


def test_a_conflict_fails_the_command_and_is_named(stack: EmulatedStack, tmp_path: Path) -> None:
    stack.register()
    stack.take(succeeded())
    path = written(tmp_path / "a.jsonl", [succeeded(9900)])
    output = run("backfill", path, "--dry-run", exit_code=1)
    assert "conflict  payment pay_1 (stripe, acct_1)  line 1: payment.succeeded#pay_1: amount" in output


def test_what_can_be_read_only_once_is_no_file(stack: EmulatedStack) -> None:  # noqa: ARG001 - is there
    """Such as `<(zcat ...)`."""
    end, other = os.pipe()
    os.close(other)
    assert "can be read more than once" in run("backfill", f"/dev/fd/{end}", "--dry-run", exit_code=1)
    os.close(end)


def test_progress_that_cannot_be_kept_says_so(stack: EmulatedStack, tmp_path: Path) -> None:  # noqa: ARG001 - is there
    path = written(tmp_path / "a.jsonl", [succeeded()])
    (tmp_path / "a.jsonl.quittance-progress.new").mkdir()
    assert "a.jsonl.quittance-progress cannot be written" in run("backfill", path, "--apply", exit_code=1)


def test_an_archive_feeds_another_stack(stack: EmulatedStack, tmp_path: Path) -> None:
    run("backfill", SAMPLES / "platform.jsonl", "--apply")
    archive = tmp_path / "archive.jsonl.gz"
    assert f"{archive}: 5 facts" in run("replay", "--all", "--to", archive)
    assert archive.stat().st_mode & 0o77 == 0, "it says who paid"
    other = Stack()
    index = indexed(archive)
    assert index.reports == 5
    other.apply(index)
    assert other.rehearsed(index).payments == {"already-right": 3}
    assert stack.held("invoices")


def test_a_replay_of_what_is_right_changes_nothing(stack: EmulatedStack) -> None:
    stack.register()
    stack.take(succeeded(), refund("re_1", 100))
    for chosen in (["pay_1"], ["re_1"], ["--all"], ["--business-customer", "bc_1"], ["--since", "2026-11-20"]):
        assert "nothing would change: 1 payment looked at" in run("replay", *chosen, "--dry-run")
        assert "nothing changed: 1 payment looked at, all as it should be" in run("replay", *chosen)
    assert not stack.sent
    assert "nothing changed: 0 payments" in run("replay", "--since", "2026-11-21")
    assert "the ledger knows no payment pay_9" in run("replay", "pay_9", exit_code=1)
    for one_too_many in (["--all"], ["--business-customer", "bc_1"], ["--since", "2026-11-20"], []):
        ids = ["pay_1"] if one_too_many else []
        assert "say which payments" in run("replay", *ids, *one_too_many, exit_code=2)
    assert "is no day" in run("replay", "--since", "yesterday", exit_code=2)


def test_a_replay_is_looked_at_before_it_does_anything(stack: EmulatedStack, tmp_path: Path) -> None:
    """A payment that waited for its business customer, whose revisit was lost; and an archive."""
    stack.take(succeeded())
    assert "as it should be" not in run("replay", "pay_1"), "it waits still"
    stack.register()
    stack.revisits.clear()
    archive = written(tmp_path / "archive.jsonl", [succeeded(500, payment_id="pay_2")])
    for chosen, documents in ((["pay_1"], 1), ([archive], 2)):
        before = len(stack.sent)
        told = run("replay", *chosen, "--dry-run")
        assert "1 invoice " in told
        assert "to be made: 1 invoice; facts" in told
        assert len(stack.sent) == before
        assert summary("replay", *chosen, "--dry-run")["documents"] == {"invoice": 1}
        run("replay", *chosen)
        assert len(stack.held("invoices")) == documents
    assert "leave out --dry-run" in run("replay", "--all", "--dry-run", "--to", tmp_path / "b", exit_code=2)
