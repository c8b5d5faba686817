"""Every statement of the functions' roles is needed: without it the function fails where one can see it, and heals with it.

The statements come from the template, the roles from the deployed stack. A statement is taken from all the functions that have
it at once, because each function's failure shows by itself: in the answer to the sender, or in the function's own log.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from quittance.facts import Fact, FactType
from quittance.money import Money
from quittance.providers import provider
from quittance.runtime.queues import Queues, delivery_messages, fact_message, fees_message
from tests.end_to_end.conftest import CUSTOMER, ON_THE_STACK, PATIENCE_S, Consumers, Stack, pascal, payment_data, processes_of
from tools.deliveries import signed_delivery
from tools.samples import with_fresh_ids
from tools.traffic import dead_letters, on_the_way
from tools.waiting import WaitedTooLongError, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quittance.runtime.queues import Message
    from tests.end_to_end.operators import Operator

pytestmark = ON_THE_STACK

ROOT = Path(__file__).parents[2]
INGEST = "ingest"
FUNCTIONS = {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}
EUR = {"value": 1250, "currency": "EUR"}

NOT_DEPLOYED = {"event_received": "a stack has it only where it is asked for; its statements are called as those of the others"}
UNNOTICED = {
    "WriteOwnLogs": "the emulator writes the functions' logs itself",
    "Trace": "nothing sends traces to the emulator",
    "UseKey": "the emulator encrypts and decrypts for everybody who may use what is encrypted",
    "ReadStream": "the emulator reads the table's stream itself",
    "LookForWorkbook": "the emulator tells an object that is not there from one that nobody may see, whoever asks",
    "StoreWebhookSecrets": "a stack without a public address is told of no changes, and has no secret to store for them",
}
"""Statements whose absence no function notices here, and why; tests/template holds them against the template instead."""
SHOWN_AS = {
    "KeepLedger": ("message failed", "defect"),
    "FindByReference": ("message failed", "defect"),
    "KeepIgnoredEvents": ("message failed", "defect"),
    "ReadApiKey": ("message failed", "parameter_unavailable"),
    "ReadConnections": ("message failed", "secrets_unavailable"),
    "AskForRevisit": ("message failed", "queue_unavailable"),
    "HandOn": ("message failed", "queue_unavailable"),
    "ConsumeOwnQueue": ("visibility not changed", None),
    "GiveUp": ("cause not written", None),
}
"""Message and code of the log line by which a worker shows that it lacks the statement. `ingest` shows it by its answer."""
OF_POISON = {"ConsumeOwnQueue", "GiveUp"}
"""Needed only for what fails for good."""
OF_INGEST = ["ReadConnections", "Enqueue"]
OF_THE_SCHEDULE = ["FindByReference", "AskForClosing"]
"""What the function needs that asks every night for months to be closed."""
OF_THE_INVOKED = {
    "reconcile": (
        {"begin": True},
        ("ReadLedger", "FindByReference", "KeepFindings", "ReadApiKey", "KeepWorkbook", "WriteReports"),
    ),
    "evidence_anchored": ({}, ("ReadHeads", "FindLastAnchors", "WriteAnchors", "ReadEvidenceKeys")),
    "evidence_recorded": (
        json.loads((ROOT / "events" / "lambda" / "evidence_recorded.json").read_bytes()),
        ("FindOwner", "AppendToJournal", "ReadEvidenceKeys"),
    ),
}
"""A function that no message is for -> what it is invoked with, and what it needs then. Its failure is that of the call."""
OF_OPERATIONS = {
    "ReadLedger": ("POST", "replay"),
    "FindByReference": ("GET", "findings"),
    "WriteAudit": ("POST", "replay"),
    "SendAgain": ("POST", "replay"),
    "TakeDeadLetters": ("GET", "dead-letters"),
    "ListReports": ("GET", "reports"),
    "ReadReports": ("GET", "reports"),
    "ReadApiKey": ("GET", "documents/{document}/pdf"),
}
"""A call that fails without the statement."""
UNNEEDED = {
    "ReadApiKey": {"payout_settled"},
    "FindByReference": FUNCTIONS - {"document_changed"},
}
"""Functions that have a statement from a policy they share, and never need it for a message."""
READ_ONCE = {"ReadApiKey", "ReadConnections", "ReadEvidenceKeys", "UseKey"}
"""What a running function has in memory already: its process is replaced by a new one."""

PLATFORM = f"{CUSTOMER}_platform"
EAGER, DRAFTING, SETTLING = (f"{CUSTOMER}_{name}" for name in ("eager", "drafting", "settling"))
POLICIES = {
    PLATFORM: {},
    EAGER: {"issue_on": "authorized", "dispute_credit_on": "opened"},
    DRAFTING: {"issue_as": "draft", "finalize_on": "manual"},
    SETTLING: {"issue_on": "settled"},
}
"""Business customers that give every worker something to ask of the invoicing API, by their policies."""
BY_THE_MONTH = {"invoices": "fee", "fee_invoices": "monthly"}


class _Loader(yaml.SafeLoader):
    """Takes CloudFormation's functions for what they are applied to."""


