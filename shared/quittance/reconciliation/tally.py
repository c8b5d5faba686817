"""What was found, and the payouts, counted while they stream by: for the report's page and for metrics.

What somebody acknowledged is kept apart: metrics and alarms are about what is open.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quittance.reconciliation.books import major
from quittance.reconciliation.results import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quittance.reconciliation.results import Found, PayoutLine, Reconciliation

DAY_S = 86_400
OVERDUE_AFTER_DAYS = {Severity.CRITICAL: 1, Severity.ERROR: 7, Severity.WARNING: 31}
"""How long a finding may stand: what its severity asks for, in days."""
AGES = ((1, "under a day"), (8, "1 to 7 days"), (32, "8 to 31 days"), (92, "32 to 91 days"), (None, "over 91 days"))
"""Whole days that a group of ages stays below (None: any), and its name."""
AGE_UNKNOWN = "not known"
SHOWN = 300
"""Findings that are kept: more is no reading for people."""
PAYOUTS_SHOWN = 200
"""Likewise of payouts."""


class Tally:
    """Counts findings and payouts, and keeps the first few of each. Its size does not grow with their number."""

    def __init__(self, at: int) -> None:
        """Ages are reckoned to `at`, in seconds since 1970."""
        self._at = at
        self.total = 0
        self.overdue = 0
        """How many stand for longer than their severity allows."""
        self.by_severity: Counter[Severity] = Counter()
        self.by_class: Counter[tuple[Severity, str]] = Counter()
        self.by_age: Counter[tuple[str, Severity]] = Counter()
        self._first: list[Found] = []
        self.acknowledged = 0
        """How many were acknowledged; they are in no other figure."""
        self._first_acknowledged: list[Found] = []
        self.payouts = 0
        self.payouts_explained = 0
        self.payouts_open = 0
        """How many are not explained, and nobody acknowledged it."""
        self._first_payouts: list[PayoutLine] = []

    def add(self, found: Found) -> None:
        if found.acknowledged:
            self.acknowledged += 1
            self._first_acknowledged.append(found)
            if len(self._first_acknowledged) > 2 * SHOWN:
                self._cut()
            return
        days = self.days(found)
        self.total += 1
        self.overdue += days is not None and days >= OVERDUE_AFTER_DAYS[found.severity]
        self.by_severity[found.severity] += 1
        self.by_class[found.severity, found.code] += 1
        self.by_age[_age(days), found.severity] += 1
        self._first.append(found)
        if len(self._first) > 2 * SHOWN:
            self._cut()

    def add_payout(self, payout: PayoutLine) -> None:
        self.payouts += 1
        self.payouts_explained += payout.is_explained
        self.payouts_open += payout.is_open
        self._first_payouts.append(payout)
        if len(self._first_payouts) > 2 * PAYOUTS_SHOWN:
            self._cut()

    def days(self, found: Found) -> int | None:
        """For how many whole days a finding stands, if that is known."""
        return max(0, self._at - found.since) // DAY_S if found.since else None

    @property
    def first(self) -> list[Found]:
        """At most `SHOWN`: the most severe first, of those the largest amounts."""
        self._cut()
        return self._first

    @property
    def first_acknowledged(self) -> list[Found]:
        """At most `SHOWN`, as `first`."""
        self._cut()
        return self._first_acknowledged

    @property
    def first_payouts(self) -> list[PayoutLine]:
        """At most `PAYOUTS_SHOWN`: those that are open first, of these and of the others the latest."""
        self._cut()
        return self._first_payouts

    def _cut(self) -> None:
        self._first = sorted(self._first, key=_urgency)[:SHOWN]
        self._first_acknowledged = sorted(self._first_acknowledged, key=_urgency)[:SHOWN]
        self._first_payouts = sorted(self._first_payouts, key=_newness, reverse=True)[:PAYOUTS_SHOWN]


def _urgency(found: Found) -> tuple[int, float, int, tuple[str, ...]]:
    """Amounts of different currencies are compared by their figures: good enough for an order to read in."""
    amount = 0.0 if found.amount is None else float(abs(major(found.amount.value, found.amount.currency)))
    return list(Severity).index(found.severity), -amount, found.since, found.identity


def _newness(payout: PayoutLine) -> tuple[bool, str, str]:
    return payout.is_open, payout.occurred_at, payout.payout_id


def _age(days: int | None) -> str:
    if days is None:
        return AGE_UNKNOWN
    return next(name for limit, name in AGES if limit is None or days < limit)


@dataclass(frozen=True, slots=True)
class Level:
    """How much of something there is now. `severity` is empty for what is not told apart by it."""

    metric: str
    value: int
    severity: str = ""


def levels(reconciliation: Reconciliation, tally: Tally) -> Iterator[Level]:
    """The metrics of a whole reconciliation, zeros included: an alarm ends by a zero, not by silence."""
    for severity in Severity:
        yield Level("FindingsOpen", tally.by_severity[severity], severity)
    yield Level("FindingsOverdue", tally.overdue)
    yield Level("ResidualsOpen", _residuals(reconciliation) + tally.payouts_open)
    yield Level("PaymentsReconciled", sum(customer.payments for customer in reconciliation.customers))
    yield Level("DocumentsReconciled", sum(customer.documents for customer in reconciliation.customers))
    yield Level("FactsWaiting", sum(customer.waiting for customer in reconciliation.customers))
    yield Level("ReconciliationFinished", 1)


def _residuals(reconciliation: Reconciliation) -> int:
    """How many totals leave something unexplained. Counted, not added up: two never cancel out."""
    return sum(bool(totals.residual) for customer in reconciliation.customers for totals in customer.totals)
