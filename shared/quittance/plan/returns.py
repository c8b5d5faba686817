"""What was returned: refunds, lost disputes and whatever else takes a sale back. Credit notes, and their corrections."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from quittance.documents import Document, DocumentKind, Line
from quittance.facts import Fact, FactType
from quittance.money import Money, zero
from quittance.tax import shared_out_amount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quittance.plan.sheet import Payment, Sheet


REVERSED = "reversed"
"""The reason of a refund that the provider made by itself, be it for a dispute or a risk. A platform may mean anything by it."""


@dataclass(frozen=True, slots=True)
class Returned:
    """Money that went back under one refund or dispute id: `level` is how much of it should stand credited."""

    subject: str
    payment_id: str
    fact: Fact
    level: Money
    capture_id: str | None = None
    kind: Literal["refund", "dispute", "doubled", "uncaptured"] = "refund"
    recorded: Money | None = None
    """Of a doubled sale: what stands recorded as received on it, and moves to the other invoice."""

    @property
    def moved_money(self) -> bool:
        """Whether money went back; if not, the credit note only lowers what was asked for."""
        return self.kind in {"refund", "dispute"}


def returned_money(sheet: Sheet) -> list[Returned]:
    returned = [*_once(sheet, [*_refunds(sheet)], [*_disputes(sheet)]), *_doubled_sales(sheet), *_uncaptured(sheet)]
    return sorted(returned, key=lambda item: (item.fact.occurred_at, item.subject))


def _once(sheet: Sheet, refunds: list[Returned], disputes: list[Returned]) -> Iterator[Returned]:
    """Refunds and disputes, without what is told as both: some providers report the debit of a dispute as a reversal too.

    Whichever was credited first stands for both. A dispute that was won took its reversal back.
    """
    for place, refund in enumerate(refunds):
        for at, dispute in enumerate(disputes):
            if not _may_be_one(refund, dispute):
                continue
            credited = sheet.credited(refund.subject, refund.level.currency)
            if dispute.fact.type is FactType.DISPUTE_WON:
                refunds[place] = replace(refund, level=zero(credited.currency))
            elif credited:
                disputes[at] = replace(dispute, level=_less(dispute.level, credited))
            else:
                refunds[place] = replace(refund, level=_less(refund.level, dispute.level))
    yield from refunds
    yield from disputes


def _may_be_one(refund: Returned, dispute: Returned) -> bool:
    was_reversed = refund.fact.reason == REVERSED and refund.fact.provider != "platform"
    return was_reversed and refund.capture_id == dispute.capture_id and refund.level.currency == dispute.level.currency


def _less(whole: Money, part: Money) -> Money:
    return Money(max(0, whole.value - part.value), whole.currency)


def _refunds(sheet: Sheet) -> Iterator[Returned]:
    """A refund stands for its amount until it fails. A failure is final: providers do not revive a failed refund."""
    failed = {fact.key: fact for fact in sheet.facts(FactType.REFUND_FAILED)}
    one_by_one = [
        Returned(
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


def _beyond(sheet: Sheet, total: Money, report: Fact, one_by_one: list[Returned]) -> Returned:
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
    return Returned(f"refund:{report.key}", report.payment_id or "", report, Money(beyond, total.currency))


def _disputes(sheet: Sheet) -> Iterator[Returned]:
    """What each dispute leaves credited, from its opening to its latest outcome. What was won can be lost again, and reversed.

    Each outcome follows the policy that was in force when it came. A policy that does not credit an outcome leaves what was
    credited before as it stands.
    """
    reports: dict[str, list[Fact]] = {}
    for fact in sheet.facts(FactType.DISPUTE_OPENED, FactType.DISPUTE_WON, FactType.DISPUTE_LOST):
        reports.setdefault(fact.key, []).append(fact)
    for key, facts in reports.items():
        in_order = sorted(facts, key=_course)
        last = in_order[-1]
        if last.amount:
            level = zero(last.amount.currency)
            for fact in in_order:
                level = _level_after(sheet, fact, level)
            yield Returned(f"dispute:{key}", last.payment_id or "", last, level, last.capture_id, "dispute")


def _course(fact: Fact) -> tuple[bool, str, bool]:
    """The order of a dispute's reports: its opening first, whatever the clocks say; lost after won at the same second."""
    return fact.type is not FactType.DISPUTE_OPENED, fact.latest_at, fact.type is FactType.DISPUTE_LOST


def _level_after(sheet: Sheet, fact: Fact, level: Money) -> Money:
    credit_on = sheet.policy_at(fact).dispute_credit_on
    if fact.type is FactType.DISPUTE_WON:
        return zero(level.currency)
    is_credited = credit_on == "opened" or (credit_on == "lost" and fact.type is FactType.DISPUTE_LOST)
    return fact.amount if is_credited and fact.amount else level


