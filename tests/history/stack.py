"""A stack in memory for histories: the real use cases behind simulated queues, with a clock that does their work."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from random import Random
from typing import TYPE_CHECKING, Any

from quittance.errors import Retry
from quittance.facts import PAYOUT_TYPES, REGISTRATION_TYPES, fact_from_json
from quittance.runtime.queues import fact_message
from quittance.settlements import settlements
from quittance.space_invoices import SpaceInvoices
from tests.use_cases.world import World
from tools.backfill.delivery import Delivery, Throttle
from tools.backfill.index import Index
from tools.backfill.overlay import ReadOnlyTransport
from tools.backfill.rehearsal import Rehearsal
from tools.backfill.totals import Totals
from tools.history import History, reader_of
from tools.history.archive import line_of
from tools.sandbox.transport import mounted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from quittance.facts import Fact
    from quittance.runtime.queues import Message
    from tools.backfill.rehearsal import Judgement

NOW = "2026-11-20T13:00:00Z"
RECEIVED_AT = "2026-11-23T09:00:00Z"


class Stack(World):
    """Queues of the functions, each handled in turn, one message of some queue at a time, as `seed` has it."""

    def __init__(self, seed: int = 0, **settings: Any) -> None:
        super().__init__(**settings)
        self.queues: dict[str, deque[Message]] = defaultdict(deque)
        self.sent: list[Message] = []
        self.most_queued = 0
        self.is_down = False
        self._random = Random(seed)  # noqa: S311 - a game of chance, repeatable
        self._seen: set[str] = set()
        self._seconds = 0.0

    # queues

    def send(self, messages: Iterable[Message]) -> None:
        """FIFO queues with deduplication, all within five minutes."""
        for message in messages:
            self.sent.append(message)
            if message.deduplication_id not in self._seen:
                self._seen.add(message.deduplication_id)
                self.queues[message.function].append(message)
        self.most_queued = max(self.most_queued, sum(map(len, self.queues.values())))

    def work(self, most: int = 1_000_000) -> None:
        """Handle so many messages, or all there are."""
        for _ in range(most):
            self.drain_revisits()
            full = [name for name in sorted(self.queues) if self.queues[name]]
            if not full or self.is_down:
                return
            self._handle(self.queues[self._random.choice(full)])

    def _handle(self, queue: deque[Message]) -> None:
        message = queue.popleft()
        body = json.loads(message.body)
        try:
            self._use(body)
        except Retry:
            queue.append(message)

    def _use(self, body: dict[str, Any]) -> None:
        if "revisit" in body:
            revisit = body["revisit"]
            self.converger().revisit(revisit["provider"], revisit["account"], revisit["payment_id"])
            return
        fact = fact_from_json(body["fact"])
        if fact.type in REGISTRATION_TYPES:
            self.registrar.take(fact, body["event_id"])
            return
        self.converger().take(fact, body["event_id"])
        if fact.type in PAYOUT_TYPES:
            self.send(fact_message(one, body["event_id"], body["event_type"], RECEIVED_AT) for one in settlements(fact))

    # time

    def monotonic(self) -> float:
        return self._seconds

    def sleep(self, seconds: float) -> None:
        """While one waits, the functions work."""
        self._seconds += seconds
        self.seconds += 1
        self.work(self._random.randint(0, 3))

    # histories

    def rehearsal(self) -> Rehearsal:
        api = SpaceInvoices("http://sandbox", lambda: "sk_sandbox_test", transport=ReadOnlyTransport(mounted(self.sandbox)))
        return Rehearsal(table=self.table, api=api, stage="test", environment="sandbox", now=lambda: self.seconds)

    def rehearsed(self, index: Index, show: Callable[[Judgement], None] = lambda _: None) -> Totals:
        """What `backfill --dry-run` finds."""
        rehearsal, totals = self.rehearsal(), Totals()
        totals.needed += len(rehearsal.register(list(index.registrations())))
        for story in index.told():
            judgement = rehearsal.judge(story)
            totals.add(judgement)
            show(judgement)
        return totals

    def delivery(self, run: str = "run_1", *, per_minute: float = 6000, in_flight: int = 5) -> Delivery:
        return Delivery(
            rehearsal=self.rehearsal(),
            send=self.send,
            run=run,
            pace=Throttle(per_minute),
            in_flight=in_flight,
            clock=self,
            timestamp=lambda: RECEIVED_AT,
        )

    def apply(self, index: Index, delivery: Delivery | None = None) -> Delivery:
        """What `backfill --apply` does, from where the delivery begins."""
        delivery = delivery or self.delivery()
        delivery.register(delivery.rehearsal.register(list(index.registrations())))
        delivery.rehearsal = self.rehearsal()
        delivery.run_through(index.told(delivery.progress.position))
        return delivery


def written(path: Path, facts: Iterable[Fact]) -> Path:
    """An archive of these facts."""
    path.write_text("".join(f"{line_of(fact, f'evt_{fact.identity}')}\n" for fact in facts), encoding="utf-8")
    return path


def indexed(path: Path, account: str | None = None, *, is_live: bool = False, **settings: Any) -> Index:
    return Index.of(History(path, reader_of(path), account, settings), is_live=is_live, until=NOW)
