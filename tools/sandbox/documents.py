"""Invoices and credit notes: create, issue, change, void, delete, download."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial

from tools.sandbox.books import take
from tools.sandbox.calculation import ZERO
from tools.sandbox.call import Call, Handler
from tools.sandbox.composing import compose
from tools.sandbox.contract import contract
from tools.sandbox.dates import timestamp
from tools.sandbox.directory import store_customer
from tools.sandbox.entities import is_portuguese
from tools.sandbox.kinds import CREDIT_NOTE, INVOICE, Kind, find_document, show_document
from tools.sandbox.lists import list_records
from tools.sandbox.numbering import formatted
from tools.sandbox.payments import apply_credit, plan_inline, record_payment, settle
from tools.sandbox.wire import Problem, Record, invalid, not_found

_FORMATS = {INVOICE: "{yyyy}-{nnnnn}", CREDIT_NOTE: "CN-{yyyy}-{nnnnn}"}
_PARTIES = frozenset({"customer", "customer_id"})
_NOT_KEPT = frozenset({"payments", "change_reason"})
_NOT_CREDITED = frozenset({"is_draft", "date_due", "linked_documents", "force_linked_documents"})


def _create(kind: Kind, call: Call) -> Record:
    body = call.body
    if body.get("is_draft") and is_portuguese(call.book.entity):
        raise Problem(422, "Portugal has no drafts")
    composed = compose(call, kind, body)
    linked = _linked(call, kind, composed, body.get("linked_documents") or ())
    payments = body.get("payments") or ()
    if payments and body.get("is_draft"):
        raise invalid(["payments"], "A draft cannot take payments")
    planned = plan_inline(call, kind, composed["total_with_tax"], payments)
    _check_customer_to_save(body)
    # Everything that can be refused has been: from here on the effect is complete or not at all.
    document = _store(call, kind, composed, linked)
    if not body.get("is_draft"):
        _number(call, kind, document)
    call.tell(kind.name, show_document(call.book, document), "created", event=f"{kind.name}.created")
    if not body.get("is_draft"):
        _announce_issue(call, kind, document)
    for fields in planned:
        record_payment(call, {kind.reference: document["id"]}, document["currency_code"], fields)
    return show_document(call.book, document)


def _store(call: Call, kind: Kind, composed: Record, linked: Sequence[tuple[Kind, Record]]) -> Record:
    document = call.stamp(
        composed
        | {
            "id": call.ids.new(kind.prefix),
            "entity_id": call.book.entity["id"],
            "number": None,
            "is_draft": True,
            "creation_source": "api",
            "shareable_id": None,
            "voided_at": None,
            "deleted_at": None,
        }
    )
    body = {key: value for key, value in call.body.items() if key not in _NOT_KEPT}
    if (call.body.get("customer") or {}).get("save_customer") and not document["customer_id"]:
        body["customer_id"] = document["customer_id"] = _save_customer(call)
    settle(document, ())
    kind.shelf(call.book)[document["id"]] = document
    call.book.bodies[document["id"]] = body
    _relate(call, kind, document, linked)
    return document


def _number(call: Call, kind: Kind, document: Record) -> None:
    settings = call.book.entity["settings"]
    year = document["date_year"]
    start = int((settings.get("number_sequence_starts") or {}).get(kind.name) or 1)
    template = (settings.get("number_formats") or {}).get(kind.name) or _FORMATS[kind]
    document["number"] = formatted(template, year, call.book.sequences.take(kind.name, year, start))
    document["is_draft"] = False
    settle(document, call.book.payments_of[document["id"]])
    call.touch(document)


def _announce_issue(call: Call, kind: Kind, document: Record) -> None:
    call.emit(kind.issued_event, show_document(call.book, document))
    if kind is CREDIT_NOTE and call.settings.apply_linked_credit:
        for relation in call.book.relations[document["id"]]:
            if relation["relation_type"] == "credit_for":
                apply_credit(call, call.book.invoices[relation["target_id"]], document)


def _check_customer_to_save(body: Record) -> None:
    customer = body.get("customer") or {}
    if customer.get("save_customer") and not body.get("customer_id") and not customer.get("name"):
        raise invalid(["customer", "name"], "Required to store the customer")


def _save_customer(call: Call) -> str:
    known = contract().fields("CreateCustomer")
    fields = {key: value for key, value in call.body["customer"].items() if key in known and value is not None}
    return str(store_customer(call, fields)["id"])


def _linked(call: Call, kind: Kind, composed: Record, identifiers: Sequence[str]) -> list[tuple[Kind, Record]]:
    linked = [find_document(call.book, identifier) for identifier in dict.fromkeys(identifiers)]
    for index, (_, document) in enumerate(linked):
        if document["is_draft"] or document["voided_at"]:
            raise invalid(["linked_documents", index], "Only issued documents can be linked")
        if document["currency_code"] != composed["currency_code"]:
            raise invalid(["linked_documents", index], "The linked document has another currency")
    if kind is CREDIT_NOTE and not call.settings.accept_overcredit:
        _check_credit(call, composed["total_with_tax"], [document for other, document in linked if other is INVOICE])
    return linked


def _check_credit(call: Call, total: Decimal, invoices: Sequence[Record]) -> None:
    for invoice in invoices:
        credited = sum((note["total_with_tax"] for note in _credit_notes_of(call, invoice)), ZERO)
        if credited + total > invoice["total_with_tax"]:
            raise invalid(["items"], f"Exceeds what is left of invoice {invoice['number']}")


def _credit_notes_of(call: Call, invoice: Record) -> list[Record]:
    relations = call.book.relations[invoice["id"]]
    notes = (call.book.credit_notes[one["target_id"]] for one in relations if one["relation_type"] == "has_credit")
    return [note for note in notes if not note["voided_at"]]


def _relate(call: Call, kind: Kind, document: Record, linked: Sequence[tuple[Kind, Record]]) -> None:
    for other_kind, other in linked:
        credit = kind is CREDIT_NOTE and other_kind is INVOICE
        for source_kind, source, target_kind, target, relation_type in (
            (kind, document, other_kind, other, "credit_for" if credit else "references"),
            (other_kind, other, kind, document, "has_credit" if credit else "references"),
        ):
            call.book.relations[source["id"]].append(
                {
                    "id": call.ids.new("rel"),
                    "source_id": source["id"],
                    "source_type": source_kind.name,
                    "target_id": target["id"],
                    "target_type": target_kind.name,
                    "relation_type": relation_type,
                }
            )


def _unrelate(call: Call, identifier: str) -> None:
    """Takes back the links that this document's own request made; links that others made to it stay."""
    for other in call.book.bodies[identifier].get("linked_documents") or ():
        for one, two in ((identifier, other), (other, identifier)):
            relations = call.book.relations[one]
            relations[:] = [relation for relation in relations if relation["target_id"] != two]


