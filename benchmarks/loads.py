"""What each function gets in life, as Lambda hands it over: the samples under `events/`, again and again as something new.

The functions are in the order of life, so what is refunded was paid by those before, and what goes by the clock finds all of it.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from quittance.providers import provider
from quittance.runtime.queues import Message, delivery_messages, fees_message, revisit_message
from tools.deliveries import api_gateway_event, signed_delivery, sqs_event
from tools.lambda_events import SAMPLES, lambda_events
from tools.samples import with_fresh_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.local_stack import LocalStack
    from tools.target import Target

CUSTOMER = "bc_harbour_books"
"""Whose money it is in most samples."""
_SAMPLES = {
    "BusinessCustomerChanged": ("platform/business_customer.created.json",),
    "PaymentAuthorized": ("platform/payment.authorized.json",),
    "PaymentSucceeded": (
        "platform/payment.succeeded.json",
        "platform/payment.succeeded.after-its-refund.json",
        "platform/payment.succeeded.disputed-and-won.json",
        "platform/payment.succeeded.disputed-and-lost.json",
    ),
    "PaymentCaptured": ("platform/payment.captured.first.json",),
    "PaymentFailed": ("platform/payment.failed.json",),
    "SubscriptionRenewed": ("platform/subscription.renewed.json",),
    "RefundProcessed": ("platform/refund.succeeded.partial.json", "platform/refund.succeeded.before-its-payment.json"),
    "RefundFailed": ("platform/refund.failed.json",),
    "DisputeOpened": ("platform/dispute.opened.json",),
    "DisputeWon": ("platform/dispute.won.json",),
    "DisputeLost": ("platform/dispute.lost.json",),
    "PayoutSettled": ("platform/payout.paid.json",),
    "ObjectFetched": ("mollie/payment.paid.txt",),
    "EventIgnored": ("stripe/customer.created.json",),
}
_OF_MANY_CUSTOMERS: dict[str, dict[str, Any]] = {
    "BusinessCustomerChanged": {"accounts": [], "policy": {"invoices": "both", "fee_invoices": "monthly"}},
    "PaymentCaptured": {"fee": {"value": 120, "currency": "EUR"}},
}
"""Functions whose every event is of another business customer, and what their samples say besides, so that fees are due."""
_DELIVERED = (
    "adyen/AUTHORISATION.json",
    "checkout/payment_captured.first.json",
    "gocardless/payments.confirmed.json",
    "mollie/payment.paid.txt",
    "paypal/PAYMENT.CAPTURE.COMPLETED.json",
    "platform/payment.succeeded.json",
    "space-invoices/invoice.updated.json",
    "stripe/payment_intent.succeeded.json",
)
"""To ingest, one of each sender."""
_MONTH = "2026-11"
"""Of the samples."""


class Loads:
    """Events of a stack's functions. Of each sample there are `count`."""

    def __init__(self, local: LocalStack, target: Target, count: int) -> None:
        self._target = target
        self._secrets = local.secrets
        self._lambda = target.client("lambda")
        self._stack = local.stack_name
        self._names = [f"{number:08x}" for number in range(count)]
        others: dict[str, Callable[[], Iterator[Any]]] = {
            # A stack has it only where it is asked for: what its queue hands over is what every worker's does.
            "EventReceived": lambda: self._batches("PaymentSucceeded", self._bus_messages()),
            "PaymentRevisited": lambda: self._batches("PaymentRevisited", self._revisits()),
            "DocumentChanged": lambda: self._batches("DocumentChanged", self._changes()),
            "FeesClosed": self._fees,
            "Ingest": self._deliveries,
            "EvidenceRecorded": self._stream,
            "EvidenceAnchored": lambda: iter([{}]),
            "Reconcile": lambda: iter([{"begin": True}]),
            "Operations": self._requests,
        }
        queued = {name: lambda name=name: self._batches(name, self._messages(name)) for name in _SAMPLES}
        self.of: dict[str, Callable[[], Iterator[Any]]] = queued | others
        """By function, in the order in which they must be called: each looks at what those before it have done."""

    def _messages(self, function: str) -> Iterator[Message]:
        if function == "BusinessCustomerChanged":
            yield from _told("platform/business_customer.created.json", self._names[0])
            yield from _told("platform/business_customer.created.mollie.json", self._names[0])
            yield from _told("platform/business_customer.created.json", "platform", {"accounts": [], "role": "platform"})
        for name in self._names:
            for sample in _SAMPLES[function]:
                yield from _told(sample, name, _OF_MANY_CUSTOMERS.get(function))

    def _bus_messages(self) -> Iterator[Message]:
        [record] = lambda_events()["event_received"]["Records"]
        for name in self._names:
            yield Message("event_received", "", with_fresh_ids(record["body"].encode(), name).decode())

    def _revisits(self) -> Iterator[Message]:
        for name in self._names:
            yield revisit_message("platform", CUSTOMER, f"pay_1001_{name}", "repair", _now())

    def _changes(self) -> Iterator[Message]:
        entity = self._target.ledger.entities()[CUSTOMER]
        for invoice in islice(self._target.space_invoices.pages("invoices", entity_id=entity), len(self._names)):
            body = json.dumps({"event": "invoice.updated", "data": invoice, "timestamp": _now()}, default=float).encode()
            yield from _translated("space-invoices", body)

    def _fees(self) -> Iterator[dict[str, Any]]:
        yield {"through": _MONTH}
        months = (fees_message(f"{CUSTOMER}_{name}", "EUR", _MONTH, _now()) for name in self._names)
        yield from self._batches("FeesClosed", months)

    def _deliveries(self) -> Iterator[dict[str, Any]]:
        for name in self._names:
            for sample in _DELIVERED:
                sender = sample.partition("/")[0]
                body = with_fresh_ids((SAMPLES / sample).read_bytes(), name)
                yield api_gateway_event(
                    sender, "default", *signed_delivery(sender, body, self._secrets[sender], int(time.time()))
                )

    def _stream(self) -> Iterator[dict[str, Any]]:
        """All that was written to the ledger until now, as its stream has it."""
        mapping = self._mapping("EvidenceRecorded")
        arn, streams = mapping["EventSourceArn"], self._target.client("dynamodbstreams")
        [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        at = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        while (page := streams.get_records(ShardIterator=at, Limit=mapping["BatchSize"]))["Records"]:
            yield {"Records": json.loads(json.dumps(page["Records"], default=datetime.timestamp))}
            at = page["NextShardIterator"]

    def _requests(self) -> Iterator[dict[str, Any]]:
        for case in islice((case for case in self._target.ledger.cases() if case.documents), len(self._names)):
            document = next(iter(case.documents.values())).record.api_id
            name = {"provider": case.provider, "account": case.account}
            yield _request("GET", f"payments/{case.id}", query=name)
            yield _request("GET", f"documents/{document}")
            yield _request("GET", f"documents/{document}/pdf")
            yield _request("POST", "replay", body={"payments": [name | {"payment_id": case.id}]})
        for listed in ("payments", "findings", "dead-letters", "reports", "audit"):
            yield _request("GET", listed)
        yield _request("POST", "redrive", body={})

    def _batches(self, function: str, messages: Iterator[Message]) -> Iterator[dict[str, Any]]:
        """As many at once as the function's queue hands over at most."""
        size = self._mapping(function)["BatchSize"]
        while some := list(islice(messages, size)):
            yield sqs_event(some)

    def _mapping(self, function: str) -> dict[str, Any]:
        [mapping] = self._lambda.list_event_source_mappings(FunctionName=f"{self._stack}-{function}")["EventSourceMappings"]
        return dict(mapping)


def _told(sample: str, name: str, besides: dict[str, Any] | None = None) -> list[Message]:
    """What a sample means for the functions, with ids of its own; with `besides`, of a business customer of its own."""
    body = (SAMPLES / sample).read_bytes()
    if besides is not None:
        event = json.loads(body)
        body = json.dumps(event | {"data": event["data"] | besides}).encode()
    return _translated(sample.partition("/")[0], with_fresh_ids(body, name, customers=besides is not None))


def _translated(sender: str, body: bytes) -> list[Message]:
    return delivery_messages(sender, "default", provider(sender).translate(body, "default", {}), _now())


def _request(method: str, path: str, *, query: dict[str, str] | None = None, body: object = None) -> dict[str, Any]:
    """As the sample, of an operator whom IAM let in."""
    place = f"/operations/{path}"
    asked = {"httpMethod": method, "resource": place, "path": place, "queryStringParameters": query}
    return lambda_events()["operations"] | asked | {"body": json.dumps(body) if body is not None else None}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
