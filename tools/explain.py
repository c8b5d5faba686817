"""Why a payment has the documents it has: its facts, what each of them called for, and what is still missing.

The reasons are those of the ledger and of `plan`; nothing is concluded here that the product does not conclude itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quittance.documents import DocumentState
from quittance.facts import Fact, FactType
from quittance.money import EXPONENTS, Money

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from quittance.customers import BusinessCustomer
    from quittance.documents import Document
    from quittance.ledger import CaseFile, DocumentEntry
    from quittance.observation import ObservedDocument
    from quittance.plan import Plan
    from quittance.storage import Item

NOT_REGISTERED = "its business customer to be registered"

_MAKES_NO_DOCUMENT = {
    FactType.PAYMENT_AUTHORIZED: "an authorization alone makes no document",
    FactType.PAYMENT_SETTLED: "settlement moves no document",
    FactType.PAYMENT_FAILED: "no money arrived",
    FactType.SUBSCRIPTION_RENEWED: "nothing was due, or its payment was invoiced before",
    FactType.REFUND_FAILED: "the refund was not credited",
    FactType.DISPUTE_OPENED: "an open dispute is not credited by this policy",
    FactType.DISPUTE_WON: "nothing stands credited that would have to be taken back",
    FactType.PAYOUT_PAID: "a payout moves no document",
    FactType.PAYOUT_FAILED: "a payout moves no document",
}


def explain_case(case: CaseFile, customer: BusinessCustomer | None, planned: Plan) -> dict[str, Any]:
    """Everything about one payment as JSON-ready data, without personal data. Amounts are minor units."""
    return {
        "kind": "payment",
        "provider": case.provider,
        "account": case.account,
        "payment_id": case.id,
        "also_known_as": list(case.members),
        "business_customer": customer.id if customer else None,
        "entity_id": customer.entity_id if customer else None,
        "facts": [_fact(fact, case, planned, customer) for fact in in_order(case.facts.values())],
        "documents": [_issued(entry) for entry in _as_issued(case)],
        "missing": [_missing(document) for document in planned.documents],
        "waiting": waiting(planned, customer),
        "findings": [
            {"code": item["code"], "subject": item["subject"], "opened_at": int(item["opened_at"])}
            for item in case.findings.values()
            if _stands(item)
        ],
    }


def in_order(facts: Iterable[Fact]) -> list[Fact]:
    """Facts by when they happened."""
    return sorted(facts, key=lambda fact: (fact.occurred_at, fact.identity))


def _as_issued(case: CaseFile) -> list[DocumentEntry]:
    """Documents in the order in which they were intended; what refers to another one comes after it."""

    def place(entry: DocumentEntry) -> tuple[int, int]:
        refers_to = case.documents.get(entry.record.document.refers_to)
        return int(entry.intended_at), 1 + place(refers_to)[1] if refers_to else 0

    return sorted(case.documents.values(), key=place)


def waiting(planned: Plan, customer: BusinessCustomer | None) -> list[dict[str, str]]:
    """What waits, and for what."""
    if customer is None:
        return [{"fact": "", "for": NOT_REGISTERED}]
    return [{"fact": waits.fact, "for": waits.awaited} for waits in planned.waiting]


def why_none(fact: Fact, case: CaseFile, planned: Plan, customer: BusinessCustomer | None) -> str:
    """Why no document was issued for this fact; an empty string if one was."""
    if any(entry.record.document.fact == fact.identity for entry in case.documents.values()):
        return ""
    if customer is None:
        return f"waits for {NOT_REGISTERED}"
    reasons = (
        _awaited(fact, planned),
        _found(fact, case),
        _recorded_on(fact, case),
        _captured(fact, case),
        _MAKES_NO_DOCUMENT.get(fact.type),
    )
    return next((reason for reason in reasons if reason), "nothing is left to document")


def _awaited(fact: Fact, planned: Plan) -> str:
    awaited = next((waits.awaited for waits in planned.waiting if waits.fact == fact.identity), None)
    if awaited:
        return f"waits for: {awaited}"
    return "about to be issued" if any(document.fact == fact.identity for document in planned.documents) else ""


def _found(fact: Fact, case: CaseFile) -> str:
    codes = [item["code"] for item in case.findings.values() if _stands(item) and item["subject"].partition(":")[2] == fact.key]
    return f"finding: {', '.join(codes)}" if codes else ""


def _recorded_on(fact: Fact, case: CaseFile) -> str:
    """The document on which a payment is recorded inline, by its number if it has one."""
    if fact.type is not FactType.PAYMENT_SUCCEEDED:
        return ""
    for entry in case.documents.values():
        if any(record.reference in fact.case_ids for record in entry.record.document.payments):
            return f"recorded as payment of {entry.record.number or entry.record.document.key}"
    return ""


def _captured(fact: Fact, case: CaseFile) -> str:
    captured = any(other.type is FactType.PAYMENT_CAPTURED for other in case.facts.values())
    return "invoiced by its captures" if captured and fact.type is FactType.PAYMENT_SUCCEEDED else ""


def _stands(finding: Item) -> bool:
    return not finding.get("resolved_at")


def _fact(fact: Fact, case: CaseFile, planned: Plan, customer: BusinessCustomer | None) -> dict[str, Any]:
    return {
        "fact": fact.identity,
        "event_id": case.event_ids[fact.identity],
        "occurred_at": fact.occurred_at,
        "amount": amount(fact.amount),
        "documents": [key for key, entry in case.documents.items() if entry.record.document.fact == fact.identity],
        "no_document_because": why_none(fact, case, planned, customer) or None,
    }


def _missing(document: Document) -> dict[str, Any]:
    return {
        "key": document.key,
        "kind": str(document.kind),
        "amount": amount(document.amount),
        "date": document.date,
        "fact": document.fact,
        "reason": document.reason,
        "refers_to": document.refers_to or None,
    }


def _issued(entry: DocumentEntry) -> dict[str, Any]:
    record = entry.record
    return _missing(record.document) | {
        "state": str(record.state),
        "id": record.api_id or None,
        "number": record.number or None,
        "error": record.error or None,
        "attempts": int(entry.attempts),
        "policy": record.document.policy,
        "seen": _seen(record.observed.document) if record.observed and record.observed.document else None,
    }


def _seen(document: ObservedDocument) -> dict[str, Any]:
    """What the invoicing API last showed of a document that was changed by hand."""
    states = {"deleted": document.is_deleted, "voided": document.is_voided, "draft": document.is_draft, "final": True}
    state = next(name for name, holds in states.items() if holds)
    return {"at": document.at, "state": state, "number": document.number or None, "amount": amount(document.total)}


def amount(money: Money | None) -> dict[str, Any] | None:
    """Money as JSON."""
    return {"value": money.value, "currency": money.currency} if money else None


def in_print(money: dict[str, Any] | Money | None) -> str:
    """Money as people read it: `123.45 EUR`, `500 JPY`."""
    if money is None:
        return ""
    known = money if isinstance(money, Money) else Money(int(money["value"]), money["currency"])
    return f"{known.decimal:,} {known.currency}"


def total_in_print(total: Decimal | int, currency: str) -> str:
    """An amount in major units as people read it."""
    return f"{total:,.{EXPONENTS[currency]}f} {currency}"


def as_text(explained: dict[str, Any]) -> str:
    """An explanation of one payment for a terminal."""
    return "\n".join(_lines(explained)) + "\n"


def _lines(explained: dict[str, Any]) -> Iterable[str]:
    owner = explained["business_customer"] or "(none registered yet)"
    yield f"payment {explained['payment_id']} ({explained['provider']} {explained['account']}) of business customer {owner}"
    if explained["also_known_as"]:
        yield f"  also known as {', '.join(explained['also_known_as'])}"
    yield "what happened"
    for fact in explained["facts"]:
        yield f"  {fact['occurred_at']}  {fact['fact']}  {in_print(fact['amount'])}  (event {fact['event_id'] or 'unknown'})"
        yield f"    -> {', '.join(fact['documents']) or fact['no_document_because']}"
    yield "documents" if explained["documents"] else "no documents"
    for document in explained["documents"]:
        yield f"  {_document_line(document)}"
        yield f"    because {document['reason']}{_referring(document)}, dated {document['date']}, policy {document['policy']}"
        if document["error"]:
            yield f"    {'refused' if document['state'] == DocumentState.REFUSED else 'differs'}: {document['error']}"
        if seen := document["seen"]:
            yield f"    seen {seen['state']} with {in_print(seen['amount'])} at {seen['at']}"
    for document in explained["missing"]:
        yield f"missing: {document['key']}  {in_print(document['amount'])}, because {document['reason']}"
    for waits in explained["waiting"]:
        yield f"waiting: {waits['fact'] or 'everything'} waits for {waits['for']}"
    for finding in explained["findings"]:
        yield f"finding: {finding['code']} ({finding['subject']})"


def _document_line(document: dict[str, Any]) -> str:
    known_as = " ".join(part for part in (document["number"], document["id"] and f"({document['id']})") if part)
    return (
        f"{document['kind'].replace('_', ' ')} {known_as or document['key']}  {in_print(document['amount'])}  {document['state']}"
    )


def _referring(document: dict[str, Any]) -> str:
    return f", refers to {document['refers_to']}" if document["refers_to"] else ""
