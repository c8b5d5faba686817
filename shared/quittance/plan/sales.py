"""What was sold: invoices for payments, captures and renewals, and the money recorded on them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from quittance.disagreements import disagreements
from quittance.documents import Document, DocumentKind
from quittance.facts import FactType, Item
from quittance.money import Money, zero
from quittance.plan.sheet import printed
from quittance.tax import gross_total, shared_out_amount

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from quittance.documents import PaymentRecord
    from quittance.facts import Fact
    from quittance.plan.sheet import Payment, Sheet
    from quittance.policy import Policy

# --- invoices ------------------------------------------------------------------------------------------------------------


def invoice_renewal(sheet: Sheet, renewal: Fact) -> None:
    """One invoice for the period, with every payment of it that is known by now recorded in the same call."""
    paying = [payment for payment in sheet.payments if payment.renewal is renewal]
    if not renewal.amount or any(sheet.sale_invoice_of(payment) for payment in paying):
        sheet.without_own_invoice.add(renewal.key)  # its money was invoiced before anyone said what it was for
        return
    policy = sheet.policy_at(renewal)
    if sheet.find(f"renewal:{renewal.key}") or policy.invoices == "fee":
        return
    if (paying or renewal.is_paid) and not any(payment.is_named for payment in paying):
        sheet.wait(renewal, "payment named")
        return
    issued_on = sheet.customer.local_date(renewal.occurred_at).isoformat()
    start, end = (sheet.local_date(day) for day in (renewal.period_start, renewal.period_end))
    period = " to ".join(day for day in (start, end) if day)
    name = " - ".join(part for part in (renewal.subscription_plan or "Subscription", period) if part)
    document = Document(
        key=sheet.next_key(DocumentKind.INVOICE, f"renewal:{renewal.key}"),
        kind=DocumentKind.INVOICE,
        subject=f"renewal:{renewal.key}",
        amount=renewal.amount,
        date=issued_on,
        date_due=_due(issued_on, policy),
        date_service=start,
        date_service_to=max(start, end) if start and end else None,
        fact=renewal.identity,
        reason="subscription renewed: recurring invoice",
        payment_id=paying[0].id if paying else renewal.key,
        payer=renewal.payer,
        subscription_id=renewal.subscription_id,
        order_id=renewal.order_id,
    )
    _issue(sheet, document, (Item(name=name, quantity=1, amount=renewal.amount.value),), paying, policy)


def invoice_payment(sheet: Sheet, payment: Payment) -> None:
    """One invoice for a payment, or one for each of its captures; a success and captures never both count."""
    if not payment.is_named:
        if payment.succeeded and not any(other.is_named and payment.id in other.aliases for other in sheet.payments):
            sheet.wait(payment.succeeded, "payment named")
        return
    if sheet.belongs_to_renewal(payment):
        return
    if sheet.find(f"payment:{payment.id}"):
        _invoice_more_than_authorized(sheet, payment)
    elif payment.reported and not payment.renewal and not payment.captures and sheet.awaits_renewal(payment):
        sheet.wait(payment.reported, "subscription.renewed")
    elif (uninvoiced := _authorized_before_capture(sheet, payment)) and payment.authorized:
        _invoice_authorization(sheet, payment, payment.authorized, uninvoiced)
        _invoice_more_than_authorized(sheet, payment)
    else:
        _invoice_arrivals(sheet, payment)


def _authorized_before_capture(sheet: Sheet, payment: Payment) -> Money | None:
    """What an authorization calls to be invoiced for: all of it, less captures that were reported and invoiced before it."""
    authorized = payment.authorized
    if not authorized or not authorized.amount or payment.expiry or not sheet.calls_for_invoice(authorized, "authorized"):
        return None
    return max(zero(authorized.amount.currency), authorized.amount - sheet.invoiced_apart(payment, authorized.amount.currency))


def _invoice_arrivals(sheet: Sheet, payment: Payment) -> None:
    if payment.captures:
        arrivals = _increments(sheet, payment.captures)
    else:
        arrivals = ((fact, fact.amount) for fact in (payment.succeeded,) if fact and fact.amount)
    for arrived, amount in arrivals:
        if _is_due(sheet, payment, arrived):
            _invoice_sale(sheet, payment, arrived, amount)


def _is_due(sheet: Sheet, payment: Payment, arrived: Fact) -> bool:
    """Whether money that arrived is to be invoiced by now. It waits for its payout when the policy says so."""
    if sheet.policy_at(arrived).invoices == "fee":
        return False
    if sheet.calls_for_invoice(arrived, "captured") or payment.settlement_of(arrived):
        return True
    if not payment.reversal_of(arrived):  # what failed will never be paid out
        sheet.wait(arrived, "settlement")
    return False


def _increments(sheet: Sheet, captures: Iterable[Fact]) -> Iterator[tuple[Fact, Money]]:
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


def _invoice_authorization(sheet: Sheet, payment: Payment, authorized: Fact, amount: Money) -> None:
    """An authorized amount before it is captured: due later, with what was captured by now recorded."""
    policy = sheet.policy_at(authorized)
    day = sheet.customer.local_date(authorized.occurred_at).isoformat()
    document = _sale(sheet, payment, authorized, amount)
    document = replace(document, date_due=_due(day, policy), reason="payment authorized: invoice")
    _issue(sheet, document, _items(payment, authorized, amount), [payment], policy)


def _invoice_more_than_authorized(sheet: Sheet, payment: Payment) -> None:
    """What was captured beyond an authorization that was invoiced as a whole."""
    first = sheet.find(f"payment:{payment.id}")
    if not first or not first.fact.startswith(FactType.PAYMENT_AUTHORIZED) or first.prices_exclude_tax:
        return  # with prices before tax nobody knows whether more money is tax or another sale: a finding says so
    currency = first.amount.currency
    arrived = _total(payment.arrivals, currency) - sheet.invoiced_apart(payment, currency)
    missing = arrived - sheet.total(DocumentKind.INVOICE, first.subject, currency)
    if missing.value > 0 and _is_due(sheet, payment, payment.arrivals[-1]):
        _invoice_sale(sheet, payment, payment.arrivals[-1], missing, subject=first.subject)


def _invoice_sale(sheet: Sheet, payment: Payment, fact: Fact, amount: Money, subject: str = "") -> None:
    document = _sale(sheet, payment, fact, amount)
    policy = sheet.policy_at(fact)
    settled = payment.settlement_of(fact)
    if settled and not sheet.calls_for_invoice(fact, "captured"):
        day = sheet.customer.local_date(settled.occurred_at).isoformat()
        document = replace(document, date=day, date_due=day, fact=settled.identity, reason="payment settled: invoice")
        policy = sheet.policy_at(settled)
    if subject:
        document = replace(document, subject=subject, key=sheet.next_key(DocumentKind.INVOICE, subject))
    received = () if payment.reversal_of(fact) else (sheet.payment_record(payment.id, amount, fact),)
    _add_invoice(sheet, document, _items(payment, fact, amount), received, policy)


def _sale(sheet: Sheet, payment: Payment, fact: Fact, amount: Money) -> Document:
    is_capture = fact.type is FactType.PAYMENT_CAPTURED
    subject = f"capture:{fact.key}" if is_capture else f"payment:{payment.id}"
    day = sheet.customer.local_date(fact.occurred_at).isoformat()
    return Document(
        key=sheet.next_key(DocumentKind.INVOICE, subject),
        kind=DocumentKind.INVOICE,
        subject=subject,
        amount=amount,
        date=day,
        date_due=day,
        date_service=day,
        fact=fact.identity,
        reason="payment captured: invoice for this capture" if is_capture else "payment succeeded: invoice",
        payment_id=payment.id,
        payer=fact.payer or (payment.reported.payer if payment.reported else None),
        subscription_id=fact.subscription_id,
        order_id=fact.order_id,
    )


def _items(payment: Payment, fact: Fact, amount: Money) -> tuple[Item, ...]:
    """What `amount` was paid for. Of items that were told for another amount it is the proportional part, each at its tax."""
    told = (report for report in (fact, payment.succeeded, payment.authorized) if report and report.items and report.amount)
    source = next(told, None)
    if source is None or not source.amount or source.amount.currency != amount.currency:
        return (Item(name=fact.description or f"Payment {payment.id}", quantity=1, amount=amount.value),)
    if source.amount == amount:
        return source.items
    total = sum(item.amount for item in source.items)
    part = Money(round(Fraction(total * amount.value, source.amount.value)), amount.currency)
    shares = shared_out_amount(part, {place: item.amount for place, item in enumerate(source.items)})
    return tuple(replace(source.items[place], quantity=1, amount=share) for place, share in shares.items())


def _due(day: str, policy: Policy) -> str:
    return (date.fromisoformat(day) + timedelta(days=policy.due_days)).isoformat()


def _issue(sheet: Sheet, document: Document, items: tuple[Item, ...], paying: Iterable[Payment], policy: Policy) -> None:
    """An invoice that may be issued before its money arrived: what arrived by now is recorded on it."""
    taxed = _with_lines(sheet, document, items, policy)
    if taxed is not None:
        records = () if taxed.draft else _received(sheet, taxed.amount, paying)
        sheet.add(replace(taxed, payments=records))


def _add_invoice(
    sheet: Sheet, document: Document, items: tuple[Item, ...], received: tuple[PaymentRecord, ...], policy: Policy
) -> None:
    """An invoice for money that arrived, recorded with it up to what the invoice comes to; a draft takes no payments."""
    taxed = _with_lines(sheet, document, items, policy)
    if taxed is None:
        return
    records = tuple(replace(one, amount=min(one.amount, taxed.amount.value)) for one in received)
    sheet.add(replace(taxed, payments=() if taxed.draft else records))


def _with_lines(sheet: Sheet, document: Document, items: tuple[Item, ...], policy: Policy) -> Document | None:
    """The invoice with its taxed lines and the total they come to; None while its tax cannot be decided."""
    is_net = policy.prices == "exclusive"
    if not is_net and sum(item.amount for item in items) != document.amount.value:
        items = (replace(items[0], quantity=1, amount=document.amount.value),)
    taxed = sheet.taxed(document, items, policy, sheet.customer)
    if taxed is None:
        return None
    taxed = replace(taxed, draft=policy.issue_as == "draft", prices_exclude_tax=is_net)
    return _with_tax_added(sheet, taxed) if is_net else taxed


def _with_tax_added(sheet: Sheet, document: Document) -> Document | None:
    """Prices before tax: the total is what they come to with it, which need not be the money that moved."""
    currency = document.amount.currency
    total = gross_total(document.lines, currency, prices_exclude_tax=True)
    if total is None:
        sheet.find_fault("amount_not_representable", document.subject, document.amount)
        return None
    return replace(document, amount=Money(total, currency))


def _received(sheet: Sheet, due: Money, paying: Iterable[Payment]) -> tuple[PaymentRecord, ...]:
    """The payments that arrived and stayed, up to what is due."""
    records = []
    for payment in paying:
        stayed = [
            arrived
            for arrived in payment.arrivals
            if not payment.reversal_of(arrived) and not sheet.invoice_paid_by(payment, arrived)
        ]
        amount = min(_total(stayed, due.currency), due)
        if payment.is_named and amount:
            records.append(sheet.payment_record(payment.id, amount, stayed[-1]))
            due -= amount
    return tuple(records)


# --- the money on them ---------------------------------------------------------------------------------------------------


def align_payment_records(sheet: Sheet, payment: Payment) -> None:
    """Record a payment that arrived after its invoice; remove the record of one that failed after it had succeeded."""
    arrivals = [arrived for arrived in payment.arrivals if _has_invoice(sheet, payment, arrived)]
    for arrived in arrivals:
        if failure := payment.reversal_of(arrived):
            _remove_failed(sheet, payment, arrived, failure)
    for arrived in arrivals:
        if not payment.reversal_of(arrived):
            _record_up_to(sheet, payment, arrived)


def _has_invoice(sheet: Sheet, payment: Payment, arrived: Fact) -> bool:
    """Whether this money is to be found on an invoice; in another currency it is not, which a human must see."""
    invoice = sheet.invoice_paid_by(payment, arrived)
    if invoice is None or not payment.is_named or not arrived.amount:
        return False
    if arrived.amount.currency != invoice.amount.currency and sheet.is_final(invoice):
        sheet.find_fault("payment_currency_differs", f"payment:{payment.id}", arrived.amount)
    return arrived.amount.currency == invoice.amount.currency


def _issued_with(sheet: Sheet, payment: Payment, arrived: Fact) -> tuple[list[Document], list[Fact]]:
    """The invoices of the sale that this money pays, and all the money that arrived for them and stayed."""
    invoice = sheet.invoice_paid_by(payment, arrived)
    same = [one for one in payment.arrivals if sheet.invoice_paid_by(payment, one) is invoice and not payment.reversal_of(one)]
    known = [one for one in sheet.documents if one.kind is DocumentKind.INVOICE and invoice and one.subject == invoice.subject]
    return [one for one in known if sheet.is_final(one)], same


def _remove_failed(sheet: Sheet, payment: Payment, arrived: Fact, failure: Fact) -> None:
    """Remove the records of a payment that say more than stayed of it: one record may hold several captures."""
    invoices, stayed = _issued_with(sheet, payment, arrived)
    recorded = {invoice.key: sheet.recorded_on(invoice, payment.id) for invoice in invoices}
    if invoices and sum(one.value for one in recorded.values()) > _total(stayed, invoices[0].amount.currency).value:
        for invoice in invoices:
            if recorded[invoice.key]:
                _remove_record(sheet, payment, invoice, recorded[invoice.key], failure)


def _record_up_to(sheet: Sheet, payment: Payment, arrived: Fact) -> None:
    """Record what this arrival and those before it on the same invoices come to, as far as it is not recorded and is due."""
    invoices, stayed = _issued_with(sheet, payment, arrived)
    if not invoices:
        return
    missing = _total(stayed[: stayed.index(arrived) + 1], invoices[0].amount.currency)
    for invoice in invoices:
        missing -= sheet.recorded_on(invoice, payment.id)
    for invoice in invoices:
        amount = min(missing, sheet.outstanding(invoice))
        if amount.value > 0:
            _record_payment(sheet, payment, invoice, amount, arrived)
            missing -= amount


def _total(arrivals: Iterable[Fact], currency: str) -> Money:
    """What these reports of arrived money come to; of running totals under one key the highest counts."""
    totals: dict[str, Money] = {}
    amounts = zero(currency)
    for fact in arrivals:
        if fact.amount and fact.amount.currency == currency:
            if fact.running_total:
                totals[fact.key] = max(fact.amount, totals.get(fact.key, fact.amount))
            else:
                amounts += fact.amount
    return sum(totals.values(), amounts)


def _record_payment(sheet: Sheet, payment: Payment, invoice: Document, amount: Money, arrived: Fact) -> None:
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
        ),
        sheet.policy_of(invoice),
    )


def _remove_record(sheet: Sheet, payment: Payment, invoice: Document, amount: Money, failure: Fact) -> None:
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
        ),
        sheet.policy_of(invoice),
    )


# --- what a human should know --------------------------------------------------------------------------------------------


def report_failures(sheet: Sheet) -> None:
    """What was taken back, refused, changed by hand, left out, or does not come to the money that moved."""
    for payment in sheet.payments:
        for arrived in payment.arrivals:
            if payment.reversal_of(arrived):
                sheet.find_fault("payment_failed_after_success", f"payment:{payment.id}", arrived.amount)
        paid = (sheet.invoice_paid_by(payment, arrived) for arrived in payment.arrivals)
        for invoice in {known.key: known for known in paid if known}.values():
            _compare_with_total(sheet, payment, invoice)
        _report_items(sheet, payment)
    _report_tax_numbers(sheet)
    _report_payouts(sheet)
    for recorded in sheet.case.documents:
        if not recorded.stands:
            sheet.find_fault("document_refused", recorded.document.key, recorded.document.amount)
    for disagreement in disagreements(sheet.case.documents):
        sheet.find_fault(*disagreement)


def _report_payouts(sheet: Sheet) -> None:
    """A payout that did not arrive. What was settled by it stays settled: its money is the business customer's still."""
    paid = {fact.key: fact.latest_at for fact in sheet.facts(FactType.PAYOUT_PAID)}
    for failed in sheet.facts(FactType.PAYOUT_FAILED):
        if failed.latest_at >= paid.get(failed.key, ""):
            sheet.find_fault("payout_failed", f"payout:{failed.key}", failed.amount)


