"""Reaching a stack: patience with a server that says when to come back."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tools.target import PatientTransport

if TYPE_CHECKING:
    from collections.abc import Iterator


class Busy(BaseHTTPRequestHandler):
    """Asks to come back as often as it is told to, then answers."""

    refusals = 0
    requests = 0

    def do_GET(self) -> None:
        type(self).requests += 1
        refuse = self.requests <= self.refusals
        self.send_response(429 if refuse else 200)
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(b"later" if refuse else b"now")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def busy() -> Iterator[tuple[type[Busy], str]]:
    handler = type("Handler", (Busy,), {})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield handler, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("refusals", "status", "requests"), [(0, 200, 1), (2, 200, 3), (99, 429, 6)])
def test_a_busy_server_is_asked_again_a_few_times(
    busy: tuple[type[Busy], str], refusals: int, status: int, requests: int
) -> None:
    handler, url = busy
    handler.refusals = refusals
    with httpx.Client(transport=PatientTransport()) as client:
        answer = client.get(url)
    assert (answer.status_code, handler.requests) == (status, requests)
    assert answer.text == ("now" if status == 200 else "later")
