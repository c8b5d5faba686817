"""Reading what only Stripe writes: objects in place of their ids, lists in pages, and amounts in decimals of its own."""

from __future__ import annotations

from typing import Any

from quittance.errors import Reject
from quittance.money import EXPONENTS, VALUE_MAX, Money, money_from_minor_units
from quittance.providers.fields import UNKNOWN_CURRENCY, Ignored, identifier, objects
from quittance.providers.payload import UNREADABLE_BODY

LIST_MAX = 50
"""Stripe embeds at most ten objects of a list. Each may be a fact or another name of a payment, and the ledger joins a payment's
names in one transaction of a hundred writes."""


# --- reading objects -----------------------------------------------------------------------------------------------------


def expanded(source: dict[str, Any], field: str) -> dict[str, Any]:
    """An object where Stripe may have sent its id instead; empty if so."""
    value = source.get(field)
    return value if isinstance(value, dict) else {}


def id_in(source: dict[str, Any], field: str) -> str | None:
    """An id, also out of an object that was expanded in its place."""
    value = source.get(field)
    return identifier(value, "id") if isinstance(value, dict) else identifier(source, field)


def list_in(source: dict[str, Any], field: str) -> list[dict[str, Any]]:
    """The objects of a list, plain or in Stripe's paging envelope; empty if it is absent."""
    value = source.get(field)
    return objects(value, "data", LIST_MAX) if isinstance(value, dict) else objects(source, field, LIST_MAX)


def whole_number(source: dict[str, Any], field: str) -> int:
    value = source.get(field)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Reject("amount_not_integer")
    if abs(value) > VALUE_MAX:
        raise Reject("amount_too_large")
    return value


# --- money ---------------------------------------------------------------------------------------------------------------

_ZERO_DECIMALS = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
_TWO_DECIMALS = "ISK UGX"  # whole units only, but still sent as hundredths
_THREE_DECIMALS = "BHD JOD KWD OMR TND"
_EXPONENTS = (
    {code: exponent for code, exponent in EXPONENTS.items() if exponent == 2}  # noqa: PLR2004 - as ISO 4217 has it
    | dict.fromkeys(_ZERO_DECIMALS.split(), 0)
    | dict.fromkeys(_TWO_DECIMALS.split(), 2)
    | dict.fromkeys(_THREE_DECIMALS.split(), 3)
)
"""Stripe's number of decimals. Currencies whose number at Stripe is not known are left out, and so not guessed."""


def stripe_money(value: object, currency: object) -> Money:
    """Money in Stripe's minor units.

    Raises `Ignored` for a currency whose decimals at Stripe are not known, and `Reject` for an amount that is none.
    """
    if not isinstance(currency, str) or currency.upper() not in _EXPONENTS:
        raise Ignored(UNKNOWN_CURRENCY)
    money = money_from_minor_units(value, currency, exponent=_EXPONENTS[currency.upper()])
    if money.value > VALUE_MAX:  # Stripe's whole ariary are hundredths in ISO 4217
        raise Reject("amount_too_large")
    return money


def money_in(source: dict[str, Any], field: str) -> Money:
    return stripe_money(source.get(field), source.get("currency"))


def money_or_zero(source: dict[str, Any], field: str) -> Money:
    return stripe_money(source.get(field, 0), source.get("currency"))


def difference(whole: Money, part: Money) -> Money:
    if part.value > whole.value:
        raise Reject(UNREADABLE_BODY, "a part is more than the whole")
    return whole - part
