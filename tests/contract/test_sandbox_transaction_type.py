"""Classification of sales for VAT, as the reference describes it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.sandbox_driver import Api

SLOVENIA = {"country_code": "SI"}


@pytest.mark.parametrize(
    ("issuer", "customer", "expected", "reverse_charge"),
    [
        (SLOVENIA, {"country": "Slovenija"}, "domestic", False),
        (SLOVENIA, {}, "domestic", False),
        (SLOVENIA, {"country_code": "DE", "tax_number": "DE1"}, "intra_eu_b2b", True),
        (SLOVENIA, {"country": "Allemagne"}, "intra_eu_b2c", False),
        (SLOVENIA, {"country_code": "EL", "tax_number": "EL1"}, "intra_eu_b2b", True),
        (SLOVENIA, {"country_code": "DE", "tax_number": "DE1", "is_end_consumer": True}, "intra_eu_b2b", True),
        (SLOVENIA, {"country_code": "US", "tax_number": "1"}, "3w_b2b", True),
        (SLOVENIA, {"country_code": "US", "tax_number": "1", "is_end_consumer": True}, "3w_b2c", True),
        (SLOVENIA, {"country_code": "US"}, "3w_b2c", True),
        ({"country_code": "US"}, {"country_code": "DE", "tax_number": "DE1"}, "3w_b2b", False),
        (SLOVENIA | {"is_tax_subject": False}, {"country_code": "DE", "tax_number": "DE1"}, "intra_eu_b2c", False),
    ],
)
def test_countries_and_tax_numbers_decide(
    issuer: dict[str, Any], customer: dict[str, Any], expected: str, reverse_charge: bool
) -> None:
    result = Api().call("POST", "/transaction-type/check", {"issuer": issuer, "customer": customer}).json
    assert (result["transaction_type"], result["reverse_charge_applies"]) == (expected, reverse_charge)
