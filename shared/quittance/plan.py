"""The heart of the product: which documents should exist, given everything that is known about one payment.

`plan` is pure. It has no clock, no I/O and no memory: the same facts, customer and recorded documents always give the same
plan, in whichever order the facts arrived. The mission's table is in `plan` itself; each step below it is one row.

A plan is a difference. Every subject (a payment, a refund, a dispute) has a level at which its documents should stand, and
the plan holds what is missing to get there from the documents that are already recorded. So a late, repeated or contradicting
event needs no special case: it moves a level.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from quittance.documents import Document, DocumentKind, PaymentRecord, RecordedDocument
from quittance.facts import Fact, FactType, Item
from quittance.money import Money, zero

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from quittance.customers import BusinessCustomer


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything the ledger knows about one payment: its facts and the documents recorded for it."""

    facts: tuple[Fact, ...]
    documents: tuple[RecordedDocument, ...] = ()


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
class Plan:
    """What is missing: `documents` in the order in which they can be issued, what waits, and what a human should see."""

    documents: tuple[Document, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    findings: tuple[Finding, ...] = ()


def plan(case: Case, customer: BusinessCustomer) -> Plan:
    """The documents that should exist for `case` and do not yet.

    Guarantees: at most one invoice for each sale; credit notes never exceed the invoice they credit; every document carries
    the fact and the reason it was planned for; planning again after its documents were recorded gives an empty plan.
    """
    sheet = _Sheet(case, customer)
    # authorized only -> nothing; dispute opened or inquiry -> nothing unless the policy says so; dispute won -> nothing
    for renewal in sheet.facts(FactType.SUBSCRIPTION_RENEWED):
        _invoice_renewal(sheet, renewal)  # subscription renewed -> recurring invoice
    for payment in sheet.payments:
        _invoice_payment(sheet, payment)  # payment succeeded -> invoice, or one invoice per capture
        _align_payment_records(sheet, payment)  # payment recorded; failed after success -> record removed
    for returned in _returned_money(sheet):
        _lower(sheet, returned)  # refund failed, dispute won after it was credited -> corrective invoice
    for returned in _returned_money(sheet):
        _raise(sheet, returned)  # refund processed, dispute lost -> credit note
    _report_failures(sheet)
    return sheet.plan()


# --- what was sold -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Payment:
    """Everything reported under one payment id."""

    id: str
    succeeded: Fact | None
    captures: tuple[Fact, ...]
    failures: tuple[Fact, ...]
    renewal: Fact | None
    """The renewal it pays."""

    @property
    def is_named(self) -> bool:
        """False while the provider only said that a billing invoice was paid, not by which payment."""
        return self.succeeded is None or self.succeeded.invoice_id != self.id

    @property
    def aliases(self) -> tuple[str, ...]:
        """Every id the provider gave this payment."""
        return self.succeeded.case_ids if self.succeeded else (self.id,)

    @property
    def evidence(self) -> Fact | None:
        """The fact that says the money arrived: the payment itself, or a renewal that names it as already paid."""
        if self.succeeded:
            return self.succeeded
        return self.renewal if self.renewal and self.renewal.payment_id == self.id else None

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


def _invoice_renewal(sheet: _Sheet, renewal: Fact) -> None:
    """One invoice for the period, with every payment of it that is known by now recorded in the same call."""
    paying = [payment for payment in sheet.payments if payment.renewal is renewal]
    if not renewal.amount or any(sheet.sale_invoice_of(payment) for payment in paying):
        sheet.without_own_invoice.add(renewal.key)  # its money was invoiced before anyone said what it was for
        return
    if sheet.find(f"renewal:{renewal.key}"):
        return
    if (paying or renewal.is_paid) and not any(payment.is_named for payment in paying):
        sheet.wait(renewal, "payment named")
        return
    issued_on = sheet.customer.local_date(renewal.occurred_at)
    start, end = (sheet.local_date(day) for day in (renewal.period_start, renewal.period_end))
    period = " to ".join(day for day in (start, end) if day)
    name = " - ".join(part for part in (renewal.subscription_plan or "Subscription", period) if part)
    sheet.add(
        Document(
            key=f"invoice:renewal:{renewal.key}",
            kind=DocumentKind.INVOICE,
            subject=f"renewal:{renewal.key}",
            amount=renewal.amount,
            date=issued_on.isoformat(),
            date_due=(issued_on + timedelta(days=sheet.customer.policy.due_days)).isoformat(),
            date_service=start,
            date_service_to=max(start, end) if start and end else None,
            fact=renewal.identity,
            reason="subscription renewed: recurring invoice",
            payment_id=paying[0].id if paying else renewal.key,
            lines=(Item(name=name, quantity=1, amount=renewal.amount.value),),
            payer=renewal.payer,
            payments=_received(sheet, renewal.amount, paying),
            subscription_id=renewal.subscription_id,
            order_id=renewal.order_id,
        )
    )


def _received(sheet: _Sheet, due: Money, paying: Iterable[_Payment]) -> tuple[PaymentRecord, ...]:
    """The payments that arrived and stayed, up to what is due."""
    records = []
    for payment in paying:
        arrived = payment.evidence
        if not payment.is_named or not arrived or not arrived.amount or arrived.amount.currency != due.currency:
            continue
        amount = min(arrived.amount, due)
        if amount and not payment.reversal_of(arrived):
            records.append(sheet.payment_record(payment.id, amount, arrived))
            due -= amount
    return tuple(records)


def _invoice_payment(sheet: _Sheet, payment: _Payment) -> None:
    """One invoice for a payment, or one for each of its captures; a success and captures never both count."""
    if not payment.is_named:
        if payment.succeeded and not any(other.is_named and payment.id in other.aliases for other in sheet.payments):
            sheet.wait(payment.succeeded, "payment named")
        return
    if sheet.find(f"payment:{payment.id}") or sheet.belongs_to_renewal(payment):
        return
    if payment.captures:
        for capture, amount in _increments(sheet, payment.captures):
            _invoice_sale(sheet, payment, capture, amount)
    elif payment.succeeded and not payment.renewal and sheet.awaits_renewal(payment):
        sheet.wait(payment.succeeded, "subscription.renewed")
    elif payment.succeeded and payment.succeeded.amount:
        _invoice_sale(sheet, payment, payment.succeeded, payment.succeeded.amount)


def _increments(sheet: _Sheet, captures: Iterable[Fact]) -> Iterator[tuple[Fact, Money]]:
    """What each capture adds. A running total adds what its predecessors and the invoices so far do not hold yet."""
    for capture in captures:
        if not capture.amount:
            continue
        if not capture.running_total:
            if not sheet.find(f"capture:{capture.key}"):
                yield capture, capture.amount
            continue
        held = sheet.total(DocumentKind.INVOICE, f"capture:{capture.key}", capture.amount.currency)
        if capture.amount > held:
            yield capture, capture.amount - held


def _invoice_sale(sheet: _Sheet, payment: _Payment, fact: Fact, amount: Money) -> None:
    is_capture = fact.type is FactType.PAYMENT_CAPTURED
    subject = f"capture:{fact.key}" if is_capture else f"payment:{payment.id}"
    payer = fact.payer or (payment.succeeded.payer if payment.succeeded else None)
    date = sheet.customer.local_date(fact.occurred_at).isoformat()
    received = () if payment.reversal_of(fact) else (sheet.payment_record(payment.id, amount, fact),)
    sheet.add(
        Document(
            key=sheet.next_key(DocumentKind.INVOICE, subject),
            kind=DocumentKind.INVOICE,
            subject=subject,
            amount=amount,
            date=date,
            date_due=date,
            date_service=date,
            fact=fact.identity,
            reason="payment captured: invoice for this capture" if is_capture else "payment succeeded: invoice",
            payment_id=payment.id,
            lines=fact.items or (Item(name=fact.description or f"Payment {payment.id}", quantity=1, amount=amount.value),),
            payer=payer,
            payments=received,
            subscription_id=fact.subscription_id,
            order_id=fact.order_id,
        )
    )


def _align_payment_records(sheet: _Sheet, payment: _Payment) -> None:
    """Record a payment that arrived after its invoice; remove the record of one that failed after it had succeeded."""
    arrivals = payment.captures or ((payment.evidence,) if payment.evidence else ())
    for arrived in arrivals:
        invoice = sheet.invoice_paid_by(payment, arrived)
        if invoice is None or not payment.is_named or not arrived.amount:
            continue
        if arrived.amount.currency != invoice.amount.currency:
            sheet.find_fault("payment_currency_differs", f"payment:{payment.id}", arrived.amount)
            continue
        recorded = sheet.recorded_on(invoice, payment.id)
        failure = payment.reversal_of(arrived)
        if failure and recorded:
            _remove_record(sheet, payment, invoice, recorded, failure)
        if not failure and not recorded:
            outstanding = invoice.amount - sheet.recorded_on(invoice)
            if amount := min(arrived.amount, outstanding):
                _record_payment(sheet, payment, invoice, amount, arrived)


def _record_payment(sheet: _Sheet, payment: _Payment, invoice: Document, amount: Money, arrived: Fact) -> None:
    subject = f"payment:{payment.id}"
    sheet.add(
        Document(
            key=sheet.next_key(DocumentKind.PAYMENT, subject),
            kind=DocumentKind.PAYMENT,
            subject=subject,
            amount=amount,
            date=sheet.customer.local_date(arrived.occurred_at).isoformat(),
            fact=arrived.identity,
            reason="payment of an issued invoice",
            payment_id=payment.id,
            refers_to=invoice.key,
            payments=(sheet.payment_record(payment.id, amount, arrived),),
        )
    )


def _remove_record(sheet: _Sheet, payment: _Payment, invoice: Document, amount: Money, failure: Fact) -> None:
    subject = f"payment:{payment.id}"
    sheet.add(
        Document(
            key=sheet.next_key(DocumentKind.PAYMENT_REMOVAL, subject),
            kind=DocumentKind.PAYMENT_REMOVAL,
            subject=subject,
            amount=amount,
            date=sheet.customer.local_date(failure.latest_at).isoformat(),
            fact=failure.identity,
            reason="payment failed after it had succeeded: its record is removed",
            payment_id=payment.id,
            refers_to=invoice.key,
        )
    )


# --- what was returned ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Returned:
    """Money that went back under one refund or dispute id: `level` is how much of it should stand credited."""

    subject: str
    payment_id: str
    fact: Fact
    level: Money
    capture_id: str | None = None
    kind: Literal["refund", "dispute", "doubled"] = "refund"


def _returned_money(sheet: _Sheet) -> list[_Returned]:
    returned = [*_refunds(sheet), *_disputes(sheet), *_doubled_sales(sheet)]
    return sorted(returned, key=lambda item: (item.fact.occurred_at, item.subject))


def _refunds(sheet: _Sheet) -> Iterator[_Returned]:
    """A refund stands for its amount until it fails. A failure is final: providers do not revive a failed refund."""
    failed = {fact.key: fact for fact in sheet.facts(FactType.REFUND_FAILED)}
    one_by_one = [
        _Returned(
            f"refund:{refund.key}",
            refund.payment_id or "",
            failed.get(refund.key, refund),
            zero(refund.amount.currency) if refund.key in failed else refund.amount,
            refund.capture_id,
        )
        for refund in sheet.facts(FactType.REFUND_SUCCEEDED)
        if refund.amount and not refund.running_total
    ]
    totals: dict[str, tuple[Money, Fact]] = {}
    for fact in sheet.facts(FactType.REFUND_SUCCEEDED):
        if fact.amount and fact.running_total:
            reported = (fact.amount, fact)
            totals[fact.key] = max(totals.get(fact.key, reported), reported, key=lambda total: total[0])
    for amount, fact in totals.values():
        yield _beyond(sheet, amount, fact, one_by_one)
    yield from one_by_one


def _beyond(sheet: _Sheet, total: Money, report: Fact, one_by_one: list[_Returned]) -> _Returned:
    """What a running total says was refunded beyond the refunds of the same payment that are known one by one.

    A refund that becomes known after the running total was credited is covered by that credit note: its own level is lowered
    in place, so that the same money is never credited under two names.
    """
    explained = sum(
        fact.amount.value
        for fact in sheet.facts(FactType.REFUND_SUCCEEDED)
        if fact.amount and not fact.running_total and sheet.are_one_payment(fact.payment_id, report.payment_id)
    )
    beyond = max(0, total.value - explained)
    surplus = sheet.credited(f"refund:{report.key}", total.currency).value - beyond
    for place, refund in enumerate(one_by_one):
        if sheet.are_one_payment(refund.payment_id, report.payment_id):
            uncovered = refund.level.value - sheet.credited(refund.subject, refund.level.currency).value
            covered = max(0, min(uncovered, surplus))
            one_by_one[place] = replace(refund, level=Money(refund.level.value - covered, refund.level.currency))
            surplus -= covered
            beyond += covered
    return _Returned(f"refund:{report.key}", report.payment_id or "", report, Money(beyond, total.currency))


def _disputes(sheet: _Sheet) -> Iterator[_Returned]:
    """A dispute stands for its amount while its latest outcome is a loss. What was won can still be lost, and the reverse."""
    outcomes: dict[str, list[Fact]] = {}
    for fact in sheet.facts(FactType.DISPUTE_OPENED, FactType.DISPUTE_WON, FactType.DISPUTE_LOST):
        outcomes.setdefault(fact.key, []).append(fact)
    for key, facts in outcomes.items():
        closed = [fact for fact in facts if fact.type is not FactType.DISPUTE_OPENED]
        last = max(closed or facts, key=lambda fact: (fact.latest_at, fact.type is FactType.DISPUTE_LOST))
        if last.amount:
            level = last.amount if last.type in sheet.types_that_credit_disputes else zero(last.amount.currency)
            yield _Returned(f"dispute:{key}", last.payment_id or "", last, level, last.capture_id, "dispute")


def _doubled_sales(sheet: _Sheet) -> Iterator[_Returned]:
    """A payment invoiced on its own before any report said that it pays a renewal, which had its invoice too: one must go.

    Nothing is voided, so the payment's own invoice is credited. No money went back: what was received is recorded on the other.
    """
    for payment in sheet.payments:
        own = sheet.sale_invoice_of(payment)
        if own and payment.evidence and payment.renewal and sheet.find(f"renewal:{payment.renewal.key}"):
            yield _Returned(f"doubled:{payment.id}", payment.id, payment.evidence, own.amount, kind="doubled")


def _lower(sheet: _Sheet, returned: _Returned) -> None:
    """Money that came back after it was credited: invoice it again, referring to the credit note. Nothing is voided."""
    excess = sheet.credited(returned.subject, returned.level.currency) - returned.level
    credit_note = sheet.find(returned.subject, DocumentKind.CREDIT_NOTE)
    if excess.value <= 0 or credit_note is None:
        return
    date = sheet.customer.local_date(returned.fact.latest_at).isoformat()
    what = "dispute won after it was credited" if returned.kind == "dispute" else "refund failed after it was credited"
    sheet.add(
        Document(
            key=sheet.next_key(DocumentKind.INVOICE, returned.subject),
            kind=DocumentKind.INVOICE,
            subject=returned.subject,
            amount=excess,
            date=date,
            date_due=date,
            date_service=date,
            fact=returned.fact.identity,
            reason=f"{what}: corrective invoice",
            payment_id=credit_note.payment_id,
            refers_to=credit_note.key,
            lines=(Item(name=f"Correction: {what}", quantity=1, amount=excess.value),),
            payer=credit_note.payer,
            payments=(sheet.payment_record(returned.fact.key, excess, returned.fact, of=credit_note.payment_id),),
        )
    )


def _raise(sheet: _Sheet, returned: _Returned) -> None:
    """Credit what is missing, invoice by invoice, never more than an invoice still holds."""
    missing = returned.level - sheet.credited(returned.subject, returned.level.currency)
    if missing.value <= 0:
        return
    invoices = sheet.creditable(returned)
    if not invoices:
        sheet.wait(returned.fact, "payment")
        return
    for invoice in invoices:
        if invoice.amount.currency != missing.currency:
            sheet.find_fault("return_currency_differs", returned.subject, missing)
            return
        if amount := min(missing, sheet.uncredited(invoice)):
            _credit(sheet, returned, invoice, amount)
            missing -= amount
    if missing:
        sheet.find_fault("returned_more_than_paid", returned.subject, missing)


_WHAT = {
    FactType.DISPUTE_LOST: "dispute lost",
    FactType.DISPUTE_OPENED: "dispute opened",
    FactType.PAYMENT_SUCCEEDED: "invoiced with its renewal",
    FactType.SUBSCRIPTION_RENEWED: "invoiced with its renewal",
}


def _credit(sheet: _Sheet, returned: _Returned, invoice: Document, amount: Money) -> None:
    what = _WHAT.get(returned.fact.type, "refund")
    paid_out = min(amount, sheet.recorded_on(invoice)) if returned.kind == "doubled" else amount
    # What was taken back and is credited again happened again: it must not be dated before the corrective invoice.
    moment = returned.fact.latest_at if sheet.find(returned.subject) else returned.fact.occurred_at
    sheet.add(
        Document(
            key=sheet.next_key(DocumentKind.CREDIT_NOTE, returned.subject),
            kind=DocumentKind.CREDIT_NOTE,
            subject=returned.subject,
            amount=amount,
            date=sheet.customer.local_date(moment).isoformat(),
            date_service=invoice.date_service,
            date_service_to=invoice.date_service_to,
            fact=returned.fact.identity,
            reason=f"{what}: credit note",
            payment_id=invoice.payment_id,
            refers_to=invoice.key,
            lines=(Item(name=f"{what.capitalize()}: {invoice.lines[0].name}", quantity=1, amount=amount.value),),
            payer=invoice.payer,
            payments=(sheet.payment_record(returned.fact.key, paid_out, returned.fact, of=invoice.payment_id),)
            if paid_out
            else (),
            subscription_id=invoice.subscription_id,
            order_id=invoice.order_id,
        )
    )


def _report_failures(sheet: _Sheet) -> None:
    for payment in sheet.payments:
        for arrived in payment.captures or ((payment.evidence,) if payment.evidence else ()):
            if payment.reversal_of(arrived):
                sheet.find_fault("payment_failed_after_success", f"payment:{payment.id}", arrived.amount)
    for recorded in sheet.case.documents:
        if not recorded.stands:
            sheet.find_fault("document_refused", recorded.document.key, recorded.document.amount)


# --- the sheet a plan is worked out on -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Sheet:
    """The recorded documents together with those planned so far: each step sees what the steps before it added."""

    case: Case
    customer: BusinessCustomer
    planned: list[Document] = field(default_factory=list)
    waits: set[Waiting] = field(default_factory=set)
    faults: set[Finding] = field(default_factory=set)
    without_own_invoice: set[str] = field(default_factory=set)
    """Renewals that have no invoice of their own: of nothing, or whose money was already invoiced."""
    payments: list[_Payment] = field(init=False)

    def __post_init__(self) -> None:
        self.payments = self._payments()

    def plan(self) -> Plan:
        return Plan(tuple(self.planned), tuple(sorted(self.waits)), tuple(sorted(self.faults, key=repr)))

    # facts

    def facts(self, *types: FactType) -> list[Fact]:
        chosen = (fact for fact in self.case.facts if fact.type in types)
        return sorted(chosen, key=lambda fact: (fact.occurred_at, fact.amount.value if fact.amount else 0, fact.identity))

    def _payments(self) -> list[_Payment]:
        """Every payment of the case, in the order of its first fact."""
        renewals = self.facts(FactType.SUBSCRIPTION_RENEWED)
        succeeded = {fact.payment_id or fact.key: fact for fact in self.facts(FactType.PAYMENT_SUCCEEDED)}
        captured = self.facts(FactType.PAYMENT_CAPTURED)
        ids = [*succeeded, *(f.payment_id or f.key for f in captured), *(r.payment_id for r in renewals if r.payment_id)]
        return [
            _Payment(
                id=payment_id,
                succeeded=succeeded.get(payment_id),
                captures=tuple(fact for fact in captured if (fact.payment_id or fact.key) == payment_id),
                failures=tuple(f for f in self.facts(FactType.PAYMENT_FAILED) if f.payment_id == payment_id),
                renewal=_renewal_of(payment_id, succeeded.get(payment_id), renewals),
            )
            for payment_id in dict.fromkeys(ids)
        ]

    def are_one_payment(self, one: str | None, other: str | None) -> bool:
        """Whether two ids name the same payment."""
        return one == other or any({one, other} <= {payment.id, *payment.aliases} for payment in self.payments)

    @property
    def types_that_credit_disputes(self) -> tuple[FactType, ...]:
        match self.customer.policy.dispute_credit_on:
            case "never":
                return ()
            case "opened":
                return (FactType.DISPUTE_OPENED, FactType.DISPUTE_LOST)
            case "lost":
                return (FactType.DISPUTE_LOST,)

    # documents

    @property
    def documents(self) -> list[Document]:
        return [recorded.document for recorded in self.case.documents if recorded.stands] + self.planned

    def find(self, subject: str, kind: DocumentKind = DocumentKind.INVOICE) -> Document | None:
        return next((known for known in self.documents if known.subject == subject and known.kind is kind), None)

    def total(self, kind: DocumentKind, subject: str, currency: str) -> Money:
        documents = (known for known in self.documents if known.kind is kind and known.subject == subject)
        return sum((known.amount for known in documents if known.amount.currency == currency), zero(currency))

    def credited(self, subject: str, currency: str) -> Money:
        """What stands credited under a subject: its credit notes less the corrective invoices that took them back."""
        credit_notes = self.total(DocumentKind.CREDIT_NOTE, subject, currency)
        return credit_notes - self.total(DocumentKind.INVOICE, subject, currency)

    def uncredited(self, invoice: Document) -> Money:
        credits_of_it = (d for d in self.documents if d.kind is DocumentKind.CREDIT_NOTE and d.refers_to == invoice.key)
        return invoice.amount - sum((known.amount for known in credits_of_it), zero(invoice.amount.currency))

    def creditable(self, returned: _Returned) -> list[Document]:
        """The invoices a return may be credited against: that of its capture first, then of its payment, then the others."""
        invoices = [known for known in self.documents if known.kind is DocumentKind.INVOICE]
        preferred = (f"capture:{returned.capture_id}", f"payment:{returned.payment_id}")
        return sorted(invoices, key=lambda known: (known.subject not in preferred, known.payment_id != returned.payment_id))

    def belongs_to_renewal(self, payment: _Payment) -> bool:
        """Whether the payment is recorded on the invoice of its renewal rather than on one of its own."""
        return payment.renewal is not None and payment.renewal.key not in self.without_own_invoice

    def awaits_renewal(self, payment: _Payment) -> bool:
        """Whether the billing invoice it pays is one that a renewal reports, as far as any report of that invoice says."""
        unnamed = [other for other in self.payments if not other.is_named and other.id in payment.aliases]
        said = [one.succeeded.awaits_renewal for one in (payment, *unnamed) if one.succeeded]
        return True in said and False not in said

    def sale_invoice_of(self, payment: _Payment, arrived: Fact | None = None) -> Document | None:
        """The payment's own invoice; with `arrived`, that of this one capture."""
        captures = (arrived,) if arrived else payment.captures
        subjects = (f"payment:{payment.id}", *(f"capture:{capture.key}" for capture in captures))
        return next((invoice for subject in subjects if (invoice := self.find(subject))), None)

    def invoice_paid_by(self, payment: _Payment, arrived: Fact) -> Document | None:
        """The invoice on which this arrival of money is recorded."""
        if payment.renewal and (invoice := self.find(f"renewal:{payment.renewal.key}")):
            return invoice
        return self.sale_invoice_of(payment, arrived)

    def recorded_on(self, invoice: Document, payment_id: str | None = None) -> Money:
        """What stands recorded as received on an invoice, of one payment or of all."""
        inline = sum(p.amount for p in invoice.payments if payment_id in (None, p.reference))
        later = [d for d in self.documents if d.refers_to == invoice.key and payment_id in (None, d.payment_id)]
        added = sum(known.amount.value for known in later if known.kind is DocumentKind.PAYMENT)
        removed = sum(known.amount.value for known in later if known.kind is DocumentKind.PAYMENT_REMOVAL)
        return Money(inline + added - removed, invoice.amount.currency)

    def payment_record(self, reference: str, amount: Money, fact: Fact, of: str | None = None) -> PaymentRecord:
        """Money recorded with a document; `of` names the payment whose method it shares."""
        paid = next((f for f in self.facts(FactType.PAYMENT_SUCCEEDED) if of and f.payment_id == of), fact)
        date = self.customer.local_date(fact.occurred_at).isoformat()
        return PaymentRecord(reference=reference, amount=amount.value, method=fact.method or paid.method, date=date)

    def next_key(self, kind: DocumentKind, subject: str) -> str:
        """`kind:subject`, numbered from the second one on."""
        recorded = [known.document for known in self.case.documents] + self.planned
        count = sum(1 for known in recorded if known.kind is kind and known.subject == subject)
        return f"{kind}:{subject}" + (f":{count + 1}" if count else "")

    def local_date(self, day: str | None) -> str | None:
        return self.customer.local_date(day).isoformat() if day else None

    # the outcome

    def add(self, document: Document) -> None:
        """Plan a document, unless the API refused it before or two decimals cannot carry its amount: then a human must look."""
        if not document.amount.fits_document:
            self.find_fault("amount_not_representable", document.subject, document.amount)
        elif not self._was_refused(document):
            self.planned.append(replace(document, policy=self.customer.policy.version))

    def _was_refused(self, document: Document) -> bool:
        return any(
            not known.stands and (known.document.kind, known.document.subject) == (document.kind, document.subject)
            for known in self.case.documents
        )

    def wait(self, fact: Fact, awaited: str) -> None:
        self.waits.add(Waiting(fact.identity, awaited))

    def find_fault(self, code: str, subject: str, amount: Money | None = None) -> None:
        self.faults.add(Finding(code, subject, amount))


def _renewal_of(payment_id: str, succeeded: Fact | None, renewals: Iterable[Fact]) -> Fact | None:
    named = {payment_id, *((succeeded.invoice_id, *succeeded.also_known_as) if succeeded else ())}
    return next((renewal for renewal in renewals if renewal.payment_id == payment_id or renewal.invoice_id in named), None)
