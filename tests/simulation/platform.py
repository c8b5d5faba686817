"""Facts written down as the platform's own events: the reverse of what `quittance.providers.platform` reads."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from quittance.facts import Fact, FactType

if TYPE_CHECKING:
    from quittance.money import Money
    from tests.simulation.history import Delivery

_KEY_NAME = {"refund": "refund_id", "dispute": "dispute_id", "payout": "payout_id"}
_SAME_NAME = ("payment_id", "invoice_id", "capture_id", "subscription_id", "period_start", "period_end", "method", "order_id")


def event_body(delivery: Delivery) -> bytes:
    (fact,) = delivery.facts
    event = {
        "specversion": "1.0",
        "id": delivery.event_id,
        "source": "/payments",
        "type": str(fact.type),
        "time": fact.occurred_at,
        "data": _data(fact),
    }
    return json.dumps(event).encode()


def _data(fact: Fact) -> dict[str, Any]:
    data: dict[str, Any] = {"business_customer": fact.account}
    if fact.registration is not None:
        return data | fact.registration
    data |= {name: getattr(fact, name) for name in _SAME_NAME if getattr(fact, name)}
    family = fact.type.partition(".")[0]
    if family in _KEY_NAME:
        data[_KEY_NAME[family]] = fact.key
    if fact.amount is not None:
        data["amount"] = _money(fact.amount)
    if fact.subscription_plan:
        data["plan"] = fact.subscription_plan
    if fact.payer:
        data["customer"] = {"name": fact.payer.name, "country": fact.payer.country, "email": fact.payer.email}
    if fact.type in {FactType.PAYOUT_PAID, FactType.PAYOUT_FAILED}:
        names = ("payment_id", "gross", "fee", "net")
        data["payments"] = [{name: getattr(line, name) for name in names} for line in fact.payout_lines]
    return data


def _money(money: Money) -> dict[str, Any]:
    return {"value": money.value, "currency": money.currency}


def headers(raw: bytes, event_id: str, secret: str, now_s: int) -> dict[str, str]:
    """Signed by the Standard Webhooks scheme."""
    signed = f"{event_id}.{now_s}.".encode() + raw
    digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
