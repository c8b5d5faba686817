"""Figures, the targets they are held against, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `spread` has the smallest, the median and the largest of its samples, if there were several."""

    name: str
    value: float
    at_most: float | None = None
    """The target; None for what is only reported."""
    spread: tuple[float, float, float] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_missed(self) -> bool:
        return self.at_most is not None and self.value > self.at_most

    def to_json(self) -> dict[str, Any]:
        spread = dict(zip(("min", "median", "max"), self.spread, strict=True)) if self.spread else None
        target = {"at_most": self.at_most, "met": not self.is_missed} if self.at_most is not None else None
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "target": target,
            "spread": spread,
            "details": dict(self.details),
        }


def ratio(name: str, ours: Sequence[float], theirs: Sequence[float], at_most: float | None = None, **details: object) -> Figure:
    """The medians of two series, taken in turns, one over the other. The spread is that of the pairs."""
    pairs = sorted(one / other for one, other in zip(ours, theirs, strict=True))
    spread = tuple(round(value, 4) for value in (pairs[0], median(pairs), pairs[-1]))
    medians = {"ours_median": round(median(ours), 3), "theirs_median": round(median(theirs), 3), "runs": len(pairs)}
    return Figure(name, median(ours) / median(theirs), at_most, (spread[0], spread[1], spread[2]), medians | details)


def as_table(figures: Iterable[Figure]) -> Table:
    table = Table("measure", title="Measured", title_justify="left")
    for column in ("value", "target", "min / median / max"):
        table.add_column(column, justify="right")
    table.add_column("")
    for figure in figures:
        verdict = "" if figure.at_most is None else "[red]missed" if figure.is_missed else "[green]met"
        target = "" if figure.at_most is None else f"≤ {figure.at_most:g}"
        spread = " / ".join(f"{value:.2f}" for value in figure.spread) if figure.spread else ""
        table.add_row(figure.name, f"{figure.value:.2f}", target, spread, verdict)
    return table
