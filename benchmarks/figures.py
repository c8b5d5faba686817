"""Figures, the targets they are held against, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
    """The target; without it and `at_least` the figure is only reported."""
    spread: tuple[float, float, float] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    at_least: float | None = None
    headline: str = ""
    """Figures of one headline are one row of the README, which leaves out those without."""

    def under(self, headline: str) -> Figure:
        """The same figure, shown in the README under this headline."""
        return replace(self, headline=headline)

    @property
    def is_missed(self) -> bool:
        too_large = self.at_most is not None and self.value > self.at_most
        return too_large or (self.at_least is not None and self.value < self.at_least)

    @property
    def target(self) -> str:
        """As it stands in a table; empty for what is only reported."""
        bounds = (("≤", self.at_most), ("≥", self.at_least))
        return " ".join(f"{sign} {bound:,g}" for sign, bound in bounds if bound is not None)

    def to_json(self) -> dict[str, Any]:
        spread = dict(zip(("min", "median", "max"), self.spread, strict=True)) if self.spread else None
        bounds = {"at_most": self.at_most, "at_least": self.at_least}
        known = {name: bound for name, bound in bounds.items() if bound is not None}
        return {
            "name": self.name,
            "headline": self.headline,
            "value": round(self.value, 4),
            "target": known | {"met": not self.is_missed} if known else None,
            "spread": spread,
            "details": dict(self.details),
        }


@dataclass(frozen=True, slots=True)
class Measured:
    """What one part of the benchmarks found out."""

    figures: Sequence[Figure]
    data: Mapping[str, Any] = field(default_factory=dict)
    """What charts, pages and other parts want to know besides: any JSON."""
    tables: Sequence[Table] = ()


class Unavailable(Exception):
    """This machine lacks what a part needs. The message says what."""


def ratio(name: str, ours: Sequence[float], theirs: Sequence[float], at_most: float | None = None, **details: object) -> Figure:
    """The medians of two series, taken in turns, one over the other. The spread is that of the pairs."""
    pairs = [one / other for one, other in zip(ours, theirs, strict=True)]
    medians = {"ours_median": round(median(ours), 3), "theirs_median": round(median(theirs), 3), "runs": len(pairs)}
    return Figure(name, median(ours) / median(theirs), at_most, spread_of(pairs), medians | details)


def spread_of(samples: Sequence[float]) -> tuple[float, float, float]:
    """The smallest, the median and the largest."""
    return round(min(samples), 4), round(median(samples), 4), round(max(samples), 4)


def as_table(figures: Iterable[Figure]) -> Table:
    table = Table("measure", title="Measured", title_justify="left")
    for column in ("value", "target", "min / median / max"):
        table.add_column(column, justify="right")
    table.add_column("")
    for figure in figures:
        verdict = "" if not figure.target else "[red]missed" if figure.is_missed else "[green]met"
        spread = " / ".join(map(shown, figure.spread)) if figure.spread else ""
        table.add_row(figure.name, shown(figure.value), figure.target, spread, verdict)
    return table


def shown(value: float) -> str:
    """With as many digits as mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"  # noqa: PLR2004 - three digits
