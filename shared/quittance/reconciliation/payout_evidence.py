"""What a case can show for the lines of a payout that name its payment: money of that amount, and the documents for it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from quittance.documents import DocumentKind, DocumentState
from quittance.facts import Fact, FactType
from quittance.plan import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from quittance.ledger import CaseFile
    from quittance.money import Money
    from quittance.plan import Plan

NOT_REGISTERED = "business_customer_unknown"
PAYMENT_UNKNOWN = "payment_unknown"
AMOUNT_DIFFERS = "amount_differs"
CURRENCY_DIFFERS = "currency_differs"
"""The money was taken in another currency than it was paid out in: the rate is nobody's fact, so nothing can be compared."""
DOCUMENT_MISSING = "document_missing"
PAID_OUT_BEFORE = "paid_out_before"
REFUND_UNKNOWN = "refund_unknown"
DISPUTE_UNKNOWN = "dispute_unknown"
FAILURE_UNKNOWN = "failure_unknown"

_PRINTED = frozenset({DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE})
_REFUNDED = frozenset({FactType.REFUND_SUCCEEDED, FactType.REFUND_FAILED})
_DISPUTED = frozenset({FactType.DISPUTE_OPENED, FactType.DISPUTE_WON, FactType.DISPUTE_LOST})
_OF_ONE_PAYMENT = _REFUNDED | _DISPUTED | {FactType.PAYMENT_SUCCEEDED, FactType.PAYMENT_CAPTURED, FactType.PAYMENT_SETTLED}
_WITHOUT_DOCUMENT = frozenset(
    {"amount_not_representable", "tax_rate_missing", "returned_more_than_paid", "return_currency_differs"}
)
"""Findings of a plan that say that their subject has not got the whole of its documents."""
_CAPTURES_COMBINED = 12
"""Of more captures than this, a payout is expected to hold all, or one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TiedDocument:
    """An issued document behind a line of a payout."""

    id: str
    number: str
    kind: str
    amount: Money
    is_fee: bool = False
    """The platform's own, about what it kept."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a case shows for one line: the documents, and why that does not explain the line; no reason: it does."""

    reason: str = ""
    documents: tuple[TiedDocument, ...] = ()


