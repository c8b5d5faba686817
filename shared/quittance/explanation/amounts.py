"""Money, moments and facts as explanations have them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from quittance.money import EXPONENTS, Money

if TYPE_CHECKING:
    from decimal import Decimal


def amount(money: Money | None) -> dict[str, Any] | None:
    """Money as JSON."""
    return {"value": money.value, "currency": money.currency} if money else None


def in_print(money: dict[str, Any] | Money | None) -> str:
    """Money as people read it: `123.45 EUR`, `500 JPY`."""
    if money is None:
        return ""
    known = money if isinstance(money, Money) else Money(int(money["value"]), money["currency"])
    return f"{known.decimal:,} {known.currency}"


def total_in_print(total: Decimal | int, currency: str) -> str:
    """An amount in major units as people read it."""
    return f"{total:,.{EXPONENTS[currency]}f} {currency}"


def fact_in_words(identity: str) -> str:
    """`payment.settled#pay_1#po_1` is `payment settled: pay_1, po_1`."""
    kind, _, ids = identity.partition("#")
    return f"{kind.replace('.', ' ').replace('_', ' ')}: {ids.replace('#', ', ')}"


def moment(seconds: int) -> str | None:
    """Seconds since 1970 as RFC 3339 in UTC; None for 0, which stands for never."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else None
