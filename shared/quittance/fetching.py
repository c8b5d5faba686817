"""What a delivery only named is fetched from its provider and translated. The object is trusted over the event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from quittance.errors import Park
from quittance.providers import Translation, fetching_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from quittance.providers import Api, FetchedFor, Reference

API_KEY_MISSING = "api_key_missing"
_APIS_MAX = 50
"""How many APIs are kept at once: a platform may have any number of connected accounts."""


class Access(Protocol):
    """A connection, as far as fetching goes."""

    @property
    def api_key(self) -> str:
        """Empty when none is configured."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """`api_base_url` replaces the provider's own."""


class Fetcher:
    """Fetches what deliveries named and hands on what it means."""

    def __init__(
        self,
        *,
        access: Callable[[str, str], Access],
        api: Callable[[str, Mapping[str, str]], Api],
        hand_on: Callable[[str, str, Translation], None],
        skipped: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        """`access` gives a connection by provider and name; `api` an API by base URL and headers.

        `skipped` is told the provider and the reason where something optional cannot be had.
        """
        self._access = access
        self._api = api
        self._hand_on = hand_on
        self._skipped = skipped
        self._apis: dict[tuple[str, ...], Api] = {}

    def take(self, provider: str, reference: Reference, told: FetchedFor) -> None:
        """Fetch one object and hand on each thing it means, at least once.

        Without an API key, and for an object that does not exist, the event is handed on as ignored, with the reason; where the
        object is optional, nothing is. Raises `Retry` when the message must come again.
        """
        for translation in self._fetched(provider, reference, told):
            if translation.ignored and reference.optional:
                self._skipped(provider, translation.ignored)
            else:
                self._hand_on(provider, told.connection, translation)

    def _fetched(self, provider: str, reference: Reference, told: FetchedFor) -> tuple[Translation, ...]:
        module = fetching_provider(provider)
        access = self._access(provider, told.connection)
        if not access.api_key:
            return (_ignored(told, API_KEY_MISSING),)
        base_url = str(access.settings.get("api_base_url") or module.API_BASE_URL)
        account_headers = getattr(module, "account_headers", _no_headers)
        headers = module.api_headers(access.api_key) | account_headers(told.account)
        try:
            return module.fetch(reference, self._kept(base_url, headers), access.settings, told)
        except Park as absent:
            return (_ignored(told, absent.code),)

    def _kept(self, base_url: str, headers: Mapping[str, str]) -> Api:
        """The API under these headers, made once: its connection is used again."""
        name = (base_url, *sorted(f"{key}:{value}" for key, value in headers.items()))
        if name not in self._apis:
            if len(self._apis) >= _APIS_MAX:
                self._apis.clear()
            self._apis[name] = self._api(base_url, headers)
        return self._apis[name]


def _no_headers(_account: str) -> dict[str, str]:
    return {}


def _ignored(told: FetchedFor, reason: str) -> Translation:
    return Translation(event_id=told.event_id, event_type=told.event_type, account=told.account, ignored=reason)
