"""Document numbers: one unbroken sequence per entity, kind of document and year."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\{(yyyy|yy|n+)\}")


def formatted(template: str, year: int, position: int) -> str:
    """A number such as `2026-00007` from a template such as `{yyyy}-{nnnnn}`; `n` is padded to the count of its letters."""

    def fill(match: re.Match[str]) -> str:
        letters = match[1]
        if letters == "yyyy":
            return f"{year:04d}"
        return f"{year % 100:02d}" if letters == "yy" else f"{position:0{len(letters)}d}"

    return _TOKEN.sub(fill, template)


class Sequences:
    """Positions already used, by kind and year."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], int] = {}

    def take(self, kind: str, year: int, start: int = 1) -> int:
        """The next position. `start` only ever moves a sequence forward."""
        position = max(self._last.get((kind, year), 0) + 1, start)
        self._last[kind, year] = position
        return position
