"""A provider of the simulation's own, so that facts of every shape enter through the real ingest function.

Its deliveries are the facts themselves, signed; what it stands for (stripe) is named in each fact.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from quittance.errors import Reject
from quittance.facts import fact_from_json
from quittance.providers import SIGNATURE_MISMATCH, Acknowledgement, Translation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.simulation.history import Delivery

NAME = "simulated"
EVENT_TYPES = frozenset({"simulated"})


def delivery_body(delivery: Delivery) -> bytes:
    content = {
        "facts": [fact.to_json() for fact in delivery.facts],
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
    }
    return json.dumps(content).encode()


def signature(raw: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def verify(raw: bytes, headers: Mapping[str, str], secrets: Sequence[str], now_s: int) -> None:  # noqa: ARG001
    if headers.get("signature") not in {signature(raw, secret) for secret in secrets}:
        raise Reject(SIGNATURE_MISMATCH)


def translate(raw: bytes, connection: str, settings: Mapping[str, Any]) -> Translation:  # noqa: ARG001
    content = json.loads(raw)
    facts = tuple(fact_from_json(fact) for fact in content["facts"])
    return Translation(event_id=content["event_id"], event_type=content["event_type"], account=facts[0].account, facts=facts)


def acknowledge() -> Acknowledgement:
    return Acknowledgement()
