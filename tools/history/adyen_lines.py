"""Adyen's notifications, one a line: a whole delivery, or one item of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.history.deliveries import delivered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tools.history import HistoryError, Reported, Row, Settings

NAME = "adyen-notifications"


def recognises(header: Sequence[str]) -> bool:
    names = set(header)
    return bool(names & {"notificationItems", "NotificationRequestItem"}) or {"eventCode", "pspReference"} <= names


def facts(rows: Iterable[Row], account: str | None, settings: Settings) -> Iterator[Reported | HistoryError]:
    """What an authorisation means depends on the capture mode in `settings`."""
    for line, row in rows:
        yield from delivered("adyen", line, _delivery(row), account, settings)


def _delivery(row: Mapping[str, Any]) -> Mapping[str, Any]:
    if "eventCode" in row:
        return {"notificationItems": [{"NotificationRequestItem": row}]}
    return {"notificationItems": [row]} if "NotificationRequestItem" in row else row
