"""The sandbox against the OpenAPI document: every operation answers as documented, and takes what is documented."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.contract.sandbox_driver import Api, check_documented, invoice_body
from tools.sandbox.contract import ADDITIONS, contract
from tools.sandbox.contract import DOCUMENT as VENDORS_DOCUMENT
from tools.sandbox.model import HANDLERS
from tools.sandbox.wire import Response

NOT_IMPLEMENTED: dict[str, str] = {}
"""Operations of the document that the sandbox leaves out, with the reason."""

DOCUMENT = contract().document
DOCUMENTED = {
    spec["operationId"]: spec
    for item in DOCUMENT["paths"].values()
    for method, spec in item.items()
    if method in {"get", "post", "put", "patch", "delete"}
}


def test_every_operation_is_implemented_or_listed() -> None:
    assert set(HANDLERS) == set(DOCUMENTED) - set(NOT_IMPLEMENTED)


def test_additions_replace_nothing_of_the_document() -> None:
    vendors, additions = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in (VENDORS_DOCUMENT, ADDITIONS))
    for path, item in additions["paths"].items():
        known = vendors["paths"].get(path, {})
        assert all(known[name] == item[name] for name in known.keys() & item.keys()), path
    assert not vendors["components"]["schemas"].keys() & additions["components"]["schemas"].keys()
    assert set(additions["components"]) == {"schemas"}


def test_every_implemented_operation_is_exercised_and_answers_as_documented() -> None:
    api = Api()
    _directory(api)
    _documents(api)
    _payments(api)
    _webhooks(api)
    assert {one["action"] for one in api.get("/activities", limit="100")["data"]} >= {"created", "updated", "deleted", "sent"}
    _entities(api)
    assert api.exercised == set(DOCUMENTED) - set(NOT_IMPLEMENTED)


def _entities(api: Api) -> None:
    address = f"/entities/{api.entity}"
    assert api.call("PATCH", address, {"phone": "+386 1 555", "metadata": {"a": "1"}}).json["phone"] == "+386 1 555"
    assert api.get(address)["metadata"] == {"a": "1"}
    assert api.ids("/entities") == [api.entity]
    assert api.call("DELETE", address).status == 204
    assert api.get(address)["is_enabled"] is False


def _directory(api: Api) -> None:
    customer = api.create("/customers", {"name": "Ada Ltd", "email": "ada@example.com"})
    address = f"/customers/{customer['id']}"
    assert api.call("PATCH", address, {"city": "Berlin"}).json["city"] == "Berlin"
    assert api.call("DELETE", address).status == 204
    assert api.ids("/customers") == []
    assert api.get(address)["deleted_at"]
    assert api.call("POST", f"{address}/restore").json["deleted_at"] is None
    tax = api.create("/taxes", {"tax_rates": [{"rate": 22}], "classification": "standard"})
    assert api.get(f"/taxes/{tax['id']}") == tax
    assert api.ids("/taxes") == [tax["id"]]
    address = f"/taxes/{tax['id']}"
    assert api.call("PATCH", address, {"tax_rates": [{"rate": 25}]}).json["tax_rates"][0]["rate"] == 25
    assert api.call("DELETE", address).status == 204
    assert api.call("POST", f"{address}/restore").json["deleted_at"] is None
    parties = {"issuer": {"country_code": "SI"}, "customer": {"country": "Germany", "tax_number": "DE136695976"}}
    assert api.call("POST", "/transaction-type/check", parties).json["transaction_type"] == "intra_eu_b2b"


def _documents(api: Api) -> None:
    invoice = api.invoice(metadata={"order": "1"})
    assert api.get(f"/invoices/{invoice['id']}") == invoice
    assert api.ids("/invoices") == [invoice["id"]]
    assert api.call("PATCH", f"/invoices/{invoice['id']}", {"note": "Thanks"}).json["note"] == "Thanks"
    note = api.credit_note(linked_documents=[invoice["id"]])
    assert api.get(f"/credit-notes/{note['id']}") == note
    assert api.ids("/credit-notes") == [note["id"]]
    assert api.call("PATCH", f"/credit-notes/{note['id']}", {"note": "Sorry"}).json["note"] == "Sorry"
    assert api.call("POST", f"/credit-notes/{note['id']}/void", {"reason": "Mistake"}).json["voided_at"]
    assert api.call("POST", f"/invoices/{api.invoice()['id']}/void").json["voided_at"]
    drafts = [api.invoice(is_draft=True)["id"] for _ in range(2)]
    by_type = {"type": "invoice"}
    assert api.call("POST", f"/documents/{drafts[0]}/finalize", query=by_type).json["number"]
    assert api.call("DELETE", f"/documents/{drafts[1]}", query=by_type).status == 204
    assert api.call("GET", f"/documents/{invoice['id']}/pdf").content.startswith(b"%PDF")
    assert api.call("POST", f"/documents/{invoice['id']}/send", {"to": "ada@example.com"}).json["status"] == "sent"


def _payments(api: Api) -> None:
    payment = api.create("/payments", {"document_id": api.invoice()["id"], "amount": 22, "type": "card"})
    address = f"/payments/{payment['id']}"
    assert api.get(address) == payment
    assert api.call("PATCH", address, {"amount": 23}).json["amount"] == 23
    assert payment["id"] in api.ids("/payments")
    assert api.call("DELETE", address).status == 204
    assert api.call("POST", f"{address}/restore").json["deleted_at"] is None


def _webhooks(api: Api) -> None:
    webhook = api.create("/webhooks", {"url": "https://example.com/hook", "events": ["invoice.created"]})
    address = f"/webhooks/{webhook['id']}"
    assert webhook["secret"] not in api.get(address)["secret"]
    assert api.ids("/webhooks") == [webhook["id"]]
    assert api.call("PATCH", address, {"active": False}).json["active"] is False
    assert api.call("DELETE", address).status == 204
    assert api.call("GET", address).status == 404


def test_an_answer_that_is_not_documented_is_noticed() -> None:
    operation = next(one for one in contract().operations if one.id == "getInvoice")
    headers = {"content-type": "application/json", "x-request-id": "1"}
    with pytest.raises(AssertionError, match="may not answer 418"):
        check_documented(operation, Response(418, headers, b"{}"))
    with pytest.raises(AssertionError, match="required"):
        check_documented(operation, Response(200, headers, b"{}"))


def _closed_bodies() -> list[tuple[str, str]]:
    schemas = DOCUMENT["components"]["schemas"]
    closed = []
    for path, item in DOCUMENT["paths"].items():
        for method, spec in item.items():
            if method in {"post", "patch"} and "requestBody" in spec:
                name = spec["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                if schemas[name].get("additionalProperties") is False:
                    closed.append((method.upper(), path))
    return closed


@pytest.mark.parametrize(("method", "path"), _closed_bodies())
def test_an_unknown_property_is_refused(method: str, path: str) -> None:
    reply = Api().call(method, path.replace("{id}", "inv_1"), {"no_such_property": 1})
    assert reply.status == 422
    assert any("no_such_property" in issue["message"] for issue in reply.issues)


def test_unknown_properties_are_refused_in_depth_and_named_by_path() -> None:
    body = invoice_body()
    body["items"][0]["taxes"][0]["colour"] = "red"
    reply = Api().call("POST", "/invoices", body)
    assert (reply.status, reply.json["code"]) == (422, "validation_error")
    assert [issue["path"] for issue in reply.issues] == [["items", 0, "taxes", 0]]


@pytest.mark.parametrize("name", ["CreateInvoice", "CreateCreditNote"])
def test_the_documents_own_examples_are_accepted(name: str) -> None:
    api = Api()
    api.clock.advance(5 * 24 * 3600)
    text = json.dumps(DOCUMENT["components"]["schemas"][name]["examples"][0])
    tax = api.create("/taxes", {"tax_rates": [{"rate": 22}]})["id"]
    invoice = api.invoice()["id"]
    body: Any = json.loads(text.replace("tax_665f1c2ab7d4e90012ab34cd", tax).replace("inv_665f1c2ab7d4e90012ab34ce", invoice))
    document = api.create("/invoices" if name == "CreateInvoice" else "/credit-notes", body)
    assert document["paid_in_full"]
    assert document["total_with_tax"] == body["expected_total_with_tax"]
