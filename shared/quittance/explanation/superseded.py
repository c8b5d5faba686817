"""What was reported or issued once and no longer counts alone: what took its place, and why."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from quittance.documents import DocumentKind, DocumentState
from quittance.explanation.amounts import fact_in_words, in_print
from quittance.facts import FactType

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from quittance.customers import BusinessCustomer
    from quittance.documents import Document
    from quittance.facts import Fact
    from quittance.ledger import CaseFile, DocumentEntry
    from quittance.storage import Item

_BY_DOCUMENT = {
    DocumentKind.FINALIZATION: "the draft was made final",
    DocumentKind.DRAFT_REMOVAL: "the draft was taken away: it was never issued",
    DocumentKind.PAYMENT_REMOVAL: "the payment that was recorded on it failed",
    DocumentKind.CREDIT_APPLICATION: "the credit note was set against its invoice",
    DocumentKind.INVOICE: "the credit note was taken back",
}
_BY_FACT = {
    FactType.REFUND_FAILED: ((FactType.REFUND_SUCCEEDED,), "the refund failed after all"),
    FactType.DISPUTE_WON: ((FactType.DISPUTE_OPENED, FactType.DISPUTE_LOST), "the dispute was won"),
    FactType.DISPUTE_LOST: ((FactType.DISPUTE_OPENED, FactType.DISPUTE_WON), "the dispute was lost"),
}


def superseded(case: CaseFile, customer: BusinessCustomer | None, reports: Sequence[Item]) -> list[dict[str, Any]]:
    """Each as `what`, `by` and `why`: events, facts, documents and policies by what names them."""
    return [*_reports(case, reports), *_facts(case), *_documents(case), *_policies(case, customer)]


def _entry(what: str, by: str, why: str) -> dict[str, Any]:
    return {"what": what, "by": by, "why": why}


def _reports(case: CaseFile, reports: Sequence[Item]) -> Iterator[dict[str, Any]]:
    for one in reports:
        first = case.event_ids.get(one["fact"], "")
        if one["outcome"] == "conflict":
            fields = ", ".join(one.get("fields", ()))
            why = f"{fact_in_words(one['fact'])}: the first report counts, not another {fields}"
            yield _entry(f"event {one['event_id']}", f"event {first}", why)
        elif one["outcome"] == "merged":
            fields = ", ".join(sorted(one.get("before", ())))
            yield _entry(f"event {first}", f"event {one['event_id']}", f"{fact_in_words(one['fact'])}: completed by {fields}")


def _facts(case: CaseFile) -> Iterator[dict[str, Any]]:
    facts = sorted(case.facts.values(), key=lambda fact: (fact.latest_at, fact.identity))
    for later in facts:
        types, why = _BY_FACT.get(later.type, ((), ""))
        for earlier in facts:
            if earlier.type in types and earlier.key == later.key and _order(earlier) < _order(later):
                yield _entry(earlier.identity, later.identity, why)
    for fact in facts:
        if replaced_by := _replaced_by(fact, facts):
            yield _entry(fact.identity, ", ".join(one.identity for one in replaced_by), _why_replaced(replaced_by[0]))


def _order(fact: Fact) -> tuple[bool, str, bool]:
    return fact.type is not FactType.DISPUTE_OPENED, fact.latest_at, fact.type is FactType.DISPUTE_LOST


def _replaced_by(fact: Fact, facts: Sequence[Fact]) -> list[Fact]:
    """What counts of a payment instead of this report of it."""
    if fact.type not in {FactType.PAYMENT_AUTHORIZED, FactType.PAYMENT_SUCCEEDED}:
        return []
    of_payment = [one for one in facts if (one.payment_id or one.key) == (fact.payment_id or fact.key)]
    captures = [one for one in of_payment if one.type is FactType.PAYMENT_CAPTURED]
    if captures or fact.type is FactType.PAYMENT_SUCCEEDED:
        return captures
    return [one for one in of_payment if one.type is FactType.PAYMENT_SUCCEEDED]


def _why_replaced(by: Fact) -> str:
    is_capture = by.type is FactType.PAYMENT_CAPTURED
    return "the captures count, never both" if is_capture else "the payment succeeded: what was authorized is what was paid"


def _documents(case: CaseFile) -> Iterator[dict[str, Any]]:
    for entry in case.documents.values():
        document = entry.record.document
        earlier = case.documents.get(document.refers_to)
        why = _why_corrected(document, earlier.record.document) if earlier else None
        if earlier and why and entry.record.state is DocumentState.ISSUED:
            yield _entry(_name(earlier), _name(entry), why)


def _why_corrected(document: Document, earlier: Document) -> str | None:
    """What a document did to the one that it refers to; None if that stands as it did."""
    if document.kind is DocumentKind.CREDIT_NOTE:
        return f"credited {in_print(document.amount)} of {in_print(earlier.amount)}"
    return _BY_DOCUMENT.get(document.kind)


def _name(entry: DocumentEntry) -> str:
    return entry.record.number or entry.record.document.key


def _policies(case: CaseFile, customer: BusinessCustomer | None) -> Iterator[dict[str, Any]]:
    """Policies that documents of this case followed and that do not count for what happens now."""
    known = customer.policies if customer else ()
    followed = {entry.record.document.policy for entry in case.documents.values()}
    for one, after in pairwise(known):
        if one.version in followed:
            why = f"for what happened from {after.effective_from or 'then'} on; issued documents keep theirs"
            yield _entry(f"policy {one.version}", f"policy {after.version}", why)
