"""Taxes of one entity: their rates over time, their selection on lines, and the classification of sales."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

from tools.sandbox.books import Book, take
from tools.sandbox.calculation import Tax
from tools.sandbox.call import Call, Handler
from tools.sandbox.dates import read_date, timestamp
from tools.sandbox.lists import list_records
from tools.sandbox.transaction_type import classify
from tools.sandbox.wire import Problem, Record, invalid, not_found

_ALWAYS = "1970-01-01"
_HIGHEST_RATE = 100


def line_tax(call: Call, item: Record, path: list[str | int], day: date) -> Tax | None:
    """The tax of one line, by its single selector. Raises `Problem` 422."""
    selectors = item.get("taxes")
    if selectors is None:
        # What the real API does when `taxes` is left out is unknown; taking the default tax makes the omission show.
        return next((_at(tax, day) for tax in _live(call.book) if tax["is_default"]), None)
    if not selectors:
        return None
    if len(selectors) > call.book.entity["country_rules"]["max_taxes_per_item"]:
        raise invalid(path, "Too many taxes on one line")
    return _selected(call, selectors[0], [*path, 0], day)


def _selected(call: Call, selector: Record, path: list[str | int], day: date) -> Tax:
    given = [name for name in ("tax_id", "rate", "classification") if selector.get(name) is not None]
    if len(given) != 1:
        raise invalid(path, "Give exactly one of tax_id, rate and classification")
    name, value = given[0], selector[given[0]]
    reverse_charge = bool(selector.get("reverse_charge"))
    if name == "rate":
        return _by_rate(call, Decimal(value), [*path, name], day, reverse_charge=reverse_charge)
    for tax in _live(call.book):
        if tax["id" if name == "tax_id" else name] == value:
            return _at(tax, day, reverse_charge=reverse_charge)
    raise invalid([*path, name], f"No tax has this {name}")


def _by_rate(call: Call, rate: Decimal, path: list[str | int], day: date, *, reverse_charge: bool) -> Tax:
    if not 0 <= rate <= _HIGHEST_RATE:
        raise invalid(path, "Must be between 0 and 100")
    for tax in _live(call.book):
        if _rate_on(tax, day) == rate:
            return _at(tax, day, reverse_charge=reverse_charge)
    return Tax(rate, reverse_charge=reverse_charge)


def _at(tax: Record, day: date, *, reverse_charge: bool = False) -> Tax:
    rate = _rate_on(tax, day)
    if rate is None:
        raise Problem(422, "The tax has no rate for the document's date")
    return Tax(rate, tax["id"], tax["classification"], reverse_charge)


def _rate_on(tax: Record, day: date) -> Decimal | None:
    return next((Decimal(row["rate"]) for row in tax["tax_rates"] if row["valid_from"] <= day.isoformat()), None)


def _live(book: Book) -> Iterator[Record]:
    return (tax for tax in book.taxes.values() if not tax["deleted_at"])


def _create(call: Call) -> Record:
    body = call.body
    _check_classification(call, body.get("classification"))
    rates = _rates(body["tax_rates"])
    if body.get("is_default"):
        _no_default(call)
    tax = call.stamp(
        {
            "id": call.ids.new("tax"),
            "entity_id": call.book.entity["id"],
            "name": body.get("name") or f"{rates[0]['rate']}%",
            "tax_rates": rates,
            "is_default": body.get("is_default", False),
            "classification": body.get("classification"),
            "pt_exemption_code": body.get("pt_exemption_code"),
            "pt_exemption_reason": body.get("pt_exemption_reason"),
            "metadata": body.get("metadata") or {},
            "deleted_at": None,
        }
    )
    call.book.taxes[tax["id"]] = tax
    call.tell("tax", tax, "created", event="tax.created")
    return tax


def _check_classification(call: Call, classification: str | None) -> None:
    if classification and any(tax["classification"] == classification for tax in _live(call.book)):
        raise invalid(["classification"], "Another tax has this classification")


def _rates(rows: Sequence[Record]) -> list[Record]:
    """The rates with the newest first, as they are kept."""
    rates = [
        {
            "rate": row["rate"],
            "valid_from": read_date(row.get("valid_from") or _ALWAYS, ["tax_rates", index, "valid_from"]).isoformat(),
        }
        for index, row in enumerate(rows)
    ]
    if len({row["valid_from"] for row in rates}) < len(rates):
        raise invalid(["tax_rates"], "Two rates begin on one day")
    return sorted(rates, key=lambda row: row["valid_from"], reverse=True)


def _no_default(call: Call) -> None:
    for other in call.book.taxes.values():
        other["is_default"] = False


def _list(call: Call) -> Record:
    return list_records(call, call.book.taxes.values(), "Tax")


def _get(call: Call) -> Record:
    return take(call.book.taxes, call.id, "Tax")


def _update(call: Call) -> Record:
    """Replaces the rates. Documents that were already composed keep theirs."""
    tax = _found(call)
    rates = _rates(call.body["tax_rates"])
    if call.body.get("is_default"):
        _no_default(call)
    tax.update(call.body | {"tax_rates": rates})
    call.touch(tax)
    call.tell("tax", tax, "updated", event="tax.updated")
    return tax


def _delete(call: Call) -> None:
    tax = _found(call)
    tax["deleted_at"] = timestamp(call.now)
    call.tell("tax", tax, "deleted", event="tax.deleted")


def _restore(call: Call) -> Record:
    tax = take(call.book.taxes, call.id, "Tax")
    if not tax["deleted_at"]:
        raise Problem(409, "The tax is not deleted")
    _check_classification(call, tax["classification"])
    tax["deleted_at"] = None
    tax["is_default"] = False
    call.tell("tax", tax, "updated", event="tax.restored")
    return tax


def _found(call: Call) -> Record:
    tax = take(call.book.taxes, call.id, "Tax")
    if tax["deleted_at"]:
        raise not_found("Tax")
    return tax


def _check_transaction_type(call: Call) -> Record:
    return classify(call.body["issuer"], call.body["customer"], call.is_registered)


HANDLERS: dict[str, Handler] = {
    "createTax": _create,
    "getTaxes": _list,
    "getTax": _get,
    "updateTax": _update,
    "deleteTax": _delete,
    "restoreTax": _restore,
    "checkTransactionType": _check_transaction_type,
}
