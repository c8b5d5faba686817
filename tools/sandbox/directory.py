"""Customers and taxes of one entity."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from tools.sandbox.books import Book, take
from tools.sandbox.call import Call, Handler
from tools.sandbox.dates import read_date, timestamp
from tools.sandbox.lists import list_records
from tools.sandbox.transaction_type import classify
from tools.sandbox.wire import Problem, Record, invalid, not_found

_ALWAYS = "1970-01-01"
_CUSTOMER_FIELDS = (
    "address address_2 post_code city state country country_code tax_number company_number peppol_id peppol_scheme_id"
    " bank_accounts email contact_type is_end_consumer ujp vies deleted_at"
)


def store_customer(call: Call, body: Record) -> Record:
    """A new customer record from a checked body."""
    customer = call.stamp(
        dict.fromkeys(_CUSTOMER_FIELDS.split())
        | {"is_tax_subject": True}
        | body
        | {"id": call.ids.new("cust"), "entity_id": call.book.entity["id"], "metadata": body.get("metadata") or {}}
    )
    call.book.customers[customer["id"]] = customer
    call.emit("customer.created", dict(customer))
    return customer


def live_customer(book: Book, identifier: str) -> Record:
    """A customer that is not deleted. Raises `Problem` 404."""
    customer = take(book.customers, identifier, "Customer")
    if customer["deleted_at"]:
        raise not_found("Customer")
    return customer


def _create_customer(call: Call) -> Record:
    return store_customer(call, call.body)


def _list_customers(call: Call) -> Record:
    return list_records(call, call.book.customers.values(), "Customer")


def _get_customer(call: Call) -> Record:
    return take(call.book.customers, call.id, "Customer")


def _update_customer(call: Call) -> Record:
    customer = live_customer(call.book, call.id)
    customer.update(call.body)
    customer["metadata"] = customer["metadata"] or {}
    call.touch(customer)
    call.emit("customer.updated", dict(customer))
    return customer


def _delete_customer(call: Call) -> None:
    customer = live_customer(call.book, call.id)
    customer["deleted_at"] = timestamp(call.now)
    call.emit("customer.deleted", dict(customer))


def _restore_customer(call: Call) -> Record:
    customer = take(call.book.customers, call.id, "Customer")
    if not customer["deleted_at"]:
        raise Problem(409, "The customer is not deleted")
    customer["deleted_at"] = None
    call.emit("customer.restored", dict(customer))
    return customer


def rate_on(tax: Record, day: date) -> Decimal:
    """The rate of a stored tax that is valid on a day. Raises `Problem` 422 when it has none yet."""
    for row in tax["tax_rates"]:
        if row["valid_from"] <= day.isoformat():
            return Decimal(row["rate"])
    raise Problem(422, "The tax has no rate for the document's date")


def _create_tax(call: Call) -> Record:
    body = call.body
    classification = body.get("classification")
    if classification and any(tax["classification"] == classification for tax in call.book.taxes.values()):
        raise invalid(["classification"], "Another tax has this classification")
    rates = [_tax_rate(index, row) for index, row in enumerate(body["tax_rates"])]
    rates.sort(key=lambda row: row["valid_from"], reverse=True)
    if body.get("is_default"):
        for other in call.book.taxes.values():
            other["is_default"] = False
    tax = call.stamp(
        {
            "id": call.ids.new("tax"),
            "entity_id": call.book.entity["id"],
            "name": body.get("name") or f"{rates[0]['rate']}%",
            "tax_rates": rates,
            "is_default": body.get("is_default", False),
            "classification": classification,
            "pt_exemption_code": body.get("pt_exemption_code"),
            "pt_exemption_reason": body.get("pt_exemption_reason"),
            "metadata": body.get("metadata") or {},
            "deleted_at": None,
        }
    )
    call.book.taxes[tax["id"]] = tax
    call.emit("tax.created", dict(tax))
    return tax


def _tax_rate(index: int, row: Record) -> Record:
    valid_from = row.get("valid_from") or _ALWAYS
    return {"rate": row["rate"], "valid_from": read_date(valid_from, ["tax_rates", index, "valid_from"]).isoformat()}


def _list_taxes(call: Call) -> Record:
    return list_records(call, call.book.taxes.values(), "Tax")


def _get_tax(call: Call) -> Record:
    return take(call.book.taxes, call.id, "Tax")


def _check_transaction_type(call: Call) -> Record:
    return classify(call.body["issuer"], call.body["customer"])


HANDLERS: dict[str, Handler] = {
    "createCustomer": _create_customer,
    "getCustomers": _list_customers,
    "getCustomer": _get_customer,
    "updateCustomer": _update_customer,
    "deleteCustomer": _delete_customer,
    "restoreCustomer": _restore_customer,
    "createTax": _create_tax,
    "getTaxes": _list_taxes,
    "getTax": _get_tax,
    "checkTransactionType": _check_transaction_type,
}
