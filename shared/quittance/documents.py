"""Documents as intended, and as the ledger knows them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from quittance.facts import Payer, filled_fields
from quittance.money import Money

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quittance.observation import Observation


class DocumentKind(StrEnum):
    """What is asked of the invoicing API, one request each."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    PAYMENT = "payment"
    PAYMENT_REMOVAL = "payment_removal"
    CREDIT_APPLICATION = "credit_application"
    FINALIZATION = "finalization"
    DRAFT_REMOVAL = "draft_removal"
    EMAIL = "email"


class DocumentState(StrEnum):
    """How far a document has come. It only ever moves forward: intended -> issued, or intended -> refused."""

    INTENDED = "intended"
    ISSUED = "issued"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRecord:
    """Money recorded on a document: received on an invoice, paid out on a credit note."""

    reference: str
    """The provider's id of the payment, refund or dispute that moved the money."""
    amount: int
    """Minor units of the document's currency."""
    method: str | None
    date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tax:
    """What is charged on a line: a tax of the entity that issues the document."""

    percent: str
    """A decimal such as `9.5`."""
    tax_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One printed line. `amount` is its total in minor units: with its tax, unless the document's prices are exclusive."""

    name: str
    quantity: int
    amount: int
    tax: Tax | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxEvidence:
    """What the registry of tax numbers said about a buyer, through the invoicing API."""

    is_valid: bool | None
    """None: it did not answer."""
    checked_at: str
    """RFC 3339 in UTC."""
    request_id: str = ""
    """The invoicing API's id of the check."""
    transaction_type: str = ""
    """The API's own name for the sale: domestic, intra_eu_b2b, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document as `plan` intends it. Everything printed on it is fixed here, once."""

    key: str
    """Stable name of the document within its payment; also the last guard against issuing it twice."""
    kind: DocumentKind
    subject: str
    """What it is about, `kind:id`: payment:pay_1, capture:cap_1, renewal:in_1, refund:re_1, dispute:dp_1."""
    amount: Money
    date: str
    """YYYY-MM-DD in the business customer's time zone."""
    fact: str
    """Identity of the fact that called for it."""
    reason: str
    payment_id: str
    refers_to: str = ""
    """Key of the document it credits, corrects, pays or unpays."""
    lines: tuple[Line, ...] = ()
    payer: Payer | None = None
    date_due: str | None = None
    date_service: str | None = None
    date_service_to: str | None = None
    payments: tuple[PaymentRecord, ...] = ()
    subscription_id: str | None = None
    order_id: str | None = None
    policy: int = 1
    """Version of the policy it was planned under."""
    issuer: str = ""
    """`platform`: the platform's own entity issues it. Empty: the business customer's."""
    draft: bool = False
    """It is created as a draft; a finalization makes it final."""
    prices_exclude_tax: bool = False
    transaction_type: str = ""
    """The API's name for the sale by where buyer and seller are; empty while no tax is configured."""
    tax_clause: str = ""
    tax_evidence: TaxEvidence | None = None

    def step(self, kind: DocumentKind, reason: str) -> Document:
        """What is done with this document once, after it was issued: of its amount and day, and named by its key."""
        return Document(
            key=f"{kind}:{self.key}",
            kind=kind,
            subject=self.subject,
            amount=self.amount,
            date=self.date,
            fact=self.fact,
            reason=reason,
            payment_id=self.payment_id,
            refers_to=self.key,
            issuer=self.issuer,
        )

    def to_json(self) -> dict[str, Any]:
        said = filled_fields(self)
        return {name: value for name, value in said.items() if value is not False}


def document_from_json(data: Mapping[str, Any]) -> Document:
    """The inverse of `Document.to_json`."""
    values = dict(data)
    values["kind"] = DocumentKind(values["kind"])
    values["amount"] = Money(**values["amount"])
    values["lines"] = tuple(_line(line) for line in values.get("lines", ()))
    values["payments"] = tuple(PaymentRecord(**payment) for payment in values.get("payments", ()))
    if "payer" in values:
        values["payer"] = Payer(**values["payer"])
    if "tax_evidence" in values:
        values["tax_evidence"] = TaxEvidence(**values["tax_evidence"])
    return Document(**values)


def _line(data: Mapping[str, Any]) -> Line:
    tax = data.get("tax")
    return Line(**(dict(data) | {"tax": Tax(**tax) if tax else None}))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDocument:
    """A document in the ledger: the intention with the request that carries it out, and what came of it."""

    document: Document
    state: DocumentState
    api_id: str = ""
    """The document's id in the invoicing API; empty until issued, and for what the API gives no id."""
    number: str = ""
    """The number printed on it."""
    error: str = ""
    """Why the API refused it."""
    observed: Observation | None = None
    """What the API showed of it since; None as long as that was nothing but our own doing."""

    @property
    def stands(self) -> bool:
        """Whether the document exists or is about to."""
        return self.state is not DocumentState.REFUSED

    @property
    def is_gone(self) -> bool:
        """Whether somebody voided or deleted it by hand: nothing more can refer to it."""
        return self.observed is not None and self.observed.is_gone

    @property
    def was_finalized_by_hand(self) -> bool:
        """Whether somebody made this draft final."""
        return self.document.draft and self.observed is not None and self.observed.is_draft is False

    @property
    def printed_number(self) -> str:
        """The number on the document, also of a draft that somebody else made final."""
        return self.number or (self.observed.number if self.observed else "")
