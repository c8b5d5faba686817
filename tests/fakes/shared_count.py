"""What the processes know together of the API's allowance, in memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class MemorySharedCount:
    """Implements `quittance.runtime.allowance.SharedCount`."""

    free_at: float = 0.0
    requests: Counter[int] = field(default_factory=Counter)
    asked: int = 0

    def take(self, span: int, requests: int, room: int) -> int:
        self.asked += 1
        found_room = max(0, min(requests, room - self.requests[span]))
        self.requests[span] += found_room
        return found_room

    def reserve(self, not_before: float, length_s: float) -> float:
        self.asked += 1
        begins = max(self.free_at, not_before)
        self.free_at = begins + length_s
        return begins
