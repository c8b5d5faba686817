"""Anchors: the heads of the chains, written down where nobody can rewrite them.

A file of anchors is JSON lines, one for each chain that has grown since the file before: `chain`, `sequence`, `digest` and
`chained_at` of its newest entry, `anchored_at`, and a keyed digest. Who can write to the journal's table cannot write here, and
files are locked: so from the next anchor on, not even the holder of the key can change what was entered without it showing.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from quittance.journal.entries import canonical, sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from quittance.journal.chains import Head, Journal
    from quittance.journal.entries import KeyRing

PREFIX = "anchors/"
_OVERLAP_S = 300
"""Clocks differ: a head this much older than the last file is anchored once more."""


class AnchorStore(Protocol):
    """Where files of anchors are kept. Every method may raise `Retry("anchors_unavailable")`."""

    def newest(self, days: Iterable[str]) -> str | None:
        """The name of the newest file of these days, each `YYYY-MM-DD`; None if there is none."""

    def write(self, name: str, text: str) -> None:
        """Keep a new file. One of this name that is there already stays as it is."""


class Anchoring:
    """Anchors every chain that has grown."""

    def __init__(self, journal: Journal, store: AnchorStore, *, keys: Callable[[], KeyRing], now: Callable[[], str]) -> None:
        """`now` gives RFC 3339 in UTC, with second precision."""
        self._journal = journal
        self._store = store
        self._keys = keys
        self._now = now

    def run(self) -> int:
        """Write the next file, if there is anything new. Returns the number of chains that were anchored.

        Where no file of the last two days is found, all chains are.
        """
        now = self._now()
        since = self._last_run(now)
        lines = [
            canonical(sealed(_anchor(head, now), self._keys().current))
            for head in self._journal.heads()
            if head.chained_at >= since
        ]
        if lines:
            self._store.write(file_name(now), "\n".join(lines) + "\n")
        return len(lines)

    def _last_run(self, now: str) -> str:
        newest = self._store.newest([now[:10], _moved(now, -86400)[:10]])
        return _moved(time_of(newest), -_OVERLAP_S) if newest else ""


def _anchor(head: Head, now: str) -> dict[str, Any]:
    return {**asdict(head), "anchored_at": now}


def file_name(anchored_at: str) -> str:
    """Such as `anchors/2026-11-20/100000Z.jsonl`."""
    return f"{PREFIX}{anchored_at[:10]}/{anchored_at[11:].replace(':', '')}.jsonl"


def time_of(name: str) -> str:
    """When the file of this name was written: the inverse of `file_name`."""
    day, _, clock = name.removeprefix(PREFIX).removesuffix("Z.jsonl").partition("/")
    return f"{day}T{clock[:2]}:{clock[2:4]}:{clock[4:6]}Z"


def days_between(first: str, last: str) -> Iterator[str]:
    """Every day from the one of an instant to that of another."""
    day, end = datetime.fromisoformat(first[:10]), datetime.fromisoformat(last[:10])
    while day <= end:
        yield day.date().isoformat()
        day += timedelta(days=1)


def _moved(instant: str, seconds: int) -> str:
    return (datetime.fromisoformat(instant) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
