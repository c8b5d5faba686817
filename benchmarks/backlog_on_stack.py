"""A backlog on the local stack: from signed webhooks until every invoice exists, against an API that allows too little.

The real template in the emulator and the sandbox with a limit, in real time; smaller than what `backlog` plays in virtual time.
One business customer has nearly all of the payments, sent at once and through the door, which takes several times as many a
second as the API allows; small ones come in between. Once as it is, and once with an outage of the API in the middle. For a FIFO
queue the emulator runs one function, Lambda several: what they share out among each other is what `backlog` measures.
"""

from __future__ import annotations

import sched
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
from rich.table import Table

from benchmarks.figures import Figure, Measured
from benchmarks.local_platform import Platform, Running, payment, running
from tools.traffic import dead_letters
from tools.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LARGE = "bc_large"
SENDERS = 4
_USED = "backlog on the local stack in real time (as it is, with an outage of 30 s): share of the allowance used"
_WRONG = "the same on the local stack: lost, doubled or dead"
_PATIENCE_S = 900
_MINUTE_S = 60


class Size(NamedTuple):
    """Of a backlog."""

    per_minute: int
    """Requests that the API allows."""
    large: int
    """Payments of the large business customer."""
    small_customers: int
    of_a_small_one: int
    every_s: float
    """One of a small business customer comes in."""
    outage_after_s: float
    outage_s: float


SIZE = Size(per_minute=600, large=2950, small_customers=10, of_a_small_one=5, every_s=5, outage_after_s=80, outage_s=30)
QUICK = Size(per_minute=6000, large=15, small_customers=2, of_a_small_one=2, every_s=0.5, outage_after_s=1, outage_s=2)


@dataclass(frozen=True, slots=True)
class Drained:
    """How a backlog was worked off."""

    seconds: float
    """From the first request to the last document, without the outage."""
    used: float
    """Documents as a share of what the API allows in that time."""
    documents: int
    wrong: int
    """Payments without an invoice, invoices more than one for a payment, dead letters."""
    refused: int
    """Requests that were answered 429."""
    requests: int
    """All the others, but for the outage."""
    worst_wait_s: float
    worst_wait_of_a_small_one_s: float


def measure(*, quick: bool, known: Mapping[str, Any]) -> Measured:  # noqa: ARG001 - as every part has it
    size = QUICK if quick else SIZE
    drained = {name: _drained(size, outage_s) for name, outage_s in (("as it is", 0.0), ("with an outage", size.outage_s))}
    figures = [figure for name, result in drained.items() for figure in _figures(name, result)]
    return Measured(figures, {name: asdict(result) for name, result in drained.items()}, [_table(size, drained)])


def _drained(size: Size, outage_s: float) -> Drained:
    with running(size.per_minute) as stack:
        backlog = _Backlog(stack, size)
        backlog.play(outage_s)
        return backlog.drained(outage_s)


