"""Waiting for a condition, never for a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class WaitedTooLongError(Exception):
    """A condition did not come true in time. The message says which."""


def wait_for(what: str, condition: Callable[[], T | None], *, seconds: float, every_s: float = 0.1) -> T:
    """The first result of `condition` that is not empty, asked again every `every_s`.

    Raises `WaitedTooLongError` when there was none after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        if result := condition():
            return result
        if time.monotonic() >= deadline:
            raise WaitedTooLongError(f"waited {seconds:.0f} seconds for {what}")
        time.sleep(every_s)
