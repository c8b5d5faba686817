"""Fees: what the platform keeps of a payment, invoiced to the business customer by the platform's own entity.

The sale and its fee are two documents between different parties; the policy may ask for either or both. A fee has a level, what
was kept less what was given back, and is brought there from what stands charged: by an invoice or a credit note for each
payment, or by an entry that the closing of a month takes in. The policy in force at the payment decides which; what was charged
one way is given back the same way, whatever policies came since.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from quittance.documents import Document, DocumentKind, PaymentRecord
from quittance.facts import Fact, FactType, Item, Payer
from quittance.fees import FeeEntry, FeeKind, charged_by_month, month_of
from quittance.money import Money, zero
from quittance.plan.sheet import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from quittance.customers import BusinessCustomer
    from quittance.plan.sheet import Payment, Sheet

_SUBJECTS = {FeeKind.TRANSACTION: "fee", FeeKind.RETURN: "return_fee"}


def invoice_fee(sheet: Sheet, payment: Payment) -> None:
    """Bring the fees of a payment to what was kept of it, by documents or by entries of a month.

    A payout says what was really kept; until then the payment's own reports do.
    """
    if not payment.is_named or not (payment.succeeded or payment.captures) or not sheet.customer.is_charged_fees:
        return
    for kind, levels in ((FeeKind.TRANSACTION, _kept(sheet, payment)), (FeeKind.RETURN, _kept_of_returns(sheet, payment))):
        for currency in sorted({*levels, *_currencies(sheet, payment, kind)}):
            _bring(sheet, payment, kind, Money(levels[currency], currency))


def _bring(sheet: Sheet, payment: Payment, kind: FeeKind, level: Money) -> None:
    missing = level - _standing(sheet, payment, kind, level.currency)
    policy = sheet.policy_at(payment.arrivals[0])
    if missing.value < 0:
        _give_back(sheet, payment, kind, zero(level.currency) - missing)
    elif missing and policy.invoices != "sale":
        charge = _note if policy.fee_invoices == "monthly" else _invoice
        charge(sheet, payment, kind, missing)


# --- how much is kept ----------------------------------------------------------------------------------------------------


def _kept(sheet: Sheet, payment: Payment) -> Counter[str]:
    """Of each currency, the minor units that should stand charged for the payment itself."""
    charged = _charged(payment)
    given_back = _sum(fact.fee for fact in _refunds(sheet, payment)) | _sum(_reversed(f) for f in _returns(payment))
    return Counter({currency: max(0, fee - given_back[currency]) for currency, fee in charged.items()})


def _charged(payment: Payment) -> Counter[str]:
    """What the payouts kept, once they hold the whole payment; until then at least what its own reports say."""
    reported = _each_once(payment.captures) or _each_once([payment.succeeded] if payment.succeeded else [])
    settled = list(_settled(payment))
    if not settled:
        return reported
    kept = _sum(fact.fee for fact in settled)
    gross = sum((_gross(fact) for fact in settled), zero(_gross(settled[0]).currency))
    paid = _paid(payment)
    is_whole = gross.currency != paid.currency or gross >= paid
    return kept if is_whole else kept | reported


def _settled(payment: Payment) -> Iterator[Fact]:
    """The payouts' lines that brought the payment itself, each once: a payout that failed comes again under another id."""
    gross = 0
    paid = _paid(payment)
    for fact in payment.settlements:
        one = _gross(fact)
        if one.value > 0 and (not gross or (one.currency == paid.currency and gross + one.value <= paid.value)):
            gross += one.value
            yield fact


def _returns(payment: Payment) -> list[Fact]:
    """The payouts' lines that took something back, or brought only a fee."""
    return [fact for fact in payment.settlements if _gross(fact).value <= 0]


def _gross(settlement: Fact) -> Money:
    """What a payout's line was before the fee. Its amount is the net one."""
    amount = settlement.amount or zero(settlement.fee.currency if settlement.fee else "")
    return amount + settlement.fee if settlement.fee else amount


