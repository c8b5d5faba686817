"""Playing stories: samples made new for this run, signed as their provider would, posted, and followed until all is done."""

from __future__ import annotations

import itertools
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from quittance.documents import DocumentState
from quittance.explanation import waiting
from quittance.providers import provider, provider_names
from tools.deliveries import signed_delivery
from tools.milestone.scenario import Delivery, Story, provider_of
from tools.samples import with_fresh_ids
from tools.traffic import wait_until_done
from tools.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quittance.providers import Translation
    from tools.target import Target

EVENTS = Path(__file__).parents[2] / "events"
CONNECTION = "default"
_NEWEST_SAMPLE = date(2026, 11, 22)
"""The day of the latest event under `events/`; it is moved to yesterday, because no document may be dated in the future."""
_DAY = re.compile(r'(?<=")\d{4}-\d\d-\d\d(?=T\d\d:)')
_FETCHED_WHOLE = frozenset({"mollie", "gocardless"})
"""Their APIs tell when things happened, at the samples' own times, so their deliveries keep these too."""
_AT_ONCE = 4
_SOMEBODY_ELSES = "whsec_Zm9yZ2VkIGJ5IHNvbWVib2R5IGVsc2U="
_POST_TIMEOUT_S = 10


_OK = range(200, 300)
_SENDER_RETRIES = range(500, 600)


class RefusedError(Exception):
    """A delivery was not accepted, so that going on would prove nothing. The message says which."""


@dataclass(slots=True)
class Played:
    """One delivery as it was sent, and how it was answered."""

    story: Story
    round: int
    sample: str
    translation: Translation
    status: int

    @property
    def provider(self) -> str:
        return provider_of(self.sample)

    @property
    def event_ids(self) -> set[str]:
        """The ids of all events that the delivery holds."""
        return {event.event_id for event in self.translation.events}


@dataclass(slots=True)
class Player:
    """Plays stories against one stack. `run` makes every id of this run its own."""

    target: Target
    run: str
    patience_s: float
    """How long one round may take to be worked off."""
    today: date = field(default_factory=lambda: datetime.now(UTC).date())
    played: list[Played] = field(default_factory=list)
    waits: dict[str, set[str]] = field(default_factory=dict)
    """Title of a story -> what its payments waited for after the first round."""
    waited: dict[str, str] = field(default_factory=dict)
    """Identity of a fact -> what it had to wait for."""
    secrets: dict[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.secrets = {name: self.target.secret(name, CONNECTION) for name in provider_names()}

    def play(self, stories: Iterable[Story]) -> None:
        """Play stories side by side.

        Raises `RefusedError` when a delivery is not accepted, `WaitedTooLongError` when a round is not worked off in time.
        """
        stories = tuple(stories)
        for number in range(max(len(story.rounds) for story in stories)):
            deliveries = [(story, story.rounds[number]) for story in stories if number < len(story.rounds)]
            self._send(_interleaved(deliveries), number)
            wait_until_done(self.target, seconds=self.patience_s)
            if number == 0:
                self._see_what_waits()

    def time_one_by_one(self, story: Story) -> list[float]:
        """Play the deliveries of a story, each after the document of the one before. Returns the seconds each took."""
        return [self._timed(story, delivery) for deliveries in story.rounds for delivery in deliveries]

    def send_forged(self, delivery: Delivery) -> int:
        """Send a delivery that is signed with a secret of our own. Returns the status of the answer."""
        return self._post(delivery, secret=_SOMEBODY_ELSES)[1]

    def _timed(self, story: Story, delivery: Delivery) -> float:
        started = time.perf_counter()
        self._send([(story, delivery)], 0)
        [fact] = self.played[-1].translation.facts

        def is_issued() -> bool:
            documents = self.target.ledger.case(fact.provider, fact.account, fact.key).documents.values()
            return any(entry.record.state is DocumentState.ISSUED for entry in documents)

        wait_for(f"the document of {fact.key}", is_issued, seconds=self.patience_s, every_s=0.02)
        return time.perf_counter() - started

    def _send(self, deliveries: Iterable[tuple[Story, Delivery]], number: int) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for story, delivery, (translation, status) in pool.map(lambda one: (*one, self._post(one[1])), deliveries):
                self.played.append(Played(story, number, delivery.sample, translation, status))
        if refused := [f"{one.sample} was answered {one.status}" for one in self.played if one.status not in _OK]:
            raise RefusedError("; ".join(refused))

    def _post(self, delivery: Delivery, secret: str | None = None) -> tuple[Translation, int]:
        name, body = provider_of(delivery.sample), self._body(delivery)
        sent, headers = signed_delivery(name, body, secret or self.secrets[name], int(time.time()))
        url = f"{self.target.webhooks}/webhooks/{name}/{CONNECTION}"
        status = wait_for(f"an answer to {delivery.sample}", lambda: _answer(url, sent, headers), seconds=self.patience_s)
        return provider(name).translate(body, CONNECTION, {}), status

    def _body(self, delivery: Delivery) -> bytes:
        body = (EVENTS / delivery.sample).read_bytes()
        if not delivery.sample.endswith(".json"):
            return with_fresh_ids(body, self.run)
        event = json.loads(body)
        for path, value in delivery.changes.items():
            *parents, last = path.split(".")
            place = event
            for parent in parents:
                place = place[parent]
            place[last] = value
        if customer := event.get("data", {}).get("business_customer"):
            event["data"]["business_customer"] = f"{customer}_{self.run}"
        by = timedelta() if provider_of(delivery.sample) in _FETCHED_WHOLE else self.today - timedelta(days=1) - _NEWEST_SAMPLE
        if isinstance(event.get("created"), int):
            event["created"] += int(by.total_seconds())
        moved = _DAY.sub(lambda day: (date.fromisoformat(day[0]) + by).isoformat(), json.dumps(event))
        return with_fresh_ids(moved.encode(), self.run)

    def _see_what_waits(self) -> None:
        stories_of = {event_id: played.story for played in self.played for event_id in played.event_ids}
        for case in self.target.ledger.cases():
            customer = self.target.ledger.customer_of(case)
            planned = self.target.ledger.planned(case, customer)
            for waits in waiting(planned, customer):
                for fact in [waits["fact"]] if waits["fact"] else case.facts:
                    self.waited[fact] = waits["for"]
                    self.waits.setdefault(stories_of[case.event_ids[fact]].title, set()).add(waits["for"])


def _answer(url: str, body: bytes, headers: dict[str, str]) -> int | None:
    """The status of the answer; None when the sender must try again, as every provider does after no answer or a 5xx."""
    try:
        status = httpx.post(url, content=body, headers=headers, timeout=_POST_TIMEOUT_S, trust_env=False).status_code
    except httpx.TimeoutException:
        return None
    return None if status in _SENDER_RETRIES else status


def _interleaved(deliveries: Iterable[tuple[Story, tuple[Delivery, ...]]]) -> list[tuple[Story, Delivery]]:
    """The first delivery of every story, then the second of every story, and so on."""
    columns = itertools.zip_longest(*([(story, one) for one in round_] for story, round_ in deliveries))
    return [one for column in columns for one in column if one]
