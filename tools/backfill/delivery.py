"""A history sent through the queues of the live pipeline, without starving what comes in meanwhile.

Only so many payments are under way at once, and of each only one report: the next is sent when the ledger has taken in the one
before. So live traffic never waits behind more than a handful of messages, and what is issued is what was rehearsed. The ledger
itself is the record of what has been done. The progress that is kept beside it only saves reading.
"""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from quittance.errors import Retry
from quittance.facts import PAYOUT_TYPES
from quittance.runtime.queues import fact_message, revisit_message
from quittance.settlements import settlements
from tools.backfill.index import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from quittance.runtime.queues import Message
    from tools.backfill.index import Story
    from tools.backfill.rehearsal import Judgement, Rehearsal

EVENT_TYPE = "backfill"
"""What messages of a history say where those of a delivery name the provider's type of event."""
POLL_S = 0.5
STALLED_S = 900
"""How long nothing may move until the run gives up: longer than any pause of the retry schedule that a healthy API causes."""
AT_ONCE = 50
"""How many stories are judged together."""


class StalledError(Exception):
    """The pipeline takes nothing in any more. The message is one line for a person."""


class Clock(Protocol):
    """Time, as the delivery needs it."""

    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


@dataclass(slots=True)
class Throttle:
    """At most so many messages a minute, evenly."""

    per_minute: float
    _credit: float = 1.0
    _at: float | None = None

    def may_send(self, now: float) -> bool:
        """Whether another message may be sent now; if so, it counts as sent."""
        elapsed = 0.0 if self._at is None else now - self._at
        self._at = now
        self._credit = min(self._credit + elapsed * self.per_minute / 60, max(1.0, self.per_minute / 60))
        if self._credit < 1:
            return False
        self._credit -= 1
        return True


@dataclass(slots=True)
class Flight:
    """One payment under way."""

    story: Story
    judgement: Judgement
    steps: deque[Entry]
    """What the ledger is still to take in; the first one is under way."""
    is_sent: bool = False

    @property
    def is_done(self) -> bool:
        return not self.steps and not (self.judgement.revisited or self.judgement.is_in_use)


@dataclass(slots=True)
class Progress:
    """How far a delivery has come."""

    position: int = 0
    """Every story up to this one is done."""
    judged: int = 0
    sent: int = 0
    documents: int = 0


