"""Amounts by calculation mode."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.sandbox_driver import UNHURRIED, Api
from tools.sandbox.calculation import Discount, Line, Mode, NegativeLine, Tax, calculate
from tools.sandbox.settings import Settings

NET, GROSS = False, True


def _line(quantity: str, price: str, kind: bool, rate: str | None = "22", *discounts: Discount) -> Line:
    return Line(Decimal(quantity), Decimal(price), kind, Tax(Decimal(rate)) if rate else None, discounts)


def _percent(value: str) -> Discount:
    return Discount(Decimal(value))


def _off(value: str) -> Discount:
    return Discount(Decimal(value), percent=False)


@pytest.mark.parametrize(
    ("mode", "line", "net", "gross"),
    [
        ("b2b_standard", _line("2", "100", NET, "22", _percent("10")), "180.00", "219.60"),
        ("b2b_standard", _line("1", "122", GROSS), "100.00", "122.00"),
        ("b2b_standard", _line("1", "100", NET, "22", _percent("10"), _percent("10")), "80.00", "97.60"),
        ("b2c_gross_discount", _line("1", "100", GROSS, "0", _percent("10"), _percent("10")), "81.00", "81.00"),
        ("b2b_standard", _line("1", "100", NET, "22", _off("10"), _percent("10")), "80.00", "97.60"),
        ("b2c_gross_discount", _line("1", "122", GROSS, "22", _off("22"), _percent("10")), "73.77", "90.00"),
        ("b2c_gross_discount", _line("1", "100", NET), "100.00", "122.00"),
        ("b2b_standard", _line("1", "0.125", NET, None), "0.13", "0.13"),
        ("b2c_gross_discount", _line("1", "0.015", GROSS, None), "0.02", "0.02"),
        ("b2b_standard", _line("3", "33.335", NET, "9.5"), "100.01", "109.51"),
    ],
)
def test_examples(mode: Mode, line: Line, net: str, gross: str) -> None:
    totals = calculate([line], mode)
    assert (str(totals.net), str(totals.gross)) == (net, gross)


def test_reverse_charge_shows_the_rate_and_charges_nothing() -> None:
    tax = Tax(Decimal(22), reverse_charge=True)
    totals = calculate([Line(Decimal(1), Decimal(100), gross=False, tax=tax)], "b2b_standard")
    assert (totals.gross, totals.taxes[0].base, totals.taxes[0].amount) == (Decimal(100), Decimal(100), Decimal(0))


def test_discounts_cannot_take_more_than_the_line() -> None:
    with pytest.raises(NegativeLine):
        calculate([_line("1", "10", NET, "22", _percent("60"), _percent("60"))], "b2b_standard")


_amounts = st.decimals(0, 100_000, places=3)
_lines = st.lists(
    st.builds(
        Line,
        quantity=st.decimals("0.01", 100, places=2),
        unit_price=_amounts,
        gross=st.booleans(),
        tax=st.none() | st.builds(Tax, st.sampled_from([Decimal(rate) for rate in ("0", "5.5", "9.5", "19", "22")])),
        discounts=st.lists(st.builds(Discount, st.decimals(0, 20, places=1)), max_size=5).map(tuple),
    ),
    min_size=1,
    max_size=8,
)
_modes: st.SearchStrategy[Any] = st.sampled_from(["b2b_standard", "b2c_gross_discount"])


@UNHURRIED
@given(_lines, _modes)
def test_lines_summary_and_totals_add_up(lines: list[Line], mode: Mode) -> None:
    totals = calculate(lines, mode)
    assert totals.net == sum(line.net for line in totals.lines)
    assert totals.gross == sum(line.gross for line in totals.lines)
    assert totals.gross - totals.net == sum(row.amount for row in totals.taxes)
    for line, amounts in zip(lines, totals.lines, strict=True):
        assert 0 <= amounts.net <= amounts.gross
        factor = line.tax.factor if line.tax else 1
        assert abs(amounts.net * factor - amounts.gross) <= Decimal("0.01")


@UNHURRIED
@given(_lines, _modes)
def test_the_order_of_lines_does_not_matter(lines: list[Line], mode: Mode) -> None:
    backwards = calculate(lines[::-1], mode)
    forwards = calculate(lines, mode)
    assert (backwards.net, backwards.gross, set(backwards.taxes)) == (forwards.net, forwards.gross, set(forwards.taxes))


def _items(*gross: float, rate: float = 22) -> list[dict[str, Any]]:
    return [{"name": "A", "quantity": 1, "gross_price": price, "taxes": [{"rate": rate}]} for price in gross]


def test_the_summary_has_one_row_per_rate() -> None:
    items = _items(122, 61) + _items(109.5, rate=9.5)
    invoice = Api().invoice(items=items)
    rows = [(row["rate"], row["base"], row["amount"]) for row in invoice["taxes"]]
    assert rows == [(22, 150, 33), (9.5, 100, 9.5)]
    assert (invoice["total"], invoice["total_with_tax"], invoice["total_due"]) == (250, 292.5, 292.5)


@pytest.mark.parametrize(
    ("expected", "correction"), [(122, None), (122.05, 0.05), (121.95, -0.05), (122.06, "refused"), (121.94, "refused")]
)
def test_the_expected_total_is_met_within_five_cents(expected: float, correction: Any) -> None:
    api = Api()
    reply = api.call("POST", "/invoices", {"items": _items(122), "expected_total_with_tax": expected})
    if correction == "refused":
        assert (reply.status, reply.issues[0]["path"]) == (422, ["expected_total_with_tax"])
    else:
        assert (reply.json["total_with_tax"], reply.json["rounding_correction"]) == (expected, correction)


def test_the_tolerance_can_be_set() -> None:
    api = Api(Settings(rate_limits=None, expected_total_tolerance=Decimal(0)))
    assert api.call("POST", "/invoices", {"items": _items(122), "expected_total_with_tax": 122.01}).status == 422


def test_taxes_are_selected_by_id_rate_classification_or_default() -> None:
    api = Api()
    rates = [{"rate": 20, "valid_from": "2020-01-01"}, {"rate": 25, "valid_from": "2026-11-20"}]
    tax = api.create("/taxes", {"tax_rates": rates, "classification": "standard", "is_default": True})
    assert [row["rate"] for row in tax["tax_rates"]] == [25, 20]

    def taxed(day: str, **line: Any) -> tuple[Any, Any]:
        item = {"name": "A", "quantity": 1, "price": 100} | line
        row = api.create("/invoices", {"items": [item], "date": day})["taxes"]
        return (row[0]["rate"], row[0]["tax_id"]) if row else (None, None)

    assert taxed("2026-11-20", taxes=[{"tax_id": tax["id"]}]) == (25, tax["id"])
    assert taxed("2026-11-19", taxes=[{"classification": "standard"}]) == (20, tax["id"])
    assert taxed("2026-11-19", taxes=[{"rate": 20}]) == (20, tax["id"])
    assert taxed("2026-11-20", taxes=[{"rate": 7}]) == (7, None)
    assert taxed("2026-11-20") == (25, tax["id"])
    assert taxed("2026-11-20", taxes=[]) == (None, None)


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ({"name": ""}, "name"),
        ({"quantity": None}, "quantity"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": -1}, "quantity"),
        ({"price": -1}, "price"),
        ({"price": 1e400}, "price"),
        ({"gross_price": 1}, "price"),
        ({"price": None}, "price"),
        ({"item_id": "item_1"}, "item_id"),
        ({"taxes": [{}]}, "taxes"),
        ({"taxes": [{"rate": 5, "classification": "x"}]}, "taxes"),
        ({"taxes": [{"rate": 5}, {"rate": 6}]}, "taxes"),
        ({"taxes": [{"rate": 101}]}, "taxes"),
        ({"taxes": [{"classification": "unknown"}]}, "taxes"),
        ({"discounts": [{"value": 101}]}, "discounts"),
    ],
)
def test_lines_that_make_no_sense(line: dict[str, Any], path: str) -> None:
    item = {"name": "A", "quantity": 1, "price": 100, "taxes": []} | line
    content = repr({"items": [item]}).replace("'", '"').replace("None", "null").replace("inf", "1e400").encode()
    reply = Api().call("POST", "/invoices", content, headers={"content-type": "application/json"})
    assert (reply.status, reply.issues[0]["path"][:3]) == (422, ["items", 0, path])


def test_an_amount_that_is_too_large_is_told_so() -> None:
    api = Api()
    payment = {"document_id": api.invoice()["id"], "amount": 10**12, "type": "card"}
    (issue,) = api.call("POST", "/payments", payment).issues
    assert (issue["path"], issue["message"]) == (["amount"], "Must be below 1,000,000,000,000")


@pytest.mark.parametrize("name", ["price", "gross_price", "quantity"])
def test_a_number_that_is_too_large_is_told_so(name: str) -> None:
    item = {"name": "A", "quantity": 1, "taxes": []} | ({"price": 1} if name == "quantity" else {}) | {name: 10**12}
    (issue,) = Api().call("POST", "/invoices", {"items": [item]}).issues
    assert (issue["path"], issue["message"]) == (["items", 0, name], "Must be below 1,000,000,000,000")
    fine = item | {name: 10**12 - 1}
    assert Api().call("POST", "/invoices", {"items": [fine]}).status == 201


def test_net_prices_are_held_against_the_expected_total() -> None:
    api = Api()
    body = {"calculation_mode": "b2b_standard", "items": [_net(33.33), _net(33.33), _net(33.34)]}
    for expected, total, correction in ((121.99, 121.99, None), (122, 122, 0.01)):
        invoice = api.create("/invoices", body | {"expected_total_with_tax": expected})
        assert (invoice["total"], invoice["total_with_tax"], invoice["rounding_correction"]) == (100, total, correction)
    assert api.call("POST", "/invoices", body | {"expected_total_with_tax": 100}).status == 422


def _net(price: float) -> dict[str, Any]:
    return {"name": "A", "quantity": 1, "price": price, "taxes": [{"rate": 22}]}


def test_separators_carry_no_amounts() -> None:
    invoice = Api().invoice(items=[{"type": "separator", "name": "Plans"}, *_items(122)])
    assert [line["total_with_tax"] for line in invoice["items"]] == [None, 122]
