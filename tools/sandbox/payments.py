"""Payments, and the balances of documents that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from tools.sandbox.books import Book, take
from tools.sandbox.calculation import ZERO
from tools.sandbox.call import Call, Handler
from tools.sandbox.composing import read_amount, read_past_date
from tools.sandbox.dates import at_midnight, timestamp
from tools.sandbox.entities import is_portuguese
from tools.sandbox.exchange import exchange_from
from tools.sandbox.kinds import CREDIT_NOTE, INVOICE, KINDS, Kind, find_document, show_document
from tools.sandbox.lists import list_records
from tools.sandbox.wire import Problem, Record, invalid, not_found

_APPLICATIONS = frozenset({"credit_note", "advance"})
_TEXTS = ("reference", "tag", "note")
_UNSUPPORTED_TARGETS = ("advance_invoice_id", "expense_id", "applied_to_expense_id")


def settle(document: Record, payments: Sequence[Record]) -> None:
    """Sets a document's balance from its payments; deleted ones do not count."""
    paid = sum((payment["amount"] for payment in payments if not payment["deleted_at"]), ZERO)
    document["total_paid"] = paid
    document["total_due"] = max(document["total_with_tax"] - paid, ZERO)
    document["paid_in_full"] = not document["is_draft"] and not document["total_due"]


def plan_inline(call: Call, kind: Kind, total: Decimal, bodies: Sequence[Record]) -> list[Record]:
    """The payments of a create request, checked but not yet recorded; a left-out amount is what remains.

    Raises `Problem` 422.
    """
    if bodies:
        _check_country(call, [kind])
    planned: list[Record] = []
    remaining = total
    for index, body in enumerate(bodies):
        if body["type"] in _APPLICATIONS:
            raise invalid(["payments", index, "type"], "Another document is applied with POST /payments")
        given = remaining if body.get("amount") is None else body["amount"]
        payment = _fields(call, body, read_amount(given, ["payments", index, "amount"]), ["payments", index])
        _check_cap(call, kind, remaining, payment["amount"], ["payments", index, "amount"])
        remaining -= payment["amount"]
        planned.append(payment)
    return planned


def record_payment(call: Call, targets: dict[str, str], currency: str, fields: Record) -> Record:
    """Stores a checked payment and updates the balances of the documents in `targets` (field of the payment -> id)."""
    payment = call.stamp(
        dict.fromkeys(kind.reference for kind in KINDS)
        | {"advance_invoice_id": None, "deleted_at": None}
        | targets
        | fields
        | {"id": call.ids.new("pmt"), "entity_id": call.book.entity["id"], "currency_code": currency}
    )
    _convert(call, payment)
    call.book.payments[payment["id"]] = payment
    for identifier in targets.values():
        call.book.payments_of[identifier].append(payment)
    call.tell("payment", payment, "created", event="payment.received")
    _refresh(call, payment)
    return payment


def _create(call: Call) -> Record:
    targets = _targets(call)
    documents = {name: find_document(call.book, identifier) for name, identifier in targets.items()}
    _check_country(call, [kind for kind, _ in documents.values()])
    amount = read_amount(call.body["amount"], ["amount"])
    for kind, document in documents.values():
        _check_payable(document)
        _check_cap(call, kind, document["total_due"], amount, ["amount"])
    currencies = {document["currency_code"] for _, document in documents.values()}
    if len(currencies) > 1:
        raise Problem(422, "The documents have different currencies")
    return record_payment(call, targets, currencies.pop(), _fields(call, call.body, amount, []))


def apply_credit(call: Call, invoice: Record, credit_note: Record, note: str | None = None) -> None:
    """Applies as much of a credit note to an invoice as both still have open."""
    amount = min(invoice["total_due"], credit_note["total_due"])
    if not amount:
        return
    body: Record = {"type": "credit_note", "note": note}
    targets = {INVOICE.reference: invoice["id"], CREDIT_NOTE.reference: credit_note["id"]}
    record_payment(call, targets, invoice["currency_code"], _fields(call, body, amount, []))


def _targets(call: Call) -> dict[str, str]:
    body = call.body
    for name in _UNSUPPORTED_TARGETS:
        if body.get(name):
            raise invalid([name], "The sandbox has no documents of this kind")
    targets = {kind.reference: body[kind.reference] for kind in KINDS if body.get(kind.reference)}
    if body.get("document_id"):
        kind, document = find_document(call.book, body["document_id"])
        if targets.setdefault(kind.reference, document["id"]) != document["id"]:
            raise invalid(["document_id"], f"Contradicts {kind.reference}")
    if body["type"] == "advance":
        raise invalid(["type"], "The sandbox has no advance invoices")
    if (body["type"] == "credit_note") != (len(targets) == len(KINDS)):
        raise invalid(["type"], "credit_note needs an invoice and a credit note, other types exactly one document")
    for kind in KINDS:
        if kind.reference in targets:
            take(kind.shelf(call.book), targets[kind.reference], kind.title)
    return targets