def _compare_with_total(sheet: Sheet, payment: Payment, invoice: Document) -> None:
    """Prices before tax: the money that moved may be less than the invoice, or more."""
    if not invoice.prices_exclude_tax:
        return
    asked = sheet.outstanding(invoice) + sheet.recorded_on(invoice)
    own = [arrived for arrived in payment.arrivals if sheet.invoice_paid_by(payment, arrived) is invoice]
    arrived = _total(own, asked.currency)
    is_open = invoice.fact.startswith(FactType.PAYMENT_AUTHORIZED) and not payment.succeeded and not payment.expiry
    if arrived and asked > arrived and not is_open:
        sheet.find_fault("tax_not_collected", invoice.subject, asked - arrived)
    if arrived > asked:
        sheet.find_fault("paid_more_than_invoiced", invoice.subject, arrived - asked)


def _report_items(sheet: Sheet, payment: Payment) -> None:
    """Items that did not come to the amount, so that the invoice has one line instead."""
    for fact in (payment.authorized, payment.succeeded, *payment.captures):
        if fact and fact.amount and fact.items and sum(item.amount for item in fact.items) != fact.amount.value:
            invoice = sheet.find(f"capture:{fact.key}") or sheet.find(f"payment:{payment.id}")
            if invoice and not invoice.prices_exclude_tax:
                sheet.find_fault("items_do_not_add_up", invoice.subject, invoice.amount)


def _report_tax_numbers(sheet: Sheet) -> None:
    """Buyers whose tax number was left out because it cannot be one."""
    stated = [fact.payer for fact in sheet.case.facts if fact.payer and fact.payer.tax_number]
    invoices = [known for known in sheet.documents if known.kind is DocumentKind.INVOICE and not known.refers_to]
    for invoice in invoices:
        if not invoice.payer or invoice.payer.tax_number:
            continue
        if any(printed(payer) == invoice.payer for payer in stated):
            sheet.find_fault("tax_number_malformed", invoice.subject)
