"""The form of tax numbers. What has the right form passes, whether or not it exists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from quittance.countries import COUNTRIES
from quittance.tax_numbers import OTHER_FORMS, WRONG_FORM, WRONG_LENGTH, tax_number_fault

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("country", "number"),
    [
        ("DE", "DE123456789"),
        ("de", "de 123 456 789"),
        ("DE", "123456789"),
        ("DE", "21/815/08150"),
        ("DE", "FR12345678901"),
        ("AT", "ATU12345678"),
        ("AT", "U12345678"),
        ("AT", "59-119/9013"),
        ("BE", "BE0123456789"),
        ("CH", "CHE-123.456.788"),
        ("CH", "CHE-123.456.788 MWST"),
        ("CY", "CY12345678X"),
        ("ES", "B12345678"),
        ("FR", "FRK7399859412"),
        ("FR", "SE123456789"),
        ("GB", "GB980780684"),
        ("GB", "XI980780684"),
        ("GR", "EL123456789"),
        ("GR", "GR123456789"),
        ("GR", "123456789"),
        ("IE", "IE1234567TW"),
        ("IT", "RSSMRA85T10A562S"),
        ("NL", "NL123456789B01"),
        ("NO", "123456789"),
        ("PT", "PT123456789"),
        ("SI", "SI12345678"),
        ("US", "anything"),
        ("XX", "anything"),
        ("", ""),
    ],
)
def test_what_could_be_a_number_passes(country: str, number: str) -> None:
    assert not tax_number_fault(country, number)


@pytest.mark.parametrize(
    ("country", "number", "fault"),
    [
        ("DE", "DE12345678", WRONG_LENGTH),
        ("DE", "12", WRONG_LENGTH),
        ("DE", "DE12345678X", WRONG_FORM),
        ("DE", "FR1234", WRONG_FORM),
        ("DE", "", WRONG_FORM),
        ("AT", "AT12345678", WRONG_FORM),
        ("GB", "GB98078068", WRONG_LENGTH),
        ("GR", "EL12345", WRONG_LENGTH),
        ("SI", "SI1234567", WRONG_LENGTH),
        ("PT", "123", WRONG_LENGTH),
        ("CH", "CHE", WRONG_LENGTH),
        ("DE", "\u0391\u0392123456789", WRONG_FORM),
    ],
)
def test_what_cannot_be_one_is_told_apart(country: str, number: str, fault: str) -> None:
    assert tax_number_fault(country, number) == fault


@pytest.mark.parametrize("number", ["", " ", "x" * 2000, "\x00", "DE" * 40, "\U0001f600", "-", "EU", "im123"])
def test_no_text_breaks_it(number: str) -> None:
    assert {tax_number_fault(country, number) for country in [*COUNTRIES, "XI", "EL", "EU"]} <= {"", WRONG_FORM, WRONG_LENGTH}


def test_the_other_forms_are_known_to_the_library() -> None:
    from stdnum.util import get_cc_module  # noqa: PLC0415 - as the code under test

    assert all(get_cc_module(country, name) for country, names in OTHER_FORMS.items() for name in names)


def test_the_library_is_loaded_only_when_a_number_is_checked() -> None:
    code = "import sys, quittance.tax_numbers, quittance.registration; sys.exit('stdnum' in sys.modules)"
    environment = {"PYTHONPATH": str(ROOT / "shared")}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False, timeout=60).returncode == 0  # noqa: S603
