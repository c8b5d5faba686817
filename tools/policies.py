"""What a policy would change: the facts that are known, documented from scratch under two policies, and compared.

Nothing here writes, and nothing that was issued is judged: both sides are what the plan would ask for if it saw all the facts
of a payment at once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from quittance.customers import EntityTax
from quittance.documents import Document, DocumentKind, DocumentState, RecordedDocument, TaxEvidence
from quittance.money import DOCUMENT_DECIMALS
from quittance.plan import Case, plan
from quittance.policy import policy_from_json
from quittance.providers import platform
from quittance.providers.payload import utc_instant
from quittance.tax import totals_by_tax

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quittance.customers import BusinessCustomer
    from quittance.ledger import CaseFile
    from quittance.policy import Policy

_PRINTED = {DocumentKind.INVOICE: 1, DocumentKind.CREDIT_NOTE: -1}
_MOST_ROUNDS = 100
_SUPPOSED = TaxEvidence(is_valid=True, checked_at="", transaction_type="")
"""What a tax number that was never checked is supposed to be: a dry run asks nobody."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Net and tax of some documents in major units, credit notes counted against invoices."""

    net: Decimal = Decimal(0)
    tax: Decimal = Decimal(0)

    def __add__(self, other: Figures) -> Figures:
        return Figures(self.net + other.net, self.tax + other.tax)

    def __sub__(self, other: Figures) -> Figures:
        return Figures(self.net - other.net, self.tax - other.tax)


@dataclass(frozen=True, slots=True)
class Change:
    """One payment whose documents would differ. Amounts are in each document's own currency."""

    business_customer: str
    payment_id: str
    now: tuple[Document, ...]
    proposed: tuple[Document, ...]


def proposed_policy(data: object, since: str) -> Policy:
    """The policy of a file as it would count from `since` on, a day or an RFC 3339 instant.

    It is read as an event that brings it would be. Raises `Reject` as that does, and `ValueError` for a moment that is none.
    """
    start = utc_instant(since if "T" in since else f"{since}T00:00:00Z")
    registration = {"business_customer": "any", "name": "any", "country": "XX", "policy": data}
    event = {"specversion": "1.0", "id": "any", "source": "any", "type": "business_customer.created", "time": start}
    (fact,) = platform.translate(json.dumps(event | {"data": registration}).encode(), "default", {}).facts
    return policy_from_json((fact.registration or {})["policy"] | {"effective_from": start})


def under(customer: BusinessCustomer, proposed: Policy) -> BusinessCustomer:
    """The customer as if it had the proposed policy from its start on, with every tax that it names."""
    earlier = tuple(policy for policy in customer.policies if policy.effective_from < proposed.effective_from)
    taxes = dict(customer.taxes)
    for name, rate in (proposed.tax.named_rates() if proposed.tax else {}).items():
        if rate.percent:
            taxes.setdefault(name, EntityTax(tax_id=f"new {name}", percent=rate.percent))
    return replace(customer, policies=(*earlier, proposed), taxes=taxes)


def change_of(case: CaseFile, customer: BusinessCustomer, proposed: Policy, fee_issuer: BusinessCustomer | None) -> Change | None:
    """What would differ for one payment; None where nothing would, or where nothing happened since the policy's start."""
    if all(fact.latest_at < proposed.effective_from for fact in case.facts.values()):
        return None
    now, then = (from_scratch(case, one, fee_issuer) for one in (customer, under(customer, proposed)))
    if [_substance(one) for one in now] == [_substance(one) for one in then]:
        return None
    return Change(customer.id, case.id, now, then)


def from_scratch(case: CaseFile, customer: BusinessCustomer, fee_issuer: BusinessCustomer | None) -> tuple[Document, ...]:
    """Every document that the facts of a case call for, as if none had been issued yet."""
    known = Case(facts=tuple(case.facts.values()), evidence=dict(case.evidence))
    for _ in range(_MOST_ROUNDS):
        planned = plan(known, customer, fee_issuer)
        supposed = {check.key: _SUPPOSED for check in planned.checks}
        if not planned.documents and not supposed:
            break
        issued = tuple(RecordedDocument(document=one, state=DocumentState.ISSUED, api_id=one.key) for one in planned.documents)
        known = replace(known, documents=known.documents + issued, evidence={**known.evidence, **supposed})
    return tuple(recorded.document for recorded in known.documents if recorded.document.kind in _PRINTED)


def figures(documents: Iterable[Document]) -> dict[str, Figures]:
    """Currency -> what the documents come to."""
    totals: dict[str, Figures] = defaultdict(Figures)
    for document in documents:
        sign = _PRINTED[document.kind]
        for total in totals_by_tax(document).values():
            parts = (Decimal(sign * part).scaleb(-DOCUMENT_DECIMALS) for part in (total.net, total.tax))
            totals[document.amount.currency] += Figures(*parts)
    return dict(totals)


def _substance(document: Document) -> tuple[object, ...]:
    """What somebody who reads a document would notice."""
    lines = tuple((line.name, line.amount, line.tax.percent if line.tax else "") for line in document.lines)
    return document.kind, document.issuer, document.amount, document.date, document.date_due, document.draft, lines
