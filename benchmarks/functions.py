"""Each built function under AWS's own runtime client: how long it takes to be ready, and the most memory it takes under load.

The load is what the function gets in life: signed deliveries for ingest, full batches for workers, each of new payments.
"""

from __future__ import annotations

import base64
import json
import re
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import yaml
from boto3.dynamodb.types import TypeSerializer
from rich.table import Table

from benchmarks import lambda_runtime
from benchmarks.cold_start import ENVIRONMENT, PLAIN, built_copy, folders_of, plain_libraries
from benchmarks.figures import Figure, Measured, ratio
from benchmarks.peers.services import SECRET, PeerServices
from quittance.ledger import OWNER, owner_pk
from quittance.registration import PROFILE, customer_pk
from tools.deliveries import signed_delivery
from tools.lambda_events import lambda_events
from tools.local_stack import sam

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.lambda_runtime import Run

ROUNDS, QUICK_ROUNDS = 5, 1
BATCH = 10
"""The most messages of a call."""
INVOCATIONS, QUICK_INVOCATIONS = 40, 3
SHARE_MAX = 0.5
"""Of its memory that a function may take under load: the rest is for bodies and answers larger than these."""
_TIMED = {
    "IngestFunction": "for name in ('sqs', 'ssm'): boto3.client(name)",
    "PaymentSucceededFunction": "import httpx, pydantic\nfor name in ('dynamodb', 'ssm'): boto3.client(name)",
}
"""Those whose start is compared: with what an empty handler needs that loads their libraries."""
_NAMES = re.compile(r"pay_\w+|pi_\w+|sub_\w+|in_\w+|re_\w+|dp_\w+|po_\w+|evt_\w+|msg_\w+")
"""What makes an event of a sample another one."""


