"""What the stand-ins answer, without HTTP."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tools.provider_apis.gocardless import GoCardless
from tools.provider_apis.mollie import Mollie
from tools.provider_apis.stripe import Stripe
from tools.samples import with_fresh_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EVENTS = Path(__file__).parents[2] / "events"

_FRESH = re.compile(r"(?<=\w)_([0-9a-f]{8})(?!\w)", re.ASCII)
"""What `quittance send --fresh-ids` adds to an id."""


class StandIn(Protocol):
    """One provider's API."""

    def refusal(self, headers: Mapping[str, str]) -> int | None:
        """The status with which a request that carries a good key is refused all the same. `headers` have lower-case names."""

    def answer(self, path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        """The answer to a GET of `path`, which has no slash at either end; None if there is nothing."""


STAND_INS: dict[str, Callable[[Path], StandIn]] = {"mollie": Mollie, "gocardless": GoCardless, "stripe": Stripe}
"""By provider, what makes its stand-in from the folder of its samples."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON body."""

    status: int
    body: bytes


def answered(stand_in: StandIn, api_key: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
    """The answer to one request, of which `headers` have lower-case names.

    A sample that was sent with fresh ids finds its objects under them.
    """
    if headers.get("authorization") != f"Bearer {api_key}":
        return _refused(401)
    if status := stand_in.refusal(headers):
        return _refused(status)
    suffixes = {found for text in (path, *query.values()) for found in _FRESH.findall(text)}
    document = stand_in.answer(_FRESH.sub("", path), {name: _FRESH.sub("", value) for name, value in query.items()})
    if document is None:
        return _refused(404)
    body = json.dumps(document).encode()
    for suffix in suffixes:
        body = with_fresh_ids(body, suffix)
    return Answer(200, body)


def _refused(status: int) -> Answer:
    return Answer(status, json.dumps({"status": status, "title": "refused"}).encode())
