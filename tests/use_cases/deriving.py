"""Every document of a ledger, derived again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.derivation import Derivation, derive, through_time
from quittance.ledger import HEAD, CaseFile, Ledger, case_names
from quittance.registration import CustomerDirectory, customer_pk, read_customer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quittance.customers import BusinessCustomer
    from tests.fakes.memory_table import MemoryTable


def derived(table: MemoryTable) -> Iterator[tuple[CaseFile, str, Derivation]]:
    """Each case with the key of each of its documents, and what comes of deriving it."""
    ledger = Ledger(table)
    platform = CustomerDirectory(ledger, lambda: 0).platform()
    platforms = _through_time(table, platform) if platform else [None]
    for case in _cases(table):
        customer = read_customer(table, str(case.business_customer))
        assert customer
        customers, reports = _through_time(table, customer), ledger.reports(case)
        for key in case.documents:
            yield case, key, derive(case, key, reports, customers, platforms)


def _through_time(table: MemoryTable, customer: BusinessCustomer) -> list[BusinessCustomer]:
    return through_time(customer, table.read_partition(customer_pk(customer.id), "FACT#"))


def _cases(table: MemoryTable) -> Iterator[CaseFile]:
    for item in table.items():
        if item["pk"].startswith("CASE#") and item["sk"] == HEAD and item.get("business_customer"):
            provider, account, case_id = case_names(item["pk"])
            yield Ledger(table).open(provider, account, [case_id], join=False)
