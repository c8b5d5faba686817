"""Webhooks in: verify a delivery over its raw bytes, translate it into facts, queue them, answer.

What is not queued is not acknowledged. Nothing here knows the ledger or the invoicing API.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from quittance.errors import QuittanceError, Reject, Retry
from quittance.providers import (
    PROVIDER_UNKNOWN,
    SIGNATURE_CODES,
    SIGNATURE_MISMATCH,
    Acknowledgement,
    Provider,
    provider,
)
from quittance.providers.published import PUBLICATIONS
from quittance.runtime.accepted import accepted
from quittance.runtime.observability import count, logger
from quittance.runtime.play_money import on_this_stack
from quittance.runtime.published import HttpsCertificates
from quittance.runtime.queues import Queues, delivery_messages
from quittance.runtime.sdk import LEAN
from quittance.runtime.secrets import CONNECTION_UNKNOWN, Connection, Connections

if TYPE_CHECKING:
    from collections.abc import Mapping

BODY_BYTES_MAX = 1_000_000
ROUTE_UNKNOWN = "route_unknown"
BODY_TOO_LARGE = "body_too_large"

_STATUS_OF = dict.fromkeys(SIGNATURE_CODES, 401) | {
    PROVIDER_UNKNOWN: 404,
    CONNECTION_UNKNOWN: 404,
    ROUTE_UNKNOWN: 404,
    BODY_TOO_LARGE: 413,
}
"""The answer to each code of `Reject` that is not simply a body we cannot read (400)."""

# Senders wait ten seconds or more. Two attempts of three seconds leave time for an answer, with SSM or SQS slow but not both.
_AWS = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"}, **LEAN)
_environment = os.environ.get("INVOICING_ENVIRONMENT", "sandbox")
_connections = Connections(boto3.client("ssm", config=_AWS), os.environ["CONNECTIONS_PATH"])
PUBLICATIONS.source = HttpsCertificates(os.environ.get("CERTIFICATES_STAND_IN_URL", ""))
_queues = Queues(boto3.client("sqs", config=_AWS), json.loads(os.environ["QUEUE_URLS"]))


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Answer one API Gateway proxy request."""
    request_id = (event.get("requestContext") or {}).get("requestId") or getattr(context, "aws_request_id", "")
    with logger.append_context_keys(request_id=request_id, correlation_id=request_id, provider=None, connection=None):
        try:
            answer = _answer(event)
        except Reject as rejected:
            return _refusal(_STATUS_OF.get(rejected.code, 400), rejected)
        except Retry as unavailable:
            return _refusal(503, unavailable)
        except Exception:  # noqa: BLE001 - the boundary: whatever it was, the sender is asked to come again
            # Nothing was acknowledged, so the sender's retry is the recovery; the log has where it broke, not on what.
            logger.exception("delivery failed unexpectedly")
            return _response(503, '{"error":"unavailable"}')
        return _response(answer.status, answer.body, answer.content_type)


def _answer(event: dict[str, Any]) -> Acknowledgement:
    match [part for part in (event.get("path") or "").split("/") if part], event.get("httpMethod"):
        case [*_, "health"], "GET":
            return Acknowledgement(body='{"status":"ok"}')
        case [*_, "webhooks", name, connection], "POST":
            return _receive(name, connection, event)
        case _:
            raise Reject(ROUTE_UNKNOWN)


def _receive(name: str, connection_name: str, event: dict[str, Any]) -> Acknowledgement:
    chosen = provider(name)
    raw = _raw_body(event)
    connection = _connections.get(name, connection_name)
    logger.append_keys(provider=name, connection=connection_name)
    try:
        _verify(chosen, raw, _headers(event), connection, (name, connection_name))
        translation = on_this_stack(chosen.translate(raw, connection_name, connection.settings), _environment)
        _queues.send(delivery_messages(name, connection_name, translation, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")))
    except Reject as rejected:
        metric = "SignatureFailures" if rejected.code in SIGNATURE_CODES else "BadInput"
        count(metric, provider=name, event_type="other")
        raise
    for told in translation.events:
        accepted(name, chosen, told)
    return chosen.acknowledge()


def _verify(chosen: Provider, raw: bytes, headers: Mapping[str, str], connection: Connection, place: tuple[str, str]) -> None:
    """Verify under the known secrets, and once more under fresh ones: the secret may just have been rotated."""
    now_s = int(time.time())
    try:
        chosen.verify(raw, headers, connection.secrets, now_s)
    except Reject as rejected:
        fresh = _connections.refetched(*place) if rejected.code == SIGNATURE_MISMATCH else None
        if fresh is None or fresh.secrets == connection.secrets:
            raise
        chosen.verify(raw, headers, fresh.secrets, now_s)


# --- the request and the response, as API Gateway's REST proxy integration shapes them -----------------------------------


def _raw_body(event: dict[str, Any]) -> bytes:
    """The bytes that were sent. Raises `Reject` if there are too many, or if they cannot be recovered."""
    body = event.get("body") or ""
    try:
        raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except (binascii.Error, ValueError):
        raise Reject("unreadable_body") from None
    if len(raw) > BODY_BYTES_MAX:
        raise Reject(BODY_TOO_LARGE)
    return raw


def _headers(event: dict[str, Any]) -> dict[str, str]:
    """Every header under its lower-case name; the values of a repeated one are joined as RFC 9110 says."""
    joined: dict[str, list[str]] = {}
    repeated = event.get("multiValueHeaders") or {name: [value] for name, value in (event.get("headers") or {}).items()}
    for name, values in repeated.items():
        joined.setdefault(name.lower(), []).extend(values)
    return {name: ", ".join(values) for name, values in joined.items()}


def _refusal(status: int, error: QuittanceError) -> dict[str, Any]:
    logger.warning("delivery refused", extra={"status": status, "code": error.code, "reason": str(error)})
    return _response(status, json.dumps({"error": error.code}))


def _response(status: int, body: str, content_type: str = "application/json") -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Content-Type": content_type}, "body": body, "isBase64Encoded": False}
