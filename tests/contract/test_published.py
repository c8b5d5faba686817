"""Reading certificates over HTTP, from a server on this machine."""

from __future__ import annotations

import asyncio
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import certifi
import httpx
import pytest
import urllib3

from quittance.errors import Reject, Retry
from quittance.providers.certificates import Certificates
from quittance.runtime import published
from quittance.runtime.published import BYTES_MAX, HttpsCertificates
from tools import paypal_authority
from tools.paypal_authority import NAME, PATH, URL, authority
from tools.provider_apis.__main__ import application

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW_S = 1_795_168_800


class Shelf(ThreadingHTTPServer):
    """Answers every path with the status and the body that a test put there."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, bytes, dict[str, str]]] = {}
        self.asked: list[str] = []
        self.goes_on = threading.Event()
        self.goes_on.set()

    def handle_error(self, *_: Any) -> None:
        """Who does not wait for an answer is no news."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Shelf

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.goes_on.wait(20)
        status, body, headers = self.server.answers.get(self.path, (404, b"", {}))
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with Shelf() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.goes_on.set()
        server.shutdown()
        thread.join()


def of(shelf: Shelf) -> HttpsCertificates:
    return HttpsCertificates(f"{shelf.url}/paypal/")


def test_a_stand_in_has_the_certificates_and_the_roots_to_trust(shelf: Shelf) -> None:
    shelf.answers["/paypal/v1/notifications/certs/CERT-quittance-local"] = (200, authority().certificate, {})
    shelf.answers["/paypal/roots.pem"] = (200, authority().root, {})
    Certificates(of(shelf)).rsa_key(URL, frozenset({NAME}), NOW_S)
    assert shelf.asked == ["/paypal/v1/notifications/certs/CERT-quittance-local", "/paypal/roots.pem"]


def test_without_a_stand_in_the_roots_are_those_of_browsers_and_the_address_is_the_real_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = HttpsCertificates()
    assert real.roots() == certifi.contents().encode()
    asked: list[tuple[str, str]] = []

    def refuse(_: Any, method: str, url: str, **__: Any) -> None:
        asked.append((method, url))
        raise urllib3.exceptions.ConnectTimeoutError

    monkeypatch.setattr(urllib3.PoolManager, "request", refuse)
    with pytest.raises(Retry, match="certificate_unreachable"):
        real.chain(URL)
    assert asked == [("GET", URL)]


def test_the_server_of_a_certificate_must_prove_itself() -> None:
    pool = HttpsCertificates()._pool()
    assert pool.connection_pool_kw["cert_reqs"] == "CERT_REQUIRED"
    assert pool.connection_pool_kw["ca_certs"] == certifi.where()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_a_server_that_fails_is_asked_again_with_the_next_delivery(shelf: Shelf, status: int) -> None:
    shelf.answers["/paypal/x"] = (status, b"", {})
    with pytest.raises(Retry, match="certificate_unavailable"):
        of(shelf).chain("https://api.paypal.com/x")
    assert shelf.asked == ["/paypal/x"]


@pytest.mark.parametrize("status", [204, 301, 302, 307, 400, 401, 403, 404, 410])
def test_what_is_not_there_is_no_certificate_and_nobody_is_followed(shelf: Shelf, status: int) -> None:
    shelf.answers["/paypal/x"] = (status, b"", {"Location": f"{shelf.url}/paypal/y"})
    shelf.answers["/paypal/y"] = (200, authority().certificate, {})
    with pytest.raises(Reject, match="certificate_untrusted"):
        of(shelf).chain("https://api.paypal.com/x")
    assert shelf.asked == ["/paypal/x"]


def test_only_so_much_is_read(shelf: Shelf) -> None:
    shelf.answers["/paypal/x"] = (200, b"x" * BYTES_MAX, {})
    assert len(of(shelf).chain("https://api.paypal.com/x")) == BYTES_MAX
    shelf.answers["/paypal/x"] = (200, b"x" * (BYTES_MAX + 1), {})
    with pytest.raises(Reject, match="certificate_untrusted"):
        of(shelf).chain("https://api.paypal.com/x")


def test_a_server_that_says_nothing_is_waited_for_only_so_long(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (published._TIMEOUT.connect_timeout, published._TIMEOUT.read_timeout) == (1, 2)
    monkeypatch.setattr(published, "_TIMEOUT", urllib3.Timeout(connect=1, read=0.05))
    shelf.goes_on.clear()
    with pytest.raises(Retry, match="certificate_unreachable"):
        of(shelf).chain("https://api.paypal.com/x")
    assert shelf.asked == ["/paypal/x"]


def test_nobody_at_the_address_is_a_reason_to_try_again() -> None:
    with pytest.raises(Retry, match="certificate_unreachable"):
        HttpsCertificates("http://127.0.0.1:9").roots()


# --- what stands in for PayPal


def test_the_stand_in_serves_what_samples_are_signed_with() -> None:
    def get(path: str) -> tuple[int, bytes]:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(application("api_1"))
            async with httpx.AsyncClient(transport=transport, base_url="http://stand-in") as client:
                return await client.get(path)

        answer = asyncio.run(asked())
        return answer.status_code, answer.content

    assert get(f"/paypal{PATH}") == (200, authority().certificate)
    assert get(f"/paypal{published.ROOTS_PATH}") == (200, authority().root)
    assert get("/paypal/anything/else")[0] == 404


def test_an_authority_is_made_once_and_its_key_is_nobody_elses_to_read(tmp_path: Path) -> None:
    file = tmp_path / "build" / "authority.pem"
    first = authority(file)
    assert file.stat().st_mode & 0o077 == 0
    authority.cache_clear()
    again = authority(file)
    assert (again.root, again.certificate, again.key.private_numbers()) == (
        first.root,
        first.certificate,
        first.key.private_numbers(),
    )
    paypal_authority._keep(file)
    assert sorted(found.name for found in file.parent.iterdir()) == ["authority.pem"]
    authority.cache_clear()
    assert authority(file).root == first.root
