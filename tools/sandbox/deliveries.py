"""Webhook deliveries out: signing, the retry table, and switching an endpoint off. Sends nothing itself.

Whoever runs the model asks for what is due, sends it, and records how it went.
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from tools.sandbox.dates import timestamp
from tools.sandbox.sources import Identifiers
from tools.sandbox.wire import Record, encode

RETRY_AFTER_SECONDS = (0, 60, 300, 1800, 7200)
"""Waiting time before each attempt."""
_PERMANENT = frozenset({400, 401, 403, 404, 405, 410, 422})
_LOG_SIZE = 10_000
_OK = range(200, 300)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to deliver one event."""

    webhook: Record
    event: str
    attempt: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def url(self) -> str:
        return str(self.webhook["url"])


@dataclass(frozen=True, slots=True)
class _Waiting:
    webhook: Record
    event: str
    body: bytes
    attempt: int


class Outbox:
    """Deliveries that wait for their time. `time_scale` multiplies the waiting times of the retry table."""

    def __init__(self, ids: Identifiers, time_scale: float = 1.0) -> None:
        self._ids = ids
        self._scale = time_scale
        self._heap: list[tuple[datetime, int, _Waiting]] = []
        self._count = 0
        self.log: deque[Record] = deque(maxlen=_LOG_SIZE)

    def post(self, webhook: Record, event: str, data: Record, now: datetime) -> None:
        """Queues an event for an endpoint, to be sent at once."""
        body = encode({"event": event, "data": data, "timestamp": timestamp(now)})
        self._wait(_Waiting(webhook, event, body, 1), now)

    def due(self, now: datetime) -> list[Delivery]:
        """Takes out the deliveries whose time has come. Each must come back through `record`."""
        taken = []
        while self._heap and self._heap[0][0] <= now:
            waiting = heapq.heappop(self._heap)[2]
            if waiting.webhook["active"]:
                taken.append(self._delivery(waiting, now))
        return taken

    @property
    def next_due(self) -> datetime | None:
        """When the next delivery is due; None when none waits."""
        return self._heap[0][0] if self._heap else None

    def record(self, delivery: Delivery, status: int | None, now: datetime) -> None:
        """Notes the outcome (None: no answer), schedules the next attempt, or switches the endpoint off after the last."""
        self.log.append(
            {
                "delivery_id": delivery.headers["X-Webhook-Delivery"],
                "webhook_id": delivery.webhook["id"],
                "event": delivery.event,
                "attempt": delivery.attempt,
                "status": status,
                "at": timestamp(now),
            }
        )
        if status in _OK or status in _PERMANENT:
            return
        if delivery.attempt == len(RETRY_AFTER_SECONDS):
            delivery.webhook["active"] = False
            return
        wait = timedelta(seconds=RETRY_AFTER_SECONDS[delivery.attempt] * self._scale)
        self._wait(_Waiting(delivery.webhook, delivery.event, delivery.body, delivery.attempt + 1), now + wait)

    def _wait(self, waiting: _Waiting, until: datetime) -> None:
        self._count += 1
        heapq.heappush(self._heap, (until, self._count, waiting))

    def _delivery(self, waiting: _Waiting, now: datetime) -> Delivery:
        webhook = waiting.webhook
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "SpaceInvoices-Webhook/1.0",
            "X-Webhook-Signature": signature(webhook["secret"], waiting.body),
            "X-Webhook-Timestamp": str(int(now.timestamp())),
            "X-Webhook-Event": waiting.event,
            "X-Webhook-Delivery": self._ids.new("whd"),
            "X-Webhook-Id": webhook["id"],
        }
        return Delivery(webhook, waiting.event, waiting.attempt, headers, waiting.body)


def signature(secret: str, body: bytes) -> str:
    """`sha256=` and the HMAC of the raw body, as the webhook page describes it; the timestamp is not signed."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
