"""Reading Stripe's objects: ids, texts, lists and amounts, each refused with `Reject` if it is not what Stripe writes."""

from __future__ import annotations

import re
from typing import Any

from quittance.errors import Reject
from quittance.money import EXPONENTS, VALUE_MAX, Money, money_from_minor_units
from quittance.providers.payload import ID_BYTES_MAX, TEXT_CHARACTERS_MAX, UNREADABLE_BODY

LIST_MAX = 50
"""Stripe embeds at most ten objects of a list. Each may be a fact or another name of a payment, and the ledger joins a payment's
names in one transaction of a hundred writes."""


# --- reading objects -----------------------------------------------------------------------------------------------------

_CODE = re.compile(r"[a-z0-9_]{1,64}", re.ASCII)


def text_in(source: dict[str, Any], field: str) -> str | None:
    """A text, None if it is absent or empty; the end of an endless one is cut. Raises `Reject` if it is anything else."""
    value = source.get(field)
    if value is not None and not isinstance(value, str):
        raise Reject(UNREADABLE_BODY, f"{field} is no text")
    return value[:TEXT_CHARACTERS_MAX] if value else None


def code_in(source: dict[str, Any], field: str) -> str | None:
    """A machine-readable code; free text, which may name people, is left out."""
    value = text_in(source, field) or ""
    return value if _CODE.fullmatch(value) else None


def id_in(source: dict[str, Any], field: str) -> str | None:
    """An id, also out of an object that was expanded in its place."""
    value = source.get(field)
    name = text_in(value, "id") if isinstance(value, dict) else text_in(source, field)
    if name and len(name.encode()) > ID_BYTES_MAX:
        raise Reject(UNREADABLE_BODY, f"{field} is too long")
    return name


def key_of(source: dict[str, Any]) -> str:
    """The object's own id."""
    if not (name := id_in(source, "id")):
        raise Reject(UNREADABLE_BODY, "an object without its id")
    return name


def names(name: str | None, *, but: str | None = None) -> tuple[str, ...]:
    return (name,) if name and name != but else ()


def object_in(source: dict[str, Any], field: str) -> dict[str, Any]:
    value = source.get(field)
    if not isinstance(value, dict):
        raise Reject(UNREADABLE_BODY, f"{field} is no object")
    return value


def optional_object(source: dict[str, Any], field: str) -> dict[str, Any]:
    return object_in(source, field) if source.get(field) is not None else {}


def expanded(source: dict[str, Any], field: str) -> dict[str, Any]:
    """An object where Stripe may have sent its id instead; empty if so."""
    value = source.get(field)
    return value if isinstance(value, dict) else {}


def list_in(source: dict[str, Any], field: str) -> list[dict[str, Any]]:
    """The objects of a list, plain or in Stripe's paging envelope; empty if it is absent."""
    value = source.get(field)
    if isinstance(value, dict):
        value = value.get("data")
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise Reject(UNREADABLE_BODY, f"{field} is no list of objects")
    if len(value) > LIST_MAX:
        raise Reject(UNREADABLE_BODY, f"{field} is too long a list")
    return value


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
"""Stripe's number of decimals. Currencies whose number at Stripe is not known are left out, and so refused."""


def stripe_money(value: object, currency: object) -> Money:
    if not isinstance(currency, str) or currency.upper() not in _EXPONENTS:
        raise Reject("currency_unknown")
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
