"""Fees that are invoiced by the month: what is noted of each payment, and the calendar months they are noted in.

Months are texts such as `2026-11`, which sort by time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from quittance.facts import filled_fields
from quittance.money import Money

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FEES_PROVIDER = "fees"
"""The provider of the cases that hold a month's fee documents: nobody's payment can have such a name."""


class FeeKind(StrEnum):
    """What a fee is for. Each kind is a line of a monthly invoice."""

    TRANSACTION = "transaction"
    RETURN = "return"

    @property
    def label(self) -> str:
        """As printed."""
        return {"transaction": "Transaction fee", "return": "Refund or dispute fee"}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeEntry:
    """A fee charged, or given back, of one payment. Never changed: what turns out otherwise is another entry."""

    kind: FeeKind
    payment_id: str
    amount: Money
    """Negative when it is given back."""
    fact: str
    """Identity of the fact that called for it."""
    month: str
    """The month whose closing takes it in."""
    of: str
    """The month it was charged in, whose invoice it lowers when it is given back."""
    key: str = ""
    """Its name within the ledger; empty while it is only planned."""

    def to_json(self) -> dict[str, Any]:
        return filled_fields(self)

    def moved_to(self, month: str, of: str) -> FeeEntry:
        return replace(self, month=month, of=of)


def fee_entry_from_json(data: Mapping[str, Any]) -> FeeEntry:
    """The inverse of `FeeEntry.to_json`."""
    return FeeEntry(**(dict(data) | {"kind": FeeKind(data["kind"]), "amount": Money(**data["amount"])}))


def charged_by_month(entries: Iterable[FeeEntry]) -> dict[str, int]:
    """What stands charged of each month, in minor units: fees less what was given back of them."""
    standing: dict[str, int] = {}
    for entry in entries:
        standing[entry.of] = standing.get(entry.of, 0) + entry.amount.value
    return standing


# --- months --------------------------------------------------------------------------------------------------------------


def month_of(day: date) -> str:
    return day.isoformat()[: len("2026-11")]


def first_day(month: str) -> date:
    """Raises `ValueError` for what is no month."""
    if len(month) != len("2026-11"):
        raise ValueError("not a month")
    return date.fromisoformat(f"{month}-01")


def month_before(month: str) -> str:
    return month_of(first_day(month) - timedelta(days=1))


def month_after(month: str) -> str:
    return month_of(first_day(month) + timedelta(days=31))


def last_day(month: str) -> date:
    return first_day(month_after(month)) - timedelta(days=1)
