"""Making the plan real: store the intent, send it, store the result; and finish what an earlier run began.

One run works on one payment. It holds the case's lease while a request may be under way, commits the intent (idempotency key
and exact body) before the request and the result after it, and plans again after each result. So a run may be killed between
any two of these steps: the next one finds the intent without a result, looks the document up by its metadata, and only where
the API shows that it does not exist sends the very same bytes under the very same key again.
"""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from quittance.documents import Document, DocumentKind, DocumentState, RecordedDocument, TaxEvidence
from quittance.errors import InDoubt, Park, QuittanceError, Retry
from quittance.fee_months import FeeMonths
from quittance.ledger import MAX_CALLS, CaseFile, DocumentEntry, Ledger
from quittance.mapping import COLLECTIONS, Origin, answer_differs, idempotency_key, request_body, to_json
from quittance.metrics import Count, count_nothing
from quittance.observation import Observation, ObservedDocument
from quittance.plan import plan
from quittance.storage import ConditionFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from quittance.customers import BusinessCustomer
    from quittance.facts import Fact
    from quittance.plan import Plan, TaxCheck
    from quittance.registration import CustomerDirectory
    from quittance.space_invoices import SpaceInvoices

LEASE_S = 30
"""How long a case is kept from other runs: longer than any function may run, so that only a killed run leaves it behind."""
NEW_KEY_AFTER_S = 6 * 3600
"""When the last attempt is this old and the API still shows no document, the next one gets a new key: the old one may replay a
stored failure."""
REGISTRY_PAUSE_S = 900
"""How long to wait for the registry of tax numbers, which its members take down for maintenance by the hour."""
OK = "ok"
"""Outcome of a call that did what it was to do."""
FOUND = "found"
"""Outcome of a look-up that found what an earlier request had done."""
_MAX_RACES = 5
_METRIC_OF = {"conflict": "Conflicts", "new": "FactsRecorded"}
_MADE = frozenset({DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE, DocumentKind.PAYMENT, DocumentKind.CREDIT_APPLICATION})
"""What the API gives an id of its own."""
_LOOKED_UP_BY = ("business_customer", "document_key", "provider")
"""Not by the payment's id: which of several it is called by depends on what was told first."""


