"""What a history comes to: counts, and totals per business customer, currency and tax rate."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from quittance.documents import DocumentKind
from quittance.money import DOCUMENT_DECIMALS

if TYPE_CHECKING:
    from tools.backfill.rehearsal import Judgement, Made

COUNTED = {DocumentKind.INVOICE: "invoices", DocumentKind.CREDIT_NOTE: "credit_notes"}
"""Kind of document -> its name where documents are counted."""


@dataclass(slots=True)
class Sum:
    """Documents of one kind, in hundredths of their currency's major unit."""

    documents: int = 0
    net: int = 0
    tax: int = 0
    first: str = ""
    last: str = ""
    """The days on the documents, from the first to the last."""

    def as_json(self) -> dict[str, Any]:
        amounts = {"net": self.net, "tax": self.tax, "total": self.net + self.tax}
        days = {"first_date": self.first or None, "last_date": self.last or None}
        return {"documents": self.documents} | {name: decimal_text(amount) for name, amount in amounts.items()} | days

    def add(self, day: str, net: int, tax: int) -> None:
        self.documents += 1
        self.net += net
        self.tax += tax
        self.first, self.last = min(self.first or day, day), max(self.last, day)


@dataclass(slots=True, order=True, frozen=True)
class Place:
    """One row of the totals."""

    business_customer: str
    currency: str
    rate: str
    """In percent; empty: no tax."""


@dataclass(slots=True)
class Totals:
    """Adds up judgements. It takes memory for every business customer, not for every payment."""

    payments: Counter[str] = field(default_factory=Counter)
    """Outcome -> how many payments."""
    made: Counter[str] = field(default_factory=Counter)
    """Kind of document, or of request -> how many."""
    sums: dict[Place, dict[str, Sum]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(Sum)))
    """What invoices and credit notes come to. A document of two rates is counted at each."""
    findings: Counter[str] = field(default_factory=Counter)
    needed: int = 0
    """Reports that the ledger does not know."""

    def add(self, judgement: Judgement) -> None:
        self.payments[judgement.outcome] += 1
        self.needed += len(judgement.needed)
        self.findings.update(judgement.findings)
        for one in judgement.made:
            self._add_made(one)

    def _add_made(self, one: Made) -> None:
        kind = one.document.kind
        self.made[kind] += 1
        if kind not in COUNTED:
            return
        for rate, amount in one.rates.items():
            place = Place(one.business_customer, one.document.amount.currency, rate)
            self.sums[place][COUNTED[kind]].add(one.document.date, amount.net, amount.tax)

    def as_json(self) -> dict[str, Any]:
        return {
            "payments": dict(self.payments),
            "documents": dict(self.made),
            "new_facts": self.needed,
            "findings": dict(self.findings),
            "totals": [
                {
                    "business_customer": place.business_customer,
                    "currency": place.currency,
                    "tax_rate": place.rate or None,
                    **{name: self.sums[place][name].as_json() for name in COUNTED.values()},
                }
                for place in sorted(self.sums)
            ],
        }


def decimal_text(hundredths: int) -> str:
    """In major units, always with two decimals, as on documents."""
    return str(Decimal(hundredths).scaleb(-DOCUMENT_DECIMALS))
