"""What operators are answered. The fields and their descriptions are the OpenAPI document's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform

from quittance.ledger import case_names
from quittance.operations.findings import class_of, payment_of, severity_of
from quittance.operations.pages import opaque
from quittance.reconciliation.results import RepairMode, Severity
from quittance.storage import Keys

if TYPE_CHECKING:
    from quittance import acknowledgements
    from quittance.storage import Item


Kind = TypeVar("Kind")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def answer(kind: type[Kind]) -> type[Kind]:
    """A dataclass whose fields are described by the text below them, to people and in the OpenAPI document."""
    kind.__pydantic_config__ = {"use_attribute_docstrings": True}  # type: ignore[attr-defined]
    return dataclass(frozen=True, slots=True, kw_only=True)(kind)


@answer
class Amount:
    """Money in minor units of its ISO 4217 currency."""

    value: int
    currency: str


@answer
class Explanations:
    """One for each payment that the id leads to, as `quittance explain --json` prints them."""

    explanations: list[dict[str, Any]]


@answer
class WaitingPayment:
    """A payment in which something waits."""

    provider: str
    account: str
    payment_id: str
    business_customer: str | None
    waiting: list[str]
    """What waits, and for what."""


@answer
class WaitingPayments:
    """A page of them."""

    payments: list[WaitingPayment]
    next: str | None
    """The cursor of the next page; null at the end."""


def waiting_payment(head: Item) -> WaitingPayment:
    provider, account, payment_id = case_names(head["pk"])
    return WaitingPayment(
        provider=provider,
        account=account,
        payment_id=payment_id,
        business_customer=head["business_customer"],
        waiting=list(head["waiting"]),
    )


@answer
class Document:
    """A document, and the payment whose explanation says why it was issued."""

    id: str
    number: str
    kind: str
    state: str
    amount: Amount
    date: str
    business_customer: str
    provider: str
    account: str
    payment_id: str


@answer
class Acknowledgement:
    """Who acknowledged a finding, when, and why."""

    at: str
    by: str
    """The IAM principal, or the login name of somebody at a command line."""
    reason: str


@answer
class Finding:
    """Something that a person should know, as long as it stands."""

    id: str
    code: str
    """Its class; see docs/runbooks/findings.md."""
    subject: str
    severity: Severity
    repair: RepairMode
    proposal: str
    opened_at: str
    amount: Amount | None = None
    detail: str = ""
    business_customer: str = ""
    provider: str = ""
    account: str = ""
    payment_id: str = ""
    document: str = ""
    number: str = ""
    acknowledged: Acknowledgement | None = None
    """Null while it is open. It is open again once it says something else, or comes back after it was gone."""


@answer
class Findings:
    """There may be fewer than asked for, or none, and still a next page."""

    findings: list[Finding]
    next: str | None


def finding(item: Item, business_customer: str, acknowledged: acknowledgements.Acknowledgement | None) -> Finding:
    payment = payment_of(item)
    amount = item.get("amount")
    return Finding(
        id=opaque(Keys(item["pk"], item["sk"])) or "",
        code=item["code"],
        subject=item["subject"],
        severity=severity_of(item),
        repair=RepairMode(item.get("repair") or class_of(item).repair),
        proposal=class_of(item).proposal,
        opened_at=rfc3339(item["opened_at"]),
        amount=Amount(value=amount["value"], currency=amount["currency"]) if amount else None,
        business_customer=business_customer,
        acknowledged=_acknowledgement(acknowledged) if acknowledged else None,
        **(payment._asdict() if payment else {}),
        **{name: item[name] for name in ("detail", "document", "number") if item.get(name)},
    )


def _acknowledgement(given: acknowledgements.Acknowledgement) -> Acknowledgement:
    return Acknowledgement(at=rfc3339(given.at), by=given.by, reason=given.reason)


@answer
class Queued:
    """Payments that are on their way through the pipeline again."""

    queued: int


@answer
class Letters:
    """Dead letters of one kind."""

    function: str
    cause: str
    """The code of the last failure; `unrecorded` where none could be written."""
    business_customer: str
    """Empty where it cannot be told."""
    letters: int


@answer
class QueueOfLetters:
    """The dead letters of one function."""

    function: str
    letters: int
    """Roughly, those behind another one of the same payment included."""


@answer
class DeadLetterOverview:
    """What lies on the queues of dead letters."""

    queues: list[QueueOfLetters]
    kinds: list[Letters]
    """The most frequent kinds first. Letters behind another one of the same payment are not counted here."""
    of_other_kinds: int
    """Letters of all kinds that the list has no place for."""


@answer
class Redriven:
    """What was sent again in this call."""

    letters: int
    came_back: int
    """Letters that were dead again before the call ended. They stay: their cause is still there."""
    complete: bool
    """Whether nothing is left; if not, ask again."""
    kinds: list[Letters]


@answer
class Reports:
    """The latest first."""

    reports: list[str]
    next: str | None


@answer
class ReportFile:
    """One file of a report."""

    name: str
    bytes: int
    url: str
    """Good for five minutes, for whoever has it."""


@answer
class Report:
    """A reconciliation's report."""

    id: str
    files: list[ReportFile]


@answer
class AuditEntry:
    """One call that changed or printed something."""

    at: str
    by: str
    """The IAM principal."""
    request_id: str
    action: str
    asked: dict[str, Any]
    outcome: str
    """`begun`, `done`, `refused` or `failed`."""
    came_of_it: dict[str, Any]
    ended_at: str | None


@answer
class AuditEntries:
    """The latest first."""

    entries: list[AuditEntry]
    next: str | None


def audit_entry(item: Item) -> AuditEntry:
    kept = {name: item[name] for name in ("at", "by", "request_id", "action", "asked", "outcome")}
    return AuditEntry(**kept, came_of_it=item.get("came_of_it", {}), ended_at=item.get("ended_at"))


def rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