class Converger:
    """Brings one payment's documents to where its facts say they should be. Safe to run any number of times, anywhere."""

    def __init__(  # noqa: PLR0913 - the composition root names every part
        self,
        *,
        ledger: Ledger,
        customers: CustomerDirectory,
        api: SpaceInvoices,
        stage: str,
        now: Callable[[], int],
        count: Count = count_nothing,
        new_token: Callable[[], str] = lambda: uuid.uuid4().hex,
        look_up_before: str = "",
    ) -> None:
        """`now` gives seconds since 1970; `stage` keeps idempotency keys of two stages on one API account apart.

        `look_up_before` is an instant (RFC 3339, UTC). Documents of payments that began before it may exist although the
        ledger knows nothing of them, because it was restored or is new, so they are looked up before they are made.
        """
        self._ledger = ledger
        self._fee_months = FeeMonths(ledger.table, now)
        self._customers = customers
        self._api = api
        self._stage = stage
        self._now = now
        self._count = count
        self._new_token = new_token
        self._look_up_before = look_up_before

    def take(self, fact: Fact, event_id: str) -> None:
        """Record a fact and bring its payment's documents up to date.

        When this returns, the fact is in the ledger and every document that can exist does; what cannot yet is waiting there.
        Raises `Retry` or `InDoubt` when the message must come again; nothing is lost or done twice by that.
        """
        outcome = self._work(fact.provider, fact.account, fact.case_ids, fact, event_id)
        self._count(_METRIC_OF.get(outcome, "FactsRepeated"), provider=fact.provider, event_type=fact.type)

    def revisit(self, provider: str, account: str, payment_id: str) -> None:
        """Bring a payment's documents up to date without a new fact. Raises as `take` does."""
        self._work(provider, account, (payment_id,), None, "")

    def _work(self, provider: str, account: str, ids: Sequence[str], fact: Fact | None, event_id: str) -> str:
        lease = self._new_token()
        for race in range(_MAX_RACES):
            case = self._ledger.open(provider, account, ids, join=race > 0)
            self._require_free(case, lease)
            outcome = case.add_fact(fact, event_id, self._now()) if fact else ""
            if fact and outcome == "known":
                self._ledger.keep_report(case, fact, event_id, self._now())
            with suppress(ConditionFailedError):
                self._converge(case, lease)
                return outcome
            self._customers.forget()
        raise Retry("case_contended", delay_s=2)

    def _require_free(self, case: CaseFile, lease: str) -> None:
        if case.lease_owner not in {"", lease} and case.lease_until > self._now():
            raise Retry("case_in_use", delay_s=2)

    def _converge(self, case: CaseFile, lease: str) -> None:
        customer = self._owner_of(case)
        if customer is None:
            self._count("Waiting", provider=case.provider, event_type="registration")
            self._ledger.park_until_registered(case)
            return
        try:
            while entry := self._intend(case, customer, lease):
                self._carry_out(case, entry, customer)
        except QuittanceError:
            self._let_go(case)
            raise
        case.drop_lease()
        if case.is_changed:
            for write in self._customers.entries_of_waiting(case, customer):
                case.add_write(write)
        self._ledger.commit(case)

    def _owner_of(self, case: CaseFile) -> BusinessCustomer | None:
        """The customer, read again when another run planned under a policy that is not remembered here yet."""
        customer = self._customers.owner_of(case)
        known = {policy.version for policy in customer.policies} if customer else set()
        if customer and any(entry.record.document.policy not in known for entry in case.documents.values()):
            self._customers.forget()
            customer = self._customers.owner_of(case)
        return customer

    def _let_go(self, case: CaseFile) -> None:
        """Give the lease back early. If that fails too, it runs out by itself."""
        case.drop_lease()
        with suppress(ConditionFailedError, Retry):
            self._ledger.commit(case)

    # intent

    def _intend(self, case: CaseFile, customer: BusinessCustomer, lease: str) -> DocumentEntry | None:
        """Commit to the next document: an unfinished one first, then what the plan says is missing. None: nothing is left."""
        entry = case.pending()
        if entry is None:
            entry = self._plan_next(case, customer)
            if entry is None:
                return None
            is_sent = self._may_be_unrecorded(case)
        else:
            is_sent = entry.sent
            entry = self._repeated(entry, customer)
        case.store_document(replace(entry, sent=True))
        case.business_customer = customer.id
        case.take_lease(lease, self._now() + LEASE_S)
        self._ledger.commit(case)
        return replace(entry, sent=is_sent)

    def _may_be_unrecorded(self, case: CaseFile) -> bool:
        return min(fact.occurred_at for fact in case.facts.values()) < self._look_up_before

    def _plan_next(self, case: CaseFile, customer: BusinessCustomer) -> DocumentEntry | None:
        planned = self._plan(case, customer)
        for waiting in planned.waiting:
            self._count("Waiting", provider=case.provider, event_type=_type_of(waiting.fact))
        for code in case.align_with(planned, self._now()):
            self._count("Findings", provider=case.provider, event_type=code)
        self._fee_months.note(case, customer, planned.fees)
        document = next((d for d in planned.documents if _can_be_issued(d, case)), None)
        return self._entry(document, case, customer) if document else None

    def _plan(self, case: CaseFile, customer: BusinessCustomer) -> Plan:
        """The plan, once every question it asks about a buyer's tax number is answered."""
        platform = self._customers.platform() if customer.is_charged_fees else None
        planned = plan(case.as_case(), customer, platform)
        for check in planned.checks:
            case.store_evidence(check.key, self._evidence(check, customer))
        return plan(case.as_case(), customer, platform) if planned.checks else planned

    def _evidence(self, check: TaxCheck, customer: BusinessCustomer) -> TaxEvidence:
        """What the registry says. An API without this question, or without an answer from the registry, leaves it open.

        Raises `Retry` when the registry did not answer and the policy says to wait.
        """
        request_id = f"q1-check-{self._new_token()}"[:64]
        parties = {
            "issuer": {"country_code": check.seller_country},
            "customer": {"country_code": check.country, "tax_number": check.tax_number},
        }
        try:
            path, body = "/transaction-type/check", to_json(parties)
            answer = self._api.create(path, body, entity_id=customer.entity_id, idempotency_key=request_id)
        except Park:
            answer = {}
        except InDoubt as unanswered:  # a question changes nothing, so it is simply asked again
            raise Retry(unanswered.code, delay_s=unanswered.delay_s) from None
        is_valid = answer.get("vies_valid")
        if is_valid is None and check.waits:
            raise Retry("tax_registry_down", delay_s=REGISTRY_PAUSE_S)
        return TaxEvidence(
            is_valid=is_valid if isinstance(is_valid, bool) else None,
            checked_at=datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            request_id=request_id,
            transaction_type=str(answer.get("transaction_type") or ""),
        )

    def _entry(self, document: Document, case: CaseFile, customer: BusinessCustomer) -> DocumentEntry:
        origin = Origin(customer, case.facts[document.fact], case.event_ids[document.fact])
        issued = {key: entry.record for key, entry in case.documents.items()}
        return DocumentEntry(
            record=RecordedDocument(document=document, state=DocumentState.INTENDED),
            body=request_body(document, origin, issued).decode(),
            idempotency_key=idempotency_key(self._scope(document, customer), f"{case.pk}\n{document.key}"),
            intended_at=self._now(),
            attempted_at=self._now(),
        )

    def _repeated(self, entry: DocumentEntry, customer: BusinessCustomer) -> DocumentEntry:
        """The same request again: under the same key, as long as the list that is to show its outcome may lag behind it."""
        is_old = self._now() - entry.attempted_at >= NEW_KEY_AFTER_S
        scope = self._scope(entry.record.document, customer)
        key = idempotency_key(scope, entry.idempotency_key) if is_old else entry.idempotency_key
        return replace(entry, attempts=entry.attempts + 1, attempted_at=self._now(), idempotency_key=key)

    def _scope(self, document: Document, customer: BusinessCustomer) -> str:
        return f"{self._stage}\n{self._entity(document, customer)}"

    def _entity(self, document: Document, customer: BusinessCustomer) -> str | None:
        """The entity that issues a document. Raises `Retry` while the platform's own is not known."""
        if not document.issuer:
            return customer.entity_id
        platform = self._customers.platform()
        if platform is None:
            raise Retry("platform_unknown")
        return platform.entity_id

    # request and result

    def _carry_out(self, case: CaseFile, entry: DocumentEntry, customer: BusinessCustomer) -> None:
        document = entry.record.document
        self._api.exchanged()  # what was asked before was not about this document
        try:
            found = self._look_up(case, entry, customer) if entry.sent else None
            answer = self._request(case, entry, customer) if found is None else found
        except Park as refusal:
            entry = self._after_calls(entry, refusal.code)
            case.store_document(replace(entry, record=replace(entry.record, state=DocumentState.REFUSED, error=str(refusal))))
            self._count("DocumentsRefused", provider=case.provider, event_type=_type_of(document.fact))
            return
        except Retry as failure:
            case.store_document(self._after_calls(entry, failure.code))  # what was not sent before is still not sent
            raise
        except InDoubt as failure:
            case.store_document(replace(self._after_calls(entry, failure.code), sent=True))
            raise
        entry = self._after_calls(entry, OK if found is None else FOUND)
        self._record(case, entry, answer, self._fault(case, document, answer, is_new=found is None))

    def _after_calls(self, entry: DocumentEntry, outcome: str) -> DocumentEntry:
        """The document with the requests that were just made for it. The last of them had this outcome."""
        exchanges = self._api.exchanged()
        at = {"at": self._now(), "attempt": entry.attempts}
        calls: list[dict[str, Any]] = [
            at
            | {"call": f"{one.method} {one.route}", "status": one.status, "outcome": one.outcome}
            # An API that takes our key for its own id of the request tells nothing new.
            | ({"request_id": one.request_id} if one.request_id not in {None, entry.idempotency_key} else {})
            for one in exchanges
        ] or [at]
        calls[-1] |= {"outcome": outcome}
        return replace(entry, calls=(*entry.calls, *calls)[-MAX_CALLS:])

    def _fault(self, case: CaseFile, document: Document, answer: dict[str, Any], *, is_new: bool) -> str:
        """What is wrong with what the API holds. What it held before the ledger was lost may have moved on since."""
        return answer_differs(document, answer, has_moved_on=not is_new and self._may_be_unrecorded(case)) if answer else ""

    def _record(self, case: CaseFile, entry: DocumentEntry, answer: dict[str, Any], fault: str) -> None:
        document = entry.record.document
        if fault:
            self._find(case, fault, document.key)
        number = str(answer.get("number") or "")
        if document.draft and answer.get("is_draft") is False:
            entry = replace(entry, record=replace(entry.record, observed=self._seen_final(document, number)))
        if document.kind is DocumentKind.FINALIZATION:
            draft = case.documents[document.refers_to]
            case.store_document(replace(draft, record=replace(draft.record, number=number)))
        issued = replace(
            entry.record,
            state=DocumentState.ISSUED,
            api_id=(answer.get("id") or "") if document.kind in _MADE else "",
            number=number,
            error=fault,
        )
        case.store_document(replace(entry, record=issued, issued_at=self._now(), sent=True))
        self._count("DocumentsIssued", provider=case.provider, event_type=_type_of(document.fact))

    def _seen_final(self, document: Document, number: str) -> Observation:
        at = datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return Observation(document=ObservedDocument(at=at, is_draft=False, total=document.amount, number=number))

    def _request(self, case: CaseFile, entry: DocumentEntry, customer: BusinessCustomer) -> dict[str, Any]:
        document, entity_id = entry.record.document, self._entity(entry.record.document, customer)
        match document.kind:
            case DocumentKind.PAYMENT_REMOVAL:
                self._remove_payments(case, entry, customer)
                return {}
            case DocumentKind.DRAFT_REMOVAL:
                path = f"/documents/{_referred(case, document).api_id}?type=invoice"
                self._api.delete(path, entity_id=entity_id, idempotency_key=entry.idempotency_key)
                return {}
            case DocumentKind.FINALIZATION:
                path = f"/documents/{_referred(case, document).api_id}/finalize?type=invoice"
            case DocumentKind.EMAIL:
                path = f"/documents/{_referred(case, document).api_id}/send"
            case DocumentKind.CREDIT_APPLICATION if self._is_applied(case, document, entity_id):
                return {}
            case _:
                path = f"/{COLLECTIONS[document.kind]}"
        answer = self._api.create(path, entry.body.encode(), entity_id=entity_id, idempotency_key=entry.idempotency_key)
        if document.kind in _MADE and not answer.get("id"):
            raise InDoubt("api_unreadable_answer", "no id")
        return answer

    def _is_applied(self, case: CaseFile, document: Document, entity_id: str | None) -> bool:
        """Whether the API set the credit note against its invoice by itself, which its contract leaves open."""
        credit_note = self._api.get(f"/credit-notes/{_referred(case, document).api_id}", entity_id=entity_id)
        return credit_note.get("total_due") == 0

    def _look_up(self, case: CaseFile, entry: DocumentEntry, customer: BusinessCustomer) -> dict[str, Any] | None:
        """What an earlier request did after all, or None."""
        document, entity_id = entry.record.document, self._entity(entry.record.document, customer)
        match document.kind:
            case DocumentKind.PAYMENT_REMOVAL:
                return None  # removing what is not there is no harm
            case DocumentKind.DRAFT_REMOVAL:
                return None if self._draft(case, document, entity_id) else {}
            case DocumentKind.FINALIZATION:
                draft = self._draft(case, document, entity_id)
                return draft if draft and draft.get("is_draft") is False else None
            case DocumentKind.EMAIL:
                return self._sent_email(_referred(case, document).api_id, entity_id)
            case _:
                return self._made(case, entry, entity_id)

    def _draft(self, case: CaseFile, document: Document, entity_id: str | None) -> dict[str, Any] | None:
        """The draft as it is now; None once it was deleted."""
        try:
            draft = self._api.get(f"/invoices/{_referred(case, document).api_id}", entity_id=entity_id)
        except Park:
            return None
        return None if draft.get("deleted_at") else draft

    def _sent_email(self, document_id: str, entity_id: str | None) -> dict[str, Any] | None:
        query = {"resource_id": {"equals": document_id}, "action": {"equals": "sent"}}
        sent = self._api.pages("activities", entity_id=entity_id, query=query)
        return next((one for one in sent if (one.get("resource_id"), one.get("action")) == (document_id, "sent")), None)

    def _made(self, case: CaseFile, entry: DocumentEntry, entity_id: str | None) -> dict[str, Any] | None:
        """The document that an earlier request made. More than one is an incident: the first stands."""
        document = entry.record.document
        self._count("LookedUp", provider=case.provider, event_type=_type_of(document.fact))
        metadata = json.loads(entry.body)["metadata"]
        wanted = {name: metadata[name] for name in _LOOKED_UP_BY}
        found = self._api.find_by_metadata(COLLECTIONS[document.kind], wanted, entity_id=entity_id)
        if document.kind is DocumentKind.PAYMENT and not found:
            found = self._recorded_inline(case, document, entity_id)
        if len(found) > 1:
            self._find(case, "duplicate_document", document.key)
        return min(found, key=lambda one: (str(one.get("created_at")), str(one.get("id")))) if found else None

    def _recorded_inline(self, case: CaseFile, document: Document, entity_id: str | None) -> list[dict[str, Any]]:
        """Records of this payment that came with their invoice, and so say nothing of us but its reference."""
        wanted = (document.payments[0].reference, document.amount.decimal)
        listed = self._payments_on(_referred(case, document), entity_id)
        return [one for one in listed if (one.get("reference"), one.get("amount")) == wanted]

    def _payments_on(self, invoice: RecordedDocument, entity_id: str | None) -> list[dict[str, Any]]:
        listed = self._api.pages("payments", entity_id=entity_id, query={"invoice_id": {"equals": invoice.api_id}})
        return [one for one in listed if one.get("invoice_id") == invoice.api_id and not one.get("deleted_at")]

    def _remove_payments(self, case: CaseFile, entry: DocumentEntry, customer: BusinessCustomer) -> None:
        """Remove every record of the failed payment from its invoice; inline records have no id until they are listed.

        A list may lag behind. So when it shows none, the invoice itself must show that the money is no longer recorded, or the
        list must account for all that is: then somebody gave the record another reference, and only a person can tell.
        """
        document = entry.record.document
        invoice = case.documents[document.refers_to].record
        recorded = self._payments_on(invoice, customer.entity_id)
        failed = [one for one in recorded if one.get("reference") == document.payment_id]
        for payment in failed:
            key = idempotency_key(entry.idempotency_key, payment["id"])
            self._api.delete(f"/payments/{payment['id']}", entity_id=customer.entity_id, idempotency_key=key)
        if failed:
            return
        paid = self._api.get(f"/invoices/{invoice.api_id}", entity_id=customer.entity_id).get("total_paid", 0)
        if paid < case.recorded_on(invoice.document).decimal:
            return
        if sum(one.get("amount", 0) for one in recorded) < paid:
            raise InDoubt("payment_not_listed")
        self._find(case, "payment_record_replaced", document.refers_to)

    def _find(self, case: CaseFile, code: str, subject: str) -> None:
        """Something that only a person can put right, which no plan can see."""
        case.open_finding(code, subject, self._now())
        self._count("Findings", provider=case.provider, event_type=code)


def _type_of(identity: str) -> str:
    """The type of fact an identity begins with."""
    return identity.partition("#")[0]


def _referred(case: CaseFile, document: Document) -> RecordedDocument:
    return case.documents[document.refers_to].record


def _can_be_issued(document: Document, case: CaseFile) -> bool:
    referred = case.documents.get(document.refers_to)
    return not document.refers_to or (referred is not None and referred.record.state is DocumentState.ISSUED)
