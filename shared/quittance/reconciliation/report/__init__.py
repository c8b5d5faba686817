"""The report of a reconciliation: a page for people, sheets for finance, a record for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.reconciliation.report.page import page
from quittance.reconciliation.report.sheets import (
    FINDING_COLUMNS,
    PAYOUT_COLUMNS,
    Record,
    Sheet,
    customers,
    finding_row,
    payout_row,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from quittance.reconciliation.results import Found, PayoutLine, Reconciliation
    from quittance.reconciliation.tally import Tally

_CSV = "text/csv; charset=utf-8"


def rendered(
    reconciliation: Reconciliation, found: Iterable[Found], payouts: Iterable[PayoutLine], tally: Tally
) -> Iterator[tuple[str, str, bytes]]:
    """The files of a report: name, content type, content. Each finding and each payout is counted in `tally`, a new one.

    Both are gone through once; of them no more is kept in memory than the bytes of the files. The page shows the first few
    hundred, the sheets and the record hold all.
    """
    findings, paid_out, record = Sheet(FINDING_COLUMNS), Sheet(PAYOUT_COLUMNS), Record(reconciliation)
    record.begin("payouts")
    for payout in payouts:
        tally.add_payout(payout)
        paid_out.add(*payout_row(payout))
        record.add(payout)
    record.begin("found")
    for one in found:
        tally.add(one)
        findings.add(*finding_row(one))
        record.add(one)
    yield "index.html", "text/html; charset=utf-8", page(reconciliation, tally).encode()
    yield "findings.csv", _CSV, findings.content()
    yield "customers.csv", _CSV, customers(reconciliation)
    yield "payouts.csv", _CSV, paid_out.content()
    yield "reconciliation.json", "application/json", record.content()
