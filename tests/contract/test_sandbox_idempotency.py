"""Idempotency keys: replay, mismatch, what is stored, and which header counts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.sandbox_driver import UNHURRIED, Api, invoice_body
from tools.sandbox.faults import IgnoreHeader, Match, Status
from tools.sandbox.settings import Settings


def test_a_repeat_replays_status_and_body_and_does_nothing() -> None:
    api = Api()
    first = api.call("POST", "/invoices", invoice_body(), key="k")
    api.clock.advance(10**8)
    again = api.call("POST", "/invoices", invoice_body(), key="k")
    assert (again.status, again.content) == (first.status, first.content)
    assert len(api.ids("/invoices")) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/invoices", invoice_body(61)),
        ("POST", "/credit-notes", invoice_body()),
        ("POST", "/customers", {"name": "Ada"}),
        ("DELETE", "/payments/pmt_1", None),
    ],
)
def test_the_same_key_for_another_request_is_a_conflict(method: str, path: str, body: Any) -> None:
    api = Api()
    api.create("/invoices", invoice_body(), key="k")
    reply = api.call(method, path, body, key="k")
    assert (reply.status, reply.json["code"]) == (409, "conflict")
    assert api.sandbox.state()["worlds"]["sandbox"]["invoices"] == 1


def test_the_same_key_for_another_method_is_a_conflict() -> None:
    api = Api()
    address = f"/customers/{api.create('/customers', {'name': 'Ada'})['id']}"
    assert api.call("PATCH", address, {}, key="k").status == 200
    assert api.call("DELETE", address, {}, key="k").status == 409
    assert api.get(address)["deleted_at"] is None


def test_the_same_key_for_another_entity_is_a_conflict() -> None:
    api = Api()
    api.create("/invoices", invoice_body(), key="k")
    api.entity = api.create("/entities", {"name": "Second", "country": "Germany"})["id"]
    assert api.call("POST", "/invoices", invoice_body(), key="k").status == 409


def test_refusals_are_stored_and_replayed() -> None:
    api = Api()
    body = invoice_body(date="2026-12-31")
    first = api.call("POST", "/invoices", body, key="k")
    assert first.status == 422
    api.clock.advance(60 * 24 * 3600)  # the date is not in the future any more
    assert api.call("POST", "/invoices", body, key="k").content == first.content
    assert api.call("POST", "/invoices", body, key="k2").status == 201


def test_rate_limits_and_server_errors_are_not_stored() -> None:
    api = Api(Settings(rate_limits={"sandbox": 2, "live": 2}))
    api.sandbox.faults.add(Status(kind="status", status=503, retry_after=7))
    broken = api.call("POST", "/invoices", invoice_body(), key="k")
    assert (broken.status, broken.headers["retry-after"]) == (503, "7")
    api.call("GET", "/invoices")
    assert api.call("POST", "/invoices", invoice_body(), key="k").status == 429
    api.clock.advance(61)
    assert api.call("POST", "/invoices", invoice_body(), key="k").status == 201


def test_an_error_after_the_effect_replays_the_effect() -> None:
    api = Api()
    api.sandbox.faults.add(Status(kind="status", status=502, after_commit=True))
    assert api.call("POST", "/invoices", invoice_body(), key="k").status == 502
    created = api.call("POST", "/invoices", invoice_body(), key="k")
    assert (created.status, api.ids("/invoices")) == (201, [created.json["id"]])


def test_a_repeat_while_the_first_is_running_is_a_conflict() -> None:
    api = Api()
    request = api.request("POST", "/invoices", invoice_body(), key="k")
    pending = api.sandbox.begin(request)
    assert api.call("POST", "/invoices", invoice_body(), key="k").status == 409
    first = api.sandbox.finish(pending).response
    assert first is not None
    assert api.call("POST", "/invoices", invoice_body(), key="k").content == first.body


@pytest.mark.parametrize("method", ["GET"])
def test_reads_take_no_key(method: str) -> None:
    api = Api()
    assert api.call(method, "/invoices", key="k").json["data"] == []
    api.invoice()
    assert len(api.call(method, "/invoices", key="k").json["data"]) == 1


def test_either_header_counts_and_x_request_id_is_the_stronger() -> None:
    api = Api()
    only = {"idempotency-key": "k"}
    first = api.call("POST", "/invoices", invoice_body(), headers=only)
    assert api.call("POST", "/invoices", invoice_body(), headers=only).content == first.content
    assert api.call("POST", "/invoices", invoice_body(), headers=only, key="other").content != first.content


@pytest.mark.parametrize("ignored", ["x-request-id", "idempotency-key"])
def test_one_of_the_headers_can_be_ignored_for_a_while(ignored: Any) -> None:
    """A client that sends both with one value is safe from that; one that relies on the ignored header is not."""
    api, both = Api(), {"x-request-id": "k", "idempotency-key": "k"}
    first = api.call("POST", "/invoices", invoice_body(), headers=both)
    fault = IgnoreHeader(kind="ignore_idempotency_header", header=ignored, times=2, match=Match(method="POST"))
    api.sandbox.faults.add(fault)
    assert api.call("POST", "/invoices", invoice_body(), headers=both).content == first.content
    assert api.call("POST", "/invoices", invoice_body(), headers={ignored: "k"}).content != first.content
    assert api.call("POST", "/invoices", invoice_body(), headers={ignored: "k"}).content == first.content


@pytest.mark.parametrize(("honoured", "ignored"), [("x-request-id", "idempotency-key"), ("idempotency-key", "x-request-id")])
def test_one_of_the_headers_can_be_ignored(honoured: Any, ignored: str) -> None:
    api = Api(Settings(rate_limits=None, idempotency_headers=(honoured,)))
    for _ in range(2):
        api.create("/invoices", invoice_body(), headers={ignored: "k"})
    for _ in range(2):
        api.create("/invoices", invoice_body(), headers={honoured: "k2"})
    assert len(api.ids("/invoices")) == 3


def test_a_key_that_is_too_long_is_malformed() -> None:
    assert Api().call("POST", "/invoices", invoice_body(), key="k" * 256).status == 400


@UNHURRIED
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([10, 20, 0.001])), max_size=12))
def test_every_history_has_one_effect_and_one_answer_per_key(history: list[tuple[str, float]]) -> None:
    api = Api()
    answers: dict[str, tuple[float, bytes]] = {}
    created = set()
    for key, amount in history:
        reply = api.call("POST", "/invoices", invoice_body(100, payments=[{"type": "card", "amount": amount}]), key=key)
        known = answers.setdefault(key, (amount, reply.content))
        assert reply.content == known[1] if known[0] == amount else reply.status == 409
        if reply.status == 201:
            created.add(reply.json["id"])
    assert set(api.ids("/invoices")) == created
