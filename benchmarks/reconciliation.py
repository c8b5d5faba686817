"""How fast payments are reconciled, and how much memory that takes, on local data.

Each run is a process of its own, because the peak of memory is that of a process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.figures import Figure, Measured, ratio, spread_of
from tests.unit.stories import refund, succeeded
from tests.use_cases.world import World

PAYMENTS_PER_SECOND = 5_000
"""The target for one core."""
MEMORY_RATIO = 1.5
"""The target for a million payments in place of ten thousand."""
_FEW, _MANY = 10_000, 1_000_000
_RUNS = 2
"""A million payments take minutes."""
_TIMEOUT_S = 3600
_A_DAY_S = 86_400


def template() -> dict[str, Any]:
    """What the real use cases make of two payments, one of them refunded in part, for `local_books` to copy."""
    world = World()
    world.register()
    payments = ["pay_PLAIN", "pay_REFUNDED"]
    world.take(*(succeeded(12345, payment_id=name) for name in payments), refund("re_pay_REFUNDED", 345, payment_id=payments[1]))
    held = {name: world.held(name) for name in ("invoices", "credit-notes")}
    [entity] = world.api.pages("entities", entity_id=None)
    items = world.table.items()
    return {
        "now": world.seconds + _A_DAY_S,
        "entity": json.loads(_text(entity)),
        "registered": [item for item in items if not item["pk"].startswith("CASE#")],
        "kinds": [_kind(name, items, held) for name in payments],
    }


def _kind(payment: str, items: list[dict[str, Any]], held: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    own = {name: [one for one in shown if one["metadata"]["payment_id"] == payment] for name, shown in held.items()}
    return {
        "payment": payment,
        "items": [_text(item) for item in items if item["pk"].endswith(payment)],
        "documents": [one["id"] for shown in own.values() for one in shown],
        **{name: [_text(one) for one in shown] for name, shown in own.items()},
    }


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, default=float)


def in_a_process(payments: int, file: Path) -> dict[str, Any]:
    """So many payments reconciled in a process of their own: seconds, payments a second, and its peak of memory."""
    command = [sys.executable, "-m", "benchmarks.local_books", str(payments), str(file)]
    output = subprocess.run(command, check=True, timeout=_TIMEOUT_S, capture_output=True, text=True).stdout  # noqa: S603 - our own program
    result: dict[str, Any] = json.loads(output)
    return result


def measure(*, quick: bool, known: object) -> Measured:  # noqa: ARG001 - every part is asked alike
    """Payments per second of one core, and the ratio of the two peaks of memory."""
    few, many = (_FEW // 100, _MANY // 100) if quick else (_FEW, _MANY)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "template.json"
        file.write_text(json.dumps(template()), encoding="utf-8")
        runs = [(in_a_process(few, file), in_a_process(many, file)) for _ in range(1 if quick else _RUNS)]
    speeds = [large["per_second"] for _, large in runs]
    name = "reconciliation, payments per second and core"
    speed = Figure(name, median(speeds), None, spread_of(speeds), at_least=PAYMENTS_PER_SECOND).under(name)
    smalls, larges = ([one["peak_rss_mib"] for one in some] for some in zip(*runs, strict=True))
    name = f"reconciliation, peak memory with {many:,} payments ÷ with {few:,}"
    memory = ratio(name, larges, smalls, MEMORY_RATIO).under(name)
    return Measured([speed, memory], {"runs": runs})
