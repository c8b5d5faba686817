"""One payment: its plan and its recorded documents against what the invoicing API holds. Pure.

Documents are compared one by one, so two errors that cancel each other out are two findings. Totals are only added up.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from quittance.documents import DocumentKind, DocumentState
from quittance.facts import FactType
from quittance.money import DOCUMENT_DECIMALS, Money
from quittance.plan import PLATFORM, plan
from quittance.reconciliation.books import DECIMALS, PRINTED, money_of, whole
from quittance.reconciliation.finding_classes import finding_class
from quittance.reconciliation.results import Found
from quittance.tax import totals_by_tax

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quittance.customers import BusinessCustomer
    from quittance.documents import Document
    from quittance.facts import Fact
    from quittance.ledger import CaseFile, DocumentEntry
    from quittance.plan import Plan
    from quittance.reconciliation.books import HeldDocument
    from quittance.storage import Item

NOBODY = ""
"""Business customer of a payment whose owner is not registered."""
_ARRIVED = (FactType.PAYMENT_SUCCEEDED, FactType.PAYMENT_CAPTURED)
_RETURNS = {"refund": "refund_without_credit_note", "dispute": "dispute_without_credit_note"}
_SEEN_OF_DOCUMENTS = frozenset(
    {"document_deleted", "document_voided", "document_edited", "document_paid_by_hand", "payment_removed_by_hand"}
)
"""What the ledger heard of a change by hand. Where the comparison shows the change itself, it is not told twice."""
_NET_FACTOR = int(10 ** (DECIMALS - DOCUMENT_DECIMALS))


@dataclass(slots=True)
class Compared:
    """What one payment came to."""

    plan: Plan | None = None
    """None while nobody has registered the payment's account."""
    found: list[Found] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    """Ids of the API's documents that the ledger explains."""
    documents: Counter[str] = field(default_factory=Counter)
    """Business customer whose entity issues them -> how many were compared."""
    planned: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Business customer and currency -> what the documents come to by the ledger, in minor units."""
    amounts: dict[str, Money] = field(default_factory=dict)
    """Id of each document that counts -> what it adds to that."""

    @property
    def has_differences(self) -> bool:
        return any(finding_class(one.code).is_difference for one in self.found)


def compare(
    case: CaseFile,
    customer: BusinessCustomer | None,
    platform: BusinessCustomer | None,
    held: Mapping[str, HeldDocument],
    listed_at: Mapping[str, int],
) -> Compared:
    """Everything about one payment. `held` has, by id, at least those of its documents that the API holds.

    `listed_at` says of each entity when the listing of its documents began, in seconds since 1970: a document that was issued
    after that and is not in `held` is not judged. `customer` is None while the payment's owner is not registered.
    """
    if customer is None:
        return _without_owner(case)
    return _Comparison(case, customer, platform, held, listed_at).compared()


def _without_owner(case: CaseFile) -> Compared:
    since = min(case.recorded_at.values(), default=0)
    found = _found(case, "waiting_too_long", NOBODY, document="owner", since=since, detail="business customer registered")
    return Compared(found=[found], waiting=["waits for business customer registered"])


def _found(  # noqa: PLR0913 - the fields of a finding
    case: CaseFile,
    code: str,
    business_customer: str,
    *,
    since: int,
    detail: str = "",
    document: str = "",
    number: str = "",
    amount: Money | None = None,
    payment_id: str = "",
) -> Found:
    known = finding_class(code)
    return Found(
        code=code,
        severity=known.severity,
        business_customer=business_customer,
        provider=case.provider,
        account=case.account,
        payment_id=payment_id if payment_id in case.members else case.id,
        document=document,
        number=number,
        amount=amount,
        detail=detail,
        since=since,
        repair=known.repair,
    )


class _Comparison:
    def __init__(
        self,
        case: CaseFile,
        customer: BusinessCustomer,
        platform: BusinessCustomer | None,
        held: Mapping[str, HeldDocument],
        listed_at: Mapping[str, int],
    ) -> None:
        self.case = case
        self.customer = customer
        self.platform = platform
        self.held = held
        self.listed_at = listed_at
        self.result = Compared()

    def compared(self) -> Compared:
        planned = plan(self.case.as_case(), self.customer, self.platform if self.customer.is_charged_fees else None)
        self.result.plan = planned
        for entry in self.case.documents.values():
            self._document(entry)
        self._settled()
        self._missing(planned)
        self._waiting(planned)
        self._standing(planned)
        return self.result

    # what is recorded

    def _document(self, entry: DocumentEntry) -> None:
        record, document = entry.record, entry.record.document
        issuer = self._issuer(document)
        if document.kind not in PRINTED:
            if record.state is DocumentState.INTENDED:
                self._find("document_intended", document, since=entry.intended_at)
            return
        if issuer is None or self.case.is_removed(document):
            return
        self.result.documents[issuer.id] += 1
        if record.state is DocumentState.INTENDED:
            self._find("document_intended", document, since=entry.intended_at)
        elif record.state is DocumentState.ISSUED:
            self._issued(entry, issuer)

    def _issuer(self, document: Document) -> BusinessCustomer | None:
        return self.platform if document.issuer == PLATFORM else self.customer

    def _issued(self, entry: DocumentEntry, issuer: BusinessCustomer) -> None:
        record, document = entry.record, entry.record.document
        one = self.held.get(record.api_id)
        is_draft = self.case.is_draft(record)
        if one is None and entry.issued_at >= self.listed_at.get(issuer.entity_id or "", 0):
            return  # issued since the listing: the next run sees it
        if not is_draft:
            sign = -1 if document.kind is DocumentKind.CREDIT_NOTE else 1
            self.result.amounts[record.api_id] = Money(sign * document.amount.value, document.amount.currency)
            self.result.planned[issuer.id, document.amount.currency] += sign * document.amount.value
        if one is None or one.is_deleted:
            detail = f"{document.key}, deleted" if one else document.key
            self._differs("document_missing", entry, document.amount, detail)
            return
        self.result.seen.append(one.id)
        self._fields(entry, one, is_draft=is_draft)

    def _fields(self, entry: DocumentEntry, one: HeldDocument, *, is_draft: bool) -> None:
        record, document = entry.record, entry.record.document
        amount, number = document.amount, record.printed_number
        if one.is_voided:
            self._differs("voided_by_hand", entry, amount, "voided")
            return
        if one.currency != amount.currency:
            self._differs("currency_code_differs", entry, amount, f"planned {amount.currency}, held {one.currency}")
            return
        if one.total != whole(amount):
            self._amount_differs("total_with_tax_differs", entry, one.total, whole(amount))
        elif one.net is not None and not record.error and (net := _net(document)) not in {None, one.net}:
            self._amount_differs("tax_amount_differs", entry, one.total - one.net, one.total - (net or 0))
        if one.number != number:
            self._differs("number_differs", entry, None, f"planned {number or 'none'}, held {one.number or 'none'}")
        if one.is_draft != is_draft:
            self._differs("is_draft_differs", entry, None, f"planned {is_draft}, held {one.is_draft}")
        paid = whole(self.case.recorded_on(document))
        if one.paid != paid:
            is_failed = one.paid > paid and self._has_failed(document)
            self._amount_differs("paid_though_failed" if is_failed else "total_paid_differs", entry, one.paid, paid)

    def _has_failed(self, document: Document) -> bool:
        """Whether a record of money was taken off the document because its payment failed."""
        entries = (entry.record.document for entry in self.case.documents.values())
        return any(one.kind is DocumentKind.PAYMENT_REMOVAL and one.refers_to == document.key for one in entries)

    def _amount_differs(self, code: str, entry: DocumentEntry, held: int, planned: int) -> None:
        currency = entry.record.document.amount.currency
        shown = f"planned {money_of(planned, currency).decimal}, held {money_of(held, currency).decimal}"
        self._differs(code, entry, money_of(held - planned, currency), shown)

    def _differs(self, code: str, entry: DocumentEntry, amount: Money | None, detail: str) -> None:
        record = entry.record
        self._find(
            code,
            record.document,
            since=entry.issued_at,
            api_id=record.api_id,
            number=record.printed_number,
            amount=amount,
            detail=detail,
        )

    def _find(  # noqa: PLR0913 - the fields of a finding
        self,
        code: str,
        document: Document,
        *,
        since: int,
        api_id: str = "",
        number: str = "",
        amount: Money | None = None,
        detail: str = "",
    ) -> None:
        issuer = self._issuer(document) or self.customer
        self.result.found.append(
            _found(
                self.case,
                code,
                issuer.id,
                since=since,
                detail=detail or document.reason,
                document=api_id or document.key,
                number=number,
                amount=amount or document.amount,
                payment_id=document.payment_id,
            )
        )

    # what money says

    def _settled(self) -> None:
        """Money that a payout holds, and that no document says was received."""
        for settled in self.case.facts.values():
            if settled.type is FactType.PAYMENT_SETTLED and _gross(settled) > 0 and not self._has_failed_since(settled):
                self._unpaid(settled)

    def _has_failed_since(self, settled: Fact) -> bool:
        """Whether the payment failed after it had succeeded: payouts may hold it all the same, and take it back later."""
        facts = self.case.facts.values()
        arrived = min((fact.occurred_at for fact in facts if fact.type in _ARRIVED), default=settled.occurred_at)
        return any(fact.type is FactType.PAYMENT_FAILED and fact.latest_at > arrived for fact in facts)

    def _unpaid(self, settled: Fact) -> None:
        sales = [entry for entry in self.case.documents.values() if _is_sale(entry.record.document)]
        paid_by = [entry for entry in sales if entry.record.document.payment_id == settled.payment_id]
        unpaid = [entry for entry in paid_by or sales if self._shows_nothing_paid(entry)]
        for entry in unpaid:
            told = (entry.record.api_id, "total_paid_differs")  # the same thing in fewer words
            self.result.found = [one for one in self.result.found if (one.document, one.code) != told]
            self._differs("unpaid_though_settled", entry, entry.record.document.amount, f"settled by {settled.occurrence}")
        if not sales and not self._is_explained(settled):
            since = self.case.recorded_at.get(settled.identity, 0)
            self.result.found.append(
                _found(
                    self.case,
                    "settled_unreported",
                    self.customer.id,
                    since=since,
                    document=settled.identity,
                    amount=settled.amount,
                    detail=f"settled by {settled.occurrence}, success never reported",
                )
            )

    def _shows_nothing_paid(self, entry: DocumentEntry) -> bool:
        one = self.held.get(entry.record.api_id)
        return one is not None and one.is_counted and one.total > 0 and one.paid == 0

    def _is_explained(self, settled: Fact) -> bool:
        """Whether there is a report that the money came, so that the plan judges it, or no sale to be invoiced."""
        facts = self.case.facts.values()
        has_arrived = any(one.type in _ARRIVED or (one.type is FactType.SUBSCRIPTION_RENEWED) for one in facts)
        return has_arrived or self.customer.policy_at(settled.occurred_at).invoices == "fee"

    # what the plan says

    def _missing(self, planned: Plan) -> None:
        for document in planned.documents:
            self._find(_code_of_missing(document), document, since=self.case.recorded_at.get(document.fact, 0))
        for fee in planned.fees:
            self.result.found.append(
                _found(
                    self.case,
                    "not_issued",
                    self.customer.id,
                    since=max(self.case.recorded_at.values(), default=0),
                    document=fee.key,
                    amount=fee.amount,
                    detail="fee to be noted for its month",
                )
            )

    def _waiting(self, planned: Plan) -> None:
        waits = [(one.fact, one.awaited) for one in planned.waiting]
        waits += [("", f"tax number checked in {one.country}") for one in planned.checks]
        for identity, awaited in waits:
            self.result.waiting.append(f"{identity} waits for {awaited}")
            fact = self.case.facts.get(identity)
            since = self.case.recorded_at.get(identity, 0) or max(self.case.recorded_at.values(), default=0)
            self.result.found.append(
                _found(
                    self.case,
                    "waiting_too_long",
                    self.customer.id,
                    since=since,
                    document=identity,
                    amount=fact.amount if fact else None,
                    detail=f"waits for {awaited}",
                )
            )

    def _standing(self, planned: Plan) -> None:
        """What the ledger keeps as a finding itself."""
        if not planned.findings and not self.case.findings:
            return
        told = {entry.record.document.key for entry in self.case.documents.values() if self._is_found(entry)}
        for finding in planned.findings:
            if finding.code not in _SEEN_OF_DOCUMENTS or finding.subject not in told:
                known = self.case.findings.get(f"{finding.code}#{finding.subject}", {})
                self._stands(finding.code, finding.subject, finding.amount, known.get("opened_at", 0))
        for item in self.case.findings.values():
            if not item.get("planned") and not item.get("resolved_at"):
                self._stands(item["code"], item["subject"], _amount_of(item), item["opened_at"])

    def _is_found(self, entry: DocumentEntry) -> bool:
        return any(one.document == entry.record.api_id for one in self.result.found)

    def _stands(self, code: str, subject: str, amount: Money | None, opened_at: int) -> None:
        self.result.found.append(
            _found(self.case, code, self.customer.id, since=opened_at, document=subject, amount=amount, detail=subject)
        )


def _net(document: Document) -> int | None:
    """What the lines come to without tax; None where the document has none to tell from."""
    if not document.lines:
        return None
    if not any(line.tax for line in document.lines):
        return whole(document.amount)
    return _NET_FACTOR * sum(total.net for total in totals_by_tax(document).values())


def _gross(settled: Fact) -> int:
    return (settled.amount.value if settled.amount else 0) + (settled.fee.value if settled.fee else 0)


def _is_sale(document: Document) -> bool:
    return document.kind is DocumentKind.INVOICE and not document.refers_to and not document.issuer


def _code_of_missing(document: Document) -> str:
    if document.kind is DocumentKind.CREDIT_NOTE:
        return _RETURNS.get(document.subject.partition(":")[0], "not_issued")
    if document.kind is DocumentKind.PAYMENT_REMOVAL:
        return "paid_though_failed"
    return "payment_without_invoice" if _is_sale(document) else "not_issued"


def _amount_of(item: Item) -> Money | None:
    amount = item.get("amount")
    return Money(**amount) if amount else None
