"""Repairs as messages: what was found wrong of a payment is put right by converging the payment again, through its queue."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from quittance.reconciliation.results import RepairMode
from quittance.runtime.queues import revisit_message

if TYPE_CHECKING:
    from quittance.reconciliation.results import Found
    from quittance.runtime.queues import Message


def repair_message(found: Found, at: str | None = None) -> Message | None:
    """What to send to have a finding put right; None for what only a person can do.

    Whether it needs approval is the caller's to ask: see `Found.repair`. `at` is the time of asking, RFC 3339 in UTC: now if it
    is not given.
    """
    if found.repair is RepairMode.NEVER or not (found.provider and found.payment_id):
        return None
    at = at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return revisit_message(found.provider, found.account, found.payment_id, f"repair {found.code}", at)
