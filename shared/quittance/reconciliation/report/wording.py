"""Amounts, dates and codes as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from quittance.reconciliation.books import major

if TYPE_CHECKING:
    from datetime import date

    from quittance.money import Money

MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"


def plain(value: int, currency: str) -> str:
    """Minor units as a decimal for programs, in the currency's own decimals: `1234.50`, `-98500`."""
    return f"{major(value, currency):f}"


def digits(value: int, currency: str) -> str:
    """Minor units as people read them: `1,234.50`, `98,500`; with a real minus."""
    return f"{major(value, currency):,f}".replace("-", MINUS)


def amount(money: Money) -> str:
    """`1,234.50 EUR`, on one line."""
    return f"{digits(money.value, money.currency)}{SPACE}{money.currency}"


def counted(number: int, one: str, several: str = "") -> str:
    """`1 payment`, `12,340 payments`."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def seconds_of(instant: str) -> int:
    """Seconds since 1970 of RFC 3339."""
    return int(datetime.fromisoformat(instant).timestamp())


def day_of(seconds: int) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()


def long_day(seconds: int) -> str:
    """`23 November 2026`: no order of day and month to be guessed."""
    day = day_of(seconds)
    return f"{day.day} {day:%B %Y}"


def short_day(seconds: int) -> str:
    """`23 Nov 2026`."""
    day = day_of(seconds)
    return f"{day.day}{SPACE}{day:%b}{SPACE}{day.year}"


def moment(seconds: int) -> str:
    """`23 Nov 2026, 05:00:10 UTC`."""
    return f"{short_day(seconds)}, {datetime.fromtimestamp(seconds, UTC):%H:%M:%S} UTC"


def lasting(seconds: int) -> str:
    """`40 s`, `12 min 5 s`, `3 h 0 min`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours}{SPACE}h {minutes_left}{SPACE}min"
    return f"{minutes}{SPACE}min {rest}{SPACE}s" if minutes else f"{rest}{SPACE}s"


def phrase(code: str) -> str:
    """A code in words: `payment_without_invoice` -> `payment without invoice`."""
    return code.replace("_", " ")


def owner(business_customer: str) -> str:
    """Whose it is. A payment whose account nobody registered is nobody's yet."""
    return business_customer or "(not registered)"
