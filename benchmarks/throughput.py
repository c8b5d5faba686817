"""End to end on the local stack: signed payments until their invoices exist, beside a pipeline of the same shape without us.

Both run in the same emulator against the same sandbox, in turns. The bare one checks nothing, remembers nothing and explains
nothing: API, function, FIFO queue, function, and there one read, two writes and the request.
"""

from __future__ import annotations

import json
import secrets
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from standardwebhooks import Webhook

from benchmarks.figures import Figure, Measured, ratio
from tools.invoicing_server import sandbox
from tools.local_stack import LocalStack
from tools.target import Target, target_of
from tools.traffic import on_the_way
from tools.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PAYMENTS = 300
ROUNDS = 5
SENDERS = 4
CUSTOMER = "bc_throughput"
_PATIENCE_S = 120
_BARE = Path(__file__).with_name("bare")
_TARGET = 0.7


def measure(*, quick: bool, known: Mapping[str, Any]) -> Measured:  # noqa: ARG001 - as every part has it
    payments, rounds = (20, 1) if quick else (PAYMENTS, ROUNDS)
    with ExitStack() as running:
        server = running.enter_context(sandbox("--rate-limit", "1000000"))
        local = running.enter_context(
            LocalStack(
                space_invoices_url=server.url,
                space_invoices_api_key=server.api_key,
                requests_per_minute=1_000_000,
                port=_free_port(),
            )
        )
        target = running.enter_context(target_of(local))
        # Before it counts every function has started, and every file has been read.
        ours = _Ours(local, target)
        ours.run(payments)
        bare = _Bare(local, target, server.api_key)
        bare.run(payments)
        pairs = [(ours.run(payments), bare.run(payments)) for _ in range(rounds)]
    ours_per_s, bare_per_s = [one for one, _ in pairs], [other for _, other in pairs]
    share = ratio("documents per second, end to end ÷ a bare pipeline of the same shape", ours_per_s, bare_per_s)
    figure = Figure(share.name, share.value, spread=share.spread, details=share.details, at_least=_TARGET)
    return Measured([figure], {"ours_per_s": ours_per_s, "bare_per_s": bare_per_s, "payments": payments})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _event(kind: str, data: dict[str, Any]) -> bytes:
    event = {
        "specversion": "1.0",
        "id": f"evt_{secrets.token_hex(8)}",
        "source": "/throughput",
        "type": kind,
        "time": (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "datacontenttype": "application/json",
        "data": data,
    }
    return json.dumps(event).encode()


def _payments(count: int) -> list[bytes]:
    amount = {"value": 5000, "currency": "EUR"}
    names = [f"pay_{secrets.token_hex(8)}" for _ in range(count)]
    return [
        _event("payment.succeeded", {"business_customer": CUSTOMER, "payment_id": name, "amount": amount, "method": "card"})
        for name in names
    ]


def _per_second(target: Target, count: int, send: Callable[[bytes], None], is_done: Callable[[], bool]) -> float:
    bodies, before = _payments(count), _invoices(target)
    started = time.monotonic()
    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(send, bodies))
    wait_for("every payment to be done", is_done, seconds=_PATIENCE_S, every_s=0.02)
    took_s = time.monotonic() - started
    if (made := _invoices(target) - before) != count:
        raise AssertionError(f"{made} invoices for {count} payments")
    return count / took_s


def _invoices(target: Target) -> int:
    entity = target.ledger.entities()[CUSTOMER]
    return sum(1 for _ in target.space_invoices.pages("invoices", entity_id=entity))


class _Ours:
    def __init__(self, local: LocalStack, target: Target) -> None:
        self._target = target
        self._signs = Webhook(local.secrets["platform"])
        self._http = httpx.Client(base_url=target.webhooks, timeout=60, trust_env=False)
        profile = {"business_customer": CUSTOMER, "name": "Throughput GmbH", "country": "DE"}
        self._send(_event("business_customer.created", profile))
        wait_for("the entity", lambda: CUSTOMER in target.ledger.entities(), seconds=_PATIENCE_S)

    def run(self, count: int) -> float:
        return _per_second(self._target, count, self._send, lambda: not on_the_way(self._target))

    def _send(self, body: bytes) -> None:
        now, name = datetime.now(UTC), str(json.loads(body)["id"])
        signature = self._signs.sign(name, now, body.decode())
        headers = {"webhook-id": name, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
        self._http.post("/webhooks/platform/default", content=body, headers=headers).raise_for_status()


class _Bare:
    def __init__(self, local: LocalStack, target: Target, api_key: str) -> None:
        self._target = target
        functions = target.client("lambda")
        like = functions.get_function_configuration(FunctionName=f"{local.stack_name}-PaymentSucceeded")
        template = json.loads((_BARE / "template.json").read_text())
        for name in ("Receive", "Work"):
            template["Resources"][name]["Properties"]["Code"]["ZipFile"] = (_BARE / f"{name.lower()}.py").read_text()
        values = {
            "Layer": like["Layers"][0]["Arn"],
            "Runtime": like["Runtime"],
            "Architecture": like.get("Architectures", ["x86_64"])[0],
            "Endpoint": local.aws_endpoint_url,
            "InvoicingUrl": local.space_invoices_url,
            "InvoicingKey": api_key,
            "Entity": target.ledger.entities()[CUSTOMER],
            "Invoice": _invoice(target),
        }
        formation = target.client("cloudformation")
        formation.create_stack(
            StackName="bare",
            TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        formation.get_waiter("stack_create_complete").wait(StackName="bare", WaiterConfig={"Delay": 1})
        outputs = formation.describe_stacks(StackName="bare")["Stacks"][0]["Outputs"]
        named = {output["OutputKey"]: output["OutputValue"] for output in outputs}
        self._queue = named["Queue"]
        self._http = httpx.Client(timeout=60, trust_env=False)
        self._url = f"{local.aws_endpoint_url}/_aws/execute-api/{named['Api']}/bare/events"

    def run(self, count: int) -> float:
        return _per_second(self._target, count, self._send, self._is_empty)

    def _send(self, body: bytes) -> None:
        self._http.post(self._url, content=body).raise_for_status()

    def _is_empty(self) -> bool:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self._target.client("sqs").get_queue_attributes(QueueUrl=self._queue, AttributeNames=names)["Attributes"]
        return not any(int(attributes[name]) for name in names)


def _invoice(target: Target) -> str:
    """The request that we send for a payment, with a name to replace in place of the payment's."""
    case = next(case for case in target.ledger.cases() if case.documents)
    [entry] = case.documents.values()
    return entry.body.replace(case.id, "PAYMENT")
