"""Taxes: rates over time, classifications, deletion, and what documents show of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.sandbox_driver import Api


def _tax(api: Api, rate: float = 22, **body: Any) -> dict[str, Any]:
    return api.create("/taxes", {"tax_rates": [{"rate": rate}]} | body)


def _items(**selector: Any) -> list[dict[str, Any]]:
    return [{"name": "A", "quantity": 1, "price": 100, "taxes": [selector]}]


def test_a_tax_has_defaults_and_keeps_its_rates_newest_first() -> None:
    api = Api()
    tax = api.create("/taxes", {"tax_rates": [{"rate": 20}, {"rate": 22, "valid_from": "2013-07-01"}]})
    assert [(row["rate"], row["valid_from"]) for row in tax["tax_rates"]] == [(22, "2013-07-01"), (20, "1970-01-01")]
    assert (tax["name"], tax["is_default"], tax["classification"], tax["metadata"]) == ("22%", False, None, {})
    twice = {"tax_rates": [{"rate": 20}, {"rate": 22}]}
    assert api.call("POST", "/taxes", twice).issues[0]["path"] == ["tax_rates"]
    assert api.call("POST", "/taxes", {"tax_rates": [{"rate": 101}]}).status == 422
    assert api.call("POST", "/taxes", {"tax_rates": []}).status == 422


def test_a_change_replaces_the_rates_and_touches_nothing_issued() -> None:
    api = Api()
    tax = _tax(api, name="Standard", metadata={"key": "si"})
    invoice = api.create("/invoices", {"items": _items(tax_id=tax["id"])})
    address = f"/taxes/{tax['id']}"
    rates = [{"rate": 25, "valid_from": "2026-11-20"}, {"rate": 22, "valid_from": "2013-07-01"}]
    changed = api.call("PATCH", address, {"tax_rates": rates, "is_default": True}).json
    assert (changed["tax_rates"], changed["is_default"], changed["name"]) == (rates, True, "Standard")
    assert api.get(address) == changed
    assert api.get(f"/invoices/{invoice['id']}")["taxes"] == invoice["taxes"]
    assert api.create("/invoices", {"items": _items(tax_id=tax["id"])})["total_with_tax"] == 125
    assert api.create("/invoices", {"items": _items(tax_id=tax["id"]), "date": "2026-11-19"})["total_with_tax"] == 122
    assert api.call("POST", "/invoices", {"items": _items(tax_id=tax["id"]), "date": "2013-06-30"}).status == 422
    assert api.call("PATCH", address, {"name": "Other"}).status == 422
    assert api.call("PATCH", address, {"tax_rates": rates, "name": "Other"}).status == 422


def test_there_is_one_default() -> None:
    api = Api()
    first, second = _tax(api, is_default=True), _tax(api, 9.5)
    api.call("PATCH", f"/taxes/{second['id']}", {"tax_rates": [{"rate": 9.5}], "is_default": True})
    assert [api.get(f"/taxes/{tax['id']}")["is_default"] for tax in (first, second)] == [False, True]


def test_taxes_are_found_by_metadata() -> None:
    api = Api()
    mine = _tax(api, metadata={"rate_key": "DE 19%"})["id"]
    _tax(api, 19, metadata={"rate_key": "DE 7%"})
    for query in ({"metadata": {"rate_key": {"equals": "DE 19%"}}}, {"metadata.rate_key": "DE 19%"}):
        assert api.ids("/taxes", query=json.dumps(query)) == [mine]


def test_a_classification_is_used_once_per_entity() -> None:
    api = Api()
    first = _tax(api, classification="standard")
    reply = api.call("POST", "/taxes", {"tax_rates": [{"rate": 9}], "classification": "standard"})
    assert (reply.status, reply.issues[0]["path"]) == (422, ["classification"])
    api.call("DELETE", f"/taxes/{first['id']}")
    second = _tax(api, 25, classification="standard")
    row = api.create("/invoices", {"items": _items(classification="standard")})["taxes"][0]
    assert (row["tax_id"], row["rate"]) == (second["id"], 25)
    assert api.call("POST", f"/taxes/{first['id']}/restore").issues[0]["path"] == ["classification"]
    api.entity = api.create("/entities", {"name": "Second", "country": "Germany"})["id"]
    assert _tax(api, classification="standard")["id"]


def test_a_deleted_tax_is_gone_from_lists_and_lines_but_not_from_documents() -> None:
    api = Api()
    tax = _tax(api, is_default=True, classification="standard")
    invoice = api.create("/invoices", {"items": _items(tax_id=tax["id"])})["id"]
    address = f"/taxes/{tax['id']}"
    assert api.call("DELETE", address).status == 204
    assert api.ids("/taxes") == []
    assert api.get(address)["deleted_at"]
    assert api.call("DELETE", address).status == 404
    assert api.call("PATCH", address, {"tax_rates": [{"rate": 1}]}).status == 404
    assert api.get(f"/invoices/{invoice}")["taxes"][0]["tax_id"] == tax["id"]
    assert api.create("/invoices", {"items": _items(rate=22)})["taxes"][0]["tax_id"] is None
    assert api.create("/invoices", {"items": [{"name": "A", "quantity": 1, "price": 1}]})["taxes"] == []
    assert api.call("POST", "/invoices", {"items": _items(classification="standard")}).status == 422
    assert api.call("POST", f"{address}/restore").json["deleted_at"] is None
    assert api.call("POST", f"{address}/restore").status == 409
    assert api.create("/invoices", {"items": _items(tax_id=tax["id"])})["total_with_tax"] == 122


@pytest.mark.parametrize("path", ["/invoices", "/credit-notes"])
def test_a_tax_that_is_deleted_foreign_or_unknown_is_refused_by_its_place_in_the_body(path: str) -> None:
    api = Api()
    deleted, elsewhere = _tax(api)["id"], api.entity
    api.call("DELETE", f"/taxes/{deleted}")
    api.entity = api.create("/entities", {"name": "Second", "country": "Germany"})["id"]
    foreign = _tax(api)["id"]
    api.entity = elsewhere
    for tax in (deleted, foreign, "tax_unknown"):
        reply = api.call("POST", path, {"items": _items(tax_id=tax)})
        assert (reply.status, reply.json["code"]) == (422, "validation_error")
        assert reply.issues[0]["path"] == ["items", 0, "taxes", 0, "tax_id"]
        assert reply.issues[0]["message"]
    assert api.ids(path) == []


@pytest.mark.parametrize("path", ["/invoices", "/credit-notes"])
def test_the_summary_has_rows_by_tax_and_reverse_charge_costs_nothing(path: str) -> None:
    api = Api()
    standard, reduced = _tax(api, 22)["id"], _tax(api, 9.5)["id"]
    items = [*_items(tax_id=standard), *_items(tax_id=reduced), *_items(tax_id=standard, reverse_charge=True)]
    document = api.create(path, {"items": items, "calculation_mode": "b2b_standard", "expected_total_with_tax": 331.5})
    rows = [(row["tax_id"], row["rate"], row["base"], row["amount"], row["reverse_charge"]) for row in document["taxes"]]
    assert rows == [(standard, 22, 100, 22, False), (reduced, 9.5, 100, 9.5, False), (standard, 22, 100, 0, True)]
    assert [line["taxes"][0]["reverse_charge"] for line in document["items"]] == [False, False, True]
    assert (document["total"], document["total_with_tax"], document["rounding_correction"]) == (300, 331.5, None)
