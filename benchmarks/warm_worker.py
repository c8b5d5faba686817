"""What a warm worker adds: the real handler, over a bare one that makes the same AWS and HTTP calls and nothing else.

Both call through the real SDK and the real HTTP client; only the sockets below them are replaced, by answers made up in memory.
Run as `python -m benchmarks.warm_worker RESULT ROUNDS` with its standard output thrown away, because that is where a worker logs.
"""

from __future__ import annotations

import cProfile
import io
import json
import os
import pstats
import subprocess
import sys
import time
from collections import Counter, defaultdict
from functools import partial
from heapq import nlargest
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from unittest.mock import patch

import boto3
import httpx
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from benchmarks.cold_start import ENVIRONMENT
from benchmarks.figures import Measured, ratio
from quittance.facts import Fact, FactType, Payer
from quittance.ledger import Ledger
from quittance.money import Money
from quittance.registration import PROFILE, customer_pk
from quittance.runtime import composition
from quittance.runtime.fact_worker import fact_worker
from quittance.runtime.table import CLIENT_CONFIG, DynamoTable
from quittance.space_invoices import SpaceInvoices
from quittance.storage import Put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from botocore.awsrequest import AWSPreparedRequest
    from botocore.config import Config

TARGET = 1.3
ROUNDS, QUICK_ROUNDS = 31, 2
"""Many short rounds rather than a few long ones: then a busy neighbour disturbs both handlers alike."""
EVENTS = 40
"""New payments in a round."""
_HOT_SPOTS = 14
_TIMEOUT_S = 900
_Place: TypeAlias = tuple[str, int, str]
_CONTEXT = cast("LambdaContext", SimpleNamespace(get_remaining_time_in_millis=lambda: 20_000, aws_request_id="request"))

Record: TypeAlias = dict[str, Any]


class Refused(Exception):
    """A service refuses: the error's type."""