def _doubled_sales(sheet: Sheet) -> Iterator[Returned]:
    """A payment invoiced on its own before any report said that it pays a renewal, which had its invoice too: one must go.

    Nothing is voided, so the payment's own invoice is credited. No money went back: what was received is recorded on the other.
    """
    for payment in sheet.payments:
        own = sheet.sale_invoice_of(payment)
        reported = payment.evidence or payment.authorized
        if own and reported and payment.renewal and sheet.find(f"renewal:{payment.renewal.key}"):
            recorded = sheet.recorded_on(own)
            yield Returned(f"doubled:{payment.id}", payment.id, reported, own.amount, kind="doubled", recorded=recorded)


def _uncaptured(sheet: Sheet) -> Iterator[Returned]:
    """What was invoiced at authorization and will never be captured: it expired, or less was captured for good."""
    for payment in sheet.payments:
        invoice = sheet.find(f"payment:{payment.id}")
        if not invoice or not payment.authorized or invoice.fact != payment.authorized.identity:
            continue
        end = payment.succeeded or payment.expiry
        if end is None or (payment.renewal and sheet.find(f"renewal:{payment.renewal.key}")):
            continue
        yield Returned(f"uncaptured:{payment.id}", payment.id, end, _never_captured(sheet, payment, invoice), kind="uncaptured")


def _never_captured(sheet: Sheet, payment: Payment, invoice: Document) -> Money:
    """What the invoice of an authorization holds for the part of it that was not captured in the end."""
    currency = invoice.amount.currency
    authorized = payment.authorized.amount if payment.authorized else None
    arrived = [fact.amount for fact in payment.arrivals if fact.amount]
    if authorized is None or any(amount.currency != currency for amount in (authorized, *arrived)):
        return zero(currency)  # what was captured cannot be compared: a finding says so
    apart = sheet.invoiced_apart(payment, currency).value
    invoiced = authorized.value - apart
    rest = max(0, invoiced - (_captured(payment, currency) - apart))
    # Prices before tax: the invoice comes to more than was authorized, or not, and goes down in the same proportion.
    return Money(rest if invoice.amount.value == invoiced else invoice.amount.value * rest // invoiced, currency)


def _captured(payment: Payment, currency: str) -> int:
    highest: dict[str, int] = {}
    for fact in payment.arrivals:
        if fact.amount and fact.amount.currency == currency:
            before = highest.get(fact.key, 0)
            highest[fact.key] = max(before, fact.amount.value) if fact.running_total else before + fact.amount.value
    return sum(highest.values())


# --- documents -----------------------------------------------------------------------------------------------------------


def lower(sheet: Sheet, returned: Returned) -> None:
    """Money that came back after it was credited: invoice it again, referring to the credit note. Nothing is voided."""
    excess = sheet.credited(returned.subject, returned.level.currency) - returned.level
    credit_note = sheet.find(returned.subject, DocumentKind.CREDIT_NOTE)
    if excess.value <= 0 or credit_note is None:
        return
    date = max(sheet.customer.local_date(returned.fact.latest_at).isoformat(), credit_note.date)
    what = _TAKEN_BACK.get(returned.kind, "refund failed after it was credited")
    record = sheet.payment_record(returned.fact.key, excess, returned.fact, of=credit_note.payment_id)
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
            lines=_corrected(sheet, credit_note, f"Correction: {what}", excess),
            payer=credit_note.payer,
            payments=() if _is_owed(sheet, returned) else (record,),
            **_tax_context(credit_note),
        ),
        sheet.policy_at(returned.fact),
    )


def _is_owed(sheet: Sheet, returned: Returned) -> bool:
    """Whether what was captured after all failed again: then it is asked for once more."""
    payment = next((one for one in sheet.payments if one.id == returned.payment_id), None)
    return returned.kind == "uncaptured" and payment is not None and all(map(payment.reversal_of, payment.arrivals))


_TAKEN_BACK = {
    "dispute": "dispute won after it was credited",
    "uncaptured": "captured after all",
}


def _corrected(sheet: Sheet, credit_note: Document, name: str, excess: Money) -> tuple[Line, ...]:
    """Lines that take a credit back at the taxes it was given at."""
    notes = [
        known for known in sheet.documents if known.kind is DocumentKind.CREDIT_NOTE and known.subject == credit_note.subject
    ]
    if same := next((note for note in reversed(notes) if note.amount == excess), None):
        return tuple(replace(line, name=name) for line in same.lines)  # also rounded as it was
    credited = {line.tax: 0 for note in notes for line in note.lines}
    for line in (line for note in notes for line in note.lines):
        credited[line.tax] += line.amount
    shares = shared_out_amount(excess, credited)
    return tuple(Line(name=name, quantity=1, amount=share, tax=tax) for tax, share in shares.items())


