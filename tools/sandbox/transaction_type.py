"""Classification of a sale for VAT by the two parties' countries, as the transaction-type page describes it.

Between two EU states the register of tax numbers decides: only a registered number makes the buyer a business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from babel import Locale

from tools.sandbox.registry import plain
from tools.sandbox.wire import Record

IsRegistered = Callable[[str], bool | None]
"""Asks the register for a tax number with its country prefix; None is no answer."""

EXPORTS = frozenset({"3w_b2b", "3w_b2c"})
"""The types of a sale that has a party outside the EU."""

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


def classify(issuer: Mapping[str, Any], customer: Mapping[str, Any], is_registered: IsRegistered | None) -> Record:
    """The document's `TransactionTypeResult`. Without a known country on both sides the sale counts as domestic.

    The register is asked only where its answer counts: about the number of a buyer in another EU state than an issuer who is
    subject to tax. Without an answer the buyer is a consumer. Where `is_registered` is None any number makes a business.
    """
    seller, buyer = country_code_of(issuer), country_code_of(customer)
    subject = issuer.get("is_tax_subject") is not False
    kind = _kind(seller, buyer, business=subject and _is_business(customer, buyer))
    asked = kind == "intra_eu_b2b" and is_registered is not None
    valid = is_registered(vat_number(customer)) if asked and is_registered else None
    if asked and not valid:
        kind = "intra_eu_b2c"
    return {
        "transaction_type": kind,
        "reverse_charge_applies": subject and is_in_eu(seller) and (kind == "intra_eu_b2b" or kind in EXPORTS),
        "issuer_country_code": seller,
        "customer_country_code": buyer,
        "vies_valid": valid,
        "warning": "VIES did not answer: the tax number was not checked" if asked and valid is None else None,
        "is_tax_subject": subject,
    }


def vat_number(party: Mapping[str, Any]) -> str:
    """A party's tax number with the country prefix that the register knows it by; Greece has its own there."""
    number, country = plain(party.get("tax_number") or ""), country_code_of(party) or ""
    if number[:2] in {*_EU.split(), _GREECE_IN_VAT_NUMBERS}:
        return number
    return (_GREECE_IN_VAT_NUMBERS if country == "GR" else country) + number


def _is_business(customer: Mapping[str, Any], country: str | None) -> bool:
    if customer.get("is_end_consumer") and not is_in_eu(country):
        return False
    return bool(customer.get("tax_number"))


def _kind(seller: str | None, buyer: str | None, *, business: bool) -> str:
    if seller is None or buyer is None or seller == buyer:
        return "domestic"
    suffix = "b2b" if business else "b2c"
    return f"intra_eu_{suffix}" if is_in_eu(seller) and is_in_eu(buyer) else f"3w_{suffix}"


def is_in_eu(country: str | None) -> bool:
    """Whether an ISO alpha-2 code is that of a member state."""
    return country is not None and country in _EU.split()


@cache
def _codes_by_name() -> dict[str, str]:
    names: dict[str, str] = {}
    for language in _LANGUAGES.split():
        for code, name in Locale.parse(language).territories.items():
            if code.isalpha():
                names[str(name).casefold()] = names[code.casefold()] = code
    return names
