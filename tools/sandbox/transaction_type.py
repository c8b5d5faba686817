"""Classification of a sale for VAT by the two parties' countries, as the transaction-type page describes it.

There is no VIES to ask: a tax number counts as valid when it is there, and `vies_valid` is null with a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from babel import Locale

from tools.sandbox.wire import Record

_EU = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
_GREECE_IN_VAT_NUMBERS = "EL"
_LANGUAGES = "en de it fr es sl pt nl pl hr sv fi et bg cs sk nb is"
"""The languages the API documents for itself: country names are understood in these."""


def country_code_of(party: Mapping[str, Any]) -> str | None:
    """ISO alpha-2 code of a party: its `country_code`, else what its country's name means in one of the API's languages."""
    code = party.get("country_code")
    if code:
        return "GR" if code.upper() == _GREECE_IN_VAT_NUMBERS else str(code).upper()
    name = (party.get("country") or "").strip()
    return _codes_by_name().get(name.casefold())


def classify(issuer: Mapping[str, Any], customer: Mapping[str, Any]) -> Record:
    """The document's `TransactionTypeResult`. Without a known country on both sides the sale counts as domestic."""
    seller, buyer = country_code_of(issuer), country_code_of(customer)
    subject = issuer.get("is_tax_subject") is not False
    kind = _kind(seller, buyer, business=subject and _is_business(customer, buyer))
    unchecked = kind == "intra_eu_b2b"
    return {
        "transaction_type": kind,
        "reverse_charge_applies": subject and _in_eu(seller) and kind in {"intra_eu_b2b", "3w_b2b", "3w_b2c"},
        "issuer_country_code": seller,
        "customer_country_code": buyer,
        "vies_valid": None,
        "warning": "The tax number was not checked: the sandbox does not reach VIES" if unchecked else None,
        "is_tax_subject": subject,
    }


def _is_business(customer: Mapping[str, Any], country: str | None) -> bool:
    if customer.get("is_end_consumer") and not _in_eu(country):
        return False
    return bool(customer.get("tax_number"))


def _kind(seller: str | None, buyer: str | None, *, business: bool) -> str:
    if seller is None or buyer is None or seller == buyer:
        return "domestic"
    suffix = "b2b" if business else "b2c"
    return f"intra_eu_{suffix}" if _in_eu(seller) and _in_eu(buyer) else f"3w_{suffix}"


def _in_eu(country: str | None) -> bool:
    return country is not None and country in _EU.split()


@cache
def _codes_by_name() -> dict[str, str]:
    names: dict[str, str] = {}
    for language in _LANGUAGES.split():
        for code, name in Locale.parse(language).territories.items():
            if code.isalpha():
                names[str(name).casefold()] = names[code.casefold()] = code
    return names
