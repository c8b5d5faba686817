"""The sheet a plan is worked out on: the facts of one case, and its recorded documents with those planned so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from quittance.countries import iso_country
from quittance.customers import BusinessCustomer
from quittance.documents import Document, DocumentKind, Line, PaymentRecord, RecordedDocument, TaxEvidence
from quittance.facts import Fact, FactType, Item, Payer
from quittance.fees import FeeEntry
from quittance.money import Money, zero
from quittance.policy import Policy
from quittance.tax import NoRateError, Treatment, credit_lines, depends_on_registry, tax_of, treatment
from quittance.tax_numbers import tax_number_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PLATFORM = "platform"
"""`Document.issuer` of what the platform's own entity issues."""
_STAGES = ("authorized", "captured", "settled")
Stage = Literal["authorized", "captured", "settled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything the ledger knows about one payment: its facts and the documents recorded for it."""

    facts: tuple[Fact, ...]
    documents: tuple[RecordedDocument, ...] = ()
    evidence: Mapping[str, TaxEvidence] = field(default_factory=dict)
    """What the registry of tax numbers said, by `TaxCheck.key`."""
    fees: tuple[FeeEntry, ...] = ()
    """What was noted of its fees that are invoiced by the month."""


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    """A fact that calls for a document which cannot be issued yet, and what it waits for."""

    fact: str
    awaited: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a human should know. It stands as long as the plan still says it."""

    code: str
    subject: str
    amount: Money | None = None


@dataclass(frozen=True, slots=True)
class TaxCheck:
    """A question to the registry of tax numbers that must be answered before a document can be planned."""

    seller_country: str
    country: str
    tax_number: str
    waits: bool
    """The policy says to wait while the registry does not answer."""

    @property
    def key(self) -> str:
        return f"{self.seller_country}:{self.country}:{self.tax_number}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is missing: `documents` in the order in which they can be issued, what waits, and what a human should see."""

    documents: tuple[Document, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    findings: tuple[Finding, ...] = ()
    checks: tuple[TaxCheck, ...] = ()
    """What to ask before planning again: the documents that depend on it are not among `documents` yet."""
    fees: tuple[FeeEntry, ...] = ()
    """What to note of the fees that are invoiced by the month."""


@dataclass(frozen=True, slots=True)
class Payment:
    """Everything reported under one payment id."""

    id: str
    authorized: Fact | None
    succeeded: Fact | None
    captures: tuple[Fact, ...]
    failures: tuple[Fact, ...]
    settlements: tuple[Fact, ...]
    renewal: Fact | None
    """The renewal it pays."""

    @property
    def reported(self) -> Fact | None:
        """The report that describes the payment as a whole."""
        return self.succeeded or self.authorized

    @property
    def is_named(self) -> bool:
        """False while the provider only said that a billing invoice was paid, not by which payment."""
        return self.succeeded is None or self.succeeded.invoice_id != self.id

    @property
    def aliases(self) -> tuple[str, ...]:
        """Every id the provider gave this payment."""
        return self.reported.case_ids if self.reported else (self.id,)

    @property
    def evidence(self) -> Fact | None:
        """The fact that says the money arrived: the payment itself, or a renewal that names it as already paid."""
        if self.succeeded:
            return self.succeeded
        return self.renewal if self.renewal and self.renewal.payment_id == self.id else None

    @property
    def arrivals(self) -> tuple[Fact, ...]:
        """The facts that say money arrived; a success and captures never both count."""
        return self.captures or ((self.evidence,) if self.evidence else ())

    def reversal_of(self, arrived: Fact) -> Fact | None:
        """The failure that undid `arrived`. A failed attempt before the success, or of another charge, undid nothing."""
        for failure in self.failures:
            if failure.latest_at > arrived.latest_at and self._same_attempt(failure, arrived):
                return failure
        return None

    @staticmethod
    def _same_attempt(failure: Fact, arrived: Fact) -> bool:
        if failure.capture_id:
            return failure.capture_id == arrived.capture_id
        charges = [known for known in arrived.also_known_as if known != arrived.invoice_id]
        return not failure.occurrence or not charges or failure.occurrence in charges

    @property
    def expiry(self) -> Fact | None:
        """The failure after which nothing more of an authorization will be captured; None once the payment succeeded."""
        if self.succeeded or self.authorized is None:
            return None
        over = (f for f in self.failures if not f.capture_id and f.latest_at > self.authorized.latest_at)
        return next(over, None)

    def settlement_of(self, arrived: Fact) -> Fact | None:
        """The first payout that can hold this money."""
        return next((paid for paid in self.settlements if paid.occurred_at >= arrived.occurred_at), None)


@dataclass(slots=True)
class Sheet:
    """Each step of a plan sees here what the steps before it added."""

    case: Case
    customer: BusinessCustomer
    platform: BusinessCustomer | None = None
    planned: list[Document] = field(default_factory=list)
    waits: set[Waiting] = field(default_factory=set)
    faults: set[Finding] = field(default_factory=set)
    checks: set[TaxCheck] = field(default_factory=set)
    noted: list[FeeEntry] = field(default_factory=list)
    without_own_invoice: set[str] = field(default_factory=set)
    """Renewals that have no invoice of their own: of nothing, or whose money was already invoiced."""
    payments: list[Payment] = field(init=False)
    _documents: list[Document] = field(default_factory=list)
    _by_subject: dict[tuple[str, DocumentKind], Document] = field(default_factory=dict)
    _planned_then: int = -1
    """How many were planned when `documents` was worked out: it is asked for so often that this took a third of all time."""
    _facts: dict[tuple[FactType, ...], list[Fact]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.payments = self._payments()

    def plan(self) -> Plan:
        return Plan(
            tuple(self.planned),
            tuple(sorted(self.waits)),
            tuple(sorted(self.faults, key=repr)),
            tuple(sorted(self.checks, key=repr)),
            tuple(self.noted),
        )

    # facts

    def facts(self, *types: FactType) -> list[Fact]:
        if types not in self._facts:
            chosen = [fact for fact in self.case.facts if fact.type in types]
            chosen.sort(key=lambda fact: (fact.occurred_at, fact.amount.value if fact.amount else 0, fact.identity))
            self._facts[types] = chosen
        return self._facts[types]

    def _payments(self) -> list[Payment]:
        """Every payment of the case, in the order of its first fact."""
        renewals = self.facts(FactType.SUBSCRIPTION_RENEWED)
        authorized = {fact.payment_id or fact.key: fact for fact in self.facts(FactType.PAYMENT_AUTHORIZED)}
        succeeded = {fact.payment_id or fact.key: fact for fact in self.facts(FactType.PAYMENT_SUCCEEDED)}
        captured = self.facts(FactType.PAYMENT_CAPTURED)
        named = [r.payment_id for r in renewals if r.payment_id]
        ids = [*succeeded, *(f.payment_id or f.key for f in captured), *named, *authorized]
        return [
            Payment(
                id=payment_id,
                authorized=authorized.get(payment_id),
                succeeded=succeeded.get(payment_id),
                captures=tuple(fact for fact in captured if (fact.payment_id or fact.key) == payment_id),
                failures=tuple(f for f in self.facts(FactType.PAYMENT_FAILED) if f.payment_id == payment_id),
                settlements=tuple(f for f in self.facts(FactType.PAYMENT_SETTLED) if f.payment_id == payment_id),
                renewal=_renewal_of(payment_id, succeeded.get(payment_id) or authorized.get(payment_id), renewals),
            )
            for payment_id in dict.fromkeys(ids)
        ]

    def are_one_payment(self, one: str | None, other: str | None) -> bool:
        """Whether two ids name the same payment."""
        return one == other or any({one, other} <= {payment.id, *payment.aliases} for payment in self.payments)

    # rules

    def policy_at(self, fact: Fact) -> Policy:
        """The policy in force when a fact happened."""
        return self.customer.policy_at(fact.occurred_at)

    def policy_of(self, document: Document) -> Policy:
        """The policy that a document was planned under."""
        known = self.customer.policies
        return next((policy for policy in known if policy.version == document.policy), known[0])

    def calls_for_invoice(self, fact: Fact, stage: Stage) -> bool:
        """Whether the policy in force at the fact says that by this stage of a payment its invoice is to exist.

        Compared by stage, not for equality, so that a payment whose policy changes between two stages is never forgotten.
        """
        policy = self.policy_at(fact)
        return policy.invoices != "fee" and _STAGES.index(policy.issue_on) <= _STAGES.index(stage)

    # documents

    @property
    def documents(self) -> list[Document]:
        """What exists or is about to, drafts that were removed left out."""
        if self._planned_then != len(self.planned):
            self._work_out_documents()
        return self._documents

    def _work_out_documents(self) -> None:
        standing = [recorded.document for recorded in self.case.documents if recorded.stands] + self.planned
        removed = {known.refers_to for known in standing if known.kind is DocumentKind.DRAFT_REMOVAL}
        self._documents = [known for known in standing if known.key not in removed]
        self._by_subject = {(known.subject, known.kind): known for known in reversed(self._documents)}
        self._planned_then = len(self.planned)

    def find(self, subject: str, kind: DocumentKind = DocumentKind.INVOICE) -> Document | None:
        """The first document of its kind about something."""
        if self._planned_then != len(self.planned):
            self._work_out_documents()
        return self._by_subject.get((subject, kind))

    def referring_to(self, document: Document, kind: DocumentKind) -> list[Document]:
        return [known for known in self.documents if known.kind is kind and known.refers_to == document.key]

    def recorded(self, document: Document) -> RecordedDocument | None:
        return next((known for known in self.case.documents if known.document.key == document.key), None)

    def is_final(self, document: Document) -> bool:
        """Whether a document has, or is about to get, a number: by us, or by a person in Space Invoices."""
        if not document.draft or self.referring_to(document, DocumentKind.FINALIZATION):
            return True
        recorded = self.recorded(document)
        return recorded is not None and recorded.was_finalized_by_hand

    def total(self, kind: DocumentKind, subject: str, currency: str) -> Money:
        documents = (known for known in self.documents if known.kind is kind and known.subject == subject)
        return sum((known.amount for known in documents if known.amount.currency == currency), zero(currency))

    def credited(self, subject: str, currency: str) -> Money:
        """What stands credited under a subject: its credit notes less the corrective invoices that took them back."""
        credit_notes = self.total(DocumentKind.CREDIT_NOTE, subject, currency)
        return credit_notes - self.total(DocumentKind.INVOICE, subject, currency)

    def uncredited(self, invoice: Document) -> Money:
        """What an invoice still holds: nothing once a person voided or deleted it."""
        recorded = self.recorded(invoice)
        if recorded and recorded.is_gone:
            return zero(invoice.amount.currency)
        notes = self.referring_to(invoice, DocumentKind.CREDIT_NOTE)
        return invoice.amount - sum((known.amount for known in notes), zero(invoice.amount.currency))

    def belongs_to_renewal(self, payment: Payment) -> bool:
        """Whether the payment is recorded on the invoice of its renewal rather than on one of its own."""
        return payment.renewal is not None and payment.renewal.key not in self.without_own_invoice

    def awaits_renewal(self, payment: Payment) -> bool:
        """Whether the billing invoice it pays is one that a renewal reports, as far as any report of that invoice says."""
        unnamed = [other for other in self.payments if not other.is_named and other.id in payment.aliases]
        said = [one.reported.awaits_renewal for one in (payment, *unnamed) if one.reported]
        return True in said and False not in said

    def sale_invoice_of(self, payment: Payment, arrived: Fact | None = None) -> Document | None:
        """The payment's own invoice; with `arrived`, that of this one capture where it has one of its own."""
        captures = (arrived,) if arrived else payment.captures
        subjects = [f"payment:{payment.id}", *(f"capture:{capture.key}" for capture in captures)]
        if arrived:
            subjects.reverse()
        return next((invoice for subject in subjects if (invoice := self.find(subject))), None)

    def invoiced_apart(self, payment: Payment, currency: str) -> Money:
        """What captures of a payment come to that have invoices of their own."""
        subjects = dict.fromkeys(f"capture:{capture.key}" for capture in payment.captures)
        return sum((self.total(DocumentKind.INVOICE, subject, currency) for subject in subjects), zero(currency))

    def invoice_paid_by(self, payment: Payment, arrived: Fact) -> Document | None:
        """The invoice on which this arrival of money is recorded."""
        if payment.renewal and (invoice := self.find(f"renewal:{payment.renewal.key}")):
            return invoice
        return self.find(f"uncaptured:{payment.id}") or self.sale_invoice_of(payment, arrived)

    def recorded_on(self, invoice: Document, payment_id: str | None = None) -> Money:
        """What stands recorded as received on an invoice, of one payment or of all."""
        inline = sum(p.amount for p in invoice.payments if payment_id in (None, p.reference))
        later = [d for d in self.documents if d.refers_to == invoice.key and payment_id in (None, d.payment_id)]
        added = sum(known.amount.value for known in later if known.kind is DocumentKind.PAYMENT)
        removed = sum(known.amount.value for known in later if known.kind is DocumentKind.PAYMENT_REMOVAL)
        return Money(inline + added - removed, invoice.amount.currency)

    def outstanding(self, invoice: Document) -> Money:
        """What is still asked for on an invoice: what was credited without money going back is not."""
        applied = (known.amount for known in self.documents if self._is_applied_to(known, invoice))
        return invoice.amount - self.recorded_on(invoice) - sum(applied, zero(invoice.amount.currency))

    def _is_applied_to(self, known: Document, invoice: Document) -> bool:
        if known.kind is not DocumentKind.CREDIT_APPLICATION:
            return False
        credit_note = next((note for note in self.documents if note.key == known.refers_to), None)
        return credit_note is not None and credit_note.refers_to == invoice.key

    def next_key(self, kind: DocumentKind, subject: str) -> str:
        """`kind:subject`, numbered from the second one on."""
        recorded = [known.document for known in self.case.documents] + self.planned
        count = sum(1 for known in recorded if known.kind is kind and known.subject == subject)
        return f"{kind}:{subject}" + (f":{count + 1}" if count else "")

    # parts of a document

    def payment_record(self, reference: str, amount: Money, fact: Fact, of: str | None = None) -> PaymentRecord:
        """Money recorded with a document; `of` names the payment whose method it shares."""
        paid = next((f for f in self.facts(FactType.PAYMENT_SUCCEEDED) if of and f.payment_id == of), fact)
        date = self.customer.local_date(fact.occurred_at).isoformat()
        return PaymentRecord(reference=reference, amount=amount.value, method=fact.method or paid.method, date=date)

    def local_date(self, day: str | None) -> str | None:
        return self.customer.local_date(day).isoformat() if day else None

    def taxed(self, document: Document, items: Iterable[Item], policy: Policy, seller: BusinessCustomer) -> Document | None:
        """The document with its lines, each with its tax; None while that cannot be decided, which is noted here."""
        payer = printed(document.payer) if document.payer else None
        try:
            treated = self._treatment(policy, seller, payer)
            if treated is None:
                return None
            lines = tuple(
                Line(name=i.name, quantity=i.quantity, amount=i.amount, tax=tax_of(treated, i.tax_class, seller)) for i in items
            )
        except NoRateError as missing:
            self.waits.add(Waiting(document.fact, f"tax {missing}"))
            self.find_fault("tax_rate_missing", document.subject, document.amount)
            return None
        return replace(
            document,
            lines=lines,
            payer=payer,
            policy=policy.version,
            transaction_type=treated.transaction_type,
            tax_clause=treated.clause,
            tax_evidence=self._evidence(seller, payer) if policy.tax else None,
        )

    def _treatment(self, policy: Policy, seller: BusinessCustomer, payer: Payer | None) -> Treatment | None:
        evidence = self._evidence(seller, payer)
        if policy.tax and payer and evidence is None and depends_on_registry(seller, payer):
            waits = policy.tax.registry_down == "wait"
            self.checks.add(TaxCheck(*_parties(seller, payer), waits=waits))
            return None
        return treatment(seller, policy.tax, payer, evidence)

    def _evidence(self, seller: BusinessCustomer, payer: Payer | None) -> TaxEvidence | None:
        return self.case.evidence.get(TaxCheck(*_parties(seller, payer), waits=False).key) if payer else None

    def credit_lines(self, name: str, invoice: Document, amount: Money) -> tuple[Line, ...]:
        return credit_lines(name, invoice, self.referring_to(invoice, DocumentKind.CREDIT_NOTE), amount)

    # the outcome

    def add(self, document: Document, policy: Policy | None = None) -> None:
        """Plan a document, unless the API refused it before or two decimals cannot carry its amount: then a human must look."""
        amounts = [document.amount, *(Money(line.amount, document.amount.currency) for line in document.lines)]
        if not all(amount.fits_document for amount in amounts):
            self.find_fault("amount_not_representable", document.subject, document.amount)
        elif not self._was_refused(document):
            self.planned.append(replace(document, policy=policy.version) if policy else document)

    @property
    def fees(self) -> list[FeeEntry]:
        """What stands noted of fees, or is about to."""
        return [*self.case.fees, *self.noted]

    def note_fee(self, entry: FeeEntry) -> None:
        self.noted.append(entry)

    def _was_refused(self, document: Document) -> bool:
        return any(
            not known.stands and (known.document.kind, known.document.subject) == (document.kind, document.subject)
            for known in self.case.documents
        )

    def wait(self, fact: Fact, awaited: str) -> None:
        self.waits.add(Waiting(fact.identity, awaited))

    def waits_for(self, draft: Document, awaited: str) -> None:
        self.waits.add(Waiting(draft.fact, awaited))

    def find_fault(self, code: str, subject: str, amount: Money | None = None) -> None:
        self.faults.add(Finding(code, subject, amount))


def printed(payer: Payer) -> Payer:
    """The payer as documents have it: the country by ISO 3166-1, and no tax number that cannot be one there."""
    if not payer.country:
        return payer
    payer = replace(payer, country=iso_country(payer.country))
    is_malformed = bool(payer.tax_number and tax_number_fault(str(payer.country), payer.tax_number))
    return replace(payer, tax_number=None) if is_malformed else payer


def _parties(seller: BusinessCustomer, payer: Payer | None) -> tuple[str, str, str]:
    country, number = (payer.country or "", payer.tax_number or "") if payer else ("", "")
    return str(seller.profile.get("country") or ""), country, number


def _renewal_of(payment_id: str, reported: Fact | None, renewals: Iterable[Fact]) -> Fact | None:
    named = {payment_id, *((reported.invoice_id, *reported.also_known_as) if reported else ())}
    return next((renewal for renewal in renewals if renewal.payment_id == payment_id or renewal.invoice_id in named), None)
