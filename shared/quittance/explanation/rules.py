"""Which policy a document followed, and which of its settings decided what it is."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from quittance.documents import DocumentKind
from quittance.facts import FactType
from quittance.money import DOCUMENT_DECIMALS
from quittance.tax import TaxTotal, totals_by_tax

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from quittance.customers import BusinessCustomer
    from quittance.documents import Document
    from quittance.policy import Policy, TaxPolicy

_TAX_SETTINGS = {
    "domestic": ("domestic",),
    "intra_eu_b2b": ("eu_business",),
    "intra_eu_b2c": ("eu_consumer",),
    "3w_b2b": ("outside_eu",),
    "3w_b2c": ("outside_eu",),
    "": ("registry_down",),
}
"""The invoicing API's name of a sale -> what of a tax policy speaks of it; empty: nobody could say which it was."""
_OF_FEES = frozenset({"fee", "return_fee", "fees", "fees_returned"})
_BEFORE_MONEY = (FactType.PAYMENT_AUTHORIZED, FactType.SUBSCRIPTION_RENEWED)


def rule_of(document: Document, customer: BusinessCustomer | None) -> dict[str, Any]:
    """The policy a document was planned under, with the settings that speak of such a document, as JSON."""
    known = customer.policies if customer else ()
    policy = next((one for one in known if one.version == document.policy), None)
    return {
        "policy": document.policy,
        "effective_from": (policy.effective_from or None) if policy else None,
        "settings": {name: _setting(policy, name) for name in _deciding(document)} if policy else {},
        "superseded_by": [one.version for one in _later(known, policy)] if policy else [],
    }


def tax_of(document: Document, customer: BusinessCustomer | None) -> dict[str, Any] | None:
    """How a document is taxed and why, as JSON; None for what is not printed."""
    if not document.lines:
        return None
    evidence = document.tax_evidence
    policy = next((one for one in (customer.policies if customer else ()) if one.version == document.policy), None)
    return {
        "treatment": document.transaction_type or None,
        "settings": dict(_tax_settings(document, policy.tax)) if policy and policy.tax and not document.issuer else {},
        "rates": [_rate(tax.percent if tax else None, total) for tax, total in totals_by_tax(document).items()],
        "clause": document.tax_clause or None,
        "registry": {"valid": evidence.is_valid, "checked_at": evidence.checked_at, "request_id": evidence.request_id or None}
        if evidence
        else None,
    }


def _later(known: Iterable[Policy], policy: Policy) -> Iterator[Policy]:
    return (one for one in known if (one.effective_from, one.version) > (policy.effective_from, policy.version))


def _setting(policy: Policy, name: str) -> str | int | bool:
    value: str | int | bool = getattr(policy, name)
    return value


def _deciding(document: Document) -> Iterator[str]:
    """The names of the settings that decided that there is such a document, and what it is."""
    match document.kind:
        case DocumentKind.EMAIL:
            yield "send_email"
        case DocumentKind.FINALIZATION | DocumentKind.DRAFT_REMOVAL:
            yield from ("issue_as", "finalize_on")
        case DocumentKind.INVOICE | DocumentKind.CREDIT_NOTE:
            yield from _deciding_printed(document)


def _deciding_printed(document: Document) -> Iterator[str]:
    kind = document.subject.partition(":")[0]
    if kind in _OF_FEES:
        yield from ("invoices", "fee_invoices")
    elif kind == "dispute":
        yield "dispute_credit_on"
    elif not document.refers_to:
        yield from ("invoices", "issue_on", "issue_as", "prices")
        if document.fact.startswith(_BEFORE_MONEY):
            yield "due_days"


def _tax_settings(document: Document, tax: TaxPolicy) -> Iterator[tuple[str, str | dict[str, str]]]:
    for name in _TAX_SETTINGS.get(document.transaction_type, ()):
        value = getattr(tax, name)
        yield name, value if isinstance(value, str) else {one: rate.tax_id or rate.percent for one, rate in value.items()}


def _rate(percent: str | None, total: TaxTotal) -> dict[str, Any]:
    """What a document holds at one rate, in major units of its currency."""
    net, tax = (str(Decimal(one).scaleb(-DOCUMENT_DECIMALS)) for one in (total.net, total.tax))
    return {"percent": percent, "net": net, "tax": tax}
