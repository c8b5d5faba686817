"""What the sandbox can be told to do differently, where the real API's behaviour is unknown or a test needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

_MADE_UP_RATES = {
    currency: Decimal(rate)
    for currency, rate in (
        ("EUR", "1"),
        ("AED", "4"),
        ("AUD", "1.6"),
        ("BGN", "1.95583"),
        ("BRL", "6"),
        ("CAD", "1.5"),
        ("CHF", "0.95"),
        ("CNY", "8"),
        ("CZK", "25"),
        ("DKK", "7.45"),
        ("GBP", "0.85"),
        ("HKD", "8.5"),
        ("HUF", "400"),
        ("INR", "90"),
        ("ISK", "150"),
        ("JPY", "160"),
        ("KRW", "1500"),
        ("KWD", "0.32"),
        ("MXN", "20"),
        ("NOK", "11.5"),
        ("NZD", "1.8"),
        ("PLN", "4.3"),
        ("RON", "5"),
        ("RSD", "117"),
        ("SEK", "11.2"),
        ("SGD", "1.45"),
        ("TRY", "40"),
        ("USD", "1.1"),
        ("ZAR", "20"),
    )
}


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
    tax_numbers: Mapping[str, bool] = field(default_factory=dict)
    """Tax numbers, with their country prefix, that are in the EU's register or not whatever their checksum says."""
    exchange_rates: Mapping[str, Decimal] = field(default_factory=lambda: dict(_MADE_UP_RATES))
    """What one euro is worth in each currency. Amounts in a currency without a rate are not converted."""
    plain_http_webhooks: bool = False
    """Accept webhook endpoints that are on this machine without HTTPS."""
    accept_future_dates: bool = False
    """Accept documents and payments dated after today in the entity's time zone."""
