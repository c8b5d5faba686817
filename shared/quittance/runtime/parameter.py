"""Secret parameters in SSM Parameter Store: the API key, kept while SSM cannot be reached, and signing secrets to store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from quittance.errors import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CACHE_S = 300
"""How long the value is used without asking again: a rotated key is in use everywhere after this."""


OTHER_ENVIRONMENT_PAUSE_S = 300
"""How long to wait for somebody to put the right key in place."""
_KEYS_OF_OTHER = {"sandbox": ("sk_live_", "ek_live_"), "live": ("sk_sandbox_", "ek_sandbox_")}


class ParameterStore(Protocol):
    """The part of the SSM client that is used."""

    def get_parameter(self, *, Name: str, WithDecryption: bool) -> Mapping[str, Any]: ...  # noqa: N803 - SSM's names


class Parameter:
    """Call it for the parameter's value. The last good value stays in use, however old, while SSM fails.

    Raises `Retry("parameter_unavailable")` as long as no value could ever be read.
    """

    def __init__(self, store: ParameterStore, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._name = name
        self._clock = clock
        self._value: str | None = None
        self._good_until = 0.0

    def __call__(self) -> str:
        if self._value is None or self._clock() >= self._good_until:
            self._read()
        if self._value is None:
            raise Retry("parameter_unavailable")
        return self._value

    def _read(self) -> None:
        try:
            answer = self._store.get_parameter(Name=self._name, WithDecryption=True)
        except (BotoCoreError, ClientError):
            return
        self._value = answer["Parameter"]["Value"].strip()
        self._good_until = self._clock() + CACHE_S


class KeyOf:
    """Call it for the API key, which is refused if it shows that it belongs to the other environment.

    Raises `Retry("api_refused_key")` then, before any request: messages wait, and the backlog's alarm tells of it. A key of no
    known form passes.
    """

    def __init__(self, environment: str, key: Callable[[], str]) -> None:
        """`environment` is `sandbox` or `live`."""
        self._environment = environment
        self._key = key
        self._foreign = _KEYS_OF_OTHER[environment]

    def __call__(self) -> str:
        key = self._key()
        if key.startswith(self._foreign):
            raise Retry("api_refused_key", f"not a {self._environment} key", delay_s=OTHER_ENVIRONMENT_PAUSE_S)
        return key


class SecretStore(Protocol):
    """The part of the SSM client that is used."""

    def put_parameter(self, *, Name: str, Value: str, Type: Literal["SecureString"], KeyId: str, Overwrite: bool) -> object: ...  # noqa: N803 - SSM's names


class ConnectionSecrets:
    """Stores the signing secrets of one provider's connections where ingest reads them."""

    def __init__(self, store: SecretStore, path: str, key_id: str) -> None:
        """`path` holds `{connection}/secret`; `key_id` names the KMS key."""
        self._store = store
        self._path = path
        self._key_id = key_id

    def __call__(self, connection: str, secret: str) -> None:
        """Keep a secret in place of an earlier one. Raises `Retry("secret_not_stored")`."""
        name = f"{self._path}/{connection}/secret"
        try:
            self._store.put_parameter(Name=name, Value=secret, Type="SecureString", KeyId=self._key_id, Overwrite=True)
        except (BotoCoreError, ClientError) as error:
            # Not chained: a message about a parameter may quote its value.
            raise Retry("secret_not_stored", type(error).__name__) from None
