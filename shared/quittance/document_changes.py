"""Documents coming back: the invoicing API tells what became of a document, and the ledger learns what people did to it.

Nothing is asked of the API and nothing is put right. What no longer agrees becomes a finding when the payment is converged
again, and a later observation that agrees again resolves it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from quittance.disagreements import disagreements, is_finalized_by_us
from quittance.entities import connection_of
from quittance.errors import Reject, Retry
from quittance.ledger import OPEN_FINDING, CaseFile, DocumentEntry, Ledger, case_names
from quittance.metrics import Count, count_nothing
from quittance.observation import Observation
from quittance.registration import CustomerDirectory, customer_pk, read_customer
from quittance.storage import Absent, ConditionFailedError, Put

if TYPE_CHECKING:
    from collections.abc import Callable

    from quittance.observation import Sighting

PROVIDER = "space-invoices"
DEFAULT_CONNECTION = "default"
"""The connection on which the documents of every business customer may be told of."""
RECORDED_WITHIN_S = 600
"""How long a document of ours that the ledger does not know yet is waited for: a worker killed before it could record it has
finished by then, and the queue does not count as backed up yet."""
_OWN_EVENTS = frozenset({"created", "finalized", "issued", "sent", "paid", "overdue", "received"})
"""The events that our own requests, or nobody's, bring about. All others tell of a change, even one that was taken back."""

_ECHO_S = 300
"""How much the API's clock may be ahead of ours. Beyond that our own doing is written down once, and no harm is done."""


class Revisit(Protocol):
    """Converges a payment without a new fact. Raises `Retry` or `InDoubt` when that must be done again."""

    def __call__(self, provider: str, account: str, payment_id: str) -> None: ...


class DocumentChanges:
    """Takes sightings in. Safe to repeat, in any order."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        customers: CustomerDirectory,
        revisit: Revisit,
        now: Callable[[], int],
        count: Count = count_nothing,
    ) -> None:
        """`now` gives seconds since 1970."""
        self._ledger = ledger
        self._customers = customers
        self._revisit = revisit
        self._now = now
        self._count = count

    def take(self, sighting: Sighting, age_s: float) -> None:
        """Record what was seen, as first told `age_s` ago, of a document of ours, and align its findings.

        What agrees with the ledger and tells of no change costs one query and one read and is not written down. A document
        made by hand is not ours and is left alone, unless it claims to be.

        Raises `Reject("foreign_document")` for a document of another business customer than the connection's, and `Retry` while
        the ledger may only be late.
        """
        found = self._find(sighting)
        if found is None:
            self._unknown(sighting, age_s)
            return
        case, entry = found
        issuer = self._platform() if entry.record.document.issuer else case.business_customer
        _require_own(sighting, issuer or "")
        observed = (entry.record.observed or Observation()).with_seen(sighting.observed)
        if observed != entry.record.observed:
            if _is_unremarkable(sighting, case, entry, observed):
                return
            self._record(case, entry, observed)
            self._count("ChangesRecorded", provider=PROVIDER, event_type=sighting.event_type)
        # Also for what is known already: the run that recorded it may have been killed before this.
        self._revisit(case.provider, case.account, case.id)

    def _platform(self) -> str | None:
        platform = self._customers.platform()
        return platform.id if platform else None

    def _find(self, sighting: Sighting) -> tuple[CaseFile, DocumentEntry] | None:
        items = self._ledger.table.find(sighting.document_id)
        pk = next((item["pk"] for item in items if item["sk"].startswith("DOC#")), None)
        if pk is None:
            return None
        provider, account, case_id = case_names(pk)
        case = self._ledger.open(provider, account, (case_id,), join=False)
        for entry in case.documents.values():
            if entry.record.api_id == sighting.document_id:
                return case, entry
        raise Retry("document_moved", delay_s=2)

    def _unknown(self, sighting: Sighting, age_s: float) -> None:
        """A document that the ledger does not hold: made by hand, not recorded yet, or one that claims to be ours and is not."""
        claimed = sighting.business_customer
        if claimed:
            _require_own(sighting, claimed, self._platform() or claimed)
            if age_s < RECORDED_WITHIN_S:
                raise Retry("document_not_recorded_yet")
        if not claimed or read_customer(self._ledger.table, claimed) is None:
            self._count("EventsIgnored", provider=PROVIDER, event_type="document_not_ours")
            return
        keys = {"pk": customer_pk(claimed), "sk": f"FINDING#document_unknown#{sighting.document_id}", "reference": OPEN_FINDING}
        finding = {"code": "document_unknown", "subject": sighting.document_id, "opened_at": self._now()}
        try:
            self._ledger.table.commit([Put(keys | finding, Absent())])
        except ConditionFailedError:
            return  # it stands already
        self._count("Findings", provider=PROVIDER, event_type="document_unknown")

    def _record(self, case: CaseFile, entry: DocumentEntry, observed: Observation) -> None:
        if case.lease_owner and case.lease_until > self._now():
            raise Retry("case_in_use", delay_s=2)  # a request is under way, whose result this would make look like a lost race
        case.store_document(replace(entry, record=replace(entry.record, observed=observed)))
        try:
            self._ledger.commit(case)
        except ConditionFailedError:
            raise Retry("case_contended", delay_s=2) from None


def _require_own(sighting: Sighting, *owners: str) -> None:
    if sighting.connection not in {DEFAULT_CONNECTION, *map(connection_of, owners)}:
        raise Reject("foreign_document")


def _is_unremarkable(sighting: Sighting, case: CaseFile, entry: DocumentEntry, observed: Observation) -> bool:
    """Whether our own requests alone may have brought this about, and the ledger knows all of it.

    A record of money may be somebody else's under the same reference, in place of ours: then it was made some time after it.
    """
    known = entry.record.observed
    if sighting.event_type.rpartition(".")[2] not in _OWN_EVENTS or (sighting.observed.document and known and known.document):
        return False
    if any(payment.at > _echoes_until(case) for payment in sighting.observed.payments):
        return False
    before = [one.record for one in case.documents.values()]
    after = [replace(one, observed=observed) if one is entry.record else one for one in before]
    if replace(entry.record, observed=observed).was_finalized_by_hand and not is_finalized_by_us(entry.record, before):
        return False
    return list(disagreements(before)) == list(disagreements(after))


def _echoes_until(case: CaseFile) -> str:
    """The latest moment, by the API's clock, to which an effect of our last request may be dated."""
    last = max(max(entry.attempted_at, entry.issued_at) for entry in case.documents.values())
    return datetime.fromtimestamp(last + _ECHO_S, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