class _Cloud(PeerServices):
    """With the keys of the journal, and the business customers that the samples are about."""

    def __init__(self) -> None:
        super().__init__()
        profile = {"name": "Acme", "country": "DE", "timezone": "Europe/Berlin"}
        for name in ("bc_harbour_books", "bc_42"):
            self._keep(pk=customer_pk(name), sk=PROFILE, version=1, profile=profile, entity_id="ent_1")
            self._keep(pk=owner_pk("platform", name), sk=OWNER, business_customer=name)

    def _keep(self, **item: Any) -> None:  # noqa: ANN401 - attributes
        serialized = {name: TypeSerializer().serialize(value) for name, value in item.items()}
        self._PutItem({"TableName": ENVIRONMENT["TABLE_NAME"], "Item": serialized})

    def _GetParameter(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        if parameters["Name"] == ENVIRONMENT["EVIDENCE_KEYS_PARAMETER"]:
            return {"Parameter": {"Name": parameters["Name"], "Value": "k1 " + 64 * "a"}}
        return super()._GetParameter(parameters)


def measure(*, quick: bool, known: Mapping[str, Any]) -> Measured:
    """Memory of every function, and the start of those that somebody waits for."""
    lambda_runtime.client()
    events = lambda_events()
    with built_copy() as built, TemporaryDirectory() as folder:
        sizes = _memory_sizes(built)
        plain_libraries()
        rows = [
            _row(name, built, events[_folder(name)], sizes[name], QUICK_INVOCATIONS if quick else INVOCATIONS)
            for name in sorted(path.name for path in built.glob("*Function"))
        ]
        figures = [_start(name, built, Path(folder), QUICK_ROUNDS if quick else ROUNDS) for name in _TIMED]
    for row in rows:
        if row["function"] == "Reconcile" and "reconciliation" in known:
            row["peak_mib"] = max(large["peak_rss_mib"] for _, large in known["reconciliation"]["runs"])
    shares = {row["function"]: row["peak_mib"] / row["memory_mb"] for row in rows}
    largest = max(shares, key=shares.__getitem__)
    figures.append(
        Figure("largest share of its memory that a function takes", shares[largest], SHARE_MAX, details={"of": largest})
    )
    return Measured(figures, {"functions": rows}, [_table(rows)])


def _memory_sizes(built: Path) -> dict[str, int]:
    template = yaml.safe_load((built / sam.BUILT_TEMPLATE.name).read_text())
    common = template["Globals"]["Function"]["MemorySize"]
    resources = {name: body for name, body in template["Resources"].items() if isinstance(body, dict)}  # loops are lists
    return {name: body["Properties"].get("MemorySize", common) for name, body in resources.items() if name.endswith("Function")}


def _folder(function: str) -> str:
    """PaymentSucceededFunction -> payment_succeeded."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", function.removesuffix("Function")).lower()


def _row(name: str, built: Path, event: dict[str, Any], memory_mb: int, invocations: int) -> dict[str, Any]:
    run = lambda_runtime.run(folders_of(name, built), _load(name, event, invocations), _Cloud())
    invoked = max(1, len(run.answers) + len(run.errors))
    handled = invoked * (BATCH if "Records" in event else 1)
    return {
        "function": name.removesuffix("Function"),
        "memory_mb": memory_mb,
        "init_ms": run.init_ms,
        "init_mib": run.init_mib,
        "peak_mib": run.loaded_mib,
        "cpu_ms": run.loaded_ms / handled,
        "events": handled,
        "not_done": _not_done(run),
    }


def _not_done(run: Run) -> int:
    """How many invocations raised, or gave something back: for want of what only a whole stack has."""
    bad = [one for one in run.answers if one and (one.get("batchItemFailures") or one.get("statusCode", 200) >= 400)]  # noqa: PLR2004 - HTTP's errors
    return len(run.errors) + len(bad)


def _load(name: str, event: dict[str, Any], invocations: int) -> list[Any]:
    if name == "IngestFunction":
        return [_delivery(number) for number in range(invocations)]
    if "Records" not in event:
        return [event] * invocations
    return [_batch(event, number * BATCH) for number in range(invocations)]


def _batch(event: dict[str, Any], first: int) -> dict[str, Any]:
    """The sample's message again and again, each time of other names."""
    text = json.dumps(event["Records"][0])
    records = [json.loads(_NAMES.sub(rf"\g<0>x{n}", text)) for n in range(first, first + BATCH)]
    for n, record in enumerate(records):
        record["messageId"] = f"message-{first + n}"
        if "attributes" in record and "MessageGroupId" in record["attributes"]:
            record["attributes"]["MessageGroupId"] = f"group-{first + n}"
            record["attributes"]["ApproximateFirstReceiveTimestamp"] = str(int(time.time() * 1000))
    return {"Records": records}


def _delivery(number: int) -> dict[str, Any]:
    body = (sam.ROOT / "events" / "stripe" / "payment_intent.succeeded.json").read_text().replace("Harbour0001", f"B{number}")
    sent, headers = signed_delivery("stripe", body.encode(), SECRET, int(time.time()))
    return {
        "path": "/webhooks/stripe/default",
        "httpMethod": "POST",
        "headers": headers,
        "requestContext": {"requestId": f"request-{number}"},
        "body": base64.b64encode(sent).decode(),
        "isBase64Encoded": True,
    }


def _start(name: str, built: Path, folder: Path, rounds: int) -> Figure:
    """The whole start, interpreter and runtime client included, over that of an empty handler with the same libraries."""
    empty = folder / name
    empty.mkdir()
    (empty / "app.py").write_text(f"import boto3\n{_TIMED[name]}\ndef handler(event, context): return {{}}\n")
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(lambda_runtime.run(folders_of(name, built), [], _Cloud()).init_ms)
        theirs.append(lambda_runtime.run([str(empty), str(PLAIN)], [], _Cloud()).init_ms)
    title = f"start of {name.removesuffix('Function')} under the runtime client, CPU ms ÷ an empty handler with its libraries"
    return ratio(title, ours, theirs, init_ms=round(median(ours)))


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("function", title="Functions under the runtime client", title_justify="left")
    titles = ("MemorySize", "MiB at start", "MiB under load", "start, CPU ms", "CPU ms per event", "not done")
    for title in titles:
        table.add_column(title, justify="right")
    for row in rows:
        values = (row["memory_mb"], row["init_mib"], row["peak_mib"], row["init_ms"])
        table.add_row(row["function"], *(f"{value:.0f}" for value in values), f"{row['cpu_ms']:.2f}", str(row["not_done"] or ""))
    return table
