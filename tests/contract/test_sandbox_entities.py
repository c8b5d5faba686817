"""Entities: what their country brings, being disabled, looking them up, and the rules of Portugal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.sandbox_driver import Api, invoice_body

LISBON = {
    "name": "Café Lda",
    "country": "Portugal",
    "tax_number": "501964843",
    "phone": "+351 1",
    "email": "a@example.com",
    "address": "Rua 1",
    "city": "Lisboa",
    "post_code": "1000-001",
    "starting_capital": 5000,
}


@pytest.mark.parametrize(
    ("country", "there", "missing"),
    [
        ("Slovenia", {"furs", "eslog", "upn_qr", "eu_tax_rules"}, {"fina"}),
        ("Croatia", {"fina", "hub3_qr", "eu_tax_rules"}, {"furs"}),
        ("Germany", {"eu_tax_rules", "tax_clause_defaults", "epc_qr"}, {"furs", "fina"}),
        ("United States", {"us_tax_rate_lookup"}, {"eu_tax_rules"}),
        ("Japan", set(), {"eu_tax_rules", "furs"}),
    ],
)
def test_features_follow_the_country(country: str, there: set[str], missing: set[str]) -> None:
    rules = Api().create("/entities", {"name": "A", "country": country})["country_rules"]
    assert there <= set(rules["features"])
    assert not missing & set(rules["features"])
    assert rules["max_taxes_per_item"] == 1


def test_entities_are_found_by_metadata_in_their_own_environment() -> None:
    api = Api()
    mine = api.create("/entities", {"name": "B", "country": "DE", "metadata": {"business_customer": "bc_1"}})["id"]
    live = {"authorization": "Bearer sk_live_1"}
    api.create("/entities", {"name": "C", "country": "DE", "metadata": {"business_customer": "bc_1"}}, headers=live)
    for query in ({"metadata": {"business_customer": {"equals": "bc_1"}}}, {"metadata.business_customer": "bc_1"}):
        assert api.ids("/entities", query=json.dumps(query)) == [mine]


def test_a_disabled_entity_can_be_read_and_enabled_but_issues_nothing() -> None:
    api = Api()
    invoice = api.invoice()["id"]
    address = f"/entities/{api.entity}"
    assert api.call("DELETE", address).status == 204
    for path, body in (("/invoices", invoice_body()), ("/payments", {"document_id": invoice, "amount": 1, "type": "card"})):
        refused = api.call("POST", path, body)
        assert (refused.status, refused.json["code"]) == (403, "forbidden")
    assert api.call("POST", "/invoices", invoice_body(), headers={"x-entity-id": None}).status == 403
    assert api.ids("/invoices") == [invoice]
    assert api.call("PATCH", address, {"is_enabled": True}).json["is_enabled"] is True
    assert api.invoice()["number"] == "2026-00002"


@pytest.mark.parametrize("missing", sorted(LISBON.keys() - {"name", "country"}))
def test_portugal_needs_all_of_it_and_says_so_in_words_only(missing: str) -> None:
    api = Api()
    reply = api.call("POST", "/entities", {name: value for name, value in LISBON.items() if name != missing})
    assert (reply.status, reply.json["code"]) == (422, "validation_error")
    assert "cause" not in reply.json
    assert missing in reply.json["message"]
    entity = api.create("/entities", LISBON)["id"]
    assert api.call("PATCH", f"/entities/{entity}", {missing: None}).status == 422
    assert api.call("PATCH", f"/entities/{entity}", {"name": "Casa Lda"}).status == 200


def test_portugal_has_no_drafts_no_changes_and_no_payments_on_credit_notes() -> None:
    api = Api()
    api.entity = api.create("/entities", LISBON)["id"]
    assert api.call("POST", "/invoices", invoice_body(is_draft=True)).status == 422
    invoice = api.invoice(payments=[{"type": "card"}])["id"]
    assert api.call("PATCH", f"/invoices/{invoice}", {"note": "x"}).status == 422
    linked = {"linked_documents": [invoice]}
    assert api.call("POST", "/credit-notes", invoice_body(61, **linked, payments=[{"type": "card"}])).status == 422
    note = api.credit_note(61, **linked)["id"]
    assert api.call("POST", "/payments", {"document_id": note, "amount": 1, "type": "card"}).status == 422
    assert api.get(f"/credit-notes/{note}")["total_paid"] == 0


def test_what_cannot_change_is_refused() -> None:
    api = Api()
    for body in ({"country": "Italy"}, {"country_code": "IT"}, {"environment": "live"}):
        changes: dict[str, Any] = body
        assert api.call("PATCH", f"/entities/{api.entity}", changes).status == 422
