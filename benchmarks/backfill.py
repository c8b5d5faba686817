"""How fast a provider's history is read and rehearsed, and how much memory that takes, in processes of their own.

`python -m benchmarks.backfill FILE MOST` reads the whole file and rehearses at most so many of its payments. It prints one
JSON line. The history is all new to the ledger, which is in memory, and nothing is asked of the invoicing API: what is measured
is all that `quittance backfill FILE --dry-run` does between its requests. It loads no more than that command does.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.figures import Figure, Measured, ratio, spread_of
from benchmarks.memory import peak_mib
from quittance.space_invoices import SpaceInvoices
from tests.fakes.memory_table import MemoryTable
from tools.backfill.index import Index
from tools.backfill.overlay import ReadOnlyTransport
from tools.backfill.rehearsal import Outcome, Rehearsal, partitions_of
from tools.backfill.totals import Totals
from tools.history import History, reader_of

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY_RATIO = 1.5
"""The target for a million lines in place of ten thousand."""
_FEW, _MANY = 10_000, 1_000_000
_REHEARSED = 50
"""Lines for each payment that is rehearsed: a rehearsal is the pipeline itself, and would take half an hour for all of them."""
_RUNS = 2
_TIMEOUT_S = 1800
REFUNDED = 10
"""One line in so many is the refund of a payment that came long before."""
_BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
_YEAR_S = 365 * 86_400
_STRIDE_S = 7_919_081
"""From the time of one line to that of the next, around the year: so their order in the file says nothing."""
_UNTIL = "2026-01-01T00:00:00Z"


# --- the file ------------------------------------------------------------------------------------------------------------


def write(file: Path, lines: int) -> None:
    """The platform's events: a registration, then payments of which some are refunded. Ids and times are in no order."""
    customer = {"business_customer": "bc_1", "name": "Acme", "country": "DE", "timezone": "Europe/Berlin"}
    with file.open("w", encoding="utf-8") as out:
        out.write(_event("evt_0", "business_customer.created", 0, customer))
        for number in range(1, lines):
            out.write(_payment(number) if number % REFUNDED else _refund(number))


def _payment(number: int) -> str:
    data = {"business_customer": "bc_1", "payment_id": _payment_id(number), "amount": {"value": 12_345, "currency": "EUR"}}
    return _event(f"evt_{number}", "payment.succeeded", number, data)


def _refund(number: int) -> str:
    payment = _payment_id(number // 2 // REFUNDED * REFUNDED + 1)
    amount = {"value": 345, "currency": "EUR"}
    data = {"business_customer": "bc_1", "payment_id": payment, "refund_id": f"re_{number}", "amount": amount}
    return _event(f"evt_{number}", "refund.succeeded", number, data)


def _payment_id(number: int) -> str:
    return f"pay_{hashlib.sha256(str(number).encode()).hexdigest()[:24]}"


def _event(event_id: str, kind: str, number: int, data: dict[str, Any]) -> str:
    moment = datetime.fromtimestamp(_BEGAN.timestamp() + number * _STRIDE_S % _YEAR_S, UTC)
    event = {"specversion": "1.0", "id": event_id, "source": "/bench", "type": kind, "time": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
    return json.dumps(event | {"datacontenttype": "application/json", "data": data}) + "\n"


# --- a run ---------------------------------------------------------------------------------------------------------------


def measured(file: Path, most: int) -> dict[str, Any]:
    """Index a history and rehearse at most so many payments of it. Raises `ValueError` if that came to anything unexpected."""
    started = time.process_time()
    index = Index.of(History(file, reader_of(file)), is_live=False, until=_UNTIL)
    indexed_s = time.process_time() - started
    started = time.process_time()
    totals = _rehearsed(index, most)
    rehearsed_s = time.process_time() - started
    payments = totals.payments[Outcome.WOULD_CREATE]
    if index.refused or payments != totals.payments.total() or payments != min(most, index.stories):
        raise ValueError(totals.as_json())
    return {
        "lines": index.reports,
        "lines_per_second": index.reports / indexed_s,
        "rehearsed": payments,
        "rehearsed_per_second": payments / rehearsed_s,
        "peak_rss_mib": peak_mib(),
    }


def _rehearsed(index: Index, most: int) -> Totals:
    transport = ReadOnlyTransport(httpx.MockTransport(_nothing_there))
    rehearsal = Rehearsal(
        table=MemoryTable(),
        api=SpaceInvoices("http://nowhere", lambda: "no key", transport=transport),
        stage="bench",
        environment="sandbox",
        now=lambda: int(time.time()),
    )
    rehearsal.register(index.registrations())
    totals = Totals()
    for story in islice(index.told(), most):
        totals.add(rehearsal.judge(story, partitions_of(story)))
    return totals


def _nothing_there(request: httpx.Request) -> httpx.Response:  # noqa: ARG001 - whatever is asked
    return httpx.Response(200, json={"data": []})


# --- the part ------------------------------------------------------------------------------------------------------------


def _in_a_process(file: Path, most: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.backfill", str(file), str(most)]
    output = subprocess.run(command, check=True, timeout=_TIMEOUT_S, capture_output=True, text=True).stdout  # noqa: S603 - our own program
    result: dict[str, Any] = json.loads(output)
    return result


def _runs(few: int, many: int, count: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    with TemporaryDirectory() as folder:
        files = Path(folder) / "few.jsonl", Path(folder) / "many.jsonl"
        for file, lines in zip(files, (few, many), strict=True):
            write(file, lines)
        for _ in range(count):
            yield _in_a_process(files[0], few // _REHEARSED), _in_a_process(files[1], many // _REHEARSED)


def measure(*, quick: bool, known: object) -> Measured:  # noqa: ARG001 - every part is asked alike
    """Lines and payments per second of processor time, and the ratio of the two peaks of memory."""
    few, many = (_FEW // 100, _MANY // 100) if quick else (_FEW, _MANY)
    runs = list(_runs(few, many, 1 if quick else _RUNS))
    lines = [large["lines_per_second"] for _, large in runs]
    payments = [large["rehearsed_per_second"] for _, large in runs]
    smalls, larges = ([one["peak_rss_mib"] for one in some] for some in zip(*runs, strict=True))
    reading, rehearsing = "backfill, lines read per second and core", "backfill, payments rehearsed per second and core"
    memory = f"backfill, peak memory with {many:,} lines ÷ with {few:,}"
    note = f"{many // _REHEARSED:,} payments of {many:,} lines"
    figures = [
        Figure(reading, median(lines), None, spread_of(lines)).under(reading),
        Figure(rehearsing, median(payments), None, spread_of(payments), {"rehearsed": note}).under(rehearsing),
        ratio(memory, larges, smalls, MEMORY_RATIO, rehearsed=f"one payment for {_REHEARSED} lines").under(memory),
    ]
    return Measured(figures, {"runs": runs})


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measured(Path(sys.argv[1]), int(sys.argv[2]))) + "\n")
