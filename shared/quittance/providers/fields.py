"""Members of a JSON object that a provider sent: each of the kind that it must be, or refused with `Reject`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from quittance.errors import Reject
from quittance.facts import Payer
from quittance.money import EXPONENTS, VALUE_MAX, Money, money_from_minor_units
from quittance.providers.payload import ID_BYTES_MAX, TEXT_CHARACTERS_MAX, UNREADABLE_BODY, utc_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from quittance.facts import Fact

UNKNOWN_CURRENCY = "unknown_currency"

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)


class Ignored(Exception):
    """The event makes no fact; its argument is the reason, a stable code."""


def facts_or_reason(facts: Callable[[], Iterable[Fact]]) -> tuple[tuple[Fact, ...], str | None]:
    """The facts, or none and the reason why the event makes none."""
    try:
        return tuple(facts()), None
    except Ignored as reason:
        return (), str(reason)


def facts_or_any_reason(facts: Callable[[], Iterable[Fact]]) -> tuple[tuple[Fact, ...], str | None]:
    """The same where a refusal would hold back other events: the reason is then the code of what was refused."""
    try:
        return facts_or_reason(facts)
    except Reject as unreadable:
        return (), unreadable.code


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


def reason_for(event_type: str, reasons: Mapping[str, str], families: Mapping[str, str], separator: str = ".") -> str:
    """Why an event of a type that states nothing is ignored: by the type, else by the longest beginning that is a family."""
    if event_type in reasons:
        return reasons[event_type]
    parts = event_type.split(separator)
    beginnings = (separator.join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((families[name] for name in beginnings if name in families), "unknown_event_type")


def objects(source: dict[str, Any], name: str, at_most: int | None = None) -> list[dict[str, Any]]:
    """A list of objects, empty if it is absent."""
    value = source.get(name, [])
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise Reject(UNREADABLE_BODY, f"{name} is no list of objects")
    if at_most is not None and len(value) > at_most:
        raise Reject(UNREADABLE_BODY, f"{name} is too long a list")
    return value


def names(name: str | None, *, but: str | None = None) -> tuple[str, ...]:
    """An id as the other names of a payment have it: none, if it is the one that it is known by."""
    return (name,) if name and name != but else ()


def payer_of(**said: str | None) -> Payer | None:
    """Who paid, out of what is said of them; None if nobody is named."""
    found = Payer(**said)
    return found if found.name or found.email else None


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
        raise Ignored(UNKNOWN_CURRENCY)
    amount = money_from_minor_units(value, name, exponent=deviations.get(name))
    if amount.value > VALUE_MAX:
        raise Reject("amount_too_large")
    return amount
