"""What the rows of Adyen's reports have in common: amounts, times, and what an account's capture mode makes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from quittance.money import EXPONENTS
from quittance.providers.adyen import CAPTURE_MODE, DEVIATING_EXPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from tools.history import Settings

_ABBREVIATED = {"BST": 1, "CEST": 2, "EEST": 3, "EDT": -4, "PDT": -7, "PST": -8, "AEST": 10, "AEDT": 11, "SGT": 8}
"""Abbreviations that are no names of the time zone database, with their hours from UTC."""


def captured_by_hand(settings: Settings, account: str) -> bool:
    """Whether the account reports each capture, by the settings of its connection."""
    mode = settings.get(CAPTURE_MODE)
    return (mode.get(account) if isinstance(mode, dict) else mode) == "manual"


def minor_units(written: str, currency: str) -> dict[str, Any]:
    """An amount that is not negative as a notification has it, in Adyen's own minor units. Raises `ValueError`."""
    code = currency.upper()
    if code not in EXPONENTS:
        raise ValueError("the currency is not known")
    try:
        value = Decimal(written).scaleb(DEVIATING_EXPONENTS.get(code, EXPONENTS[code]))
    except InvalidOperation:
        raise ValueError("an amount is no number such as 12.34") from None
    if not value.is_finite() or value != int(value) or value < 0:
        raise ValueError("an amount is not in whole minor units of its currency")
    return {"value": int(value), "currency": code}


def instant(row: Mapping[str, str], column: str, zone_column: str) -> str:
    """A time of a row, RFC 3339 in UTC. Raises `ValueError`."""
    try:
        moment = datetime.fromisoformat(row[column])
    except ValueError:
        raise ValueError(f"{column} is no time such as 2026-01-31 10:00:00") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_zone(row[zone_column]))
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _zone(name: str) -> tzinfo:
    if name in _ABBREVIATED:
        return timezone(timedelta(hours=_ABBREVIATED[name]))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("the time zone is not known") from None
