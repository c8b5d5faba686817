"""Closing months of fees: each becomes one invoice of the platform, and credit notes for what it gave back of earlier months.

Every step leaves behind what the next one needs and may be repeated: a run that is killed is taken up by the next message, or
by the next day's schedule, which finds every month that is not invoiced yet.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from quittance.errors import Retry
from quittance.facts import Fact, FactType
from quittance.facts import Item as FactItem
from quittance.fee_months import CLOSED, MONTH, OPEN_MONTH, SHARDS, FeeMonth
from quittance.fees import FEES_PROVIDER, FeeKind, first_day, last_day, month_before, month_of
from quittance.metrics import Count, count_nothing
from quittance.money import Money
from quittance.storage import Absent, ConditionFailedError, Equals, Item, Put, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GRACE_DAYS = 3
"""How long after its end a month stays open for what is reported late."""
OVERDUE_DAYS = 2
"""How long a month may then take until somebody should know."""
SETTLE_S = 10
"""How long after the closing the sums are taken. A query may still miss an entry that an earlier transaction is only about to
write; none is by then, because a transaction that was interrupted is finished or undone within moments."""
SUMMING_S = 8
"""When a run leaves the shards it has not reached to the next one: well before its function runs out of time."""
_FAR_WEST = timedelta(hours=12)
"""How far behind UTC a time zone may be: a month is over when it is over everywhere."""


class Take(Protocol):
    """Records a fact and brings its documents up to date. Raises `Retry` or `InDoubt` when that must be done again."""

    def __call__(self, fact: Fact, event_id: str) -> None: ...


class FeeClosing:
    """Finds months that are over and closes them. Safe to run any number of times, anywhere, at once."""

    def __init__(self, *, table: Table, take: Take, now: Callable[[], int], count: Count = count_nothing) -> None:
        """`now` gives seconds since 1970."""
        self._table = table
        self._take = take
        self._now = now
        self._count = count

    def due(self, through: str | None = None) -> list[FeeMonth]:
        """The months to close, oldest first: those that are over, everywhere and for `GRACE_DAYS`, or all `through` a month.

        Counts those that should have been closed before. Raises `ValueError` if `through` is no month.
        """
        last = month_of(first_day(through)) if through else self._last_over(GRACE_DAYS)
        overdue = self._last_over(GRACE_DAYS + OVERDUE_DAYS)
        items = [item for item in self._table.find(OPEN_MONTH) if item["month"] <= max(last, overdue)]
        for _ in (item for item in items if item["month"] <= overdue):
            self._count("FeeMonthsOverdue", provider=FEES_PROVIDER, event_type=FactType.FEES_CLOSED)
        months = (FeeMonth(item["month"], item["business_customer"], item["currency"]) for item in items)
        return sorted(month for month in months if month.month <= last)

    def _last_over(self, days: int) -> str:
        moment = datetime.fromtimestamp(self._now(), UTC) - _FAR_WEST - timedelta(days=days)
        return month_before(month_of(moment.date()))

    def close(self, business_customer: str, currency: str, month: str) -> None:
        """Close a month for good and have what it comes to invoiced and credited. One that never was is left alone.

        Raises `Retry` when it must come again, because its sums are not complete, and what `Take` raises.
        """
        self._close_month(FeeMonth(month, business_customer, currency))

    def _close_month(self, month: FeeMonth) -> None:
        item = self._table.read(month.pk, MONTH)
        if item is None or item["state"] == "invoiced":
            return
        if item["state"] == "open":
            item = self._shut(month, item)
        if self._now() - item["closed_at"] < SETTLE_S:
            raise Retry("fees_settling", delay_s=SETTLE_S)
        for fact in _facts(month, self._totals(month), _dated(month, item["closed_at"])):
            self._take(fact, "")
        self._finish(item)

    def _shut(self, month: FeeMonth, item: Item) -> Item:
        closed = item | {"state": "closed", "closed_at": self._now()}
        gates = [Put({"pk": month.shard_pk(shard), "sk": CLOSED, "closed_at": self._now()}, Absent()) for shard in range(SHARDS)]
        try:
            self._table.commit([Put(closed, Equals("state", "open")), *gates])
        except ConditionFailedError:
            raise Retry("fees_contended", delay_s=SETTLE_S) from None
        return closed

    def _finish(self, item: Item) -> None:
        invoiced = {name: value for name, value in item.items() if name != "reference"} | {"state": "invoiced"}
        try:
            self._table.commit([Put(invoiced, Equals("state", "closed"))])
        except ConditionFailedError:
            return  # another run did the same
        self._count("FeeMonthsClosed", provider=FEES_PROVIDER, event_type=FactType.FEES_CLOSED)

    # what a month comes to

    def _totals(self, month: FeeMonth) -> dict[str, dict[FeeKind, Total]]:
        """Month of the charge -> kind of fee -> what was noted of it."""
        totals: dict[str, dict[FeeKind, Total]] = defaultdict(lambda: defaultdict(Total))
        began = self._now()
        known = {item["sk"]: item for item in self._table.read_partition(month.pk, "SUM#")}
        for shard in range(SHARDS):
            if self._now() - began >= SUMMING_S:
                raise Retry("fees_not_summed", delay_s=1)
            sums = (known.get(f"SUM#{shard:02}") or self._summed(month, shard))["sums"]
            for one in sums:
                totals[one["of"]][FeeKind(one["kind"])].add(one["amount"], one["count"])
        return totals

    def _summed(self, month: FeeMonth, shard: int) -> Item:
        """What one shard comes to, stored: nothing can be added to it any more, so every run finds the same."""
        totals: dict[tuple[str, str], Total] = defaultdict(Total)
        for item in self._table.walk(month.shard_pk(shard), "FEE#"):
            totals[item["of"], item["kind"]].add(item["amount"], 1 if item["amount"] > 0 else 0)
        sums = [{"of": of, "kind": kind, "amount": t.amount, "count": t.count} for (of, kind), t in sorted(totals.items())]
        summed: Item = {"pk": month.pk, "sk": f"SUM#{shard:02}", "sums": sums}
        self._table.commit([Put(summed)])
        return summed


class Total:
    """A sum in minor units, and how many charges it is made of."""

    def __init__(self) -> None:
        self.amount = 0
        self.count = 0

    def add(self, amount: int, count: int) -> None:
        self.amount += amount
        self.count += count


def _dated(month: FeeMonth, closed_at: int) -> str:
    """The last day of the month; of one that was closed before its end, a day that is not in anybody's future."""
    closed_on = (datetime.fromtimestamp(closed_at, UTC) - _FAR_WEST).date()
    return min(last_day(month.month), closed_on).isoformat()


