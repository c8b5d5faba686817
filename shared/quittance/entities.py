"""Entities, taxes and webhooks as requests to the invoicing API, and how its answers are read.

The entity of a business customer is the business that issues its documents. What it carries of ours is in its metadata.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from quittance.countries import country_name
from quittance.customers import EntityTax
from quittance.mapping import to_json
from quittance.money import Money
from quittance.tax_numbers import tax_number_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENTITIES = "entities"
TAXES = "taxes"
WEBHOOKS = "webhooks"

OWNER_KEY = "business_customer"
"""The metadata of an entity, and of its webhook, by which they are found again."""
TAX_KEY = "quittance_tax"
"""The metadata by which a tax is found again; its value is `Rate.name`."""

WEBHOOK_EVENTS = (
    "invoice.created",
    "invoice.updated",
    "invoice.sent",
    "invoice.paid",
    "invoice.overdue",
    "invoice.cancelled",
    "invoice.deleted",
    "invoice.restored",
    "invoice.voided",
    "invoice.finalized",
    "credit_note.created",
    "credit_note.issued",
    "credit_note.voided",
    "credit_note.deleted",
    "credit_note.restored",
    "payment.received",
    "payment.failed",
    "payment.deleted",
    "payment.restored",
    "payment.permanently_deleted",
)
"""Which of them tell of a document that is final at once is not documented, so all are asked for."""

_ADDRESS = {"line1": "address", "line2": "address_2", "city": "city", "postal_code": "post_code", "state": "state"}
_NAME_MAX = 40


# --- what a country needs ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CountryNeeds:
    """What the API asks of an entity in one country, and what the law asks of its documents that is not sent with them."""

    fields: tuple[str, ...] = ()
    fiscal: str = ""


COUNTRY_NEEDS = {
    "PT": CountryNeeds(
        fields=("tax_number", "phone", "email", "address", "city", "post_code", "starting_capital"), fiscal="certified_series"
    ),
}
"""From the API's compliance notes. A country that is not listed asks for nothing but a name."""
FISCAL_FEATURES = {"furs": False, "fina": True}
"""Features of `country_rules` that report invoices to the tax authority, with data that only the business itself has -> whether
that is so unless the entity's settings say otherwise. Slovenian businesses switch it on; Croatian domestic invoices need it.
"""


