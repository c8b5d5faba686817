"""Facts and customers for tests, told in as few words as the story needs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quittance.customers import BusinessCustomer
from quittance.documents import DocumentKind, DocumentState, RecordedDocument
from quittance.facts import Fact, FactType, merged
from quittance.money import Money
from quittance.plan import Case, Plan, plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CUSTOMER = BusinessCustomer(id="bc_1", profile={"name": "Acme", "country": "DE", "timezone": "Europe/Berlin"}, entity_id="ent_1")


def at(minute: int) -> str:
    """A moment on one afternoon; `minute` orders the story."""
    return f"2026-11-20T{12 + minute // 60:02}:{minute % 60:02}:00Z"


def fact(kind: str, key: str, amount: int | None = None, *, minute: int = 0, currency: str = "EUR", **details: Any) -> Fact:
    """A fact of payment pay_1, unless `details` say otherwise."""
    values: dict[str, Any] = {"provider": "stripe", "account": "acct_1", "payment_id": "pay_1", "occurred_at": at(minute)}
    money = None if amount is None else Money(amount, currency)
    return Fact(type=FactType(kind), key=key, amount=money, **values | details)


def succeeded(amount: int = 10000, **details: Any) -> Fact:
    payment_id = details.get("payment_id", "pay_1")
    return fact("payment.succeeded", payment_id, amount, **details)


def refund(key: str, amount: int, **details: Any) -> Fact:
    return fact("refund.succeeded", key, amount, **{"minute": 10} | details)


def dispute(outcome: str, amount: int = 10000, key: str = "dp_1", **details: Any) -> Fact:
    return fact(f"dispute.{outcome}", key, amount, **{"minute": 20} | details)


def renewal(amount: int = 10000, **details: Any) -> Fact:
    values: dict[str, Any] = {
        "invoice_id": "in_1",
        "payment_id": None,
        "subscription_id": "sub_1",
        "subscription_plan": "Pro",
        "period_start": "2026-11-01",
        "period_end": "2026-11-30",
    }
    return fact("subscription.renewed", "in_1", amount, **values | details)


def issue(case: Case, documents: Iterable[Any]) -> Case:
    """The case after the API issued these documents."""
    issued = tuple(
        RecordedDocument(document=d, state=DocumentState.ISSUED, api_id=f"api:{d.key}", number=f"N-{d.key}") for d in documents
    )
    return replace(case, documents=(*case.documents, *issued))


def arrive(facts: Sequence[Fact], customer: BusinessCustomer = CUSTOMER) -> tuple[Case, Plan]:
    """Let facts arrive one by one, each followed by everything the plan then asks for. Returns the end of it."""
    case = Case(facts=())
    outcome = Plan()
    for arrived in facts:
        case = replace(case, facts=(*case.facts, arrived))
        outcome = plan(case, customer)
        case = issue(case, outcome.documents)
        again = plan(case, customer)
        assert not again.documents, f"planned again: {[d.key for d in again.documents]}"
    return case, outcome


def held(reports: Iterable[Fact]) -> list[Fact]:
    """The facts as a case holds them: reports of the same one merged, at the place of the first."""
    known: dict[str, Fact] = {}
    for report in reports:
        known[report.identity] = merged(known[report.identity], report) if report.identity in known else report
    return list(known.values())


def balance(case: Case) -> int:
    """Invoiced less credited, in minor units."""
    sign = {DocumentKind.INVOICE: 1, DocumentKind.CREDIT_NOTE: -1, DocumentKind.PAYMENT: 0, DocumentKind.PAYMENT_REMOVAL: 0}
    return sum(sign[known.document.kind] * known.document.amount.value for known in case.documents)


def received(case: Case) -> int:
    """What stands recorded as received on invoices, in minor units."""
    total = 0
    for known in case.documents:
        document = known.document
        if document.kind in (DocumentKind.INVOICE, DocumentKind.PAYMENT):
            total += sum(payment.amount for payment in document.payments)
        if document.kind is DocumentKind.PAYMENT_REMOVAL:
            total -= document.amount.value
    return total


def keys(case: Case) -> list[str]:
    return [known.document.key for known in case.documents]