def _applied_to(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> object:
    match node:
        case yaml.MappingNode():
            return loader.construct_mapping(node, deep=True)
        case yaml.SequenceNode():
            return loader.construct_sequence(node, deep=True)
        case _:
            return node.value


_Loader.add_multi_constructor("!", _applied_to)


def _statements(part: object) -> Iterator[str]:
    """The statements of all policies of roles within a part of the template, by their names."""
    match part:
        case {"PolicyName": str(), "PolicyDocument": {"Statement": statements}}:
            yield from (statement["Sid"] for statement in statements if "Sid" in statement)
        case dict():
            yield from chain.from_iterable(map(_statements, part.values()))
        case list():
            yield from chain.from_iterable(map(_statements, part))


STATEMENTS = set(_statements(yaml.load((ROOT / "template.yaml").read_text(encoding="utf-8"), _Loader)))  # noqa: S506 - a SafeLoader


@dataclass(slots=True)
class Probe:
    """What makes one function do all it can do, and what must exist in the end."""

    send: Callable[[], object]
    payment: str = ""
    held: dict[str, int] = field(default_factory=dict)
    before: tuple[Callable[[], object], ...] = ()
    """What happened already, so that there is something to do."""
    owner: str = CUSTOMER
    issuer: str = ""
    """Who makes the documents out, if it is not the owner."""


class Probes:
    """Makes a probe for every worker."""

    def __init__(self, stack: Stack, new_id: Callable[[str], str]) -> None:
        self._stack = stack
        self._new_id = new_id
        self._queues = Queues(stack.target.client("sqs"), {name: pair.url for name, pair in stack.target.queues.items()})
        self._now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def all(self) -> dict[str, Probe]:
        """By the name of the worker."""
        invoice, note = "invoice 50.00", "credit note 12.50"
        paid, day, new_id = "payment.succeeded", "2026-11-01", self._new_id
        refund: dict[str, Any] = {"refund_id": new_id("re"), "amount": EUR}
        dispute: dict[str, Any] = {"dispute_id": new_id("dp"), "amount": EUR}
        renewal: dict[str, Any] = {
            "subscription_id": new_id("sub"),
            "invoice_id": new_id("in"),
            "period_start": day,
            "period_end": day,
        }
        return {
            "payment_authorized": self._about("payment.authorized", invoice, owner=EAGER),
            "payment_succeeded": self._about(paid, invoice),
            "payment_captured": self._about("payment.captured", invoice, capture_id=new_id("cap")),
            "payment_failed": self._about("payment.failed", invoice, before=[(paid, {})]),
            "subscription_renewed": self._about("subscription.renewed", invoice, plan="Pro", **renewal),
            "refund_processed": self._about("refund.succeeded", invoice, note, before=[(paid, {})], **refund),
            "refund_failed": self._about(
                "refund.failed", invoice, note, "invoice 12.50", before=[(paid, {}), ("refund.succeeded", refund)], **refund
            ),
            "dispute_opened": self._about("dispute.opened", invoice, note, before=[(paid, {})], owner=EAGER, **dispute),
            "dispute_won": self._about(
                "dispute.won", invoice, note, "invoice 12.50", before=[(paid, {}), ("dispute.opened", dispute)], owner=EAGER,
                **dispute,
            ),
            "dispute_lost": self._about("dispute.lost", invoice, note, before=[(paid, {})], **dispute),
            "payout_settled": self._payout(),
            "payment_revisited": self._settlement(),
            "business_customer_changed": self._registration(),
            "document_changed": self._finalization(),
            "object_fetched": self._fetch(),
            "fees_closed": self.month_of_fees(),
            "event_ignored": self._about("parcel.shipped"),
        }  # fmt: skip

    def register(self, customer: str, policy: dict[str, Any], **profile: Any) -> None:
        profile = {"business_customer": customer, "name": f"{customer} GmbH", "country": "DE", "policy": policy} | profile
        self._tell("business_customer.created", profile)

    def month_of_fees(self) -> Probe:
        """A month with one fee in it, which the platform invoices."""
        owner, payment, month = self._new_id("bc"), self._new_id("pay"), self._now[: len("2026-11")]
        fee = {"business_customer": owner, "fee": {"value": 125, "currency": "EUR"}}
        return Probe(
            partial(self._queue, fees_message(owner, "EUR", month, self._now)),
            f"{month}:EUR",
            {"invoice 1.25": 1},
            (
                partial(self.register, owner, BY_THE_MONTH),
                partial(self._tell, "payment.succeeded", payment_data(payment) | fee, at=self._now),
            ),
            owner,
            PLATFORM,
        )

    def _about(
        self, kind: str, *held: str, before: list[tuple[str, dict[str, Any]]] | None = None, owner: str = CUSTOMER, **data: Any
    ) -> Probe:
        """Platform events about a payment of its own."""
        payment = self._new_id("pay")
        about = payment_data(payment) | {"business_customer": owner}
        told = tuple(partial(self._tell, earlier, about | more) for earlier, more in before or ())
        return Probe(partial(self._tell, kind, about | data), payment, dict.fromkeys(held, 1), told, owner)

    def _payout(self) -> Probe:
        line = {"payment_id": self._new_id("pay"), "gross": 1260, "fee": 10, "net": 1250}
        return self._about("payout.paid", payout_id=self._new_id("po"), payments=[line], amount=EUR)

    def _settlement(self) -> Probe:
        """What a payout means for one of its payments, which waits for that."""
        probe = self._about("payment.succeeded", "invoice 50.00", owner=SETTLING)
        settled = Fact(
            type=FactType.PAYMENT_SETTLED, provider="platform", account=SETTLING, key=probe.payment, payment_id=probe.payment,
            occurrence=self._new_id("po"), occurred_at=self._now, amount=Money(5000, "EUR"),
        )  # fmt: skip
        probe.before = (probe.send,)
        probe.send = partial(self._queue, fact_message(settled, self._new_id("evt"), "payout.paid", self._now))
        return probe

    def _registration(self) -> Probe:
        """Of somebody for whom a payment waits."""
        owner = self._new_id("bc")
        probe = self._about("payment.succeeded", "invoice 50.00", owner=owner)
        probe.before = (probe.send,)
        probe.send = partial(self.register, owner, {})
        return probe

    def _finalization(self) -> Probe:
        """Of a draft, by hand: what was refunded of it can then be credited."""
        probe = self._about("payment.succeeded", "invoice 50.00", "credit note 12.50", owner=DRAFTING)
        refund = {"business_customer": DRAFTING, "payment_id": probe.payment, "refund_id": self._new_id("re"), "amount": EUR}
        probe.before = (probe.send, partial(self._tell, "refund.succeeded", refund))
        probe.send = partial(self._finalize, probe.payment)
        return probe

    def _fetch(self) -> Probe:
        """A delivery that only names its payment. It goes to the queue at once, because this is not about `ingest`."""
        name, suffix = "mollie", self._new_id("").strip("_")[:8]
        body = with_fresh_ids((ROOT / "events" / name / "payment.paid.txt").read_bytes(), suffix)
        translation = provider(name).translate(body, "default", {})
        customer = json.loads((ROOT / "events/platform/business_customer.created.mollie.json").read_bytes())
        return Probe(
            partial(self._queue, *delivery_messages(name, "default", translation, self._now)),
            f"tr_8Hb1Bread01_{suffix}",
            {"invoice 18.40": 1},
            (partial(self._tell, customer["type"], customer["data"], customer["id"], customer["time"]),),
            customer["data"]["business_customer"],
        )

    def _tell(self, kind: str, data: dict[str, Any], event_id: str | None = None, at: str | None = None) -> None:
        assert self._stack.platform(kind, data, event_id, at).is_success

    def _queue(self, *messages: Message) -> None:
        self._queues.send(messages)

    def _finalize(self, payment: str) -> None:
        """As a person does it in Space Invoices, which then tells of it."""
        [entry] = self._stack.target.ledger.case("platform", DRAFTING, payment).documents.values()
        path = f"/documents/{entry.record.api_id}/finalize?type=invoice"
        entity = self._stack.target.ledger.entities()[DRAFTING]
        final = self._stack.target.space_invoices.create(path, b"{}", entity_id=entity, idempotency_key=f"by-hand-{payment}")
        event = json.dumps({"event": "invoice.finalized", "data": final, "timestamp": final["updated_at"]}).encode()
        body, headers = signed_delivery("space-invoices", event, self._stack.local.secrets["space-invoices"], int(time.time()))
        assert self._stack.post("space-invoices", body, headers).is_success


class Roles:
    """The functions' roles on the deployed stack."""

    def __init__(self, stack: Stack) -> None:
        self._iam = stack.target.client("iam")
        describe = stack.target.client("lambda").get_function_configuration
        self.functions = {INGEST, "operations", *OF_THE_INVOKED, *stack.target.queues}
        self._roles = {
            name: describe(FunctionName=f"{stack.local.stack_name}-{pascal(name)}")["Role"].rpartition("/")[2]
            for name in self.functions
        }

    def policies(self, function: str) -> dict[str, list[dict[str, Any]]]:
        """The statements of a function's role by policy."""
        role = self._roles[function]
        names = self._iam.list_role_policies(RoleName=role)["PolicyNames"]
        return {name: self._iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]["Statement"] for name in names}

    def names(self, function: str) -> set[str]:
        return {statement["Sid"] for statements in self.policies(function).values() for statement in statements}

    @contextmanager
    def without(self, removed: str) -> Iterator[set[str]]:
        """Take a statement from every role that has it for as long as the block lasts. Gives the functions concerned."""
        originals = {
            (function, policy): statements
            for function in self.functions
            for policy, statements in self.policies(function).items()
            if any(statement["Sid"] == removed for statement in statements)
        }
        try:
            for (function, policy), statements in originals.items():
                self._put(function, policy, [statement for statement in statements if statement["Sid"] != removed])
            yield {function for function, _ in originals}
        finally:
            for (function, policy), statements in originals.items():
                self._put(function, policy, statements)

    def _put(self, function: str, policy: str, statements: list[dict[str, Any]]) -> None:
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": statements})
            self._iam.put_role_policy(RoleName=self._roles[function], PolicyName=policy, PolicyDocument=document)
        else:
            self._iam.delete_role_policy(RoleName=self._roles[function], PolicyName=policy)


