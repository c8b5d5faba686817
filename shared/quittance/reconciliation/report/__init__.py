"""The report of a reconciliation: a page for people, sheets for finance, a record for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.reconciliation.report.page import page
from quittance.reconciliation.report.sheets import FINDING_COLUMNS, Record, Sheet, customers, finding_row, payouts
from quittance.reconciliation.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from quittance.reconciliation.results import Found, Reconciliation

_CSV = "text/csv; charset=utf-8"


def rendered(reconciliation: Reconciliation, found: Iterable[Found]) -> Iterator[tuple[str, str, bytes]]:
    """The files of a report: name, content type, content. Pure.

    `found` is gone through once, and stands for `reconciliation.found`. The page shows the first few hundred findings, the sheets
    and the record hold all of them.
    """
    tally = Tally(reconciliation.finished_at)
    findings, record = Sheet(FINDING_COLUMNS), Record(reconciliation)
    for one in found:
        tally.add(one)
        findings.add(*finding_row(one))
        record.add(one)
    yield "index.html", "text/html; charset=utf-8", page(reconciliation, tally).encode()
    yield "findings.csv", _CSV, findings.content()
    yield "customers.csv", _CSV, customers(reconciliation)
    yield "payouts.csv", _CSV, payouts(reconciliation)
    yield "reconciliation.json", "application/json", record.content()
