"""What the sandbox can be told to do differently, where the real API's behaviour is unknown or a test needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True, slots=True)
class Settings:
    """Switches. The defaults are the assumptions of the document's `x-behaviour-rules`."""

    api_key: str | None = None
    """Accept only this key. None: every key of the documented form."""
    rate_limits: dict[str, int] | None = field(default_factory=lambda: {"sandbox": 60, "live": 600})
    """Requests a minute for one client address, by environment. None: no limit."""
    idempotency_headers: tuple[Literal["x-request-id", "idempotency-key"], ...] = ("x-request-id", "idempotency-key")
    """Headers honoured as the idempotency key, strongest first."""
    metadata_queries: tuple[Literal["nested", "dotted"], ...] = ("nested", "dotted")
    """Spellings of a metadata condition that filter. The other one is ignored: it then matches everything."""
    expected_total_tolerance: Decimal = Decimal("0.05")
    """Largest difference that `expected_total_with_tax` turns into a rounding correction instead of a 422."""
    accept_overpayment: bool = False
    """Accept payments above an invoice's total."""
    accept_overcredit: bool = True
    """Accept credit notes that together exceed the invoice they are linked to."""
    apply_linked_credit: bool = False
    """A credit note linked to an invoice that is still due is applied to it at once."""
    accept_future_dates: bool = False
    """Accept documents and payments dated after today in the entity's time zone."""