class Evidence:
    """One case, asked about the lines that name its payments. `planned` is its plan; None while nobody registered the account."""

    def __init__(self, case: CaseFile, planned: Plan | None) -> None:
        self.case = case
        self._facts = tuple(case.facts.values())
        self._planned = planned
        invoices = {one.invoice_id for one in self._facts if one.invoice_id}
        self._named_together = [
            frozenset(name for name in (one.payment_id, *one.also_known_as) if name and name not in invoices)
            for one in self._facts
            if one.type in _OF_ONE_PAYMENT
        ]
        self._missing = frozenset(_missing_subjects(case, planned)) if planned else frozenset()

    # payments

    def of_payment(self, payment_id: str, gross: Money) -> Shown:
        """Of the payment of that id, `gross` was paid out; less than nothing, if money was taken back."""
        names = self._names(payment_id)
        if gross.value < 0:
            return self._of_returns(names, gross)
        arrived = self._arrivals(names)
        renewals = self._renewals(names, arrived)
        subjects = {f"payment:{name}" for name in names} | {f"capture:{one.key}" for one in arrived}
        subjects |= {f"renewal:{one.key}" for one in renewals}
        documents = self._documents(subjects | {f"{fee}:{name}" for name in names for fee in ("fee", "return_fee")})
        if not arrived:
            return Shown(PAYMENT_UNKNOWN, documents)
        reason = _against(gross, arrived) or self._lacking(subjects, (*arrived, *renewals))
        return Shown(reason, documents)

    def paid_out_before(self, payment_id: str, moment: tuple[str, str], keys: Iterable[str]) -> dict[str, int]:
        """Other payouts that held the payment before -> how much of it, in minor units.

        `moment` is when this payout was made, and a key of it; `keys` are all of its keys.
        """
        names, own = self._names(payment_id), frozenset(keys)
        return {
            one.occurrence: gross
            for one in self._facts
            if one.type is FactType.PAYMENT_SETTLED and one.key in names and one.occurrence not in own
            if (one.occurred_at, one.occurrence) < moment
            if (gross := settled_gross(one)) > 0
        }

    def paid(self, payment_id: str) -> int:
        """Everything that arrived under this payment, in minor units."""
        return sum(_increments(self._arrivals(self._names(payment_id))))

    def _names(self, payment_id: str) -> frozenset[str]:
        """Every id of this payment; not those of a billing invoice, which several payments may pay."""
        names = frozenset({payment_id})
        for own in self._named_together * 2:  # a charge may lead to its payment only by way of a refund's report
            if not names.isdisjoint(own):
                names |= own
        return names

    def _arrivals(self, names: frozenset[str]) -> list[Fact]:
        """The facts that say its money arrived; a success and captures never both count."""
        by_type = {
            kind: [one for one in self._facts if one.type is kind and (one.payment_id or one.key) in names and one.amount]
            for kind in (FactType.PAYMENT_CAPTURED, FactType.PAYMENT_SUCCEEDED, FactType.SUBSCRIPTION_RENEWED)
        }
        captured, *reported = by_type.values()
        return captured or next((known[:1] for known in reported if known), [])

    def _renewals(self, names: frozenset[str], arrived: list[Fact]) -> list[Fact]:
        """What the payment renewed."""
        ids = {one.invoice_id for one in arrived if one.invoice_id} | {other for one in arrived for other in one.also_known_as}
        renewed = (one for one in self._facts if one.type is FactType.SUBSCRIPTION_RENEWED)
        return [one for one in renewed if one.payment_id in names or one.key in ids]

    def _of_returns(self, names: frozenset[str], gross: Money) -> Shown:
        """Money taken back that is not named any closer: explained if at least so much is known to have gone back."""
        returned = [
            one
            for one in self._facts
            if one.type in _REFUNDED | _DISPUTED and one.type is not FactType.REFUND_FAILED and one.payment_id in names
        ]
        subjects = {_subject(one) for one in returned}
        largest: dict[str, int] = {}
        for one in returned:
            if one.amount and one.amount.currency == gross.currency:
                largest[one.key] = max(largest.get(one.key, 0), one.amount.value)
        reason = "" if sum(largest.values()) >= -gross.value else REFUND_UNKNOWN
        return Shown(reason or self._lacking(subjects, returned), self._documents(subjects))

    # what took money back, or gave it back again

    def of_refund(self, refund_id: str, payment_id: str, gross: Money) -> Shown:
        """`gross` is less than nothing for a refund, more for one that failed and came back."""
        kind = FactType.REFUND_SUCCEEDED if gross.value < 0 else FactType.REFUND_FAILED
        found = self._named(refund_id, payment_id, frozenset({kind}))
        exact = [one for one in found if not one.running_total]
        names = self._names(payment_id)
        totals = [one for one in self._facts if one.type is kind and one.running_total and one.payment_id in names]
        if not exact and totals:  # reported only in sum: so much at least
            highest = max(totals, key=lambda one: one.amount.value if one.amount else 0)
            is_enough = highest.amount is not None and highest.amount.value >= abs(gross.value)
            return self._shown(REFUND_UNKNOWN if not is_enough else "", [highest])
        return self._shown(_equal(gross, exact) if exact else REFUND_UNKNOWN, exact)

    def of_dispute(self, dispute_id: str, payment_id: str, gross: Money) -> Shown:
        """`gross` is less than nothing for what a dispute took, more for what it gave back."""
        found = self._named(dispute_id, payment_id, _DISPUTED)
        reason = _equal(gross, found) if found else DISPUTE_UNKNOWN
        if gross.value > 0 and found and not any(one.type is FactType.DISPUTE_WON for one in found):
            reason = _part_given_back(gross, found)
        return self._shown(reason, found)

    def of_failure(self, payment_id: str, gross: Money) -> Shown:
        """A payment that failed after it had been paid out."""
        names = self._names(payment_id)
        failed = [one for one in self._facts if one.type is FactType.PAYMENT_FAILED and one.payment_id in names]
        return Shown(_equal(gross, failed) if failed else FAILURE_UNKNOWN)

    def knows_dispute(self, some_id: str) -> bool:
        return any(one.type in _DISPUTED and one.key == some_id for one in self._facts)

    def knows_refund(self, some_id: str) -> bool:
        return any(one.type in _REFUNDED and one.key == some_id for one in self._facts)

    def _named(self, own_id: str, payment_id: str, types: frozenset[FactType]) -> list[Fact]:
        """By its own id; of a provider that names only the payment, all that the payment has."""
        names = self._names(payment_id) if own_id in {"", payment_id} else frozenset()
        return [one for one in self._facts if one.type in types and (one.key == own_id or one.payment_id in names)]

    def _shown(self, reason: str, facts: list[Fact]) -> Shown:
        subjects = {_subject(one) for one in facts}
        return Shown(reason or self._lacking(subjects, facts), self._documents(subjects))

    # documents

    def _lacking(self, subjects: set[str], facts: Iterable[Fact]) -> str:
        """Why the documents are not all there; empty if nothing that the policy calls for is missing."""
        if self._planned is None:
            return NOT_REGISTERED
        waiting = {waits.fact for waits in self._planned.waiting}
        is_undecided = bool(self._planned.checks) and not self._documents(subjects)
        if is_undecided or subjects & self._missing or any(one.identity in waiting for one in facts):
            return DOCUMENT_MISSING
        return ""

    def _documents(self, subjects: Iterable[str]) -> tuple[TiedDocument, ...]:
        wanted = frozenset(subjects)
        return tuple(
            TiedDocument(
                id=record.api_id,
                number=record.printed_number,
                kind=str(record.document.kind),
                amount=record.document.amount,
                is_fee=record.document.issuer == PLATFORM,
            )
            for record in (entry.record for entry in self.case.documents.values())
            if record.document.kind in _PRINTED and record.document.subject in wanted
            if record.state is DocumentState.ISSUED and not record.is_gone
        )