def _fields(call: Call, body: Record, amount: Decimal, path: list[str | int]) -> Record:
    return {
        "amount": amount,
        "type": body["type"],
        "date": at_midnight(read_past_date(call, body.get("date"), [*path, "date"])),
        **{name: body.get(name) for name in _TEXTS},
        "metadata": body.get("metadata") or {},
    }


def _check_country(call: Call, kinds: Sequence[Kind]) -> None:
    if CREDIT_NOTE in kinds and is_portuguese(call.book.entity):
        raise Problem(422, "Credit notes cannot have payments in Portugal")


def _convert(call: Call, payment: Record) -> None:
    payment["amount_converted"] = exchange_from(call, payment["currency_code"]).converted(payment["amount"])


def _check_payable(document: Record) -> None:
    if document["is_draft"]:
        raise Problem(422, "A draft cannot take payments")
    if document["voided_at"]:
        raise Problem(422, "A voided document cannot take payments")


def _check_cap(call: Call, kind: Kind, remaining: Decimal, amount: Decimal, path: list[str | int]) -> None:
    if amount <= remaining or (kind is INVOICE and call.settings.accept_overpayment):
        return
    raise invalid(path, f"Exceeds the remaining {remaining}")


def _list(call: Call) -> Record:
    return list_records(call, call.book.payments.values(), "Payment")


def _get(call: Call) -> Record:
    return take(call.book.payments, call.id, "Payment")


def _update(call: Call) -> Record:
    payment = _live(call)
    changes = dict(call.body)
    if "type" in changes and (changes["type"] in _APPLICATIONS) != (payment["type"] in _APPLICATIONS):
        raise invalid(["type"], "An application of a document and a movement of money cannot become each other")
    if "amount" in changes:
        changes["amount"] = read_amount(changes["amount"], ["amount"])
        _check_room(call, payment, changes["amount"] - payment["amount"])
    if "date" in changes:
        changes["date"] = at_midnight(read_past_date(call, changes["date"], ["date"]))
    payment.update(changes)
    payment["metadata"] = payment["metadata"] or {}
    _convert(call, payment)
    call.touch(payment)
    call.tell("payment", payment, "updated")
    _refresh(call, payment)
    return payment


def _delete(call: Call) -> None:
    payment = _live(call)
    payment["deleted_at"] = timestamp(call.now)
    _refresh(call, payment)
    call.tell("payment", payment, "deleted", event="payment.deleted")


def _restore(call: Call) -> Record:
    payment = take(call.book.payments, call.id, "Payment")
    if not payment["deleted_at"]:
        raise Problem(409, "The payment is not deleted")
    _check_room(call, payment, payment["amount"])
    payment["deleted_at"] = None
    _refresh(call, payment)
    call.tell("payment", payment, "updated", event="payment.restored")
    return payment


HANDLERS: dict[str, Handler] = {
    "createPayment": _create,
    "getPayments": _list,
    "getPayment": _get,
    "updatePayment": _update,
    "deletePayment": _delete,
    "restorePayment": _restore,
}


def _live(call: Call) -> Record:
    payment = take(call.book.payments, call.id, "Payment")
    if payment["deleted_at"]:
        raise not_found("Payment")
    for _, document in _documents(call.book, payment):
        _check_payable(document)
    return payment


def _check_room(call: Call, payment: Record, more: Decimal) -> None:
    for kind, document in _documents(call.book, payment):
        _check_payable(document)
        _check_cap(call, kind, document["total_due"], more, ["amount"])


def _documents(book: Book, payment: Record) -> list[tuple[Kind, Record]]:
    return [(kind, kind.shelf(book)[payment[kind.reference]]) for kind in KINDS if payment[kind.reference]]


def _refresh(call: Call, payment: Record) -> None:
    for kind, document in _documents(call.book, payment):
        was_paid = document["paid_in_full"]
        settle(document, call.book.payments_of[document["id"]])
        call.touch(document)
        if kind is INVOICE and document["paid_in_full"] and not was_paid:
            call.emit("invoice.paid", show_document(call.book, document))