def _list(kind: Kind, call: Call) -> Record:
    return list_records(call, kind.shelf(call.book).values(), kind.schema, partial(show_document, call.book))


def _get(kind: Kind, call: Call) -> Record:
    return show_document(call.book, take(kind.shelf(call.book), call.id, kind.title))


def _update(kind: Kind, call: Call) -> Record:
    """Changes a document, issued ones too: the real API accepts that, and a change by hand must be possible to make."""
    document = take(kind.shelf(call.book), call.id, kind.title)
    if document["voided_at"]:
        raise Problem(409, "A voided document cannot be changed")
    if not document["is_draft"] and is_portuguese(call.book.entity):
        raise Problem(422, "Issued documents cannot be changed in Portugal")
    body = call.book.bodies[call.id] | {key: value for key, value in call.body.items() if key not in _NOT_KEPT}
    if "items" in call.body:
        body.pop("expected_total_with_tax", None)
    parties_change = document["is_draft"] or not _PARTIES.isdisjoint(call.body)
    composed = compose(call, kind, body, None if parties_change else document)
    if composed["total_with_tax"] < document["total_paid"]:
        raise invalid(["items"], f"Less than the {document['total_paid']} already paid")
    if not document["is_draft"] and composed["date_year"] != document["date_year"]:
        raise invalid(["date"], "The number belongs to another year")
    if call.body.get("linked_documents") is not None:
        linked = _linked(call, kind, composed, call.body["linked_documents"])
        _unrelate(call, call.id)
        _relate(call, kind, document, linked)
    call.book.bodies[call.id] = body
    document.update(composed if document["is_draft"] else composed | _kept_snapshots(call, document))
    settle(document, call.book.payments_of[call.id])
    call.touch(document)
    shown = show_document(call.book, document)
    call.tell(kind.name, shown, "updated", event="invoice.updated" if kind is INVOICE else None)
    return shown