@pytest.fixture
def roles(stack: Stack) -> Roles:
    return Roles(stack)


@pytest.fixture(scope="module")
def customers(stack: Stack) -> None:
    """Register the business customers that the probes are about."""
    probes = Probes(stack, str)
    for name, policy in POLICIES.items():
        probes.register(name, policy, **({"role": "platform"} if name == PLATFORM else {}))
    wait_for("their entities", lambda: POLICIES.keys() <= stack.target.ledger.entities().keys(), seconds=PATIENCE_S)


@pytest.fixture
def probes(stack: Stack, customers: None, new_id: Callable[[str], str]) -> dict[str, Probe]:  # noqa: ARG001 - they are needed
    probes = Probes(stack, new_id).all()
    assert set(probes) == set(stack.target.queues), "every worker has a probe"
    return probes


def test_every_statement_is_named_and_tested(roles: Roles) -> None:
    """And a statement that is here has not gone from the template."""
    assert roles.functions | set(NOT_DEPLOYED) == FUNCTIONS
    assert set().union(*map(roles.names, roles.functions)) == STATEMENTS
    invoked = chain.from_iterable(statements for _, statements in OF_THE_INVOKED.values())
    assert {*UNNOTICED, *SHOWN_AS, *OF_INGEST, *OF_THE_SCHEDULE, *invoked, *OF_OPERATIONS} == STATEMENTS


