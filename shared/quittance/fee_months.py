"""Fees in the ledger, by the month that takes them in until it is closed.

    FEES#{business customer}#{currency}#{month}          MONTH        open, closed or invoiced
                                                         SUM#{shard}  what a shard comes to, once it is closed
    FEES#{business customer}#{currency}#{month}#{shard}  CLOSED       nothing more may be noted here
                                                         FEE#{case}   a fee, as its case holds it too

An entry is written in the transaction of its case, on the condition that its shard is not closed; a month is closed by closing
all its shards in one transaction. So every entry is either in the month when it is summed or was never in it, and payments of
one business customer do not contend for one item.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from quittance.fees import FeeEntry, month_after, month_of
from quittance.ledger import escaped
from quittance.storage import Absent, Check, ConditionFailedError, Item, Put, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from quittance.customers import BusinessCustomer
    from quittance.ledger import CaseFile

SHARDS = 16
"""Transactions that check one and the same item exclude each other: with one shard, one payment at a time."""
MONTH = "MONTH"
CLOSED = "CLOSED"
OPEN_MONTH = "fees:open"
"""`Table.find` reference of every month that is not invoiced yet."""


@dataclass(frozen=True, slots=True, order=True)
class FeeMonth:
    """The fees of one business customer in one currency and one calendar month of its own."""

    month: str
    business_customer: str
    currency: str

    @property
    def pk(self) -> str:
        return f"FEES#{escaped(self.business_customer)}#{self.currency}#{self.month}"

    def shard_pk(self, shard: int) -> str:
        return f"{self.pk}#{shard:02}"


class FeeMonths:
    """Notes the fees of a case. Every method may raise `Retry("table_busy")`."""

    def __init__(self, table: Table, now: Callable[[], int]) -> None:
        """`now` gives seconds since 1970."""
        self._table = table
        self._now = now

    def note(self, case: CaseFile, customer: BusinessCustomer, planned: Iterable[FeeEntry]) -> None:
        """Add to a case's next commit what its plan says of fees.

        What is charged counts for its own month, or for the present one if that is closed. What is given back lowers the month in
        which it was charged, as long as that is open; afterwards it is noted in the month in which it was given back, whose
        closing credits it. The commit fails if a month was closed in between: then the case is to be opened and planned again.
        """
        for entry in planned:
            placed = replace(self._placed(entry, customer), key=f"{case.id}#{len(case.fees) + 1}")
            month = FeeMonth(placed.month, customer.id, placed.amount.currency)
            pk = month.shard_pk(_shard(case.pk))
            noted = {"kind": str(placed.kind), "of": placed.of, "amount": placed.amount.value, "payment_id": placed.payment_id}
            case.store_fee(placed)
            case.add_write(Put({"pk": pk, "sk": f"FEE#{case.pk}#{placed.key}"} | noted))
            case.add_write(Check(pk, CLOSED, Absent()))

    def _placed(self, entry: FeeEntry, customer: BusinessCustomer) -> FeeEntry:
        currency = entry.amount.currency
        if entry.amount.value > 0:
            month = self._open_month(FeeMonth(entry.month, customer.id, currency), customer)
            return entry.moved_to(month, month)
        if self._is_open(FeeMonth(entry.of, customer.id, currency)):
            return entry.moved_to(entry.of, entry.of)
        return entry.moved_to(self._open_month(FeeMonth(entry.month, customer.id, currency), customer), entry.of)

    def _open_month(self, wanted: FeeMonth, customer: BusinessCustomer) -> str:
        """The month itself or, once it is closed, the present one. One more only if that was closed before its end."""
        if self._is_open(wanted):
            return wanted.month
        today = customer.local_date(datetime.fromtimestamp(self._now(), UTC).isoformat())
        month = replace(wanted, month=max(month_after(wanted.month), month_of(today)))
        while not self._is_open(month):
            month = replace(month, month=month_after(month.month))
        return month.month

    def _is_open(self, month: FeeMonth) -> bool:
        """Whether a month takes entries. One that has none yet is opened."""
        while (item := self._table.read(month.pk, MONTH)) is None:
            with suppress(ConditionFailedError):
                self._table.commit([Put(self._opened(month), Absent())])
        return bool(item["state"] == "open")

    def _opened(self, month: FeeMonth) -> Item:
        return {
            "pk": month.pk,
            "sk": MONTH,
            "month": month.month,
            "business_customer": month.business_customer,
            "currency": month.currency,
            "state": "open",
            "opened_at": self._now(),
            "reference": OPEN_MONTH,
        }


def _shard(case_pk: str) -> int:
    return hashlib.sha256(case_pk.encode()).digest()[0] % SHARDS
