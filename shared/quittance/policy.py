"""Issuance policy: versioned data per business customer, separate from payment success and from settlement timing."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Policy(BaseModel):
    """The rules a business customer's documents follow.

    Unknown settings are refused: a rule that is not understood is not silently dropped.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = Field(default=1, ge=1)
    """Printed in the metadata of every document that was planned under it."""
    due_days: int = Field(default=14, ge=0, le=365)
    """Days from a renewal's date until its invoice is due. An invoice for money already received is due on its date."""
    dispute_credit_on: Literal["lost", "opened", "never"] = "lost"
    """When a dispute's amount is credited: once it is lost, as soon as it is opened, or not at all."""


DEFAULT_POLICY = Policy()
