"""The heart of the product: which documents should exist, given everything that is known about one payment.

`plan` is pure. It has no clock, no I/O and no memory: the same facts, customer and recorded documents always give the same
plan, in whichever order the facts arrived. The mission's table is in `plan` itself; each step below it is one row.

A plan is a difference. Every subject (a payment, a refund, a dispute) has a level at which its documents should stand, and
the plan holds what is missing to get there from the documents that are already recorded. So a late, repeated or contradicting
event needs no special case: it moves a level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.facts import FactType
from quittance.plan import drafts, emails, fees, returns, sales
from quittance.plan.sheet import PLATFORM, Case, Finding, Plan, Sheet, TaxCheck, Waiting

if TYPE_CHECKING:
    from quittance.customers import BusinessCustomer

__all__ = ["PLATFORM", "Case", "Finding", "Plan", "TaxCheck", "Waiting", "plan"]


def plan(case: Case, customer: BusinessCustomer, platform: BusinessCustomer | None = None) -> Plan:
    """The documents that should exist for `case` and do not yet. `platform` issues fee invoices; None until it is registered.

    Guarantees: at most one invoice for each sale; credit notes never exceed the invoice they credit; every document carries
    the fact and the reason it was planned for; planning again after its documents were recorded gives an empty plan.
    """
    sheet = Sheet(case, customer, platform)
    # authorized only -> nothing, unless the policy says so; dispute opened or inquiry -> nothing, unless the policy says so
    for renewal in sheet.facts(FactType.SUBSCRIPTION_RENEWED):
        sales.invoice_renewal(sheet, renewal)  # subscription renewed -> recurring invoice
    for payment in sheet.payments:
        sales.invoice_payment(sheet, payment)  # payment succeeded -> invoice, or one invoice per capture
        drafts.settle_drafts(sheet, payment)  # payout paid -> its drafts become final
        sales.align_payment_records(sheet, payment)  # payment recorded; failed after success -> record removed
        fees.invoice_fee(sheet, payment)  # the fee of a payment -> the platform's invoice for it
    fees.invoice_month(sheet)  # a month of fees closed -> one invoice; given back later -> credit note
    returned = returns.returned_money(sheet)
    for money in returned:
        returns.lower(sheet, money)  # refund failed, dispute won after it was credited -> corrective invoice
    for money in returned:
        returns.credit(sheet, money)  # refund processed, dispute lost -> credit note
    returns.apply_credits(sheet)  # what was never captured is not asked for any more
    emails.send_documents(sheet)  # each final document to its payer, if the policy says so
    sales.report_failures(sheet)
    return sheet.plan()
