"""Where time and identifiers come from. Both are injected, so that the model is deterministic."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present as an aware datetime in UTC."""


def wall_clock() -> datetime:
    """The machine's time, for the server."""
    return datetime.now(UTC)


class Identifiers:
    """Prefixed identifiers that sort by creation, with 24 hexadecimal characters like the real ones.

    The same seed and the same clock give the same identifiers in the same order.
    """

    def __init__(self, clock: Clock, seed: str = "sandbox") -> None:
        self._clock = clock
        self._seed = seed
        self._run = hashlib.sha256(seed.encode()).hexdigest()[:8]
        self._issued = 0

    def new(self, prefix: str) -> str:
        """A fresh identifier `<prefix>_<24 hex>`."""
        self._issued += 1
        return f"{prefix}_{int(self._clock().timestamp()):08x}{self._run}{self._issued:08x}"

    def secret(self) -> str:
        """64 hexadecimal characters; as unpredictable as the seed is."""
        self._issued += 1
        return hashlib.sha256(f"{self._seed}/{self._issued}".encode()).hexdigest()
