"""End to end on the local stack: signed payments until their invoices exist, beside pipelines of the same shape without us.

All run in the same emulator against the same sandbox, in turns: API, function, FIFO queue, function. In one of them that second
function makes the same calls, and checks, remembers and explains nothing; in the other, which is empty, it does nothing at all.

Our journal is paused meanwhile, as they have none. On Lambda it is written beside the payments' way, seconds of changes at once;
the emulator writes each change by itself, and polls no queue until it is written. What that costs here is also reported.
"""

from __future__ import annotations

import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.figures import Measured, ratio
from benchmarks.local_platform import Platform, Running, payment, running
from tools.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping

PAYMENTS = 300
ROUNDS = 5
SENDERS = 4
CUSTOMER = "bc_throughput"
_PATIENCE_S = 120
_BARE = Path(__file__).with_name("bare")
_TARGET = 0.7


def measure(*, quick: bool, known: Mapping[str, Any]) -> Measured:  # noqa: ARG001 - as every part has it
    payments, rounds = (20, 1) if quick else (PAYMENTS, ROUNDS)
    with running(requests_per_minute=1_000_000) as stack:
        ours = _Ours(stack)
        ours.run(payments)
        journal_per_s = [ours.run(payments) for _ in range(rounds)]
        _pause_journal(stack)
        pipelines = ours, _Bare(stack, "work"), _Bare(stack, "nothing")
        # Before it counts every function has started, and every file has been read.
        per_s = [[pipeline.run(payments) for pipeline in pipelines] for _ in range(rounds + 1)][1:]
    ours_per_s, bare_per_s, empty_per_s = map(list, zip(*per_s, strict=True))
    of_same_calls = "documents per second on the local stack ÷ a bare pipeline with the same calls"
    same_calls = replace(ratio(of_same_calls, ours_per_s, bare_per_s).under(of_same_calls), at_least=_TARGET)
    # An empty pipeline makes no document. Ours cannot do without three calls to the table and one request, which take several
    # times as long as all that an empty one does. So the target is for what can be saved at all: the rest.
    of_empty = "the same ÷ an empty pipeline, which makes no documents"
    empty = ratio(of_empty, ours_per_s, empty_per_s).under(of_empty)
    journal = ratio("the same with the journal ÷ a bare pipeline with the same calls", journal_per_s, bare_per_s)
    data = {"ours_per_s": ours_per_s, "bare_per_s": bare_per_s, "empty_per_s": empty_per_s, "journal_per_s": journal_per_s}
    return Measured([same_calls, empty, journal], data | {"payments": payments})


def _pause_journal(stack: Running) -> None:
    functions = stack.target.client("lambda")
    name = f"{stack.local.stack_name}-EvidenceRecorded"
    [mapping] = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)


class _Pipeline:
    """`queue_url` is what its first function fills and its second one empties; `makes` is how many invoices for a payment."""

    def __init__(self, stack: Running, queue_url: str, makes: int) -> None:
        self._stack = stack
        self._queue_url = queue_url
        self._makes = makes

    def run(self, count: int) -> float:
        """Payments per second, from the first one that is sent until the queue is empty."""
        events = [payment(CUSTOMER, f"pay_{secrets.token_hex(8)}") for _ in range(count)]
        before = len(self._stack.invoices(CUSTOMER))
        started = time.monotonic()
        with ThreadPoolExecutor(SENDERS) as senders:
            list(senders.map(self.send, events))
        wait_for("the queue to be empty", lambda: self._stack.is_empty(self._queue_url), seconds=_PATIENCE_S, every_s=0.02)
        took_s = time.monotonic() - started
        if (made := len(self._stack.invoices(CUSTOMER)) - before) != count * self._makes:
            raise AssertionError(f"{made} invoices for {count} payments")
        return count / took_s

    def send(self, event: bytes) -> None:
        raise NotImplementedError


class _Ours(_Pipeline):
    def __init__(self, stack: Running) -> None:
        super().__init__(stack, stack.target.queues["payment_succeeded"].url, makes=1)
        self._platform = Platform(stack)
        self._platform.register(CUSTOMER)

    def send(self, event: bytes) -> None:
        self._platform.send(event)


class _Bare(_Pipeline):
    """`does` names the module of its second function."""

    def __init__(self, stack: Running, does: str) -> None:
        formation = stack.target.client("cloudformation")
        formation.create_stack(
            StackName=does,
            TemplateBody=json.dumps(_template(does)),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in _parameters(stack, does).items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        formation.get_waiter("stack_create_complete").wait(StackName=does, WaiterConfig={"Delay": 1})
        outputs = formation.describe_stacks(StackName=does)["Stacks"][0]["Outputs"]
        named = {output["OutputKey"]: output["OutputValue"] for output in outputs}
        super().__init__(stack, named["Queue"], makes=int(does == "work"))
        self._http = httpx.Client(timeout=60, trust_env=False)
        self._url = f"{stack.local.aws_endpoint_url}/_aws/execute-api/{named['Api']}/bare/events"

    def send(self, event: bytes) -> None:
        self._http.post(self._url, content=event).raise_for_status()


def _template(does: str) -> dict[str, Any]:
    template: dict[str, Any] = json.loads((_BARE / "template.json").read_text())
    for name, module in (("Receive", "receive"), ("Work", does)):
        template["Resources"][name]["Properties"]["Code"]["ZipFile"] = (_BARE / f"{module}.py").read_text()
    return template


def _parameters(stack: Running, does: str) -> dict[str, str]:
    """Its functions have the layer, runtime and architecture of ours."""
    functions = stack.target.client("lambda")
    like = functions.get_function_configuration(FunctionName=f"{stack.local.stack_name}-PaymentSucceeded")
    return {
        "Name": does,
        "Layer": like["Layers"][0]["Arn"],
        "Runtime": like["Runtime"],
        "Architecture": like.get("Architectures", ["x86_64"])[0],
        "Endpoint": stack.local.aws_endpoint_url,
        "InvoicingUrl": stack.server.url,
        "InvoicingKey": stack.server.api_key,
        "Entity": stack.target.ledger.entities()[CUSTOMER],
        "Invoice": _invoice(stack),
    }


def _invoice(stack: Running) -> str:
    """The request that we send for a payment, with a name to replace in place of the payment's."""
    case = next(case for case in stack.target.ledger.cases() if case.documents)
    [entry] = case.documents.values()
    return entry.body.replace(case.id, "PAYMENT")
