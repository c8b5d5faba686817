"""Webhook endpoints, and the deliveries that leave: events, signature, retry table."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.sandbox_driver import START, Api, invoice_body
from tools.sandbox.contract import contract
from tools.sandbox.deliveries import RETRY_AFTER_SECONDS
from tools.sandbox.settings import Settings

if TYPE_CHECKING:
    from tools.sandbox.deliveries import Delivery

EVENTS = contract().document["components"]["schemas"]["WebhookEvent"]["enum"]


def _endpoint(api: Api, *events: str) -> dict[str, Any]:
    return api.create("/webhooks", {"url": "https://example.com/hook", "events": list(events or EVENTS)})


def _due(api: Api) -> list[Delivery]:
    return api.sandbox.outbox.due(api.clock.now)


def _events(api: Api) -> list[str]:
    return [delivery.event for delivery in _due(api)]


def test_a_delivery_is_signed_over_its_raw_body() -> None:
    api = Api()
    endpoint = _endpoint(api, "invoice.created")
    invoice = api.invoice()
    (delivery,) = _due(api)
    expected = hmac.new(endpoint["secret"].encode(), delivery.body, hashlib.sha256).hexdigest()
    assert len(endpoint["secret"]) == 64
    assert delivery.headers["X-Webhook-Signature"] == f"sha256={expected}"
    assert delivery.headers["X-Webhook-Timestamp"] == str(int(START.timestamp()))
    assert (delivery.headers["X-Webhook-Event"], delivery.headers["X-Webhook-Id"]) == ("invoice.created", endpoint["id"])
    body = json.loads(delivery.body)
    assert (body["event"], body["data"]["number"], body["timestamp"]) == (
        "invoice.created",
        "2026-00001",
        "2026-11-20T12:00:00.000Z",
    )
    assert body["data"]["id"] == invoice["id"]
    assert contract().schema("WebhookDelivery").is_valid(body)


def test_what_happens_to_documents_is_told() -> None:
    api = Api()
    _endpoint(api)
    invoice = api.invoice(payments=[{"type": "card"}])
    assert _events(api) == ["invoice.created", "invoice.finalized", "payment.received", "invoice.paid"]
    note = api.credit_note(linked_documents=[invoice["id"]])
    assert _events(api) == ["credit_note.created", "credit_note.issued"]
    draft = api.invoice(is_draft=True)
    assert _events(api) == ["invoice.created"]
    api.call("POST", f"/documents/{draft['id']}/finalize", query={"type": "invoice"})
    assert _events(api) == ["invoice.finalized"]
    api.call("PATCH", f"/invoices/{draft['id']}", {"note": "x"})
    api.call("POST", f"/documents/{draft['id']}/send", {"to": "a@example.com"})
    assert _events(api) == ["invoice.updated", "invoice.sent"]
    api.call("POST", f"/documents/{note['id']}/send", {"to": "a@example.com"})
    api.call("PATCH", f"/credit-notes/{note['id']}", {"note": "x"})
    assert _events(api) == []
    api.call("POST", f"/credit-notes/{note['id']}/void")
    assert _events(api) == ["credit_note.voided"]
    payment = api.ids("/payments")[0]
    api.call("DELETE", f"/payments/{payment}")
    api.call("POST", f"/payments/{payment}/restore")
    assert _events(api) == ["payment.deleted", "invoice.paid", "payment.restored"]
    api.call("DELETE", f"/documents/{api.invoice(is_draft=True)['id']}", query={"type": "invoice"})
    assert _events(api) == ["invoice.created", "invoice.deleted"]


def test_only_subscribed_events_of_the_own_entity_are_sent_and_nothing_for_a_replay_or_refusal() -> None:
    api = Api()
    _endpoint(api, "payment.received")
    api.create("/invoices", invoice_body(payments=[{"type": "card"}]), key="k")
    api.create("/invoices", invoice_body(payments=[{"type": "card"}]), key="k")
    api.call("POST", "/invoices", invoice_body(payments=[{"type": "card", "amount": 1000}]))
    api.entity = api.create("/entities", {"name": "Second", "country": "Germany"})["id"]
    api.invoice(payments=[{"type": "card"}])
    assert _events(api) == ["payment.received"]


def test_failed_deliveries_follow_the_retry_table_and_then_the_endpoint_is_switched_off() -> None:
    api = Api()
    endpoint = _endpoint(api, "invoice.created")
    api.invoice()
    bodies, attempt_ids = set(), set()
    for attempt, wait in enumerate(RETRY_AFTER_SECONDS, start=1):
        assert not wait or not _due(api)
        api.clock.advance(wait)
        (delivery,) = _due(api)
        assert delivery.attempt == attempt
        bodies.add(delivery.body)
        attempt_ids.add(delivery.headers["X-Webhook-Delivery"])
        api.sandbox.outbox.record(delivery, 503 if attempt % 2 else None, api.clock.now)
    assert (len(bodies), len(attempt_ids)) == (1, len(RETRY_AFTER_SECONDS))
    assert api.sandbox.outbox.next_due is None
    assert api.get(f"/webhooks/{endpoint['id']}")["active"] is False
    api.invoice()
    assert _due(api) == []
    api.call("PATCH", f"/webhooks/{endpoint['id']}", {"active": True})
    api.invoice()
    assert len(_due(api)) == 1


@pytest.mark.parametrize("status", [200, 204, 400, 401, 403, 404])
def test_success_and_permanent_failure_are_not_retried(status: int) -> None:
    api = Api()
    endpoint = _endpoint(api, "invoice.created")
    api.invoice()
    api.sandbox.outbox.record(_due(api)[0], status, api.clock.now)
    assert api.sandbox.outbox.next_due is None
    assert api.get(f"/webhooks/{endpoint['id']}")["active"] is True


def test_waiting_times_are_scaled() -> None:
    api = Api(webhook_time_scale=0.01)
    _endpoint(api, "invoice.created")
    api.invoice()
    api.sandbox.outbox.record(_due(api)[0], None, api.clock.now)
    assert api.sandbox.outbox.next_due == START + timedelta(seconds=0.6)


def test_a_deleted_endpoint_gets_nothing_more() -> None:
    api = Api()
    endpoint = _endpoint(api, "invoice.created")
    api.invoice()
    api.call("DELETE", f"/webhooks/{endpoint['id']}")
    assert _due(api) == []


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("https://example.com/hook", 201),
        ("http://127.0.0.1:8000/hook", 201),
        ("http://localhost/hook", 201),
        ("http://[::1]:8000/hook", 201),
        ("http://example.com/hook", 422),
        ("ftp://127.0.0.1/hook", 422),
        ("https:///hook", 422),
        ("hook", 422),
        ("http://[::1/hook", 422),
    ],
)
def test_endpoints_are_https_or_when_allowed_on_this_machine(url: str, status: int) -> None:
    lenient, strict = Api(Settings(rate_limits=None, plain_http_webhooks=True)), Api()
    body = {"url": url, "events": ["invoice.created"]}
    assert lenient.call("POST", "/webhooks", body).status == status
    assert strict.call("POST", "/webhooks", body).status == (status if url.startswith("https") else 422)
    address = f"/webhooks/{_endpoint(strict)['id']}"
    assert strict.call("PATCH", address, {"url": url}).status == (200 if url == "https://example.com/hook" else 422)


def test_secrets_are_shown_once() -> None:
    api = Api()
    endpoint = _endpoint(api)
    address = f"/webhooks/{endpoint['id']}"
    changed = api.call("PATCH", address, {"description": "Books", "metadata": {"a": "1"}}).json
    for shown in (changed, api.get(address), api.get("/webhooks")["data"][0]):
        assert shown["secret"].startswith("whsec_****")
        assert endpoint["secret"] not in json.dumps(shown)
    assert changed["metadata"] == {"a": "1"}


def test_corrections_by_hand_are_told_with_what_they_changed() -> None:
    api = Api()
    _endpoint(api)
    invoice = api.invoice(122, metadata={"order": "1"})
    _due(api)
    api.call("PATCH", f"/invoices/{invoice['id']}", {"metadata": {"order": "2"}, "items": invoice_body(61)["items"]})
    api.call("POST", f"/invoices/{invoice['id']}/void", {"reason": "Mistake"})
    deliveries = _due(api)
    told = {delivery.event: json.loads(delivery.body)["data"] for delivery in deliveries}
    assert [delivery.event for delivery in deliveries] == [
        "invoice.updated",
        "credit_note.created",
        "credit_note.issued",
        "payment.received",
        "invoice.paid",
        "invoice.voided",
    ]
    assert (told["invoice.updated"]["id"], told["invoice.updated"]["metadata"]) == (invoice["id"], {"order": "2"})
    assert told["invoice.updated"]["total_with_tax"] == 61
    assert told["invoice.voided"]["voided_at"]
    assert told["payment.received"]["invoice_id"] == invoice["id"]
