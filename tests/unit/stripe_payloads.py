"""Events and objects as Stripe renders them, in as few words as a test needs."""

from __future__ import annotations

import json
from typing import Any

from quittance.providers import Translation, stripe

NOW = 1_795_000_000


def event(kind: str, **obj: Any) -> dict[str, Any]:
    """A minimal event about `obj`."""
    return {
        "id": "evt_1",
        "object": "event",
        "type": kind,
        "api_version": "2026-10-28.endive",
        "created": NOW,
        "data": {"object": obj},
    }


def translation(body: dict[str, Any]) -> Translation:
    return stripe.translate(json.dumps(body).encode(), "default", {})


def intent(**more: Any) -> dict[str, Any]:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 5000,
        "amount_received": 5000,
        "currency": "eur",
        "latest_charge": "ch_1",
    } | more


def charge(**more: Any) -> dict[str, Any]:
    base = {"id": "ch_1", "object": "charge", "amount": 5000, "amount_captured": 5000, "amount_refunded": 0, "captured": True}
    return base | {"currency": "eur", "payment_intent": "pi_1", "status": "succeeded"} | more


def session(**more: Any) -> dict[str, Any]:
    return {
        "id": "cs_1",
        "object": "checkout.session",
        "amount_total": 5000,
        "currency": "eur",
        "payment_intent": "pi_1",
        "payment_status": "paid",
    } | more


def invoice(**more: Any) -> dict[str, Any]:
    base = {
        "id": "in_1",
        "object": "invoice",
        "amount_paid": 5000,
        "amount_due": 5000,
        "amount_remaining": 0,
        "currency": "eur",
        "attempt_count": 2,
    }
    return base | {"billing_reason": "subscription_cycle"} | more


def refund(**more: Any) -> dict[str, Any]:
    return {
        "id": "re_1",
        "object": "refund",
        "amount": 700,
        "currency": "eur",
        "charge": "ch_1",
        "payment_intent": "pi_1",
        "status": "succeeded",
    } | more


def dispute(status: str, *amounts: int, **more: Any) -> dict[str, Any]:
    transactions = [{"amount": amount, "currency": "eur", "fee": 1500} for amount in amounts]
    base = {"id": "du_1", "object": "dispute", "amount": 5000, "currency": "eur", "charge": "ch_1", "payment_intent": "pi_1"}
    return base | {"status": status, "balance_transactions": transactions} | more


def payout(**more: Any) -> dict[str, Any]:
    return {"id": "po_1", "object": "payout", "amount": 9000, "currency": "eur", "status": "paid"} | more
