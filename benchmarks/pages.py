"""What was measured, in the pages that show it: each table stands between `<!-- measured: NAME -->` and `<!-- end -->`.

So no figure in them was typed, and none is older than the others of its part.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from benchmarks.figures import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

Report = dict[str, Any]
_BLOCK = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def write(report: Report, root: Path) -> None:
    """Put the tables whose parts are in the report into the pages below `root`, and leave the others as they are.

    Raises `KeyError` for a table that nobody makes.
    """
    for page in PAGES:
        path = root / page
        text = path.read_text(encoding="utf-8")
        path.write_text(
            _BLOCK.sub(lambda block: block[1] + _table(block[2], report, block[0]) + block[3], text), encoding="utf-8"
        )


def _table(name: str, report: Report, before: str) -> str:
    try:
        rows = list(TABLES[name](report["parts"]))
    except _Lacking:
        return before.split("\n", 1)[1].removesuffix("<!-- end -->")
    header, *body = [f"| {' | '.join(row)} |" for row in rows]
    ruler = "|" + " --- |" * len(rows[0])
    return "\n".join([header, ruler, *body, ""])


class _Lacking(Exception):
    """The report has nothing of the part."""


def _data(parts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    try:
        data: Mapping[str, Any] = parts[name]["data"]
    except KeyError:
        raise _Lacking(name) from None
    return data


def _headlines(parts: Mapping[str, Any]) -> Iterable[list[str]]:
    rows: dict[str, list[Any]] = {}
    for part in parts.values():
        for figure in part.get("figures", ()):
            rows.setdefault(figure["headline"], []).append(figure)
    yield ["measure", "measured", "target"]
    for headline, figures in rows.items():
        if headline:
            values = [shown(one["value"]) for one in figures]
            yield [headline, values[0] if len(set(values)) == 1 else ", ".join(values), _target(figures[0])]


def _target(figure: Mapping[str, Any]) -> str:
    bounds = figure["target"] or {}
    signs = (("≤", "at_most"), ("≥", "at_least"))
    return " ".join(f"{sign} {bounds[name]:,g}" for sign, name in signs if name in bounds)


def _cost(parts: Mapping[str, Any]) -> Iterable[list[str]]:
    services: Mapping[str, float] = _data(parts, "cost")["usd_per_thousand"]
    yield ["of 1,000 payments, each told once and paid", "USD"]
    yield from ([name, f"{usd:.4f}"] for name, usd in services.items())
    yield ["**all**", f"**{sum(services.values()):.3f}**"]


def _cost_of_a_month(parts: Mapping[str, Any]) -> Iterable[list[str]]:
    yield ["of a month, however few payments", "how many", "USD"]
    for row in _data(parts, "cost")["usd_per_month"]:
        yield [row["what"], f"{row['count']:,}", f"{row['usd']:.2f}"]


def _memory_of_the_worker(parts: Mapping[str, Any]) -> Iterable[list[str]]:
    yield ["MemorySize", "a start, s", "an event, s", "USD per 1,000"]
    for row in _data(parts, "cost")["memory"]:
        yield [f"{row['memory_mb']}", f"{row['start_s']:.1f}", f"{row['event_s']:.2f}", f"{row['usd_per_thousand']:.4f}"]


def _functions(parts: Mapping[str, Any]) -> Iterable[list[str]]:
    yield ["function", "MB at start", "MB under load", "MemorySize", "start, ms of CPU", "event, ms of CPU"]
    for row in _data(parts, "functions")["functions"]:
        memory = [f"{row[name]:.0f}" for name in ("init_mib", "peak_mib", "memory_mb", "init_ms")]
        yield [row["function"], *memory, f"{row['cpu_ms']:.2f}"]


PAGES = ("README.md", "docs/cost.md", "docs/performance.md")
TABLES: dict[str, Callable[[Mapping[str, Any]], Iterable[list[str]]]] = {
    "cost": _cost,
    "cost_of_a_month": _cost_of_a_month,
    "functions": _functions,
    "headlines": _headlines,
    "memory_of_the_worker": _memory_of_the_worker,
}
