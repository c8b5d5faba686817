"""What a connection is configured with, out of SSM Parameter Store: its live secrets and its settings."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from quittance.errors import Reject, Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CACHE_S = 300
"""How long values are used without asking again."""
ABSENT_CACHE_S = 30
"""How long a connection that does not exist stays unknown: long enough to stop a scan, short enough to set one up."""
REFETCH_INTERVAL_S = 2
"""At least this long passes between two forced fetches of one connection, so that forged signatures cannot exhaust SSM."""
ABSENT_MAX = 1000
"""How many unknown names are remembered at once."""

CONNECTION_UNKNOWN = "connection_unknown"

_LEAVES = ("secret", "secret-previous", "settings")
_FOR_API = ("settings", "api-key")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)


class ParameterStore(Protocol):
    """The part of the SSM client that is used."""

    def get_parameters(self, *, Names: list[str], WithDecryption: bool) -> Mapping[str, Any]: ...  # noqa: N803 - SSM's names


@dataclass(frozen=True, slots=True)
class Connection:
    """One configured endpoint of a provider. Its secrets are not part of its representation."""

    secrets: tuple[str, ...] = field(repr=False)
    """The current secret, then the previous one while a rotation lasts."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    api_key: str = field(default="", repr=False)
    """For the provider's own API; empty where nobody asked for it, or none is configured."""


@dataclass(slots=True)
class _Entry:
    connection: Connection | None
    asked_at: float
    """When SSM was last asked, whether it answered or not."""
    good_until: float
    is_stale: bool = False
    """SSM did not answer when last asked: the connection may have changed meanwhile."""


class Connections:
    """Connections by provider and name, read in one request each and kept for `CACHE_S`.

    While SSM cannot be reached the last good values stay in use, however old.
    """

    def __init__(
        self, store: ParameterStore, path: str, *, with_api_key: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`path` is the parameter path that holds `{provider}/{connection}/secret` and its siblings; `clock` gives seconds.

        `with_api_key` is for who reads a provider's API and verifies nothing: it gets the key in place of the secrets, and every
        name is a connection, because one whose events come without signatures needs no secret.
        """
        self._leaves = _FOR_API if with_api_key else _LEAVES
        self._store = store
        self._path = path.rstrip("/")
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def get(self, provider: str, name: str) -> Connection:
        """The connection as last fetched.

        Raises `Reject` with `connection_unknown` if none is configured, `Retry` if that cannot be found out now.
        """
        base = self._base(provider, name)
        entry = self._entries.get(base)
        if entry is None or self._clock() >= entry.good_until:
            entry = self._fetch(base)
        if entry.connection is None:
            raise Reject(CONNECTION_UNKNOWN)
        return entry.connection

    def refetched(self, provider: str, name: str) -> Connection | None:
        """The connection fetched anew because its secrets did not fit; None if it was fetched only just now.

        Raises `Retry` if SSM does not answer: what does not fit old secrets may fit the new ones.
        """
        base = self._base(provider, name)
        entry = self._entries.get(base)
        is_recent = entry is not None and self._clock() - entry.asked_at < REFETCH_INTERVAL_S
        if entry is None or not is_recent:
            entry = self._fetch(base)
        if entry.is_stale:
            raise Retry("secrets_unavailable")
        return None if is_recent else entry.connection

    def _base(self, provider: str, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise Reject(CONNECTION_UNKNOWN)
        return f"{self._path}/{provider}/{name}"

    def _fetch(self, base: str) -> _Entry:
        now = self._clock()
        try:
            connection = self._read(base)
        except (BotoCoreError, ClientError) as error:
            known = self._entries.get(base)
            if known is None or known.connection is None:
                raise Retry("secrets_unavailable", type(error).__name__) from None
            known.asked_at, known.good_until, known.is_stale = now, now + REFETCH_INTERVAL_S, True
            return known
        if connection is None and sum(entry.connection is None for entry in self._entries.values()) >= ABSENT_MAX:
            self._entries = {name: entry for name, entry in self._entries.items() if entry.connection}
        self._entries[base] = _Entry(connection, now, now + (CACHE_S if connection else ABSENT_CACHE_S))
        return self._entries[base]

    def _read(self, base: str) -> Connection | None:
        names = [f"{base}/{leaf}" for leaf in self._leaves]
        answer = self._store.get_parameters(Names=names, WithDecryption=True)
        values = {parameter["Name"].removeprefix(f"{base}/"): parameter["Value"].strip() for parameter in answer["Parameters"]}
        secrets = tuple(values[leaf] for leaf in _LEAVES[:2] if values.get(leaf))
        if not secrets and self._leaves is not _FOR_API:
            return None
        return Connection(secrets, _settings(values.get("settings", "{}")), values.get("api-key", ""))


def _settings(text: str) -> Mapping[str, Any]:
    try:
        settings = json.loads(text)
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise Retry("settings_unreadable", "the settings parameter of this connection is not a JSON object")
    return settings