class Services:
    """DynamoDB and SSM below the SDK, and the invoicing API below the HTTP client: as little of each as the worker needs."""

    def __init__(self) -> None:
        self.forget()
        self.calls: list[tuple[str, Any]] | None = None
        """What was asked, once somebody wants to know."""

    def forget(self) -> None:
        self._partitions: dict[str, dict[str, Any]] = defaultdict(dict)
        self.invoices = self.bytes = 0

    def answer_aws(self, request: AWSPreparedRequest, **_event: object) -> AWSResponse:
        """In place of sending `request`: DynamoDB and SSM both speak JSON under the operation's own parameter names."""
        operation = _text(request.headers["X-Amz-Target"]).rpartition(".")[2]
        parameters = json.loads(cast("bytes", request.body))
        if self.calls is not None:
            self.calls.append((operation, parameters))
        status, told = self.told(operation, parameters)
        answer = json.dumps(told).encode()
        self.bytes += len(cast("bytes", request.body)) + len(answer)
        return AWSResponse(request.url, status, HTTPHeaders(), _Raw(answer))

    def told(self, operation: str, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body of an answer."""
        answer = getattr(self, f"_{operation}", None)
        if answer is None:
            return 400, {"__type": "UnknownOperationException"}
        try:
            return 200, answer(parameters)
        except Refused as refused:
            return 400, {"__type": str(refused)}

    def answer_http(self, request: httpx.Request) -> httpx.Response:
        if self.calls is not None:
            self.calls.append(("request", request))
        self.invoices += 1
        asked = json.loads(request.content)
        names = {
            "id": f"inv_{self.invoices}",
            "number": f"2026-{self.invoices:05}",
            "total_paid": asked["expected_total_with_tax"],
        }
        answer = asked | names | {"total_with_tax": asked["expected_total_with_tax"]}
        self.bytes += len(request.content)
        return httpx.Response(201, json=answer)

    def _Query(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's names, here and below
        pk = parameters["ExpressionAttributeValues"].get(":pk", {"S": ""})["S"]  # there is none where an index is asked
        items = list(self._partitions[pk].values())
        return {"Items": items, "Count": len(items)}

    def _GetItem(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        keys = parameters["Key"]
        item = self._partitions[keys["pk"]["S"]].get(keys["sk"]["S"])
        return {"Item": item} if item else {}

    def _PutItem(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        item = parameters["Item"]
        self._partitions[item["pk"]["S"]][item["sk"]["S"]] = item
        return {}

    def _TransactWriteItems(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        for write in parameters["TransactItems"]:
            self._PutItem(write["Put"])
        return {}

    def _GetParameter(self, _parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Parameter": {"Value": "sk_sandbox_benchmark"}}


class _Raw(io.BytesIO):
    def stream(self) -> Iterator[bytes]:
        yield self.read()


def _text(header: str | bytes) -> str:
    return header.decode() if isinstance(header, bytes) else header


def real_handler(services: Services, *types: FactType) -> Callable[[Record], None]:
    """`payment_succeeded` as its function makes it, one record per call as on a quiet queue; or a worker of other types."""
    transport = httpx.MockTransport(services.answer_http)
    with patch.object(composition, "SpaceInvoices", partial(SpaceInvoices, transport=transport)):
        handler = fact_worker(*types or (FactType.PAYMENT_SUCCEEDED,))

    def handle(record: Record) -> None:
        if handler({"Records": [record]}, _CONTEXT)["batchItemFailures"]:
            raise AssertionError("a payment failed: see what the worker logged")

    return handle


def bare_handler(
    services: Services, calls: dict[str, list[tuple[str, Any]]], config: Config | None = None
) -> Callable[[Record], None]:
    """Makes for each record the calls that the real one made for it, ready-made; without a `config` with the SDK as it comes."""
    table = boto3.client("dynamodb", config=config)
    http = httpx.Client(
        base_url=ENVIRONMENT["SPACE_INVOICES_BASE_URL"], transport=httpx.MockTransport(services.answer_http), trust_env=False
    )
    of_operation = {"Query": table.query, "GetItem": table.get_item, "TransactWriteItems": table.transact_write_items}
    of_operation["PutItem"] = table.put_item
    ready = {name: [_ready(call, of_operation, http) for call in made] for name, made in calls.items()}

    def handle(record: Record) -> None:
        json.loads(record["body"])
        for call in ready[record["messageId"]]:
            call()

    return handle


def _ready(call: tuple[str, Any], of_operation: dict[str, Any], http: httpx.Client) -> Callable[[], object]:
    operation, asked = call
    if operation == "request":
        own = {name: value for name, value in asked.headers.items() if name not in {"host", "content-length", "connection"}}
        return partial(http.request, asked.method, asked.url.path, headers=own, content=asked.content)
    return partial(of_operation[operation], **asked)


def answered_by(services: Services) -> None:
    """Clients that are made from here on get their answers from these services."""
    boto3.DEFAULT_SESSION = session = boto3.Session()
    session.events.register("before-send", cast("Callable[..., None]", services.answer_aws))


def register(services: Services) -> None:
    """One business customer, as its registration leaves it, in services that know nothing else."""
    services.forget()
    table = DynamoTable(ENVIRONMENT["TABLE_NAME"])
    profile = {"name": "Acme", "country": "DE", "timezone": "Europe/Berlin"}
    table.commit([Put({"pk": customer_pk("bc_1"), "sk": PROFILE, "version": 1, "profile": profile, "entity_id": "ent_1"})])
    Ledger(table).claim_account("stripe", "acct_1", "bc_1")


def record(n: int) -> Record:
    """A message about a new payment, as SQS hands it to the function."""
    fact = Fact(
        type=FactType.PAYMENT_SUCCEEDED,
        provider="stripe",
        account="acct_1",
        key=f"pay_{n}",
        payment_id=f"pay_{n}",
        also_known_as=(f"ch_{n}",),
        occurred_at="2026-11-20T10:00:00Z",
        amount=Money(12345, "EUR"),
        method="card",
        order_id=f"ord_{n}",
        description=f"Order {n}",
        payer=Payer(name="Ada Ltd", email="ap@example.com", country="DE", tax_number=_vat_number(n)),
    )
    return message_of(fact)


def message_of(fact: Fact) -> Record:
    """A message as SQS hands it over that brings this fact for the first time."""
    name = fact.identity
    body = {
        "fact": fact.to_json(),
        "event_id": f"evt_{name}",
        "event_type": "charge.succeeded",
        "received_at": "2026-11-20T10:00:01Z",
    }
    return {
        "messageId": f"message-{name}",
        "receiptHandle": f"receipt-{name}",
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": f"group-{name}"},
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:payment_succeeded.fifo",
    }


def _vat_number(n: int) -> str:
    """One of the German form with its check digit by ISO 7064, another for each payment, as in life."""
    digits, product = f"{10_000_000 + n:08}", 10
    for digit in digits:
        product = 2 * ((int(digit) + product) % 10 or 10) % 11
    return f"DE{digits}{(11 - product) % 10}"


def measure(*, quick: bool, known: object) -> Measured:  # noqa: ARG001 - every part is asked alike
    """In a process of its own, whose output is the worker's log and nobody's interest."""
    measured = in_a_process("benchmarks.warm_worker", QUICK_ROUNDS if quick else ROUNDS)
    real = measured["real_ms"]
    calls = {name: measured[name] for name in ("calls_per_event", "by_call")}
    name = "warm worker, CPU per event ÷ a bare handler with the same calls and the SDK as it comes"
    lean = "the same ÷ a bare handler whose SDK is set up like ours"
    figures = [
        ratio(name, real, measured["bare_ms"], TARGET, **calls, hot_spots=measured["hot_spots"]).under(name),
        ratio(lean, real, measured["lean_ms"]).under(lean),
    ]
    return Measured(figures, calls | {"cpu_ms": median(real)})


def in_a_process(module: str, *numbers: int) -> dict[str, Any]:
    """What a module of this package writes into the file that it is given, in the environment of a function."""
    environment = {**os.environ, **ENVIRONMENT}
    environment.pop("AWS_ENDPOINT_URL", None)
    with TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, "-m", module, str(result), *map(str, numbers)]
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True, timeout=_TIMEOUT_S)  # noqa: S603 - our own program
        measured: dict[str, Any] = json.loads(result.read_text())
    return measured


def compare(number: int) -> dict[str, Any]:
    """So many rounds of the real handler and the bare one in turns."""
    services = Services()
    answered_by(services)
    records = [record(n) for n in range(EVENTS)]
    real = real_handler(services)
    register(services)
    real(record(-1))  # what a warm worker has behind it: the key, the customer, the HTTP client
    calls = _calls_of(real, services, records)
    bare, lean = bare_handler(services, calls), bare_handler(services, calls, CLIENT_CONFIG)
    bare(records[0])
    lean(records[0])
    handlers = {"real_ms": real, "bare_ms": bare, "lean_ms": lean}
    rounds = [{name: _cpu_ms(handle, services, records) for name, handle in handlers.items()} for _ in range(number)]
    return {
        **{name: [measured[name] for measured in rounds] for name in handlers},
        "calls_per_event": sum(map(len, calls.values())) / EVENTS,
        "by_call": {name: n / EVENTS for name, n in Counter(name for made in calls.values() for name, _ in made).items()},
        "hot_spots": _hot_spots(real, bare, services),
    }


def _calls_of(real: Callable[[Record], None], services: Services, records: list[Record]) -> dict[str, list[tuple[str, Any]]]:
    register(services)
    calls: dict[str, list[tuple[str, Any]]] = {}
    for one in records:
        services.calls = calls[one["messageId"]] = []
        real(one)
    services.calls = None
    return calls


def _cpu_ms(handle: Callable[[Record], None], services: Services, records: list[Record]) -> float:
    register(services)
    started = time.process_time()
    for one in records:
        handle(one)
    spent = time.process_time() - started
    if services.invoices != len(records):
        raise AssertionError(f"{services.invoices} invoices for {len(records)} payments")
    return 1000 * spent / len(records)


def _hot_spots(real: Callable[[Record], None], bare: Callable[[Record], None], services: Services) -> list[dict[str, Any]]:
    """Where the real handler spends more than the bare one, by module; a profiled millisecond is longer than a real one."""
    ours, theirs = _profile(real, services), _profile(bare, services)
    more = ((spent - theirs.get(module, 0), module) for module, spent in ours.items())
    return [{"module": module, "ms": round(spent, 3)} for spent, module in nlargest(_HOT_SPOTS, more)]


def _profile(handle: Callable[[Record], None], services: Services) -> dict[str, float]:
    """Milliseconds per event in each module itself; what is built into the interpreter counts for the module that called it."""
    register(services)
    profile = cProfile.Profile(time.process_time)  # its own clock would count the neighbours' time too
    records = [record(n) for n in range(EVENTS)]
    with profile:
        for one in records:
            handle(one)
    spent: dict[str, float] = defaultdict(float)
    statistics: dict[_Place, tuple[int, int, float, float, dict[_Place, tuple[int, int, float, float]]]]
    statistics = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    for place, (_, _, own_s, _, callers) in statistics.items():
        if place[0] == "~":
            for (path, _, _), (_, _, called_s, _) in callers.items():
                spent[_module(path)] += called_s * 1000 / EVENTS
        else:
            spent[_module(place[0])] += own_s * 1000 / EVENTS
    return spent


def _module(path: str) -> str:
    """A file by its place below the folder it is imported from."""
    parts = Path(path).with_suffix("").parts
    roots = [n for n, part in enumerate(parts) if part in {"site-packages", "shared"} or part.startswith("python3.")]
    return ".".join(parts[roots[-1] + 1 :] if roots else parts[-1:])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(compare(int(sys.argv[2]))))