def _paid(payment: Payment) -> Money:
    amounts = [fact.amount for fact in payment.arrivals if fact.amount]
    currency = amounts[0].currency if amounts else ""
    return sum((amount for amount in amounts if amount.currency == currency), zero(currency))


def _reversed(settlement: Fact) -> Money | None:
    fee = settlement.fee
    return zero(fee.currency) - fee if fee and fee.value < 0 else None


def _kept_of_returns(sheet: Sheet, payment: Payment) -> Counter[str]:
    """Of each currency, the minor units that should stand charged for disputes and other returns."""
    won = {fact.key: _sum([fact.fee]) for fact in _of(sheet, payment, FactType.DISPUTE_WON)}
    reported: Counter[str] = Counter()
    for key, fees in _by_key(_of(sheet, payment, FactType.DISPUTE_OPENED, FactType.DISPUTE_LOST)).items():
        reported += fees - won.get(key, Counter())
    return reported | _sum(fact.fee for fact in _returns(payment) if fact.fee and fact.fee.value > 0)


def _each_once(reports: Iterable[Fact]) -> Counter[str]:
    return sum(_by_key(reports).values(), Counter())


def _by_key(reports: Iterable[Fact]) -> dict[str, Counter[str]]:
    """The fees of what has one key, each told by any of its reports: a running total tells all of them so far."""
    named: dict[str, Counter[str]] = {}
    for fact in reports:
        named[fact.key] = named.get(fact.key, Counter()) | _sum([fact.fee])
    return named


def _sum(amounts: Iterable[Money | None]) -> Counter[str]:
    total: Counter[str] = Counter()
    for amount in amounts:
        if amount:
            total[amount.currency] += amount.value
    return total


def _refunds(sheet: Sheet, payment: Payment) -> list[Fact]:
    failed = {fact.key for fact in sheet.facts(FactType.REFUND_FAILED)}
    return [fact for fact in _of(sheet, payment, FactType.REFUND_SUCCEEDED) if fact.key not in failed]


def _of(sheet: Sheet, payment: Payment, *types: FactType) -> list[Fact]:
    return [fact for fact in sheet.facts(*types) if sheet.are_one_payment(fact.payment_id, payment.id)]


# --- what stands charged -------------------------------------------------------------------------------------------------


def _standing(sheet: Sheet, payment: Payment, kind: FeeKind, currency: str) -> Money:
    subject = _subject(payment, kind)
    documents = sheet.total(DocumentKind.INVOICE, subject, currency) - sheet.total(DocumentKind.CREDIT_NOTE, subject, currency)
    return documents + Money(sum(charged_by_month(_entries(sheet, payment, kind, currency)).values()), currency)


def _currencies(sheet: Sheet, payment: Payment, kind: FeeKind) -> set[str]:
    invoiced = {invoice.amount.currency for invoice in _invoices(sheet, _subject(payment, kind))}
    return invoiced | {entry.amount.currency for entry in sheet.fees if (entry.payment_id, entry.kind) == (payment.id, kind)}


def _entries(sheet: Sheet, payment: Payment, kind: FeeKind, currency: str) -> list[FeeEntry]:
    wanted = (payment.id, kind, currency)
    return [entry for entry in sheet.fees if (entry.payment_id, entry.kind, entry.amount.currency) == wanted]


def _subject(payment: Payment, kind: FeeKind) -> str:
    return f"{_SUBJECTS[kind]}:{payment.id}"


def _invoices(sheet: Sheet, subject: str) -> list[Document]:
    return [known for known in sheet.documents if known.kind is DocumentKind.INVOICE and known.subject == subject]


def _is_first(sheet: Sheet, payment: Payment, kind: FeeKind) -> bool:
    """Whether nothing was ever charged."""
    return not _currencies(sheet, payment, kind)


