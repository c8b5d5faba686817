"""Looking at dead letters, and sending them again at a pace that leaves room for what happens now.

A letter is sent first and deleted afterwards: it may be handled twice, which makes no second document, but is never lost. On its
queue it counts as new: an API that still answers 429 makes it wait there by the schedule, for days, before it is given up again.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from quittance.runtime.letters import CAUSES, Kind, Letter, LetterReader, QueuePair
from quittance.runtime.queues import BATCH_MAX, Message, Queues
from quittance.space_invoices import REQUESTS_PER_MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mypy_boto3_sqs import SQSClient

LOOKED_AT_MAX = 10_000
"""How many letters are held at once, at most: SQS hides some 20,000 of a queue."""
LANE_MAX = 100
"""How many letters of one business customer are kept ready meanwhile. Their bodies take memory."""
HELD_S = 600
MARGIN_S = 30
"""A letter that is held for less than this any more is left alone: it would be sent and could not be deleted."""
_POLL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which letters. None takes any."""

    function: str | None = None
    cause: str | None = None
    business_customer: str | None = None

    def takes(self, kind: Kind) -> bool:
        asked = (self.function, self.cause, self.business_customer)
        return all(one is None or one == other for one, other in zip(asked, kind, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast letters are sent: so that new payments neither wait behind them nor find the API's allowance used up."""

    per_minute: int
    """Letters, each of which mostly takes one request of the invoicing API."""
    in_flight: int = 10
    """Letters are sent while fewer messages than this, of whatever origin and function, wait or are worked on. Those that were
    hidden already when the redrive began do not count: some wait for hours to be tried again.
    """

    @classmethod
    def of(cls, environment: str, allowed: int = 0) -> Pace:
        """Half of the requests that the API allows in a minute, which `allowed` says if that is known."""
        return cls(per_minute=(allowed or REQUESTS_PER_MINUTE[environment]) // 2 or 1)


@dataclass(frozen=True, slots=True)
class Overview:
    """What lies on the queues."""

    kinds: Counter[Kind]
    """The letters that were looked at. Those behind another one of the same payment are not seen before that one is gone."""
    lying: dict[str, int]
    """Function -> roughly how many letters it has, seen or not. Functions without any are left out."""


@dataclass(frozen=True, slots=True)
class Redriven:
    """What a redrive did."""

    sent: Counter[Kind]
    came_back: int
    """Letters that this redrive sent and that were there again before it ended. They stay: their cause is not removed."""
    is_complete: bool
    """Whether it ended because nothing was left to send, not because of the limit or the time."""


class DeadLetters:
    """The dead letters of all functions. Several may act on them at once: nobody sends what somebody else holds."""

    def __init__(
        self,
        client: SQSClient,
        pairs: Iterable[QueuePair],
        owner_of: Callable[[str, str], str | None],
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`owner_of` gives the business customer of a provider's account. `clock` and `wait` count in seconds."""
        self._client = client
        self._pairs = tuple(pairs)
        self._queues = Queues(client, {pair.function: pair.url for pair in self._pairs})
        self._reader = LetterReader(owner_of)
        self._clock = clock
        self._wait = wait
        self._ready_at = 0.0
        self._hidden: int | None = None

    @property
    def functions(self) -> set[str]:
        """Whose dead letters these are."""
        return {pair.function for pair in self._pairs}

    def overview(self, wanted: Wanted, *, within_s: float) -> Overview:
        """Count the letters. While they are looked at, for `within_s` at most, nobody else sees them.

        SQS learns of a new letter within a minute; one as young as that may be missing.
        """
        pairs = self._pairs_of(wanted)
        lying = {pair.function: sum(self._depths(pair.dead_letters_url, "", "NotVisible")) for pair in pairs}
        kinds: Counter[Kind] = Counter()
        with _Window(self._client, self._clock() + within_s + MARGIN_S) as window:
            for letter in self._received(pairs, window, self._clock() + within_s):
                kinds.update([letter.kind] if wanted.takes(letter.kind) else [])
        return Overview(kinds, {function: count for function, count in lying.items() if count})

    def redrive(
        self,
        wanted: Wanted,
        *,
        pace: Pace,
        limit: int | None = None,
        within_s: float = float("inf"),
        told: Callable[[int], None] = lambda _: None,
    ) -> Redriven:
        """Send letters to their queues again, in turns of one for each business customer.

        It ends after `limit` letters, after `within_s` seconds, or when none is left; the next one goes on from there. `told`
        hears how many were sent so far.

        Raises `Retry` when SQS does not take what is sent. Nothing was deleted then that is not on its queue.
        """
        end = self._clock() + within_s
        self._hidden = None
        sent: Counter[Kind] = Counter()
        digests: set[bytes] = set()
        while (limit is None or sent.total() < limit) and self._clock() < end:
            time_s = min(HELD_S, end - self._clock())
            with _Window(self._client, self._clock() + time_s + MARGIN_S) as window:
                # Half of the time is for looking, so that the other half is left for sending.
                for letter in self._received(self._pairs_of(wanted), window, self._clock() + time_s / 2):
                    if wanted.takes(letter.kind):
                        window.keep(letter, is_back=letter.digest in digests)
                if not window.lanes:
                    return Redriven(sent, window.came_back, is_complete=window.is_all)
                left = None if limit is None else limit - sent.total()
                for letters in self._paced(window, left, pace, end):
                    self._send(letters)
                    window.forget(letters)
                    digests |= {letter.digest for letter in letters}
                    sent.update(letter.kind for letter in letters)
                    told(sent.total())
        return Redriven(sent, 0, is_complete=False)

    def _pairs_of(self, wanted: Wanted) -> list[QueuePair]:
        return [pair for pair in self._pairs if wanted.function in {None, pair.function}]

    def _received(self, pairs: Iterable[QueuePair], window: _Window, until: float) -> Iterator[Letter]:
        for pair in pairs:
            is_empty = not any(self._depths(pair.dead_letters_url, ""))
            while not is_empty and window.size < LOOKED_AT_MAX and self._clock() < until:
                answer = self._client.receive_message(
                    QueueUrl=pair.dead_letters_url,
                    MaxNumberOfMessages=BATCH_MAX,
                    MessageSystemAttributeNames=["MessageGroupId"],
                    MessageAttributeNames=list(CAUSES),
                    VisibilityTimeout=int(window.held_until - self._clock()),
                    # So that every server of the queue is asked: without it an answer may be empty though letters are there.
                    WaitTimeSeconds=1,
                )
                messages = answer.get("Messages", ())
                is_empty = not messages
                for message in messages:
                    window.hold(pair, message["ReceiptHandle"])
                    yield self._reader.letter(pair, message)
            window.is_all &= is_empty

    def _paced(self, window: _Window, most: int | None, pace: Pace, end: float) -> Iterator[list[Letter]]:
        """The letters of a window in their turns, a few whenever it is time and there is room for them."""
        waiting = deque(islice(window.in_turns(), most))
        until = min(end, window.held_until - MARGIN_S)
        while waiting and self._clock() < until:
            room = pace.in_flight - self._in_flight() if self._clock() >= self._ready_at else 0
            if room <= 0:
                self._wait(_POLL_S)
                continue
            some = [waiting.popleft() for _ in range(min(BATCH_MAX, room, len(waiting)))]
            self._ready_at = self._clock() + len(some) * 60 / pace.per_minute
            yield some

    def _in_flight(self) -> int:
        """What waits or is worked on. SQS does not tell what is worked on from what is hidden until its next attempt."""
        depths = [self._depths(pair.url, "", "Delayed", "NotVisible") for pair in self._pairs]
        hidden = sum(not_visible for *_, not_visible in depths)
        self._hidden = hidden if self._hidden is None else min(self._hidden, hidden)
        return sum(map(sum, depths)) - self._hidden

    def _send(self, letters: Sequence[Letter]) -> None:
        # A new id each: under its old one SQS would silently drop what was sent in the last five minutes.
        self._queues.send(Message(letter.kind.function, letter.group, letter.body, uuid4().hex) for letter in letters)
        by_url: dict[str, list[Any]] = {}
        for place, letter in enumerate(letters):
            entry = {"Id": str(place), "ReceiptHandle": letter.receipt}
            by_url.setdefault(letter.pair.dead_letters_url, []).append(entry)
        for url, entries in by_url.items():
            # What is not deleted shows up and is sent again: too often rather than not at all.
            self._client.delete_message_batch(QueueUrl=url, Entries=entries)

    def _depths(self, url: str, *states: str) -> list[int]:
        names: Any = [f"ApproximateNumberOfMessages{state}" for state in states]
        attributes = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return [int(attributes[name]) for name in names]


class _Window:
    """Letters that nobody else sees while this is open."""

    def __init__(self, client: SQSClient, held_until: float) -> None:
        self._client = client
        self._held: dict[str, str] = {}
        self.held_until = held_until
        self.lanes: dict[str, list[Letter]] = {}
        """The letters to send, by business customer."""
        self.came_back = 0
        self.is_all = True
        """Whether every letter was looked at that could be seen."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Show at once what was not sent."""
        by_url: dict[str, list[str]] = {}
        for receipt, url in self._held.items():
            by_url.setdefault(url, []).append(receipt)
        for url, receipts in by_url.items():
            for start in range(0, len(receipts), BATCH_MAX):
                entries: Any = [
                    {"Id": str(place), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                    for place, receipt in enumerate(receipts[start : start + BATCH_MAX])
                ]
                self._client.change_message_visibility_batch(QueueUrl=url, Entries=entries)

    @property
    def size(self) -> int:
        return len(self._held)

    def hold(self, pair: QueuePair, receipt: str) -> None:
        self._held[receipt] = pair.dead_letters_url

    def keep(self, letter: Letter, *, is_back: bool) -> None:
        """One that is to be sent, unless its lane is long enough, or it was sent before."""
        self.came_back += is_back
        if not is_back:
            lane = self.lanes.setdefault(letter.kind.business_customer, [])
            lane += [letter] if len(lane) < LANE_MAX else []

    def forget(self, letters: Iterable[Letter]) -> None:
        for letter in letters:
            del self._held[letter.receipt]

    def in_turns(self) -> Iterator[Letter]:
        """One of each business customer after the other; those of one in their order."""
        return (letter for letter in chain.from_iterable(zip_longest(*self.lanes.values())) if letter is not None)
