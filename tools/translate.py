"""What a provider's payload means, without sending it: one JSON-ready line per file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quittance.errors import Reject
from quittance.providers import provider

if TYPE_CHECKING:
    from pathlib import Path

    from quittance.facts import Fact


def translated(provider_name: str, file: Path, connection: str = "default") -> dict[str, Any]:
    """The facts that `file` states when it is delivered on `connection`, unverified.

    Always a line: a file that cannot be read or understood has its reason in `error`, one that makes no fact in `ignored`.
    """
    line: dict[str, Any] = {"file": str(file), "facts": [], "fetch": [], "ignored": None, "error": None}
    try:
        translation = provider(provider_name).translate(file.read_bytes(), connection, {})
    except Reject as rejected:
        return line | {"error": str(rejected)}
    except OSError as error:
        return line | {"error": f"unreadable_file: {type(error).__name__}"}
    shown = {"sighting": translation.sighting.to_json()} if translation.sighting else {}
    return (
        line
        | shown
        | {
            "facts": [_fact(fact) for fact in translation.facts],
            "fetch": [{"object": reference.object, "id": reference.id} for reference in translation.fetch],
            "ignored": translation.ignored,
        }
    )


def _fact(fact: Fact) -> dict[str, Any]:
    """The fact without what it says about people. `account` is the one the event names, in the provider's own words."""
    is_platform = fact.provider == "platform"
    return {
        "type": str(fact.type),
        "key": fact.key,
        "payment_id": fact.payment_id,
        "account": None if is_platform or fact.account.startswith("connection:") else fact.account,
        "business_customer": fact.account if is_platform else None,
        "amount": {"value": fact.amount.value, "currency": fact.amount.currency} if fact.amount else None,
        "occurred_at": fact.occurred_at,
        "occurrence": fact.occurrence or None,
        "running_total": fact.running_total,
        "also_known_as": list(fact.also_known_as),
        "invoice_id": fact.invoice_id,
        "awaits_renewal": fact.awaits_renewal,
        "capture_id": fact.capture_id,
        "subscription_id": fact.subscription_id,
        "method": fact.method,
    }