@pytest.mark.parametrize("statement", OF_INGEST)
def test_ingest_without(stack: Stack, roles: Roles, new_id: Callable[[str], str], statement: str) -> None:
    """The sender is asked to come again, and nothing of what was not accepted is known; with the statement it is accepted."""
    payment, event = new_id("pay"), new_id("evt")
    with roles.without(statement) as functions:
        assert INGEST in functions
        _replace_processes(statement, {INGEST})
        answer = partial(_answer_of_ingest, stack, payment_data(payment), event)
        assert wait_for("ingest to answer", answer, seconds=PATIENCE_S) == httpx.codes.SERVICE_UNAVAILABLE
        stack.wait_until_done()
        assert not stack.case(payment).facts
    assert stack.platform("payment.succeeded", payment_data(payment), event).is_success
    stack.wait_until_done()
    assert stack.held(payment) == {"invoice 50.00": 1}


def _answer_of_ingest(stack: Stack, data: dict[str, Any], event: str) -> int | None:
    """The status; None where the emulator has only just found out that a process was replaced, and answers in its place."""
    status = stack.platform("payment.succeeded", data, event).status_code
    return None if status == httpx.codes.BAD_GATEWAY else status


@pytest.mark.parametrize("statement", [name for name in SHOWN_AS if name not in OF_POISON])
def test_workers_without(stack: Stack, roles: Roles, probes: dict[str, Probe], statement: str) -> None:
    """Each function that has the statement fails by its own log, and does what it was asked for when it has it again.

    Those that are said not to need it do so at once: `UNNEEDED` is no excuse.
    """
    probes = {name: probe for name, probe in probes.items() if statement in roles.names(name)}
    _prepare(stack, probes)
    started = time.time()
    needing = set(probes) - UNNEEDED.get(statement, set())
    assert needing
    with Consumers(stack) as consumers, roles.without(statement) as functions:
        assert functions & set(stack.target.queues) == set(probes)
        _replace_processes(statement, set(probes))
        for probe in probes.values():
            probe.send()
        _wait_until_shown(stack, statement, needing, started, consumers)
        _wait_until_handled(stack, set(probes) - needing)
    _assert_all_done(stack, probes)
    assert not _failed(stack, set(probes) - needing, started)


