"""The platform's own events, one CloudEvent a line, held against the same schema as at the door."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.history.deliveries import delivered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tools.history import HistoryError, Reported, Row, Settings

NAME = "platform"


def recognises(header: Sequence[str]) -> bool:
    return {"specversion", "type", "data"} <= set(header)


def facts(rows: Iterable[Row], account: str | None, settings: Settings) -> Iterator[Reported | HistoryError]:
    """Every event names its business customer."""
    for line, event in rows:
        yield from delivered("platform", line, event, account, settings)
