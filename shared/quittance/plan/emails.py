"""E-mails: a final document goes to its payer once, if its policy says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.documents import Document, DocumentKind

if TYPE_CHECKING:
    from quittance.plan.sheet import Sheet

_SENT = (DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE)


def send_documents(sheet: Sheet) -> None:
    """One e-mail for each final invoice and credit note whose payer has an address. Nothing is sent again, whatever happens."""
    for document in list(sheet.documents):
        has_address = document.payer is not None and document.payer.email
        if document.kind in _SENT and has_address and sheet.policy_of(document).send_email and sheet.is_final(document):
            _send(sheet, document)


def _send(sheet: Sheet, document: Document) -> None:
    key = f"{DocumentKind.EMAIL}:{document.key}"
    if any(known.document.key == key for known in sheet.case.documents):
        return
    sheet.add(
        Document(
            key=key,
            kind=DocumentKind.EMAIL,
            subject=document.subject,
            amount=document.amount,
            date=document.date,
            fact=document.fact,
            reason="document sent to its payer",
            payment_id=document.payment_id,
            refers_to=document.key,
            payer=document.payer,
            issuer=document.issuer,
        ),
        sheet.policy_of(document),
    )
