"""Keys, entities, addresses, malformed requests and the rate limit."""

from __future__ import annotations

import pytest

from tests.contract.sandbox_driver import UNLIMITED, Api, invoice_body
from tools.sandbox.settings import Settings


@pytest.mark.parametrize(
    "authorization", [None, "", "sk_sandbox_1", "Bearer sk_test_1", "Bearer ek_sandbox_1", "Basic sk_live_1"]
)
def test_a_missing_or_malformed_key_is_refused(authorization: str | None) -> None:
    reply = Api().call("GET", "/invoices", headers={"authorization": authorization})
    assert (reply.status, reply.json["code"]) == (401, "unauthorized")


def test_only_the_configured_key_is_accepted() -> None:
    api = Api(Settings(rate_limits=None, api_key="sk_sandbox_1"))
    assert api.call("GET", "/invoices").status == 200
    assert api.call("GET", "/invoices", headers={"authorization": "Bearer sk_sandbox_2"}).status == 401


def test_sandbox_and_live_are_separate_worlds() -> None:
    api = Api()
    invoice = api.invoice(metadata={"order": "1"})
    live = {"authorization": "Bearer sk_live_1"}
    assert api.call("GET", "/entities", headers=live).json["data"] == []
    assert api.call("GET", f"/entities/{api.entity}", headers=live).status == 404
    assert api.call("GET", f"/invoices/{invoice['id']}", headers=live).status == 404
    assert api.call("POST", "/entities", {"name": "A", "country": "DE"}, headers=live, key="k").json["environment"] == "live"
    assert api.call("POST", "/entities", {"name": "A", "country": "DE"}, key="k").json["environment"] == "sandbox"


def test_an_entity_of_the_other_environment_is_refused() -> None:
    reply = Api().call("POST", "/entities", {"name": "A", "country": "DE", "environment": "live"})
    assert (reply.status, reply.issues[0]["path"]) == (422, ["environment"])


def test_the_only_entity_is_selected_by_itself_and_several_must_be_told_apart() -> None:
    api = Api()
    nobody = {"x-entity-id": None}
    assert api.call("GET", "/invoices", headers=nobody).status == 200
    api.create("/entities", {"name": "Second", "country": "Germany"})
    assert api.call("GET", "/invoices", headers=nobody).status == 400
    assert api.call("POST", "/invoices", invoice_body(), headers=nobody).status == 400
    assert api.call("GET", "/invoices", headers={"x-entity-id": "ent_unknown"}).status == 404


def test_what_belongs_to_another_entity_is_not_there() -> None:
    api = Api()
    invoice, note = api.invoice()["id"], api.credit_note()["id"]
    payment = api.create("/payments", {"document_id": invoice, "amount": 1, "type": "card"})["id"]
    customer = api.create("/customers", {"name": "Ada"})["id"]
    tax = api.create("/taxes", {"tax_rates": [{"rate": 22}]})["id"]
    webhook = api.create("/webhooks", {"url": "https://example.com", "events": ["invoice.paid"]})["id"]
    api.entity = api.create("/entities", {"name": "Second", "country": "Germany"})["id"]
    addresses = (f"invoices/{invoice}", f"credit-notes/{note}", f"payments/{payment}", f"customers/{customer}", f"taxes/{tax}")
    for address in (*addresses, f"webhooks/{webhook}", f"documents/{invoice}/pdf"):
        assert api.call("GET", f"/{address}").status == 404
    assert api.call("POST", "/payments", {"document_id": invoice, "amount": 1, "type": "card"}).status == 404
    assert api.call("POST", "/credit-notes", invoice_body(linked_documents=[invoice])).status == 404
    assert api.call("POST", "/invoices", invoice_body(customer_id=customer)).status == 404
    for plural in ("invoices", "credit-notes", "payments", "customers", "taxes", "webhooks"):
        assert api.ids(f"/{plural}") == []


def test_unknown_addresses_and_methods() -> None:
    api = Api()
    assert api.call("GET", "/v1/invoices").json["code"] == "not_found"
    assert api.call("PUT", "/invoices").status == 405
    assert api.call("GET", "/").status == 404


@pytest.mark.parametrize("body", [b"{", b'{"items": NaN}', b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    assert Api().call("POST", "/invoices", body).status == 400


def test_other_content_types_are_malformed_and_no_body_is_invalid() -> None:
    api = Api()
    assert api.call("POST", "/invoices", invoice_body(), headers={"content-type": "text/plain"}).status == 400
    assert api.call("POST", "/invoices", b"").status == 422
    assert api.call("POST", "/invoices", []).status == 422


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "ten"},
        {"limit": "9" * 30},
        {"include_total_count": "maybe"},
        {"order_by": "no_such_field"},
        {"query": "not json"},
        {"query": "[]"},
        {"query": '{"no_such_field": 1}'},
        {"query": '{"number": {"resembles": "1"}}'},
        {"query": '{"number": {"in": "1"}}'},
        {"query": '{"total": {"between": [1]}}'},
        {"next_cursor": "nonsense"},
        {"next_cursor": "e30="},
        {"next_cursor": "e30=", "prev_cursor": "e30="},
    ],
)
def test_malformed_list_parameters(query: dict[str, str]) -> None:
    assert Api().call("GET", "/invoices", query=query).status == 400


def test_a_required_query_parameter_is_required() -> None:
    api = Api()
    draft = api.invoice(is_draft=True)["id"]
    assert api.call("POST", f"/documents/{draft}/finalize").status == 400
    assert api.call("POST", f"/documents/{draft}/finalize", query={"type": "novel"}).status == 400


def test_a_foreign_account_is_not_there() -> None:
    api = Api()
    account = api.get(f"/entities/{api.entity}")["account_id"]
    assert api.call("GET", "/entities", headers={"x-account-id": account}).status == 200
    assert api.call("GET", "/entities", headers={"x-account-id": "acc_other"}).status == 404


def test_the_rate_limit_slides_over_a_minute() -> None:
    api = Api(Settings())  # creating the entity was the first request
    api.clock.advance(30)
    for _ in range(59):
        assert api.call("GET", "/invoices").status == 200
    refused = api.call("GET", "/invoices")
    assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (429, "too_many_requests", "30")
    api.clock.advance(30)
    assert api.call("GET", "/invoices").status == 200
    assert api.call("GET", "/invoices").status == 429
    assert api.call("GET", "/entities", headers={"authorization": "Bearer sk_live_1"}).status == 200


def test_the_rate_limit_is_per_address_and_can_be_off() -> None:
    api = Api(Settings(rate_limits={"sandbox": 1, "live": 1}))
    assert api.call("GET", "/invoices").status == 429
    unlimited = Api(UNLIMITED)
    assert all(unlimited.call("GET", "/invoices").status == 200 for _ in range(700))


def test_every_answer_names_the_request() -> None:
    api = Api()
    assert api.call("GET", "/invoices", key="mine").headers["x-request-id"] == "mine"
    generated = api.call("GET", "/nowhere")
    assert generated.json["request_id"] == generated.headers["x-request-id"]
