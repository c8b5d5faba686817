"""Money is integers and a currency, and nothing is guessed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quittance.errors import Reject
from quittance.money import EXPONENTS, VALUE_MAX, Money, money_from_decimal, money_from_minor_units


@pytest.mark.parametrize(
    ("value", "currency", "major"), [(12345, "EUR", "123.45"), (500, "JPY", "500"), (1234, "KWD", "1.234"), (1, "USD", "0.01")]
)
def test_major_units_are_exact(value: int, currency: str, major: str) -> None:
    assert Money(value, currency).decimal == Decimal(major)


@pytest.mark.parametrize(("value", "fits"), [(1230, True), (1234, False), (0, True)])
def test_two_decimals_carry_only_some_three_decimal_amounts(value: int, *, fits: bool) -> None:
    assert Money(value, "KWD").fits_document is fits


@pytest.mark.parametrize(
    ("value", "currency", "code"),
    [
        (-1, "EUR", "amount_negative"),
        (1.5, "EUR", "amount_not_integer"),
        (1.0, "EUR", "amount_not_integer"),
        (True, "EUR", "amount_not_integer"),
        ("100", "EUR", "amount_not_integer"),
        (None, "EUR", "amount_not_integer"),
        (100, "XXX", "currency_unknown"),
        (100, "", "currency_unknown"),
        (100, None, "currency_unknown"),
    ],
)
def test_an_amount_that_is_none_is_rejected(value: object, currency: object, code: str) -> None:
    with pytest.raises(Reject) as caught:
        money_from_minor_units(value, currency)
    assert caught.value.code == code


def test_a_providers_own_exponent_is_converted_and_never_rounded() -> None:
    assert money_from_minor_units(500, "isk", exponent=2) == Money(5, "ISK")
    assert money_from_minor_units(1000, "CLP", exponent=2) == Money(10, "CLP")
    assert money_from_minor_units(7, "CVE", exponent=0) == Money(700, "CVE")
    with pytest.raises(Reject):
        money_from_minor_units(501, "ISK", exponent=2)


def test_currencies_do_not_mix() -> None:
    with pytest.raises(ValueError, match="do not mix"):
        Money(1, "EUR") + Money(1, "USD")


@given(st.integers(0, 10**12), st.sampled_from(sorted(EXPONENTS)))
def test_minor_units_survive_the_way_to_major_units_and_back(value: int, currency: str) -> None:
    money = Money(value, currency)
    assert int(money.decimal.scaleb(EXPONENTS[currency])) == value


@given(st.integers(0, VALUE_MAX), st.sampled_from(sorted(EXPONENTS)), st.integers(0, 3))
def test_a_decimal_text_is_read_exactly(value: int, currency: str, zeros: int) -> None:
    written = format(Money(value, currency).decimal, "f")
    padded = written + ("." if zeros and "." not in written else "") + "0" * zeros
    assert money_from_decimal(written, currency) == money_from_decimal(padded, currency) == Money(value, currency)


@pytest.mark.parametrize(
    ("text", "currency", "code"),
    [
        ("1,00", "EUR", "amount_not_decimal"),
        ("1.", "EUR", "amount_not_decimal"),
        (".5", "EUR", "amount_not_decimal"),
        ("-1.00", "EUR", "amount_not_decimal"),
        ("1e2", "EUR", "amount_not_decimal"),
        (" 1.00", "EUR", "amount_not_decimal"),
        (1, "EUR", "amount_not_decimal"),
        (None, "EUR", "amount_not_decimal"),
        ("1.001", "EUR", "amount_not_expressible"),
        ("1.5", "JPY", "amount_not_expressible"),
        ("999999999999999", "EUR", "amount_too_large"),
        ("1.00", "XXX", "currency_unknown"),
    ],
)
def test_a_text_that_is_no_amount_is_rejected(text: object, currency: str, code: str) -> None:
    with pytest.raises(Reject, match=code):
        money_from_decimal(text, currency)
