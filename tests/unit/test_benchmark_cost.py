"""What a thousand payments cost is worked out from what was measured, and from nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.cost import measure
from benchmarks.figures import Unavailable
from tests.template.conftest import WORKERS

pytestmark = pytest.mark.xdist_group("template")


def known(**changed: float) -> dict[str, Any]:
    paid = {"reads": 1, "commits": 2, "requests": 1, "writes": 6, "write_units": 16, "index_write_units": 3}
    functions = [
        {"function": name, "memory_mb": 512, "cpu_ms": 2.0, "init_ms": 300.0}
        for name in ("Ingest", "PaymentSucceeded", "EvidenceRecorded")
    ]
    return {"events": {"per_event": {"payment.succeeded (paid)": paid | changed}}, "functions": {"functions": functions}}


def total(**changed: float) -> float:
    return measure(quick=False, known=known(**changed)).figures[0].value


def test_the_total_is_the_sum_of_the_services() -> None:
    measured = measure(quick=False, known=known())
    assert measured.figures[0].value == pytest.approx(sum(measured.data["usd_per_thousand"].values()))


def test_a_write_unit_more_costs_what_the_list_says() -> None:
    assert total(write_units=17) - total() == pytest.approx(1000 * 0.625e-6)


def test_waiting_for_the_invoicing_api_is_paid_for_by_memory_and_time() -> None:
    assert total(requests=2) - total() == pytest.approx(1000 * 0.2 * 0.5 * 0.0000133334)


def test_without_the_counts_it_says_what_is_missing() -> None:
    with pytest.raises(Unavailable, match="events and functions"):
        measure(quick=False, known={})


def test_of_a_month_every_queue_is_looked_into_and_every_alarm_is_paid_for() -> None:
    month = {row["what"]: row for row in measure(quick=False, known=known()).data["usd_per_month"]}
    assert month["looks into idle queues, by Lambda"]["count"] == len(WORKERS) * 648_000
    assert month["alarms"]["count"] > len(WORKERS)
    assert month["alarms"]["usd"] == pytest.approx(0.1 * month["alarms"]["count"])
