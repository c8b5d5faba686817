"""The payouts of a ledger, each tied out to the documents behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.ledger import Ledger
from quittance.plan import Plan, plan
from quittance.reconciliation.payout_marks import Mark, Marks, is_payout, marks_in, tie_out_marked
from quittance.reconciliation.payouts import tie_out
from quittance.registration import CustomerDirectory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from quittance.facts import Fact
    from quittance.ledger import CaseFile
    from quittance.reconciliation.payouts import TieOut
    from quittance.storage import Table


class Payouts:
    """Ties payouts out by what a ledger holds. Business customers are read once."""

    def __init__(self, table: Table) -> None:
        self._ledger = Ledger(table)
        self._customers = CustomerDirectory(self._ledger, lambda: 0)

    def tied(self, payout: CaseFile) -> TieOut:
        """One payout, line by line. Raises `ValueError` for the case of something else."""
        return tie_out(payout.facts.values(), self._owner(payout), self._look)

    def all_of(self, cases: Iterable[CaseFile], progress: Callable[[int], None] = lambda _: None) -> Iterator[TieOut]:
        """Every payout among the cases of a ledger, payments summed up, after one pass over all of them.

        `progress` is told after each case how many there were.
        """
        marks: dict[tuple[str, str, str], Marks] = {}
        payouts = []
        for number, case in enumerate(cases, 1):
            for mark in marks_in(case, self._planned(case)):
                marks.setdefault(_of(mark), Marks()).add(mark)
            if is_payout(case):
                payouts.append(case)
            progress(number)

        def marks_of(share: Fact) -> Marks:
            return marks.get((share.provider, share.account, share.key), Marks())

        for payout in payouts:
            yield tie_out_marked(payout.facts.values(), self._owner(payout), marks_of, self._look)

    def _owner(self, payout: CaseFile) -> str:
        customer = self._customers.owner_of(payout)
        return customer.id if customer else ""

    def _look(self, provider: str, account: str, some_id: str) -> tuple[CaseFile, Plan | None]:
        case = self._ledger.open(provider, account, (some_id,), join=False)
        return case, self._planned(case)

    def _planned(self, case: CaseFile) -> Plan | None:
        customer = self._customers.owner_of(case)
        if customer is None:
            return None
        return plan(case.as_case(), customer, self._customers.platform() if customer.is_charged_fees else None)


def _of(mark: Mark) -> tuple[str, str, str]:
    return mark.provider, mark.account, mark.payout
