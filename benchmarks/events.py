"""What each kind of event costs in requests, documents and table traffic, once the business customer is known.

The real use cases run over the table in memory and the sandbox's model, so these are counts: exact, and the same on every
machine.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from rich.table import Table

from benchmarks.figures import Figure, Measured
from quittance.documents import DocumentKind, DocumentState
from quittance.facts import FactType
from quittance.ledger import DocumentEntry
from quittance.storage import Put, Write
from tests.unit.stories import dispute, fact, refund, succeeded
from tests.use_cases.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from quittance.facts import Fact

_KB = 1024
_DOCUMENT_KINDS = {DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE, DocumentKind.PAYMENT}
"""What counts as a document: invoices (with the payments recorded in the same call), credit notes, and payments that became known
only after their invoice and so had to be recorded on it later."""


def _payment(n: int, **details: Any) -> Fact:  # noqa: ANN401 - fields of a fact
    return succeeded(payment_id=f"pay_{n}", also_known_as=(f"ch_{n}",), method="card", **details)


def _paid(n: int) -> list[Fact]:
    return [_payment(n)]


def _refunded_in_part(n: int) -> list[Fact]:
    return [_payment(n), refund(f"re_{n}", 2500, payment_id=f"pay_{n}")]


def _refunded_before_paid(n: int) -> list[Fact]:
    return [refund(f"re_{n}", 10000, payment_id=f"pay_{n}"), _payment(n)]


def _dispute_lost(n: int) -> list[Fact]:
    case: dict[str, Any] = {"key": f"dp_{n}", "payment_id": f"pay_{n}"}
    return [_payment(n), dispute("opened", **case), dispute("lost", **case)]


def _dispute_won(n: int) -> list[Fact]:
    case: dict[str, Any] = {"key": f"dp_{n}", "payment_id": f"pay_{n}"}
    return [_payment(n), dispute("opened", **case), dispute("won", **case)]


def _renewed_then_paid(n: int) -> list[Fact]:
    return [_renewal(n), _payment(n, invoice_id=f"in_{n}", awaits_renewal=True)]


def _paid_then_renewed(n: int) -> list[Fact]:
    return _renewed_then_paid(n)[::-1]


def _renewal(n: int) -> Fact:
    details: dict[str, Any] = {
        "invoice_id": f"in_{n}",
        "subscription_id": f"sub_{n}",
        "subscription_plan": "Pro",
        "payment_id": None,
    }
    return fact("subscription.renewed", f"in_{n}", 10000, period_start="2026-11-01", period_end="2026-11-30", **details)


def _failed(n: int) -> list[Fact]:
    return [fact("payment.failed", f"pay_{n}", 10000, payment_id=f"pay_{n}")]


def _failed_late(n: int) -> list[Fact]:
    return [_payment(n), fact("payment.failed", f"pay_{n}", 10000, payment_id=f"pay_{n}", minute=30)]


STEADY_STATE: tuple[tuple[Callable[[int], list[Fact]], int], ...] = (
    (_paid, 60),
    (_refunded_in_part, 8),
    (_refunded_before_paid, 2),
    (_dispute_lost, 3),
    (_dispute_won, 3),
    (_renewed_then_paid, 10),
    (_paid_then_renewed, 10),
    (_failed, 4),
)
"""The life of a payment -> how many of a hundred payments have it."""


@dataclass(slots=True)
class Cost:
    """What events of one kind cost altogether."""

    events: int = 0
    requests: int = 0
    """To the invoicing API."""
    documents: int = 0
    reads: int = 0
    commits: int = 0
    writes: int = 0
    """Items put or deleted, and conditions checked on others."""
    write_units: int = 0
    """Of the table, as DynamoDB charges them: one for each KB begun, twice that in a transaction."""
    written_bytes: int = 0
    """Of the items that were put, as DynamoDB counts them."""
    index_write_units: int = 0
    """For what `find` finds. Replacing an entry under another reference costs one more, which is left out."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(getattr(self, name) + getattr(other, name) for name in Cost.__slots__))

    def each(self) -> dict[str, float]:
        """Per event."""
        return {name: round(getattr(self, name) / self.events, 3) for name in Cost.__slots__ if name != "events"}


