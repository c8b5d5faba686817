"""`python -m benchmarks` prints figures beside their targets and writes build/bench.json; it exits 1 if a target is missed.

The charts and tables under docs are made anew from what was measured. `--only PART` measures that part alone and leaves what the
file knows of the others as it is. `--quick` only shows that everything works: few runs, small numbers, and nothing under docs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks import charts, pages
from benchmarks.figures import Figure, Measured, Unavailable, as_table

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
CHARTS = ROOT / "docs" / "charts"
PARTS = (
    "events",
    "cold_start",
    "functions",
    "warm_worker",
    "history",
    "backlog",
    "reconciliation",
    "backfill",
    "throughput",
    "backlog_on_stack",
    "peers",
    "cost",
)
"""Modules of this package, in the order they are measured: each has `measure(*, quick, known)` for a `Measured`."""
_WIDTH = 130


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _arguments(arguments)
    folder = BUILD / "bench-quick" if asked.quick else BUILD
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / "bench.json"
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)  # a log has no width of its own
    report = _known(result) if asked.only else {}
    report |= {"machine": _machine()}
    figures = [figure for name in asked.only or PARTS for figure in _measure(name, report, console, quick=asked.quick)]
    result.write_text(json.dumps(report, indent=2) + "\n")
    charts.draw(report, folder / "charts" if asked.quick else CHARTS)
    if not asked.quick:
        pages.write(report, ROOT)
    console.print(as_table(figures))
    console.print(f"Written to {result.relative_to(ROOT)}")
    return int(any(figure.is_missed for figure in figures))


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part; may be given several times")
    parser.add_argument("--quick", action="store_true", help="show that everything works; the figures mean nothing")
    return parser.parse_args(arguments)


def _measure(name: str, report: dict[str, Any], console: Console, *, quick: bool) -> Sequence[Figure]:
    """Measure a part and put it into the report."""
    parts = report.setdefault("parts", {})
    known = {other: part["data"] for other, part in parts.items() if "data" in part}
    stamp = {"at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "load": round(os.getloadavg()[0], 1)}
    try:
        with console.status(f"measuring {name}"):
            measured: Measured = import_module(f"benchmarks.{name}").measure(quick=quick, known=known)
    except Unavailable as lack:
        parts[name] = stamp | {"unavailable": str(lack)}
        console.print(f"[yellow]{name} is not measured:[/] {lack}")
        return ()
    parts[name] = stamp | {"figures": [figure.to_json() for figure in measured.figures], "data": dict(measured.data)}
    console.print(*measured.tables)
    return measured.figures


def _known(result: Path) -> dict[str, Any]:
    """What was measured before."""
    known: dict[str, Any] = json.loads(result.read_text()) if result.exists() else {}
    return known if "parts" in known else {}


def _machine() -> dict[str, Any]:
    return {"python": platform.python_version(), "machine": platform.machine(), "processors": os.cpu_count()}


if __name__ == "__main__":
    sys.exit(main())
