"""A provider's own API over HTTP, read only: what an event names without its content is fetched here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from quittance.errors import Park, Reject, Retry
from quittance.providers.payload import json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIGURATION_PAUSE_S = 300
"""How long to wait for somebody to repair a key or an address."""
LONGEST_PAUSE_S = 3600
_CONFIGURATION = frozenset({401, 403})
_PATIENCE = frozenset({408, 425, 429})
_SERVER_ERROR = 500


class ProviderApi:
    """One connection's access to its provider's API. Implements `providers.Api`."""

    def __init__(
        self, base_url: str, headers: Mapping[str, str], *, transport: httpx.BaseTransport | None = None, timeout_s: float = 5.0
    ) -> None:
        """`headers` carry the key; `timeout_s` holds for connecting and for each wait for more of an answer."""
        self._client = httpx.Client(base_url=base_url, headers=dict(headers), transport=transport, timeout=timeout_s)

    def get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON object at `path`, without the members that are null.

        Raises `Retry` when the API cannot be reached, limits the rate, does not know the key or fails, and `Park` when it says
        that there is no such object or that the request makes no sense. No message holds what was asked for or answered.
        """
        try:
            answer = self._client.get(path, params=dict(params or {}))
        except httpx.HTTPError as error:
            raise Retry("provider_unreachable", type(error).__name__) from None
        status = answer.status_code
        if status in _CONFIGURATION:
            raise Retry("provider_refused_key", str(status), delay_s=CONFIGURATION_PAUSE_S)
        if status in _PATIENCE or status >= _SERVER_ERROR:
            raise Retry("provider_unavailable", str(status), delay_s=_asked_delay_s(answer))
        if not answer.is_success:
            raise Park("object_not_found", str(status))
        try:
            return json_object(answer.content)
        except Reject:
            # Something in between may have answered in the API's place.
            raise Retry("provider_unreadable_answer") from None


def _asked_delay_s(answer: httpx.Response) -> int | None:
    """`Retry-After` in seconds; None when it does not say, or says a date."""
    asked = answer.headers.get("Retry-After", "")
    return min(int(asked), LONGEST_PAUSE_S) if asked.isdecimal() else None
