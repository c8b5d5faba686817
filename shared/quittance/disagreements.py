"""What no longer agrees between the ledger and a document that somebody changed by hand. Pure; nothing is put right here.

The rule never compares moments of two clocks. What we print on a document we never change, so any state of it, however old,
may be held against it. Money is compared record by record: our own are known by their reference, and their intention is in
the ledger before the API can have seen the request, so no observation can be too early or too late to be told apart.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from quittance.documents import DocumentKind
from quittance.money import Money
from quittance.observation import reference_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from quittance.documents import Document, RecordedDocument


class Disagreement(NamedTuple):
    """A finding: its code, the key of the document it is about, and the amount to look for."""

    code: str
    subject: str
    amount: Money


def disagreements(documents: Sequence[RecordedDocument]) -> Iterator[Disagreement]:
    """Everything in which the documents recorded for one payment differ from what was last seen of them.

    `document_deleted`, `document_voided`, `document_edited` (the amount is the total that was seen), `document_paid_by_hand`
    and `payment_removed_by_hand` (the amount is what is recorded on it too much, or too little). A draft that became final is
    none of them.
    """
    for recorded in documents:
        seen = recorded.observed.document if recorded.observed else None
        subject, amount = recorded.document.key, recorded.document.amount
        if seen and seen.is_deleted:
            if not _is_referred_to(recorded, documents, DocumentKind.DRAFT_REMOVAL):
                yield Disagreement("document_deleted", subject, amount)
        elif seen and seen.is_voided:
            yield Disagreement("document_voided", subject, amount)
        elif recorded.observed:
            # What already differed in the API's answer to our own request is a finding of its own.
            if seen and not recorded.error and seen.total != amount:
                yield Disagreement("document_edited", subject, seen.total)
            yield from _of_money(recorded, documents)


def is_finalized_by_us(recorded: RecordedDocument, documents: Sequence[RecordedDocument]) -> bool:
    """Whether we made this draft final, or are about to."""
    return _is_referred_to(recorded, documents, DocumentKind.FINALIZATION)


def _is_referred_to(recorded: RecordedDocument, documents: Sequence[RecordedDocument], kind: DocumentKind) -> bool:
    own = (known.document for known in documents if known.stands)
    return any(one.kind is kind and one.refers_to == recorded.document.key for one in own)


def _of_money(recorded: RecordedDocument, documents: Sequence[RecordedDocument]) -> Iterator[Disagreement]:
    by_hand = _recorded_by_hand(recorded, documents)
    currency = recorded.document.amount.currency
    if by_hand > 0:
        yield Disagreement("document_paid_by_hand", recorded.document.key, Money(by_hand, currency))
    if by_hand < 0:
        yield Disagreement("payment_removed_by_hand", recorded.document.key, Money(-by_hand, currency))


def _recorded_by_hand(recorded: RecordedDocument, documents: Sequence[RecordedDocument]) -> int:
    """Minor units that people recorded on the document, less those of ours that they removed.

    A record that was never seen says nothing: deliveries get lost, and the unremarkable ones are not kept.
    """
    added, removed = _own_records(recorded, documents)
    live: Counter[str] = Counter()
    deleted: Counter[str] = Counter()
    for seen in recorded.observed.payments if recorded.observed else ():
        is_ours = seen.reference in added
        if seen.amount.currency == recorded.document.amount.currency and (is_ours or not seen.is_application):
            (deleted if seen.is_deleted else live)[seen.reference] += seen.amount.value
    by_hand = 0
    for reference in {*live, *deleted}:
        ours = added[reference] - removed[reference]
        seen_to_go = max(0, deleted[reference] - removed[reference])
        by_hand += max(live[reference] - ours, -seen_to_go)
    return by_hand


def _own_records(recorded: RecordedDocument, documents: Sequence[RecordedDocument]) -> tuple[Counter[str], Counter[str]]:
    """What we recorded on the document, with it and later, and what of that we removed, by digest of the reference."""
    added: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    for payment in recorded.document.payments:
        added[reference_digest(payment.reference)] += payment.amount
    for later in (known.document for known in documents if known.stands):
        if later.refers_to != recorded.document.key:
            continue
        if later.kind is DocumentKind.PAYMENT:
            added[reference_digest(later.payments[0].reference)] += later.payments[0].amount
        if later.kind is DocumentKind.PAYMENT_REMOVAL:
            removed[reference_digest(later.payment_id)] += later.amount.value
    for application in _applications(recorded, documents):
        added[reference_digest(application.key)] += application.amount.value
    return added, removed


def _applications(recorded: RecordedDocument, documents: Sequence[RecordedDocument]) -> Iterator[Document]:
    """Credits that were set against the document, or of it against its invoice: one record counts on both."""
    refers_to = {known.document.key: known.document.refers_to for known in documents}
    for known in documents:
        applied = known.document
        if not known.stands or applied.kind is not DocumentKind.CREDIT_APPLICATION:
            continue
        if recorded.document.key in {applied.refers_to, refers_to[applied.refers_to]}:
            yield applied
