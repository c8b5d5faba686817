"""Money: integer minor units with their ISO 4217 currency, in one type. No float before the wire."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from quittance.errors import Reject

# ISO 4217, list one: the active national currencies and their minor units. Funds codes (BOV, CHE, ...), precious metals
# and test codes (XAU, XTS, XXX, ...) are left out on purpose: nobody is paid in them.
_EXPONENTS_OTHER_THAN_TWO = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
}
_EXPONENT_TWO = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC"
    " CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR"
    " JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD"
    " NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN"
    " SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)
EXPONENTS: dict[str, int] = dict.fromkeys(_EXPONENT_TWO.split(), 2) | {
    code: exponent for exponent, codes in _EXPONENTS_OTHER_THAN_TWO.items() for code in codes.split()
}
"""ISO 4217 alphabetic code -> number of decimals of its minor unit."""

DOCUMENT_DECIMALS = 2
"""Decimals that the invoicing API carries in document totals."""

VALUE_MAX = 10**15 - 1
"""Most minor units of an amount: a JSON number in major units carries no more digits exactly."""


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount in integer minor units (`value`) of an ISO 4217 currency.

    Arithmetic between two currencies raises `ValueError`: it is a programming error, never input.
    """

    value: int
    currency: str

    def __add__(self, other: Money) -> Money:
        self._require_same_currency(other)
        return Money(self.value + other.value, self.currency)

    def __sub__(self, other: Money) -> Money:
        self._require_same_currency(other)
        return Money(self.value - other.value, self.currency)

    def __bool__(self) -> bool:
        return self.value != 0

    def _require_same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not mix")

    @property
    def decimal(self) -> Decimal:
        """The amount in major units, exactly: 12345 EUR -> 123.45, 500 JPY -> 500, 1234 KWD -> 1.234."""
        return Decimal(self.value).scaleb(-EXPONENTS[self.currency])

    @property
    def fits_document(self) -> bool:
        """Whether two decimals carry the amount exactly: KWD 1.230 does, KWD 1.234 does not."""
        return self.decimal == round(self.decimal, DOCUMENT_DECIMALS)


def zero(currency: str) -> Money:
    return Money(0, currency)


def money_from_minor_units(value: object, currency: object, *, exponent: int | None = None) -> Money:
    """Money from a provider's integer amount.

    `exponent` is the provider's own number of decimals for this currency where it departs from ISO 4217.

    Raises `Reject` for an amount that is not a whole number, is negative or beyond `VALUE_MAX`, cannot be expressed in the
    currency's own minor unit, or has a currency that ISO 4217 does not list: such an amount is never guessed.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise Reject("amount_not_integer")
    if value < 0:
        raise Reject("amount_negative")
    if value > VALUE_MAX:
        raise Reject("amount_too_large")
    if not isinstance(currency, str) or currency.upper() not in EXPONENTS:
        raise Reject("currency_unknown")
    code = currency.upper()
    return Money(_rescale(value, EXPONENTS[code] if exponent is None else exponent, EXPONENTS[code]), code)


_DECIMAL = re.compile(r"(\d{1,15})(?:\.(\d{1,6}))?", re.ASCII)


def money_from_decimal(amount: object, currency: object) -> Money:
    """Money from a provider's decimal text in major units, exactly: `12.34`, `10`, `86.1000`.

    Raises `Reject` as `money_from_minor_units` does, and for any other way of writing a number.
    """
    written = _DECIMAL.fullmatch(amount) if isinstance(amount, str) else None
    if not written:
        raise Reject("amount_not_decimal")
    whole, fraction = written[1], (written[2] or "").rstrip("0")
    money = money_from_minor_units(int(whole + fraction), currency, exponent=len(fraction))
    if money.value > VALUE_MAX:
        raise Reject("amount_too_large")
    return money


def _rescale(value: int, from_exponent: int, to_exponent: int) -> int:
    if to_exponent >= from_exponent:
        return value * int(10 ** (to_exponent - from_exponent))
    quotient, remainder = divmod(value, int(10 ** (from_exponent - to_exponent)))
    if remainder:
        raise Reject("amount_not_expressible")
    return quotient
