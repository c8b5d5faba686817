"""What operators may say in the body of a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from quittance.acknowledgements import REASON_MAX
from quittance.operations.arguments import Between, Length

Id = Annotated[str, Length(1, 512)]


@dataclass(frozen=True, slots=True)
class NamedPayment:
    """A payment by its exact name."""

    provider: Id
    account: Id
    payment_id: Id


@dataclass(frozen=True, slots=True)
class Replay:
    """Which payments to converge again."""

    payments: Annotated[list[NamedPayment], Length(1, 100)]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a finding is acknowledged. Free text, kept for good: no more personal data than it takes."""

    reason: Annotated[str, Length(1, REASON_MAX)]


@dataclass(frozen=True, slots=True)
class Redrive:
    """Which dead letters to send again; all of them if nothing is said."""

    function: Id | None = None
    cause: Id | None = None
    business_customer: Id | None = None
    limit: Annotated[int, Between(1, 1000)] = 1000
