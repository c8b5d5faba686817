"""Sample deliveries as a provider would send them: signed now, and wrapped the way API Gateway and SQS hand them over.

Signatures age, so a body under `events/` is signed when it is used:

    python -m tools.deliveries events/stripe/payment_intent.succeeded.json | sam local invoke ingest --event -
    python -m tools.deliveries events/stripe/refund.updated.json --function refund_processed |
        sam local invoke refund_processed --event -
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quittance.errors import Reject
from quittance.providers import provider
from quittance.runtime.queues import Message, delivery_messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LOCAL_STACK = Path("build/local.json")
"""What `make local` writes: among others a secret for every provider."""


def signed_headers(provider_name: str, body: bytes, secret: str, now_s: int) -> dict[str, str]:
    """The headers of a delivery of `body`, signed with `secret` at `now_s` seconds since the epoch.

    Raises `KeyError` for a provider without a signing scheme here.
    """
    signed = {"platform": _platform_headers, "stripe": _stripe_headers}[provider_name](body, secret, now_s)
    return {"Content-Type": "application/json"} | signed


def _platform_headers(body: bytes, secret: str, now_s: int) -> dict[str, str]:
    webhook_id = json.loads(body)["id"]
    key = base64.b64decode(secret.removeprefix("whsec_") + "==")
    digest = hmac.new(key, f"{webhook_id}.{now_s}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _stripe_headers(body: bytes, secret: str, now_s: int) -> dict[str, str]:
    digest = hmac.new(secret.encode(), f"{now_s}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={now_s},v1={digest}"}


def api_gateway_event(provider_name: str, connection: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """A delivery as the REST API's proxy integration passes it to `ingest`."""
    path = f"/webhooks/{provider_name}/{connection}"
    return {
        "resource": "/webhooks/{provider}/{connection}",
        "path": path,
        "httpMethod": "POST",
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"provider": provider_name, "connection": connection},
        "stageVariables": None,
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "resourcePath": "/webhooks/{provider}/{connection}",
            "path": path,
            "httpMethod": "POST",
            "stage": "local",
        },
        "body": body.decode(),
        "isBase64Encoded": False,
    }


def sqs_event(queued: Iterable[Message]) -> dict[str, Any]:
    """Messages as SQS passes them to the function of their queue, each received for the first time."""
    return {"Records": [_sqs_record(message) for message in queued]}


def _sqs_record(message: Message) -> dict[str, Any]:
    sent_at_ms = str(time.time_ns() // 1_000_000)
    return {
        "messageId": str(uuid.uuid4()),
        "receiptHandle": str(uuid.uuid4()),
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": sent_at_ms,
            "ApproximateFirstReceiveTimestamp": sent_at_ms,
            "MessageGroupId": message.group,
            "MessageDeduplicationId": message.deduplication_id,
        },
        "messageAttributes": {},
        "md5OfBody": hashlib.md5(message.body.encode(), usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:eu-central-1:000000000000:{message.function}.fifo",
        "awsRegion": "eu-central-1",
    }


def main() -> None:
    """Print the event with which to invoke a function for a sample delivery."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("file", type=Path, help="a provider's body, events/<provider>/<name>.json")
    parser.add_argument("--connection", default="default")
    parser.add_argument("--secret", help=f"signing secret; by default that of the running local stack ({LOCAL_STACK})")
    parser.add_argument("--function", help="print the SQS event for this worker instead of the request for ingest")
    chosen = parser.parse_args()
    body, name = chosen.file.read_bytes(), chosen.file.resolve().parent.name
    if chosen.function:
        json.dump(_worker_event(name, body, chosen.connection, chosen.function), sys.stdout, indent=2)
        return
    secret = chosen.secret or json.loads(LOCAL_STACK.read_text(encoding="utf-8"))["secrets"][name]
    headers = signed_headers(name, body, secret, int(time.time()))
    json.dump(api_gateway_event(name, chosen.connection, body, headers), sys.stdout, indent=2)


def _worker_event(name: str, body: bytes, connection: str, function: str) -> dict[str, Any]:
    translation = provider(name).translate(body, connection, {})
    queued = delivery_messages(name, translation, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    mine = [message for message in queued if message.function == function]
    if not mine:
        raise SystemExit(f"this delivery is for {', '.join(sorted({message.function for message in queued}))}, not {function}")
    return sqs_event(mine)


if __name__ == "__main__":
    try:
        main()
    except Reject as rejected:
        raise SystemExit(str(rejected)) from None
