"""Customers of one entity."""

from __future__ import annotations

from tools.sandbox.books import Book, take
from tools.sandbox.call import Call, Handler
from tools.sandbox.dates import timestamp
from tools.sandbox.lists import list_records
from tools.sandbox.wire import Problem, Record, not_found

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
    call.tell("customer", customer, "created", event="customer.created")
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
    call.tell("customer", customer, "updated", event="customer.updated")
    return customer


def _delete_customer(call: Call) -> None:
    customer = live_customer(call.book, call.id)
    customer["deleted_at"] = timestamp(call.now)
    call.tell("customer", customer, "deleted", event="customer.deleted")


def _restore_customer(call: Call) -> Record:
    customer = take(call.book.customers, call.id, "Customer")
    if not customer["deleted_at"]:
        raise Problem(409, "The customer is not deleted")
    customer["deleted_at"] = None
    call.tell("customer", customer, "updated", event="customer.restored")
    return customer


HANDLERS: dict[str, Handler] = {
    "createCustomer": _create_customer,
    "getCustomers": _list_customers,
    "getCustomer": _get_customer,
    "updateCustomer": _update_customer,
    "deleteCustomer": _delete_customer,
    "restoreCustomer": _restore_customer,
}
