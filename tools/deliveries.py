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
import zlib
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


def signed_delivery(provider_name: str, body: bytes, secret: str, now_s: int) -> tuple[bytes, dict[str, str]]:
    """What is sent of `body`, and its headers, signed with `secret` at `now_s` seconds since the epoch.

    Raises `KeyError` for a provider without a signing scheme here.
    """
    sent = _SIGNED_INSIDE[provider_name](body, secret) if provider_name in _SIGNED_INSIDE else body
    return sent, {"Content-Type": "application/json"} | _SIGNED[provider_name](sent, secret, now_s)


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


def _space_invoices_headers(body: bytes, secret: str, now_s: int) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Webhook-Signature": f"sha256={digest}", "X-Webhook-Timestamp": str(now_s)}


def _adyen_headers(body: bytes, secret: str, now_s: int) -> dict[str, str]:  # noqa: ARG001 - nothing is timed
    """None for payment notifications, whose items are signed one by one."""
    return {} if _notification_items(body) else {"HmacSignature": _adyen_signature(body, secret)}


def _adyen_body(body: bytes, secret: str) -> bytes:
    if not (items := _notification_items(body)):
        return body
    notification = json.loads(body)
    for place, item in enumerate(items):
        amount = item.get("amount") or {}
        fields = [item.get(name, "") for name in _ADYEN_REFERENCES]
        fields += [amount.get("value", ""), amount.get("currency", ""), item.get("eventCode", ""), item.get("success", "")]
        signature = _adyen_signature(":".join(map(str, fields)).encode(), secret)
        item["additionalData"] = (item.get("additionalData") or {}) | {"hmacSignature": signature}
        notification["notificationItems"][place] = {"NotificationRequestItem": item}
    return json.dumps(notification).encode()


_ADYEN_REFERENCES = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")


def _notification_items(body: bytes) -> list[dict[str, Any]]:
    """The items of a payment notification; none if it is anything else."""
    try:
        items = [entry["NotificationRequestItem"] for entry in json.loads(body)["notificationItems"]]
    except (ValueError, KeyError, TypeError):
        return []
    return items if all(isinstance(item, dict) for item in items) else []


def _adyen_signature(content: bytes, secret: str) -> str:
    return base64.b64encode(hmac.new(bytes.fromhex(secret), content, hashlib.sha256).digest()).decode()


def _checkout_headers(body: bytes, secret: str, now_s: int) -> dict[str, str]:  # noqa: ARG001 - nothing is timed
    return {"Cko-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def _paypal_headers(body: bytes, secret: str, now_s: int) -> dict[str, str]:
    from tools.paypal_authority import URL, authority  # noqa: PLC0415 - takes longer than all else here

    transmission_id = str(uuid.UUID(bytes=hashlib.sha256(body).digest()[:16]))
    sent_at = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    signature = authority().signature(f"{transmission_id}|{sent_at}|{secret}|{zlib.crc32(body)}".encode())
    return {
        "PayPal-Transmission-Id": transmission_id,
        "PayPal-Transmission-Time": sent_at,
        "PayPal-Transmission-Sig": base64.b64encode(signature).decode(),
        "PayPal-Cert-Url": URL,
        "PayPal-Auth-Algo": "SHA256withRSA",
    }


def _mollie_headers(body: bytes, secret: str, now_s: int) -> dict[str, str]:  # noqa: ARG001 - nothing is timed
    """None for classic deliveries, which are forms and are not signed."""
    if not body.lstrip().startswith(b"{"):
        return {"Content-Type": "application/x-www-form-urlencoded"}
    return {"X-Mollie-Signature": f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"}


def _gocardless_headers(body: bytes, secret: str, now_s: int) -> dict[str, str]:  # noqa: ARG001 - nothing is timed
    return {"Webhook-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


_SIGNED = {
    "platform": _platform_headers,
    "stripe": _stripe_headers,
    "space-invoices": _space_invoices_headers,
    "adyen": _adyen_headers,
    "checkout": _checkout_headers,
    "paypal": _paypal_headers,
    "mollie": _mollie_headers,
    "gocardless": _gocardless_headers,
}
_SIGNED_INSIDE = {"adyen": _adyen_body}
"""Of those that sign in the body: what is sent."""


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
    sent, headers = signed_delivery(name, body, secret, int(time.time()))
    json.dump(api_gateway_event(name, chosen.connection, sent, headers), sys.stdout, indent=2)


def _worker_event(name: str, body: bytes, connection: str, function: str) -> dict[str, Any]:
    translation = provider(name).translate(body, connection, {})
    queued = delivery_messages(name, connection, translation, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    mine = [message for message in queued if message.function == function]
    if not mine:
        raise SystemExit(f"this delivery is for {', '.join(sorted({message.function for message in queued}))}, not {function}")
    return sqs_event(mine)


if __name__ == "__main__":
    try:
        main()
    except Reject as rejected:
        raise SystemExit(str(rejected)) from None
