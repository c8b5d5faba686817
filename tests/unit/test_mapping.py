"""Requests as they go over the wire, byte for byte: a change here is a change for every customer."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from quittance.documents import DocumentState, RecordedDocument
from quittance.facts import Item, Payer
from quittance.mapping import Origin, answer_differs, idempotency_key, request_body
from quittance.plan import Case, plan
from tests.unit.stories import CUSTOMER, arrive, issue, refund, succeeded


def body_of(case: Case, place: int) -> dict[str, Any]:
    document = case.documents[place].document
    issued = {known.document.key: known for known in case.documents}
    fact = next(fact for fact in case.facts if fact.identity == document.fact)
    body: dict[str, Any] = json.loads(request_body(document, Origin(CUSTOMER, fact, "evt_1"), issued))
    return body


def test_an_invoice_is_issued_and_paid_in_one_request() -> None:
    payer = Payer(name="Ada Ltd", email="ap@example.com", country="DE", tax_number="DE123456789")
    case, _ = arrive([succeeded(12345, method="card", payer=payer, order_id="ord_9", description="Order 9")])
    assert body_of(case, 0) == {
        "is_draft": False,
        "date": "2026-11-20",
        "date_due": "2026-11-20",
        "date_service": "2026-11-20",
        "currency_code": "EUR",
        "calculation_mode": "b2c_gross_discount",
        "items": [{"name": "Order 9", "quantity": 1, "gross_price": 123.45, "taxes": [], "save_item": False}],
        "customer": {
            "name": "Ada Ltd",
            "email": "ap@example.com",
            "country": "Germany",
            "country_code": "DE",
            "tax_number": "DE123456789",
            "save_customer": False,
        },
        "payments": [{"type": "card", "amount": 123.45, "date": "2026-11-20", "reference": "pay_1"}],
        "reference": "ord_9",
        "note": "",
        "expected_total_with_tax": 123.45,
        "metadata": {
            "business_customer": "bc_1",
            "provider": "stripe",
            "payment_id": "pay_1",
            "document_key": "invoice:payment:pay_1",
            "fact": "payment.succeeded#pay_1",
            "event_id": "evt_1",
            "policy": "1",
        },
    }


def test_a_credit_note_is_positive_linked_and_paid_out() -> None:
    case, _ = arrive([succeeded(), refund("re_1", 2500)])
    body = body_of(case, 1)
    assert body["linked_documents"] == ["api:invoice:payment:pay_1"]
    assert body["items"][0]["gross_price"] == 25
    assert body["payments"][0]["reference"] == "re_1"
    assert body["metadata"]["refund_id"] == "re_1"
    assert body["metadata"]["corrects"] == "api:invoice:payment:pay_1"
    assert body["note"] == "Credit note for invoice N-invoice:payment:pay_1."


def test_several_pieces_keep_their_exact_total() -> None:
    case, _ = arrive([succeeded(1000, items=(Item(name="Widget", quantity=3, amount=1000),))])
    assert body_of(case, 0)["items"] == [
        {"name": "3 x Widget", "quantity": 1, "gross_price": 10, "taxes": [], "save_item": False}
    ]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, ""),
        ({"is_draft": True}, "is_draft"),
        ({"number": None}, "not_numbered"),
        ({"total_with_tax": Decimal("99.99")}, "total_differs"),
        ({"currency_code": "USD"}, "currency_differs"),
        ({"total_paid": 0}, "payment_differs"),
    ],
)
def test_an_answer_that_contradicts_the_plan_is_seen(change: dict[str, Any], fault: str) -> None:
    (document,) = plan(Case(facts=(succeeded(),)), CUSTOMER).documents
    answer = {"is_draft": False, "number": "1", "total_with_tax": 100, "currency_code": "EUR", "total_paid": 100}
    assert answer_differs(document, answer | change) == fault


def test_metadata_values_fit_the_api() -> None:
    case = Case(facts=(succeeded(payment_id="p" * 400),))
    case = issue(case, plan(case, CUSTOMER).documents)
    assert max(len(value) for value in body_of(case, 0)["metadata"].values()) == 250


def test_idempotency_keys_are_stable_distinct_and_short() -> None:
    assert idempotency_key("a", "b") == idempotency_key("a", "b")
    assert idempotency_key("a", "b") != idempotency_key("b", "a")
    assert len(idempotency_key("a", "b")) == 64


def test_only_an_issued_document_can_be_referred_to() -> None:
    case, _ = arrive([succeeded()])
    assert isinstance(case.documents[0], RecordedDocument)
    assert case.documents[0].state is DocumentState.ISSUED
