"""Payments and documents as operators look them up: by what is known of them, without searching the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from quittance.acknowledgements import NOTHING_ACKNOWLEDGED, acknowledgements
from quittance.documents import RecordedDocument
from quittance.errors import Reject
from quittance.explanation import explain_case
from quittance.ledger import HEAD, WAITING, CaseFile, Ledger, case_names, case_pk
from quittance.plan import Plan, plan
from quittance.registration import CustomerDirectory, read_customer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from quittance.customers import BusinessCustomer
    from quittance.storage import Keys, Page, PagedTable

_CASE = "CASE#"


class PaymentName(NamedTuple):
    """What names a payment exactly."""

    provider: str
    account: str
    payment_id: str


class Payments:
    """Reads payments. Every method may raise `Retry`."""

    def __init__(self, ledger: Ledger, pages: PagedTable, customers: CustomerDirectory) -> None:
        self._ledger = ledger
        self._pages = pages
        self._customers = customers

    def explained(self, some_id: str, *, account: tuple[str, str] | None, business_customer: str | None) -> list[dict[str, Any]]:
        """Everything about the payments that an id leads to; see `explain_case`.

        The id of a payment leads there with its provider and account, or with its business customer; that of an event or of a
        document by itself. Raises `Reject` with `payment_unknown`.
        """
        if account:
            cases: Iterable[CaseFile] = (self._case(*account, some_id),)
        elif business_customer:
            cases = (self._case(*one, some_id) for one in self._accounts(business_customer))
        else:
            cases = self._found(some_id)
        explanations = [self._explained(case) for case in cases if case.facts]
        if not explanations:
            raise Reject("payment_unknown")
        return explanations

    def waiting(self, after: Keys | None, limit: int) -> Page:
        """The heads of payments in which something waits."""
        return self._pages.page(WAITING, after, limit)

    def document(self, document_id: str) -> tuple[CaseFile, RecordedDocument, BusinessCustomer]:
        """The payment, the document and who issued it, by the id that the invoicing API gave it.

        Raises `Reject` with `document_unknown`.
        """
        for case in self._found(document_id):
            for entry in case.documents.values():
                if entry.record.api_id == document_id and (issuer := self._issuer(case, entry.record)):
                    return case, entry.record, issuer
        raise Reject("document_unknown")

    def require_known(self, payments: Iterable[PaymentName]) -> None:
        """Raises `Reject` with `payment_unknown` and the name of the first payment that the ledger does not hold."""
        for name in payments:
            if self._ledger.table.read(case_pk(*name), HEAD) is None:
                raise Reject("payment_unknown", f"{name.provider} {name.account} {name.payment_id}")

    def owner_of(self, case_pk: str) -> str:
        """The business customer of a case; empty while none is registered."""
        provider, account, _ = case_names(case_pk)
        head = self._ledger.table.read(case_pk, HEAD) or {}
        return head.get("business_customer") or self._ledger.owner(provider, account) or ""

    def _issuer(self, case: CaseFile, record: RecordedDocument) -> BusinessCustomer | None:
        return self._customers.platform() if record.document.issuer else self._customers.owner_of(case)

    def _case(self, provider: str, account: str, case_id: str) -> CaseFile:
        return self._ledger.open(provider, account, (case_id,), join=False)

    def _accounts(self, business_customer: str) -> Iterator[tuple[str, str]]:
        yield "platform", business_customer
        customer = read_customer(self._ledger.table, business_customer)
        yield from ((one.provider, one.account) for one in customer.accounts) if customer else ()

    def _found(self, reference: str) -> Iterator[CaseFile]:
        pks = (item["pk"] for item in self._ledger.table.find(reference))
        for pk in dict.fromkeys(pk for pk in pks if pk.startswith(_CASE)):
            yield self._case(*case_names(pk))

    def _explained(self, case: CaseFile) -> dict[str, Any]:
        customer = self._customers.owner_of(case)
        platform = self._customers.platform() if customer and customer.is_charged_fees else None
        planned = plan(case.as_case(), customer, platform) if customer else Plan()
        known = acknowledgements(self._ledger.table) if case.findings else NOTHING_ACKNOWLEDGED
        return explain_case(case, customer, planned, self._ledger.reports(case), acknowledged=known)
