"""Invoices and credit notes: numbers, drafts, dates, parties, links, changes, voiding."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.contract.sandbox_driver import Api, invoice_body
from tools.sandbox.settings import Settings

INVOICE = {"type": "invoice"}


def test_numbers_are_unbroken_per_entity_kind_and_year() -> None:
    api = Api()
    assert [api.invoice()["number"] for _ in range(2)] == ["2026-00001", "2026-00002"]
    assert api.credit_note()["number"] == "CN-2026-00001"
    assert api.invoice(date="2025-12-31")["number"] == "2025-00001"
    assert api.call("POST", "/invoices", invoice_body(date="x")).status == 422
    assert api.invoice(is_draft=True)["number"] is None
    assert api.invoice()["number"] == "2026-00003"
    api.entity = api.create("/entities", {"name": "Second", "country": "Germany"})["id"]
    assert api.invoice()["number"] == "2026-00001"


def test_number_format_and_start_come_from_the_entity() -> None:
    api = Api()
    settings = {"number_formats": {"invoice": "A/{yy}-{nnn}"}, "number_sequence_starts": {"invoice": 41}}
    api.call("PATCH", f"/entities/{api.entity}", {"settings": settings})
    assert [api.invoice()["number"] for _ in range(2)] == ["A/26-041", "A/26-042"]
    assert api.credit_note()["number"] == "CN-2026-00001"


def test_a_draft_is_issued_once_or_deleted() -> None:
    api = Api()
    draft, other = api.invoice(is_draft=True), api.invoice(is_draft=True)
    assert (draft["is_draft"], draft["number"], draft["paid_in_full"]) == (True, None, False)
    address = f"/documents/{draft['id']}"
    assert api.call("POST", f"{address}/finalize", query={"type": "credit_note"}).status == 404
    issued = api.call("POST", f"{address}/finalize", {}, query=INVOICE).json
    assert (issued["is_draft"], issued["number"]) == (False, "2026-00001")
    assert api.call("POST", f"{address}/finalize", query=INVOICE).status == 409
    assert api.call("DELETE", address, query=INVOICE).status == 409
    assert api.call("DELETE", f"/documents/{other['id']}", query=INVOICE).content == b""
    assert api.call("GET", f"/invoices/{other['id']}").status == 404


@pytest.mark.parametrize(("path", "kind"), [("/invoices", "invoice"), ("/credit-notes", "credit_note")])
def test_repeats_with_their_key_finalize_and_delete_once(path: str, kind: str) -> None:
    api = Api()
    one, two = (api.create(path, invoice_body(is_draft=True))["id"] for _ in range(2))
    by_type = {"type": kind}
    first, again = (api.call("POST", f"/documents/{one}/finalize", query=by_type, key="f") for _ in range(2))
    assert first.status == again.status == 200
    assert first.json == again.json == api.get(f"{path}/{one}")
    assert [api.call("DELETE", f"/documents/{two}", query=by_type, key="d").status for _ in range(2)] == [204, 204]
    assert api.call("DELETE", f"/documents/{two}", query=by_type, key="d2").status == 404
    assert api.ids(path) == [one]


def test_a_draft_takes_changes_but_no_payments() -> None:
    api = Api()
    assert api.call("POST", "/invoices", invoice_body(is_draft=True, payments=[{"type": "card"}])).issues[0]["path"] == [
        "payments"
    ]
    draft = api.invoice(122, is_draft=True)["id"]
    assert api.call("POST", "/payments", {"document_id": draft, "amount": 1, "type": "card"}).status == 422
    api.call("PATCH", f"/invoices/{draft}", {"items": invoice_body(61)["items"], "date": "2026-11-01"})
    api.clock.advance(40 * 24 * 3600)
    issued = api.call("POST", f"/documents/{draft}/finalize", query=INVOICE).json
    assert (issued["total_with_tax"], issued["date"], issued["number"]) == (61, "2026-11-01T00:00:00.000Z", "2026-00001")
    assert api.create("/payments", {"document_id": draft, "amount": 61, "type": "card"})["invoice_id"] == draft
    assert api.get(f"/invoices/{draft}")["paid_in_full"]


def test_a_deleted_draft_leaves_no_link_behind() -> None:
    api = Api()
    invoice = api.invoice()["id"]
    draft = api.credit_note(is_draft=True, linked_documents=[invoice])["id"]
    assert len(api.get(f"/invoices/{invoice}")["document_relations"]) == 1
    api.call("DELETE", f"/documents/{draft}", query={"type": "credit_note"})
    assert api.get(f"/invoices/{invoice}")["document_relations"] == []


def test_dates_have_defaults_and_the_forms_of_the_reference() -> None:
    api = Api()
    invoice = api.invoice(date_service="2026-11-01", date_service_to="2026-11-30")
    assert (invoice["date"], invoice["date_due"]) == ("2026-11-20T00:00:00.000Z", "2026-12-20T00:00:00.000Z")
    assert (invoice["date_service"], invoice["date_service_to"], invoice["date_year"]) == ("2026-11-01", "2026-11-30", 2026)
    assert invoice["created_at"] == "2026-11-20T12:00:00.000Z"
    assert api.invoice(date="2026-11-19T23:59:59Z")["date"] == "2026-11-19T00:00:00.000Z"
    assert api.credit_note()["date_due"] is None
    assert api.credit_note(date_due="2026-11-25")["date_due"] == "2026-11-25"


@pytest.mark.parametrize(
    ("field", "dates"),
    [
        ("date", {"date": "2026-11-21"}),
        ("date", {"date": "2026-02-30"}),
        ("date_due", {"date_due": "2026-11-19"}),
        ("date_due", {"date_due": "soon"}),
        ("date_service_to", {"date_service": "2026-11-02", "date_service_to": "2026-11-01"}),
    ],
)
def test_dates_that_make_no_sense(field: str, dates: dict[str, Any]) -> None:
    reply = Api().call("POST", "/invoices", invoice_body(**dates))
    assert (reply.status, reply.issues[0]["path"]) == (422, [field])


def test_today_is_where_the_entity_is() -> None:
    api = Api()
    api.clock.now = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    api.call("PATCH", f"/entities/{api.entity}", {"timezone": "Europe/Ljubljana"})
    assert api.invoice()["number"] == "2027-00001"
    assert api.call("PATCH", f"/entities/{api.entity}", {"timezone": "Europe/Atlantis"}).status == 422


def test_future_dates_can_be_accepted() -> None:
    api = Api(Settings(rate_limits=None, accept_future_dates=True))
    assert api.invoice(date="2027-01-01")["number"] == "2027-00001"


def test_the_currency_is_the_entitys_unless_given() -> None:
    api = Api()
    assert api.invoice()["currency_code"] == "EUR"
    assert api.invoice(currency_code="USD")["currency_code"] == "USD"
    assert api.call("POST", "/invoices", invoice_body(currency_code="eur")).status == 422
    assert api.call("POST", "/invoices", invoice_body(currency_code="EU")).status == 422


def test_foreign_amounts_are_converted_by_the_table_of_the_settings() -> None:
    rates = {"EUR": Decimal(1), "USD": Decimal("1.25"), "JPY": Decimal(160)}
    api = Api(Settings(rate_limits=None, exchange_rates=rates))
    invoice = api.invoice(122, currency_code="USD", payments=[{"type": "card", "amount": 61}])
    assert invoice["exchange_rate"] == {
        "base_currency": "USD",
        "quote_currency": "EUR",
        "rate": 0.8,
        "date": "2026-11-20",
    }
    assert (invoice["total_converted"], invoice["total_with_tax_converted"]) == (80, 97.6)
    assert (invoice["taxes"][0]["base_converted"], invoice["taxes"][0]["amount_converted"]) == (80, 17.6)
    assert (invoice["items"][0]["total_converted"], invoice["items"][0]["total_with_tax_converted"]) == (80, 97.6)
    (payment,) = api.get("/payments")["data"]
    assert (payment["amount"], payment["amount_converted"]) == (61, 48.8)
    assert api.call("PATCH", f"/payments/{payment['id']}", {"amount": 100}).json["amount_converted"] == 80
    note = api.credit_note(61, currency_code="USD", linked_documents=[invoice["id"]])
    assert note["total_with_tax_converted"] == 48.8
    api.call("PATCH", f"/entities/{api.entity}", {"currency_code": "JPY"})
    assert api.invoice(1, currency_code="USD")["total_with_tax_converted"] == 128


def test_nothing_is_converted_at_home_and_nothing_can_be_without_a_rate() -> None:
    api = Api()
    home = api.invoice(122)
    assert (home["exchange_rate"], home["total_converted"], home["total_with_tax_converted"]) == (None, 100, 122)
    unknown = api.invoice(122, currency_code="XTS", payments=[{"type": "card"}])
    assert (unknown["exchange_rate"], unknown["total_converted"], unknown["items"][0]["total_converted"]) == (None, None, None)
    assert api.get("/payments")["data"][0]["amount_converted"] is None
    assert api.invoice(122, currency_code="GBP")["total_with_tax_converted"] == 143.53


def test_customers_are_snapshots() -> None:
    api = Api()
    customer = api.create("/customers", {"name": "Ada", "city": "Berlin", "country_code": "DE"})["id"]
    invoice = api.invoice(customer_id=customer, customer={"city": "Bonn"})
    assert (invoice["customer"]["name"], invoice["customer"]["city"]) == ("Ada", "Bonn")
    assert invoice["transaction_type"] == "intra_eu_b2c"
    api.call("PATCH", f"/customers/{customer}", {"name": "Byron"})
    api.call("PATCH", f"/invoices/{invoice['id']}", {"note": "x"})
    assert api.get(f"/invoices/{invoice['id']}")["customer"]["name"] == "Ada"
    assert api.invoice()["customer"] is None


def test_an_inline_customer_is_stored_only_when_asked() -> None:
    api = Api()
    assert api.invoice(customer={"name": "Ada", "save_customer": False})["customer_id"] is None
    saved = api.invoice(customer={"name": "Ada", "save_customer": True})
    assert api.ids("/customers") == [saved["customer_id"]]
    assert "save_customer" not in saved["customer"]
    assert api.call("POST", "/invoices", invoice_body(customer={"city": "Bonn", "save_customer": True})).status == 422


def test_a_credit_note_and_its_invoice_name_each_other() -> None:
    api = Api()
    invoice = api.invoice()
    note = api.credit_note(linked_documents=[invoice["id"], invoice["id"]])
    (there,) = note["document_relations"]
    assert (there["relation_type"], there["source_id"], there["target_id"]) == ("credit_for", note["id"], invoice["id"])
    assert there["related_document"] == {"id": invoice["id"], "type": "invoice", "number": "2026-00001"}
    (back,) = api.get(f"/invoices/{invoice['id']}")["document_relations"]
    assert (back["relation_type"], back["related_document"]["number"]) == ("has_credit", "CN-2026-00001")
    corrective = api.invoice(linked_documents=[note["id"]])
    assert [relation["relation_type"] for relation in corrective["document_relations"]] == ["references"]


def test_changing_a_link_keeps_the_links_of_others() -> None:
    api = Api()
    first, second = api.invoice(), api.invoice()
    note = api.credit_note(linked_documents=[first["id"]])
    other = api.credit_note(linked_documents=[first["id"]])
    moved = api.call("PATCH", f"/credit-notes/{note['id']}", {"linked_documents": [second["id"]]}).json
    assert [relation["target_id"] for relation in moved["document_relations"]] == [second["id"]]
    left = api.get(f"/invoices/{first['id']}")["document_relations"]
    assert [relation["target_id"] for relation in left] == [other["id"]]


def test_only_issued_documents_of_the_same_currency_can_be_linked() -> None:
    api = Api()
    draft, dollars = api.invoice(is_draft=True)["id"], api.invoice(currency_code="USD")["id"]
    assert api.call("POST", "/credit-notes", invoice_body(linked_documents=[draft])).status == 422
    assert api.call("POST", "/credit-notes", invoice_body(linked_documents=[dollars])).status == 422
    assert api.call("POST", "/credit-notes", invoice_body(linked_documents=["inv_unknown"])).status == 404


def test_credit_above_the_invoice_is_accepted_unless_switched_off() -> None:
    lenient, strict = Api(), Api(Settings(rate_limits=None, accept_overcredit=False))
    for api, status in ((lenient, 201), (strict, 422)):
        invoice = api.invoice(122)["id"]
        api.credit_note(100, linked_documents=[invoice])
        assert api.call("POST", "/credit-notes", invoice_body(22.01, linked_documents=[invoice])).status == status
        assert api.call("POST", "/credit-notes", invoice_body(22, linked_documents=[invoice])).status == 201


def test_a_linked_credit_note_is_applied_only_when_switched_on() -> None:
    apart, applied = Api(), Api(Settings(rate_limits=None, apply_linked_credit=True))
    for api, due in ((apart, (122, 61)), (applied, (61, 0))):
        invoice = api.invoice(122)["id"]
        note = api.credit_note(61, linked_documents=[invoice])
        assert (api.get(f"/invoices/{invoice}")["total_due"], note["total_due"]) == due


def test_a_change_recalculates_and_cannot_go_below_what_is_paid() -> None:
    api = Api()
    invoice = api.invoice(122, payments=[{"type": "card", "amount": 100}], expected_total_with_tax=122)
    address = f"/invoices/{invoice['id']}"
    more = invoice_body(244)["items"]
    changed = api.call("PATCH", address, {"items": more, "change_reason": "More seats"}).json
    assert (changed["number"], changed["total_with_tax"], changed["total_due"]) == (invoice["number"], 244, 144)
    assert api.call("PATCH", address, {"items": invoice_body(99)["items"]}).status == 422
    assert api.call("PATCH", address, {"date": "2025-01-01"}).status == 422
    assert api.call("PATCH", address, {"metadata": {"a": "1"}}).json["metadata"] == {"a": "1"}
    assert api.get(address)["total_with_tax"] == 244


def test_voiding_an_invoice_credits_it() -> None:
    api = Api()
    invoice = api.invoice(122)
    voided = api.call("POST", f"/invoices/{invoice['id']}/void", {"reason": "Duplicate"}).json
    assert (voided["voided_at"], voided["total_due"]) == ("2026-11-20T12:00:00.000Z", 0)
    (note,) = api.get("/credit-notes")["data"]
    assert (note["total_with_tax"], note["total_due"], note["note"]) == (122, 0, "Duplicate")
    (payment,) = api.get("/payments")["data"]
    assert payment["note"] == "Auto-applied credit note for voided invoice 2026-00001"
    assert api.call("DELETE", f"/payments/{payment['id']}").status == 422
    assert api.call("POST", f"/invoices/{invoice['id']}/void").status == 409
    assert api.call("PATCH", f"/invoices/{invoice['id']}", {"note": "x"}).status == 409
    assert api.call("POST", "/credit-notes", invoice_body(linked_documents=[invoice["id"]])).status == 422


@pytest.mark.parametrize("body", [{"payments": [{"type": "card", "amount": 1}]}, {"is_draft": True}])
def test_what_is_paid_or_a_draft_cannot_be_voided(body: dict[str, Any]) -> None:
    api = Api()
    assert api.call("POST", f"/invoices/{api.invoice(**body)['id']}/void").status in {409, 422}
    assert api.ids("/credit-notes") == []


def test_metadata_is_limited_as_documented() -> None:
    api = Api()
    assert api.call("POST", "/invoices", invoice_body(metadata={"a": "x" * 251})).status == 422
    assert api.call("POST", "/invoices", invoice_body(metadata={"a": 1})).status == 422
    assert api.call("POST", "/invoices", invoice_body(metadata={str(n): "" for n in range(51)})).status == 422
    assert api.invoice(metadata={str(n): "x" * 250 for n in range(50)})["number"]


def test_only_issued_documents_are_sent() -> None:
    api = Api()
    draft = api.invoice(is_draft=True)["id"]
    assert api.call("POST", f"/documents/{draft}/send", {"to": "a@example.com"}).status == 422
    assert api.call("POST", f"/documents/{api.invoice()['id']}/send", {"to": "nobody"}).status == 422


def test_entity_settings_merge_by_key_and_defaults_follow_the_country() -> None:
    api = Api()
    address = f"/entities/{api.entity}"
    entity = api.get(address)
    assert (entity["country_code"], entity["currency_code"], entity["locale"]) == ("SI", "EUR", "sl-SI")
    api.call("PATCH", address, {"settings": {"primary_color": "#000000", "translations": {"de": {"a": "1"}}}})
    settings = api.call("PATCH", address, {"settings": {"translations": {"fr": {"a": "2"}}, "furs": {}}}).json["settings"]
    assert settings["primary_color"] == "#000000"
    assert set(settings["translations"]) == {"de", "fr"}
    assert "furs" not in settings
    assert settings["default_invoice_due_days"] == 30
    assert api.call("PATCH", address, {"country": "Germany"}).status == 422
    american = api.create("/entities", {"name": "A", "country": "United States"})
    assert (american["country_code"], american["currency_code"], american["locale"]) == ("US", "USD", "en-US")


def test_the_same_requests_at_the_same_times_give_the_same_answers() -> None:
    def history() -> list[Any]:
        api = Api()
        invoice = api.invoice(payments=[{"type": "card"}])
        return [invoice, api.credit_note(linked_documents=[invoice["id"]]), api.get("/payments")]

    assert history() == history()
