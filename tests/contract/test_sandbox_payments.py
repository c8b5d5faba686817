"""Payments and balances."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.sandbox_driver import UNHURRIED, Api, invoice_body
from tools.sandbox.settings import Settings


def _balance(api: Api, path: str) -> tuple[float, float, bool]:
    document = api.get(path)
    return document["total_paid"], document["total_due"], document["paid_in_full"]


def test_an_invoice_is_created_issued_and_paid_in_one_request() -> None:
    api = Api()
    invoice = api.invoice(122, payments=[{"type": "card", "amount": 100, "reference": "p1"}, {"type": "cash"}])
    assert (invoice["total_paid"], invoice["total_due"], invoice["paid_in_full"]) == (122, 0, True)
    payments = api.get("/payments")["data"]
    assert [(payment["amount"], payment["invoice_id"]) for payment in payments] == [(100, invoice["id"]), (22, invoice["id"])]
    assert (payments[0]["reference"], payments[0]["date"]) == ("p1", "2026-11-20T00:00:00.000Z")
    assert api.ids("/payments", query=f'{{"invoice_id": "{invoice["id"]}"}}') == [payment["id"] for payment in payments]


@pytest.mark.parametrize(
    ("payments", "path"),
    [
        ([{"type": "card", "amount": 122.01}], "amount"),
        ([{"type": "card", "amount": 122}, {"type": "card", "amount": 0.01}], "amount"),
        ([{"type": "card"}, {"type": "card"}], "amount"),
        ([{"type": "card", "amount": 0}], "amount"),
        ([{"type": "card", "amount": 1.001}], "amount"),
        ([{"type": "card", "amount": 1, "date": "2026-11-21"}], "date"),
        ([{"type": "credit_note", "amount": 1}], "type"),
    ],
)
def test_an_inline_payment_that_is_refused_leaves_nothing(payments: list[dict[str, Any]], path: str) -> None:
    api = Api()
    reply = api.call("POST", "/invoices", invoice_body(122, payments=payments, customer={"name": "A", "save_customer": True}))
    assert (reply.status, reply.issues[0]["path"][-1]) == (422, path)
    assert api.ids("/invoices") == api.ids("/payments") == api.ids("/customers") == []
    assert api.invoice()["number"] == "2026-00001"


def test_drafts_and_voided_documents_take_no_payments() -> None:
    api = Api()
    assert api.call("POST", "/invoices", invoice_body(is_draft=True, payments=[{"type": "card"}])).status == 422
    draft, voided = api.invoice(is_draft=True)["id"], api.invoice()["id"]
    api.call("POST", f"/invoices/{voided}/void")
    for identifier in (draft, voided):
        assert api.call("POST", "/payments", {"document_id": identifier, "amount": 1, "type": "card"}).status == 422


def test_payments_move_the_balance_when_made_changed_deleted_and_restored() -> None:
    api = Api()
    path = f"/invoices/{api.invoice(122)['id']}"
    payment = api.create("/payments", {"invoice_id": path.rpartition("/")[2], "amount": 22, "type": "card"})["id"]
    assert _balance(api, path) == (22, 100, False)
    assert api.call("PATCH", f"/payments/{payment}", {"amount": 122}).status == 200
    assert _balance(api, path) == (122, 0, True)
    assert api.call("PATCH", f"/payments/{payment}", {"amount": 122.01}).status == 422
    assert api.call("DELETE", f"/payments/{payment}").status == 204
    assert _balance(api, path) == (0, 122, False)
    assert api.call("DELETE", f"/payments/{payment}").status == 404
    assert api.ids("/payments") == []
    assert api.ids("/payments", query='{"deleted_at": {"not": null}}') == [payment]
    other = api.create("/payments", {"document_id": path.rpartition("/")[2], "amount": 1, "type": "card"})["id"]
    assert api.call("POST", f"/payments/{payment}/restore").status == 422
    api.call("DELETE", f"/payments/{other}")
    assert api.call("POST", f"/payments/{payment}/restore").status == 200
    assert api.call("POST", f"/payments/{payment}/restore").status == 409
    assert _balance(api, path) == (122, 0, True)


def test_over_payment_is_refused_unless_accepted() -> None:
    strict, lenient = Api(), Api(Settings(rate_limits=None, accept_overpayment=True))
    for api, status in ((strict, 422), (lenient, 201)):
        invoice = api.invoice(122)["id"]
        assert api.call("POST", "/payments", {"document_id": invoice, "amount": 123, "type": "card"}).status == status
        note = api.credit_note(61)["id"]
        assert api.call("POST", "/payments", {"document_id": note, "amount": 62, "type": "card"}).status == 422


def test_a_refund_is_paid_out_on_the_credit_note() -> None:
    api = Api()
    invoice = api.invoice(122, payments=[{"type": "card"}])["id"]
    note = api.credit_note(61, linked_documents=[invoice], payments=[{"type": "card", "amount": 61, "reference": "re_1"}])
    assert (note["total_paid"], note["total_due"], note["paid_in_full"]) == (61, 0, True)
    assert _balance(api, f"/invoices/{invoice}") == (122, 0, True)
    (payout,) = api.get("/payments", query='{"credit_note_id": {"not": null}}')["data"]
    assert (payout["credit_note_id"], payout["invoice_id"], payout["amount"]) == (note["id"], None, 61)


def test_applying_credit_needs_both_documents_and_moves_both_balances() -> None:
    api = Api()
    invoice, note = api.invoice(122)["id"], api.credit_note(61)["id"]
    both = {"invoice_id": invoice, "credit_note_id": note, "type": "credit_note"}
    assert api.call("POST", "/payments", {"invoice_id": invoice, "amount": 1, "type": "credit_note"}).status == 422
    assert api.call("POST", "/payments", both | {"amount": 1, "type": "card"}).status == 422
    assert api.call("POST", "/payments", both | {"amount": 61.01}).status == 422
    payment = api.create("/payments", both | {"amount": 60})["id"]
    assert _balance(api, f"/invoices/{invoice}") == (60, 62, False)
    assert _balance(api, f"/credit-notes/{note}") == (60, 1, False)
    assert api.call("PATCH", f"/payments/{payment}", {"type": "card"}).status == 422
    api.call("DELETE", f"/payments/{payment}")
    assert _balance(api, f"/credit-notes/{note}") == (0, 61, False)


def test_documents_of_two_currencies_cannot_settle_each_other() -> None:
    api = Api()
    body = {"invoice_id": api.invoice(currency_code="USD")["id"], "credit_note_id": api.credit_note()["id"]}
    assert api.call("POST", "/payments", body | {"amount": 1, "type": "credit_note"}).status == 422


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ({}, 422),
        ({"document_id": "inv_unknown"}, 404),
        ({"expense_id": "exp_1"}, 422),
        ({"advance_invoice_id": "adv_1"}, 422),
        ({"invoice_id": "cre_1"}, 404),
    ],
)
def test_a_payment_needs_a_document_that_exists(target: dict[str, str], status: int) -> None:
    assert Api().call("POST", "/payments", target | {"amount": 1, "type": "card"}).status == status


def test_two_names_for_different_documents_contradict() -> None:
    api = Api()
    body = {"document_id": api.invoice()["id"], "invoice_id": api.invoice()["id"], "amount": 1, "type": "card"}
    assert api.call("POST", "/payments", body).status == 422


_moves = st.lists(
    st.tuples(st.sampled_from(["pay", "pay out", "apply", "delete", "restore"]), st.integers(1, 8000)), min_size=1, max_size=25
)


@UNHURRIED
@given(_moves)
def test_no_history_takes_more_than_a_document_is_worth(moves: list[tuple[str, int]]) -> None:
    api = Api()
    invoice, note = api.invoice(122)["id"], api.credit_note(61)["id"]
    targets = {"pay": {"invoice_id": invoice}, "pay out": {"credit_note_id": note}}
    targets["apply"] = targets["pay"] | targets["pay out"]
    for move, cents in moves:
        payments = api.ids(
            "/payments", query='{"deleted_at": {"in": [null]}}' if move == "delete" else '{"deleted_at": {"not": ""}}'
        )
        if move in targets:
            kind = "credit_note" if move == "apply" else "card"
            api.call("POST", "/payments", targets[move] | {"amount": cents / 100, "type": kind})
        elif payments:
            address = f"/payments/{payments[cents % len(payments)]}"
            api.call("DELETE", address) if move == "delete" else api.call("POST", f"{address}/restore")
        _check_balance(api, f"/invoices/{invoice}", "invoice_id")
        _check_balance(api, f"/credit-notes/{note}", "credit_note_id")


def _check_balance(api: Api, path: str, field: str) -> None:
    document = api.get(path)
    payments = api.get("/payments", limit="100", query=f'{{"{field}": "{document["id"]}"}}')["data"]
    paid = sum(Decimal(str(payment["amount"])) for payment in payments)
    total, due = Decimal(str(document["total_with_tax"])), Decimal(str(document["total_due"]))
    assert Decimal(str(document["total_paid"])) == paid <= total
    assert due == total - paid
    assert document["paid_in_full"] == (due == 0)
