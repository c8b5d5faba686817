"""The command line: what it sends, says and exits with."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import stripe
from botocore.exceptions import NoCredentialsError
from moto import mock_aws
from standardwebhooks import Webhook
from typer.testing import CliRunner

from quittance.errors import InDoubt
from quittance.facts import PayoutLine
from quittance.operations.pages import opaque
from quittance.runtime.letters import QueuePair, pairs_of
from quittance.runtime.redrive import DeadLetters, Pace, Wanted
from quittance.settlements import settlements
from quittance.storage import Keys, Put
from tests.fakes.emulated_table import create_table
from tests.unit.stories import dispute, fact, refund, succeeded
from tests.use_cases.world import World
from tools import target as targets
from tools.cli import app
from tools.ledger_view import LedgerView

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS = Path(__file__).parents[2] / "events"
PLATFORM_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STRIPE_SECRET = "whsec_of_stripe"
TABLE = "quittance-test"


def run(*arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == exit_code, result.output
    return result.output


# --- without a stack -----------------------------------------------------------------------------------------------------


def test_every_command_has_help() -> None:
    groups = [(group.name, group.typer_instance) for group in app.registered_groups]
    for name, one in [("", app), *groups]:
        for command in one.registered_commands if one else ():
            assert command.callback
            assert command.callback.__doc__
            assert "Usage" in run(*filter(None, (name, command.callback.__name__.replace("_", "-"))), "--help")


def test_without_a_stack_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    output = run("findings", exit_code=1)
    assert output.startswith("quittance: no local stack is running")
    assert len(output.splitlines()) == 1


def test_translate_prints_one_line_a_file() -> None:
    files = [str(EVENTS / "stripe" / name) for name in ("payment_intent.succeeded.json", "customer.created.json")]
    first, second = (json.loads(line) for line in run("translate", "stripe", *files, "--json").splitlines())
    assert first["file"] == files[0]
    assert [(fact["type"], fact["amount"]) for fact in first["facts"]] == [
        ("payment.succeeded", {"value": 4990, "currency": "EUR"})
    ]
    assert (second["facts"], second["ignored"], second["error"]) == ([], "no_new_fact", None)


def test_translate_fails_for_what_cannot_be_understood(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    [line] = run("translate", "stripe", str(tmp_path / "broken.json"), "--json", exit_code=1).splitlines()
    assert json.loads(line)["error"]
    run("translate", "nobody", str(tmp_path / "broken.json"), exit_code=2)


# --- sending -------------------------------------------------------------------------------------------------------------


class Receiver(BaseHTTPRequestHandler):
    """Verifies what arrives with the official libraries, as a provider's customer would."""

    status = 200
    received: list[tuple[str, dict[str, Any]]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if "stripe" in self.path:
            stripe.Webhook.construct_event(body, self.headers["stripe-signature"], STRIPE_SECRET)
        else:
            Webhook(PLATFORM_SECRET).verify(body, dict(self.headers))
        self.received.append((self.path, json.loads(body)))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"answered")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Receiver]]:
    handler = type("Handler", (Receiver,), {"received": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        webhooks = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(targets.Target, "secret", lambda _self, name, _: {"stripe": STRIPE_SECRET}.get(name, PLATFORM_SECRET))
        monkeypatch.setattr("tools.commands.send.chosen", lambda _: targets.local_target("test", "http://unused", webhooks))
        yield handler
        server.shutdown()


def test_send_signs_and_posts_as_it_is(receiver: type[Receiver]) -> None:
    files = [EVENTS / "stripe" / "refund.updated.json", EVENTS / "platform" / "payment.succeeded.json"]
    output = run("send", *map(str, files), "--connection", "shop")
    assert [line.rsplit(": ", 1)[1] for line in output.splitlines()] == ["200 answered"] * 2
    assert receiver.received == [
        ("/webhooks/stripe/shop", json.loads(files[0].read_bytes())),
        ("/webhooks/platform/shop", json.loads(files[1].read_bytes())),
    ]


def test_send_with_fresh_ids_keeps_files_together(receiver: type[Receiver]) -> None:
    files = [EVENTS / "platform" / name for name in ("payment.succeeded.json", "refund.succeeded.partial.json")]
    for _ in range(2):
        run("send", "--fresh-ids", *map(str, files))
    payments = [event["data"]["payment_id"] for _, event in receiver.received]
    assert payments[0] == payments[1] != payments[2] == payments[3]
    assert {event["data"]["business_customer"] for _, event in receiver.received} == {"bc_harbour_books"}


def test_send_fails_when_it_is_refused(receiver: type[Receiver]) -> None:
    receiver.status = 401
    assert ": 401 " in run("send", str(EVENTS / "stripe" / "refund.updated.json"), exit_code=1)


def test_send_needs_a_provider_and_an_event(receiver: type[Receiver], tmp_path: Path) -> None:
    (tmp_path / "event.json").write_text("not json")
    run("send", str(tmp_path / "event.json"), exit_code=2)
    run("send", str(tmp_path / "event.json"), "--provider", "platform", exit_code=2)
    run("send", str(tmp_path / "missing.json"), exit_code=2)
    assert receiver.received == []


# --- reading -------------------------------------------------------------------------------------------------------------


class ReadWorld(World):
    """A world that the command line can act on."""

    target: targets.Target


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadWorld]:
    """The ledger of a world in an emulated table, once `copied`; the command line acts on both."""
    with mock_aws():
        client = boto3.client("dynamodb")
        create_table(client, TABLE)
        world = ReadWorld()
        world.register()
        world.target = target = targets.Target("test", boto3.Session())
        target.__dict__["ledger"] = LedgerView(TABLE, client)
        target.__dict__["space_invoices"] = world.api
        target.__dict__["requests_a_minute"] = 0
        for command in ("acknowledge", "explain", "findings", "policy", "reconcile", "redrive", "pdf"):
            monkeypatch.setattr(f"tools.commands.{command}.chosen", lambda _: target)
        yield world


def copied(world: World) -> World:
    table = LedgerView(TABLE, boto3.client("dynamodb")).table
    for item in world.table.items():
        table.commit([Put(item)])
    return world


def explain(some_id: str, *options: str) -> dict[str, Any]:
    [line] = run("explain", some_id, "--json", *options).splitlines()
    explanation: dict[str, Any] = json.loads(line)
    return explanation


def test_a_payment_is_explained_by_whatever_names_it(world: World) -> None:
    world.take(succeeded(also_known_as=("ch_1",)), refund("re_1", 2500), dispute("opened"))
    copied(world)
    by_payment = explain("pay_1")
    invoice = by_payment["documents"][0]
    assert invoice["state"] == "issued"
    for name in ("ch_1", "re_1", "dp_1", "evt_refund.succeeded#re_1", invoice["id"], invoice["number"]):
        assert explain(name) == by_payment
    assert explain("ch_1", "--provider", "stripe", "--account", "acct_1") == by_payment
    assert "because payment succeeded: invoice" in run("explain", "pay_1")


def test_a_part_of_an_id_names_nothing(world: World) -> None:
    world.take(succeeded())
    copied(world)
    assert "knows no pay" in run("explain", "pay", exit_code=1)
    assert "knows no other" in run("explain", "other", "--provider", "stripe", "--account", "acct_1", exit_code=1)
    run("explain", "pay_1", "--provider", "stripe", exit_code=2)


def test_every_event_of_a_payment_leads_to_it(world: World) -> None:
    for event_id in ("evt_1", "evt_2", "evt_3"):
        world.converger().take(succeeded(9000 if event_id == "evt_3" else 10000), event_id)
    copied(world)
    by_payment = explain("pay_1")
    assert explain("evt_1") == explain("evt_2") == explain("evt_3") == by_payment
    assert [event["outcome"] for event in by_payment["facts"][0]["events"]] == ["new", "known", "conflict"]


def test_a_payout_is_explained_by_its_lines(world: World, tmp_path: Path) -> None:
    line = PayoutLine(payment_id="pay_1", gross=10000, fee=210, net=9790)
    paid_out = fact("payout.paid", "po_1", 9790, payment_id=None, payout_lines=(line,), minute=30)
    world.take(succeeded(), paid_out)
    (settled,) = settlements(paid_out)
    world.converger().take(settled, "evt_payout.paid#po_1")
    copied(world)
    number = explain("pay_1")["documents"][0]["number"]
    output = run("explain", "po_1", "--timeline", str(tmp_path / "payout.svg"))
    assert output.startswith("payout po_1 (stripe acct_1) of business customer bc_1, paid 2026-11-20T12:30:00Z: 97.90 EUR\n")
    assert "payout paid: po_1  97.90 EUR  (event evt_payout.paid#po_1)" in output
    assert "document" not in output
    assert explain("po_1") == explain("evt_payout.paid#po_1")
    assert "residual 0.00 EUR" in output
    assert f"payment pay_1  100.00 EUR -> {number}" in output
    drawn = (tmp_path / "payout.svg").read_text(encoding="utf-8")
    assert "Payout po_1" in drawn
    assert "Documents" not in drawn


def test_a_payout_that_is_not_there_is_explained_by_what_it_holds(world: World) -> None:
    world.take(succeeded(), fact("payment.settled", "pay_1", 9790, occurrence="po_1"))
    copied(world)
    assert explain("po_1") == explain("pay_1")


def test_a_payment_is_drawn(world: World, tmp_path: Path) -> None:
    world.take(succeeded())
    copied(world)
    run("explain", "pay_1", "--timeline", str(tmp_path / "payment.svg"))
    assert "100.00 EUR" in (tmp_path / "payment.svg").read_text(encoding="utf-8")
    assert "drawn as .svg or .png" in run("explain", "pay_1", "--timeline", str(tmp_path / "payment.doc"), exit_code=2)
    assert "bc_1 names 0 payments" in run("explain", "bc_1", "--timeline", str(tmp_path / "none.svg"), exit_code=1)


def test_a_document_is_reproduced_without_the_api(world: ReadWorld, tmp_path: Path) -> None:
    world.take(succeeded(), refund("re_1", 2500))
    copied(world)
    world.target.__dict__["space_invoices"] = None
    invoice = explain("pay_1")["documents"][0]
    assert invoice["derives_again"] == {"same": True, "differs": []}
    for number, name in enumerate((invoice["id"], invoice["number"], invoice["key"])):
        run("explain", name, "--reproduce", str(tmp_path / f"{number}.pdf"))
        assert (tmp_path / f"{number}.pdf").read_bytes().startswith(b"%PDF")
    output = run("explain", "pay_1", "--reproduce", str(tmp_path / "none.pdf"), exit_code=1)
    assert "pay_1 is not the id, number or key of one document" in output
    assert not (tmp_path / "none.pdf").exists()


def test_ignored_events_and_customers_are_explained(world: World) -> None:
    copied(world)
    event = {"provider": "stripe", "event_id": "evt_9", "event_type": "x.y", "account": "acct_1"}
    details = {"reason": "unknown_event_type", "received_at": "2026-11-20T10:00:00Z"}
    item = {"pk": "EVENT#stripe#evt_9", "sk": "EVENT", "reference": "evt_9", "expires_at": 1}
    LedgerView(TABLE, boto3.client("dynamodb")).table.commit([Put(item | event | details)])
    assert explain("evt_9") == {"kind": "ignored_event"} | event | details
    assert "makes no document: unknown_event_type" in run("explain", "evt_9")
    customer = explain("bc_1")
    assert customer["entity_id"]
    assert {"provider": "stripe", "account": "acct_1"} in customer["accounts"]


def test_findings_are_listed(world: World) -> None:
    assert run("findings") == "no findings\n"
    world.take(succeeded(1234, currency="KWD"))
    copied(world)
    [line] = run("findings", "--json").splitlines()
    finding = json.loads(line)
    assert (finding["code"], finding["payment_id"], finding["account"]) == ("amount_not_representable", "pay_1", "acct_1")
    assert finding["amount"] == {"value": 1234, "currency": "KWD"}
    assert "1.234 KWD" in run("findings")


def test_reconcile_agrees_and_sees_what_is_missing(world: World) -> None:
    world.take(succeeded())
    copied(world)
    assert "1 documents, 100.00 EUR, agrees" in run("reconcile")
    [entity] = world.api.pages("entities", entity_id=None)
    by_hand = {
        "items": [{"name": "By hand", "quantity": 1, "gross_price": 5, "taxes": []}],
        "calculation_mode": "b2c_gross_discount",
    }
    world.api.create("/invoices", json.dumps(by_hand).encode(), entity_id=entity["id"], idempotency_key="by-hand")
    result = json.loads(run("reconcile", "--json", exit_code=1))
    assert [one["code"] for one in result["differences"]] == ["made_by_hand"]
    assert result["residual"] == {"EUR": "5.00"}


def test_what_reconciling_found_is_listed_until_it_is_gone(world: ReadWorld) -> None:
    world.take(succeeded())
    copied(world)
    [book] = world.sandbox._worlds["sandbox"].books.values()
    [invoice] = book.invoices.values()
    number = invoice["number"]
    invoice["number"] = "2026-X"
    assert "number_differs" in run("reconcile", exit_code=1)
    [line] = run("findings", "--json").splitlines()
    finding = json.loads(line)
    assert (finding["code"], finding["payment_id"], finding["business_customer"]) == ("number_differs", "pay_1", "bc_1")
    assert "payment pay_1 (stripe, acct_1)" in run("findings")
    invoice["number"] = number
    run("reconcile")
    assert run("findings") == "no findings\n"


REASON = "credited by hand\x1b[2J\nas agreed"


def test_a_finding_is_acknowledged_until_that_is_taken_back(world: World) -> None:
    world.take(succeeded(1234, currency="KWD"))
    copied(world)
    listed = run("findings")
    name = json.loads(run("findings", "--json"))["id"]
    assert listed.split()[-1] == name
    by = boto3.client("sts").get_caller_identity()["Arn"]
    said = run("acknowledge", name, "--reason", REASON)
    assert said == f"acknowledged by {by}: amount_not_representable  payment:pay_1  1.234 KWD\n"
    assert run("findings") == "no findings\n"
    [shown] = run("findings", "--acknowledged").splitlines()
    assert shown.startswith(listed.removesuffix(f"{name}\n"))
    assert f"acknowledged by {by} at 20" in shown
    assert ": credited by hand [2J as agreed" in shown, "nothing that moves the cursor"
    told = json.loads(run("findings", "--acknowledged", "--json"))
    assert (told["id"], told["acknowledged"]["by"], told["acknowledged"]["reason"]) == (name, by, REASON)
    explained = run("explain", "pay_1")
    assert "finding: amount_not_representable (payment:pay_1), acknowledged by arn" in explained
    assert run("acknowledge", name, "--take-back") == f"taken back by {by}\n"
    assert run("findings") == listed
    assert run("findings", "--acknowledged") == "no acknowledged findings\n"
    assert "acknowledgement_unknown" in run("acknowledge", name, "--take-back", exit_code=1)


def test_acknowledging_wants_a_finding_and_one_of_reason_and_take_back(world: World) -> None:
    copied(world)
    name = str(opaque(Keys("CASE#stripe#acct_1#pay_1", "FINDING#none#none")))
    assert "finding_unknown" in run("acknowledge", name, "--reason", "x", exit_code=1)
    assert "is none that `quittance findings` shows" in run("acknowledge", "nonsense", "--reason", "x", exit_code=2)
    assert "either --reason or --take-back" in run("acknowledge", name, exit_code=2)
    assert "either --reason or --take-back" in run("acknowledge", name, "--reason", "x", "--take-back", exit_code=2)
    assert "at most 500 characters" in run("acknowledge", name, "--reason", 501 * "x", exit_code=2)


def test_who_aws_does_not_know_is_known_by_login(world: ReadWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.take(succeeded(1234, currency="KWD"))
    copied(world)

    def nobody() -> None:
        raise NoCredentialsError

    monkeypatch.setattr(world.target.client("sts"), "get_caller_identity", nobody)
    monkeypatch.setenv("LOGNAME", "ada")
    name = json.loads(run("findings", "--json"))["id"]
    assert run("acknowledge", name, "--reason", "x").startswith("acknowledged by ada: ")


def test_what_is_acknowledged_does_not_make_books_disagree(world: ReadWorld) -> None:
    world.take(succeeded())
    copied(world)
    [book] = world.sandbox._worlds["sandbox"].books.values()
    [invoice] = book.invoices.values()
    invoice["number"] = "2026-X"
    run("reconcile", exit_code=1)
    run("acknowledge", json.loads(run("findings", "--json"))["id"], "--reason", "number of the first print")
    world.target.__dict__["queues"] = {}
    output = run("reconcile", "--repair")
    assert "1 documents, 100.00 EUR, agrees" in output
    assert "acknowledged by" in output
    assert ": number of the first print" in output
    assert "by hand" not in output, "nothing is left to be done"
    [line] = run("reconcile", "--json").splitlines()
    told = json.loads(line)
    assert (told["agrees"], told["differences"], told["standing"]) == (True, [], [])
    assert [one["acknowledged"]["reason"] for one in told["acknowledged"]] == ["number of the first print"]


def test_one_business_customer_is_reconciled_alone(world: ReadWorld) -> None:
    world.register("bc_2", accounts=[])
    world.take(succeeded())
    copied(world)
    [line] = run("reconcile", "--business-customer", "bc_2", "--json").splitlines()
    assert json.loads(line)["business_customer"] == "bc_2"


def test_only_what_may_be_approved_is(world: ReadWorld) -> None:
    copied(world)
    assert "there is no finding nonsense" in run("reconcile", "--approve", "nonsense", exit_code=2)
    assert "cannot be repaired" in run("reconcile", "--approve", "orphan", exit_code=2)


def test_a_repair_converges_what_lacks_a_document_again(world: ReadWorld) -> None:
    sqs = boto3.client("sqs")
    queue = sqs.create_queue(QueueName="payment_revisited.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    world.target.__dict__["queues"] = {"payment_revisited": QueuePair("payment_revisited", queue, "unused")}
    world.take(succeeded(payment_id="pay_2"))
    world.sandbox.faults.add_json({"kind": "status", "status": 503, "match": {"method": "POST"}})
    with pytest.raises(InDoubt):
        world.take(succeeded())
    copied(world)
    assert "document_intended" in run("reconcile", "--repair", exit_code=1)
    [message] = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(message["Body"])["revisit"] == {"provider": "stripe", "account": "acct_1", "payment_id": "pay_1"}


def test_a_document_is_rendered(world: World, tmp_path: Path) -> None:
    world.take(succeeded())
    copied(world)
    document = explain("pay_1")["documents"][0]["id"]
    run("pdf", document, "-o", str(tmp_path / "invoice.pdf"))
    assert (tmp_path / "invoice.pdf").read_bytes().startswith(b"%PDF")
    assert "knows no document inv_0" in run("pdf", "inv_0", "-o", str(tmp_path / "none.pdf"), exit_code=1)


# --- policies ------------------------------------------------------------------------------------------------------------


def test_policies_are_shown_with_the_one_in_force(world: World) -> None:
    world.register("bc_2", policy={"version": 3, "tax": {"domestic": "22"}}, accounts=[])
    copied(world)
    first, second = (json.loads(line) for line in run("policy", "show", "--json").splitlines())
    assert (first["business_customer"], first["version"], first["tax"], first["in_force"]) == ("bc_1", 1, None, True)
    assert (second["version"], second["tax"]["domestic"]) == (3, {"standard": {"percent": "22", "tax_id": ""}})
    assert "policy 3 since 2026-11-20T09:00:00Z (in force)" in run("policy", "show", "bc_2")
    assert "no business customer bc_9" in run("policy", "show", "bc_9", exit_code=1)


def test_what_a_policy_would_change_is_listed_and_changes_nothing(world: World, tmp_path: Path) -> None:
    world.take(succeeded(12200), refund("re_1", 6100))
    copied(world)
    before = world.table.items()
    file = tmp_path / "policy.json"
    file.write_text('{"tax": {"domestic": 22}}')
    (line,) = run("policy", "diff", str(file), "--since", "2026-11-20", "--json").splitlines()
    change = json.loads(line)
    assert [(one["kind"], one["net"], one["tax"]) for one in change["proposed"]] == [
        ("invoice", "100.00", "22.00"),
        ("credit_note", "-50.00", "-11.00"),
    ]
    assert change["difference"] == {"EUR": {"net": "-11.00", "tax": "11.00"}}
    assert "EUR: net -11.00 EUR, tax 11.00 EUR more than now" in run("policy", "diff", str(file), "--since", "2026-11-20")
    assert run("policy", "diff", str(file), "--since", "2026-11-21") == "nothing would differ\n"
    file.write_text('{"issue_on": "settled"}')
    assert "+ no document" in run("policy", "diff", str(file), "--since", "2026-11-20")
    assert world.table.items() == before


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        ('{"issue_on": "later"}', "data.policy.issue_on must be one of ['authorized', 'captured', 'settled']"),
        ('{"prices": "exclusive"}', "prices exclusive needs tax"),
        ('{"issue_on":', "is no JSON"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_in_one_line(world: World, tmp_path: Path, policy: str, complaint: str) -> None:
    copied(world)
    (tmp_path / "policy.json").write_text(policy)
    assert complaint in run("policy", "diff", str(tmp_path / "policy.json"), "--since", "2026-11-20", exit_code=1)
    run("policy", "diff", str(tmp_path / "policy.json"), "--since", "soon", exit_code=1 if "JSON" in complaint else 2)


# --- redrive -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def letters(world: ReadWorld) -> tuple[Any, QueuePair]:
    """Ten dead letters of two payments in turns, and two of other payments, with another cause."""
    sqs = boto3.client("sqs")
    names = [f"payment_succeeded{ending}.fifo" for ending in ("", "-DeadLetters")]
    urls = [sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})["QueueUrl"] for name in names]
    world.target.__dict__["queues"] = pairs_of({"payment_succeeded": urls[0]})
    for number in range(12):
        cause = "defect" if number > 9 else "api_refused_key"
        sqs.send_message(
            QueueUrl=urls[1],
            MessageBody=json.dumps({"fact": {"provider": "stripe", "account": "acct_1"}, "number": number}),
            MessageGroupId=f"payment-{number % 2 if cause != 'defect' else number}",
            MessageDeduplicationId=f"known-{number}",
            MessageAttributes={"cause": {"DataType": "String", "StringValue": cause}},
        )
    return sqs, QueuePair("payment_succeeded", *urls)


def on_the_queue(sqs: Any, url: str) -> list[dict[str, Any]]:
    back: list[Any] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"]).get("Messages"):
        back += messages
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return back


def test_dead_letters_go_back_in_the_order_of_their_payment(letters: tuple[Any, QueuePair]) -> None:
    """Under ids of their own: SQS drops what comes again under a known id within five minutes, without a word."""
    sqs, pair = letters
    dead = DeadLetters(sqs, [pair], lambda *_: None)
    assert dead.redrive(Wanted(), pace=Pace(per_minute=60_000, in_flight=100)).sent.total() == 12
    assert dead.redrive(Wanted(), pace=Pace(per_minute=60_000)).sent.total() == 0
    back = on_the_queue(sqs, pair.url)
    for payment in (0, 1):
        of_payment = [json.loads(one["Body"]) for one in back if one["Attributes"]["MessageGroupId"] == f"payment-{payment}"]
        assert [body["number"] for body in of_payment] == list(range(payment, 10, 2))
    ids = {one["Attributes"]["MessageDeduplicationId"] for one in back}
    assert len(ids) == 12
    assert not any(name.startswith("known") for name in ids)


def test_a_dry_run_shows_what_would_go_and_sends_nothing(world: ReadWorld, letters: tuple[Any, QueuePair]) -> None:
    sqs, pair = letters
    copied(world)
    kinds = [
        {"function": "payment_succeeded", "cause": cause, "business_customer": "bc_1", "letters": count}
        for cause, count in (("api_refused_key", 10), ("defect", 2))
    ]
    shown = run("redrive", "--all", "--dry-run", "--per-minute", "60", "--json")
    assert [json.loads(line) for line in shown.splitlines()] == kinds
    assert "bc_1" in run("redrive", "payment_succeeded", "--cause", "defect", "--dry-run", "--per-minute", "60")
    assert run("redrive", "--business-customer", "bc_2", "--per-minute", "60") == "no dead letters\n"
    assert on_the_queue(sqs, pair.url) == []


def test_redrive_sends_what_was_chosen_and_says_so(world: ReadWorld, letters: tuple[Any, QueuePair]) -> None:
    sqs, pair = letters
    copied(world)
    output = run("redrive", "--cause", "api_refused_key", "--per-minute", "60000", "--json", exit_code=0)
    assert json.loads(output.splitlines()[-1]) == {"sent": 10, "came_back": 0, "complete": True}
    assert len(on_the_queue(sqs, pair.url)) == 10
    assert "2 sent again" in run("redrive", "payment_succeeded", "--per-minute", "60000")
    assert len(on_the_queue(sqs, pair.url)) == 2


def test_redrive_wants_one_queue_or_all() -> None:
    run("redrive", exit_code=2)
    run("redrive", "payment_succeeded", "--all", exit_code=2)
