"""Entities: the issuing businesses of an account."""

from __future__ import annotations

from functools import cache

from babel import Locale
from babel.core import get_global
from babel.numbers import get_territory_currencies

from tools.sandbox.books import Book
from tools.sandbox.call import Call, Handler
from tools.sandbox.dates import is_zone
from tools.sandbox.lists import list_records
from tools.sandbox.transaction_type import country_code_of, is_in_eu
from tools.sandbox.wire import Problem, Record, invalid, not_found

_DEFAULT_SETTINGS: Record = {
    "number_formats": {"invoice": "{yyyy}-{nnnnn}", "credit_note": "CN-{yyyy}-{nnnnn}"},
    "number_sequence_starts": {},
    "default_invoice_due_days": 30,
    "calculation": {"default_mode": "b2b_standard"},
    "pdf_template": "modern",
    "tax_rules": {
        "eu": {
            "vies_validate_vat": True,
            "auto_reverse_charge": False,
            "auto_remove_tax_export": False,
            "require_gross_prices": False,
        }
    },
}
_EU_FEATURES = ("eu_tax_rules", "tax_clause_defaults", "epc_qr", "e_invoicing")
_FEATURES = {"SI": ("furs", "eslog", "upn_qr"), "HR": ("fina", "hub3_qr"), "US": ("us_tax_rate_lookup",)}
_PORTUGAL = "PT"
_NEEDED_IN_PORTUGAL = ("tax_number", "phone", "email", "address", "city", "post_code", "starting_capital")
_DEEPER_SETTINGS = frozenset({"translations", "unit_number_sequence_starts"})
_SEPARATE_SETTINGS = frozenset({"furs", "fina", "slovenia", "e_invoicing", "revenue_recognition"})
_FIELDS = (
    "address address_2 post_code city state country country_code currency_code locale timezone tax_number tax_number_2"
    " company_number phone email website fiscal_region_code starting_capital"
)


def _create(call: Call) -> Record:
    body = call.body
    if body.get("environment", call.world.environment) != call.world.environment:
        raise invalid(["environment"], "The key belongs to the other environment")
    _check_zone(body)
    country = country_code_of(body)
    entity = call.stamp(
        dict.fromkeys(_FIELDS.split())
        | {"is_tax_subject": True, "is_enabled": True, "currency_code": _currency(country), "locale": _locale(country)}
        | body
        | {
            "id": call.ids.new("ent"),
            "account_id": call.world.account_id,
            "environment": call.world.environment,
            "country_code": body.get("country_code") or country,
            "settings": _merged(_DEFAULT_SETTINGS, body.get("settings") or {}),
            "metadata": body.get("metadata") or {},
            "country_rules": {"features": _features(country), "max_taxes_per_item": 1},
        }
    )
    _check_portugal(entity)
    book = call.world.books[entity["id"]] = Book(entity)
    call.log(book, "entity", entity["id"], "created")
    return entity


def is_portuguese(entity: Record) -> bool:
    """Whether the certified invoicing rules of Portugal apply to an entity."""
    return country_code_of(entity) == _PORTUGAL


def _list(call: Call) -> Record:
    wanted = call.query["environment"]
    entities = [book.entity for book in call.world.books.values() if wanted in {None, call.world.environment}]
    return list_records(call, entities, "Entity")


def _get(call: Call) -> Record:
    try:
        return call.world.books[call.id].entity
    except KeyError:
        raise not_found("Entity") from None


def _patch(call: Call) -> Record:
    entity = _get(call)
    _check_zone(call.body)
    changes = dict(call.body)
    if "settings" in changes:
        changes["settings"] = _merged(entity["settings"], changes["settings"])
    if "metadata" in changes:
        changes["metadata"] = changes["metadata"] or {}
    _check_portugal(entity | changes)
    entity.update(changes)
    call.touch(entity)
    call.log(call.world.books[call.id], "entity", call.id, "updated")
    return entity


def _disable(call: Call) -> None:
    entity = _get(call)
    entity["is_enabled"] = False
    call.touch(entity)
    call.log(call.world.books[call.id], "entity", call.id, "updated")


HANDLERS: dict[str, Handler] = {
    "createEntity": _create,
    "getEntities": _list,
    "getEntity": _get,
    "patchEntity": _patch,
    "disableEntity": _disable,
}


def _features(country: str | None) -> list[str]:
    return [*_FEATURES.get(country or "", ()), *(_EU_FEATURES if is_in_eu(country) else ())]


def _check_portugal(entity: Record) -> None:
    missing = [name for name in _NEEDED_IN_PORTUGAL if entity.get(name) in {None, ""}]
    if missing and is_portuguese(entity):
        raise Problem(422, f"Entities in Portugal need {', '.join(missing)}")


def _check_zone(body: Record) -> None:
    if body.get("timezone") and not is_zone(body["timezone"]):
        raise invalid(["timezone"], "Not an IANA time zone")


def _merged(old: Record, new: Record) -> Record:
    merged = dict(old)
    for key, value in new.items():
        if key in _SEPARATE_SETTINGS:
            continue
        merged[key] = {**(old.get(key) or {}), **value} if key in _DEEPER_SETTINGS and isinstance(value, dict) else value
    return merged


@cache
def _currency(country: str | None) -> str:
    current = get_territory_currencies(country) if country else []
    return current[0] if current else "EUR"


@cache
def _locale(country: str | None) -> str:
    likely = get_global("likely_subtags").get(f"und_{country}") if country else None
    if not likely:
        return "en-US"
    return f"{Locale.parse(likely).language}-{country}"
