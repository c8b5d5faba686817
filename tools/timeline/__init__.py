"""A payment as a picture: what happened, which documents that called for, what was asked of the invoicing API, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.timeline.drawing import drawn
from tools.timeline.scene import scene_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["FORMATS", "save_timeline", "timeline_svg"]

FORMATS = (".svg", ".png")
_PIXELS_PER_INCH = 144
_TYPST = b"""
#set page(width: auto, height: auto, margin: 0pt)
#image(bytes(sys.inputs.svg), format: "svg")
"""


def timeline_svg(explained: Mapping[str, Any]) -> str:
    """The picture of one payment as `explain_case` explains it, as SVG. It shows what the explanation shows: nothing personal."""
    return drawn(scene_of(explained))


def save_timeline(explained: Mapping[str, Any], file: Path) -> None:
    """Draw a payment into a file. Its ending says how: raises `ValueError` for one that is none of `FORMATS`."""
    if file.suffix.lower() not in FORMATS:
        raise ValueError(f"a timeline is drawn as {' or '.join(FORMATS)}, not as {file.suffix or 'a file without an ending'}")
    svg = timeline_svg(explained)
    if file.suffix.lower() == ".png":
        file.write_bytes(_png(svg))
    else:
        file.write_text(svg, encoding="utf-8")


def _png(svg: str) -> bytes:
    import typst  # noqa: PLC0415 - the typesetter and its fonts take longer to load than everything else here

    from tools.sandbox.pdf import fonts  # noqa: PLC0415

    picture = typst.compile(_TYPST, font_paths=fonts(), format="png", ppi=_PIXELS_PER_INCH, sys_inputs={"svg": svg})
    if not isinstance(picture, bytes):
        raise TypeError("the typesetter must give one picture")
    return picture
