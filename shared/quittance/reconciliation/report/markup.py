"""The pieces that every part of the page is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.reconciliation.report.wording import counted, digits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROWS = 200
"""Rows of the table of business customers; their sheet has all of them."""
BARS = 12
"""Rows of a chart."""
_FIGURES = ' class="n"'


def table(caption: str, heads: str, rows: Iterable[str]) -> str:
    """A table of rows that are markup already. Of a head, `#` says figures, aligned on the right, and `_` stands for a blank."""
    names = [(head.removeprefix("#").replace("_", " "), head.startswith("#")) for head in heads.split()]
    columns = "".join(f'<th scope="col"{_FIGURES if of_figures else ""}>{name}</th>' for name, of_figures in names)
    # Focusable, so that a table wider than the window can be scrolled without a mouse.
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{caption}"><table><caption>{caption}</caption>'
        f"<thead><tr>{columns}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def number_cell(number: int) -> str:
    return f'<td class="n">{number:,}</td>'


def money_cell(value: int, currency: str) -> str:
    return f'<td class="n{"" if value else " zero"}">{digits(value, currency)}</td>'


def residual_cell(value: int, currency: str) -> str:
    """Always shown: a zero is good news."""
    return f'<td class="n {"off" if value else "right"}">{digits(value, currency)}</td>'


def more_in(file: str, left_out: int, one: str) -> str:
    """Where to find what a table leaves out."""
    return f'<p class="note">And {counted(left_out, f"more {one}")}: see <code>{file}</code>.</p>' if left_out > 0 else ""


def figure(caption: str, more: str, chart: str, key: str = "") -> str:
    """A chart with its caption; `more` is the small print below that."""
    small = f"<small>{more}</small>" if more else ""
    return f"<figure><figcaption>{caption}{small}</figcaption>{chart}{key}</figure>"


def swatches(painted: Mapping[str, str]) -> str:
    """What the colours of a chart stand for: class of the style sheet -> name."""
    shown = (
        f'<span><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="{paint}" width="10" height="10" rx="2"/></svg>'
        f"{name}</span>"
        for paint, name in painted.items()
    )
    return f'<p class="key">{"".join(shown)}</p>'


def charts(*figures: str) -> str:
    """Side by side where there is room."""
    return f'<div class="charts">{"".join(figures)}</div>' if figures else ""