def missing_fields(country: str, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that an entity in this country cannot be made without."""
    needs = COUNTRY_NEEDS.get(country, CountryNeeds())
    return tuple(name for name in needs.fields if fields.get(name) in {None, ""})


def fiscal_duties(country: str, entity: Mapping[str, Any]) -> list[str]:
    """What documents of this entity would need that is not sent with them."""
    needs = COUNTRY_NEEDS.get(country, CountryNeeds())
    features = (entity.get("country_rules") or {}).get("features") or ()
    settings = entity.get("settings") or {}
    duties = [
        name for name, usual in FISCAL_FEATURES.items() if name in features and (settings.get(name) or {}).get("enabled", usual)
    ]
    return [*([needs.fiscal] if needs.fiscal else []), *duties]


# --- entities ------------------------------------------------------------------------------------------------------------


def entity_fields(profile: Mapping[str, Any]) -> dict[str, Any]:
    """What the API is told of a business customer and may be told anew, without what was not registered.

    A tax number that cannot be one is left out: `malformed_tax_number`.
    """
    address = profile.get("address") or {}
    fields = {name: profile.get(name) for name in ("name", "timezone", "email", "phone", "company_number", "is_tax_subject")}
    fields["currency_code"] = profile.get("currency")
    fields["tax_number"] = None if malformed_tax_number(profile) else profile.get("tax_number")
    fields["starting_capital"] = _capital(profile.get("starting_capital"))
    fields |= {field: address.get(part) for part, field in _ADDRESS.items()}
    return {name: value for name, value in fields.items() if value is not None}


def malformed_tax_number(profile: Mapping[str, Any]) -> str:
    """What is wrong with the form of the registered tax number, or an empty string."""
    number = profile.get("tax_number")
    return tax_number_fault(profile["country"], number) if number else ""


def _capital(amount: Mapping[str, Any] | None) -> Decimal | None:
    return Money(amount["value"], amount["currency"].upper()).decimal if amount else None


def entity_body(customer_id: str, profile: Mapping[str, Any], environment: str) -> bytes:
    """The request that creates a business customer's entity."""
    country = profile["country"]
    fixed = {"country": country_name(country), "country_code": country, "environment": environment}
    return to_json(entity_fields(profile) | fixed | {"metadata": {OWNER_KEY: customer_id}})


def entity_changes(fields: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """The fields to change in an entity that was last told `sent`. Part of an address that is gone is emptied."""
    gone = {name: None for name in _ADDRESS.values() if sent.get(name) is not None and name not in fields}
    return {name: value for name, value in fields.items() if sent.get(name) != value} | gone


def owner_of(entity: Mapping[str, Any]) -> str:
    """The business customer whose entity it says it is; empty when it is nobody's."""
    return str((entity.get("metadata") or {}).get(OWNER_KEY) or "")


def owned_metadata(entity: Mapping[str, Any], customer_id: str) -> bytes:
    """The request that makes an existing entity a business customer's own. Metadata is replaced as a whole."""
    return to_json({"metadata": (entity.get("metadata") or {}) | {OWNER_KEY: customer_id}})


def oldest(found: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The one that stands where there should be only one."""
    by_age = sorted(found, key=lambda one: (str(one.get("created_at")), str(one.get("id"))))
    return dict(by_age[0]) if by_age else None


# --- taxes ---------------------------------------------------------------------------------------------------------------


def tax_body(name: str, percent: str) -> bytes:
    """The request that creates a tax."""
    return to_json({"name": name, "tax_rates": [{"rate": Decimal(percent)}], "metadata": {TAX_KEY: name}})


def tax_called(name: str, taxes: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The tax that was made under this name."""
    return oldest(tax for tax in taxes if not tax.get("deleted_at") and (tax.get("metadata") or {}).get(TAX_KEY) == name)


def tax_of_rate(percent: str, taxes: Iterable[Mapping[str, Any]], today: date) -> dict[str, Any] | None:
    """A tax that was there before us and charges this rate today."""
    return oldest(
        tax
        for tax in taxes
        if not tax.get("deleted_at") and TAX_KEY not in (tax.get("metadata") or {}) and current_percent(tax, today) == percent
    )


def current_percent(tax: Mapping[str, Any], today: date) -> str:
    """The rate of a tax today, as `Rate.percent` writes it; empty when it has none yet."""
    rates = sorted(tax.get("tax_rates") or (), key=lambda rate: rate.get("valid_from") or "", reverse=True)
    valid = (rate["rate"] for rate in rates if (rate.get("valid_from") or "")[:10] <= today.isoformat())
    return next((format(Decimal(str(rate)).normalize(), "f") for rate in valid), "")


def as_entity_tax(tax: Mapping[str, Any], today: date) -> EntityTax:
    return EntityTax(tax_id=tax["id"], percent=current_percent(tax, today))


# --- webhooks ------------------------------------------------------------------------------------------------------------


def connection_of(customer_id: str) -> str:
    """The connection on which the API reports a business customer's documents: safe in a path, another one for another id."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", customer_id)[:_NAME_MAX].strip("-") or "customer"
    return f"{readable}-{hashlib.sha256(customer_id.encode()).hexdigest()[:20]}"


def webhook_url(base_url: str, connection: str) -> str:
    return f"{base_url.rstrip('/')}/webhooks/space-invoices/{connection}"


def webhook_body(url: str, customer_id: str) -> bytes:
    """The request that creates the webhook of an entity."""
    return to_json(
        {
            "url": url,
            "events": list(WEBHOOK_EVENTS),
            "description": "Quittance: changes made to documents by hand",
            "metadata": {OWNER_KEY: customer_id},
        }
    )
