"""`python -m benchmarks.local_books PAYMENTS TEMPLATE` reconciles so many payments on local data and prints one JSON line.

It loads no more than the product does, because what it takes of memory is measured. Ledger and books are copies of a few payments
in the file TEMPLATE, with ids of their own: texts that are parsed one by one, as they would come from the table and from the API.
"""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.memory import peak_mib
from quittance.ledger import Ledger
from quittance.reconciliation.run import Run, Scope
from quittance.reconciliation.workbook import Workbook
from quittance.storage import Put
from tests.fakes.memory_table import MemoryTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quittance.space_invoices import SpaceInvoices
    from quittance.storage import Item

PAGE = 100
REFUNDED = 10
"""One payment in so many is of the template's second kind."""


class LocalBooks:
    """A ledger of many payments, and the invoicing API's lists of their documents."""

    def __init__(self, payments: int, template: dict[str, Any]) -> None:
        """`template` is what `benchmarks.reconciliation` writes."""
        self.now: int = template["now"]
        self.table = MemoryTable()
        self.table.commit([Put(item) for item in template["registered"]])
        self._payments = payments
        self._entity = template["entity"]
        self._kinds = template["kinds"]

    def scan(self, after: tuple[str, str] | None) -> Iterator[Item]:  # noqa: ARG002 - the run is not interrupted
        """The items of every payment."""
        for number in range(self._payments):
            for text in self._kind(number)["items"]:
                yield json.loads(self._own(text, number))

    def page(
        self, collection: str, *, entity_id: str | None, cursor: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Up to a hundred documents, as the API's client gives them."""
        if entity_id is None:
            return [self._entity], None
        page: list[dict[str, Any]] = []
        for number in count(int(cursor or 0)):
            if number == self._payments:
                return page, None
            texts = self._kind(number)[collection]
            if len(page) + len(texts) > PAGE:
                return page, str(number)
            page += [json.loads(self._own(text, number), parse_float=Decimal) for text in texts]
        raise AssertionError("numbers end")

    def _kind(self, number: int) -> dict[str, Any]:
        kind: dict[str, Any] = self._kinds[number % REFUNDED == 0]
        return kind

    def _own(self, text: str, number: int) -> str:
        kind = self._kind(number)
        for place, document in enumerate(kind["documents"]):
            text = text.replace(document, f"{document[:4]}{place}{number:023}")
        return text.replace(kind["payment"], f"pay_{number:016}")


def measured(payments: int, template: dict[str, Any]) -> dict[str, Any]:
    """Reconcile so many payments. `cpu_s` is all there is to it, the making and parsing of the data included."""
    books = LocalBooks(payments, template)
    with TemporaryDirectory() as folder:
        api: SpaceInvoices = books  # type: ignore[assignment]
        run = Run(
            ledger=Ledger(books.table),
            scan=books.scan,
            api=api,
            workbook=Workbook(Path(folder) / "workbook.sqlite3"),
            now=lambda: books.now,
            pace=lambda: None,
            scope=Scope(keeps=False),
        )
        started = time.process_time()
        run.work()
        took = time.process_time() - started
        result = run.result()
    if not result.agrees or [customer.payments for customer in result.customers] != [payments]:
        raise ValueError(result)
    return {"payments": payments, "cpu_s": took, "per_second": payments / took, "peak_rss_mib": peak_mib()}


if __name__ == "__main__":
    written = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    sys.stdout.write(json.dumps(measured(int(sys.argv[1]), written)) + "\n")
