"""A run a day, in sittings that one call of a function may last, one at a time."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from quittance.errors import Retry
from quittance.reconciliation.pace import Pace, share_of
from quittance.reconciliation.sittings import GIVEN_UP_AFTER_S, PAUSE_S, PAUSES_MAX, RESERVE_S, Sittings
from tests.reconciliation.large_ledger import LargeLedger

if TYPE_CHECKING:
    from pathlib import Path

    from quittance.reconciliation.run import Run
    from quittance.reconciliation.workbook import Workbook

DAY_S = 86_400
LONG_S = 900.0


class Desk:
    """Sittings over a ledger, with a folder in place of the bucket. Each page of the API's lists takes `page_s`."""

    def __init__(self, folder: Path, page_s: float = 1) -> None:
        self.ledger = LargeLedger(450)
        self.folder = folder
        self.clock = 0.0
        self.published: list[str] = []
        self.slept: list[float] = []
        self.dies_at_page = 0
        """Whoever dies then stores nothing any more."""
        self.ledger.before_page = self._page
        self._page_s = page_s
        self.sittings = Sittings(
            table=self.ledger.table,
            shelf=self,
            start=self._start,
            publish=self._publish,
            now=lambda: self.ledger.seconds,
            clock=lambda: self.clock,
            sleep=self.sleep,
        )

    def _page(self, number: int) -> None:
        self.clock += self._page_s
        if number == self.dies_at_page:
            raise SystemExit

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock += seconds

    def _start(self, workbook: Workbook, is_time_up: Any, committed: Any) -> Run:
        return self.ledger.run(self.folder, workbook=workbook, is_time_up=is_time_up, committed=committed)

    def _publish(self, run: Run, _: Workbook) -> None:
        self.published.append(run.result().id)

    def fetch(self, name: str, to: Path) -> bool:
        known = self.folder / name
        if known.exists():
            shutil.copy(known, to)
        return known.exists()

    def store(self, name: str, file: Path) -> None:
        if not self.dies_at_page or self.ledger.lists < self.dies_at_page:
            shutil.copy(file, self.folder / name)

    def is_told_to_wait(self, seconds: int) -> None:
        refusal = {"kind": "status", "status": 429, "retry_after": seconds, "match": {"path_prefix": "/entities"}}
        self.ledger.sandbox.faults.add_json(refusal)

    def sit(self, remaining_s: float = LONG_S, **options: bool) -> str:
        return self.sittings.sit(remaining_s, **options)["state"]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_one_run_a_day_after_three(desk: Desk) -> None:
    assert desk.sit() == "finished"
    assert desk.sit() == "not_due"
    desk.ledger.seconds += DAY_S - 12 * 3600  # 02:00 of the next day
    assert desk.sit() == "not_due"
    desk.ledger.seconds += 3600
    assert desk.sit() == "finished"
    assert desk.published == ["2026-11-20T14-00-00Z", "2026-11-21T03-00-00Z"]


def test_one_may_be_begun_that_is_not_due(desk: Desk) -> None:
    assert [desk.sit(), desk.sit(begins=True)] == ["finished", "finished"]


def test_it_goes_on_where_the_last_sitting_stopped(tmp_path: Path) -> None:
    desk = Desk(tmp_path, page_s=100)
    states: list[str] = []
    while not states or states[-1] == "unfinished":
        states.append(desk.sit(RESERVE_S + 150))
        desk.ledger.seconds += 900
    assert states == ["unfinished", "unfinished", "unfinished", "finished"]
    assert desk.ledger.lists == 6
    assert desk.published == ["2026-11-20T14-00-00Z"]


def test_a_killed_sitting_has_little_to_do_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, page_s=100)
    desk.dies_at_page = 6
    with pytest.raises(SystemExit):
        desk.sit()
    desk.dies_at_page = 0
    assert desk.sit() == "finished"
    assert 6 < desk.ledger.lists <= 6 + 2


def test_two_never_sit_at_once(desk: Desk) -> None:
    states = []
    desk.ledger.before_page = lambda _: states.append(desk.sit())
    assert desk.sit() == "finished"
    assert set(states) == {"busy"}


def test_who_was_killed_holds_nobody_up_for_long(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sittings, "_put", _once(Sittings._put))
    with pytest.raises(SystemExit):
        desk.sit()
    monkeypatch.undo()
    assert desk.sit() == "busy"
    desk.ledger.seconds += int(LONG_S)
    assert desk.sit() == "finished"


def _once(put: Any) -> Any:
    calls = []

    def first_only(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) > 1:
            raise SystemExit
        return put(*arguments)

    return first_only


def test_a_run_that_never_finishes_is_given_up(desk: Desk) -> None:
    assert desk.sit(RESERVE_S - 1) == "unfinished"
    desk.ledger.seconds += GIVEN_UP_AFTER_S
    assert desk.sit() == "finished"
    assert desk.published == ["2026-11-22T14-00-00Z"]


def test_what_the_api_asks_to_wait_is_waited_for(desk: Desk) -> None:
    desk.ledger.sandbox.faults.add_json(
        {"kind": "status", "status": 429, "retry_after": 30, "match": {"path_prefix": "/entities"}}
    )
    assert desk.sit() == "finished"
    assert desk.slept == [30]


def test_a_pause_longer_than_the_sitting_ends_it(desk: Desk) -> None:
    desk.ledger.sandbox.faults.add_json(
        {"kind": "status", "status": 429, "retry_after": 900, "match": {"path_prefix": "/entities"}}
    )
    assert [desk.sit(), desk.sit()] == ["unfinished", "finished"]
    assert desk.slept == []


def test_what_cannot_be_published_is_published_at_the_next_sitting(desk: Desk) -> None:
    publish, desk.sittings._publish = desk.sittings._publish, _unavailable
    with pytest.raises(Retry):
        desk.sit()
    desk.sittings._publish = publish
    pages = desk.ledger.lists
    assert desk.sit() == "finished"
    assert (desk.published, desk.ledger.lists) == (["2026-11-20T14-00-00Z"], pages)


def test_what_fails_again_and_again_ends_the_sitting(desk: Desk) -> None:
    """A permission that is missing must be seen, not waited for."""
    desk.ledger.before_page = _unavailable
    with pytest.raises(Retry, match="bucket_unavailable"):
        desk.sit()
    assert desk.slept == [PAUSE_S] * PAUSES_MAX


def _unavailable(*_: Any) -> None:
    raise Retry("bucket_unavailable")


# --- pace ----------------------------------------------------------------------------------------------------------------


def test_no_minute_sees_more_than_its_share() -> None:
    now, asked = [0.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    pace = Pace(12, clock=lambda: now[0], sleep=sleep)
    for _ in range(100):
        pace()
        asked.append(now[0])
        now[0] += 0.125
    assert all(later - earlier >= 60 for earlier, later in zip(asked, asked[12:], strict=False))
    assert asked[11] < 2, "the first ones do not wait"


def test_the_share_is_a_fifth() -> None:
    assert [share_of("sandbox"), share_of("live"), share_of("live", 1000), share_of("sandbox", 3)] == [12, 120, 200, 1]