@pytest.mark.usefixtures("customers")
def test_the_schedule_without_what_it_needs(stack: Stack, roles: Roles, new_id: Callable[[str], str]) -> None:
    """The whole invocation fails, so that it is repeated; with the statements every month is closed."""
    probe = Probes(stack, new_id).month_of_fees()
    _prepare(stack, {"fees_closed": probe})
    month = probe.payment.partition(":")[0]
    for statement in OF_THE_SCHEDULE:
        with roles.without(statement) as functions:
            assert "fees_closed" in functions
            assert "FunctionError" in _ask_for_closing(stack, month), statement
    answer = _ask_for_closing(stack, month)
    assert "FunctionError" not in answer
    assert json.loads(answer["Payload"].read())["asked"]
    _assert_all_done(stack, {"fees_closed": probe})


def _ask_for_closing(stack: Stack, through: str) -> dict[str, Any]:
    function, payload = f"{stack.local.stack_name}-FeesClosed", json.dumps({"through": through})
    return dict(stack.target.client("lambda").invoke(FunctionName=function, Payload=payload))


def test_workers_that_may_not_touch_their_queues(stack: Stack, roles: Roles, new_id: Callable[[str], str]) -> None:
    """The emulator receives and deletes by itself; a function gives up what is hopeless, or hides it for a while if it cannot."""
    workers, started = set(stack.target.queues), time.time()
    with roles.without("GiveUp") as giving_up:
        assert giving_up >= workers
        with Consumers(stack) as consumers, roles.without("ConsumeOwnQueue") as consuming:
            assert consuming == workers
            _poison(stack, new_id)
            _wait_until_shown(stack, "ConsumeOwnQueue", workers, started, consumers)
        assert all(_logged(stack, name, started, *SHOWN_AS["GiveUp"]) for name in workers)
        _purge(stack)
        started = time.time()
        _poison(stack, new_id)
        # Hidden for a second by the function, not for the two minutes of the queue.
        for name in workers:
            wait_for(f"{name} to fail again", lambda name=name: _attempts(stack, name, started) >= 2, seconds=PATIENCE_S)  # type: ignore[misc]
        assert not [name for name in workers if _logged(stack, name, started, *SHOWN_AS["ConsumeOwnQueue"])]
    wait_for("all to be given up", lambda: dead_letters(stack.target) == dict.fromkeys(workers, 1), seconds=PATIENCE_S)
    _purge(stack)
    assert dead_letters(stack.target) == {}


