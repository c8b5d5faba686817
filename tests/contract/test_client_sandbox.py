"""The client against the sandbox's model of the API, and over real connections that break."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from quittance.errors import InDoubt, Park, QuittanceError, Retry
from quittance.space_invoices import SpaceInvoices
from tools.sandbox.faults import LoseResponse, Match, ResetBefore, Status
from tools.sandbox.model import Sandbox
from tools.sandbox.settings import Settings
from tools.sandbox.transport import mounted

if TYPE_CHECKING:
    from collections.abc import Iterator

WANTED = {"payment_id": "pay_7", "document_key": "sale"}


class Api:
    """A client of a sandbox that has one entity."""

    def __init__(self, **settings: Any) -> None:
        self.sandbox = Sandbox(
            clock=lambda: datetime(2026, 11, 20, 12, 0, tzinfo=UTC), settings=Settings(**{"rate_limits": None} | settings)
        )
        self.requests = 0
        self.client = SpaceInvoices(
            "http://sandbox", lambda: "sk_sandbox_test", transport=mounted(self.sandbox), observe=self._count
        )
        entity = json.dumps({"name": "Acme", "country": "Germany", "country_code": "DE"}).encode()
        self.entity_id = self.client.create("/entities", entity, entity_id=None, idempotency_key="entity")["id"]

    def _count(self, _: object) -> None:
        self.requests += 1

    def invoice(self, payment: int, *, key: str = "", amount: str = "12.34", **changes: Any) -> dict[str, Any]:
        body = {
            "is_draft": False,
            "date": "2026-11-20",
            "currency_code": "EUR",
            "calculation_mode": "b2c_gross_discount",
            "customer": {"name": "Ada Ltd", "save_customer": False},
            "items": [{"name": "Order", "quantity": 1, "gross_price": float(amount), "taxes": []}],
            "payments": [{"type": "card", "amount": float(amount), "date": "2026-11-20", "reference": f"pay_{payment}"}],
            "metadata": {"payment_id": f"pay_{payment}", "document_key": "sale"},
        } | changes
        content = json.dumps(body).encode()
        return self.client.create("/invoices", content, entity_id=self.entity_id, idempotency_key=key or f"key-{payment}")

    def look_up(self) -> tuple[list[str], int]:
        """The ids found under `WANTED`, and how many requests that took."""
        before = self.requests
        found = self.client.find_by_metadata("invoices", WANTED, entity_id=self.entity_id)
        return [invoice["id"] for invoice in found], self.requests - before


def test_an_invoice_is_made_paid_and_read() -> None:
    api = Api()
    made = api.invoice(7)
    assert (made["total_with_tax"], made["paid_in_full"], made["is_draft"]) == (Decimal("12.34"), True, False)
    assert api.client.get(f"/invoices/{made['id']}", entity_id=api.entity_id)["number"] == made["number"]


def test_the_same_key_and_bytes_make_one_invoice() -> None:
    api = Api()
    assert api.invoice(7)["id"] == api.invoice(7)["id"]
    assert len(list(api.client.pages("invoices", entity_id=api.entity_id))) == 1


def test_the_same_key_for_other_bytes_is_in_doubt() -> None:
    api = Api()
    api.invoice(7)
    with pytest.raises(InDoubt, match="api_conflict"):
        api.invoice(7, amount="12.35")


def test_an_invoice_the_api_refuses_is_parked_with_its_fields() -> None:
    with pytest.raises(Park, match=r"api_refused: 422 validation_error .*items"):
        Api().invoice(7, items=[{"name": "Order", "quantity": "two"}])


def test_an_invoice_whose_answer_was_lost_is_found() -> None:
    api = Api()
    api.sandbox.faults.add(LoseResponse(kind="lose_response_after_commit", match=Match(path_prefix="/invoices")))
    with pytest.raises(InDoubt, match="api_no_answer"):
        api.invoice(7)
    [found], requests = api.look_up()
    assert requests == 1
    assert api.invoice(7)["id"] == found


@pytest.mark.parametrize("before", [0, 150], ids=["few invoices", "many invoices"])
@pytest.mark.parametrize("spelling", ["nested", "dotted"])
def test_a_look_up_is_right_whichever_spelling_the_api_knows(spelling: str, before: int) -> None:
    api = Api(metadata_queries=(spelling,))
    for number in range(1000, 1000 + before):
        api.invoice(number)
    assert api.look_up()[0] == []
    made = api.invoice(7)
    assert api.look_up()[0] == [made["id"]]
    assert api.look_up() == ([made["id"]], 1)


@pytest.mark.parametrize("before", [0, 99, 150])
def test_a_look_up_without_any_filter_says_what_it_knows(before: int) -> None:
    api = Api(metadata_queries=())
    for number in range(1000, 1000 + before):
        api.invoice(number)
    made = api.invoice(7)
    if before > 100:
        with pytest.raises(Retry, match="api_filter_ignored"):
            api.look_up()
    else:
        assert api.look_up() == ([made["id"]], 1)


def test_pages_hold_everything_once() -> None:
    api = Api()
    made = [api.invoice(number)["id"] for number in range(230)]
    before = api.requests
    assert sorted(invoice["id"] for invoice in api.client.pages("invoices", entity_id=api.entity_id)) == sorted(made)
    assert api.requests - before == 3


def test_a_payment_is_removed() -> None:
    api = Api()
    invoice = api.invoice(7)
    query = {"invoice_id": {"equals": invoice["id"]}}
    [payment] = api.client.pages("payments", entity_id=api.entity_id, query=query)
    api.client.delete(f"/payments/{payment['id']}", entity_id=api.entity_id, idempotency_key="remove")
    assert api.client.get(f"/invoices/{invoice['id']}", entity_id=api.entity_id)["paid_in_full"] is False


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, Retry, "api_refused_key"),
        (404, Park, "api_not_found"),
        (409, InDoubt, "api_conflict"),
        (429, Retry, "api_rate_limited"),
        (500, InDoubt, "api_server_error"),
        (503, InDoubt, "api_server_error"),
    ],
)
def test_the_errors_of_the_api_are_sorted(status: int, kind: type[QuittanceError], code: str) -> None:
    api = Api()
    api.sandbox.faults.add(Status(kind="status", status=status, retry_after=9 if status in {429, 503} else None))
    with pytest.raises(kind) as caught:
        api.invoice(7)
    assert caught.value.code == code
    if status in {429, 503}:
        assert getattr(caught.value, "delay_s", None) == 9


def test_a_rate_limit_is_met_and_kept() -> None:
    api = Api(rate_limits={"sandbox": 3, "live": 3})
    api.invoice(1)
    api.invoice(2)
    with pytest.raises(Retry, match="api_rate_limited") as caught:
        api.invoice(3)
    assert caught.value.delay_s is not None
    assert 1 <= caught.value.delay_s <= 60


def test_a_reset_read_is_tried_again() -> None:
    api = Api()
    api.sandbox.faults.add(ResetBefore(kind="reset_before"))
    with pytest.raises(Retry, match="api_no_answer"):
        api.client.get("/invoices", entity_id=api.entity_id)


# Over real connections


@contextmanager
def _server(answer: bytes | None) -> Iterator[str]:
    """Takes one request at a time and answers with these bytes, or not at all until the client gives up; then hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    if answer is None:
                        connection.recv(65536)  # ends when the client closes
                    else:
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "api_no_answer"),
        (None, "api_no_answer"),
        (b"garbage\r\n\r\n", "api_no_answer"),
        (b'HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"id":', "api_no_answer"),
        (b"HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", "api_unreadable_answer"),
    ],
    ids=["closed", "silent", "not HTTP", "cut off", "not gzip"],
)
def test_a_connection_that_breaks_after_sending_leaves_doubt(answer: bytes | None, code: str) -> None:
    with _server(answer) as url:
        client = SpaceInvoices(url, lambda: "key", read_timeout_s=0.2)
        with pytest.raises(InDoubt, match=code):
            client.create("/invoices", b"{}", entity_id="ent_1", idempotency_key="key-1")
        with pytest.raises(Retry, match=code):
            client.get("/invoices", entity_id="ent_1")


def test_a_server_that_nobody_runs_got_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = SpaceInvoices(f"http://127.0.0.1:{port}", lambda: "key")
    with pytest.raises(Retry, match="api_unreachable"):
        client.create("/invoices", b"{}", entity_id="ent_1", idempotency_key="key-1")
