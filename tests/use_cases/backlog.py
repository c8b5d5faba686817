"""A backlog of payments against an API with an allowance: the real worker in several functions at once, in virtual time."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from statistics import fmean
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx

from quittance.facts import Fact, FactType
from quittance.money import Money
from quittance.runtime.allowance import Allowance
from quittance.runtime.queues import fact_message
from quittance.runtime.retry_schedule import delay_s
from quittance.runtime.worker import Message, worker_handler
from quittance.space_invoices import SpaceInvoices
from tests.fakes.queues import VISIBILITY_S, Held, as_record
from tests.fakes.shared_count import MemorySharedCount
from tests.use_cases.world import NOON, World
from tools.sandbox.transport import mounted

if TYPE_CHECKING:
    from collections.abc import Mapping

BATCH = 5
FUNCTIONS = 10
REQUEST_S = 0.1
"""What a request to the API takes."""
CALL_S = 0.02
"""What a call of a function takes besides."""
_TOO_MANY = 429


class _Context:
    aws_request_id = "request"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 20_000


@dataclass(frozen=True, slots=True)
class Drained:
    """How a backlog was worked off."""

    seconds: float
    """From the beginning to the last document."""
    used: float
    """Share of the allowance of that time."""
    documents: int
    refused: int
    """Requests that were answered 429."""
    receives: float
    """Of a message, on average."""
    receives_max: int
    dead_letters: int
    worst_wait_s: Mapping[str, float]
    """Business customer -> the longest that one of its payments waited, an outage before not counted."""
    asked_together: int
    """Questions to the shared count."""


class Backlog(World):
    """`payments` says how many each business customer has, and how many seconds there are between two of them.

    After an outage all are there from the beginning, and each comes back when the retry schedule says.
    """

    def __init__(self, payments: Mapping[str, tuple[int, float]], *, per_minute: int, outage_s: float = 0) -> None:
        self.moment = float(NOON)
        super().__init__()
        self._queue = _Queue(self)
        self.refused = 0
        self._arrived: dict[str, float] = {}
        self._issued: dict[str, float] = {}
        self._shared = MemorySharedCount()
        self._per_minute = per_minute
        for customer in payments:
            self.register(customer, name=customer, accounts=[])
        self.sandbox._limiter.limits = {"sandbox": per_minute, "live": per_minute}  # registering is not what is looked at
        self.api = SpaceInvoices("http://sandbox", lambda: "sk_sandbox_test", transport=_Line(self, mounted(self.sandbox)))
        for customer, (number, every_s) in payments.items():
            for place in range(number):
                self._send(customer, f"{customer}_{place}", self.moment + place * every_s)
        self._messages = list(self._queue.messages.values())
        for message in self._messages:
            if outage_s:
                self._outlast(message, outage_s)
            self._queue.put(message)

    @property
    def seconds(self) -> int:
        return int(self.moment)

    @seconds.setter
    def seconds(self, _: int) -> None:
        """The world's own beginning is not this one's."""

    def _send(self, customer: str, name: str, at: float) -> None:
        fact = Fact(
            type=FactType.PAYMENT_SUCCEEDED,
            provider="platform",
            account=customer,
            key=name,
            payment_id=name,
            occurred_at="2026-11-20T10:00:00Z",
            amount=Money(1000, "EUR"),
        )
        message = fact_message(fact, f"evt_{name}", "payment.succeeded", "2026-11-20T10:00:01Z")
        self._queue.messages[name] = Held(name, message.body, message.group, visible_at=at)
        self._arrived[name] = at

    def _outlast(self, message: Held, outage_s: float) -> None:
        """As it is left by an outage that began when it came in, and is over now."""
        age = 0.0
        while age < outage_s:
            age += delay_s(age, None, message.id)
            message.receives += 1
        message.first_received_at, message.visible_at = self.moment - outage_s, self.moment + age - outage_s

    def _function(self) -> Any:
        """One running copy, with a memory of its own."""
        converger = self.converger()
        allowance = Allowance(self._shared, self._per_minute, clock=lambda: self.moment)

        def take(message: Message) -> None:
            assert message.fact
            converger.take(message.fact, message.event_id)
            self._issued.setdefault(message.fact.key, self.moment)

        client: Any = self._queue
        return worker_handler(take, allowance=allowance, sqs=client, count=lambda *_, **__: None, clock=lambda: self.moment)

    def drain(self) -> Drained:
        """Work until nothing is left on the queue."""
        began = self.moment
        functions = [(began, place, self._function()) for place in range(FUNCTIONS)]
        while (next_at := self._queue.next_at()) is not None:
            free_at, place, function = heapq.heappop(functions)
            self.moment = max(free_at, next_at)
            if messages := self._queue.received(BATCH):
                self._call(function, messages)
            heapq.heappush(functions, (self.moment + CALL_S, place, function))
        return self._drained(began)

    def _call(self, function: Any, messages: list[Held]) -> None:
        records = [as_record(message) for message in messages]
        failed = {one["itemIdentifier"] for one in function({"Records": records}, _Context())["batchItemFailures"]}
        for message in messages:
            if message.id not in failed:
                del self._queue.messages[message.id]

    def _drained(self, since: float) -> Drained:
        waits: dict[str, float] = {}
        for name, at in self._issued.items():
            customer = name.rpartition("_")[0]
            waits[customer] = max(waits.get(customer, 0.0), at - max(since, self._arrived[name]))
        seconds = max(self._issued.values()) - since
        self.sandbox._limiter.limits = None
        entities = [one["id"] for one in self.api.pages("entities", entity_id=None)]
        receives = [message.receives for message in self._messages]
        return Drained(
            seconds=seconds,
            used=len(self._issued) / (self._per_minute * seconds / 60),
            documents=sum(len(self.held("invoices", entity)) for entity in entities),
            refused=self.refused,
            receives=fmean(receives),
            receives_max=max(receives),
            dead_letters=self._queue.dead_letters,
            worst_wait_s=waits,
            asked_together=self._shared.asked,
        )


class _Queue:
    """One queue on which every message is a group of its own, and the client that the worker has of it."""

    meta = SimpleNamespace(endpoint_url="https://sqs.test")

    def __init__(self, backlog: Backlog) -> None:
        self._backlog = backlog
        self.messages: dict[str, Held] = {}
        self.dead_letters = 0
        self._order: list[tuple[float, str]] = []

    def put(self, message: Held) -> None:
        heapq.heappush(self._order, (message.visible_at, message.id))

    def next_at(self) -> float | None:
        """When something can be received next."""
        while self._order:
            visible_at, name = self._order[0]
            if name in self.messages and self.messages[name].visible_at == visible_at:
                return visible_at
            heapq.heappop(self._order)
        return None

    def received(self, most: int) -> list[Held]:
        received: list[Held] = []
        while len(received) < most and (next_at := self.next_at()) is not None and next_at <= self._backlog.moment:
            message = self.messages[heapq.heappop(self._order)[1]]
            message.receives += 1
            message.first_received_at = message.first_received_at or self._backlog.moment
            message.visible_at = self._backlog.moment + VISIBILITY_S
            self.put(message)
            received.append(message)
        return received

    def change_message_visibility_batch(self, *, Entries: list[dict[str, Any]], **_: str) -> dict[str, Any]:  # noqa: N803 - SQS's names
        for entry in Entries:
            message = self.messages[entry["ReceiptHandle"].partition(":")[0]]
            message.visible_at = self._backlog.moment + entry["VisibilityTimeout"]
            self.put(message)
        return {}

    def send_message(self, **_: Any) -> None:
        """Only dead letters are sent."""
        self.dead_letters += 1


class _Line(httpx.BaseTransport):
    """The way to the API takes time."""

    def __init__(self, backlog: Backlog, inner: httpx.BaseTransport) -> None:
        self._backlog = backlog
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._backlog.moment += REQUEST_S
        answer = self._inner.handle_request(request)
        self._backlog.refused += answer.status_code == _TOO_MANY
        return answer
