"""A ledger of many payments with the books that belong to it, and faults that are seeded into both.

Most payments are copies of what the real use cases made of one. Those that are repaired later went the real way themselves. The
lists of the API are answered from the sandbox's books in their order, because the sandbox sorts everything for every page.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from quittance.errors import InDoubt
from quittance.facts import PayoutLine
from quittance.ledger import Ledger
from quittance.reconciliation.results import RepairMode
from quittance.reconciliation.run import Run, Scope
from quittance.reconciliation.workbook import Workbook
from quittance.space_invoices import SpaceInvoices
from quittance.storage import Delete
from tests.unit.stories import dispute, fact, refund, succeeded
from tests.use_cases.world import World
from tools.sandbox.transport import mounted
from tools.sandbox.wire import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from quittance.facts import Fact
    from quittance.reconciliation.results import Found
    from tools.sandbox.wire import Record

PAGE = 100
LATER_S = 8 * 86_400
"""After this everything is old enough to count."""
COPIED = "pay_COPIED"

Names = tuple[str, str]
"""A finding: its code and the payment it is about."""


class LargeLedger(World):
    """bc_1 with many payments of 100.00. `lists` counts the pages asked for, `looks` the documents looked at one by one."""

    def __init__(self, payments: int) -> None:
        super().__init__()
        self.register()
        [(self.entity, self.book)] = self.sandbox._worlds["sandbox"].books.items()
        self.api = SpaceInvoices("http://sandbox", lambda: "sk_sandbox_test", transport=httpx.MockTransport(self._answer))
        self.payments = payments
        self.lists = self.looks = 0
        self.before_page: Callable[[int], None] = lambda _: None
        self._copy()

    def _copy(self) -> None:
        self.take(succeeded(payment_id=COPIED))
        [(document, shown)] = self.book.invoices.items()
        items = json.dumps([item for item in self.table.items() if item["pk"].endswith(COPIED)])
        record, text = json.dumps(shown, default=float), {}
        for number in range(self.payments):
            name, own = payment(number), f"inv_{number:024}"
            for item in json.loads(items.replace(COPIED, name).replace(document, own)):
                text[item["pk"], item["sk"]] = json.dumps(item)
            self.book.invoices[own] = json.loads(record.replace(COPIED, name).replace(document, own))
        self.table._items.update(text)
        self.table.index_catches_up()

    def _answer(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        shelf = {"/invoices": self.book.invoices, "/credit-notes": self.book.credit_notes}.get(request.url.path)
        if request.method == "GET" and shelf is not None and "query" not in params:
            self.lists += 1
            self.before_page(self.lists)
            return httpx.Response(200, content=encode(_page(list(shelf.values()), int(params.get("next_cursor", 0)))))
        self.looks += request.method == "GET" and request.url.path.startswith(("/invoices/", "/credit-notes/"))
        return mounted(self.sandbox).handle_request(request)

    # faults

    def document(self, number: int) -> Record:
        """The invoice of a copied payment, as the API holds it."""
        return self.book.invoices[f"inv_{number:024}"]

    def forget(self, number: int) -> None:
        """An invoice that was never issued."""
        del self.book.invoices[f"inv_{number:024}"]
        pk = f"CASE#stripe#acct_1#{payment(number)}"
        self.table.commit([Delete(pk, f"DOC#invoice:payment:{payment(number)}")])

    def report(self, one: Fact) -> None:
        """Record a fact whose payment nobody converged afterwards."""
        ledger = Ledger(self.table)
        case = ledger.open(one.provider, one.account, one.case_ids, join=False)
        case.add_fact(one, f"evt_{one.identity}", self.seconds)
        ledger.commit(case)

    def add(self, record: Record, own: str, **changes: Any) -> None:
        """Another document in the books."""
        shelf = self.book.credit_notes if own.startswith("cre") else self.book.invoices
        shelf[own] = {**record, "id": own, "number": own.upper(), **changes}

    # reconciling

    def run(self, folder: Path, **options: Any) -> Run:
        values: dict[str, Any] = {
            "ledger": Ledger(self.table),
            "scan": lambda after: self.table.scan(after, prefix="CASE#"),
            "api": self.api,
            "workbook": Workbook(folder / "workbook.sqlite3"),
            "now": lambda: self.seconds,
            "pace": lambda: None,
            "scope": Scope(),
        }
        return Run(**values | options)

    def reconciled(self, folder: Path) -> tuple[Run, list[Found]]:
        """A run from its beginning to its end, and all that counts of what it found."""
        folder.mkdir()
        run = self.run(folder)
        assert run.work()
        return run, list(run.found())

    def repair(self, found: Iterable[Found], *modes: RepairMode) -> None:
        """What the messages bring about that repairs are."""
        for one in found:
            if one.repair in modes:
                self.converger().revisit(one.provider, one.account, one.payment_id)


def payment(number: int) -> str:
    return f"pay_{number:08}"


def names(found: Iterable[Found]) -> list[Names]:
    return sorted((one.code, one.payment_id) for one in found)


def _page(records: list[Record], start: int) -> Record:
    visible = [record for record in records if not record["deleted_at"]]
    stop = start + PAGE
    more = stop < len(visible)
    return {"data": visible[start:stop], "pagination": {"has_more": more, "next_cursor": str(stop) if more else None}}


# --- what goes wrong -----------------------------------------------------------------------------------------------------


def seed_repairable(ledger: LargeLedger) -> list[Names]:
    """What the pipeline puts right when it is asked again. Returns what is to be found."""
    for name in ("pay_refund", "pay_dispute", "pay_failed", "pay_corrected"):
        ledger.take(succeeded(payment_id=name))
    ledger.take(refund("re_corrected", 2500, payment_id="pay_corrected"))
    ledger.sandbox.faults.add_json({"kind": "lose_response_after_commit", "match": {"method": "POST"}})
    with pytest.raises(InDoubt):
        ledger.take(succeeded(payment_id="pay_lost"))
    ledger.forget(11)
    ledger.report(refund("re_1", 2500, payment_id="pay_refund"))
    ledger.report(dispute("lost", payment_id="pay_dispute"))
    ledger.report(fact("payment.failed", "pay_failed", 10000, payment_id="pay_failed", minute=30))
    ledger.report(fact("refund.failed", "re_corrected", 2500, payment_id="pay_corrected", minute=40))
    return sorted([
        ("payment_without_invoice", payment(11)),
        ("refund_without_credit_note", "pay_refund"),
        ("dispute_without_credit_note", "pay_dispute"),
        ("paid_though_failed", "pay_failed"),
        ("not_issued", "pay_corrected"),
        ("document_intended", "pay_lost"),
    ])  # fmt: skip


def seed_others(ledger: LargeLedger) -> list[Names]:
    """What only people can put right. Returns what is to be found."""
    for number, change in (
        (20, {"total_with_tax": 105, "total": 105}),
        (21, {"total_with_tax": 95, "total": 95}),  # the totals are right again
        (22, {"currency_code": "USD"}),
        (23, {"total": 84.03}),
        (24, {"number": "2026-X"}),
        (25, {"is_draft": True}),
        (26, {"voided_at": "2026-11-21T08:00:00.000Z"}),
        (27, {"total_paid": 60}),
        (28, {"total_paid": 0}),
        (29, {"deleted_at": "2026-11-21T08:00:00.000Z"}),
    ):
        ledger.document(number).update(change)
    ledger.report(fact("payment.settled", payment(28), 9800, payment_id=payment(28), occurrence="po_1", minute=30))
    ledger.report(fact("payment.settled", "pay_unheard", 9800, payment_id="pay_unheard", occurrence="po_1", minute=30))
    ledger.add(ledger.document(30), "inv_copy")
    metadata = ledger.document(31)["metadata"]
    ledger.add(ledger.document(31), "inv_orphan", metadata=metadata | {"payment_id": "pay_unknown"})
    ledger.add(ledger.document(32), "inv_hand", metadata={})
    relation = {"relation_type": "credit_for", "target_id": f"inv_{33:024}"}
    ledger.add(ledger.document(33), "cre_hand", metadata={}, total_with_tax=120, total=120, document_relations=[relation])
    ledger.take(succeeded(payment_id="pay_conflict"))
    ledger.take(succeeded(9900, payment_id="pay_conflict"))
    ledger.take(refund("re_early", 2500, payment_id="pay_never"))
    ledger.take(succeeded(1234, payment_id="pay_dinar", currency="KWD"))
    ledger.sandbox.faults.add_json({"kind": "status", "status": 422, "match": {"method": "POST"}})
    ledger.take(succeeded(payment_id="pay_refused"))
    return sorted([
        *(("total_with_tax_differs", payment(number)) for number in (20, 21)),
        ("currency_code_differs", payment(22)),
        ("tax_amount_differs", payment(23)),
        ("number_differs", payment(24)),
        ("is_draft_differs", payment(25)),
        ("voided_by_hand", payment(26)),
        ("total_paid_differs", payment(27)),
        ("unpaid_though_settled", payment(28)),
        ("document_missing", payment(29)),
        ("settled_unreported", "pay_unheard"),
        ("duplicate", payment(30)),
        ("orphan", "pay_unknown"),
        ("made_by_hand", ""),
        ("made_by_hand", ""),
        ("over_credited", payment(33)),
        ("conflict", "pay_conflict"),
        ("waiting_too_long", "pay_never"),
        ("amount_not_representable", "pay_dinar"),
        ("document_refused", "pay_refused"),
        *_seed_payout(ledger),
    ])  # fmt: skip


def _seed_payout(ledger: LargeLedger) -> list[Names]:
    """A payout of a payment that nobody heard of."""
    lines = (PayoutLine(payment_id="pay_nowhere", gross=10000, fee=0, net=10000),)
    ledger.report(fact("payout.paid", "po_9", 10000, payment_id=None, payout_lines=lines, minute=50))
    return [("payout_residual", "po_9")]
