"""Charts of what was measured, as SVG that stands alone: for light and dark pages, without a script or a library."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from benchmarks.figures import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_WIDTH, _LABEL, _FIGURE = 760, 300, 110
_TITLE, _ROW, _BAR = 40, 26, 14
_ROOM = _WIDTH - _LABEL - _FIGURE - 20
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f; dominant-baseline: middle }
.title { font-weight: 600; font-size: 15px } .label { text-anchor: end } .ours { fill: #1a7f64 } .other { fill: #9aa4b2 }
.missed { fill: #c9372c } .mark { stroke: #b35900; stroke-width: 2; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .ours { fill: #2fb892 } .other { fill: #6e7a8a } .missed { fill: #f0685c } .mark { stroke: #f0a050 }
}
"""

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: what it is of, how long it is, its figure. `paint` is `ours`, `other` or `missed`."""

    label: str
    size: float
    text: str
    paint: str = "ours"


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars on one scale. `mark` is drawn as a line across them."""

    title: str
    bars: Sequence[Bar]
    mark: float | None = None


def draw(report: Report, folder: Path) -> None:
    """Write the charts whose parts are in the report, and leave the others as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = report.get("parts", {})
    known = {name: part["data"] for name, part in parts.items() if "data" in part}
    charts = {"targets": [_targets(parts)]}
    charts |= {name: make(known[name]) for name, make in _OF_A_PART.items() if name in known}
    for name, panels in charts.items():
        if some := [panel for panel in panels if panel.bars]:
            (folder / f"{name.replace('_', '-')}.svg").write_text(svg(some), encoding="utf-8")


def svg(panels: Sequence[Panel]) -> str:
    """The panels below each other. All figures are in it as text too, for those who do not see them."""
    height = sum(_TITLE + _ROW * len(panel.bars) for panel in panels) + 10
    told = ". ".join(f"{panel.title}: " + "; ".join(f"{bar.label} {bar.text}" for bar in panel.bars) for panel in panels)
    top, drawn = 0, list[str]()
    for panel in panels:
        drawn += _panel(panel, top)
        top += _TITLE + _ROW * len(panel.bars)
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>'
    return "\n".join([head, f"<title>{escape(told)}</title>", f"<style>{_STYLE}</style>", *drawn, "</svg>", ""])


def _panel(panel: Panel, top: float) -> Iterator[str]:
    unit = _ROOM / (max([bar.size for bar in panel.bars] + [panel.mark or 0]) or 1)
    yield f'<text class="title" x="0" y="{top + _TITLE / 2}">{escape(panel.title)}</text>'
    top += _TITLE
    for place, bar in enumerate(panel.bars):
        middle = top + _ROW * (place + 0.5)
        box = f'x="{_LABEL}" y="{middle - _BAR / 2}" width="{max(1.5, bar.size * unit):.1f}" height="{_BAR}" rx="2"'
        yield f'<text class="label" x="{_LABEL - 8}" y="{middle}">{escape(bar.label)}</text>'
        yield f'<rect class="{bar.paint}" {box}/>'
        yield f'<text x="{_LABEL + max(1.5, bar.size * unit) + 8:.1f}" y="{middle}">{escape(bar.text)}</text>'
    if panel.mark is not None:
        place_x = _LABEL + panel.mark * unit
        bottom = top + _ROW * len(panel.bars)
        yield f'<line class="mark" x1="{place_x:.1f}" x2="{place_x:.1f}" y1="{top}" y2="{bottom}"/>'


def _targets(parts: Mapping[str, Any]) -> Panel:
    figures = [figure for part in parts.values() for figure in part.get("figures", ())]
    bars = [_against_target(figure) for figure in figures if figure["target"] and _allowed(figure) > 0]
    return Panel("Measured, as a share of what is allowed (the line)", bars, mark=1.0)


def _allowed(figure: Mapping[str, Any]) -> float:
    return float(figure["target"].get("at_most") or figure["target"].get("at_least") or 0)


def _against_target(figure: Mapping[str, Any]) -> Bar:
    is_least = "at_least" in figure["target"]
    share = _allowed(figure) / (figure["value"] or 1) if is_least else figure["value"] / _allowed(figure)
    text = f"{shown(figure['value'])} {'≥' if is_least else '≤'} {_allowed(figure):,g}"
    return Bar(figure["name"].partition(",")[0][:44], min(share, 2.0), text, "ours" if figure["target"]["met"] else "missed")


def _cold_start(data: Mapping[str, Any]) -> list[Panel]:
    bars = []
    for one in data["functions"]:
        bars += [Bar(one["function"], one["ours_ms"], f"{one['ours_ms']:.0f} ms")]
        bars += [Bar("its libraries, built plainly", one["plain_ms"], f"{one['plain_ms']:.0f} ms", "other")] * one["is_target"]
    return [Panel("Cold start from the built artefacts, ms of CPU", bars)]


def _functions(data: Mapping[str, Any]) -> list[Panel]:
    bars = [Bar(one["function"], one["peak_mib"], f"{one['peak_mib']:.0f} of {one['memory_mb']} MB") for one in data["functions"]]
    return [Panel("Most memory under load, MB", bars)]


def _peers(data: Mapping[str, Any]) -> list[Panel]:
    panels = []
    for title, name in _COMPARED:
        rows = [(one["name"], one[name]) for one in data["contestants"] if one.get(name) is not None]
        panels.append(Panel(title, [Bar(label, value, shown(value), _paint(label)) for label, value in rows]))
    return panels


def _paint(contestant: str) -> str:
    return "ours" if contestant.startswith("Quittance") else "other"


_COMPARED = (
    ("CPU per event, ms", "cpu_ms"),
    ("Requests to the invoicing API per document", "requests_per_document"),
    ("Duplicate documents per 1,000 payments under faults", "duplicates_per_thousand"),
)


def _cost(data: Mapping[str, Any]) -> list[Panel]:
    services = [Bar(name, usd, f"$ {usd:.4f}") for name, usd in data["usd_per_thousand"].items()]
    return [Panel("AWS list price of 1,000 payments by service", services)]


_OF_A_PART = {"cold_start": _cold_start, "functions": _functions, "peers": _peers, "cost": _cost}
