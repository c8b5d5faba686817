"""The real template on the local stack with a sandbox of its own, and the platform that sends it signed events."""

from __future__ import annotations

import json
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
from standardwebhooks import Webhook

from tools.invoicing_server import InvoicingServer, sandbox
from tools.local_stack import LocalStack, free_port
from tools.target import Target, target_of
from tools.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE_S = 120
_COUNTS = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]


@dataclass(frozen=True, slots=True)
class Running:
    """The stack while it runs: itself, what the commands know it by, and its invoicing API."""

    local: LocalStack
    target: Target
    server: InvoicingServer

    def is_empty(self, queue_url: str) -> bool:
        """Whether nothing is on this queue, not even hidden."""
        counts = self.target.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=_COUNTS)["Attributes"]
        return not any(map(int, counts.values()))

    def invoices(self, customer: str) -> list[dict[str, Any]]:
        """What the invoicing API has for a business customer."""
        return list(self.target.space_invoices.pages("invoices", entity_id=self.target.ledger.entities()[customer]))


@contextmanager
def running(requests_per_minute: int) -> Iterator[Running]:
    """The stack for as long as the block lasts. That is what its API allows, and what it knows of that."""
    with sandbox("--rate-limit", str(requests_per_minute)) as server:
        stack = LocalStack(
            space_invoices_url=server.url,
            space_invoices_api_key=server.api_key,
            requests_per_minute=requests_per_minute,
            port=free_port(),
        )
        with stack as local, target_of(local) as target:
            yield Running(local, target, server)


class Platform:
    """Whose business customers are paid."""

    def __init__(self, stack: Running) -> None:
        self._target = stack.target
        self._signs = Webhook(stack.local.secrets["platform"])
        self._http = httpx.Client(timeout=60, trust_env=False)

    def register(self, *customers: str) -> None:
        """Returns when all have their entity."""
        for customer in customers:
            self.send(_event("business_customer.created", {"business_customer": customer, "name": customer, "country": "DE"}))
        wait_for("the entities", lambda: set(customers) <= set(self._target.ledger.entities()), seconds=_PATIENCE_S)

    def send(self, event: bytes) -> None:
        """Deliver an event to the stack's door. Raises `httpx.HTTPStatusError` if it is not taken."""
        now, name = datetime.now(UTC), str(json.loads(event)["id"])
        signature = self._signs.sign(name, now, event.decode())
        headers = {"webhook-id": name, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
        url = f"{self._target.webhooks}/webhooks/platform/default"
        self._http.post(url, content=event, headers=headers).raise_for_status()


def payment(customer: str, name: str) -> bytes:
    """The event of a payment that succeeded."""
    amount = {"value": 5000, "currency": "EUR"}
    about = {"business_customer": customer, "payment_id": name, "amount": amount, "method": "card"}
    return _event("payment.succeeded", about)


def _event(kind: str, data: dict[str, Any]) -> bytes:
    event = {
        "specversion": "1.0",
        "id": f"evt_{secrets.token_hex(8)}",
        "source": "/benchmarks",
        "type": kind,
        "time": (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "datacontenttype": "application/json",
        "data": data,
    }
    return json.dumps(event).encode()
