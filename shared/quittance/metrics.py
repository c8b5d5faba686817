"""The port for counting what was decided; `runtime/observability.py` makes metrics of it."""

from __future__ import annotations

from typing import Protocol


class Count(Protocol):
    """Counts one decision, by provider and the type of fact or the code it is about: closed sets, never ids."""

    def __call__(self, metric: str, *, provider: str, event_type: str) -> None: ...


def count_nothing(metric: str, *, provider: str, event_type: str) -> None:
    """For callers that keep no metrics."""