def credit(sheet: Sheet, returned: Returned) -> None:
    """Credit what is missing, invoice by invoice, never more than an invoice still holds."""
    missing = returned.level - sheet.credited(returned.subject, returned.level.currency)
    if missing.value <= 0:
        return
    invoices = _creditable(sheet, returned)
    if not invoices:
        _explain_no_invoice(sheet, returned)
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


def _creditable(sheet: Sheet, returned: Returned) -> list[Document]:
    """The invoices a return may be credited against: that of its capture first, then of its payment, then the others."""
    invoices = [
        known for known in sheet.documents if known.kind is DocumentKind.INVOICE and not known.issuer and sheet.is_final(known)
    ]
    preferred = (f"capture:{returned.capture_id}", f"payment:{returned.payment_id}")
    return sorted(invoices, key=lambda known: (known.subject not in preferred, known.payment_id != returned.payment_id))


def _explain_no_invoice(sheet: Sheet, returned: Returned) -> None:
    """Wait for the payment, or for its invoice; nothing waits for what the policy never issues."""
    paid = [p for p in sheet.payments if sheet.are_one_payment(p.id, returned.payment_id) and p.arrivals]
    if any(sheet.policy_at(arrived).invoices == "fee" for payment in paid for arrived in payment.arrivals):
        return
    has_draft = any(known.kind is DocumentKind.INVOICE and known.draft for known in sheet.documents)
    sheet.wait(returned.fact, "finalization" if has_draft else "invoice" if paid else "payment")


_WHAT = {FactType.DISPUTE_LOST: "dispute lost", FactType.DISPUTE_OPENED: "dispute opened"}


def _credit(sheet: Sheet, returned: Returned, invoice: Document, amount: Money) -> None:
    what = _reason(returned)
    paid_out = amount if returned.moved_money else zero(amount.currency)
    if returned.recorded is not None:
        paid_out = min(amount, returned.recorded)
    # What was taken back and is credited again happened again: it must not be dated before the corrective invoice.
    moment = returned.fact.latest_at if sheet.find(returned.subject) else returned.fact.occurred_at
    record = sheet.payment_record(returned.fact.key, paid_out, returned.fact, of=invoice.payment_id)
    sheet.add(
        Document(
            key=sheet.next_key(DocumentKind.CREDIT_NOTE, returned.subject),
            kind=DocumentKind.CREDIT_NOTE,
            subject=returned.subject,
            amount=amount,
            # Money may go back before the policy has its sale invoiced: no credit note is older than its invoice.
            date=max(sheet.customer.local_date(moment).isoformat(), invoice.date),
            date_service=invoice.date_service,
            date_service_to=invoice.date_service_to,
            fact=returned.fact.identity,
            reason=f"{what}: credit note",
            payment_id=invoice.payment_id,
            refers_to=invoice.key,
            lines=sheet.credit_lines(f"{what.capitalize()}: {invoice.lines[0].name}", invoice, amount),
            payer=invoice.payer,
            payments=(record,) if paid_out else (),
            subscription_id=invoice.subscription_id,
            order_id=invoice.order_id,
            **_tax_context(invoice),
        ),
        sheet.policy_at(returned.fact),
    )


def apply_credits(sheet: Sheet) -> None:
    """A credit note for what nobody ever paid lowers what its invoice still asks for."""
    for note in list(sheet.documents):
        is_unpaid = note.kind is DocumentKind.CREDIT_NOTE and note.subject.startswith("uncaptured:")
        if is_unpaid and not sheet.referring_to(note, DocumentKind.CREDIT_APPLICATION):
            application = note.step(DocumentKind.CREDIT_APPLICATION, "credit applied to the invoice that is not paid")
            sheet.add(application, sheet.policy_of(note))


def _reason(returned: Returned) -> str:
    match returned.kind:
        case "doubled":
            return "invoiced with its renewal"
        case "uncaptured":
            return "never captured"
        case "refund" | "dispute":
            return _WHAT.get(returned.fact.type, "refund")


def _tax_context(document: Document) -> dict[str, Any]:
    """A reversal is taxed as what it reverses."""
    return {
        "transaction_type": document.transaction_type,
        "tax_clause": document.tax_clause,
        "tax_evidence": document.tax_evidence,
    }
