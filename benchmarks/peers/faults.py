"""The same payments through both workers while things go wrong, against the sandbox of the invoicing API.

Every request to the API has the same chance to go wrong: its answer is lost, the connection breaks before it, or the function is
killed right before or after it. What is not reported as done is delivered again, and so is one in five that was done. Afterwards
the API's books say what became of each payment.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.peers.pipelines import batch, context
from benchmarks.peers.powertools_pattern import Pattern
from benchmarks.peers.services import API_KEY, PeerServices
from benchmarks.warm_worker import answered_by
from quittance.errors import QuittanceError
from quittance.space_invoices import SpaceInvoices
from tests.unit.stories import succeeded
from tests.use_cases.world import World
from tools.sandbox.transport import mounted

if TYPE_CHECKING:
    from collections.abc import Callable

CHANCES = {"lost": 0.02, "broken": 0.01, "killed_before": 0.01, "killed_after": 0.01}
"""What may happen to a request, and how likely it is."""
AGAIN = 0.2
_DELIVERIES_MAX = 20
_LATER_S = 3600
"""Between two deliveries: longer than any lease or lock."""


class Killed(BaseException):
    """The function is gone."""


class Faulty(httpx.BaseTransport):
    """The way to the API, on which things go wrong as long as `is_on`."""

    def __init__(self, inner: httpx.BaseTransport, seed: int) -> None:
        self.is_on = False
        self.requests = 0
        self.met: Counter[str] = Counter()
        self._inner = inner
        self._random = random.Random(seed)  # noqa: S311 - faults that repeat

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        fault = self._drawn() if self.is_on else ""
        self.met[fault] += bool(fault)
        if fault == "broken":
            raise httpx.ConnectError("broken", request=request)
        if fault == "killed_before":
            raise Killed
        answer = self._inner.handle_request(request)
        if fault == "lost":
            raise httpx.ReadTimeout("lost", request=request)
        if fault == "killed_after":
            raise Killed
        return answer

    def _drawn(self) -> str:
        [drawn] = self._random.choices([*CHANCES, ""], [*CHANCES.values(), 1 - sum(CHANCES.values())])
        return drawn


@dataclass(slots=True)
class Books:
    """What the API holds in the end."""

    payments: int
    duplicates: int
    missing: int
    not_paid: int
    """Invoices on which not exactly their total is recorded as paid."""
    requests_per_document: float
    faults: int


def quittance(payments: int, seed: int) -> Books:
    world = World()
    world.register()
    way = Faulty(mounted(world.sandbox), seed)
    world.api = SpaceInvoices("http://sandbox", lambda: API_KEY, transport=way)

    def take(name: str) -> bool:
        try:
            world.converger().take(succeeded(4990, payment_id=name), f"evt_{name}")
        except (QuittanceError, Killed):
            return False
        return True

    return _played(world, way, take, payments, seed)


def pattern(payments: int, seed: int, *, sends_keys: bool = False) -> Books:
    world = World()
    world.register()
    way = Faulty(mounted(world.sandbox), seed)
    services = PeerServices()
    answered_by(services)
    [entity] = world.api.pages("entities", entity_id=None)
    worker = Pattern(entity["id"], way, sends_keys=sends_keys).worker

    def take(name: str) -> bool:
        payment = {"id": name, "amount_received": 4990, "currency": "eur", "description": "Sea charts"}
        message = {"body": json.dumps(payment | {"receipt_email": f"{name}@example.com"}), "group": name}
        try:  # its time runs out at once: whoever is delivered next finds no lock
            return not worker(batch([message]), context(-_LATER_S * 1000))["batchItemFailures"]
        except Killed:
            return False

    return _played(world, way, take, payments, seed)


def _played(world: World, way: Faulty, take: Callable[[str], bool], payments: int, seed: int) -> Books:
    chosen = random.Random(seed)  # noqa: S311 - deliveries that repeat
    way.requests, way.is_on = 0, True
    for number in range(payments):
        name = f"pi_{number}"
        for _ in range(_DELIVERIES_MAX):
            world.seconds += _LATER_S
            if take(name):
                break
        if chosen.random() < AGAIN:
            take(name)
    way.is_on = False
    requests = way.requests
    held = world.held("invoices")
    found = Counter(_payment_of(one) for one in held)
    return Books(
        payments=payments,
        duplicates=sum(found.values()) - len(found),
        missing=payments - len(found),
        not_paid=sum(one["total_paid"] != one["total_with_tax"] for one in held),
        requests_per_document=requests / payments,
        faults=way.met.total(),
    )


def play(payments: int) -> dict[str, dict[str, Any]]:
    """The books of each contestant after the same faults were likely."""
    books = {
        "Quittance": quittance(payments, 1),
        "Powertools pattern": pattern(payments, 1),
        "the same with API keys of idempotency": pattern(payments, 1, sends_keys=True),
    }
    return {name: asdict(one) for name, one in books.items()}


def _payment_of(invoice: dict[str, Any]) -> str:
    return str(invoice["metadata"]["payment_id"])


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(play(int(sys.argv[1]))))
