"""Members of a JSON object that a provider sent: each of the kind that it must be, or refused with `Reject`."""

from __future__ import annotations

import re
from typing import Any

from quittance.errors import Reject
from quittance.money import EXPONENTS, VALUE_MAX, Money, money_from_minor_units
from quittance.providers.payload import ID_BYTES_MAX, TEXT_CHARACTERS_MAX, UNREADABLE_BODY, utc_instant

CURRENCY_UNKNOWN = "currency_unknown"

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)


class Ignored(Exception):
    """The event makes no fact; its argument is the reason, a stable code."""


def text(source: dict[str, Any], name: str) -> str | None:
    """A text, None if it is absent or empty; the end of an endless one is cut."""
    value = source.get(name)
    if value is not None and not isinstance(value, str):
        raise Reject(UNREADABLE_BODY, f"{name} is no text")
    return value[:TEXT_CHARACTERS_MAX] if value else None


def identifier(source: dict[str, Any], name: str) -> str | None:
    """An id, None if it is absent or empty. Nothing is cut off an id."""
    value = text(source, name)
    if value and len(value.encode()) > ID_BYTES_MAX:
        raise Reject(UNREADABLE_BODY, f"{name} is too long")
    return value


def required(source: dict[str, Any], name: str) -> str:
    """An id that must be there."""
    if not (value := identifier(source, name)):
        raise Reject(UNREADABLE_BODY, f"{name} is missing")
    return value


def code(source: dict[str, Any], name: str) -> str | None:
    """A machine-readable code; free text, which may name people or cards, is left out."""
    value = (text(source, name) or "").strip()
    return value if _CODE.fullmatch(value) else None


def country(source: dict[str, Any], name: str) -> str | None:
    """An ISO 3166-1 alpha-2 code in upper case; None if it is anything else."""
    value = (text(source, name) or "").upper()
    return value if _COUNTRY.fullmatch(value) else None


def member(source: dict[str, Any], name: str) -> dict[str, Any]:
    """An object, empty if it is absent."""
    value = source.get(name, {})
    if not isinstance(value, dict):
        raise Reject(UNREADABLE_BODY, f"{name} is no object")
    return value


def instant(source: dict[str, Any], *names: str) -> str:
    """The first of these members that is there, which must be an RFC 3339 instant; in UTC with second precision."""
    found = next((value for name in names if (value := text(source, name))), "")
    try:
        return utc_instant(found)
    except ValueError:
        raise Reject(UNREADABLE_BODY, f"{names[0]} is no instant") from None


def money(value: object, currency: object, deviations: dict[str, int]) -> Money:
    """Money from minor units by ISO 4217, except where the provider has decimals of its own, which are its `deviations`.

    Raises `Ignored` for a currency that ISO 4217 does not list, and `Reject` for an amount that is none.
    """
    name = currency.upper() if isinstance(currency, str) else ""
    if name not in EXPONENTS:
        raise Ignored(CURRENCY_UNKNOWN)
    amount = money_from_minor_units(value, name, exponent=deviations.get(name))
    if amount.value > VALUE_MAX:
        raise Reject("amount_too_large")
    return amount
