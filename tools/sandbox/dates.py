"""Calendar dates and timestamps in the forms the API uses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tools.sandbox.wire import invalid

_DATE_LENGTH = len("2026-01-01")


def read_date(text: str, path: Sequence[str | int]) -> date:
    """The calendar date of an input; a time behind it is dropped, never shifted. Raises `Problem` 422."""
    try:
        return date.fromisoformat(text[:_DATE_LENGTH])
    except ValueError as error:
        raise invalid(path, "Not a calendar date; use YYYY-MM-DD") from error


def at_midnight(day: date) -> str:
    """A business date as the API returns it: midnight UTC."""
    return f"{day.isoformat()}T00:00:00.000Z"


def timestamp(moment: datetime) -> str:
    """An instant as the API returns it: ISO 8601 in UTC with milliseconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def today(now: datetime, zone: str | None) -> date:
    """The calendar date at `now` in a named time zone; UTC when none is given."""
    return now.astimezone(ZoneInfo(zone) if zone else UTC).date()


def is_zone(name: str) -> bool:
    """Whether the IANA time zone exists."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