def _facts(month: FeeMonth, totals: dict[str, dict[FeeKind, Total]], day: str) -> Iterator[Fact]:
    """What a closed month says about itself, and about the earlier ones of which it gave something back."""
    for of, kinds in sorted(totals.items(), reverse=True):
        amount = sum(total.amount for total in kinds.values())
        if of == month.month and amount > 0:
            items = [
                FactItem(name=kind.label, quantity=kinds[kind].count, amount=kinds[kind].amount)
                for kind in FeeKind
                if kind in kinds and kinds[kind].amount
            ]
            yield _fact(FactType.FEES_CLOSED, month, of, Money(amount, month.currency), day, tuple(items))
        elif amount < 0:
            yield _fact(FactType.FEES_RETURNED, month, of, Money(-amount, month.currency), day, ())


def _fact(kind: FactType, month: FeeMonth, of: str, amount: Money, day: str, items: tuple[FactItem, ...]) -> Fact:  # noqa: PLR0913, PLR0917 - what the fact is made of
    return Fact(
        type=kind,
        provider=FEES_PROVIDER,
        account=month.business_customer,
        key=f"{of}:{month.currency}",
        occurrence=month.month if kind is FactType.FEES_RETURNED else "",
        occurred_at=f"{day}T23:59:59Z",
        amount=amount,
        period_start=first_day(month.month).isoformat(),
        period_end=last_day(month.month).isoformat(),
        items=items,
    )
