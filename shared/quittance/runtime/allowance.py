"""The invoicing API's allowance of requests, which all functions and all business customers share.

As long as the API takes everything, nothing is asked, counted or slowed down. From its first 429 on a process is *tight* for a
while, and then

- it sends nothing before the API said it may;
- all tight processes count what they send together, and no more is sent in a span of seconds than the allowance has for it;
- the messages of an account with a backlog are not tried as they come, but come back at times that are given out in turn. So a
  backlog drains at the rate of the allowance, each message is received a few times however long it is, and the queue keeps
  moving: who has little to do is not stuck behind who has much.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from quittance.errors import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TIGHT_S = 120
"""How long a process looks before it sends, counted from the last 429 or from the end of the backlog."""
SPAN_S = 3
"""What is sent is counted in spans of so many seconds."""
FEW = 20
"""So many messages of one account that had to wait of late are no backlog yet."""
_HALF_LIFE_S = 30
_KEPT_FOR_OTHERS = 0.1
"""Of each span's room, what accounts with a backlog leave to the others until its last second."""
_ACCOUNTS_MAX = 10_000
_ALL_FEW = ""
"""All accounts without a backlog together: when they are many, each looks less often."""


class Ask(NamedTuple):
    """A message that would ask the API for something."""

    account: str
    """Whatever tells one business customer's messages from another's."""
    is_new: bool
    """Never received before."""


class SharedCount(Protocol):
    """What the processes know together. Both methods raise `Retry` when that cannot be found out now."""

    def take(self, span: int, requests: int, room: int) -> int:
        """Count requests in a span that has room for so many in all; returns how many of them found room."""

    def reserve(self, not_before: float, length_s: float) -> float:
        """The beginning of the next `length_s` seconds that nobody has, not before a time in seconds since 1970."""


class Allowance:
    """What one process may still ask of the API. Times are seconds since 1970."""

    def __init__(self, shared: SharedCount, per_minute: int, clock: Callable[[], float] = time.time) -> None:
        """`per_minute` is how many requests the API allows all processes together."""
        self._shared = shared
        self._per_minute = per_minute
        self._clock = clock
        self._tight_until = 0.0
        self._opens_at = 0.0
        self._waited: dict[str, tuple[float, float]] = {}
        """Account -> how many of its messages had to wait of late, as of when."""

    @property
    def is_tight(self) -> bool:
        """Whether messages have to be asked about. As long as not, every one is to be tried."""
        return self._clock() < self._tight_until

    def refused(self, pause_s: int) -> None:
        """The API answered 429, and will for so many seconds."""
        now = self._clock()
        self._opens_at = max(self._opens_at, now + pause_s)
        self._tight_until = max(self._tight_until, now + pause_s + TIGHT_S)

    def wait_s(self, account: str) -> int:
        """How many seconds a message waits that was refused, or not tried because of a refusal."""
        now = self._clock()
        try:
            return self._wait_s(account, now)
        except Retry:
            return self._until_open(now)

    def waits_s(self, asks: Sequence[Ask]) -> list[int | None]:
        """For each message how many seconds it has to wait; None: it is to be tried now.

        Where the shared count cannot be reached nothing waits: the API itself still says when it is too much.
        """
        now = self._clock()
        try:
            return self._shared_out(asks, now)
        except Retry:
            return [self._until_open(now) or None] * len(asks)

    def _shared_out(self, asks: Sequence[Ask], now: float) -> list[int | None]:
        is_open = now >= self._opens_at
        has_backlog = [self._waited_of_late(ask.account, now) > FEW for ask in asks]
        few = self._take(has_backlog.count(False), now, 0) if is_open else 0
        many = [not ask.is_new for ask, has in zip(asks, has_backlog, strict=True) if has].count(True)
        rest = self._take(many, now, _KEPT_FOR_OTHERS) if is_open else 0
        waits: list[int | None] = []
        for ask, has in zip(asks, has_backlog, strict=True):
            if not has and few:
                few -= 1
                waits.append(None)
            elif has and not ask.is_new and rest:
                rest -= 1
                waits.append(None)
            else:
                waits.append(self._wait_s(ask.account, now))
        return waits

    def _take(self, requests: int, now: float, kept: float) -> int:
        """How many of these requests the present span still has room for, less the share that is kept."""
        if not requests:
            return 0
        span, into = divmod(now, SPAN_S)
        room = int((span + 1) * SPAN_S * self._per_minute // 60 - span * SPAN_S * self._per_minute // 60)
        if into < SPAN_S - 1:
            room -= int(room * kept)
        return self._shared.take(int(span), requests, room)

    def _wait_s(self, account: str, now: float) -> int:
        """Until its turn for an account with a backlog, else until a span in which those without one may find room."""
        if len(self._waited) >= _ACCOUNTS_MAX:
            self._waited.clear()
        begins = max(self._opens_at, (now // SPAN_S + 1) * SPAN_S)
        if self._counted(account, now) > FEW:
            begins = self._shared.reserve(begins, 60 / self._per_minute)
            self._tight_until = max(self._tight_until, begins + TIGHT_S)
        else:
            begins += SPAN_S * int(self._counted(_ALL_FEW, now) / (2 * FEW))
        return math.ceil(begins - now)

    def _counted(self, name: str, now: float) -> float:
        """One more that had to wait."""
        self._waited[name] = self._waited_of_late(name, now) + 1, now
        return self._waited[name][0]

    def _waited_of_late(self, name: str, now: float) -> float:
        count, at = self._waited.get(name, (0.0, now))
        return count * math.pow(0.5, (now - at) / _HALF_LIFE_S)

    def _until_open(self, now: float) -> int:
        return max(0, math.ceil(self._opens_at - now))