@dataclass
class _Backlog:
    stack: Running
    size: Size
    sent_at: dict[str, datetime] = field(default_factory=dict)
    """By the payment, which is named after its business customer."""

    def __post_init__(self) -> None:
        self.small = [f"bc_small_{number}" for number in range(self.size.small_customers)]
        self.platform = Platform(self.stack)
        self.platform.register(LARGE, *self.small)
        # What that took of the allowance is not left for the backlog.
        wait_for("the allowance to be free", lambda: self._taken() < self.size.per_minute / 100, seconds=2 * _MINUTE_S)

    def play(self, outage_s: float) -> None:
        """Send everything, at its time, and wait until nothing is left on the queue."""
        agenda = sched.scheduler()
        for number in range(len(self.small) * self.size.of_a_small_one):
            customer = self.small[number % len(self.small)]
            agenda.enter(number * self.size.every_s, 0, self._send, (customer, number))
        if outage_s:
            agenda.enter(self.size.outage_after_s, 0, self._begin_outage)
            agenda.enter(self.size.outage_after_s + outage_s, 0, self._end_outage)
        with ThreadPoolExecutor(SENDERS) as senders:
            sending = [senders.submit(self._send, LARGE, number) for number in range(self.size.large)]
            agenda.run()
            for one in sending:
                one.result()
        queue = self.stack.target.queues["payment_succeeded"].url
        wait_for("the backlog to drain", lambda: self.stack.is_empty(queue), seconds=_PATIENCE_S, every_s=0.5)

    def drained(self, outage_s: float) -> Drained:
        log = [one for one in self._log() if _at(one) >= min(self.sent_at.values())]  # not the registrations
        invoices = [invoice for customer in (LARGE, *self.small) for invoice in self.stack.invoices(customer)]
        made_at = {invoice["metadata"]["payment_id"]: datetime.fromisoformat(invoice["created_at"]) for invoice in invoices}
        waits = {name: (made_at[name] - at).total_seconds() for name, at in self.sent_at.items() if name in made_at}
        seconds = (max(made_at.values()) - min(map(_at, log))).total_seconds() - outage_s
        return Drained(
            seconds=seconds,
            used=len(made_at) / (self.size.per_minute * seconds / _MINUTE_S),
            documents=len(invoices),
            wrong=len(self.sent_at) - len(made_at) + len(invoices) - len(made_at) + sum(dead_letters(self.stack.target).values()),
            refused=sum(one["status"] == httpx.codes.TOO_MANY_REQUESTS for one in log),
            requests=sum(one["operation"] is not None for one in log),
            worst_wait_s=max(waits.values()),
            worst_wait_of_a_small_one_s=max(wait for name, wait in waits.items() if not name.startswith(LARGE)),
        )

    def _send(self, customer: str, number: int) -> None:
        name = f"{customer}_{number}"
        self.sent_at[name] = datetime.now(UTC)
        self.platform.send(payment(customer, name))

    def _begin_outage(self) -> None:
        self._control("POST", "faults", {"kind": "status", "status": 503, "times": None})

    def _end_outage(self) -> None:
        self._control("DELETE", "faults")

    def _taken(self) -> int:
        """Of the allowance, in the last minute."""
        return sum((datetime.now(UTC) - _at(one)).total_seconds() <= _MINUTE_S for one in self._log())

    def _log(self) -> list[dict[str, Any]]:
        return list(self._control("GET", "requests")["data"])

    def _control(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = httpx.request(method, f"{self.stack.server.url}/_sandbox/{path}", json=body, trust_env=False, timeout=60)
        return dict(answer.raise_for_status().json())


def _at(request: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(request["at"])


def _figures(name: str, drained: Drained) -> Iterator[Figure]:
    title = f"backlog on the local stack, {name}"
    # Held against no target: the pause after the first 429, which lasts up to a fifth longer than asked, and the poller's second
    # are a few seconds however long the backlog is, and this one is short. Of a request that an outage answered nobody knows what
    # it did, so each takes a look-up, which is a request as well.
    yield Figure(f"{title}: share of the allowance used", drained.used, details=asdict(drained)).under(_USED)
    yield Figure(f"{title}: lost, doubled or dead", drained.wrong, at_most=0).under(_WRONG)
    yield Figure(f"{title}: requests refused ÷ documents", drained.refused / drained.documents, at_most=0.05)
    yield Figure(f"{title}: worst wait of a small customer, seconds", drained.worst_wait_of_a_small_one_s)


def _table(size: Size, drained: Mapping[str, Drained]) -> Table:
    payments = size.large + size.small_customers * size.of_a_small_one
    title = f"{payments:,} payments at {size.per_minute} requests a minute, on the local stack"
    table = Table("backlog", title=title, title_justify="left")
    for column in ("seconds", "used", "requests", "429s", "wrong", "worst wait", "of a small one"):
        table.add_column(column, justify="right")
    for name, result in drained.items():
        table.add_row(
            name,
            f"{result.seconds:.0f}",
            f"{result.used:.1%}",
            str(result.requests),
            str(result.refused),
            str(result.wrong),
            f"{result.worst_wait_s:.0f} s",
            f"{result.worst_wait_of_a_small_one_s:.0f} s",
        )
    return table
