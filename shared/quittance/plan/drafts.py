"""Drafts: they become final when their money is settled, or by hand; one whose payment never came is removed.

A draft has no number and takes no payment. It is the only thing that is ever deleted, because it was never issued.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from quittance.documents import DocumentKind

if TYPE_CHECKING:
    from quittance.documents import Document
    from quittance.facts import Fact
    from quittance.plan.sheet import Payment, Sheet


def settle_drafts(sheet: Sheet, payment: Payment) -> None:
    """Make the drafts of a payment final once their policy says so; remove the draft of an authorization that expired."""
    for draft in _open_drafts(sheet, payment):
        if payment.expiry and not payment.captures:
            _change(sheet, draft, DocumentKind.DRAFT_REMOVAL, payment.expiry, "authorization expired: draft removed")
        elif sheet.policy_of(draft).finalize_on == "manual":
            sheet.waits_for(draft, "finalization by hand")
        elif settled := next(iter(payment.settlements), None):
            _change(sheet, draft, DocumentKind.FINALIZATION, settled, "payment settled: draft made final")
        else:
            sheet.waits_for(draft, "settlement")


def _open_drafts(sheet: Sheet, payment: Payment) -> list[Document]:
    subjects = {f"payment:{payment.id}", *(f"capture:{capture.key}" for capture in payment.captures)}
    if payment.renewal:
        subjects.add(f"renewal:{payment.renewal.key}")
    return [
        known
        for known in sheet.documents
        if known.kind is DocumentKind.INVOICE and known.subject in subjects and not sheet.is_final(known)
    ]


def _change(sheet: Sheet, draft: Document, kind: DocumentKind, fact: Fact, reason: str) -> None:
    date = sheet.customer.local_date(fact.latest_at).isoformat()
    sheet.add(replace(draft.step(kind, reason), fact=fact.identity, date=date), sheet.policy_of(draft))
