"""Issuance policy: versioned data per business customer, separate from payment success and from settlement timing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules a business customer's documents follow, as the platform registered them.

    They are validated at the door by the schema of platform events, which refuses unknown settings: a rule that is not
    understood is not silently dropped.
    """

    version: int = 1
    """Printed in the metadata of every document that was planned under it."""
    due_days: int = 14
    """Days from a renewal's date until its invoice is due. An invoice for money already received is due on its date."""
    dispute_credit_on: Literal["lost", "opened", "never"] = "lost"
    """When a dispute's amount is credited: once it is lost, as soon as it is opened, or not at all."""


DEFAULT_POLICY = Policy()
