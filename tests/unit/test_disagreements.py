"""What no longer agrees: recorded documents held against what was seen of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from quittance.disagreements import disagreements
from quittance.documents import Document, DocumentKind, DocumentState, PaymentRecord, RecordedDocument
from quittance.money import Money
from quittance.observation import Observation, ObservedDocument, ObservedPayment, reference_digest

AT = "2026-11-20T10:00:00.000000Z"
INVOICE = "invoice:payment:pay_1"


def recorded(kind: str = "invoice", key: str = INVOICE, amount: int = 10000, **details: Any) -> RecordedDocument:
    values: dict[str, Any] = {"subject": "payment:pay_1", "date": "2026-11-20", "fact": "f", "reason": "r", "payment_id": "pay_1"}
    document = Document(key=key, kind=DocumentKind(kind), amount=Money(amount, "EUR"), **values | details)
    return RecordedDocument(document=document, state=DocumentState.ISSUED, api_id="inv_1", number="1")


def money(amount: int, reference: str = "pay_1") -> tuple[PaymentRecord, ...]:
    return (PaymentRecord(reference=reference, amount=amount, method="card", date="2026-11-20"),)


PAID = recorded(payments=money(10000))


def shown(total: int = 10000, currency: str = "EUR", **state: Any) -> ObservedDocument:
    return ObservedDocument(at=AT, total=Money(total, currency), number="1", **{"is_draft": False} | state)


def entry(amount: int, reference: str, number: int = 1, currency: str = "EUR", **state: Any) -> ObservedPayment:
    digest = reference_digest(reference)
    return ObservedPayment(id=f"pmt_{number}", at=AT, amount=Money(amount, currency), reference=digest, **state)


def gone(amount: int, reference: str, number: int = 1) -> ObservedPayment:
    return entry(amount, reference, number, is_deleted=True)


def found(known: RecordedDocument, *others: RecordedDocument, document: Any = None, payments: Any = ()) -> list[tuple[str, int]]:
    seen = replace(known, observed=Observation(document=document, payments=tuple(payments)))
    told = list(disagreements([seen, *others]))
    assert all(one.subject == INVOICE for one in told)
    return [(one.code, one.amount.value) for one in told]


def test_what_was_never_seen_agrees() -> None:
    assert list(disagreements([PAID])) == []
    assert found(PAID) == found(PAID, document=shown()) == found(PAID, payments=[entry(10000, "pay_1")]) == []


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (shown(9999), [("document_edited", 9999)]),
        (shown(currency="USD"), [("document_edited", 10000)]),
        (shown(0), [("document_edited", 0)]),
        (shown(9999, is_voided=True), [("document_voided", 10000)]),
        (shown(is_voided=True, is_deleted=True), [("document_deleted", 10000)]),
        (shown(is_draft=True), []),
    ],
)
def test_the_document_itself(document: ObservedDocument, expected: list[tuple[str, int]]) -> None:
    assert found(PAID, document=document) == expected


def test_what_the_api_answered_otherwise_is_a_finding_already() -> None:
    assert found(replace(PAID, error="total_differs"), document=shown(9999)) == []


def test_a_draft_that_we_removed_was_not_removed_by_hand() -> None:
    removal = recorded("draft_removal", "draft_removal:payment:pay_1", refers_to=INVOICE)
    assert found(PAID, removal, document=shown(is_draft=True, is_deleted=True)) == []
    refused = replace(removal, state=DocumentState.REFUSED)
    assert found(PAID, refused, document=shown(is_draft=True, is_deleted=True)) == [("document_deleted", 10000)]


@pytest.mark.parametrize(
    ("payments", "expected"),
    [
        ([entry(6000, "bank")], [("document_paid_by_hand", 6000)]),
        ([entry(6000, "")], [("document_paid_by_hand", 6000)]),
        ([entry(6000, "bank"), entry(1000, "cash", 2)], [("document_paid_by_hand", 7000)]),
        ([gone(6000, "bank")], []),
        ([gone(10000, "pay_1")], [("payment_removed_by_hand", 10000)]),
        ([gone(10000, "pay_1"), entry(10000, "bank", 2)], []),
        ([gone(10000, "pay_1"), entry(10000, "pay_1", 2)], []),
        ([gone(10000, "pay_1"), gone(10000, "pay_1", 2)], [("payment_removed_by_hand", 10000)]),
        ([gone(10000, "pay_1"), entry(12000, "bank", 2)], [("document_paid_by_hand", 2000)]),
        ([gone(10000, "pay_1"), entry(4000, "bank", 2)], [("payment_removed_by_hand", 6000)]),
        ([entry(12000, "pay_1")], [("document_paid_by_hand", 2000)]),
        ([entry(6000, "bank", currency="USD")], []),
        ([entry(6000, "bank", is_application=True)], []),
    ],
)
def test_money_on_a_paid_invoice(payments: list[ObservedPayment], expected: list[tuple[str, int]]) -> None:
    assert found(PAID, payments=payments) == expected


def test_money_that_we_recorded_or_removed_later_is_ours() -> None:
    unpaid = recorded()
    later = recorded("payment", "payment:payment:pay_2", refers_to=INVOICE, payments=money(10000, "pay_2"))
    removal = recorded("payment_removal", "payment_removal:payment:pay_1", refers_to=INVOICE)
    assert found(unpaid, later, payments=[entry(10000, "pay_2")]) == []
    assert found(unpaid, later, payments=[gone(10000, "pay_2")]) == [("payment_removed_by_hand", 10000)]
    assert found(PAID, removal, payments=[gone(10000, "pay_1")]) == []
    assert found(PAID, removal, payments=[entry(10000, "pay_1", 2)]) == [("document_paid_by_hand", 10000)]
    assert found(PAID, removal, payments=[gone(10000, "pay_1"), gone(500, "pay_1", 2)]) == []
    elsewhere = recorded("payment", "payment:payment:pay_2", refers_to="invoice:other", payments=money(10000, "pay_2"))
    assert found(unpaid, elsewhere, payments=[entry(10000, "pay_2")]) == [("document_paid_by_hand", 10000)]


def test_records_that_were_not_seen_are_taken_to_stand() -> None:
    later = recorded("payment", "payment:payment:pay_1", 5000, refers_to=INVOICE, payments=money(5000))
    both = recorded(amount=15000, payments=money(10000))
    assert found(both, later, payments=[entry(5000, "pay_1")]) == []
    assert found(both, later, payments=[gone(5000, "pay_1")]) == [("payment_removed_by_hand", 5000)]


def test_a_record_that_the_api_refused_was_never_ours() -> None:
    later = recorded("payment", "payment:payment:pay_2", refers_to=INVOICE, payments=money(10000, "pay_2"))
    refused = replace(later, state=DocumentState.REFUSED)
    assert found(recorded(), refused, payments=[entry(10000, "pay_2")]) == [("document_paid_by_hand", 10000)]


def test_a_record_that_is_about_to_be_made_is_ours_already() -> None:
    later = recorded("payment", "payment:payment:pay_2", refers_to=INVOICE, payments=money(10000, "pay_2"))
    intended = replace(later, state=DocumentState.INTENDED, api_id="")
    assert found(recorded(), intended, payments=[entry(10000, "pay_2")]) == []


def test_a_credit_that_we_applied_is_ours_until_somebody_takes_it_away() -> None:
    note = recorded("credit_note", "credit_note:refund:re_1", 4000, refers_to=INVOICE)
    application = recorded("credit_application", "credit_application:refund:re_1", 4000, refers_to="credit_note:refund:re_1")
    live = entry(4000, "credit_application:refund:re_1", is_application=True)
    assert found(recorded(), note, application, payments=[live]) == []
    removed = replace(live, is_deleted=True)
    assert found(recorded(), note, application, payments=[removed]) == [("payment_removed_by_hand", 4000)]
