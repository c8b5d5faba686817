"""Classification of sales for VAT, as the reference describes it, and the register of tax numbers behind it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.sandbox_driver import Api, invoice_body
from tools.sandbox.settings import Settings

SLOVENIA = {"country_code": "SI"}
REGISTERED, UNKNOWN = "DE136695976", "DE136695977"
GERMAN = {"country_code": "DE", "tax_number": REGISTERED}


def _check(api: Api, issuer: dict[str, Any], customer: dict[str, Any]) -> dict[str, Any]:
    return dict(api.call("POST", "/transaction-type/check", {"issuer": issuer, "customer": customer}).json)


@pytest.mark.parametrize(
    ("issuer", "customer", "expected", "reverse_charge", "valid"),
    [
        (SLOVENIA, {"country": "Slovenija"}, "domestic", False, None),
        (SLOVENIA, {"country": "Slovenija", "tax_number": "SI50223054"}, "domestic", False, None),
        (SLOVENIA, {}, "domestic", False, None),
        (SLOVENIA, GERMAN, "intra_eu_b2b", True, True),
        (SLOVENIA, GERMAN | {"tax_number": "de 136.695.976"}, "intra_eu_b2b", True, True),
        (SLOVENIA, GERMAN | {"tax_number": "136695976"}, "intra_eu_b2b", True, True),
        (SLOVENIA, GERMAN | {"tax_number": UNKNOWN}, "intra_eu_b2c", False, False),
        (SLOVENIA, GERMAN | {"tax_number": "DE1"}, "intra_eu_b2c", False, False),
        (SLOVENIA, {"country": "Allemagne"}, "intra_eu_b2c", False, None),
        (SLOVENIA, {"country_code": "EL", "tax_number": "EL094259216"}, "intra_eu_b2b", True, True),
        (SLOVENIA, {"country": "Greece", "tax_number": "094259216"}, "intra_eu_b2b", True, True),
        (SLOVENIA, GERMAN | {"is_end_consumer": True}, "intra_eu_b2b", True, True),
        (SLOVENIA, {"country_code": "US", "tax_number": "1"}, "3w_b2b", True, None),
        (SLOVENIA, {"country_code": "US", "tax_number": "1", "is_end_consumer": True}, "3w_b2c", True, None),
        (SLOVENIA, {"country_code": "US"}, "3w_b2c", True, None),
        ({"country_code": "US"}, GERMAN, "3w_b2b", False, None),
        (SLOVENIA | {"is_tax_subject": False}, GERMAN, "intra_eu_b2c", False, None),
        (SLOVENIA | {"is_tax_subject": False}, {"country_code": "US", "tax_number": "1"}, "3w_b2c", False, None),
    ],
)
def test_countries_and_registered_tax_numbers_decide(
    issuer: dict[str, Any], customer: dict[str, Any], expected: str, reverse_charge: bool, valid: bool | None
) -> None:
    result = _check(Api(), issuer, customer)
    told = (result["transaction_type"], result["reverse_charge_applies"], result["vies_valid"])
    assert told == (expected, reverse_charge, valid)
    assert result["warning"] is None
    assert result["is_tax_subject"] is (issuer.get("is_tax_subject") is not False)


def test_numbers_count_as_told_whatever_their_form() -> None:
    api = Api(Settings(rate_limits=None, tax_numbers={"DE 1": True, REGISTERED: False}))
    assert _check(api, SLOVENIA, GERMAN | {"tax_number": "DE1"})["transaction_type"] == "intra_eu_b2b"
    assert _check(api, SLOVENIA, GERMAN)["transaction_type"] == "intra_eu_b2c"
    api.sandbox.registry.tell({REGISTERED: True})
    assert _check(api, SLOVENIA, GERMAN)["vies_valid"] is True
    api.sandbox.reset()
    api.entity = api.create("/entities", {"name": "Again", "country": "Slovenia"})["id"]
    assert _check(api, SLOVENIA, GERMAN)["vies_valid"] is False


def test_a_register_that_does_not_answer_is_said_and_the_buyer_is_a_consumer() -> None:
    api = Api()
    api.sandbox.faults.add_json({"kind": "registry_down"})
    assert _check(api, SLOVENIA, {"country_code": "DE"})["warning"] is None
    down = _check(api, SLOVENIA, GERMAN)
    assert (down["transaction_type"], down["reverse_charge_applies"], down["vies_valid"]) == ("intra_eu_b2c", False, None)
    assert down["warning"]
    assert _check(api, SLOVENIA, GERMAN)["vies_valid"] is True


def test_a_register_fault_leaves_other_faults_to_their_requests() -> None:
    api = Api()
    api.sandbox.faults.add_json({"kind": "registry_down", "times": None})
    api.sandbox.faults.add_json({"kind": "status", "status": 503, "match": {"path_prefix": "/transaction-type"}})
    assert api.call("POST", "/transaction-type/check", {"issuer": SLOVENIA, "customer": GERMAN}).status == 503
    assert _check(api, SLOVENIA, GERMAN)["warning"]


def test_a_fault_waits_for_its_own_occasion() -> None:
    api = Api()
    api.sandbox.faults.add_json({"kind": "email_unverified"})
    invoice = _invoice(api)
    assert invoice["vies"]["valid"] is True
    assert api.call("POST", f"/documents/{invoice['id']}/send", {"to": "ada@example.com"}).status == 403


def _invoice(api: Api, **body: Any) -> dict[str, Any]:
    return api.invoice(customer={"name": "Ada GmbH"} | GERMAN, **body)


def _rules(api: Api, **rules: bool) -> None:
    api.call("PATCH", f"/entities/{api.entity}", {"settings": {"tax_rules": {"eu": rules}}})


def test_a_document_says_what_the_register_said() -> None:
    api = Api()
    invoice = _invoice(api)
    assert invoice["transaction_type"] == "intra_eu_b2b"
    expected = {"valid": True, "vat_number": REGISTERED, "checked_at": "2026-11-20T12:00:00.000Z", "warning": None}
    assert invoice["vies"] == expected
    api.sandbox.registry.tell({REGISTERED: False})
    note = api.credit_note(customer={"name": "Ada GmbH"} | GERMAN)
    assert (note["transaction_type"], note["vies"]["valid"]) == ("intra_eu_b2c", False)
    api.sandbox.faults.add_json({"kind": "registry_down"})
    unknown = _invoice(api)
    assert (unknown["transaction_type"], unknown["vies"]["valid"]) == ("intra_eu_b2c", None)
    assert unknown["vies"]["warning"]
    assert api.invoice()["vies"] is None
    greek = {"name": "Ada", "country": "Greece", "tax_number": "094 259 216"}
    assert api.invoice(customer=greek)["vies"]["vat_number"] == "EL094259216"


def test_a_change_of_an_issued_document_does_not_judge_its_parties_again() -> None:
    api = Api()
    _rules(api, auto_reverse_charge=True)
    invoice = _invoice(api)
    api.sandbox.faults.add_json({"kind": "registry_down", "times": None})
    changed = api.call("PATCH", f"/invoices/{invoice['id']}", {"note": "x"}).json
    assert (changed["transaction_type"], changed["vies"], changed["taxes"]) == (
        invoice["transaction_type"],
        invoice["vies"],
        invoice["taxes"],
    )
    api.call("POST", f"/invoices/{invoice['id']}/void")
    assert api.get("/credit-notes")["data"][0]["transaction_type"] == "intra_eu_b2b"
    judged = api.call("PATCH", f"/invoices/{_invoice(api)['id']}", {"customer": {"name": "B", "country_code": "US"}}).json
    assert judged["transaction_type"] == "3w_b2c"


def test_an_entity_can_do_without_the_register() -> None:
    api = Api()
    _rules(api, vies_validate_vat=False)
    api.sandbox.faults.add_json({"kind": "registry_down"})
    invoice = api.invoice(customer={"name": "Ada", "country_code": "DE", "tax_number": "DE1"})
    assert (invoice["transaction_type"], invoice["vies"]) == ("intra_eu_b2b", None)


def test_an_issuer_outside_vat_sells_to_consumers_only() -> None:
    api = Api()
    api.call("PATCH", f"/entities/{api.entity}", {"is_tax_subject": False})
    invoice = _invoice(api)
    assert (invoice["transaction_type"], invoice["vies"]) == ("intra_eu_b2c", None)


NET = [{"name": "A", "quantity": 1, "price": 100, "taxes": [{"rate": 22}]}]


@pytest.mark.parametrize(
    ("rules", "customer", "total", "rows", "clause"),
    [
        ({}, GERMAN, 122, [(22, 22, False)], None),
        ({"auto_reverse_charge": True}, GERMAN, 100, [(0, 0, True)], "Reverse charge"),
        ({"auto_reverse_charge": True}, GERMAN | {"tax_number": UNKNOWN}, 122, [(22, 22, False)], None),
        ({"auto_reverse_charge": True}, {"country_code": "US", "tax_number": "1"}, 122, [(22, 22, False)], None),
        ({"auto_remove_tax_export": True}, {"country_code": "US"}, 100, [], None),
        ({"auto_remove_tax_export": True}, GERMAN, 122, [(22, 22, False)], None),
        ({"auto_remove_tax_export": True}, {"country_code": "SI"}, 122, [(22, 22, False)], None),
    ],
)
def test_taxes_are_changed_only_by_the_rules_an_entity_switches_on(
    rules: dict[str, bool], customer: dict[str, Any], total: float, rows: list[Any], clause: str | None
) -> None:
    api = Api()
    _rules(api, **rules)
    invoice = api.create("/invoices", {"items": NET, "customer": {"name": "Ada"} | customer})
    assert invoice["total_with_tax"] == total
    assert [(row["rate"], row["amount"], row["reverse_charge"]) for row in invoice["taxes"]] == rows
    assert invoice["tax_clause"] == clause


def test_a_total_that_the_rules_changed_is_not_the_expected_one() -> None:
    api = Api()
    _rules(api, auto_reverse_charge=True)
    body = {"items": NET, "customer": {"name": "Ada"} | GERMAN, "expected_total_with_tax": 122}
    assert api.call("POST", "/invoices", body).issues[0]["path"] == ["expected_total_with_tax"]


def test_gross_prices_can_be_required() -> None:
    api = Api()
    _rules(api, require_gross_prices=True)
    assert api.call("POST", "/invoices", {"items": NET}).issues[0]["path"] == ["items", 0, "gross_price"]
    assert api.call("POST", "/invoices", invoice_body()).status == 201


def test_clauses_come_from_the_request_or_the_type_of_the_sale() -> None:
    api = Api()
    clauses = {"intra_eu_b2b": "Art. 196", "export": "Art. 146"}
    api.call("PATCH", f"/entities/{api.entity}", {"settings": {"tax_clause_defaults": clauses}})
    assert _invoice(api)["tax_clause"] == "Art. 196"
    assert _invoice(api, tax_clause="Own")["tax_clause"] == "Own"
    assert _invoice(api, tax_clause="")["tax_clause"] == ""
    assert api.invoice(customer={"name": "A", "country_code": "US"})["tax_clause"] == "Art. 146"
    assert api.invoice()["tax_clause"] is None
