"""Documents as intended, and as the ledger knows them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from quittance.facts import Item, Payer
from quittance.money import Money

if TYPE_CHECKING:
    from collections.abc import Mapping


class DocumentKind(StrEnum):
    """What is asked of the invoicing API, one request each."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    PAYMENT = "payment"
    PAYMENT_REMOVAL = "payment_removal"


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
    lines: tuple[Item, ...] = ()
    payer: Payer | None = None
    date_due: str | None = None
    date_service: str | None = None
    date_service_to: str | None = None
    payments: tuple[PaymentRecord, ...] = ()
    subscription_id: str | None = None
    order_id: str | None = None
    policy: int = 1

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value not in (None, "", ())}


def document_from_json(data: Mapping[str, Any]) -> Document:
    """The inverse of `Document.to_json`."""
    values = dict(data)
    values["kind"] = DocumentKind(values["kind"])
    values["amount"] = Money(**values["amount"])
    values["lines"] = tuple(Item(**line) for line in values.get("lines", ()))
    values["payments"] = tuple(PaymentRecord(**payment) for payment in values.get("payments", ()))
    if "payer" in values:
        values["payer"] = Payer(**values["payer"])
    return Document(**values)


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

    @property
    def stands(self) -> bool:
        """Whether the document exists or is about to."""
        return self.state is not DocumentState.REFUSED
