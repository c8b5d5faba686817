"""Providers: what each payment provider's webhook deliveries mean, as pure functions.

A provider is a module that fulfils `Provider`. It verifies a delivery over its raw bytes, translates it into facts and says
which answer the sender expects. It does no I/O and knows nothing of AWS. Its module is imported when its route is first used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from quittance.errors import Reject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from quittance.facts import Fact
    from quittance.observation import Sighting

_MODULES = {
    "platform": "quittance.providers.platform",
    "stripe": "quittance.providers.stripe",
    "adyen": "quittance.providers.adyen",
    "checkout": "quittance.providers.checkout",
    "paypal": "quittance.providers.paypal",
    "space-invoices": "quittance.providers.space_invoices",
    "mollie": "quittance.providers.mollie",
    "gocardless": "quittance.providers.gocardless",
}

SIGNATURE_MISSING = "signature_missing"
SIGNATURE_MALFORMED = "signature_malformed"
SIGNATURE_OUTSIDE_TOLERANCE = "signature_outside_tolerance"
SIGNATURE_MISMATCH = "signature_mismatch"
CERTIFICATE_UNTRUSTED = "certificate_untrusted"
SIGNATURE_CODES = frozenset(
    {SIGNATURE_MISSING, SIGNATURE_MALFORMED, SIGNATURE_OUTSIDE_TOLERANCE, SIGNATURE_MISMATCH, CERTIFICATE_UNTRUSTED}
)
"""The codes of `Reject` that mean: this delivery is not proven to come from the provider."""

PROVIDER_UNKNOWN = "provider_unknown"

_NOT_UNDERSTOOD = ("unknown_", "unreadable_", "amount_")
"""How the reasons begin that say: somebody must look at this. The last two are codes of `Reject`, where that was not raised."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An object of the provider that a delivery names without its content: to be fetched from the provider's API."""

    object: str
    id: str
    optional: bool = False
    """What the delivery says stands without it: when it cannot be had, nothing is kept or asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What one delivery means. A delivery without facts says why in `ignored`, or what to fetch to learn more."""

    event_id: str
    event_type: str
    account: str
    """Whose money the delivery is about, as in `Fact.account`."""
    facts: tuple[Fact, ...] = ()
    fetch: tuple[Reference, ...] = ()
    sighting: Sighting | None = None
    """A document in the invoicing API as it was at that moment, when the delivery shows one and states no fact."""
    ignored: str | None = None
    """A stable code, never text of the delivery."""
    is_test: bool | None = None
    """Whether the provider says that no real money moved. None: it does not say."""
    occurred_at: str = ""
    """When that happened which the delivery tells of, RFC 3339 in UTC. Needed where something is to be fetched for its sake."""
    parts: tuple[Translation, ...] = ()
    """The events of a delivery that holds several, each for itself. Their facts and what they fetch are this one's too."""

    @property
    def is_not_understood(self) -> bool:
        """Whether it may state a fact that was not read. Everything else that is ignored is known to make no document.

        It is of a type, a status, a version or a currency that the provider's module does not know, or cannot be read.
        """
        return (self.ignored or "").startswith(_NOT_UNDERSTOOD)

    @property
    def events(self) -> tuple[Translation, ...]:
        """Every event of the delivery, each for itself."""
        return self.parts or (self,)


def together(events: Sequence[Translation]) -> Translation:
    """What a delivery of these events means. It is called after the first, and ignored only if every event of it is.

    Raises `ValueError` if there are none.
    """
    if not events:
        raise ValueError("a delivery of no events")
    if len(events) == 1:
        return events[0]
    first = events[0]
    facts = tuple(fact for event in events for fact in event.facts)
    fetch = tuple(reference for event in events for reference in event.fetch)
    ignored = None if facts or fetch else first.ignored
    return replace(first, facts=facts, fetch=fetch, ignored=ignored, parts=tuple(events))


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedFor:
    """The delivery for whose sake an object is fetched."""

    connection: str
    event_id: str
    event_type: str
    account: str
    occurred_at: str = ""
    """As in `Translation.occurred_at`; when the delivery came, if it does not say."""


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

        Raises `Reject` with one of `SIGNATURE_CODES`, or another code when the delivery contradicts what was signed, and `Retry`
        when it takes something that cannot be read now.
        """

    def translate(self, raw: bytes, connection: str, settings: Mapping[str, Any]) -> Translation:
        """The meaning of a verified body that was delivered on `connection`.

        Raises `Reject` for a body that cannot be read, `Retry` for settings that make no sense, and nothing else.
        """

    def acknowledge(self) -> Acknowledgement:
        """The answer to a delivery that is safely stored."""


class Api(Protocol):
    """A provider's API as one connection may read it."""

    def get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON object at `path`, without the members that are null.

        Raises `Retry` when it may be had later, `Park` when there is none.
        """


class FetchingProvider(Protocol):
    """What a provider answers besides, whose deliveries name objects without their content."""

    API_BASE_URL: str

    def api_headers(self, api_key: str) -> dict[str, str]:
        """The headers by which its API knows us.

        A module whose keys reach other accounts too has `account_headers(account)` besides, which choose one.
        """

    def fetch(self, reference: Reference, api: Api, settings: Mapping[str, Any], told: FetchedFor) -> tuple[Translation, ...]:
        """What the object means, as if its content had been delivered. Raises `Retry` or `Park` as `api` does."""


def provider(name: str) -> Provider:
    """The provider called `name`. Raises `Reject` with `PROVIDER_UNKNOWN` if there is none."""
    if name not in _MODULES:
        raise Reject(PROVIDER_UNKNOWN)
    return cast("Provider", import_module(_MODULES[name]))


def fetching_provider(name: str) -> FetchingProvider:
    """The same for a provider whose deliveries name objects. Raises `Reject` with `PROVIDER_UNKNOWN` if there is none."""
    chosen = provider(name)
    if not hasattr(chosen, "fetch"):
        raise Reject(PROVIDER_UNKNOWN)
    return cast("FetchingProvider", chosen)


def provider_names() -> tuple[str, ...]:
    """Every provider that has a route."""
    return tuple(_MODULES)


def provider_modules() -> dict[str, str]:
    """Every provider that has a route, with the name of its module."""
    return dict(_MODULES)
