"""A timeline as SVG. Time runs downwards: one row for each second at which something happened.

The distance between two rows grows with the logarithm of the time between them, which stands beside the axis; where more than a
day passed, the axis is broken. So seconds and weeks are readable in one picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from tools.timeline.scene import LANES, between

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.timeline.scene import Arrow, Box, Lane, Row, Scene, Tone

_LANE_WIDTHS: dict[Lane, int] = {"facts": 330, "documents": 330, "payouts": 230, "calls": 250}
_AXIS = 160
"""Where the axis is, from the left."""
_GUTTER = 72
"""Room for arrows between lanes."""
_MARGIN = 34
_HEADER = 118
_TITLE_SIZE, _TEXT_SIZE = 13, 11
_TITLE_HEIGHT, _LINE_HEIGHT, _PADDING = 18, 15, 9
_BOX_GAP = 9
_SMALLEST_GAP, _GAP_PER_DECADE = 16, 7
_BREAK_S = 86400
_NOTE_HEIGHT = 20
_INK, _MUTED, _RULE = "#1d2733", "#66727f", "#d8dee4"
_TONES: dict[Tone, tuple[str, str]] = {
    "arrived": ("#1b7f5c", "#eef7f3"),
    "returned": ("#b5482f", "#fbf1ee"),
    "neutral": ("#5b6770", "#f4f6f7"),
    "invoice": ("#1f5f8b", "#edf4f9"),
    "credit": ("#a8641b", "#fbf4ea"),
    "record": ("#6a5b95", "#f4f2f9"),
    "payout": ("#2f7d86", "#ecf5f6"),
    "good": ("#1b7f5c", "#ffffff"),
    "bad": ("#c0322b", "#fdf0ef"),
}
"""Line and filling of each tone."""
_FONTS = "FiraGO, 'Fira Sans', 'Segoe UI', Helvetica, Arial, sans-serif"
_NARROW, _WIDE = frozenset("iljtfrI.,:;'|!()[] -"), frozenset("mwMW@%")
_ARROW_SPREAD = 13
_SHORTEST = 2


def drawn(scene: Scene) -> str:
    """The SVG of a timeline. Equal scenes give equal pictures."""
    return _Drawing(scene).svg()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a box is."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(slots=True)
class _Drawing:
    scene: Scene
    places: dict[str, _Place] = field(default_factory=dict)
    moments: list[tuple[float, Row]] = field(default_factory=list)
    """Each row with where it begins."""
    bottom: float = 0.0

    def __post_init__(self) -> None:
        y = float(_HEADER)
        before: Row | None = None
        for row in self.scene.rows:
            y += _gap(before, row)
            self.moments.append((y, row))
            y = self._place(row, y)
            before = row
        self.bottom = y + _SMALLEST_GAP

    def _place(self, row: Row, top: float) -> float:
        """Place the boxes of a row; returns where it ends."""
        ends = [top]
        for lane, boxes in row.boxes.items():
            y = top
            for box in boxes:
                self.places[box.key] = _Place(self._left(lane), y, _LANE_WIDTHS[lane], _height(box))
                y += _height(box) + _BOX_GAP
            ends.append(y - _BOX_GAP)
        return max(ends)

    def _left(self, lane: Lane) -> float:
        before = self.scene.lanes[: self.scene.lanes.index(lane)]
        return _AXIS + 34 + sum(_LANE_WIDTHS[one] + _GUTTER for one in before)

    @property
    def width(self) -> float:
        last = self.scene.lanes[-1]
        return self._left(last) + _LANE_WIDTHS[last] + _MARGIN

    @property
    def height(self) -> float:
        notes = len(self.scene.notes) * _NOTE_HEIGHT
        return self.bottom + _MARGIN + (notes and notes + _NOTE_HEIGHT)

    def svg(self) -> str:
        size = f'width="{self.width:.0f}" height="{self.height:.0f}" viewBox="0 0 {self.width:.0f} {self.height:.0f}"'
        names = f'font-family={quoteattr(_FONTS)} role="img" aria-label={quoteattr(self.scene.title)}'
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {names}>',
            f"<title>{escape(self.scene.title)}</title>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *self._head(),
            *self._axis(),
            *self._arrows(),
            *(part for _, row in self.moments for boxes in row.boxes.values() for box in boxes for part in self._box(box)),
            *self._notes(),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _head(self) -> Iterator[str]:
        room = self.width - 2 * _MARGIN
        yield _text(_MARGIN, 40, _shortened(self.scene.title, room, 20), size=20, weight=600)
        yield _text(_MARGIN, 62, _shortened(self.scene.subtitle, room, 12), colour=_MUTED, size=12)
        for lane in self.scene.lanes:
            x = self._left(lane)
            yield _text(x, _HEADER - 18, LANES[lane], size=12, weight=600, colour=_MUTED)
            yield f'<path d="M{x} {_HEADER - 9}h{_LANE_WIDTHS[lane]}" stroke="{_RULE}" fill="none"/>'

    def _axis(self) -> Iterator[str]:
        yield _text(_MARGIN, _HEADER - 18, "UTC", size=12, weight=600, colour=_MUTED)
        for (y, row), (next_y, next_row) in zip(self.moments, self.moments[1:], strict=False):
            yield from _stretch(y + 9, next_y + 9, row, next_row)
        day = ""
        for y, row in self.moments:
            moment = datetime.fromtimestamp(row.at, UTC) if row.at is not None else None
            today = moment.strftime("%Y-%m-%d") if moment else "not yet"
            is_hollow = moment is None
            yield f'<circle cx="{_AXIS}" cy="{y + 9:.1f}" r="4" fill="{"#ffffff" if is_hollow else _INK}" stroke="{_INK}"/>'
            if moment:
                yield _text(_AXIS - 12, y + 13, moment.strftime("%H:%M:%S"), anchor="end")
            if today != day:
                yield _text(_MARGIN, y + 13, today, weight=600)
            day = today

    def _arrows(self) -> Iterator[str]:
        for tone, (line, _) in _TONES.items():
            yield (
                f'<marker id="{tone}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
                f'<path d="M0 0.5 7.5 4 0 7.5z" fill="{line}"/></marker>'
            )
        bends = 0
        for arrow in self.scene.arrows:
            source, target = self.places[arrow.source], self.places[arrow.target]
            if source.x == target.x:
                bends += 1
                yield _arrow(arrow, _bend(source, target, bends))
            else:
                yield _arrow(arrow, _across(source, target))

    def _box(self, box: Box) -> Iterator[str]:
        place = self.places[box.key]
        line, filling = _TONES[box.tone]
        dashes = ' stroke-dasharray="5 4"' if box.is_dashed else ""
        words = " ".join((box.title, box.amount, *(text.words for text in box.lines)))
        yield f"<g><title>{escape(words)}</title>"
        yield (
            f'<rect x="{place.x}" y="{place.y:.1f}" width="{place.width}" height="{place.height}" rx="5"'
            f' fill="{filling}" stroke="{line}"{dashes}/>'
        )
        if not box.is_dashed:
            yield f'<rect x="{place.x}" y="{place.y:.1f}" width="4" height="{place.height}" rx="2" fill="{line}"/>'
        left, right, y = place.x + 13, place.x + place.width - 10, place.y + _PADDING + 11
        room = right - left - (_width(box.amount, _TITLE_SIZE) + 10 if box.amount else 0)
        yield _text(left, y, _shortened(box.title, room, _TITLE_SIZE), size=_TITLE_SIZE, weight=600, colour=line)
        if box.amount:
            yield _text(right, y, box.amount, size=_TITLE_SIZE, weight=600, anchor="end")
        for number, text in enumerate(box.lines):
            colour = _TONES["bad"][0] if text.tone == "bad" else _MUTED if number else _INK
            below = y + _TITLE_HEIGHT + number * _LINE_HEIGHT
            yield _text(left, below, _shortened(text.words, right - left, _TEXT_SIZE), colour=colour)
        yield "</g>"

    def _notes(self) -> Iterator[str]:
        left = self._left(self.scene.lanes[0])
        for number, note in enumerate(self.scene.notes):
            colour = _TONES["bad"][0] if note.tone == "bad" else _INK
            words = _shortened(note.words, self.width - _MARGIN - left, 12)
            yield _text(left, self.bottom + (number + 1) * _NOTE_HEIGHT, words, colour=colour, size=12)


def _gap(before: Row | None, row: Row) -> float:
    """The room above a row."""
    if before is None:
        return 0.0
    if before.at is None or row.at is None:
        return float(_SMALLEST_GAP + _GAP_PER_DECADE * 3)
    return _SMALLEST_GAP + _GAP_PER_DECADE * math.log10(max(1, row.at - before.at))


def _stretch(top: float, end: float, row: Row, after: Row) -> Iterator[str]:
    """The axis between two moments, and how much time it stands for."""
    elapsed = after.at - row.at if row.at is not None and after.at is not None else None
    is_broken = elapsed is None or elapsed > _BREAK_S
    dashes = ' stroke-dasharray="2 5"' if is_broken else ""
    yield f'<path d="M{_AXIS} {top:.1f}V{end:.1f}" stroke="{_MUTED}" stroke-width="1.5"{dashes} fill="none"/>'
    if row.at is not None and after.at is not None:
        y = end - 22
        if is_broken:
            yield f'<path d="M{_AXIS - 6} {y + 2:.1f}l12 -6m-12 12l12 -6" stroke="{_INK}" fill="none"/>'
        yield _text(_AXIS - 12, y + 3, f"+ {between(row.at, after.at)}", anchor="end", colour=_MUTED, size=10)


def _height(box: Box) -> int:
    return 2 * _PADDING + _TITLE_HEIGHT + len(box.lines) * _LINE_HEIGHT - 3


def _across(source: _Place, target: _Place) -> str:
    """Between two lanes: out of the side that faces the other one."""
    is_right = target.x > source.x
    start, end = (source.x + source.width, target.x) if is_right else (source.x, target.x + target.width)
    middle = (start + end) / 2 if abs(end - start) <= _GUTTER + 1 else end - math.copysign(_GUTTER / 2, end - start)
    return f"M{start} {source.middle:.1f}C{middle} {source.middle:.1f} {middle} {target.middle:.1f} {end} {target.middle:.1f}"


def _bend(source: _Place, target: _Place, number: int) -> str:
    """Within a lane: out of the right side and back, each arrow a little further out than the one before."""
    x = source.x + source.width
    out = x + 18 + (number * _ARROW_SPREAD) % (_GUTTER - 20)
    return f"M{x} {source.middle + 6:.1f}C{out} {source.middle + 6:.1f} {out} {target.middle - 6:.1f} {x} {target.middle - 6:.1f}"


def _arrow(arrow: Arrow, path: str) -> str:
    line = _TONES[arrow.tone][0] if arrow.has_head else "#aab4bd"
    head = f' marker-end="url(#{arrow.tone})"' if arrow.has_head else ' stroke-dasharray="3 3"'
    return f'<path d="{path}" stroke="{line}" stroke-width="1.4" fill="none"{head}/>'


def _text(  # noqa: PLR0913 - how a text looks
    x: float, y: float, words: str, *, size: int = _TEXT_SIZE, weight: int = 400, colour: str = _INK, anchor: str = "start"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{colour}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def _width(words: str, size: int) -> float:
    """About how wide a text is, whatever font there is to show it in."""
    return sum(size * (0.3 if one in _NARROW else 0.86 if one in _WIDE else 0.63 if one.isupper() else 0.54) for one in words)


def _shortened(words: str, room: float, size: int) -> str:
    """A text cut in its middle where it is too wide: the ends of ids tell them apart. The whole of a box is its title."""
    if _width(words, size) <= room:
        return words
    kept = len(words)
    while kept > _SHORTEST and _width(words[:kept], size) > room - size:
        kept -= 1
    head = kept * 3 // 5
    return f"{words[:head]}…{words[len(words) - (kept - head) :]}"
