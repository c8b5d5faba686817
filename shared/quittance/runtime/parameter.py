"""One secret parameter out of SSM Parameter Store, kept while SSM cannot be reached."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from quittance.errors import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CACHE_S = 300
"""How long the value is used without asking again: a rotated key is in use everywhere after this."""


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
