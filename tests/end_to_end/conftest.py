"""One local stack for all of these tests: the real template over real HTTP, with the embedded sandbox as invoicing API."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest
import stripe
from standardwebhooks import Webhook

from quittance.documents import DocumentState
from tests.end_to_end.operators import finance, operator  # noqa: F401 - fixtures
from tools.invoicing_server import sandbox
from tools.local_stack import LocalStack, LocalStackError
from tools.target import Target, target_of
from tools.traffic import wait_until_done
from tools.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quittance.ledger import CaseFile
    from tools.invoicing_server import InvoicingServer

CUSTOMER = "bc_end_to_end"
ACCOUNT = "acct_1EndToEnd"
PAYER = "Wilhelmina Murray"
PATIENCE_S = 60.0
ON_THE_STACK = [pytest.mark.end_to_end, pytest.mark.xdist_group("end_to_end")]
"""Marks of every module here: its tests share the one stack, so they run in one process."""


@dataclass(slots=True)
class Stack:
    """What a test does with the stack, and sees of it, from outside."""

    local: LocalStack
    server: InvoicingServer
    target: Target

    def post(self, provider: str, body: bytes, headers: dict[str, str], connection: str = "default") -> httpx.Response:
        url = f"{self.target.webhooks}/webhooks/{provider}/{connection}"
        return httpx.post(url, content=body, headers=headers, timeout=30, trust_env=False)

    def platform(self, kind: str, data: dict[str, Any], event_id: str | None = None, at: str | None = None) -> httpx.Response:
        """Send a platform event, signed by the official library."""
        body = platform_event(kind, data, event_id, at)
        return self.post("platform", body, self.signed_by_standard_webhooks(body))

    def stripe(self, kind: str, thing: dict[str, Any], event_id: str | None = None) -> httpx.Response:
        """Send a Stripe event of a connected account, signed by the official library."""
        body = stripe_event(kind, thing, event_id)
        return self.post("stripe", body, self.signed_by_stripe(body))

    def signed_by_standard_webhooks(self, body: bytes, secret: str | None = None, at: datetime | None = None) -> dict[str, str]:
        event_id = json.loads(body)["id"]
        at = at or datetime.now(UTC)
        signature = Webhook(secret or self.local.secrets["platform"]).sign(event_id, at, body.decode())
        return {"webhook-id": event_id, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}

    def signed_by_stripe(self, body: bytes, secret: str | None = None) -> dict[str, str]:
        header = stripe.WebhookSignature.generate_signature_header(body.decode(), secret or self.local.secrets["stripe"])
        return {"Stripe-Signature": header}

    def payment(self, payment_id: str, value: int = 5000, **data: Any) -> httpx.Response:
        """Send `payment.succeeded` of the registered business customer."""
        return self.platform("payment.succeeded", payment_data(payment_id, value) | data)

    def case(self, payment_id: str) -> CaseFile:
        return self.target.ledger.case("platform", CUSTOMER, payment_id)

    def wait_for_documents(self, payment_id: str, *keys: str, seconds: float = PATIENCE_S) -> None:
        def issued() -> bool:
            documents = self.case(payment_id).documents
            done = {key for key, entry in documents.items() if entry.record.state is DocumentState.ISSUED}
            return done >= set(keys)

        wait_for(f"{', '.join(keys)} of {payment_id}", issued, seconds=seconds)

    def wait_until_done(self, seconds: float = PATIENCE_S) -> None:
        wait_until_done(self.target, seconds=seconds)

    def held(self, payment_id: str, customer: str = CUSTOMER, issuer: str = "") -> Counter[str]:
        """The invoices and credit notes that the API holds for a payment: `invoice 50.00` -> how many.

        They are in the entity of the business customer, unless it is `issuer` who made them out.
        """
        found: Counter[str] = Counter()
        entity = self.target.ledger.entities()[issuer or customer]
        for collection, kind in (("invoices", "invoice"), ("credit-notes", "credit note")):
            for document in self.target.space_invoices.pages(collection, entity_id=entity):
                metadata = document["metadata"]
                if (metadata.get("payment_id"), metadata.get("business_customer")) == (payment_id, customer):
                    found[f"{kind} {document['total_with_tax']:.2f}"] += 1
        return found

    def arm(self, **fault: Any) -> None:
        """Make requests to the invoicing API go wrong; see `tools/sandbox/faults.py`."""
        httpx.post(f"{self.server.url}/_sandbox/faults", json=fault, trust_env=False).raise_for_status()

    def told(self, what: str) -> list[dict[str, Any]]:
        """What the sandbox tells of itself: its `requests`, `faults` or `emails`."""
        return list(httpx.get(f"{self.server.url}/_sandbox/{what}", trust_env=False).raise_for_status().json()["data"])

    def requests(self, method: str, path: str) -> int:
        """How many requests of this kind the invoicing API has seen."""
        return sum(1 for one in self.told("requests") if (one["method"], one["path"]) == (method, path))


class Consumers:
    """Stops the consumers of queues for as long as the block lasts."""

    def __init__(self, stack: Stack) -> None:
        self._lambda = stack.target.client("lambda")
        self._prefix = stack.local.stack_name
        self._stopped: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for mapping in self._stopped:
            self._lambda.update_event_source_mapping(UUID=mapping, Enabled=True)

    def stop(self, function: str) -> None:
        name = f"{self._prefix}-{pascal(function)}"
        [mapping] = self._lambda.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        self._lambda.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        self._stopped.append(mapping["UUID"])


def pascal(function: str) -> str:
    """payment_succeeded -> PaymentSucceeded, as the function is called in AWS."""
    return "".join(word.capitalize() for word in function.split("_"))


def processes_of(function: str) -> list[int]:
    """The processes of a function that descend from this one; other stacks may run on the same machine."""
    listed = subprocess.run(["ps", "-axww", "-o", "pid=,ppid=,command="], check=True, capture_output=True, text=True)  # noqa: S607
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    parents = {int(pid): int(parent) for pid, parent, *_ in rows}
    found = [int(row[0]) for row in rows if len(row) > 2 and f"-{function}-" in row[2]]
    return [pid for pid in found if _descends(pid, parents)]


def _descends(pid: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        if pid == os.getpid():
            return True
        pid = parents[pid]
    return False


def payment_data(payment_id: str, value: int = 5000) -> dict[str, Any]:
    return {
        "business_customer": CUSTOMER,
        "payment_id": payment_id,
        "amount": {"value": value, "currency": "EUR"},
        "method": "card",
        "customer": {"name": PAYER, "email": "mina@example.com", "country": "GB"},
    }


def platform_event(kind: str, data: dict[str, Any], event_id: str | None = None, at: str | None = None) -> bytes:
    event = {
        "specversion": "1.0",
        "id": event_id or f"evt_{secrets.token_hex(8)}",
        "source": "/tests",
        "type": kind,
        "time": at or _yesterday().strftime("%Y-%m-%dT%H:%M:%SZ"),
        "datacontenttype": "application/json",
        "data": data,
    }
    return json.dumps(event).encode()


def stripe_event(kind: str, thing: dict[str, Any], event_id: str | None = None) -> bytes:
    event = {
        "id": event_id or f"evt_1{secrets.token_hex(8)}",
        "object": "event",
        "account": ACCOUNT,
        "api_version": "2026-10-28.endive",
        "created": int(_yesterday().timestamp()),
        "data": {"object": thing},
        "livemode": False,
        "pending_webhooks": 1,
        "type": kind,
    }
    return json.dumps(event).encode()


def _yesterday() -> datetime:
    return datetime.now(UTC) - timedelta(days=1)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The stack, with one business customer registered."""
    try:
        with sandbox() as server, _local_stack(server) as local, target_of(local) as target:
            stack = Stack(local, server, target)
            accounts = [{"provider": "stripe", "account": ACCOUNT}]
            registration = {"business_customer": CUSTOMER, "name": "End to End GmbH", "country": "DE", "accounts": accounts}
            assert stack.platform("business_customer.created", registration).is_success
            wait_for("the entity", lambda: CUSTOMER in stack.target.ledger.entities(), seconds=PATIENCE_S)
            yield stack
    except LocalStackError as error:
        pytest.fail(f"the local stack did not start: {error}", pytrace=False)


def _local_stack(server: InvoicingServer) -> LocalStack:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return LocalStack(
        space_invoices_url=server.url,
        space_invoices_api_key=server.api_key,
        requests_per_minute=server.requests_per_minute,
        port=port,
    )


@pytest.fixture
def new_id() -> Callable[[str], str]:
    """Ids that no other test uses."""
    return lambda prefix: f"{prefix}_{secrets.token_hex(5)}"


@pytest.fixture(autouse=True)
def _without_faults(stack: Stack) -> Iterator[None]:
    """No fault outlives the test that asked for it."""
    yield
    httpx.delete(f"{stack.server.url}/_sandbox/faults", trust_env=False).raise_for_status()
