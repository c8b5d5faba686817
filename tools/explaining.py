"""Everything that an explanation of something in a ledger needs, read from that ledger alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quittance.acknowledgements import NOTHING_ACKNOWLEDGED, acknowledgements
from quittance.derivation import derive, through_time
from quittance.explanation import explain_case, explain_customer
from quittance.ledger import Ledger
from quittance.reconciliation.payout_marks import is_payout
from quittance.registration import customer_pk, read_customer
from tools.payouts import Payouts
from tools.reproduction import reproduced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quittance.customers import BusinessCustomer
    from quittance.derivation import Derivation
    from quittance.ledger import CaseFile
    from quittance.storage import Item
    from tools.ledger_view import LedgerView


class Explainer:
    """Explains payments and business customers of one ledger."""

    def __init__(self, view: LedgerView) -> None:
        self._view = view
        self._ledger = Ledger(view.table)
        self._payouts = Payouts(view.table)

    def payment(self, case: CaseFile) -> dict[str, Any]:
        """Everything about a payment, and whether each of its documents follows from the ledger again; or a payout, tied out."""
        customer = self._view.customer_of(case)
        reports = self._ledger.reports(case)
        derivations = self._derivations(case, customer, reports) if customer else {}
        planned = self._view.planned(case, customer)
        known = acknowledgements(self._view.table) if case.findings else NOTHING_ACKNOWLEDGED
        explained = explain_case(case, customer, planned, reports, derivations, acknowledged=known)
        return explained | ({"payout": self._payouts.tied(case).to_json()} if is_payout(case) else {})

    def customer(self, customer_id: str) -> dict[str, Any]:
        """Everything about a business customer."""
        findings = self._view.table.read_partition(customer_pk(customer_id), "FINDING#")
        customer = read_customer(self._view.table, customer_id)
        known = acknowledgements(self._view.table) if findings else NOTHING_ACKNOWLEDGED
        return explain_customer(customer_id, customer, self._registrations(customer_id), findings, known)

    def reproduced(self, case: CaseFile, key: str) -> bytes:
        """The PDF of a document, from its record. Raises `NotPrintedError`."""
        issuer = self._view.platform() if case.documents[key].record.document.issuer else self._view.customer_of(case)
        if issuer is None:
            raise LookupError(f"nobody is registered who issues {key}")
        return reproduced(case, key, issuer, self._registrations(issuer.id))

    def _derivations(self, case: CaseFile, customer: BusinessCustomer, reports: Sequence[Item]) -> dict[str, Derivation]:
        customers = through_time(customer, self._registrations(customer.id))
        platform = self._view.platform() if customer.is_charged_fees else None
        platforms = through_time(platform, self._registrations(platform.id)) if platform else [None]
        return {key: derive(case, key, reports, customers, platforms) for key in case.documents}

    def _registrations(self, customer_id: str) -> list[Item]:
        return self._view.table.read_partition(customer_pk(customer_id), "FACT#")
