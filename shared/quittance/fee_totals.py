"""Fee documents against what payouts say was kept: the two must come to the same.

Pure, and apart from `plan`: what payouts kept is read from the payouts themselves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from quittance.documents import DocumentKind, DocumentState
from quittance.facts import FactType
from quittance.fees import FEES_PROVIDER, month_of
from quittance.money import Money
from quittance.plan import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from quittance.customers import BusinessCustomer
    from quittance.documents import Document
    from quittance.facts import Fact
    from quittance.ledger import CaseFile

_ARRIVED = (FactType.PAYMENT_SUCCEEDED, FactType.PAYMENT_CAPTURED)
_MONTH = len("2026-11")


@dataclass(frozen=True, slots=True)
class FeeTotal:
    """The fees of one month and currency. Those of a payment count in the month in which they were charged."""

    month: str
    documents: Money
    """Invoices of the platform's entity less its credit notes. A month that is not closed yet has none."""
    kept: Money
    """What payouts kept, less what was given back; of payments that no payout holds yet, what they report."""

    @property
    def residual(self) -> Money:
        return self.documents - self.kept


@dataclass(slots=True)
class PaidOut:
    """What the payouts say of one payment, by currency in minor units."""

    kept: Counter[str] = field(default_factory=Counter)
    given_back: Counter[str] = field(default_factory=Counter)
    """Of that, what was given back when something was taken back."""
    of_returns: Counter[str] = field(default_factory=Counter)
    """Of that, what was charged when something was taken back."""


class PaidOutLine(NamedTuple):
    """What one line of a payout says of its payment, in minor units."""

    payment: str
    currency: str
    kept: int
    given_back: int
    """Of that, what was given back when something was taken back."""
    of_returns: int
    """Of that, what was charged when something was taken back."""


class PaidOutPayments(Protocol):
    """What the payouts say, payment by payment."""

    def get(self, payment: str, /) -> PaidOut | None: ...


def fee_totals(customer: BusinessCustomer, cases: Iterable[CaseFile], paid_out: PaidOutPayments | None = None) -> list[FeeTotal]:
    """All the fees of a business customer, by month and currency. `cases` are all of its cases, payouts and months included.

    They are gone through once when `paid_out` is given: what `paid_out_lines` says of all of them.
    """
    if paid_out is None:
        cases = list(cases)
        paid_out = _paid_out(cases)
    documents: Counter[tuple[str, str]] = Counter()
    kept: Counter[tuple[str, str]] = Counter()
    for case in cases:
        for _, month, amount in _issued(case):
            documents[month, amount.currency] += amount.value
        if case.provider != FEES_PROVIDER:
            for month, amount in _kept(case, customer, paid_out):
                kept[month, amount.currency] += amount.value
    return [FeeTotal(m, Money(documents[m, c], c), Money(kept[m, c], c)) for m, c in sorted({*documents, *kept})]


def _paid_out(cases: Iterable[CaseFile]) -> dict[str, PaidOut]:
    """Payment -> what all payouts say of it."""
    found: dict[str, PaidOut] = defaultdict(PaidOut)
    for line in (line for case in cases for line in paid_out_lines(case)):
        one = found[line.payment]
        one.kept[line.currency] += line.kept
        if line.given_back or line.of_returns:
            one.given_back[line.currency] += line.given_back
            one.of_returns[line.currency] += line.of_returns
    return found


def paid_out_lines(case: CaseFile) -> Iterator[PaidOutLine]:
    """What the payout of a case says of its payments; nothing if it failed, or is none."""
    failed = {fact.key for fact in case.facts.values() if fact.type is FactType.PAYOUT_FAILED}
    for fact in case.facts.values():
        if fact.type is FactType.PAYOUT_PAID and fact.amount is not None and fact.key not in failed:
            for line in fact.payout_lines:
                is_return = line.net + line.fee <= 0
                given_back, charged = (max(0, -line.fee), max(0, line.fee)) if is_return else (0, 0)
                yield PaidOutLine(line.payment_id, fact.amount.currency, line.fee, given_back, charged)


