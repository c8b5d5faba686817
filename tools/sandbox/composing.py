"""From the body of a create or update request to the fields of a document."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from tools.sandbox.books import take
from tools.sandbox.calculation import Discount, Line, LineTotals, Mode, NegativeLine, Tax, Totals, calculate, rounded
from tools.sandbox.call import Call
from tools.sandbox.dates import at_midnight, read_date
from tools.sandbox.directory import live_customer, rate_on
from tools.sandbox.kinds import INVOICE, Kind
from tools.sandbox.transaction_type import classify
from tools.sandbox.wire import Record, invalid

_LARGEST = Decimal(10) ** 12
_CURRENCY_LENGTH = 3
_HIGHEST_RATE = 100
_TEXTS = ("note", "payment_terms", "tax_clause", "footer", "signature", "reference")
_PARTY_FIELDS = (
    "name email address address_2 post_code city state country country_code tax_number tax_number_2 company_number phone"
    " peppol_id peppol_scheme_id is_end_consumer"
)
_NATIONAL = ("vies", "exchange_rate", "furs", "fina", "pt", "eslog", "xrechnung", "zugferd", "ujp")
_LINE_TEXTS = ("type", "name", "description", "classification", "price", "gross_price", "quantity", "unit", "item_id")


def compose(call: Call, kind: Kind, body: Record) -> Record:
    """Everything of a document that follows from the request: dates, parties, lines, amounts.

    Raises `Problem` 422 for a broken rule and 404 for a customer that does not exist.
    """
    entity = call.book.entity
    day = _issue_date(call, body)
    mode = _mode(body, entity)
    currency = _currency(body, entity)
    issuer = _party(entity) | body.get("issuer", {})
    customer = _customer(call, body)
    return {
        **{name: body.get(name) for name in _TEXTS},
        **dict.fromkeys(_NATIONAL),
        **_dates(call, kind, body, day),
        "issuer": issuer,
        "customer_id": body.get("customer_id"),
        "customer": customer,
        "currency_code": currency,
        "calculation_mode": mode,
        "transaction_type": classify(entity, customer)["transaction_type"] if customer else "domestic",
        "metadata": body.get("metadata") or {},
        **_amounts(call, body, day, mode, foreign=currency != entity["currency_code"]),
    }


def read_amount(value: Decimal | int, path: list[str | int]) -> Decimal:
    """An amount of money in major units: above zero, with at most two decimals. Raises `Problem` 422."""
    amount = Decimal(value)
    if not 0 < amount < _LARGEST or rounded(amount) != amount:
        raise invalid(path, "Must be above zero with at most two decimals")
    return rounded(amount)


def read_past_date(call: Call, text: str | None, path: list[str | int]) -> date:
    """A date that is not in the future; today when none is given. Raises `Problem` 422."""
    if text is None:
        return call.today
    day = read_date(text, path)
    if day > call.today and not call.settings.accept_future_dates:
        raise invalid(path, "Must not be in the future")
    return day


def _issue_date(call: Call, body: Record) -> date:
    return read_past_date(call, body.get("date"), ["date"])


def _dates(call: Call, kind: Kind, body: Record, day: date) -> Record:
    due = _optional_date(body, "date_due", not_before=day)
    service = _optional_date(body, "date_service")
    service_to = _optional_date(body, "date_service_to", not_before=service)
    if due is None and kind is INVOICE:
        due = day + timedelta(days=int(call.book.entity["settings"].get("default_invoice_due_days") or 0))
    return {
        "date": at_midnight(day),
        "date_year": day.year,
        "date_due": None if due is None else at_midnight(due) if kind is INVOICE else due.isoformat(),
        "date_service": service and service.isoformat(),
        "date_service_to": service_to and service_to.isoformat(),
    }


def _optional_date(body: Record, name: str, *, not_before: date | None = None) -> date | None:
    if body.get(name) is None:
        return None
    day = read_date(body[name], [name])
    if not_before and day < not_before:
        raise invalid([name], f"Must not be before {not_before.isoformat()}")
    return day


def _mode(body: Record, entity: Record) -> Mode:
    default: Mode = (entity["settings"].get("calculation") or {}).get("default_mode") or "b2b_standard"
    return body.get("calculation_mode") or default


def _currency(body: Record, entity: Record) -> str:
    code: str = body.get("currency_code") or entity["currency_code"]
    if len(code) != _CURRENCY_LENGTH or not code.isascii() or not code.isupper():
        raise invalid(["currency_code"], "Must be an upper-case ISO 4217 code")
    return code


def _party(record: Record) -> Record:
    return {name: record.get(name) for name in _PARTY_FIELDS.split()}


def _customer(call: Call, body: Record) -> Record | None:
    inline = {key: value for key, value in (body.get("customer") or {}).items() if key != "save_customer"}
    if body.get("customer_id"):
        return _party(live_customer(call.book, body["customer_id"])) | inline
    return _party({}) | inline if inline else None


def _amounts(call: Call, body: Record, day: date, mode: Mode, *, foreign: bool) -> Record:
    items = body["items"]
    sold = [index for index, item in enumerate(items) if item.get("type") != "separator"]
    lines = [_line(call, items[index], ["items", index], day) for index in sold]
    try:
        totals = calculate(lines, mode)
    except NegativeLine as error:
        raise invalid(["items", sold[error.index], "discounts"], "Discounts exceed the line") from error
    correction = _rounding_correction(call, body, totals)
    gross = totals.gross + correction
    shown = dict(zip(sold, zip(lines, totals.lines, strict=True), strict=True))
    return {
        "items": [_shown_line(call, item, shown.get(index), foreign=foreign) for index, item in enumerate(items)],
        "total": totals.net,
        "total_with_tax": gross,
        "total_discount": totals.discount,
        "taxes": [_shown_tax(row.tax, row.base, row.amount, foreign=foreign) for row in totals.taxes],
        # The sandbox has no source of exchange rates: conversions into the entity's currency stay unknown.
        "total_converted": None if foreign else totals.net,
        "total_with_tax_converted": None if foreign else gross,
        "rounding_correction": correction or None,
    }


def _rounding_correction(call: Call, body: Record, totals: Totals) -> Decimal:
    if body.get("expected_total_with_tax") is None:
        return Decimal(0)
    expected = Decimal(body["expected_total_with_tax"])
    difference = expected - totals.gross
    if abs(difference) > call.settings.expected_total_tolerance or rounded(expected) != expected:
        raise invalid(["expected_total_with_tax"], f"The calculated total is {totals.gross}")
    return rounded(difference)


def _line(call: Call, item: Record, path: list[str | int], day: date) -> Line:
    if item.get("item_id"):
        raise invalid([*path, "item_id"], "No catalogue item has this id")
    if not item.get("name"):
        raise invalid([*path, "name"], "Required")
    if (item.get("price") is None) == (item.get("gross_price") is None):
        raise invalid([*path, "price"], "Give exactly one of price and gross_price")
    gross = item.get("gross_price") is not None
    return Line(
        quantity=_number(item.get("quantity"), [*path, "quantity"], above_zero=True),
        unit_price=_number(item["gross_price" if gross else "price"], [*path, "gross_price" if gross else "price"]),
        gross=gross,
        tax=_tax(call, item, [*path, "taxes"], day),
        discounts=tuple(
            Discount(_number(discount["value"], [*path, "discounts"]), discount.get("type", "percent") == "percent")
            for discount in item.get("discounts", ())
        ),
    )


def _number(value: Decimal | int | None, path: list[str | int], *, above_zero: bool = False) -> Decimal:
    if value is None:
        raise invalid(path, "Required")
    number = Decimal(value)
    if not 0 <= number < _LARGEST or (above_zero and not number):
        raise invalid(path, "Must be positive")
    return number


def _tax(call: Call, item: Record, path: list[str | int], day: date) -> Tax | None:
    selectors = item.get("taxes")
    if selectors is None:
        return _default_tax(call, day)
    if not selectors:
        return None
    if len(selectors) > call.book.entity["country_rules"]["max_taxes_per_item"]:
        raise invalid(path, "Too many taxes on one line")
    selector = selectors[0]
    given = [name for name in ("tax_id", "rate", "classification") if selector.get(name) is not None]
    if len(given) != 1:
        raise invalid([*path, 0], "Give exactly one of tax_id, rate and classification")
    reverse_charge = bool(selector.get("reverse_charge"))
    if given == ["rate"]:
        return _tax_by_rate(call, Decimal(selector["rate"]), [*path, 0, "rate"], day, reverse_charge=reverse_charge)
    return _stored_tax(_selected(call, selector, [*path, 0]), day, reverse_charge=reverse_charge)


def _default_tax(call: Call, day: date) -> Tax | None:
    # What the real API does when `taxes` is left out is unknown; taking the entity's default tax makes the omission show.
    defaults = (tax for tax in call.book.taxes.values() if tax["is_default"])
    return next((_stored_tax(tax, day, reverse_charge=False) for tax in defaults), None)


def _tax_by_rate(call: Call, rate: Decimal, path: list[str | int], day: date, *, reverse_charge: bool) -> Tax:
    if not 0 <= rate <= _HIGHEST_RATE:
        raise invalid(path, "Must be between 0 and 100")
    for tax in call.book.taxes.values():
        if rate_on(tax, day) == rate:
            return _stored_tax(tax, day, reverse_charge=reverse_charge)
    return Tax(rate, reverse_charge=reverse_charge)


def _selected(call: Call, selector: Record, path: list[str | int]) -> Record:
    if selector.get("tax_id"):
        return take(call.book.taxes, selector["tax_id"], "Tax")
    for tax in call.book.taxes.values():
        if tax["classification"] == selector["classification"]:
            return tax
    raise invalid([*path, "classification"], "No tax has this classification")


def _stored_tax(tax: Record, day: date, *, reverse_charge: bool) -> Tax:
    return Tax(rate_on(tax, day), tax["id"], tax["classification"], reverse_charge)


def _shown_line(call: Call, item: Record, calculated: tuple[Line, LineTotals] | None, *, foreign: bool) -> Record:
    line, amounts = calculated or (None, None)
    net, gross = (amounts.net, amounts.gross) if amounts else (None, None)
    taxes = [_line_tax(line.tax, amounts)] if line and amounts and line.tax else []
    return {
        **{name: item.get(name) for name in _LINE_TEXTS},
        "id": call.ids.new("line"),
        "taxes": taxes,
        "discounts": [{"type": "percent"} | discount for discount in item.get("discounts", ())],
        "metadata": item.get("metadata") or {},
        "total": net,
        "total_with_tax": gross,
        "total_converted": None if foreign else net,
        "total_with_tax_converted": None if foreign else gross,
    }


def _line_tax(tax: Tax, amounts: LineTotals) -> Record:
    return {
        "tax_id": tax.tax_id,
        "rate": tax.rate,
        "classification": tax.classification,
        "reverse_charge": tax.reverse_charge,
        "amount": amounts.tax,
    }


def _shown_tax(tax: Tax, base: Decimal, amount: Decimal, *, foreign: bool) -> Record:
    return {
        "tax_id": tax.tax_id,
        "rate": tax.rate,
        "base": base,
        "amount": amount,
        "base_converted": None if foreign else base,
        "amount_converted": None if foreign else amount,
        "reverse_charge": tax.reverse_charge,
    }
