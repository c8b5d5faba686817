"""Horizontal bars as inline SVG: what a report needs of charts, without a script or a library.

Colours are the page's: a part names its class, the style sheet paints it, so charts follow light, dark and paper. Every chart
says all its figures as text as well, for those who cannot see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WIDTH = 560
"""Of every chart, in its own units; the page scales it."""
_ROW = 28
_BAR = 14
_LABEL = 200
_DIGIT = 8.2
_GAP = 10
_SMALLEST = 2.5
"""What is there is seen, however little of the whole it is."""
_LONGEST_LABEL = 30


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a bar. `paint` is a class of the style sheet; a negative size reaches to the left of zero."""

    paint: str
    size: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: what it is of, the bar, its figure."""

    label: str
    parts: tuple[Part, ...]
    """From zero outwards. All of one sign."""
    text: str
    """The figure, as it stands beside the bar."""
    spoken: str = ""
    """What `text` leaves to the colours, for those who do not see them."""


def bars(name: str, title: str, rows: Sequence[Bar]) -> str:
    """The chart. `name` makes its ids unique on the page; `title` is what it is called by screen readers."""
    scale = _Scale(rows)
    height = len(rows) * _ROW + 4
    told = "; ".join(f"{row.label}: {row.spoken or row.text}" for row in rows)
    return "".join(
        (
            f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {height}" aria-labelledby="{name}-title {name}-desc">',
            f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(told)}</desc>',
            f'<line class="axis" x1="{scale.zero:.1f}" x2="{scale.zero:.1f}" y1="0" y2="{height}"/>',
            *(drawn for number, row in zip(count(), rows, strict=False) for drawn in _row(number * _ROW + 2, row, scale)),
            "</svg>",
        )
    )


class _Scale:
    """Where zero is, and how long one unit."""

    def __init__(self, rows: Sequence[Bar]) -> None:
        ends = [sum(part.size for part in row.parts) for row in rows]
        lowest, highest = min(0.0, *ends, 0.0), max(0.0, *ends, 0.0)
        room = WIDTH - _LABEL - 2 * _GAP - _DIGIT * max((len(row.text) for row in rows), default=0)
        self._unit = room / ((highest - lowest) or 1)
        self.zero = _LABEL + _GAP - lowest * self._unit

    def length(self, size: float) -> float:
        return max(_SMALLEST, abs(size) * self._unit) if size else 0.0


def _row(top: float, row: Bar, scale: _Scale) -> Iterator[str]:
    middle = top + _ROW / 2
    yield f'<text class="label" x="{_LABEL}" y="{middle:.1f}">{escape(_shortened(row.label))}</text>'
    left = right = scale.zero
    for part in row.parts:
        length = scale.length(part.size)
        left, right, start = (left - length, right, left - length) if part.size < 0 else (left, right + length, right)
        if length:
            box = f'x="{start:.1f}" y="{middle - _BAR / 2:.1f}" width="{length:.1f}" height="{_BAR}" rx="2"'
            yield f'<rect class="{part.paint}" {box}/>'
    yield f'<text class="figure" x="{WIDTH}" y="{middle:.1f}">{escape(row.text)}</text>'


def _shortened(label: str) -> str:
    """The beginning and the end, where ids differ."""
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 11]}…{label[-10:]}"
