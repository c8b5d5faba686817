"""Requests per client address in a sliding minute."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from datetime import datetime, timedelta

from tools.sandbox.wire import Problem

_WINDOW = timedelta(minutes=1)


class RateLimiter:
    """Counts admitted requests. Refused ones do not count."""

    def __init__(self, limits: dict[str, int] | None) -> None:
        self.limits = limits
        self._admitted: defaultdict[tuple[str, str], deque[datetime]] = defaultdict(deque)

    def admit(self, client: str, environment: str, now: datetime) -> None:
        """Raises `Problem` 429 with the seconds until the next request is possible."""
        if self.limits is None:
            return
        admitted = self._admitted[client, environment]
        while admitted and admitted[0] <= now - _WINDOW:
            admitted.popleft()
        if len(admitted) >= self.limits[environment]:
            wait = math.ceil((admitted[0] + _WINDOW - now).total_seconds())
            raise Problem(429, "Too many requests", retry_after=max(1, wait))
        admitted.append(now)
