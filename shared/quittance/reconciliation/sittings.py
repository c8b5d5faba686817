"""Reconciling by the clock: a run a day, in sittings as long as a function may last.

Whoever is called looks whether a run is under way and goes on with it, or whether one is due and begins it, or does nothing. One
sitting at a time, which an item of the ledger's table sees to; what a sitting leaves behind is the run's workbook.

    RECONCILING   RUN   when the latest run began, whether it is finished, and until when somebody sits over it
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

from quittance.errors import Retry
from quittance.reconciliation.outcome import run_id
from quittance.reconciliation.workbook import Workbook
from quittance.storage import Absent, ConditionFailedError, Equals, Put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quittance.reconciliation.run import Run
    from quittance.storage import Item, Table

BEGINS_AT_HOUR = 3
"""UTC. Before that a run of the day is not due."""
RESERVE_S = 120
"""What a sitting leaves of its time for the page it is at, the API's longest pause within a minute, and storing the workbook."""
PAUSE_S = 20
"""After a failure that does not say how long to wait."""
PAUSES_MAX = 2
"""So many of these in a row, and it is no passing failure."""
STORED_EVERY_S = 120
"""How much a killed sitting may have to do again."""
GIVEN_UP_AFTER_S = 48 * 3600
"""A run that is not finished by then never will be: the next one begins anew."""
KEYS = ("RECONCILING", "RUN")
"""Of the item that says what is under way."""


class Shelf(Protocol):
    """Where workbooks are between two sittings. Both methods raise `Retry` when that cannot be reached."""

    def fetch(self, name: str, to: Path) -> bool:
        """Whether there was one."""

    def store(self, name: str, file: Path) -> None: ...


class StartRun(Protocol):
    """Makes a run over a workbook that stops when it is told to, and tells whenever it has committed."""

    def __call__(self, workbook: Workbook, is_time_up: Callable[[], bool], committed: Callable[[], None]) -> Run: ...


class Sittings:
    """Sits over the run of the day."""

    def __init__(  # noqa: PLR0913 - the composition root names every part
        self,
        *,
        table: Table,
        shelf: Shelf,
        start: StartRun,
        publish: Callable[[Run, Workbook], None],
        now: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`now` gives seconds since 1970. `publish` is called when a run is finished, and again if it was killed meanwhile."""
        self._table = table
        self._shelf = shelf
        self._start = start
        self._publish = publish
        self._now = now
        self._clock = clock
        self._sleep = sleep
        self._pauses = 0
        """How many were made since something was done."""

    def sit(self, remaining_s: float, *, begins: bool = False) -> dict[str, str]:
        """One sitting of at most so many seconds. With `begins` a run begins if none is under way, due or not.

        Returns the run's id and what became of it: `finished`, `unfinished`, `busy` or `not_due`. Where ledger and API
        ask to wait, it waits. Raises `Park` when the API refuses and `Retry` when the shelf cannot be reached or something else
        fails again and again: the next sitting goes on from what was stored until then.
        """
        item = self._table.read(*KEYS)
        if item and item["busy_until"] > self._now():
            return {"reconciliation": run_id(item["started_at"]), "state": "busy"}
        started_at = self._started_at(item, begins=begins)
        if started_at is None:
            return {"reconciliation": "", "state": "not_due"}
        name = run_id(started_at)
        try:
            taken = self._take(item, started_at, remaining_s)
        except ConditionFailedError:
            return {"reconciliation": name, "state": "busy"}
        finished = False
        try:
            finished = self._work(name, started_at, self._clock() + remaining_s - RESERVE_S)
        finally:
            self._put(taken, taken | {"finished": finished, "busy_until": 0})
        return {"reconciliation": name, "state": "finished" if finished else "unfinished"}

    def _started_at(self, item: Item | None, *, begins: bool) -> int | None:
        """When the run began that is to be worked on: now, for a new one; None if none is due."""
        now = self._now()
        if item and not item["finished"] and now - item["started_at"] < GIVEN_UP_AFTER_S:
            return int(item["started_at"])
        return now if begins or item is None or _is_due(item["started_at"], now) else None

    def _take(self, item: Item | None, started_at: int, remaining_s: float) -> Item:
        pk, sk = KEYS
        busy = {"started_at": started_at, "finished": False, "busy_until": self._now() + int(remaining_s)}
        return self._put(item, {"pk": pk, "sk": sk, "version": 0} | (item or {}) | busy)

    def _put(self, before: Item | None, item: Item) -> Item:
        condition = Equals("version", before["version"]) if before else Absent()
        stored = item | {"version": item["version"] + 1}
        self._table.commit([Put(stored, condition)])
        return stored

    def _work(self, name: str, started_at: int, deadline: float) -> bool:
        with self._workbook(name, started_at) as workbook:
            stored_at = self._clock()

            def committed() -> None:
                nonlocal stored_at
                self._pauses = 0
                if self._clock() - stored_at >= STORED_EVERY_S:
                    self._shelf.store(name, workbook.path)
                    stored_at = self._clock()

            run = self._start(workbook, lambda: self._clock() >= deadline, committed)
            try:
                finished = self._finished(run, deadline)
            finally:
                self._shelf.store(name, workbook.path)
            if finished:
                self._publish(run, workbook)
            return finished

    def _finished(self, run: Run, deadline: float) -> bool:
        """Work until the run is finished or time is up, with the pauses that ledger and API ask for."""
        while True:
            try:
                return run.work()
            except Retry as later:
                self._pauses += later.delay_s is None
                if self._pauses > PAUSES_MAX:
                    raise
                pause = PAUSE_S if later.delay_s is None else later.delay_s
                if self._clock() + pause >= deadline:
                    return False
                self._sleep(pause)

    @contextmanager
    def _workbook(self, name: str, started_at: int) -> Iterator[Workbook]:
        with TemporaryDirectory(prefix="quittance-") as folder:
            path = Path(folder) / "workbook.sqlite3"
            is_known = self._shelf.fetch(name, path)
            workbook = Workbook(path)
            try:
                if not is_known:
                    workbook.set_state("started_at", started_at)
                yield workbook
            finally:
                workbook.close()


def _is_due(started_at: int, now: int) -> bool:
    """Whether the run of the day has not begun yet."""
    moment = datetime.fromtimestamp(now, UTC)
    return moment.hour >= BEGINS_AT_HOUR and datetime.fromtimestamp(started_at, UTC).date() < moment.date()
