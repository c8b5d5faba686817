"""What goes wrong around a running stack, out of a seed: processes die, consumers stop, secrets change, the API fails."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx

from tests.end_to_end.conftest import Stack, pascal, processes_of
from tools.traffic import on_the_way
from tools.waiting import WaitedTooLongError, wait_for

BUSY_S = 2.0
"""How long to wait for somebody to be at work."""
VISIBILITY_S = 31
"""A message whose worker died comes back after this: when nobody can be at work on it any more, and its lease has run out."""
SLOW_COMMIT_S = 12
"""Longer than the client waits for an answer."""
UNANSWERED_S = 2
SPENT_S = 30.0
"""How long to wait, on a slow machine, until the last faults are met."""
BETWEEN_CALLS_S = 20.0
"""How long to wait for what does not wait for long."""
_DEATH = "errorMessage=Worker process died"
_STORED = re.compile(r"saved sqs state to (\S+)")
_POST, _GET = {"method": "POST"}, {"method": "GET"}

API_FAULTS: dict[str, tuple[int, dict[str, Any]]] = {
    # how often it is asked for, and how
    "429": (2, {"kind": "status", "status": 429, "retry_after": 1}),
    "500": (2, {"kind": "status", "status": 500, "after_commit": False}),
    "500 after the commit": (2, {"kind": "status", "status": 500, "after_commit": True}),
    "503": (2, {"kind": "status", "status": 503}),
    "answer lost after the commit": (4, {"kind": "lose_response_after_commit"}),
    "connection reset": (2, {"kind": "reset_before"}),
    "slow commit": (1, {"kind": "delay", "seconds": SLOW_COMMIT_S, "when": "before"}),
    "slow answer": (3, {"kind": "delay", "seconds": 1, "when": "after"}),
    "x-request-id ignored": (2, {"kind": "ignore_idempotency_header", "header": "x-request-id", "times": 3}),
    "idempotency-key ignored": (2, {"kind": "ignore_idempotency_header", "header": "idempotency-key", "times": 3}),
    "look-up lags": (2, {"kind": "lookup_lag", "seconds": 6, "times": 2, "match": _GET}),
}
HAPPENINGS = {"kill": 6, "kill busy": 3, "stop consumer": 4, "restart": 1, "rotate secrets": 1}
"""What else is done, and how often."""
EXPECTED = (
    *API_FAULTS,
    "killed",
    "killed while busy",
    "died at work",
    "consumer restarted",
    "emulator restarted",
    "secret rotated",
)
"""What must have happened for a storm to count."""


@dataclass(slots=True)
class Chaos:
    """Everything that goes wrong during one run of `seconds`."""

    stack: Stack
    seed: int
    seconds: float
    happened: Counter[str] = field(default_factory=Counter)
    _random: Random = field(init=False)
    _stopped: list[str] = field(default_factory=list)
    _deaths_before: int = field(init=False)

    def __post_init__(self) -> None:
        self._random = Random(f"chaos {self.seed}")  # noqa: S311 - reproducible on purpose
        self._deaths_before = self._deaths()

    def run(self, over: threading.Event) -> None:
        """Let it all happen, each thing in its time. Ends early when the run is over."""
        started = time.monotonic()
        for due, happens in sorted(self._plan(), key=lambda one: one[0]):
            if over.wait(max(0.0, started + due * self.seconds - time.monotonic())):
                return
            happens()

    def heal(self) -> None:
        """End it: every consumer runs, and every fault that nobody comes to meet any more is taken back."""
        for mapping in self._mappings():
            self._switch(mapping, on=True)
        with suppress(WaitedTooLongError):
            wait_for("the faults to be met", self._is_spent, seconds=SPENT_S, every_s=0.5)
        left = self.stack.told("faults")
        httpx.delete(f"{self.stack.server.url}/_sandbox/faults", trust_env=False).raise_for_status()
        self.happened["died at work"] = self._deaths() - self._deaths_before
        for name, (_, fault) in API_FAULTS.items():
            self.happened[name] -= sum(rule["times"] for rule in left if _is(rule, fault))

    def _is_spent(self) -> bool:
        return not (self.stack.told("faults") and on_the_way(self.stack.target))

    def _plan(self) -> Iterator[tuple[float, Callable[[], None]]]:
        for name, (times, _) in API_FAULTS.items():
            for _ in range(times):
                yield self._random.uniform(0, 0.8), partial(self._arm, name)
        actions = {
            "kill": self._kill,
            "kill busy": self._kill_busy,
            "stop consumer": self._stop_consumer,
            "restart": self._restart,
            "rotate secrets": self._rotate,
        }
        for name, times in HAPPENINGS.items():
            for _ in range(times):
                yield self._random.uniform(0.1, 0.9), actions[name]

    def _arm(self, name: str) -> None:
        """What is not left in the end has happened."""
        fault = API_FAULTS[name][1]
        # Documents only: a message that meets more than three failures waits for ten minutes, and registrations are few.
        match = _POST | {"path_prefix": self._random.choice(("/invoices", "/invoices", "/credit-notes"))}
        self.stack.arm(**{"match": match, **fault})
        self.happened[name] += fault.get("times", 1)

    # processes

    def _kill(self) -> None:
        """Any function, ingest too."""
        functions = ["ingest", *sorted(self.stack.target.queues)]
        running = [found for name in functions if (found := processes_of(pascal(name)))]
        if running:
            self._end(self._random.choice(running), "killed")

    def _kill_busy(self) -> None:
        """Whoever has messages in hand when a request to the API was carried out and is not answered yet."""
        before = self._unanswered()
        self.stack.arm(kind="delay", seconds=UNANSWERED_S, when="after", match=_POST)
        with suppress(WaitedTooLongError):
            wait_for("a request", lambda: self._unanswered() > before, seconds=BUSY_S, every_s=0.05)
        for name, pair in self.stack.target.queues.items():
            if self._in_flight(pair.url):
                self._end(processes_of(pascal(name)), "killed while busy")

    def _end(self, processes: list[int], how: str) -> None:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
                self.happened[how] += 1

    def _restart(self) -> None:
        """The emulator with all that runs in it."""
        self.stack.local.restart()
        self.happened["emulator restarted"] += 1

    def _in_flight(self, url: str) -> int:
        name = "ApproximateNumberOfMessagesNotVisible"
        sqs = self.stack.target.client("sqs")
        return int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])

    def _unanswered(self) -> int:
        """How many requests the API has carried out, or is about to, without answering at once."""
        return sum(1 for request in self.stack.told("requests") if request["fault"] == "delay")

    def _deaths(self) -> int:
        """How many functions died at their work since the stack was started, as the emulator tells it."""
        return self.stack.local.emulator_log.read_text(encoding="utf-8", errors="replace").count(_DEATH)

    # consumers

    def _mappings(self) -> list[str]:
        found = self.stack.target.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        return sorted(one["UUID"] for one in found)

    def _stop_consumer(self) -> None:
        """One stops; the one that had stopped before it starts again."""
        for mapping in self._stopped:
            self._switch(mapping, on=True)
            self.happened["consumer restarted"] += 1
        self._stopped = [self._random.choice(self._mappings())]
        self._switch(self._stopped[0], on=False)

    def _switch(self, mapping: str, *, on: bool) -> None:
        self.stack.target.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=on)

    # secrets

    def _rotate(self) -> None:
        """New signing secrets; what is already signed with the old ones is still accepted."""
        for name in self.stack.local.secrets:
            self.stack.local.rotate_secret(name)
            self.happened["secret rotated"] += 1


def _is(rule: dict[str, Any], fault: dict[str, Any]) -> bool:
    """Whether a rule that the sandbox lists is this one; how often it still applies changes."""
    return all(rule.get(name) == value for name, value in fault.items() if name not in {"times", "match"})


@contextmanager
def short_visibility(stack: Stack) -> Iterator[None]:
    """Messages of a worker that died come back soon, as long as the block lasts."""
    sqs, name = stack.target.client("sqs"), "VisibilityTimeout"
    urls = [pair.url for pair in stack.target.queues.values()]
    before = {url: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name] for url in urls}
    for url in urls:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={name: str(VISIBILITY_S)})
    try:
        yield
    finally:
        for url, seconds in before.items():
            sqs.set_queue_attributes(QueueUrl=url, Attributes={name: seconds})


def wait_until_calm(stack: Stack, seconds: float) -> None:
    """Return when nothing is left to do. Raises `WaitedTooLongError`.

    What failed four times waits for minutes by the product's schedule. That is not what is tested here, so it is called back.
    """
    deadline = time.monotonic() + seconds
    while True:
        if _waits_for_long(stack):
            _call_back(stack)
        left = deadline - time.monotonic()
        try:
            stack.wait_until_done(seconds=min(BETWEEN_CALLS_S, left))
        except WaitedTooLongError:
            if left <= BETWEEN_CALLS_S:
                raise
        else:
            return


def _waits_for_long(stack: Stack) -> bool:
    """Whether any message is hidden for longer than one whose worker died."""
    listed = httpx.get(f"{stack.local.aws_endpoint_url}/_ministack/sqs/messages", trust_env=False).raise_for_status().json()
    queues = [queue for regions in listed["messages"].values() for queues in regions.values() for queue in queues.values()]
    return any(message["VisibleAt"] > time.time() + VISIBILITY_S for queue in queues for message in queue)


def _call_back(stack: Stack) -> None:
    """Only who received a message may end its wait, and the emulator tells its receipt handle only as it stops."""
    stack.local.restart()
    stored = Path(_STORED.findall(stack.local.emulator_log.read_text(encoding="utf-8", errors="replace"))[-1])
    queues = json.loads(stored.read_text(encoding="utf-8"))["payload"]["queues"]["data"].values()
    urls = {pair.url.rpartition("/")[2]: pair.url for pair in stack.target.queues.values()}
    for queue in queues:
        for message in queue["messages"]:
            if message["visible_at"] > time.time() + VISIBILITY_S:
                stack.target.client("sqs").change_message_visibility(
                    QueueUrl=urls[queue["name"]], ReceiptHandle=message["receipt_handle"], VisibilityTimeout=0
                )