@pytest.mark.usefixtures("customers")
@pytest.mark.parametrize(
    ("function", "statement"), [(name, one) for name, (_, statements) in OF_THE_INVOKED.items() for one in statements]
)
def test_what_is_invoked_without(stack: Stack, roles: Roles, new_id: Callable[[str], str], function: str, statement: str) -> None:
    """The call fails, so that whoever called is told; with the statement the next one does not."""
    _make_by_hand(stack, new_id("by-hand"))
    with roles.without(statement) as functions:
        assert function in functions
        _replace_processes(statement, {function})
        assert "FunctionError" in _invoke(stack, function)
    assert "FunctionError" not in _invoke(stack, function)


def _make_by_hand(stack: Stack, name: str) -> None:
    """A document that says it is ours, and that no payment explains, so that every reconciliation finds something new."""
    entity, day = stack.target.ledger.entities()[SETTLING], datetime.now(UTC).strftime("%Y-%m-%d")
    document = {"date": day, "customer": {"name": name}, "items": [{"name": name, "price": 1, "quantity": 1, "taxes": []}]}
    ours = {"business_customer": SETTLING, "provider": "platform", "payment_id": name, "document_key": f"invoice:payment:{name}"}
    document |= {"metadata": ours}
    stack.target.space_invoices.create("/invoices", json.dumps(document).encode(), entity_id=entity, idempotency_key=name)


def _invoke(stack: Stack, function: str) -> dict[str, Any]:
    name, payload = f"{stack.local.stack_name}-{pascal(function)}", json.dumps(OF_THE_INVOKED[function][0])
    return dict(stack.target.client("lambda").invoke(FunctionName=name, Payload=payload))


@pytest.mark.parametrize("statement", OF_OPERATIONS)
def test_operators_without(stack: Stack, roles: Roles, finance: Operator, new_id: Callable[[str], str], statement: str) -> None:
    """The operator is asked to come again, and is served with the statement."""
    payment, (method, path) = new_id("pay"), OF_OPERATIONS[statement]
    assert stack.payment(payment).is_success
    stack.wait_until_done()
    [entry] = stack.case(payment).documents.values()
    path = path.format(document=entry.record.api_id)
    asked = {"payments": [{"provider": "platform", "account": CUSTOMER, "payment_id": payment}]} if method == "POST" else None
    if statement in {"ListReports", "ReadReports"}:
        assert json.loads(_invoke(stack, "reconcile")["Payload"].read())["state"] == "finished"
    if statement == "TakeDeadLetters":
        letters, name = stack.target.queues["event_ignored"].dead_letters_url, new_id("letter")
        stack.target.client("sqs").send_message(
            QueueUrl=letters, MessageBody="{}", MessageGroupId=name, MessageDeduplicationId=name
        )
    with roles.without(statement) as functions:
        assert "operations" in functions
        _replace_processes(statement, {"operations"})
        assert _status(finance, statement, method, path, asked) in {httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.FORBIDDEN}
    assert _status(finance, statement, method, path, asked) in {httpx.codes.OK, httpx.codes.ACCEPTED, httpx.codes.NOT_FOUND}
    _purge(stack)


def _status(finance: Operator, statement: str, method: str, path: str, asked: dict[str, Any] | None) -> int:
    """Of the answer; what is fetched by a link in it is fetched as well."""
    answer = finance.call(method, path, asked)
    if statement != "ReadReports":
        return answer.status_code
    report = finance.get(f"reports/{answer.json()['reports'][0]}")
    return httpx.get(report["files"][0]["url"], trust_env=False).status_code


def test_what_nobody_notices(stack: Stack, roles: Roles, probes: dict[str, Probe]) -> None:
    """Fails when the emulator begins to enforce one of them: then it belongs into `SHOWN_AS`."""
    _prepare(stack, probes)
    started = time.time()
    with _without_all(roles, list(UNNOTICED)) as functions:
        assert functions == roles.functions
        _replace_processes("UseKey", functions)
        for probe in probes.values():
            probe.send()
        _assert_all_done(stack, probes)
    assert not _failed(stack, functions, started)


