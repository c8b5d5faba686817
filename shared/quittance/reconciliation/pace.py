"""A share of the invoicing API's allowance, which it counts by the minute for everybody together."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from quittance.space_invoices import REQUESTS_PER_MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE_S = 60.0
_SHARE = 5
"""A reconciliation takes one request in so many, so that it never holds up a payment for long."""


def share_of(environment: str, allowed: int = 0) -> int:
    """The requests a minute that a reconciliation may make. `allowed` is what the API allows in all, if that is known."""
    return max(1, (allowed or REQUESTS_PER_MINUTE[environment]) // _SHARE)


class Pace:
    """Call it before each request. In no minute does it let more than so many pass; the first ones do not wait."""

    def __init__(
        self,
        requests_a_minute: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """With 0 requests a minute nothing waits."""
        self._passed: deque[float] = deque(maxlen=requests_a_minute or 1)
        self._is_limited = requests_a_minute > 0
        self._clock = clock
        self._sleep = sleep

    def __call__(self) -> None:
        if not self._is_limited:
            return
        if len(self._passed) == self._passed.maxlen and (early := self._passed[0] + MINUTE_S - self._clock()) > 0:
            self._sleep(early)
        self._passed.append(self._clock())
