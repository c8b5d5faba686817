"""From the body of a create or update request to the fields of a document."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from tools.sandbox.calculation import Discount, Line, LineTotals, Mode, NegativeLine, Tax, TaxRow, Totals, calculate, rounded
from tools.sandbox.call import Call
from tools.sandbox.dates import at_midnight, read_date, timestamp
from tools.sandbox.directory import live_customer
from tools.sandbox.exchange import Exchange, exchange_from
from tools.sandbox.kinds import INVOICE, Kind
from tools.sandbox.taxes import line_tax
from tools.sandbox.transaction_type import EXPORTS, classify, vat_number
from tools.sandbox.wire import Record, invalid

_LARGEST = Decimal(10) ** 12
_CURRENCY_LENGTH = 3
_TEXTS = ("note", "payment_terms", "footer", "signature", "reference")
_PARTY_FIELDS = (
    "name email address address_2 post_code city state country country_code tax_number tax_number_2 company_number phone"
    " peppol_id peppol_scheme_id is_end_consumer"
)
_NATIONAL = ("furs", "fina", "pt", "eslog", "xrechnung", "zugferd", "ujp")
_LINE_TEXTS = ("type", "name", "description", "classification", "price", "gross_price", "quantity", "unit", "item_id")


_REVERSE_CHARGE = "Reverse charge"


def compose(call: Call, kind: Kind, body: Record, issued: Record | None = None) -> Record:
    """Everything of a document that follows from the request: dates, parties, lines, amounts.

    `issued` is the document as it was issued, when it is changed: its parties are known, so they are not judged again.
    Raises `Problem` 422 for a broken rule and 404 for a customer that does not exist.
    """
    entity = call.book.entity
    day = _issue_date(call, body)
    exchange = exchange_from(call, _currency(body, entity))
    issuer = _party(entity) | body.get("issuer", {})
    customer = _customer(call, body)
    judged = _judged(call, customer) if issued is None else {name: issued[name] for name in ("transaction_type", "vies")}
    return {
        **{name: body.get(name) for name in _TEXTS},
        **dict.fromkeys(_NATIONAL),
        **_dates(call, kind, body, day),
        "issuer": issuer,
        "customer_id": body.get("customer_id"),
        "customer": customer,
        "currency_code": exchange.currency,
        "exchange_rate": exchange.shown(day),
        "calculation_mode": _mode(body, entity),
        **judged,
        "tax_clause": _clause(entity, body, judged["transaction_type"]),
        "metadata": body.get("metadata") or {},
        **_amounts(call, body, day, judged["transaction_type"], exchange),
    }


def _judged(call: Call, customer: Record | None) -> Record:
    entity = call.book.entity
    if not customer:
        return {"transaction_type": "domestic", "vies": None}
    validates = _rules(entity).get("vies_validate_vat") is not False
    result = classify(entity, customer, call.is_registered if validates else None)
    vies = None
    if result["vies_valid"] is not None or result["warning"]:
        vies = {
            "valid": result["vies_valid"],
            "vat_number": vat_number(customer),
            "checked_at": timestamp(call.now),
            "warning": result["warning"],
        }
    return {"transaction_type": result["transaction_type"], "vies": vies}


def _rules(entity: Record) -> Record:
    rules: Record = (entity["settings"].get("tax_rules") or {}).get("eu") or {}
    return rules


def _clause(entity: Record, body: Record, kind: str) -> str | None:
    given: str | None = body.get("tax_clause")
    if given is not None:
        return given
    defaults = entity["settings"].get("tax_clause_defaults") or {}
    automatic = _REVERSE_CHARGE if _reverses(entity, kind) else None
    return defaults.get(kind) or (defaults.get("export") if kind in EXPORTS else None) or automatic


def _reverses(entity: Record, kind: str) -> bool:
    return kind == "intra_eu_b2b" and bool(_rules(entity).get("auto_reverse_charge"))


def _treated(entity: Record, tax: Tax | None, kind: str) -> Tax | None:
    """The tax of a line after the entity's own rules for sales across borders."""
    if kind in EXPORTS and _rules(entity).get("auto_remove_tax_export"):
        return None
    return replace(tax, rate=Decimal(0), reverse_charge=True) if tax and _reverses(entity, kind) else tax


def read_amount(value: Decimal | int, path: list[str | int]) -> Decimal:
    """An amount of money in major units: above zero, with at most two decimals. Raises `Problem` 422."""
    amount = Decimal(value)
    _check_size(amount, path)
    if amount <= 0 or rounded(amount) != amount:
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


def _amounts(call: Call, body: Record, day: date, kind: str, exchange: Exchange) -> Record:
    items = body["items"]
    sold = [index for index, item in enumerate(items) if item.get("type") != "separator"]
    lines = [_line(call, items[index], ["items", index], day) for index in sold]
    lines = [replace(line, tax=_treated(call.book.entity, line.tax, kind)) for line in lines]
    try:
        totals = calculate(lines, _mode(body, call.book.entity))
    except NegativeLine as error:
        raise invalid(["items", sold[error.index], "discounts"], "Discounts exceed the line") from error
    correction = _rounding_correction(call, body, totals)
    gross = totals.gross + correction
    shown = dict(zip(sold, zip(lines, totals.lines, strict=True), strict=True))
    return {
        "items": [_shown_line(call, item, shown.get(index), exchange) for index, item in enumerate(items)],
        "total": totals.net,
        "total_with_tax": gross,
        "total_discount": totals.discount,
        "taxes": [_shown_tax(row, exchange) for row in totals.taxes],
        "total_converted": exchange.converted(totals.net),
        "total_with_tax_converted": exchange.converted(gross),
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
    if not gross and _rules(call.book.entity).get("require_gross_prices"):
        raise invalid([*path, "gross_price"], "Required by the entity's tax rules")
    return Line(
        quantity=_number(item.get("quantity"), [*path, "quantity"], above_zero=True),
        unit_price=_number(item["gross_price" if gross else "price"], [*path, "gross_price" if gross else "price"]),
        gross=gross,
        tax=line_tax(call, item, [*path, "taxes"], day),
        discounts=tuple(
            Discount(_number(discount["value"], [*path, "discounts"]), discount.get("type", "percent") == "percent")
            for discount in item.get("discounts", ())
        ),
    )


def _number(value: Decimal | int | None, path: list[str | int], *, above_zero: bool = False) -> Decimal:
    if value is None:
        raise invalid(path, "Required")
    number = Decimal(value)
    _check_size(number, path)
    if number < 0 or (above_zero and not number):
        raise invalid(path, "Must be positive")
    return number


def _check_size(number: Decimal, path: list[str | int]) -> None:
    if number >= _LARGEST:
        raise invalid(path, f"Must be below {_LARGEST:,}")


def _shown_line(call: Call, item: Record, calculated: tuple[Line, LineTotals] | None, exchange: Exchange) -> Record:
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
        "total_converted": exchange.converted(net),
        "total_with_tax_converted": exchange.converted(gross),
    }


def _line_tax(tax: Tax, amounts: LineTotals) -> Record:
    return {
        "tax_id": tax.tax_id,
        "rate": tax.rate,
        "classification": tax.classification,
        "reverse_charge": tax.reverse_charge,
        "amount": amounts.tax,
    }


def _shown_tax(row: TaxRow, exchange: Exchange) -> Record:
    return {
        "tax_id": row.tax.tax_id,
        "rate": row.tax.rate,
        "base": row.base,
        "amount": row.amount,
        "base_converted": exchange.converted(row.base),
        "amount_converted": exchange.converted(row.amount),
        "reverse_charge": row.tax.reverse_charge,
    }
