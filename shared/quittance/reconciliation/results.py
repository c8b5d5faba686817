"""What a reconciliation found: the data that commands, reports, metrics and the operator's API all show.

Plain data, ready for JSON. Every amount is in minor units of its currency.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quittance.acknowledgements import Acknowledgement
    from quittance.money import Money


class Severity(StrEnum):
    """How soon somebody should look."""

    CRITICAL = "critical"
    """Money and documents contradict each other: today."""
    ERROR = "error"
    """A document is missing or wrong: this week."""
    WARNING = "warning"
    """Something waits, or was changed by hand: before the books are closed."""


class RepairMode(StrEnum):
    """Who may set a repair going. A repair runs the normal pipeline; it never edits or deletes a document."""

    AUTOMATIC = "automatic"
    WITH_APPROVAL = "with_approval"
    NEVER = "never"
    """Only a person can put it right, outside of this system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing that does not agree, about one payment, document, payout or business customer."""

    code: str
    """Names its class: see `finding_classes`."""
    severity: Severity
    business_customer: str
    provider: str = ""
    account: str = ""
    payment_id: str = ""
    """Empty for a document that names no payment."""
    document: str = ""
    """The API's id, or the document's key where the API holds none."""
    number: str = ""
    """As printed on the document."""
    amount: Money | None = None
    """What is at stake: the amount missing, too much, or unexplained."""
    detail: str = ""
    """Names of fields and amounts; never personal data."""
    since: int = 0
    """Seconds since 1970: when it began, as far as is known."""
    repair: RepairMode = RepairMode.NEVER
    acknowledged: Acknowledgement | None = None
    """Who said that it needs nothing more; then it is in the record of the run and does not count."""

    @property
    def identity(self) -> tuple[str, ...]:
        """The same thing found again has the same identity."""
        return self.business_customer, self.code, self.provider, self.account, self.payment_id, self.document


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Of one business customer and currency, in minor units."""

    currency: str
    invoices: int = 0
    """How many the API holds, drafts not counted."""
    credit_notes: int = 0
    invoiced: int = 0
    """Sum of what the API's invoices come to, with tax."""
    credited: int = 0
    tax: int = 0
    """On invoices less on credit notes, as the API holds them."""
    planned: int = 0
    """What the ledger's documents come to, invoices less credit notes."""
    acknowledged: int = 0
    """What the API holds more than planned, below zero less, of documents that somebody acknowledged as they are."""

    @property
    def residual(self) -> int:
        """Held less planned and acknowledged. Zero says little by itself, since two errors may cancel out: see the findings."""
        return self.invoiced - self.credited - self.planned - self.acknowledged


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutLine:
    """One payout tied out: everything that explains it, and what is left. `residual = amount - everything explained`."""

    payout_id: str
    provider: str
    account: str
    business_customer: str
    occurred_at: str
    amount: Money
    state: str = "paid"
    """`paid` or `failed`."""
    payments: int
    """Gross of the payments in it, minor units of the payout's currency."""
    fees: int
    """Negative: what was kept."""
    refunds: int
    """Negative, as are disputes."""
    disputes: int
    other: int
    residual: int
    documents: tuple[str, ...] = ()
    """Ids of the documents behind it, of its payments, refunds and disputes."""
    unexplained: tuple[str, ...] = ()
    """Ids of lines to which no payment or no document is known."""
    is_acknowledged: bool = False
    """Somebody said that what is left of it needs nothing more."""

    @property
    def is_explained(self) -> bool:
        """To its last line: lines without an explanation may happen to cancel each other out."""
        return not self.residual and not self.unexplained

    @property
    def is_open(self) -> bool:
        """Not explained, and nobody acknowledged it."""
        return not self.is_explained and not self.is_acknowledged


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerResult:
    """One business customer, compared."""

    business_customer: str
    entity_id: str
    payments: int
    documents: int
    """Recorded documents that were compared."""
    waiting: int
    """Facts that wait for something to come."""
    totals: tuple[Totals, ...]
    found_by_code: Mapping[str, int]
    """What was acknowledged is not in it."""
    differences: int = 0
    """How many of these mean that ledger and books do not agree."""

    @property
    def agrees(self) -> bool:
        """Whether nothing differs and every residual is zero. What the ledger itself keeps as findings may stand all the same."""
        return not self.differences and not any(totals.residual for totals in self.totals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """The figures of a whole run. What was found, and the payouts, may be many: they are read from where they were written."""

    id: str
    """`2026-11-23T05-00-00Z`: when it began; sorts by time."""
    started_at: int
    finished_at: int
    customers: tuple[CustomerResult, ...]

    @property
    def agrees(self) -> bool:
        """Whether every business customer agrees."""
        return all(customer.agrees for customer in self.customers)
