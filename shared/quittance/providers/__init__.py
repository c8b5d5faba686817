"""Providers: what each payment provider's webhook deliveries mean, as pure functions.

A provider is a module that fulfils `Provider`. It verifies a delivery over its raw bytes, translates it into facts and says
which answer the sender expects. It does no I/O and knows nothing of AWS. Its module is imported when its route is first used.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from quittance.errors import Reject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from quittance.facts import Fact

_MODULES = {
    "platform": "quittance.providers.platform",
    "stripe": "quittance.providers.stripe",
}

SIGNATURE_MISSING = "signature_missing"
SIGNATURE_MALFORMED = "signature_malformed"
SIGNATURE_OUTSIDE_TOLERANCE = "signature_outside_tolerance"
SIGNATURE_MISMATCH = "signature_mismatch"
SIGNATURE_CODES = frozenset({SIGNATURE_MISSING, SIGNATURE_MALFORMED, SIGNATURE_OUTSIDE_TOLERANCE, SIGNATURE_MISMATCH})
"""The codes of `Reject` that mean: this delivery is not proven to come from the provider."""

PROVIDER_UNKNOWN = "provider_unknown"


@dataclass(frozen=True, slots=True)
class Reference:
    """An object of the provider that a delivery names without its content: to be fetched from the provider's API."""

    object: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What one delivery means. A delivery without facts says why in `ignored`, or what to fetch to learn more."""

    event_id: str
    event_type: str
    account: str
    """Whose money the delivery is about, as in `Fact.account`."""
    facts: tuple[Fact, ...] = ()
    fetch: tuple[Reference, ...] = ()
    ignored: str | None = None
    """A stable code, never text of the delivery."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The answer by which the provider knows that its delivery has arrived."""

    status: int = 200
    body: str = '{"received":true}'
    content_type: str = "application/json"


class Provider(Protocol):
    """The three questions asked of every provider. None has a default: forgetting one must not leave a route open."""

    EVENT_TYPES: frozenset[str]
    """The event types the module knows by name, which bounds what may become a metric's dimension."""

    def verify(self, raw: bytes, headers: Mapping[str, str], secrets: Sequence[str], now_s: int) -> None:
        """Return only if the delivery is proven to come from the holder of one of `secrets`.

        `headers` has lower-case names. `now_s` is the time in seconds since the epoch.

        Raises `Reject` with one of `SIGNATURE_CODES`, or another code when the delivery contradicts what was signed.
        """

    def translate(self, raw: bytes, connection: str, settings: Mapping[str, Any]) -> Translation:
        """The meaning of a verified body that was delivered on `connection`.

        Raises `Reject` for a body that cannot be read, and nothing else.
        """

    def acknowledge(self) -> Acknowledgement:
        """The answer to a delivery that is safely stored."""


def provider(name: str) -> Provider:
    """The provider called `name`. Raises `Reject` with `PROVIDER_UNKNOWN` if there is none."""
    if name not in _MODULES:
        raise Reject(PROVIDER_UNKNOWN)
    return cast("Provider", import_module(_MODULES[name]))


def provider_names() -> tuple[str, ...]:
    """Every provider that has a route."""
    return tuple(_MODULES)