def _cause(sheet: Sheet, payment: Payment, kind: FeeKind) -> Fact:
    """The last report that says something about a fee; when it is first charged, the last one of the payment itself."""
    own = [payment.succeeded] if payment.succeeded else []
    reports = [*own, *payment.captures, *payment.settlements]
    if kind is FeeKind.RETURN:
        reports = _of(sheet, payment, FactType.DISPUTE_OPENED, FactType.DISPUTE_LOST, FactType.DISPUTE_WON) + _returns(payment)
    elif not _is_first(sheet, payment, kind):
        reports += _of(sheet, payment, FactType.REFUND_SUCCEEDED, FactType.REFUND_FAILED)
    with_fee = [fact for fact in reports if fact.fee or fact.type is FactType.REFUND_FAILED]
    return max(with_fee or reports, key=lambda fact: (fact.latest_at, fact.identity))


def _moment(sheet: Sheet, payment: Payment, kind: FeeKind) -> Fact:
    """The fact that dates a charge: the payment itself, and of a correction or of a return the report that brought it."""
    is_payment = kind is FeeKind.TRANSACTION and _is_first(sheet, payment, kind) and payment.arrivals
    return payment.arrivals[0] if is_payment else _cause(sheet, payment, kind)


# --- by the month --------------------------------------------------------------------------------------------------------


def _note(sheet: Sheet, payment: Payment, kind: FeeKind, amount: Money) -> None:
    month = month_of(sheet.customer.local_date(_moment(sheet, payment, kind).occurred_at))
    _add_entry(sheet, payment, kind, amount, month, month)


def _take_back(sheet: Sheet, payment: Payment, kind: FeeKind, amount: Money) -> None:
    """Give back what was noted, of the month charged last first: a month's invoice is never lowered by more than it holds."""
    month = month_of(sheet.customer.local_date(_cause(sheet, payment, kind).latest_at))
    standing = charged_by_month(_entries(sheet, payment, kind, amount.currency))
    for of in sorted(standing, reverse=True):
        part = min(amount, Money(standing[of], amount.currency))
        if part.value > 0:
            _add_entry(sheet, payment, kind, zero(amount.currency) - part, max(month, of), of)
            amount -= part


def _add_entry(sheet: Sheet, payment: Payment, kind: FeeKind, amount: Money, month: str, of: str) -> None:  # noqa: PLR0913, PLR0917 - what an entry is made of
    fact = _cause(sheet, payment, kind).identity
    sheet.note_fee(FeeEntry(kind=kind, payment_id=payment.id, amount=amount, fact=fact, month=month, of=of))


# --- payment by payment --------------------------------------------------------------------------------------------------


def _invoice(sheet: Sheet, payment: Payment, kind: FeeKind, amount: Money) -> None:
    if sheet.platform is None:
        sheet.wait(_cause(sheet, payment, kind), "platform entity")
        return
    subject = _subject(payment, kind)
    moment = _moment(sheet, payment, kind)
    day = sheet.platform.local_date(moment.occurred_at).isoformat()
    document = Document(
        key=sheet.next_key(DocumentKind.INVOICE, subject),
        kind=DocumentKind.INVOICE,
        subject=subject,
        amount=amount,
        date=day,
        date_due=day,
        date_service=day,
        fact=_cause(sheet, payment, kind).identity,
        reason="fee kept of a payment: the platform's invoice",
        payment_id=payment.id,
        payer=as_payer(sheet.customer),
        payments=(withheld(payment.id, amount, day),),
        issuer=PLATFORM,
    )
    item = Item(name=f"{kind.label} - {payment.id}", quantity=1, amount=amount.value)
    taxed = sheet.taxed(document, (item,), sheet.platform.policy_at(moment.occurred_at), sheet.platform)
    if taxed is not None:
        sheet.add(taxed, sheet.policy_at(moment))


def _give_back(sheet: Sheet, payment: Payment, kind: FeeKind, amount: Money) -> None:
    """Credit what was invoiced, as far as that goes, and take back what was noted."""
    cause = _cause(sheet, payment, kind)
    for invoice in _invoices(sheet, _subject(payment, kind)):
        part = min(amount, sheet.uncredited(invoice)) if invoice.amount.currency == amount.currency else zero(amount.currency)
        if part.value > 0:
            _credit(sheet, invoice, part, cause, cause.latest_at, invoice.subject)
            amount -= part
    _take_back(sheet, payment, kind, amount)