@contextmanager
def _without_all(roles: Roles, statements: list[str]) -> Iterator[set[str]]:
    if not statements:
        yield set()
        return
    with roles.without(statements[0]) as functions, _without_all(roles, statements[1:]) as others:
        yield functions | others


def _replace_processes(statement: str, functions: set[str]) -> None:
    """Returns when the old ones are gone: one that dies with a message takes it along for the queue's visibility timeout."""
    if statement not in READ_ONCE:
        return
    killed = _running(functions)
    for process in killed:
        os.kill(process, signal.SIGKILL)
    wait_for("the processes to be gone", lambda: killed.isdisjoint(_running(functions)), seconds=PATIENCE_S)


def _running(functions: set[str]) -> set[int]:
    return {process for function in functions for process in processes_of(pascal(function))}


def _prepare(stack: Stack, probes: dict[str, Probe]) -> None:
    """Let happen what must have happened before; returns when all of it is done."""
    for happens in chain.from_iterable(probe.before for probe in probes.values()):
        happens()
    stack.wait_until_done()


def _wait_until_shown(stack: Stack, statement: str, functions: set[str], started: float, consumers: Consumers) -> None:
    """Whoever has shown it gets no more messages, which otherwise would have to wait longer and longer."""
    missing = set(functions)

    def all_shown() -> bool:
        for name in [name for name in missing if _logged(stack, name, started, *SHOWN_AS[statement])]:
            missing.remove(name)
            consumers.stop(name)
        return not missing

    try:
        wait_for(f"all to fail without {statement}", all_shown, seconds=PATIENCE_S)
    except WaitedTooLongError:
        pytest.fail(f"{sorted(missing)} did not fail without {statement}")


def _wait_until_handled(stack: Stack, functions: set[str]) -> None:
    """By their queues: the emulator loses a last line of a log now and then."""
    wait_for(f"{sorted(functions)} to be done", lambda: functions.isdisjoint(on_the_way(stack.target)), seconds=PATIENCE_S)


def _assert_all_done(stack: Stack, probes: dict[str, Probe]) -> None:
    """Nothing is left, nothing was given up, and everything that was asked for exists once."""
    stack.wait_until_done(seconds=3 * PATIENCE_S)
    assert dead_letters(stack.target) == {}
    for name, probe in probes.items():
        assert stack.held(probe.payment, probe.owner, probe.issuer) == probe.held, name


def _failed(stack: Stack, functions: set[str], started: float) -> set[str]:
    """The functions of these that failed since then as one does that lacks a statement. They may have waited for each other."""
    shown = {code for _, code in SHOWN_AS.values()}
    return {name for name in functions if any(line["code"] in shown for line in _logged(stack, name, started, "message failed"))}


def _logged(stack: Stack, function: str, started: float, message: str, code: str | None = None) -> list[dict[str, Any]]:
    """The lines with this message, and this code if one is given, in a function's log since then."""
    group = f"/aws/lambda/{stack.local.stack_name}-{pascal(function)}"
    pages = stack.target.client("logs").get_paginator("filter_log_events")
    lines = [
        json.loads(event["message"])
        for page in pages.paginate(logGroupName=group, startTime=int(started * 1000))
        for event in page["events"]
        if event["message"].startswith("{")
    ]
    return [line for line in lines if line.get("message") == message and code in {None, line.get("code")}]


def _attempts(stack: Stack, function: str, started: float) -> int:
    return max((line["attempt"] for line in _logged(stack, function, started, "message failed")), default=0)


def _poison(stack: Stack, new_id: Callable[[str], str]) -> None:
    for queue in stack.target.queues.values():
        name = new_id("poison")
        stack.target.client("sqs").send_message(
            QueueUrl=queue.url, MessageBody="poison", MessageGroupId=name, MessageDeduplicationId=name
        )


def _purge(stack: Stack) -> None:
    for queue in stack.target.queues.values():
        for url in (queue.url, queue.dead_letters_url):
            stack.target.client("sqs").purge_queue(QueueUrl=url)
    stack.wait_until_done()