@dataclass(slots=True, kw_only=True)
class Delivery:
    """Sends what a rehearsal says is new."""

    rehearsal: Rehearsal
    send: Callable[[Iterable[Message]], None]
    """Puts messages on their queues. Raises `Retry` when that is not certain; they are then sent again."""
    run: str
    """Names this run, through all of its resumptions: a queue drops what it got from the same run within five minutes."""
    pace: Throttle
    in_flight: int
    clock: Clock
    timestamp: Callable[[], str]
    absent: Callable[[Sequence[Story]], frozenset[str]] = lambda _: frozenset()
    """The partitions of these stories that are known not to be there."""
    on_judged: Callable[[Judgement], None] = lambda _: None
    on_progress: Callable[[Progress], None] = lambda _: None
    progress: Progress = field(default_factory=Progress)
    _flights: dict[int, Flight] = field(default_factory=dict)
    _outbox: list[Message] = field(default_factory=list)
    _moved_at: float = 0.0

    def register(self, entries: Sequence[Entry]) -> None:
        """Send registrations that are new, and wait until each has an entity, or a finding that says why not.

        Raises `StalledError`.
        """
        self._moved_at = self.clock.monotonic()
        unsent, waiting = deque(entries), deque(entries)
        while waiting:
            if unsent and self._may_send():
                self._post(self._message(unsent.popleft()))
            self._flush()
            if len(waiting) > len(unsent) and self.rehearsal.is_registered(waiting[0]):
                waiting.popleft()
                self._moved()
            else:
                self._rest()

    def run_through(self, stories: Iterator[Story]) -> None:
        """Send all that is new of these stories, which begin behind `progress.position`, and wait until the ledger has it.

        Raises `StalledError`; then, as after a crash, another run goes on where this one ended.
        """
        self._moved_at = self.clock.monotonic()
        coming = self._judged(stories)
        following = next(coming, None)
        while following or self._flights:
            while following and self._has_room(following[0]):
                self._start(*following)
                following = next(coming, None)
            before = self._moved_at
            self._sweep()
            self._report(following)
            if self._moved_at == before and (following is None or not self._has_room(following[0])):
                self._rest()

    def _judged(self, stories: Iterator[Story]) -> Iterator[tuple[Story, Judgement]]:
        for some in in_batches(stories, AT_ONCE):
            absent = self.absent(some)
            for story in some:
                yield story, self.rehearsal.judge(story, absent)

    def _has_room(self, story: Story) -> bool:
        """Payouts begin when all payments are done: what they settle must be known by then."""
        is_payout = story.entries[0].fact.type in PAYOUT_TYPES
        others = any(flight.story.entries[0].fact.type not in PAYOUT_TYPES for flight in self._flights.values())
        return len(self._flights) < self.in_flight and not (is_payout and others)

    def _start(self, story: Story, judgement: Judgement) -> None:
        flight = Flight(story, judgement, _steps(judgement))
        self.progress.judged = story.position
        if flight.is_done:
            self._finish(flight)
        else:
            self._flights[story.position] = flight

    def _sweep(self) -> None:
        """One look at everything that is under way."""
        for flight in list(self._flights.values()):
            if flight.judgement.is_in_use:
                self._judge_again(flight)
            elif not flight.is_sent:
                self._send_next(flight)
            elif self._is_taken_in(flight):
                self._advance(flight)
        self._flush()

    def _judge_again(self, flight: Flight) -> None:
        flight.judgement = self.rehearsal.judge(flight.story)
        flight.steps = _steps(flight.judgement)
        if flight.is_done:
            self._finish(flight)

    def _send_next(self, flight: Flight) -> None:
        if flight.steps and flight.steps[0].follows:
            flight.is_sent = True  # the pipeline itself sends it
        elif self._may_send():
            self._post(self._message(flight.steps[0]) if flight.steps else self._revisit(flight.judgement))
            flight.is_sent = True

    def _is_taken_in(self, flight: Flight) -> bool:
        if flight.steps:
            return self.rehearsal.is_taken_in(flight.steps[0])
        return not self.rehearsal.judge(flight.story).has_work

    def _advance(self, flight: Flight) -> None:
        flight.is_sent = False
        self._moved()
        if flight.steps:
            flight.steps.popleft()
        if not flight.steps:
            self._finish(flight)

    def _finish(self, flight: Flight) -> None:
        self._flights.pop(flight.story.position, None)
        self.progress.documents += len(flight.judgement.made)
        self._moved()
        self.on_judged(flight.judgement)

    def _report(self, following: tuple[Story, Judgement] | None) -> None:
        open_positions = [*self._flights, *((following[0].position,) if following else ())]
        self.progress.position = min(open_positions, default=self.progress.judged + 1) - 1
        self.on_progress(self.progress)

    # messages

    def _message(self, entry: Entry) -> Message:
        return fact_message(entry.fact, entry.event_id, EVENT_TYPE, self.timestamp())

    def _revisit(self, judgement: Judgement) -> Message:
        return revisit_message(judgement.provider, judgement.account, judgement.payment_id, EVENT_TYPE, self.timestamp())

    def _may_send(self) -> bool:
        return self.pace.may_send(self.clock.monotonic())

    def _post(self, message: Message) -> None:
        """Under the name of this run: what an earlier one sent must not hide it, should the ledger have been set back since."""
        name = hashlib.sha256(f"{self.run}|{message.deduplication_id}".encode()).hexdigest()
        self._outbox.append(replace(message, deduplication_id=name))

    def _flush(self) -> None:
        if not self._outbox:
            return
        try:
            self.send(self._outbox)
        except Retry:
            return  # once more with the next sweep
        self.progress.sent += len(self._outbox)
        self._outbox = []
        self._moved()

    # time

    def _moved(self) -> None:
        self._moved_at = self.clock.monotonic()

    def _rest(self) -> None:
        """Wait a moment. Raises `StalledError` when nothing has moved for long."""
        if self.clock.monotonic() - self._moved_at > STALLED_S:
            minutes = STALLED_S // 60
            raise StalledError(
                f"nothing was taken in for {minutes} minutes: look at the alarms and dead letters, then run this again to go on"
            )
        self.clock.sleep(POLL_S)


def _steps(judgement: Judgement) -> deque[Entry]:
    """What is to be sent of a story, and what is to be awaited: that a payout has settled its payments."""
    steps: deque[Entry] = deque()
    for entry in judgement.needed:
        if not entry.follows:
            steps.append(entry)
            steps.extend(Entry(settled, entry.event_id, entry.line) for settled in settlements(entry.fact))
    return steps


def in_batches(stories: Iterable[Story], size: int) -> Iterator[list[Story]]:
    """The stories, so many at a time."""
    batch: list[Story] = []
    for story in stories:
        batch.append(story)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
