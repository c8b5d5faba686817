"""A document printed once more from the ledger alone: nothing is asked of the invoicing API.

The request that made it is stored to the byte, and so are its id and its number. The sandbox, in memory and with the same rules,
carries that request out again under that id and number, and prints it with a mark that says what it is.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from quittance.derivation import through_time
from quittance.documents import DocumentKind, DocumentState
from quittance.entities import entity_body, tax_body
from quittance.mapping import COLLECTIONS
from quittance.space_invoices import SpaceInvoices
from tools.sandbox.model import Sandbox
from tools.sandbox.pdf import render_pdf
from tools.sandbox.settings import Settings
from tools.sandbox.sources import Identifiers
from tools.sandbox.transport import mounted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from quittance.customers import BusinessCustomer
    from quittance.ledger import CaseFile, DocumentEntry
    from quittance.storage import Item
    from tools.sandbox.wire import Record

PRINTED = frozenset({DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE})
"""What there is to print: everything else is a record of money, or something that is done to a document."""
STAMP = "COPY"
_NOTICE = "Reproduced from the ledger's record of {number}, issued at {issued_at} as {api_id}. This is not the original document."
_SETTINGS = Settings(rate_limits=None, accept_future_dates=True, accept_overpayment=True)
_PREFIXES = {DocumentKind.INVOICE: "inv", DocumentKind.CREDIT_NOTE: "cre"}


class NotPrintedError(Exception):
    """There is no such document to print. The message says why."""


def reproduced(case: CaseFile, key: str, issuer: BusinessCustomer, registrations: Iterable[Item]) -> bytes:
    """The PDF of an issued document as it was when it was issued: with the payments that its request recorded, and no later ones.

    `issuer` is who issued it, with its registrations: name and address are printed as they were registered then.
    Raises `NotPrintedError` for what is not an issued invoice or credit note.
    """
    entry = case.documents[key]
    if entry.record.document.kind not in PRINTED or entry.record.state is not DocumentState.ISSUED:
        raise NotPrintedError(f"{key} is not an issued invoice or credit note")
    press = _Press(_at_the_time(issuer, registrations, entry.intended_at), _notice(case, entry))
    for one in _with_what_it_refers_to(case, entry):
        press.make(case, one)
    return press.pdf(entry)


def _at_the_time(issuer: BusinessCustomer, registrations: Iterable[Item], seconds: int) -> BusinessCustomer:
    known = [item for item in registrations if item["recorded_at"] <= seconds]
    return through_time(issuer, known)[1] if known else issuer


def _with_what_it_refers_to(case: CaseFile, entry: DocumentEntry) -> Iterator[DocumentEntry]:
    """The documents it corrects, the first one first, and itself: a correction names them in print."""
    referred = case.documents.get(entry.record.document.refers_to)
    if referred and referred.record.document.kind in PRINTED:
        yield from _with_what_it_refers_to(case, referred)
    yield entry


def _notice(case: CaseFile, entry: DocumentEntry) -> str:
    issued_at = datetime.fromtimestamp(entry.issued_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    named = _number(case, entry) or "a draft"
    return _NOTICE.format(number=named, issued_at=issued_at, api_id=entry.record.api_id)


def _number(case: CaseFile, entry: DocumentEntry) -> str:
    """The number printed on a document; empty for one that is a draft still."""
    return "" if case.is_draft(entry.record) else entry.record.printed_number


class _KnownIdentifiers(Identifiers):
    """Identifiers in which those that are known already come first."""

    def __init__(self) -> None:
        super().__init__(lambda: datetime.fromtimestamp(0, UTC))
        self.known: defaultdict[str, deque[str]] = defaultdict(deque)

    def new(self, prefix: str) -> str:
        return self.known[prefix].popleft() if self.known[prefix] else super().new(prefix)


class _Press:
    """The sandbox with one entity, in which what is printed gets the ids and numbers that it had."""

    def __init__(self, issuer: BusinessCustomer, notice: str) -> None:
        self._now = datetime.fromtimestamp(0, UTC)
        self._ids = _KnownIdentifiers()
        self._notice = notice
        sandbox = Sandbox(clock=lambda: self._now, ids=self._ids, settings=_SETTINGS, render=self._render)
        self._api = SpaceInvoices("http://reproduction", lambda: "sk_sandbox_reproduction", transport=mounted(sandbox))
        self._requests = 0
        self._entity: str | None = None
        self._ids.known["ent"].append(issuer.entity_id or "")
        profile = issuer.profile | {"timezone": str(issuer.timezone)}
        self._entity = self._create("/entities", entity_body(issuer.id, profile, "sandbox"))["id"]
        self._taxes: set[str] = set()

    def _render(self, document: Record, payments: Sequence[Record], options: Record) -> bytes:
        return render_pdf(document | {"footer": self._notice}, payments, options | {"stamp": STAMP})

    def make(self, case: CaseFile, entry: DocumentEntry) -> None:
        """Carry the stored request of a document out again."""
        document = entry.record.document
        self._now = datetime.fromtimestamp(entry.issued_at, UTC)
        for tax in {line.tax for line in document.lines if line.tax and line.tax.tax_id not in self._taxes}:
            self._ids.known["tax"].append(tax.tax_id)
            self._create("/taxes", tax_body(tax.tax_id, tax.percent))
            self._taxes.add(tax.tax_id)
        number = _number(case, entry)
        body = json.loads(entry.body) | {"is_draft": not number}
        self._number_next(document.kind, number)
        self._ids.known[_PREFIXES[document.kind]].append(entry.record.api_id)
        self._create(f"/{COLLECTIONS[document.kind]}", json.dumps(body).encode())

    def pdf(self, entry: DocumentEntry) -> bytes:
        return self._api.pdf(entry.record.api_id, entity_id=str(self._entity))

    def _number_next(self, kind: DocumentKind, number: str) -> None:
        settings = {"settings": {"number_formats": {str(kind): number}}}
        if number:
            self._requests += 1
            key = f"reproduction-{self._requests}"
            path, body = f"/entities/{self._entity}", json.dumps(settings).encode()
            self._api.patch(path, body, entity_id=self._entity, idempotency_key=key)

    def _create(self, path: str, body: bytes) -> Record:
        self._requests += 1
        return self._api.create(path, body, entity_id=self._entity, idempotency_key=f"reproduction-{self._requests}")
