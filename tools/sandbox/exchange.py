"""Conversion of a document's amounts into its entity's currency, by the made-up rates of the settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tools.sandbox.calculation import rounded
from tools.sandbox.call import Call
from tools.sandbox.wire import Record

_RATE_STEP = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Exchange:
    """From `currency` to `own`. `rate` is what one unit of `currency` is worth in `own`, None when there is no rate."""

    currency: str
    own: str
    rate: Decimal | None

    def converted(self, amount: Decimal | None) -> Decimal | None:
        """The amount in the entity's currency, rounded by itself; None when there is no amount or no rate."""
        return None if amount is None or self.rate is None else rounded(amount * self.rate)

    def shown(self, day: date) -> Record | None:
        """The document's `exchange_rate`: null in the entity's own currency. The names of its fields are this sandbox's."""
        if self.rate is None or self.currency == self.own:
            return None
        rate = self.rate
        return {"base_currency": self.currency, "quote_currency": self.own, "rate": rate, "date": day.isoformat()}


def exchange_from(call: Call, currency: str) -> Exchange:
    """The conversion of a document in `currency` for the selected entity."""
    own, rates = call.book.entity["currency_code"], call.settings.exchange_rates
    if currency == own:
        return Exchange(currency, own, Decimal(1))
    if currency not in rates or own not in rates:
        return Exchange(currency, own, None)
    return Exchange(currency, own, (rates[own] / rates[currency]).quantize(_RATE_STEP))
