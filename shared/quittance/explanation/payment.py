"""Everything about one payment, or one payout, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quittance.acknowledgements import NOTHING_ACKNOWLEDGED
from quittance.documents import DocumentState
from quittance.explanation.amounts import amount, moment
from quittance.explanation.findings import finding
from quittance.explanation.rules import rule_of, tax_of
from quittance.explanation.superseded import superseded
from quittance.facts import PAYOUT_TYPES, Fact, FactType
from quittance.ledger import MAX_CALLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from quittance.acknowledgements import Acknowledgements
    from quittance.customers import BusinessCustomer
    from quittance.derivation import Derivation
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
_IN_ORDER = list(FactType)
"""At one moment, what can only come first comes first."""
_HOW_IT_STANDS = {"deleted": "is_deleted", "voided": "is_voided", "draft": "is_draft"}


def explain_case(  # noqa: PLR0913 - all that is known of it
    case: CaseFile,
    customer: BusinessCustomer | None,
    planned: Plan,
    reports: Sequence[Item] = (),
    derivations: Mapping[str, Derivation] | None = None,
    *,
    acknowledged: Acknowledgements = NOTHING_ACKNOWLEDGED,
) -> dict[str, Any]:
    """Everything about one payment or payout as JSON-ready data, without personal data. Amounts are minor units.

    What is of a person's own words are the reasons why findings were acknowledged.

    `reports` are the case's (`Ledger.reports`): without them, only the first event of each fact is named. `derivations`, by
    document key, say whether a document follows from the ledger again.
    """
    derived = derivations or {}
    return {
        "kind": "payout" if any(fact.type in PAYOUT_TYPES for fact in case.facts.values()) else "payment",
        "provider": case.provider,
        "account": case.account,
        "payment_id": case.id,
        "also_known_as": list(case.members),
        "business_customer": customer.id if customer else None,
        "entity_id": customer.entity_id if customer else None,
        "facts": [_fact(fact, case, planned, customer, reports) for fact in _in_order(case.facts.values())],
        "documents": [_issued(entry, customer, derived.get(entry.record.document.key)) for entry in _as_issued(case)],
        "missing": [_missing(document) for document in planned.documents],
        "waiting": waiting(planned, customer),
        "findings": [finding(item, acknowledged) for item in case.findings.values() if _stands(item)],
        "superseded": superseded(case, customer, reports),
    }


def _in_order(facts: Iterable[Fact]) -> list[Fact]:
    """Facts by when they happened."""
    return sorted(facts, key=lambda fact: (fact.occurred_at, _IN_ORDER.index(fact.type), fact.identity))


def _as_issued(case: CaseFile) -> list[DocumentEntry]:
    """Documents in the order in which they were intended; what refers to another one comes after it."""

    def depth(entry: DocumentEntry) -> int:
        refers_to = case.documents.get(entry.record.document.refers_to)
        return 1 + depth(refers_to) if refers_to else 0

    def place(entry: DocumentEntry) -> tuple[int, int, int]:
        return int(entry.intended_at), case.since[f"DOC#{entry.record.document.key}"].version, depth(entry)

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


def _fact(
    fact: Fact, case: CaseFile, planned: Plan, customer: BusinessCustomer | None, reports: Sequence[Item]
) -> dict[str, Any]:
    recorded_at = moment(case.recorded_at.get(fact.identity, 0))
    first = {"event_id": case.event_ids[fact.identity], "outcome": "new", "received_at": recorded_at}
    policy = customer.policy_at(fact.occurred_at).version if customer else None
    return {
        "fact": fact.identity,
        "event_id": case.event_ids[fact.identity],
        "occurred_at": fact.occurred_at,
        "amount": amount(fact.amount),
        "documents": [key for key, entry in case.documents.items() if entry.record.document.fact == fact.identity],
        "no_document_because": why_none(fact, case, planned, customer) or None,
        "recorded_at": recorded_at,
        "events": [first, *(_report(one, case) for one in reports if one["fact"] == fact.identity)],
        "policy": policy,
        "payout": fact.occurrence if fact.type is FactType.PAYMENT_SETTLED else None,
    }


def _report(item: Item, case: CaseFile) -> dict[str, Any]:
    """What an event did to a known fact; of one that contradicts it, also the amount that does not count."""
    fields = item.get("fields") or sorted(item.get("before", ()))
    shown = {name: item[name] for name in ("event_id", "outcome")} | {"received_at": moment(int(item["received_at"]))}
    conflict = case.findings.get(f"conflict#{item['fact']}:{item['event_id']}", {})
    reported = conflict.get("reported", {}).get("amount") if "amount" in fields else None
    return shown | ({"fields": fields} if fields else {}) | ({"amount": reported} if reported else {})


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


def _issued(entry: DocumentEntry, customer: BusinessCustomer | None, derivation: Derivation | None) -> dict[str, Any]:
    record, document = entry.record, entry.record.document
    return _missing(document) | {
        "state": str(record.state),
        "id": record.api_id or None,
        "number": record.number or None,
        "error": record.error or None,
        "attempts": int(entry.attempts),
        "policy": document.policy,
        "seen": _seen(record.observed.document) if record.observed and record.observed.document else None,
        "subject": document.subject,
        "draft": document.draft,
        "issuer": document.issuer or "business customer",
        "intended_at": moment(int(entry.intended_at)),
        "issued_at": moment(int(entry.issued_at)),
        "idempotency_key": entry.idempotency_key,
        "calls": [_call(one) for one in entry.calls],
        "calls_unknown": _attempts_without_record(entry),
        "rule": rule_of(document, customer),
        "tax": tax_of(document, customer),
        "derives_again": {"same": derivation.is_same, "differs": list(derivation.differs)} if derivation else None,
    }


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "at": moment(int(call["at"])),
        "attempt": int(call["attempt"]),
        "call": call.get("call"),
        "status": None if call.get("status") is None else int(call["status"]),
        "outcome": call["outcome"],
        "request_id": call.get("request_id"),
    }


def _attempts_without_record(entry: DocumentEntry) -> int:
    """How many attempts left no record of their calls: the run was killed, or is still under way, or they are too long ago."""
    told = {int(call["attempt"]) for call in entry.calls}
    first = min(told) if len(entry.calls) == MAX_CALLS else 1
    is_under_way = entry.record.state is DocumentState.INTENDED
    return len(set(range(first, int(entry.attempts) + (0 if is_under_way else 1))) - told)


def _seen(document: ObservedDocument) -> dict[str, Any]:
    """What the invoicing API last showed of a document that was changed by hand."""
    state = next((name for name, attribute in _HOW_IT_STANDS.items() if getattr(document, attribute)), "final")
    return {"at": document.at, "state": state, "number": document.number or None, "amount": amount(document.total)}