def _kept_snapshots(call: Call, document: Record) -> Record:
    """Parties are frozen when a document is issued: later changes of the entity or customer do not reach it."""
    causes = {"issuer": {"issuer"}, "customer": _PARTIES}
    return {name: document[name] for name, fields in causes.items() if not fields & call.body.keys()}


def _void(kind: Kind, call: Call) -> Record:
    document = take(kind.shelf(call.book), call.id, kind.title)
    if document["is_draft"] or document["voided_at"]:
        raise Problem(409, "Only an issued document that is not voided can be voided")
    if document["total_paid"]:
        raise Problem(422, "The document has payments: correct it with a credit note")
    if kind is INVOICE:
        _cancel(call, document)
    document["voided_at"] = timestamp(call.now)
    call.touch(document)
    shown = show_document(call.book, document)
    call.tell(kind.name, shown, "voided", event=f"{kind.name}.voided")
    return shown


def _cancel(call: Call, invoice: Record) -> None:
    """Credits a whole invoice, as voiding one is believed to do."""
    body = {key: value for key, value in call.book.bodies[invoice["id"]].items() if key not in _NOT_CREDITED}
    body |= {"date": call.today.isoformat(), "note": call.body.get("reason"), "reference": invoice["number"], "metadata": {}}
    inner = call.with_body(body)
    note = _store(inner, CREDIT_NOTE, compose(inner, CREDIT_NOTE, body, invoice), [(INVOICE, invoice)])
    _number(inner, CREDIT_NOTE, note)
    call.tell(CREDIT_NOTE.name, show_document(call.book, note), "created", event="credit_note.created")
    call.emit(CREDIT_NOTE.issued_event, show_document(call.book, note))
    apply_credit(inner, invoice, note, f"Auto-applied credit note for voided invoice {invoice['number']}")


def _finalize(call: Call) -> Record:
    kind, document = _of_type(call)
    if not document["is_draft"]:
        raise Problem(409, "The document is already issued")
    _number(call, kind, document)
    call.log(call.book, kind.name, call.id, "updated")
    _announce_issue(call, kind, document)
    return show_document(call.book, document)


def _delete(call: Call) -> None:
    kind, document = _of_type(call)
    if not document["is_draft"]:
        raise Problem(409, "Only drafts can be deleted")
    shown = show_document(call.book, document)
    _unrelate(call, call.id)
    del kind.shelf(call.book)[call.id]
    del call.book.bodies[call.id]
    call.tell(kind.name, shown, "deleted", event=f"{kind.name}.deleted")


def _of_type(call: Call) -> tuple[Kind, Record]:
    kind, document = find_document(call.book, call.id)
    if kind.name != call.query["type"]:
        raise not_found("Document of this type")
    return kind, document


def _pdf(call: Call) -> bytes:
    _, document = find_document(call.book, call.id)
    payments = [payment for payment in call.book.payments_of[call.id] if not payment["deleted_at"]]
    locale = call.query["locale"] or call.query["language"] or call.book.entity["locale"] or "en"
    return call.render(show_document(call.book, document), payments, {"locale": locale})


def _for_kind(kind: Kind, plural: str) -> dict[str, Handler]:
    operations: dict[str, Callable[[Kind, Call], Record]] = {
        f"create{kind.schema}": _create,
        f"get{plural}": _list,
        f"get{kind.schema}": _get,
        f"update{kind.schema}": _update,
        f"void{kind.schema}": _void,
    }
    return {name: partial(operation, kind) for name, operation in operations.items()}


HANDLERS: dict[str, Handler] = {
    **_for_kind(INVOICE, "Invoices"),
    **_for_kind(CREDIT_NOTE, "CreditNotes"),
    "finalizeDocument": _finalize,
    "deleteDocument": _delete,
    "renderPdf": _pdf,
}
