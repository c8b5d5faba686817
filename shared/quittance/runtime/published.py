"""Certificates that providers publish, read over HTTPS. Implements `providers.published.Published`."""

from __future__ import annotations

from urllib.parse import urlsplit

import urllib3

from quittance.errors import Reject, Retry
from quittance.providers import CERTIFICATE_UNTRUSTED

BYTES_MAX = 65_536
"""Of one answer. A certificate with those above it has a few thousand; the roots of a stand-in are fewer."""
ROOTS_PATH = "/roots.pem"

_TIMEOUT = urllib3.Timeout(connect=1, read=2)
_OK = 200
_PATIENCE = frozenset({408, 425, 429})
_SERVER_ERROR = 500


class HttpsCertificates:
    """Every certificate at its own address, under the roots that browsers trust.

    With a stand-in everything is read there instead, its roots too: then anybody it lets sign is believed.
    """

    def __init__(self, stand_in_url: str = "") -> None:
        """`stand_in_url` is for a stack without the internet, and is never set in AWS: template.yaml sees to that."""
        self._stand_in_url = stand_in_url.rstrip("/")
        self._http: urllib3.PoolManager | None = None

    def chain(self, url: str) -> bytes:
        """What is at `url`.

        Raises `Retry` if it cannot be had now, and `Reject` with `certificate_untrusted` if there is nothing there, if it has
        moved, or if it is too long.
        """
        return self._read(self._stand_in_url + urlsplit(url).path if self._stand_in_url else url)

    def roots(self) -> bytes:
        if self._stand_in_url:
            return self._read(self._stand_in_url + ROOTS_PATH)
        import certifi  # noqa: PLC0415 - only who verifies certificates reads them

        return certifi.contents().encode()

    def _read(self, url: str) -> bytes:
        try:
            # Certificates are verified by the same roots; nothing is followed elsewhere; the sender repeats, so we do not.
            answer = self._pool().request("GET", url, timeout=_TIMEOUT, retries=False, redirect=False, preload_content=False)
            try:
                content = answer.read(BYTES_MAX + 1)
            finally:
                answer.close()
        except urllib3.exceptions.HTTPError as error:
            raise Retry("certificate_unreachable", type(error).__name__) from None
        if answer.status in _PATIENCE or answer.status >= _SERVER_ERROR:
            raise Retry("certificate_unavailable", str(answer.status))
        if answer.status != _OK or len(content) > BYTES_MAX:
            raise Reject(CERTIFICATE_UNTRUSTED, f"answered {answer.status} with {len(content)} bytes")
        return content

    def _pool(self) -> urllib3.PoolManager:
        if self._http is None:
            import certifi  # noqa: PLC0415 - the same

            self._http = urllib3.PoolManager(cert_reqs="CERT_REQUIRED", ca_certs=certifi.where())
        return self._http
