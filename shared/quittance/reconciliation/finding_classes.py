"""Every finding of the product: how grave it is, when it counts, who may set its repair going, and what to do.

A repair is never an edit. `AUTOMATIC` and `WITH_APPROVAL` both have the payment converged again, so that the normal pipeline
issues what its plan says; the first only where that can bring about nothing but what was due anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

from quittance.reconciliation.results import RepairMode, Severity

CRITICAL, ERROR, WARNING = Severity.CRITICAL, Severity.ERROR, Severity.WARNING
AUTOMATIC, WITH_APPROVAL, NEVER = RepairMode.AUTOMATIC, RepairMode.WITH_APPROVAL, RepairMode.NEVER

MINUTES = 60
HOURS = 60 * MINUTES
DAYS = 24 * HOURS
UNDER_WAY_S = 2 * HOURS
"""How long what the plan asks for may take: queues, retries and short outages of the invoicing API are no findings."""


@dataclass(frozen=True, slots=True)
class FindingClass:
    """What is known of a finding by its code alone."""

    severity: Severity
    age_s: int
    """How long it must have been so before it counts."""
    repair: RepairMode
    proposal: str
    """What to do, in one sentence."""
    is_difference: bool = True
    """Ledger and invoicing API, or payout and documents, do not agree. Of what it is not, the books may be right all the same."""
    is_kept_elsewhere: bool = False
    """The ledger itself keeps it, with its payment or business customer, for as long as it holds."""


_MISSING: dict[str, FindingClass] = {
    "payment_without_invoice": FindingClass(ERROR, UNDER_WAY_S, AUTOMATIC, "Converge the payment again: its invoice is issued."),
    "refund_without_credit_note": FindingClass(
        ERROR, UNDER_WAY_S, AUTOMATIC, "Converge the payment again: the refund is credited."
    ),
    "dispute_without_credit_note": FindingClass(
        ERROR, UNDER_WAY_S, AUTOMATIC, "Converge the payment again: the lost dispute is credited."
    ),
    "not_issued": FindingClass(ERROR, UNDER_WAY_S, AUTOMATIC, "Converge the payment again: what is missing is issued."),
    "document_intended": FindingClass(
        ERROR, UNDER_WAY_S, AUTOMATIC, "Converge the payment again: the unknown outcome is looked up, then finished."
    ),
    "paid_though_failed": FindingClass(
        CRITICAL, UNDER_WAY_S, AUTOMATIC, "Converge the payment again; a record that it leaves was made by hand: remove that one."
    ),
    "unpaid_though_settled": FindingClass(
        ERROR,
        UNDER_WAY_S,
        WITH_APPROVAL,
        "Converge the payment again, and have the provider send its success.",
    ),
    "settled_unreported": FindingClass(
        ERROR, UNDER_WAY_S, NEVER, "Have the provider send the payment's success again, or backfill it from an export."
    ),
    "waiting_too_long": FindingClass(
        WARNING,
        7 * DAYS,
        WITH_APPROVAL,
        "See what it waits for; once that is there, converge the payment again.",
        is_difference=False,
    ),
}
"""What should exist and does not."""

_WRONG: dict[str, FindingClass] = {
    "document_missing": FindingClass(CRITICAL, 0, NEVER, "Restore the document in Space Invoices: the ledger proves its issue."),
    "duplicate": FindingClass(CRITICAL, 0, NEVER, "Credit the second document by hand."),
    "orphan": FindingClass(CRITICAL, 0, NEVER, "Find out who copied it; credit it by hand if nothing was sold."),
    "made_by_hand": FindingClass(WARNING, 0, NEVER, "Nothing if the sale is outside of this service; else credit it by hand."),
    "over_credited": FindingClass(CRITICAL, 0, NEVER, "Invoice by hand what was credited too much."),
    "total_with_tax_differs": FindingClass(CRITICAL, 0, NEVER, "Edited by hand: restore the version that was issued."),
    "currency_code_differs": FindingClass(CRITICAL, 0, NEVER, "Edited by hand: restore the version that was issued."),
    "tax_amount_differs": FindingClass(CRITICAL, 0, NEVER, "Compare the taxes of the document with those of its policy."),
    "number_differs": FindingClass(ERROR, 0, NEVER, "Edited by hand: restore the number that was issued."),
    "is_draft_differs": FindingClass(WARNING, 0, NEVER, "Finalized by hand: nothing to do once the ledger has heard of it."),
    "voided_by_hand": FindingClass(ERROR, 0, NEVER, "Issue by hand what is to stand in its place, or keep the reason."),
    "total_paid_differs": FindingClass(ERROR, 0, NEVER, "Add or remove the record of money by hand, as the ledger has it."),
    "payout_residual": FindingClass(
        ERROR, 1 * DAYS, NEVER, "Ask the provider for the lines that are named, or backfill its settlement report."
    ),
    "payout_currency_differs": FindingClass(
        WARNING, 1 * DAYS, NEVER, "Compare by hand: the payments were taken in another currency than they were paid out in."
    ),
}
"""What exists and should not, or not like this."""


def _standing(severity: Severity, repair: RepairMode, proposal: str) -> FindingClass:
    return FindingClass(severity, 0, repair, proposal, is_difference=False, is_kept_elsewhere=True)


_STANDING: dict[str, FindingClass] = {
    # of a payment, by its plan
    "payment_failed_after_success": _standing(ERROR, NEVER, "Collect the money again, or credit the invoice."),
    "returned_more_than_paid": _standing(ERROR, NEVER, "Ask the provider why more was returned than was paid."),
    "payment_currency_differs": _standing(ERROR, NEVER, "Record the money by hand."),
    "return_currency_differs": _standing(ERROR, NEVER, "Credit by hand what was returned."),
    "amount_not_representable": _standing(ERROR, NEVER, "Write the document by hand: two decimals cannot carry the amount."),
    "tax_rate_missing": _standing(ERROR, WITH_APPROVAL, "Register a policy that has the rate; its payments are then converged."),
    "tax_number_malformed": _standing(WARNING, NEVER, "Ask the buyer, or register with the right number."),
    "items_do_not_add_up": _standing(WARNING, NEVER, "Correct the events that the platform sends."),
    "tax_not_collected": _standing(WARNING, NEVER, "Ask the buyer for the rest."),
    "paid_more_than_invoiced": _standing(WARNING, NEVER, "Return what was paid too much."),
    "payout_failed": _standing(ERROR, NEVER, "See that its money came with another payout; correct the bank details."),
    "document_refused": FindingClass(
        CRITICAL, 0, NEVER, "Mend the business customer, then write the document by hand.", is_kept_elsewhere=True
    ),
    # of a payment, seen of its documents
    "document_deleted": _standing(CRITICAL, NEVER, "Restore the document in Space Invoices."),
    "document_voided": _standing(ERROR, NEVER, "Issue by hand what is to stand in its place, or keep the reason."),
    "document_edited": _standing(CRITICAL, NEVER, "Restore the version that was issued."),
    "document_paid_by_hand": _standing(ERROR, NEVER, "Remove the record of money, or correct what the provider reported."),
    "payment_removed_by_hand": _standing(ERROR, NEVER, "Add the record of money again by hand."),
    "payment_record_replaced": _standing(ERROR, NEVER, "Remove the record of money if it is the payment that failed."),
    "duplicate_document": _standing(CRITICAL, NEVER, "Credit the newer of the two by hand."),
    # of a payment, in the answer to our own request
    "is_draft": _standing(ERROR, NEVER, "Finalize the document by hand, or take it back."),
    "not_numbered": _standing(ERROR, NEVER, "Finalize the document by hand."),
    "total_differs": _standing(CRITICAL, NEVER, "Compare the document with the policy."),
    "currency_differs": _standing(CRITICAL, NEVER, "Compare the document with its payment."),
    "payment_differs": _standing(ERROR, NEVER, "Compare what is recorded as paid with the payment."),
    "payment_amount_differs": _standing(ERROR, NEVER, "Compare what is recorded as paid with the payment."),
    "tax_differs": _standing(CRITICAL, NEVER, "Compare the taxes of the document with the policy."),
    "transaction_type_differs": _standing(WARNING, NEVER, "Compare the buyer's country and number with the policy."),
    # of a payment, in what was reported
    "conflict": _standing(CRITICAL, NEVER, "Find out which of the two reports is true; the first one counts."),
    # of a business customer, when it was registered
    "entity_unknown": _standing(ERROR, NEVER, "Register with the right entity."),
    "entity_taken": _standing(ERROR, NEVER, "Find out whose entity it is; register with the right one."),
    "entity_of_other_environment": _standing(ERROR, NEVER, "Register with an entity of this environment."),
    "entity_incomplete": _standing(ERROR, NEVER, "Register with the fields that are named."),
    "entity_refused": _standing(ERROR, NEVER, "Register with what the API accepts."),
    "entity_duplicate": _standing(WARNING, NEVER, "Disable the other entity if it issued nothing."),
    "entity_fixed": _standing(WARNING, NEVER, "Register a business that moved as a new business customer."),
    "entity_country_fixed": _standing(WARNING, NEVER, "Register a business that moved as a new business customer."),
    "fiscal_data_not_sent": _standing(WARNING, NEVER, "Issue those documents in Space Invoices, or switch the duty off there."),
    "policy_version_reused": _standing(ERROR, NEVER, "Register the policy under a new version."),
    "policy_contradicts_itself": _standing(ERROR, NEVER, "Register a policy whose settings go together."),
    "tax_unknown": _standing(ERROR, NEVER, "Register with a tax of the entity."),
    "tax_refused": _standing(ERROR, NEVER, "Put the tax right in Space Invoices, register again."),
    "tax_rate_differs": _standing(ERROR, NEVER, "Put the tax right in Space Invoices, register again."),
    "webhook_refused": _standing(WARNING, NEVER, "Check PublicWebhooksUrl, register again."),
    "account_taken": _standing(ERROR, NEVER, "Correct whichever registration is wrong."),
    "platform_taken": _standing(ERROR, NEVER, "Correct whichever registration is wrong."),
    "document_unknown": _standing(ERROR, NEVER, "Find out who copied the document."),
}
"""What the ledger itself keeps, in the partition of a payment or a business customer, for as long as it holds."""

CLASSES: dict[str, FindingClass] = _MISSING | _WRONG | _STANDING
"""Code -> class."""


def finding_class(code: str) -> FindingClass:
    """The class of a finding. One that nobody described is an error that only a person can put right."""
    return CLASSES.get(code, _UNDESCRIBED)


_UNDESCRIBED = _standing(ERROR, NEVER, "See the payment with `quittance explain`.")
