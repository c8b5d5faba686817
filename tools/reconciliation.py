"""Reconciling a whole stack from outside: the product's own run, with its workbook in a temporary folder."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from quittance.documents import DocumentKind
from quittance.ledger import Ledger
from quittance.mapping import COLLECTIONS
from quittance.reconciliation.books import major
from quittance.reconciliation.comparison import NOBODY
from quittance.reconciliation.finding_classes import finding_class
from quittance.reconciliation.pace import Pace
from quittance.reconciliation.run import Run, Scope
from quittance.reconciliation.workbook import Workbook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quittance.fee_totals import FeeTotal
    from quittance.ledger import CaseFile
    from quittance.reconciliation.results import CustomerResult, Found, Reconciliation
    from quittance.reconciliation.run import Progress
    from quittance.space_invoices import SpaceInvoices
    from tools.ledger_view import LedgerView
    from tools.target import Target


@dataclass(frozen=True, slots=True)
class CustomerBooks:
    """One business customer, compared. `residual` is zero for every currency exactly when the totals agree as well."""

    business_customer: str
    documents_checked: int
    agrees: bool
    differences: tuple[Found, ...]
    standing: tuple[Found, ...]
    """What the ledger keeps as findings itself, though ledger and API agree."""
    acknowledged: tuple[Found, ...]
    """What of both is known to somebody who said that it needs nothing more."""
    waiting: tuple[str, ...]
    invoiced: dict[str, Decimal]
    """Currency -> what the API's invoices less its credit notes add up to."""
    residual: dict[str, Decimal]
    """Currency -> that less what the ledger's documents add up to."""
    fees: tuple[FeeTotal, ...]
    """Of each month and currency, the platform's fee documents against what payouts kept."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that is finished, as long as its workbook exists."""

    result: Reconciliation
    workbook: Workbook

    def books(self) -> Iterator[CustomerBooks]:
        """Every business customer that has an entity, or anything that was found, in the order of their ids."""
        for customer in self.result.customers:
            if customer.business_customer != NOBODY or customer.found_by_code:
                yield self._books(customer)

    def found(self) -> Iterator[Found]:
        """Everything that was found, also what is too young to count."""
        yield from self.workbook.found()
        yield from self.workbook.found(counts=False)

    def _books(self, customer: CustomerResult) -> CustomerBooks:
        all_found = list(self.workbook.found(customer.business_customer))
        found = [one for one in all_found if not one.acknowledged]
        return CustomerBooks(
            business_customer=customer.business_customer,
            documents_checked=customer.documents,
            agrees=customer.agrees,
            differences=tuple(one for one in found if finding_class(one.code).is_difference),
            standing=tuple(one for one in found if not finding_class(one.code).is_difference),
            acknowledged=tuple(one for one in all_found if one.acknowledged),
            waiting=tuple(self.workbook.waiting(customer.business_customer)),
            invoiced={one.currency: major(one.invoiced - one.credited, one.currency) for one in customer.totals},
            residual={one.currency: major(one.residual, one.currency) for one in customer.totals},
            fees=tuple(self.workbook.fees(customer.business_customer)),
        )


def _nobody_told(step: str, done: int) -> None:
    pass


@contextmanager
def reconciliation(target: Target, scope: Scope, progress: Progress = _nobody_told) -> Iterator[Finished]:
    """The stack, reconciled now. What was found counts at once, and is kept in the ledger's table if the scope says so."""
    view = target.ledger
    with TemporaryDirectory(prefix="quittance-") as folder:
        workbook = Workbook(Path(folder) / "workbook.sqlite3")
        try:
            run = Run(
                ledger=Ledger(view.table),
                scan=view.scan,
                api=target.space_invoices,
                workbook=workbook,
                now=lambda: int(time.time()),
                pace=Pace(target.requests_a_minute),
                scope=scope,
                progress=progress,
            )
            run.work()
            yield Finished(run.result(), workbook)
        finally:
            workbook.close()


def reconciled(target: Target) -> list[CustomerBooks]:
    """Every business customer, compared; nothing is kept of it."""
    with reconciliation(target, Scope(counts_at_once=True, keeps=False)) as finished:
        return list(finished.books())


def held(api: SpaceInvoices, entity_id: str) -> Iterator[dict[str, Any]]:
    """Every invoice and credit note of an entity, each with its `kind`."""
    for kind in (DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE):
        for document in api.pages(COLLECTIONS[kind], entity_id=entity_id):
            yield document | {"kind": kind}


def unfinished(view: LedgerView) -> list[CaseFile]:
    """The payments that have a document to be issued, or one whose outcome is not recorded."""
    return [case for case in view.cases() if _is_unfinished(view, case)]


def _is_unfinished(view: LedgerView, case: CaseFile) -> bool:
    customer = view.customer_of(case)
    return customer is not None and bool(case.pending() or view.planned(case, customer).documents)
