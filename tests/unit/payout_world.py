"""Payments with their documents, and payouts that hold them, for tests of tie-outs: no table, no API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quittance.customers import BusinessCustomer
from quittance.documents import DocumentState, RecordedDocument
from quittance.facts import Fact, PayoutAdjustment, PayoutLine
from quittance.ledger import CaseFile, DocumentEntry
from quittance.plan import Plan, plan
from quittance.reconciliation.payout_marks import Marks, is_payout, marks_in, tie_out_marked
from quittance.reconciliation.payouts import TieOut, tie_out
from quittance.settlements import settlements
from tests.unit.stories import CUSTOMER, fact

if TYPE_CHECKING:
    from collections.abc import Iterable

PROVIDER, ACCOUNT = "stripe", "acct_1"


@dataclass
class PayoutWorld:
    """The cases of one account, each with every document that its plan asks for."""

    customer: BusinessCustomer | None = CUSTOMER
    cases: dict[str, CaseFile] = field(default_factory=dict)
    looked_up: list[str] = field(default_factory=list)

    def take(self, *facts: Fact) -> None:
        """Record facts in the cases of their payments, and issue what is then missing."""
        for one in facts:
            case = self._case_of(one)
            case.facts[one.identity] = one
            case.event_ids[one.identity] = "evt"
            self.issue(case)

    def _case_of(self, one: Fact) -> CaseFile:
        known = next((self.cases[name] for name in one.case_ids if name in self.cases), None)
        case = known or CaseFile(one.provider, one.account, one.case_ids[0])
        for name in one.case_ids:
            self.cases[name] = case
        return case

    def issue(self, case: CaseFile) -> None:
        while documents := self.planned(case).documents:
            one = documents[0]
            record = RecordedDocument(document=one, state=DocumentState.ISSUED, api_id=f"api:{one.key}", number=f"N-{one.key}")
            case.documents[one.key] = DocumentEntry(record=record, body="{}", idempotency_key="k", intended_at=1, issued_at=1)

    def planned(self, case: CaseFile) -> Plan:
        return plan(case.as_case(), self.customer) if self.customer else Plan()

    def pay_out(self, key: str = "po_1", *, marks: bool = True, **details: Any) -> Fact:
        """A payout, and its marks on its payments. `amount` is what its lines come to, unless it is given."""
        lines, others = details.pop("lines", ()), details.pop("adjustments", ())
        amount = details.pop("amount", sum(one.net for one in (*lines, *others)))
        values = {"payment_id": None, "minute": 50} | details
        paid = fact("payout.paid", key, amount, payout_lines=tuple(lines), payout_adjustments=tuple(others), **values)
        self.take(paid)
        for settled in settlements(paid) if marks else ():
            self.take(settled)
        return paid

    def forget(self, key: str) -> None:
        """A case that was never recorded."""
        gone = self.cases[key]
        self.cases = {name: case for name, case in self.cases.items() if case is not gone}

    def look(self, provider: str, account: str, some_id: str) -> tuple[CaseFile, Plan | None]:
        self.looked_up.append(some_id)
        case = self.cases.get(some_id) if (provider, account) == (PROVIDER, ACCOUNT) else None
        case = case or CaseFile(provider, account, some_id)
        return case, self.planned(case) if self.customer else None

    def tied(self, key: str = "po_1") -> TieOut:
        return tie_out(self.cases[key].facts.values(), "bc_1", self.look)

    def streamed(self, order: Iterable[str] | None = None) -> dict[str, TieOut]:
        """Every payout by the marks that its payments have, collected in one pass."""
        marks: dict[tuple[str, str, str], Marks] = {}
        payouts = []
        for name in order or self.ids:
            case = self.cases[name]
            for mark in marks_in(case, self.planned(case) if self.customer else None):
                marks.setdefault(mark[:3], Marks()).add(mark)
            if is_payout(case):
                payouts.append(case)
        self.looked_up.clear()
        tied = [
            tie_out_marked(
                case.facts.values(),
                "bc_1",
                lambda share: marks.get((share.provider, share.account, share.key), Marks()),
                self.look,
            )
            for case in payouts
        ]
        return {one.payout_id: one for one in tied}

    @property
    def ids(self) -> list[str]:
        """Of every case."""
        return list({id(case): name for name, case in self.cases.items()}.values())


def line(payment_id: str, gross: int, fee: int = 0, kept_by_provider: int = 0) -> PayoutLine:
    return PayoutLine(payment_id=payment_id, gross=gross, fee=fee, net=gross - fee - kept_by_provider)


def other(kind: str, own_id: str, gross: int, payment_id: str | None = None, fee: int = 0) -> PayoutAdjustment:
    return PayoutAdjustment(kind=kind, id=own_id, gross=gross, fee=fee, net=gross - fee, payment_id=payment_id)
