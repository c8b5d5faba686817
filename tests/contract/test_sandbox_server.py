"""The sandbox over real HTTP: connections that really break, webhooks that really leave, the command line."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import queue
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.contract.sandbox_driver import invoice_body
from tools.sandbox.model import Sandbox
from tools.sandbox.server import running
from tools.sandbox.settings import Settings
from tools.sandbox.sources import wall_clock
from tools.sandbox.transport import mounted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE_SECONDS = 20
KEY = {"authorization": "Bearer sk_sandbox_1"}


@pytest.fixture
def sandbox() -> Sandbox:
    settings = Settings(rate_limits=None, plain_http_webhooks=True)
    return Sandbox(clock=wall_clock, settings=settings, webhook_time_scale=0.001)


@pytest.fixture(params=["over sockets", "mounted"])
def client(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[httpx.Client]:
    """The same tests over a real connection and through the transport that simulations use."""
    if request.param == "mounted":
        with httpx.Client(base_url="http://sandbox", headers=KEY, transport=mounted(sandbox)) as client:
            _register(client)
            yield client
    else:
        with running(sandbox) as url, httpx.Client(base_url=url, headers=KEY, trust_env=False) as client:
            _register(client)
            yield client


@pytest.fixture
def live(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with running(sandbox) as url, httpx.Client(base_url=url, headers=KEY, trust_env=False, timeout=DEADLINE_SECONDS) as client:
        _register(client)
        yield client


def _register(client: httpx.Client) -> None:
    client.headers["x-entity-id"] = client.post("/entities", json={"name": "Alpine", "country": "Slovenia"}).json()["id"]


def _invoices(client: httpx.Client) -> list[dict[str, Any]]:
    return list(client.get("/invoices").json()["data"])


def _fault(client: httpx.Client, kind: str, **fault: Any) -> None:
    match = {"method": "POST", "path_prefix": "/invoices", "metadata": {"order": "1"}}
    assert client.post("/_sandbox/faults", json={"kind": kind, "match": match} | fault).status_code == 200


def test_requests_and_answers_keep_their_bytes(client: httpx.Client) -> None:
    body = invoice_body(customer={"name": "Łódź 株式会社"}, metadata={"a b&c=%": "ü"})
    created = client.post("/invoices", json=body, headers={"X-Request-Id": "k"})
    assert (created.status_code, created.headers["X-Request-Id"]) == (201, "k")
    query = json.dumps({"metadata": {"a b&c=%": "ü"}})
    found = client.get("/invoices", params={"query": query, "order_by": ["-date", "id"]}).json()["data"]
    assert found == [created.json()]
    assert found[0]["customer"]["name"] == "Łódź 株式会社"
    assert client.get(f"/documents/{created.json()['id']}/pdf").content.startswith(b"%PDF")


def test_a_lost_response_is_a_broken_connection_after_the_effect(live: httpx.Client) -> None:
    _fault(live, "lose_response_after_commit")
    body = invoice_body(metadata={"order": "1"})
    with pytest.raises(httpx.RemoteProtocolError):
        live.post("/invoices", json=body, headers={"X-Request-Id": "k"})
    (stored,) = _invoices(live)
    again = live.post("/invoices", json=body, headers={"X-Request-Id": "k"})
    assert (again.status_code, again.json()["id"]) == (201, stored["id"])
    assert len(_invoices(live)) == 1


def test_a_reset_is_a_broken_connection_without_an_effect(live: httpx.Client) -> None:
    _fault(live, "reset_before")
    with pytest.raises((httpx.ReadError, httpx.WriteError)):
        live.post("/invoices", json=invoice_body(metadata={"order": "1"}))
    assert _invoices(live) == []


def test_broken_connections_break_the_same_way_without_sockets(sandbox: Sandbox) -> None:
    with httpx.Client(base_url="http://sandbox", headers=KEY, transport=mounted(sandbox)) as client:
        _register(client)
        sandbox.faults.add_json({"kind": "lose_response_after_commit", "match": {"path_prefix": "/invoices"}})
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/invoices", json=invoice_body())
        assert len(_invoices(client)) == 1
        sandbox.faults.add_json({"kind": "reset_before"})
        with pytest.raises(httpx.ReadError):
            client.get("/invoices")


def test_statuses_on_request_meet_only_what_they_match_and_only_so_often(live: httpx.Client) -> None:
    _fault(live, "status", status=503, retry_after=3, times=2)
    assert live.post("/invoices", json=invoice_body(metadata={"order": "2"})).status_code == 201
    for _ in range(2):
        refused = live.post("/invoices", json=invoice_body(metadata={"order": "1", "more": "x"}))
        assert (refused.status_code, refused.headers["Retry-After"], refused.json()["code"]) == (503, "3", "service_unavailable")
    assert live.post("/invoices", json=invoice_body(metadata={"order": "1"})).status_code == 201
    assert len(_invoices(live)) == 2


def test_a_delay_before_the_effect_keeps_the_key_busy(live: httpx.Client) -> None:
    _fault(live, "delay", seconds=0.5)
    body = invoice_body(metadata={"order": "1"})

    def create() -> httpx.Response:
        return live.post("/invoices", json=body, headers={"X-Request-Id": "k"})

    with ThreadPoolExecutor(2) as pool:
        answers = [future.result() for future in [pool.submit(create), pool.submit(create)]]
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert create().status_code == 201
    assert len(_invoices(live)) == 1


def test_the_effect_comes_even_when_the_client_gave_up(live: httpx.Client) -> None:
    _fault(live, "delay", seconds=0.5, when="before")
    with pytest.raises(httpx.ReadTimeout):
        live.post("/invoices", json=invoice_body(metadata={"order": "1"}), timeout=0.1)
    assert _invoices(live) == []
    retried = live.post("/invoices", json=invoice_body(metadata={"order": "9"}))
    assert retried.status_code == 201
    _until(lambda: len(_invoices(live)) == 2)


def test_a_delay_after_the_effect_has_the_effect_at_once(live: httpx.Client) -> None:
    _fault(live, "delay", seconds=1, when="after")
    with pytest.raises(httpx.ReadTimeout):
        live.post("/invoices", json=invoice_body(metadata={"order": "1"}), timeout=0.2)
    assert len(_invoices(live)) == 1


def test_faults_can_be_listed_cleared_and_refused(live: httpx.Client) -> None:
    _fault(live, "status", status=500, times=None)
    assert [fault["kind"] for fault in live.get("/_sandbox/faults").json()["data"]] == ["status"]
    assert live.delete("/_sandbox/faults").json() == {"data": []}
    assert live.post("/invoices", json=invoice_body(metadata={"order": "1"})).status_code == 201
    for nonsense in (
        {"kind": "earthquake"},
        {"kind": "status", "status": 200},
        {"kind": "delay"},
        {"kind": "reset_before", "x": 1},
    ):
        assert live.post("/_sandbox/faults", json=nonsense).status_code == 422
    assert live.post("/_sandbox/faults", content=b"{").status_code == 400
    assert live.get("/_sandbox/nowhere").status_code == 404


def test_the_control_api_shows_what_came_in_without_anybodys_data(live: httpx.Client) -> None:
    live.headers.pop("authorization")
    live.post("/invoices", json=invoice_body(customer={"name": "Ada"}), headers={"X-Request-Id": "k", **KEY})
    seen = live.get("/_sandbox/requests")
    last = seen.json()["data"][-1]
    expected = {"method": "POST", "path": "/invoices", "operation": "createInvoice", "status": 201, "idempotency_key": "k"}
    assert expected.items() <= last.items()
    assert "Ada" not in seen.text
    state = live.get("/_sandbox/state").json()
    assert state["worlds"]["sandbox"]["invoices"] == 1
    assert state["requests"] == {"createEntity": 1, "createInvoice": 1}
    live.post("/_sandbox/reset")
    assert live.get("/_sandbox/state").json()["worlds"]["sandbox"]["entities"] == 0


def test_webhooks_really_leave_and_are_tried_again(live: httpx.Client) -> None:
    received: queue.Queue[tuple[dict[str, str], bytes]] = queue.Queue()
    answers = iter([500, 200])

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.put((dict(self.headers), body))
            self.send_response(next(answers))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{receiver.server_port}/hook"
        secret = live.post("/webhooks", json={"url": url, "events": ["invoice.finalized"]}).json()["secret"]
        live.post("/invoices", json=invoice_body())
        first, second = received.get(timeout=DEADLINE_SECONDS), received.get(timeout=DEADLINE_SECONDS)
        _until(lambda: len(live.get("/_sandbox/deliveries").json()["data"]) == 2)
        receiver.shutdown()
    assert first[1] == second[1]
    for headers, body in (first, second):
        assert headers["X-Webhook-Signature"] == "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    log = live.get("/_sandbox/deliveries").json()["data"]
    assert [(entry["attempt"], entry["status"]) for entry in log] == [(1, 500), (2, 200)]


PARTIES = {"issuer": {"country_code": "SI"}, "customer": {"country_code": "DE", "tax_number": "DE136695976"}}


def test_the_register_can_be_steered_over_http(live: httpx.Client) -> None:
    def valid() -> Any:
        return live.post("/transaction-type/check", json=PARTIES).json()["vies_valid"]

    assert valid() is True
    assert live.post("/_sandbox/tax-numbers", json={"DE 136 695 976": False}).json() == {"DE136695976": False}
    assert live.get("/_sandbox/tax-numbers").json() == {"DE136695976": False}
    assert valid() is False
    assert live.post("/_sandbox/tax-numbers", json={"DE1": "yes"}).status_code == 422
    assert live.post("/_sandbox/faults", json={"kind": "registry_down"}).status_code == 200
    assert valid() is None
    assert valid() is False


def test_a_slow_register_makes_only_those_wait_who_ask_it(live: httpx.Client) -> None:
    live.post("/_sandbox/faults", json={"kind": "registry_slow", "seconds": 5})
    live.post("/invoices", json=invoice_body(), timeout=2)
    with pytest.raises(httpx.ReadTimeout):
        live.post("/transaction-type/check", json=PARTIES, timeout=0.2)
    assert live.post("/transaction-type/check", json=PARTIES, timeout=2).json()["vies_valid"] is True
    assert [seen["fault"] for seen in live.get("/_sandbox/requests").json()["data"]][-3:] == [None, "registry_slow", None]


def test_emails_are_counted_over_http(live: httpx.Client) -> None:
    invoice = live.post("/invoices", json=invoice_body()).json()["id"]
    live.post("/_sandbox/faults", json={"kind": "email_unverified"})
    first = live.post(f"/documents/{invoice}/send", json={"to": "ada@example.com"})
    assert (first.status_code, first.json()["code"]) == (403, "email_verification_required")
    live.post(f"/documents/{invoice}/send", json={"to": "ada@example.com"})
    (email,) = live.get("/_sandbox/emails").json()["data"]
    assert (email["document_id"], email["to"]) == (invoice, "ada@example.com")
    live.post("/_sandbox/reset")
    assert live.get("/_sandbox/emails").json()["data"] == []


def test_many_clients_at_once_get_unbroken_numbers(live: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda position: live.post("/invoices", json=invoice_body(metadata={"n": str(position)})), range(60))
        )
    assert sorted(int(answer.json()["number"].rpartition("-")[2]) for answer in answers) == list(range(1, 61))


def test_the_command_prints_its_url_and_serves() -> None:
    command = [sys.executable, "-m", "tools.sandbox", "--port", "0", "--api-key", "sk_sandbox_own", "--rate-limit", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own interpreter
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        own = {"authorization": "Bearer sk_sandbox_own"}
        assert httpx.get(f"{url}/entities", headers=KEY, timeout=DEADLINE_SECONDS, trust_env=False).status_code == 401
        answers = [httpx.get(f"{url}/entities", headers=own, timeout=DEADLINE_SECONDS, trust_env=False) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE_SECONDS)


def test_a_port_that_is_taken_is_said_in_one_line(live: httpx.Client) -> None:
    command = [sys.executable, "-m", "tools.sandbox", "--port", str(live.base_url.port)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)  # noqa: S603 - our own
    assert result.returncode != 0
    assert result.stderr.startswith("cannot listen on 127.0.0.1")
    assert result.stderr.count("\n") == 1


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)