def _credit(sheet: Sheet, invoice: Document, amount: Money, fact: Fact, moment: str, subject: str) -> None:  # noqa: PLR0913, PLR0917 - what a credit note is made of
    if sheet.platform is None:
        sheet.wait(fact, "platform entity")
        return
    day = sheet.platform.local_date(moment).isoformat()
    what = invoice.lines[0].name if len(invoice.lines) == 1 else "fees"
    sheet.add(
        Document(
            key=sheet.next_key(DocumentKind.CREDIT_NOTE, subject),
            kind=DocumentKind.CREDIT_NOTE,
            subject=subject,
            amount=amount,
            date=day,
            date_service=invoice.date_service,
            date_service_to=invoice.date_service_to,
            fact=fact.identity,
            reason="fee given back: credit note",
            payment_id=invoice.payment_id,
            refers_to=invoice.key,
            lines=sheet.credit_lines(f"Refund of {what}", invoice, amount),
            payer=invoice.payer,
            payments=(withheld(invoice.payment_id, amount, day),),
            issuer=PLATFORM,
            transaction_type=invoice.transaction_type,
            tax_clause=invoice.tax_clause,
            tax_evidence=invoice.tax_evidence,
        ),
        sheet.policy_at(fact),
    )


def withheld(reference: str, amount: Money, day: str) -> PaymentRecord:
    """A fee is never asked for: it is kept when the payment is paid out."""
    return PaymentRecord(reference=reference, amount=amount.value, method="other", date=day)


def as_payer(customer: BusinessCustomer) -> Payer:
    """The business customer as the one who owes a fee."""
    profile = customer.profile
    address = profile.get("address") or {}
    parts = {part: address.get(part) for part in ("line1", "line2", "city", "postal_code", "state")}
    said = {name: profile.get(name) for name in ("name", "email", "country", "tax_number")}
    return Payer(**said, **parts)


# --- a month that is closed ----------------------------------------------------------------------------------------------


def invoice_month(sheet: Sheet) -> None:
    """One invoice for the fees of a month, and a credit note for what each later month gave back of them."""
    for closed in sheet.facts(FactType.FEES_CLOSED):
        if not sheet.find(_month_subject(closed)):
            _invoice_month(sheet, closed)
    for returned in sheet.facts(FactType.FEES_RETURNED):
        _credit_month(sheet, returned)


def _month_subject(fact: Fact) -> str:
    return f"fees:{fact.key}"


def _invoice_month(sheet: Sheet, closed: Fact) -> None:
    if sheet.platform is None:
        sheet.wait(closed, "platform entity")
        return
    if closed.amount is None:
        return
    day = closed.occurred_at[: len("2026-11-30")]
    subject = _month_subject(closed)
    document = Document(
        key=sheet.next_key(DocumentKind.INVOICE, subject),
        kind=DocumentKind.INVOICE,
        subject=subject,
        amount=closed.amount,
        date=day,
        date_due=day,
        date_service=closed.period_start,
        date_service_to=closed.period_end,
        fact=closed.identity,
        reason="fees kept in a month: the platform's invoice",
        payment_id=closed.key,
        payer=as_payer(sheet.customer),
        payments=(withheld(closed.key, closed.amount, day),),
        issuer=PLATFORM,
    )
    taxed = sheet.taxed(document, closed.items, sheet.platform.policy_at(closed.occurred_at), sheet.platform)
    if taxed is not None:
        sheet.add(taxed, sheet.policy_at(closed))


def _credit_month(sheet: Sheet, returned: Fact) -> None:
    invoice = sheet.find(_month_subject(returned))
    if invoice is None:
        sheet.wait(returned, "invoice")
        return
    subject = f"fees_returned:{returned.occurrence}"
    currency = invoice.amount.currency
    missing = (returned.amount or zero(currency)) - sheet.total(DocumentKind.CREDIT_NOTE, subject, currency)
    part = min(missing, sheet.uncredited(invoice))
    if part.value > 0:
        _credit(sheet, invoice, part, returned, returned.occurred_at[: len("2026-11-30")], subject)
    if excess := missing - part:
        sheet.find_fault("returned_more_than_paid", subject, excess)
