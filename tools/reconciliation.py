"""Reconciling a whole stack from outside: its ledger against the invoicing API, one business customer after the other."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from quittance.documents import DocumentKind
from quittance.mapping import COLLECTIONS
from quittance.reconcile import Reconciliation, compare
from quittance.registration import read_customer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from quittance.ledger import CaseFile
    from quittance.space_invoices import SpaceInvoices
    from tools.ledger_view import LedgerView


def reconciled(view: LedgerView, documents_of: Callable[[str], Iterable[dict[str, Any]]]) -> list[Reconciliation]:
    """Every business customer that has an entity, compared, in the order of their ids.

    `documents_of` gives the documents an entity holds, as `held` does.
    """
    cases: dict[str, list[CaseFile]] = defaultdict(list)
    for case in view.cases():
        if customer := view.customer_of(case):
            cases[customer.id].append(case)
    platform = view.platform()
    results = []
    for customer_id, entity_id in sorted(view.entities().items()):
        if customer := read_customer(view.table, customer_id):
            is_platform = platform is not None and platform.id == customer_id
            charged = [case for own in cases.values() for case in own] if is_platform else []
            documents = documents_of(entity_id)
            results.append(compare(customer, cases[customer_id], documents, platform=platform, charged=charged))
    return results


def held(api: SpaceInvoices, entity_id: str) -> Iterator[dict[str, Any]]:
    """Every invoice and credit note of an entity, each with its `kind`."""
    for kind in (DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE):
        for document in api.pages(COLLECTIONS[kind], entity_id=entity_id):
            yield document | {"kind": kind}


def unfinished(view: LedgerView) -> list[CaseFile]:
    """The payments that have a document to be issued, or one whose outcome is not recorded."""
    cases = []
    for case in view.cases():
        customer = view.customer_of(case)
        if customer and (case.pending() or view.planned(case, customer).documents):
            cases.append(case)
    return cases
