"""Documents sent by e-mail, and the audit trail that remembers it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.sandbox_driver import Api

EMAIL = {"to": "ada@example.com"}


def _send(api: Api, identifier: str, key: str | None = None, **body: Any) -> Any:
    return api.call("POST", f"/documents/{identifier}/send", EMAIL | body, key=key)


@pytest.mark.parametrize(("path", "word"), [("/invoices", "inv"), ("/credit-notes", "cre")])
def test_an_email_is_kept_with_its_texts_and_a_link(path: str, word: str) -> None:
    api = Api()
    document = api.create(path, {"items": [{"name": "A", "quantity": 1, "price": 5, "taxes": []}], "customer": {"name": "Ada"}})
    texts = {"subject": "{document_number} for {customer_name}", "body_text": "**{document_total}** {document_currency} {other}"}
    reply = _send(api, document["id"], attach_pdf=True, **texts)
    assert reply.status == 200
    (kept,) = api.sandbox.emails
    assert kept["subject"] == reply.json["subject"] == f"{document['number']} for Ada"
    assert (kept["body_text"], kept["attach_pdf"]) == ("**5.00** EUR {other}", True)
    assert (kept["document_id"], kept["entity_id"], kept["to"]) == (document["id"], api.entity, "ada@example.com")
    assert (reply.json["status"], reply.json["to"], reply.json["message_id"]) == ("sent", "ada@example.com", kept["message_id"])
    shareable = api.get(f"{path}/{document['id']}")["shareable_id"]
    assert shareable.startswith(f"{word}_share_")
    assert f"{path}/shareable/{shareable}/html" in reply.json["shareable_link"]


def test_the_link_is_made_once_and_only_that_changes_the_document() -> None:
    api = Api()
    invoice = api.invoice()["id"]
    api.clock.advance(60)
    first = _send(api, invoice).json["shareable_link"]
    shared = api.get(f"/invoices/{invoice}")
    api.clock.advance(60)
    assert _send(api, invoice).json["shareable_link"] == first
    assert api.get(f"/invoices/{invoice}") == shared
    assert shared["updated_at"] == "2026-11-20T12:01:00.000Z"


def test_a_repeat_with_its_key_sends_nothing_more() -> None:
    api = Api()
    invoice = api.invoice()["id"]
    first, again = _send(api, invoice, "k"), _send(api, invoice, "k")
    assert (again.status, again.json) == (200, first.json)
    assert _send(api, invoice, "k", subject="Other").status == 409
    assert len(api.sandbox.emails) == 1
    _send(api, invoice, "k2")
    assert len(api.sandbox.emails) == 2


def test_delivery_can_be_skipped() -> None:
    api = Api()
    assert _send(api, api.invoice()["id"], sandbox_skip_delivery=True).json["sandbox_skip_delivery"] is True
    assert api.sandbox.emails[0]["sandbox_skip_delivery"] is True


def test_what_is_refused_is_not_sent() -> None:
    api = Api()
    draft, invoice = api.invoice(is_draft=True)["id"], api.invoice()["id"]
    assert _send(api, draft).status == 422
    assert _send(api, "inv_unknown").status == 404
    assert _send(api, invoice, to="a@example.com, b@example.com").status == 422
    api.sandbox.faults.add_json({"kind": "email_unverified"})
    refused = _send(api, invoice, "k")
    assert (refused.status, refused.json["code"]) == (403, "email_verification_required")
    assert (api.sandbox.emails, api.ids("/activities", action="sent")) == ([], [])
    assert api.get(f"/invoices/{invoice}")["shareable_id"] is None
    assert _send(api, invoice, "k").status == 403  # a refusal is replayed like any other answer
    assert _send(api, invoice, "k2").status == 200


def test_the_trail_tells_what_was_done_to_whom() -> None:
    api = Api()
    invoice = api.invoice()["id"]
    other = api.invoice()["id"]
    _send(api, invoice)
    _send(api, invoice)
    _send(api, other)
    trail = api.get("/activities", resource_type="invoice", resource_id=invoice, action="sent")["data"]
    assert [(one["resource_id"], one["action"], one["actor_type"]) for one in trail] == [(invoice, "sent", "user")] * 2
    query = {"resource_id": invoice, "action": {"in": ["sent", "created"]}}
    assert [one["action"] for one in api.get("/activities", query=json.dumps(query))["data"]] == ["sent", "sent", "created"]
    assert api.call("GET", "/activities", query={"action": "danced"}).status == 400
    assert api.call("GET", "/activities", query={"query": '{"colour": 1}'}).status == 400
    api.entity = api.create("/entities", {"name": "Second", "country": "Germany"})["id"]
    assert [one["resource_type"] for one in api.get("/activities")["data"]] == ["entity"]


def test_the_trail_has_every_kind_of_change() -> None:
    api = Api()
    invoice = api.invoice()["id"]
    api.call("PATCH", f"/invoices/{invoice}", {"note": "x"})
    payment = api.create("/payments", {"document_id": invoice, "amount": 1, "type": "card"})["id"]
    api.call("PATCH", f"/payments/{payment}", {"amount": 2})
    api.call("DELETE", f"/payments/{payment}")
    api.call("POST", f"/invoices/{invoice}/void")
    draft = api.credit_note(is_draft=True)["id"]
    api.call("POST", f"/documents/{draft}/finalize", query={"type": "credit_note"})
    gone = api.invoice(is_draft=True)["id"]
    api.call("DELETE", f"/documents/{gone}", query={"type": "invoice"})

    def actions(identifier: str) -> list[str]:
        return [one["action"] for one in api.get("/activities", resource_id=identifier, order_by="id")["data"]]

    assert actions(invoice) == ["created", "updated", "voided"]
    assert actions(payment) == ["created", "updated", "deleted"]
    assert actions(draft) == ["created", "updated"]
    assert actions(gone) == ["created", "deleted"]


def test_the_trail_can_lag_like_every_list() -> None:
    api = Api()
    invoice = api.invoice()["id"]
    api.clock.advance(60)
    _send(api, invoice)
    api.sandbox.faults.add_json({"kind": "lookup_lag", "seconds": 30, "match": {"path_prefix": "/activities"}})
    assert api.ids("/activities", action="sent") == []
    assert len(api.ids("/activities", action="sent")) == 1
