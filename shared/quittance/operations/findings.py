"""Findings that stand: having them repaired, and acknowledging them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.acknowledgements import Acknowledgement, acknowledge, acknowledgements
from quittance.errors import Reject
from quittance.ledger import OPEN_FINDING, case_names
from quittance.operations.pages import chosen
from quittance.operations.payments import PaymentName
from quittance.reconciliation.finding_classes import FindingClass, finding_class
from quittance.reconciliation.results import RepairMode, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from quittance.acknowledgements import Acknowledgements
    from quittance.operations.payments import Payments
    from quittance.storage import Item, Keys, Page, PagedTable, Table

_CASE = "CASE#"


def severity_of(item: Item) -> Severity:
    return Severity(item.get("severity") or finding_class(item["code"]).severity)


def class_of(item: Item) -> FindingClass:
    return finding_class(item["code"])


def payment_of(item: Item) -> PaymentName | None:
    """The payment that a finding is about; None for one about a business customer, or about a document of no payment."""
    if item["pk"].startswith(_CASE):
        return PaymentName(*case_names(item["pk"]))
    if item.get("payment_id"):
        return PaymentName(item["provider"], item["account"], item["payment_id"])
    return None


class Findings:
    """Reads findings. Every method may raise `Retry`."""

    def __init__(self, table: Table, pages: PagedTable, payments: Payments, now: Callable[[], int]) -> None:
        """`now` gives seconds since 1970."""
        self._table = table
        self._pages = pages
        self._payments = payments
        self._now = now

    def acknowledgements(self) -> Acknowledgements:
        """What is acknowledged now."""
        return acknowledgements(self._table)

    def page(  # noqa: PLR0913 - whatever may be asked
        self,
        after: Keys | None,
        limit: int,
        *,
        acknowledged: Acknowledgements,
        is_acknowledged: bool = False,
        severity: Severity | None = None,
        code: str | None = None,
        business_customer: str | None = None,
    ) -> Page:
        """Those that stand and are asked for, either open or acknowledged; what is None is not asked."""

        def is_wanted(item: Item) -> bool:
            return (
                (acknowledged.of(item) is not None) is is_acknowledged
                and (severity is None or severity_of(item) is severity)
                and (code is None or item["code"] == code)
                and (business_customer is None or self.customer_of(item) == business_customer)
            )

        return chosen(self._pages, OPEN_FINDING, after, limit, is_wanted)

    def customer_of(self, item: Item) -> str:
        """Whose it is; empty while nobody registered the payment's account."""
        return self._payments.owner_of(item["pk"]) if item["pk"].startswith(_CASE) else item["pk"].partition("#")[2]

    def to_repair(self, keys: Keys) -> tuple[PaymentName, str]:
        """The payment that is to be converged again for a finding to go, and the finding's code.

        Raises `Reject`: `finding_unknown` if it does not stand, `finding_not_repairable` if only a person can put it right.
        """
        item = self._table.read(*keys)
        if item is None or item.get("reference") != OPEN_FINDING:
            raise Reject("finding_unknown")
        payment = payment_of(item)
        if payment is None or RepairMode(item.get("repair") or class_of(item).repair) is RepairMode.NEVER:
            raise Reject("finding_not_repairable", class_of(item).proposal)
        return payment, item["code"]

    def acknowledge(self, keys: Keys, by: str, reason: str) -> tuple[Item, Acknowledgement]:
        """Let a finding count as dealt with for as long as it says the same. Returns the finding as well.

        Raises `Reject("finding_unknown")` if it does not stand.
        """
        given = Acknowledgement(self._now(), by, reason)
        return acknowledge(self._table, keys, given), given