def _missing_subjects(case: CaseFile, planned: Plan) -> Iterator[str]:
    """What has not got all of the documents that its policy calls for. The platform's fee documents are another matter."""
    for document in planned.documents:
        if document.kind in _PRINTED and document.issuer != PLATFORM:
            yield document.subject
    for entry in case.documents.values():
        record, document = entry.record, entry.record.document
        is_there = record.state is DocumentState.ISSUED and not record.is_gone
        if document.kind in _PRINTED and document.issuer != PLATFORM and not is_there and not case.is_removed(document):
            yield document.subject
    yield from (finding.subject for finding in planned.findings if finding.code in _WITHOUT_DOCUMENT)


def _subject(fact: Fact) -> str:
    return f"{fact.type.partition('.')[0]}:{fact.key}"


# --- amounts -------------------------------------------------------------------------------------------------------------


def settled_gross(settled: Fact) -> int:
    """What a payout's line was before the platform's fee. The amount of a settlement is the net one."""
    return (settled.amount.value if settled.amount else 0) + (settled.fee.value if settled.fee else 0)


def _against(gross: Money, arrived: list[Fact]) -> str:
    """Whether all of the money, or some of its captures, come to just this amount. Nothing is only a fee, and always fits."""
    if any(one.amount and one.amount.currency != gross.currency for one in arrived):
        return CURRENCY_DIFFERS
    return "" if gross.value in _possible(_increments(arrived)) else AMOUNT_DIFFERS


def _increments(arrived: list[Fact]) -> list[int]:
    """What each report added. A running total adds what its predecessors do not hold."""
    added = [one.amount.value for one in arrived if one.amount and not one.running_total]
    running: dict[str, list[int]] = {}
    for one in arrived:
        if one.amount and one.running_total:
            running.setdefault(one.key, [0]).append(one.amount.value)
    for levels in running.values():
        in_order = sorted(levels)
        added += [after - before for before, after in pairwise(in_order)]
    return added


def _possible(increments: list[int]) -> set[int]:
    if len(increments) > _CAPTURES_COMBINED:
        return {0, sum(increments), *increments}
    sums = {0}
    for amount in increments:
        sums |= {known + amount for known in sums}
    return sums


def _equal(gross: Money, facts: list[Fact]) -> str:
    """Whether one of these reports is of just this amount, whatever its sign in the payout."""
    amounts = [one.amount for one in facts if one.amount]
    if amounts and all(amount.currency != gross.currency for amount in amounts):
        return CURRENCY_DIFFERS
    return "" if any(amount.value == abs(gross.value) for amount in amounts) else AMOUNT_DIFFERS


def _part_given_back(gross: Money, reports: list[Fact]) -> str:
    """A dispute that was lost for a part: what it took at first less what stays lost came back."""
    lost = [one.amount.value for one in reports if one.amount and one.type is FactType.DISPUTE_LOST]
    opened = [one.amount.value for one in reports if one.amount and one.type is FactType.DISPUTE_OPENED]
    return "" if any(first - last == gross.value for first in opened for last in lost) else DISPUTE_UNKNOWN
