"""E-mails: a final document goes to its payer once, if its policy says so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from quittance.documents import DocumentKind

if TYPE_CHECKING:
    from quittance.documents import Document
    from quittance.plan.sheet import Sheet

_SENT = (DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE)


def send_documents(sheet: Sheet) -> None:
    """One e-mail for each final invoice and credit note whose payer has an address. Nothing is sent again, whatever happens."""
    for document in list(sheet.documents):
        has_address = document.payer is not None and document.payer.email
        if document.kind in _SENT and has_address and sheet.policy_of(document).send_email and sheet.is_final(document):
            _send(sheet, document)


def _send(sheet: Sheet, document: Document) -> None:
    email = replace(document.step(DocumentKind.EMAIL, "document sent to its payer"), payer=document.payer)
    if not any(known.document.key == email.key for known in sheet.case.documents):
        sheet.add(email, sheet.policy_of(document))
