"""A business customer as JSON: its policies, and the registrations it is put together from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quittance.acknowledgements import NOTHING_ACKNOWLEDGED
from quittance.explanation.amounts import moment
from quittance.explanation.findings import finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quittance.acknowledgements import Acknowledgements
    from quittance.customers import BusinessCustomer
    from quittance.storage import Item


def explain_customer(
    customer_id: str,
    customer: BusinessCustomer | None,
    registrations: Iterable[Item],
    findings: Iterable[Item] = (),
    acknowledged: Acknowledgements = NOTHING_ACKNOWLEDGED,
) -> dict[str, Any]:
    """Everything about one business customer as JSON-ready data, without name, address or tax number.

    `customer` is None before its entity exists; `registrations` and `findings` are the items of its partition.
    """
    accounts = [{"provider": one.provider, "account": one.account} for one in customer.accounts] if customer else []
    return {
        "kind": "business_customer",
        "business_customer": customer_id,
        "entity_id": customer.entity_id if customer else None,
        "accounts": accounts,
        "timezone": str(customer.timezone) if customer else None,
        "policies": [one.to_json() for one in customer.policies] if customer else [],
        "registrations": [_registration(one) for one in sorted(registrations, key=_in_order)],
        "findings": [finding(one, acknowledged) for one in findings if not one.get("resolved_at")],
    }


def _in_order(item: Item) -> tuple[int, int]:
    return int(item.get("version", 0)), int(item["recorded_at"])


def _registration(item: Item) -> dict[str, Any]:
    """One registration: which fields it gave, never what they say."""
    fact = item["fact"]
    said = fact.get("registration") or {}
    policy = said.get("policy")
    return {
        "event_id": item["event_id"],
        "type": fact["type"],
        "occurred_at": fact["occurred_at"],
        "recorded_at": moment(int(item["recorded_at"])),
        "fields": sorted(name for name, value in said.items() if value is not None),
        "policy": policy,
        "policy_refused": item.get("policy_refused"),
    }
