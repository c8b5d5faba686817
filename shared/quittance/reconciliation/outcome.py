"""What a run came to, out of its workbook."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from quittance.documents import DocumentKind
from quittance.reconciliation.books import minor_units, signed_total
from quittance.reconciliation.finding_classes import finding_class
from quittance.reconciliation.results import CustomerResult, Reconciliation, Totals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from quittance.reconciliation.workbook import Workbook

PLANNED = "planned "
"""How the name of a figure begins that adds up what the ledger's documents come to, before its currency."""


def reconciliation_of(workbook: Workbook) -> Reconciliation:
    """The figures of a run, finished or not."""
    started_at = workbook.state("started_at")
    return Reconciliation(
        id=run_id(started_at),
        started_at=started_at,
        finished_at=workbook.state("finished_at", 0),
        customers=tuple(_customer_results(workbook)),
    )


def _customer_results(workbook: Workbook) -> Iterator[CustomerResult]:
    figures, found = workbook.figures(), workbook.found_by_code()
    entities = {entity.business_customer: entity.id for entity in workbook.entities()}
    totals = _totals(workbook, figures, {entity: customer for customer, entity in entities.items()})
    for name in sorted({*entities, *figures, *found}):
        own = figures.get(name, {})
        yield CustomerResult(
            business_customer=name,
            entity_id=entities.get(name, ""),
            payments=own.get("payments", 0),
            documents=own.get("documents", 0),
            waiting=own.get("waiting", 0),
            totals=tuple(totals[key] for key in sorted(totals) if key[0] == name),
            found_by_code=found.get(name, {}),
            differences=sum(number for code, number in found.get(name, {}).items() if finding_class(code).is_difference),
        )


def _totals(
    workbook: Workbook, figures: Mapping[str, Mapping[str, int]], owners: Mapping[str, str]
) -> dict[tuple[str, str], Totals]:
    totals = {
        (customer, name.removeprefix(PLANNED)): Totals(currency=name.removeprefix(PLANNED), planned=value)
        for customer, values in figures.items()
        for name, value in values.items()
        if name.startswith(PLANNED)
    }
    for entity, currency, kind, documents, total, tax in workbook.turnover():
        key = owners[entity], currency
        before = totals.get(key, Totals(currency=currency))
        amount, included = minor_units(total, currency), minor_units(tax, currency)
        if kind == DocumentKind.CREDIT_NOTE:
            totals[key] = replace(before, credit_notes=documents, credited=amount, tax=before.tax - included)
        else:
            totals[key] = replace(before, invoices=documents, invoiced=amount, tax=before.tax + included)
    for key, amount in _acknowledged(workbook).items():
        totals[key] = replace(totals.get(key, Totals(currency=key[1])), acknowledged=amount)
    return totals


def _acknowledged(workbook: Workbook) -> Counter[tuple[str, str]]:
    """Business customer and currency -> what is held of the documents that were acknowledged less what is planned of them."""
    accepted = workbook.accepted_documents()
    held = workbook.held(accepted)
    amounts: Counter[tuple[str, str]] = Counter()
    for document, customer in accepted.items():
        if (one := held.get(document)) and one.is_counted:
            amounts[customer, one.currency] += signed_total(one)
        if planned := workbook.planned(document):
            amounts[customer, planned.currency] -= planned.value
    return amounts


def run_id(started_at: int) -> str:
    """The name of the run that began then."""
    return datetime.fromtimestamp(started_at, UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
