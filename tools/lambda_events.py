"""Write `events/lambda/`: for every function an event as Lambda hands it over, for `sam local invoke`.

Made from the sample deliveries by the same code that ingest runs, so the messages are what the workers really get:
`python -m tools.lambda_events`. Ingest's own is its health check, because a signed delivery is good for minutes only.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import TypeSerializer

from quittance.facts import fact_from_json
from quittance.ledger import CaseFile
from quittance.providers import provider
from quittance.runtime.queues import Message, delivery_messages, revisit_message
from quittance.storage import Put

SAMPLES = Path(__file__).parents[1] / "events"
FOLDER = SAMPLES / "lambda"

_RECEIVED_AT = "2026-11-20T10:00:05Z"
_SAMPLE_OF = {
    "business_customer_changed": "platform/business_customer.created.json",
    "payment_authorized": "platform/payment.authorized.json",
    "payment_succeeded": "platform/payment.succeeded.json",
    "payment_captured": "platform/payment.captured.first.json",
    "payment_failed": "platform/payment.failed.json",
    "subscription_renewed": "platform/subscription.renewed.json",
    "refund_processed": "platform/refund.succeeded.partial.json",
    "refund_failed": "platform/refund.failed.json",
    "dispute_opened": "platform/dispute.opened.json",
    "dispute_won": "platform/dispute.won.json",
    "dispute_lost": "platform/dispute.lost.json",
    "payout_settled": "platform/payout.paid.json",
    "document_changed": "space-invoices/invoice.voided.json",
    "object_fetched": "stripe/thin.v1.payment_intent.succeeded.json",
    "event_ignored": "stripe/customer.created.json",
}


def lambda_events() -> dict[str, dict[str, Any]]:
    """The event of each function, by the function's name. Raises `Reject` for a sample that ingest would refuse."""
    messages = {function: _message(function, sample) for function, sample in _SAMPLE_OF.items()}
    messages["payment_revisited"] = _revisit(messages["payment_succeeded"])
    by_hand = {
        "ingest": _health_check(),
        "fees_closed": {"through": "2026-11"},
        "reconcile": {"begin": True},
        "event_received": _bus_event(),
        "operations": _operator_request(),
        "evidence_recorded": _stream_event(messages["payment_succeeded"]),
        "evidence_anchored": {},
    }
    return by_hand | {function: _sqs_event(message) for function, message in messages.items()}


def _message(function: str, sample: str) -> Message:
    name = sample.partition("/")[0]
    translation = provider(name).translate((SAMPLES / sample).read_bytes(), "default", {})
    return next(m for m in delivery_messages(name, "default", translation, _RECEIVED_AT) if m.function == function)


def _revisit(payment: Message) -> Message:
    fact = json.loads(payment.body)["fact"]
    return revisit_message(fact["provider"], fact["account"], fact["payment_id"], "repair", _RECEIVED_AT)


def _stream_event(payment: Message) -> dict[str, Any]:
    """A fact that was just recorded, as the ledger's stream tells of it."""
    fact = fact_from_json(json.loads(payment.body)["fact"])
    case = CaseFile(fact.provider, fact.account, fact.case_ids[0])
    case.add_fact(fact, "evt_sample", 1795168805)
    (stored,) = (write.item for write in case.changes.values() if isinstance(write, Put))
    serialize = TypeSerializer().serialize
    image = {name: serialize(value) for name, value in json.loads(json.dumps(stored)).items()}
    change = {
        "ApproximateCreationDateTime": 1795168805,
        "Keys": {name: image[name] for name in ("pk", "sk")},
        "NewImage": image,
        "SequenceNumber": "100000000000000000001",
        "SizeBytes": len(json.dumps(image)),
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    record = {
        "eventID": "c81e728d9d4c2f636f067f89cc14862c",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": change,
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/ledger/stream/2026-11-20T00:00:00.000",
    }
    return {"Records": [record]}


def _bus_event() -> dict[str, Any]:
    """A partner's event as an event bus puts it into the queue, which is no FIFO queue."""
    envelope = {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": "payment_intent.succeeded",
        "source": "aws.partner/stripe.com/ed_test_sample",
        "account": "000000000000",
        "time": _RECEIVED_AT,
        "region": "us-east-1",
        "resources": [],
        "detail": json.loads((SAMPLES / "stripe" / "payment_intent.succeeded.json").read_bytes()),
    }
    return {"Records": [_record(json.dumps(envelope), "event_received", {})]}


def _sqs_event(message: Message) -> dict[str, Any]:
    order = {
        "SequenceNumber": "1",
        "MessageGroupId": message.group,
        "MessageDeduplicationId": message.deduplication_id,
    }
    return {"Records": [_record(message.body, f"{message.function}.fifo", order)]}


def _record(body: str, queue: str, order: dict[str, str]) -> dict[str, Any]:
    digest = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
    return {
        "messageId": digest,
        "receiptHandle": "sample",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1795168805000",
            **order,
            "ApproximateFirstReceiveTimestamp": "1795168805000",
        },
        "messageAttributes": {},
        "md5OfBody": digest,
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:us-east-1:000000000000:{queue}",
        "awsRegion": "us-east-1",
    }


def _operator_request() -> dict[str, Any]:
    """Somebody whom IAM let in asks for the findings that stand."""
    identity = {"userArn": "arn:aws:iam::000000000000:user/finance", "sourceIp": "127.0.0.1"}
    request = _request("/operations/findings")
    return request | {"requestContext": request["requestContext"] | {"identity": identity}}


def _health_check() -> dict[str, Any]:
    return _request("/health")


def _request(path: str) -> dict[str, Any]:
    return {
        "resource": path,
        "path": path,
        "httpMethod": "GET",
        "headers": {"Accept": "application/json"},
        "multiValueHeaders": {"Accept": ["application/json"]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {"requestId": "sample", "resourcePath": path, "httpMethod": "GET", "stage": "local"},
        "body": None,
        "isBase64Encoded": False,
    }


def rendered(event: dict[str, Any]) -> str:
    """The text of an event's file."""
    return json.dumps(event, indent=2) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, event in lambda_events().items():
        (FOLDER / f"{name}.json").write_text(rendered(event), encoding="utf-8")
