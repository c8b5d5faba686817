"""Reconciliation: what the plan says should exist against what the invoicing API really holds, in both directions.

Pure comparison. Reading the ledger and the API is the caller's; nothing is repaired here. A repair is never an edit: it is the
normal pipeline run again (`converge`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from quittance.documents import DocumentKind, DocumentState
from quittance.fee_totals import FeeTotal, fee_totals
from quittance.plan import PLATFORM, plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from quittance.customers import BusinessCustomer
    from quittance.ledger import CaseFile, DocumentEntry

_PRINTED = frozenset({DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE})


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One thing that does not agree. `document` is the API's id, or the document's key where the API holds none."""

    code: str
    payment_id: str
    document: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One business customer, compared. `residual` is zero for every currency exactly when the totals agree as well."""

    business_customer: str
    documents_checked: int
    differences: tuple[Difference, ...]
    waiting: tuple[str, ...]
    invoiced: Mapping[str, Decimal]
    """Currency -> what the API's invoices less its credit notes add up to."""
    residual: Mapping[str, Decimal]
    """Currency -> that less what the ledger's documents add up to."""
    fees: tuple[FeeTotal, ...] = ()
    """Of each month and currency, the platform's fee documents against what payouts kept."""

    @property
    def agrees(self) -> bool:
        return not self.differences and not any(self.residual.values())


def compare(
    customer: BusinessCustomer,
    cases: Iterable[CaseFile],
    held: Iterable[Mapping[str, Any]],
    *,
    platform: BusinessCustomer | None = None,
    charged: Iterable[CaseFile] = (),
) -> Reconciliation:
    """Compare all of a customer's cases with all the invoices and credit notes its entity holds.

    `held` are the API's objects, each with its `DocumentKind` added under `kind`. `platform` issues the fee invoices of these
    cases; `charged` are the cases of other customers whose fees the entity of `customer` invoices, when it is the platform.

    Two errors that cancel each other out are two differences: documents are compared one by one, totals only in addition.
    """
    documents = [one for one in held if not one.get("deleted_at")]
    by_id = {str(one["id"]): one for one in documents}
    recorded: dict[str, tuple[CaseFile, DocumentEntry]] = {}
    differences: list[Difference] = []
    waiting: list[str] = []
    own = list(cases)
    for case in own:
        planned = plan(case.as_case(), customer, platform)
        waiting += [f"{item.fact} waits for {item.awaited}" for item in planned.waiting]
        differences += [Difference("not_issued", d.payment_id, d.key, d.reason) for d in planned.documents]
        recorded |= _printed_by(case, "")
    for case in charged:
        recorded |= _printed_by(case, PLATFORM)
    for case, entry in recorded.values():
        differences += _against_the_api(case, entry, by_id)
    differences += _unexplained(documents, recorded)
    invoiced, planned_totals = _totals_held(documents), _totals_recorded(recorded)
    currencies = sorted({*invoiced, *planned_totals})
    return Reconciliation(
        business_customer=customer.id,
        documents_checked=len(recorded),
        differences=tuple(sorted(differences)),
        waiting=tuple(sorted(waiting)),
        invoiced=invoiced,
        residual={c: invoiced.get(c, Decimal(0)) - planned_totals.get(c, Decimal(0)) for c in currencies},
        fees=tuple(fee_totals(customer, own)),
    )


def _printed_by(case: CaseFile, issuer: str) -> dict[str, tuple[CaseFile, DocumentEntry]]:
    """The invoices and credit notes of a case that one issuer's entity should hold, by the API's id or their key."""
    printed = (e for e in case.documents.values() if e.record.document.kind in _PRINTED and e.record.document.issuer == issuer)
    return {e.record.api_id or e.record.document.key: (case, e) for e in printed if not case.is_removed(e.record.document)}


def _against_the_api(case: CaseFile, entry: DocumentEntry, held: Mapping[str, Mapping[str, Any]]) -> list[Difference]:
    record, document = entry.record, entry.record.document
    if record.state is not DocumentState.ISSUED:
        return [Difference(f"document_{record.state}", document.payment_id, document.key, record.error)]
    one = held.get(record.api_id)
    if one is None:
        return [Difference("document_missing", document.payment_id, record.api_id, document.key)]
    expected = {
        "total_with_tax": document.amount.decimal,
        "currency_code": document.amount.currency,
        "number": record.printed_number or None,
        "is_draft": case.is_draft(record),
        "voided_at": None,
        "total_paid": case.recorded_on(document).decimal,
    }
    codes = {name: "voided_by_hand" if name == "voided_at" else f"{name}_differs" for name in expected}
    return [
        Difference(codes[name], document.payment_id, record.api_id, f"planned {value}, held {one.get(name)}")
        for name, value in expected.items()
        if one.get(name) != value
    ]


def _unexplained(documents: list[Mapping[str, Any]], recorded: Mapping[str, object]) -> list[Difference]:
    """Documents that no plan explains: issued twice, orphaned, or made by hand."""
    metadata = {str(one["id"]): one.get("metadata") or {} for one in documents}
    names = Counter(_name(own) for own in metadata.values() if own.get("document_key"))
    unexplained = []
    for document_id, own in metadata.items():
        if document_id not in recorded:
            code = "made_by_hand" if not own.get("document_key") else "duplicate" if names[_name(own)] > 1 else "orphan"
            unexplained.append(Difference(code, own.get("payment_id", ""), document_id, own.get("document_key", "")))
    return unexplained


def _name(metadata: Mapping[str, str]) -> tuple[str | None, ...]:
    return tuple(metadata.get(name) for name in ("provider", "payment_id", "document_key"))


def _totals_held(documents: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for one in documents:
        if not one.get("voided_at") and not one.get("is_draft"):
            sign = -1 if one["kind"] is DocumentKind.CREDIT_NOTE else 1
            totals[one["currency_code"]] += sign * Decimal(one["total_with_tax"])
    return dict(totals)


def _totals_recorded(recorded: Mapping[str, tuple[CaseFile, DocumentEntry]]) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for case, entry in recorded.values():
        if entry.record.state is DocumentState.ISSUED and not case.is_draft(entry.record):
            document = entry.record.document
            sign = -1 if document.kind is DocumentKind.CREDIT_NOTE else 1
            totals[document.amount.currency] += sign * document.amount.decimal
    return dict(totals)
