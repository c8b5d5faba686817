"""Line and document amounts by calculation mode. Pure decimal arithmetic, rounded half-up to two decimals.

Both modes round each line once and derive the rest, so that the lines, the summary by rate and the totals always add up.
Rounding by line rather than by rate is this sandbox's decision: the public pages do not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

Mode = Literal["b2b_standard", "b2c_gross_discount"]

ZERO = Decimal("0.00")
_CENT = Decimal("0.01")
_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Tax:
    """The tax of one line. Under `reverse_charge` the rate is shown but nothing is charged."""

    rate: Decimal
    tax_id: str | None = None
    classification: str | None = None
    reverse_charge: bool = False

    @property
    def factor(self) -> Decimal:
        """What the net amount is multiplied by to give the gross amount."""
        return Decimal(1) if self.reverse_charge else 1 + self.rate / _HUNDRED


@dataclass(frozen=True, slots=True)
class Discount:
    """A reduction of a line: `value` percent, or `value` as an amount in the price's own kind (net or gross)."""

    value: Decimal
    percent: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """What is sold: `unit_price` is gross when `gross` is set, else net."""

    quantity: Decimal
    unit_price: Decimal
    gross: bool
    tax: Tax | None = None
    discounts: tuple[Discount, ...] = ()


@dataclass(frozen=True, slots=True)
class LineTotals:
    """Amounts of one line. `discount` is in the kind of amount that it was taken from."""

    net: Decimal
    gross: Decimal
    discount: Decimal

    @property
    def tax(self) -> Decimal:
        return self.gross - self.net


@dataclass(frozen=True, slots=True)
class TaxRow:
    """One row of the tax summary."""

    tax: Tax
    base: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Totals:
    """Amounts of one document."""

    lines: tuple[LineTotals, ...]
    taxes: tuple[TaxRow, ...]
    net: Decimal
    gross: Decimal
    discount: Decimal


class NegativeLine(ValueError):
    """Discounts take more than the line is worth. `index` is the line's position."""

    def __init__(self, index: int) -> None:
        super().__init__(f"line {index} is below zero")
        self.index = index


def rounded(amount: Decimal) -> Decimal:
    """The amount with two decimals, halves away from zero."""
    return amount.quantize(_CENT, ROUND_HALF_UP)


def calculate(lines: Sequence[Line], mode: Mode) -> Totals:
    """All the amounts of a document. Raises `NegativeLine`."""
    totals = tuple(_line_totals(index, line, mode) for index, line in enumerate(lines))
    return Totals(
        lines=totals,
        taxes=_summary(lines, totals),
        net=sum((line.net for line in totals), ZERO),
        gross=sum((line.gross for line in totals), ZERO),
        discount=sum((line.discount for line in totals), ZERO),
    )


def _line_totals(index: int, line: Line, mode: Mode) -> LineTotals:
    factor = line.tax.factor if line.tax else Decimal(1)
    subtotal = line.unit_price * line.quantity
    gross = line.gross
    if mode == "b2c_gross_discount" and not gross:
        subtotal, gross = subtotal * factor, True
    after = _successively(subtotal, line.discounts) if mode == "b2c_gross_discount" else _at_once(subtotal, line.discounts)
    amount = rounded(after)
    if amount < 0:
        raise NegativeLine(index)
    discount = rounded(subtotal) - amount
    if gross:
        return LineTotals(rounded(amount / factor), amount, discount)
    return LineTotals(amount, amount + rounded(amount * (factor - 1)), discount)


def _at_once(subtotal: Decimal, discounts: Sequence[Discount]) -> Decimal:
    return subtotal - sum((_reduction(subtotal, discount) for discount in discounts), ZERO)


def _successively(subtotal: Decimal, discounts: Sequence[Discount]) -> Decimal:
    running = subtotal
    for discount in discounts:
        running -= _reduction(running, discount)
    return running


def _reduction(amount: Decimal, discount: Discount) -> Decimal:
    return amount * discount.value / _HUNDRED if discount.percent else discount.value


def _summary(lines: Sequence[Line], totals: Sequence[LineTotals]) -> tuple[TaxRow, ...]:
    rows: dict[Tax, TaxRow] = {}
    for line, amounts in zip(lines, totals, strict=True):
        if line.tax is None:
            continue
        row = rows.get(line.tax, TaxRow(line.tax, ZERO, ZERO))
        rows[line.tax] = TaxRow(line.tax, row.base + amounts.net, row.amount + amounts.tax)
    return tuple(rows.values())
