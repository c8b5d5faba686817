"""Both pipelines from the signed webhook to the issued document.

Run as `python -m benchmarks.peers.pipelines NAME EVENTS WARM_UP RESULT`. Everything below the SDK and below the HTTP client is
answered in memory. Standard output is the functions' log.
"""

from __future__ import annotations

import base64
import json
import os
import runpy
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from unittest.mock import patch

import httpx

from benchmarks.peers.powertools_pattern import Pattern
from benchmarks.peers.services import SECRET, PeerServices
from benchmarks.warm_worker import answered_by, register
from quittance.facts import FactType
from quittance.ledger import Ledger
from quittance.runtime import composition
from quittance.runtime.fact_worker import fact_worker
from quittance.runtime.table import DynamoTable
from quittance.space_invoices import SpaceInvoices
from tools.deliveries import signed_delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

    Function = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]

FUNCTIONS = Path(__file__).parents[2] / "functions"
PAUSE_MS = 20_000


def context(remaining_ms: int = PAUSE_MS) -> LambdaContext:
    names = {"function_name": "f", "memory_limit_in_mb": 512, "invoked_function_arn": "arn", "aws_request_id": "request"}
    return cast("LambdaContext", SimpleNamespace(get_remaining_time_in_millis=lambda: remaining_ms, **names))


def quittance(services: PeerServices) -> tuple[Function, Function]:
    """`ingest` and `payment_succeeded`, with a business customer whom all deliveries belong to."""
    os.environ["QUEUE_URLS"] = json.dumps(
        dict.fromkeys((path.name for path in FUNCTIONS.iterdir()), "https://sqs.invalid/q.fifo")
    )
    register(services)
    Ledger(DynamoTable(os.environ["TABLE_NAME"])).claim_account("stripe", "connection:default", "bc_1")
    ingest = runpy.run_path(str(FUNCTIONS / "ingest" / "app.py"))["handler"]
    transport = httpx.MockTransport(services.answer_http)
    with patch.object(composition, "SpaceInvoices", partial(SpaceInvoices, transport=transport)):
        return ingest, fact_worker(FactType.PAYMENT_SUCCEEDED)


def pattern(services: PeerServices) -> tuple[Function, Function]:
    built = Pattern("ent_1", httpx.MockTransport(services.answer_http))
    return built.entrance, built.worker


PIPELINES = {"quittance": quittance, "powertools": pattern}


def deliver(event: dict[str, Any], *, is_encoded: bool) -> dict[str, Any]:
    """An API Gateway request with a Stripe event, signed now. Our API hands bodies over in base64, one by default does not."""
    body, headers = signed_delivery("stripe", json.dumps(event).encode(), SECRET, int(time.time()))
    return {
        "path": "/webhooks/stripe/default",
        "httpMethod": "POST",
        "headers": headers,
        "requestContext": {"requestId": event["id"]},
        "body": base64.b64encode(body).decode() if is_encoded else body.decode(),
        "isBase64Encoded": is_encoded,
    }


def batch(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Messages as the functions get them from a FIFO queue."""
    return {
        "Records": [
            {
                "messageId": f"m{place}",
                "receiptHandle": f"r{place}",
                "body": one["body"],
                "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": one["group"]},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:payment_succeeded.fifo",
            }
            for place, one in enumerate(messages)
        ]
    }


def run(name: str, events: list[dict[str, Any]], warm_up: int) -> dict[str, float]:
    """CPU per event, events per second and requests to the API per document, from the delivery to the document."""
    services = PeerServices()
    answered_by(services)
    entrance, worker = PIPELINES[name](services)

    def take(event: dict[str, Any]) -> None:
        answer = entrance(deliver(event, is_encoded=name == "quittance"), context())
        failed = worker(batch(services.queued), context())["batchItemFailures"]
        if answer["statusCode"] >= httpx.codes.BAD_REQUEST or failed or not services.queued:
            raise AssertionError(f"{event['id']}: {answer}, {failed}")
        services.queued.clear()

    for event in events[:warm_up]:
        take(event)
    services.requests = services.invoices = 0
    cpu, wall = time.process_time(), time.perf_counter()
    for event in events[warm_up:]:
        take(event)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    number = len(events) - warm_up
    if services.invoices != number:
        raise AssertionError(f"{services.invoices} invoices for {number} payments")
    return {"cpu_ms": 1000 * cpu / number, "per_second": number / wall, "requests": services.requests / number}


if __name__ == "__main__":
    chosen, file, warm, result = sys.argv[1:]
    Path(result).write_text(json.dumps(run(chosen, json.loads(Path(file).read_text()), int(warm))))