class _Meter:
    """A warm worker whose every event is charged to the kind it is of."""

    def __init__(self) -> None:
        self.costs: dict[str, Cost] = defaultdict(Cost)
        self.world = World()
        self.world.register()
        self._converger = self.world.converger()
        self._converger.take(*_reported(_payment(0)))  # the customer is looked up once
        self._now = Cost()
        self.world.table.before_read = self._count_read
        self.world.table.after_commit = self._count_commit

    def take(self, kind: str, reported: Fact) -> None:
        self._now = self.costs[kind]
        requests, documents = len(self.world.sandbox.seen), sum(self._issued().values())
        self._converger.take(*_reported(reported))
        self._now.events += 1
        self._now.requests += len(self.world.sandbox.seen) - requests
        self._now.documents += sum(self._issued().values()) - documents

    def _count_read(self, _key: str) -> None:
        self._now.reads += 1

    def _count_commit(self, writes: Sequence[Write]) -> None:
        self._now.commits += 1
        self._now.writes += len(writes)
        for write in writes:
            size = item_bytes(write.item) if isinstance(write, Put) else 0
            units = max(1, ceil(size / _KB))
            self._now.written_bytes += size
            self._now.write_units += units * (2 if len(writes) > 1 else 1)
            if isinstance(write, Put) and "reference" in write.item:
                self._now.index_write_units += units

    def _issued(self) -> Counter[DocumentKind]:
        """By the API's ids: a case that was joined to another one leaves a copy of its documents behind."""
        entries = (DocumentEntry.from_item(item) for item in self.world.table.items() if item["sk"].startswith("DOC#"))
        issued = {
            entry.record.api_id: entry.record.document.kind for entry in entries if entry.record.state is DocumentState.ISSUED
        }
        return Counter(kind for kind in issued.values() if kind in _DOCUMENT_KINDS)

    def require_documents_exist(self) -> None:
        """The ledger may not claim documents that the invoicing API does not hold."""
        issued = self._issued()
        held = {kind: len(self.world.held(name)) for kind, name in _HELD_AS.items()}
        if held != {kind: issued[kind] for kind in held}:
            raise AssertionError(f"the API holds {held}, the ledger says {dict(issued)}")


_HELD_AS = {DocumentKind.INVOICE: "invoices", DocumentKind.CREDIT_NOTE: "credit-notes"}


def _reported(reported: Fact) -> tuple[Fact, str]:
    return reported, f"evt_{reported.identity}"


def measure(*, quick: bool, known: object) -> Measured:  # noqa: ARG001 - counts take no time
    """The figures, and what one event of each kind costs. Every event arrives a second time, because in life many do."""
    meter = _Meter()
    for life, reported in _hundred_payments():
        meter.take(f"{reported.type} ({life})", reported)
        meter.take(_AGAIN, reported)
    steady = sum(meter.costs.values(), Cost())
    for n in range(901, 911):
        for reported in _failed_late(n):
            meter.take(f"{reported.type} ({_name(_failed_late)})", reported)
    meter.require_documents_exist()
    per_event = {kind: {"events": cost.events} | cost.each() for kind, cost in meter.costs.items()}
    figures = _figures(steady, meter.costs[_AGAIN])
    figures += [_calls_of_payment(meter.costs[f"{FactType.PAYMENT_SUCCEEDED} ({_name(_paid)})"])]
    return Measured(figures, {"per_event": per_event}, [as_table(meter.costs)])


_AGAIN = "any event, again"
_REQUESTS = "requests to the invoicing API per issued document"
_REPEATED = "the same, and writes to the table, for an event that was told before"


def _hundred_payments() -> Iterator[tuple[str, Fact]]:
    numbers = iter(range(1, 101))
    for life, share in STEADY_STATE:
        for _ in range(share):
            yield from ((_name(life), reported) for reported in life(next(numbers)))


def _name(life: Callable[[int], list[Fact]]) -> str:
    return life.__name__.strip("_").replace("_", " ")


def _figures(steady: Cost, again: Cost) -> list[Figure]:
    first_reports = steady.events - again.events
    details = {
        "events": steady.events,
        "reported_again": again.events,
        "requests": steady.requests,
        "documents": steady.documents,
    }
    calls = steady.reads + steady.commits
    return [
        Figure("invoicing requests per issued document", steady.requests / steady.documents, 1.0, details=details).under(
            _REQUESTS
        ),
        Figure("invoicing requests per repeated event", again.requests / again.events, 0.0).under(_REPEATED),
        Figure("table writes per repeated event", again.writes / again.events, 0.0).under(_REPEATED),
        Figure("table reads per repeated event", again.reads / again.events),
        Figure("table calls per event reported once", (calls - again.reads - again.commits) / first_reports),
        Figure("table write units per issued document", steady.write_units / steady.documents),
        Figure("table bytes written per issued document", steady.written_bytes / steady.documents),
        Figure("index write units per issued document", steady.index_write_units / steady.documents),
    ]


def _calls_of_payment(paid: Cost) -> Figure:
    """What is known is read, the intent is stored before the request, its outcome after it: none of these can be left out."""
    name = "table calls for a payment that is paid"
    return Figure(name, (paid.reads + paid.commits) / paid.events, 3.0).under(name)


def item_bytes(value: object) -> int:
    """The size of an item as DynamoDB counts it: names and strings in UTF-8, numbers by digits, containers with a surcharge."""
    match value:
        case bool() | None:
            return 1
        case int():
            return (len(str(abs(value))) + 1) // 2 + 1
        case str():
            return len(value.encode())
        case list() | tuple():
            return 3 + sum(1 + item_bytes(element) for element in value)
        case dict():
            return sum(
                len(name.encode()) + item_bytes(element) + 4 * isinstance(element, dict) for name, element in value.items()
            )
        case _:
            raise TypeError(f"{type(value).__name__} cannot be stored")


def as_table(costs: dict[str, Cost]) -> Table:
    names = [name for name in Cost.__slots__ if name != "events"]
    table = Table(title="What one event costs, on average", title_justify="left")
    table.add_column("event (in the life of a payment)", no_wrap=True)
    for name in ("events", *names):
        table.add_column(name.replace("_", " "), justify="right")
    for kind, cost in costs.items():
        table.add_row(kind, str(cost.events), *(f"{value:.1f}" for value in cost.each().values()))
    return table
