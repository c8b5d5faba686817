"""The kinds of document the sandbox has, as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tools.sandbox.books import Book, Shelf
from tools.sandbox.wire import Record, not_found


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of document. `issued_event` is the webhook event of getting a number."""

    name: str
    title: str
    prefix: str
    schema: str
    issued_event: str
    plural: str

    @property
    def reference(self) -> str:
        """The field of a payment that names a document of this kind."""
        return f"{self.name}_id"

    def shelf(self, book: Book) -> Shelf:
        """Where a book keeps documents of this kind."""
        return book.invoices if self is INVOICE else book.credit_notes


INVOICE = Kind("invoice", "Invoice", "inv", "Invoice", "invoice.finalized", "invoices")
CREDIT_NOTE = Kind("credit_note", "Credit note", "cre", "CreditNote", "credit_note.issued", "credit-notes")
KINDS = (INVOICE, CREDIT_NOTE)


def find_document(book: Book, identifier: str) -> tuple[Kind, Record]:
    """A document of any kind by identifier. Raises `Problem` 404."""
    for kind in KINDS:
        if identifier in kind.shelf(book):
            return kind, kind.shelf(book)[identifier]
    raise not_found("Document")


def show_document(book: Book, document: Record) -> Record:
    """A document as the API returns it, with its relations to others."""
    return {**document, "document_relations": list(_relations(book, document["id"]))}


def _relations(book: Book, identifier: str) -> Iterator[Record]:
    for relation in book.relations[identifier]:
        kind, related = find_document(book, relation["target_id"])
        yield relation | {"related_document": {"id": related["id"], "type": kind.name, "number": related["number"]}}