def _issued(case: CaseFile) -> Iterator[tuple[str, str, Money]]:
    """Payment, month and signed amount of every fee document that was issued."""
    for entry in case.documents.values():
        document = entry.record.document
        if document.issuer != PLATFORM or entry.record.state is not DocumentState.ISSUED:
            continue
        if document.kind is DocumentKind.INVOICE:
            yield document.payment_id, _month_of(case, document), document.amount
        elif document.kind is DocumentKind.CREDIT_NOTE:
            amount = Money(-document.amount.value, document.amount.currency)
            yield document.payment_id, _month_of(case, case.documents[document.refers_to].record.document), amount


def _month_of(case: CaseFile, invoice: Document) -> str:
    return (invoice.payment_id if case.provider == FEES_PROVIDER else invoice.date)[:_MONTH]


def _kept(case: CaseFile, customer: BusinessCustomer, paid_out: PaidOutPayments) -> Iterator[tuple[str, Money]]:
    """What is kept of the payments of a case, each in the months it was charged in and, as far as it was not, in its own."""
    charged: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for payment, month, amount in _issued(case):
        charged[payment, amount.currency][month] += amount.value
    for entry in case.fees.values():
        charged[entry.payment_id, entry.amount.currency][entry.of] += entry.amount.value
    for payment, arrived in _arrivals(case).items():
        if customer.policy_at(arrived.occurred_at).invoices != "sale":
            own = month_of(customer.local_date(arrived.occurred_at))
            for currency, level in _levels(case, payment, paid_out.get(payment)).items():
                months = charged[payment, currency]
                months[max(months, default=own)] += level - sum(months.values())
                yield from ((month, Money(part, currency)) for month, part in months.items())


def _arrivals(case: CaseFile) -> dict[str, Fact]:
    """Payment -> the first fact that says its money arrived."""
    arrived = sorted((fact for fact in case.facts.values() if fact.type in _ARRIVED), key=lambda fact: fact.occurred_at)
    return {fact.payment_id or fact.key: fact for fact in reversed(arrived)}


def _levels(case: CaseFile, payment: str, paid_out: PaidOut | None) -> Counter[str]:
    """What is kept of a payment, by currency: what the payouts say, and what they do not show of refunds and disputes."""
    facts = [fact for fact in case.facts.values() if (fact.payment_id or fact.key) == payment]
    failed = {fact.key for fact in facts if fact.type is FactType.REFUND_FAILED}
    given_back = _sum(f for f in facts if f.type is FactType.REFUND_SUCCEEDED and f.key not in failed)
    of_disputes = _of_disputes(facts)
    if paid_out is None:
        return (_reported(facts) - given_back) + of_disputes
    kept = Counter(paid_out.kept)
    kept.subtract(paid_out.of_returns)
    kept.subtract(given_back - paid_out.given_back)
    return +kept + (of_disputes | paid_out.of_returns)


def _reported(facts: Iterable[Fact]) -> Counter[str]:
    """Each capture has its own fee, and of several reports of one the last total counts."""
    by_type: dict[FactType, dict[str, Counter[str]]] = {kind: defaultdict(Counter) for kind in _ARRIVED}
    for fact in facts:
        if fact.type in _ARRIVED:
            by_type[fact.type][fact.key] |= _sum([fact])
    totals = {kind: sum(fees.values(), Counter()) for kind, fees in by_type.items()}
    return totals[FactType.PAYMENT_CAPTURED] or totals[FactType.PAYMENT_SUCCEEDED]


def _of_disputes(facts: Iterable[Fact]) -> Counter[str]:
    charged: dict[str, Counter[str]] = defaultdict(Counter)
    given_back: dict[str, Counter[str]] = defaultdict(Counter)
    for fact in facts:
        if fact.type in {FactType.DISPUTE_OPENED, FactType.DISPUTE_LOST}:
            charged[fact.key] |= _sum([fact])
        elif fact.type is FactType.DISPUTE_WON:
            given_back[fact.key] |= _sum([fact])
    return sum((fees - given_back[key] for key, fees in charged.items()), Counter())


def _sum(facts: Iterable[Fact]) -> Counter[str]:
    total: Counter[str] = Counter()
    for fact in facts:
        if fact.fee:
            total[fact.fee.currency] += fact.fee.value
    return total
