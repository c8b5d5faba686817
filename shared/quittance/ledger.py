"""The ledger: every payment's facts, documents and findings, under one partition key.

    CASE#{provider}#{account}#{id}
        HEAD                       version, lease, members, waiting, whose it is; or `part_of`: the case it was joined to
        FACT#{identity}            the fact, the first event that reported it
        DOC#{key}                  the intention, the exact request, its idempotency key, the calls, the result, what became of it
        EVIDENCE#{key}             what the registry of tax numbers said about a buyer
        FEE#{key}                  a fee noted for a month: see `fee_months`
        FINDING#{code}#{subject}   what a person should know: when it was found, and when it was resolved
    REPORTS#{provider}#{account}#{id}
        {identity}#{event}#{n}     an event that told a known fact once more, and what it changed, in the n-th version of the case
    OWNER#{provider}#{account}
        OWNER                      the business customer whose money it is
        WAITING#{id}               a case that waits for the owner to be registered

A case is committed in one transaction that holds only if nobody else changed it in between (HEAD's version). Several ids may
name one payment (a payment intent, its charge, the billing invoice it pays): each is the HEAD of its own partition, and
joining two of them makes one HEAD point to the other. So whichever id an event names, and whichever arrives first, the facts
of one payment end up in one case.

Every item of a case says since which version of it the case knows it. So what was known when a document was planned can be told
for ever: see `derivation`. Reports are apart from the case because nothing that works on a payment needs them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from quittance.documents import Document, DocumentKind, DocumentState, RecordedDocument, TaxEvidence, document_from_json
from quittance.errors import Retry
from quittance.facts import Fact, conflicting_fields, fact_from_json, filled_fields, merged
from quittance.fees import FEES_PROVIDER, FeeEntry, fee_entry_from_json
from quittance.money import Money
from quittance.observation import observation_from_json
from quittance.plan import Case, Plan
from quittance.storage import Absent, AbsentOrEquals, Check, Condition, Delete, Equals, Item, Put, Table, Write

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CASE_PREFIX = "CASE#"
"""How the partition key of every case begins."""
HEAD = "HEAD"
OWNER = "OWNER"
OPEN_FINDING = "finding:open"
"""`Table.find` reference of every finding that stands."""
WAITING = "case:waiting"
"""`Table.find` reference of every case in which something waits."""
_MAX_JOINS = 8
_RECORDS = {DocumentKind.PAYMENT: 1, DocumentKind.PAYMENT_REMOVAL: -1, DocumentKind.CREDIT_APPLICATION: 1}


MAX_CALLS = 20
"""How many calls are kept of a document, the last ones."""


@dataclass(frozen=True, slots=True)
class Since:
    """From when on a case knows something: as of which of its versions, and of those cases that it was moved from."""

    version: int
    moved: tuple[str, ...] = ()
    """`version@case` of each earlier home, the first one first."""

    def moved_to(self, version: int, case_id: str) -> Since:
        """The same thing after the case that held it, `case_id`, was joined into another one."""
        return Since(version, (*self.moved, f"{self.version}@{case_id}"))

    def homes(self, case_id: str) -> tuple[tuple[str, int], ...]:
        """Every case that knew it with the version since which it did, the first one first; `case_id` holds it now."""
        split = (text.partition("@") for text in self.moved)
        return (*((home, int(version)) for version, _, home in split), (case_id, self.version))


@dataclass(slots=True)
class DocumentEntry:
    """A document with the request that carries it out. The body is what is sent, byte for byte, however often it is sent."""

    record: RecordedDocument
    body: str
    idempotency_key: str
    intended_at: int
    """Seconds since 1970."""
    issued_at: int = 0
    sent: bool = True
    """False only when it is certain that no request has reached the API yet."""
    attempts: int = 1
    attempted_at: int = 0
    """When the last attempt began."""
    calls: tuple[dict[str, Any], ...] = ()
    """The last `MAX_CALLS` requests to the invoicing API with their outcomes; those of a run that was killed are missing."""

    def to_item(self, pk: str) -> Item:
        record = self.record
        item = {
            "pk": pk,
            "sk": f"DOC#{record.document.key}",
            "document": record.document.to_json(),
            "state": str(record.state),
            "api_id": record.api_id,
            "number": record.number,
            "error": record.error,
            "body": self.body,
            "idempotency_key": self.idempotency_key,
            "intended_at": self.intended_at,
            "issued_at": self.issued_at,
            "sent": self.sent,
            "attempts": self.attempts,
            "attempted_at": self.attempted_at,
        }
        reference = {"reference": record.api_id} if record.api_id else {}
        calls = {"calls": self.calls} if self.calls else {}
        return item | reference | calls | ({"observed": record.observed.to_json()} if record.observed else {})

    @classmethod
    def from_item(cls, item: Item) -> DocumentEntry:
        return cls(
            record=RecordedDocument(
                document=document_from_json(item["document"]),
                state=DocumentState(item["state"]),
                api_id=item["api_id"],
                number=item["number"],
                error=item["error"],
                observed=observation_from_json(item["observed"]) if item.get("observed") else None,
            ),
            calls=tuple(item.get("calls", ())),
            **{
                name: item[name]
                for name in ("body", "idempotency_key", "intended_at", "issued_at", "sent", "attempts", "attempted_at")
            },
        )


@dataclass(slots=True)
class CaseFile:
    """A case as read from the ledger, and the changes that wait to be committed."""

    provider: str
    account: str
    id: str
    version: int = 0
    members: tuple[str, ...] = ()
    """The other ids that name this payment."""
    business_customer: str | None = None
    """Set once, when the first document is intended: a case never changes hands."""
    waiting: tuple[str, ...] = ()
    lease_owner: str = ""
    lease_until: int = 0
    facts: dict[str, Fact] = field(default_factory=dict)
    event_ids: dict[str, str] = field(default_factory=dict)
    """Identity of a fact -> the first event that reported it."""
    recorded_at: dict[str, int] = field(default_factory=dict)
    """Identity of a fact -> when the first report of it was recorded, in seconds since 1970."""
    documents: dict[str, DocumentEntry] = field(default_factory=dict)
    evidence: dict[str, TaxEvidence] = field(default_factory=dict)
    fees: dict[str, FeeEntry] = field(default_factory=dict)
    findings: dict[str, Item] = field(default_factory=dict)
    since: dict[str, Since] = field(default_factory=dict)
    """Sort key of an item -> from when on the case knows it."""
    changes: dict[tuple[str, str], Write] = field(default_factory=dict)
    is_changed: bool = False

    @property
    def pk(self) -> str:
        return case_pk(self.provider, self.account, self.id)

    def as_case(self) -> Case:
        documents = tuple(entry.record for entry in self.documents.values())
        facts, fees = tuple(self.facts.values()), tuple(self.fees.values())
        return Case(facts=facts, documents=documents, evidence=self.evidence, fees=fees)

    def pending(self) -> DocumentEntry | None:
        """A document whose request may have been sent and whose outcome is not recorded."""
        return next((e for e in self.documents.values() if e.record.state is DocumentState.INTENDED), None)

    def is_draft(self, record: RecordedDocument) -> bool:
        """Whether a document is a draft still: nobody has made it final."""
        return record.document.draft and not record.was_finalized_by_hand and not self._has(DocumentKind.FINALIZATION, record)

    def is_removed(self, document: Document) -> bool:
        """Whether the draft was taken away again."""
        return self._has(DocumentKind.DRAFT_REMOVAL, self.documents[document.key].record)

    def _has(self, kind: DocumentKind, record: RecordedDocument) -> bool:
        later = self.documents.get(f"{kind}:{record.document.key}")
        return later is not None and later.record.state is DocumentState.ISSUED

    def recorded_on(self, document: Document) -> Money:
        """What stands recorded as paid on an issued document: with it, and later added, removed or set against a credit note."""
        total = sum(payment.amount for payment in document.payments)
        for entry in self.documents.values():
            later = entry.record.document
            if entry.record.state is DocumentState.ISSUED and document.key in self._settled_by(later):
                total += _RECORDS[later.kind] * later.amount.value
        return Money(total, document.amount.currency)

    def _settled_by(self, later: Document) -> tuple[str, ...]:
        """The documents that a record of a payment counts on. A credit that is applied counts on itself and on its invoice."""
        if later.kind is DocumentKind.CREDIT_APPLICATION:
            return later.refers_to, self.documents[later.refers_to].record.document.refers_to
        return (later.refers_to,) if later.kind in _RECORDS else ()

    def add_fact(self, fact: Fact, event_id: str, now: int) -> str:
        """Take a reported fact in. Returns what it was: `new`, `known`, `merged` or `conflict`.

        A report that contradicts the known fact changes nothing but is kept as a finding, with what it said.
        """
        known = self.facts.get(fact.identity)
        if known is None:
            self._store_fact(fact, event_id, now)
            return "new"
        if fields := conflicting_fields(known, fact):
            subject = f"{fact.identity}:{event_id}"
            if f"conflict#{subject}" not in self.findings:
                self._store_finding("conflict", subject, now, {"fields": list(fields), "reported": fact.to_json()})
                self.add_write(Put(self.report(fact, event_id, "conflict", now) | {"fields": list(fields)}))
            return "conflict"
        together = merged(known, fact)
        if together == known:
            return "known"
        before = _changed(known.to_json(), together.to_json())
        self.add_write(Put(self.report(fact, event_id, "merged", now) | {"before": before}))
        self._store_fact(together, self.event_ids[fact.identity], self.recorded_at[fact.identity])
        return "merged"

    def report(self, fact: Fact, event_id: str, outcome: str, now: int) -> Item:
        """What is kept of an event that told a known fact once more. No personal data, unless it changed some."""
        item = {
            "pk": reports_pk(self.provider, self.account, self.id),
            "sk": f"{fact.identity}#{event_id}#{self.version + 1}",
            "fact": fact.identity,
            "event_id": event_id,
            "outcome": outcome,
            "received_at": now,
            "version": self.version + 1,
        }
        return item | ({"reference": event_id} if event_id else {})

    def _store_fact(self, fact: Fact, event_id: str, now: int) -> None:
        self.facts[fact.identity] = fact
        self.event_ids[fact.identity] = event_id
        self.recorded_at[fact.identity] = now
        item = {"sk": f"FACT#{fact.identity}", "fact": fact.to_json(), "event_id": event_id, "recorded_at": now}
        self._change(item | ({"reference": event_id} if event_id else {}))

    def store_document(self, entry: DocumentEntry) -> None:
        self.documents[entry.record.document.key] = entry
        self._change(entry.to_item(self.pk))

    def store_evidence(self, key: str, evidence: TaxEvidence) -> None:
        self.evidence[key] = evidence
        self._change({"sk": f"EVIDENCE#{key}", "evidence": filled_fields(evidence)})

    def store_fee(self, entry: FeeEntry) -> None:
        self.fees[entry.key] = entry
        self._change({"sk": f"FEE#{entry.key}", "fee": entry.to_json()})

    def align_with(self, plan: Plan, now: int) -> list[str]:
        """Let the findings that stand and what the case waits for be what the plan says.

        Returns the codes of the findings that are new, or whose amount is another one than before.
        """
        self._align_waiting(tuple(f"{waiting.fact} waits for {waiting.awaited}" for waiting in plan.waiting))
        standing = {f"{finding.code}#{finding.subject}": finding for finding in plan.findings}
        opened = []
        for name, finding in standing.items():
            amount = {"value": finding.amount.value, "currency": finding.amount.currency} if finding.amount else None
            known = self.findings.get(name, {"resolved_at": now})
            opened_at = now if known.get("resolved_at") else known["opened_at"]
            if known.get("resolved_at") or known.get("amount", amount) != amount:
                self._store_finding(finding.code, finding.subject, opened_at, {"amount": amount, "planned": True})
                opened.append(finding.code)
        for name, item in list(self.findings.items()):
            if item.get("planned") and name not in standing and not item.get("resolved_at"):
                self.findings[name] = {k: v for k, v in item.items() if k != "reference"} | {"resolved_at": now}
                self._change(self.findings[name])
        return opened

    def wait_for_owner(self) -> None:
        self._align_waiting(("business customer registered",))

    def _align_waiting(self, waiting: tuple[str, ...]) -> None:
        if waiting != self.waiting:
            self.waiting = waiting
            self.is_changed = True

    def open_finding(self, code: str, subject: str, now: int) -> None:
        """A finding that no plan takes back: it stays with the case, and tells what happened."""
        if f"{code}#{subject}" not in self.findings:
            self._store_finding(code, subject, now, {})

    def _store_finding(self, code: str, subject: str, opened_at: int, details: dict[str, Any]) -> None:
        keys = {"pk": self.pk, "sk": f"FINDING#{code}#{subject}", "reference": OPEN_FINDING}
        item = keys | {"code": code, "subject": subject, "opened_at": opened_at} | details
        self.findings[f"{code}#{subject}"] = item
        self._change(item)

    def take_lease(self, owner: str, until: int) -> None:
        self.lease_owner, self.lease_until, self.is_changed = owner, until, True

    def drop_lease(self) -> None:
        if self.lease_owner:
            self.lease_owner, self.lease_until, self.is_changed = "", 0, True

    def _change(self, item: Item) -> None:
        since = self.since.setdefault(item["sk"], Since(self.version + 1))
        stored = {**item, "pk": self.pk, "since": since.version}
        if since.moved:
            stored["moved"] = since.moved
        self.changes[self.pk, stored["sk"]] = Put(stored)
        self.is_changed = True

    def add_write(self, write: Write) -> None:
        """Something outside the case that must be written, or hold, in the same transaction."""
        self.changes[write.pk, write.sk] = write
        self.is_changed = True

    def absorb(self, other: CaseFile) -> None:
        """Join another case into this one: what it holds moves here and its HEAD points here."""
        for sk, since in other.since.items():
            arrived = since.moved_to(self.version + 1, other.id)
            own = self.since.get(sk)
            self.since[sk] = Since(own.version, (*own.moved, *arrived.moved)) if own else arrived
        for identity, fact in other.facts.items():
            self._absorb_fact(fact, other.event_ids[identity], other.recorded_at[identity])
        for entry in other.documents.values():
            self.store_document(entry)
        for key, evidence in other.evidence.items():
            self.store_evidence(key, evidence)
        for fee in other.fees.values():
            self.store_fee(fee)
        for item in other.findings.values():
            self._change(item)
        self.findings |= other.findings
        self.business_customer = self.business_customer or other.business_customer
        self.members = tuple(dict.fromkeys((*self.members, other.id, *other.members)))
        moved = [f"FACT#{name}" for name in other.facts] + [f"DOC#{name}" for name in other.documents]
        moved += [f"EVIDENCE#{name}" for name in other.evidence] + [f"FEE#{name}" for name in other.fees]
        for sk in (*moved, *(f"FINDING#{name}" for name in other.findings)):
            self.add_write(Delete(other.pk, sk))
        pointer = {"pk": other.pk, "sk": HEAD, "version": other.version + 1, "part_of": self.id}
        self.add_write(Put(pointer, Equals("version", other.version) if other.version else Absent()))

    def _absorb_fact(self, fact: Fact, event_id: str, recorded_at: int) -> None:
        if self.add_fact(fact, event_id, recorded_at) == "known" and event_id != self.event_ids[fact.identity]:
            self.add_write(Put(self.report(fact, event_id, "known", recorded_at)))

    def head_write(self) -> Put:
        item = {
            "pk": self.pk,
            "sk": HEAD,
            "version": self.version + 1,
            "members": list(self.members),
            "business_customer": self.business_customer,
            "waiting": list(self.waiting),
            "lease_owner": self.lease_owner,
            "lease_until": self.lease_until,
        }
        condition: Condition = Equals("version", self.version) if self.version else Absent()
        return Put(item | ({"reference": WAITING} if self.waiting else {}), condition)


def case_pk(provider: str, account: str, case_id: str) -> str:
    """The partition of a case. Two accounts never share one, whatever characters their ids hold."""
    return f"CASE#{provider}#{escaped(account)}#{case_id}"


def case_names(pk: str) -> tuple[str, str, str]:
    """Provider, account and id out of a case's partition key: the inverse of `case_pk`."""
    _, provider, account, case_id = pk.split("#", 3)
    return provider, unquote(account), case_id


def reports_pk(provider: str, account: str, case_id: str) -> str:
    """The partition of what was reported once more under an id of a payment."""
    return f"REPORTS#{provider}#{escaped(account)}#{case_id}"


def owner_pk(provider: str, account: str) -> str:
    return f"OWNER#{provider}#{escaped(account)}"


def escaped(account: str) -> str:
    """An id as one part of a partition key."""
    return account.replace("%", "%25").replace("#", "%23")


class Ledger:
    """Reads and commits cases. Every method may raise `Retry("table_busy")`."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def open(self, provider: str, account: str, ids: Sequence[str], *, join: bool) -> CaseFile:
        """The case that these ids name; an empty one if nothing is known yet.

        With `join`, the partitions of all the ids are read and joined; without, the first id is trusted to lead to the case
        and the others are only claimed for it: `commit` then fails if one of them already leads elsewhere.

        Raises `Retry("case_in_use")` when a case that must be joined is being worked on.
        """
        case = self._follow(provider, account, ids[0])
        known = {case.id, *case.members}
        for alias in ids[1:]:
            if alias in known:
                continue
            if join:
                other = self._follow(provider, account, alias)
                if other.id not in known:
                    _require_idle(other)
                    case.absorb(other)
                case.members = tuple(dict.fromkeys((*case.members, alias)))
                case.is_changed = True
            else:
                self._claim(case, alias)
            known |= {case.id, *case.members}
        return case

    @staticmethod
    def _claim(case: CaseFile, alias: str) -> None:
        case.members = (*case.members, alias)
        pointer = {"pk": case_pk(case.provider, case.account, alias), "sk": HEAD, "version": 1, "part_of": case.id}
        case.add_write(Put(pointer, Absent()))

    def _follow(self, provider: str, account: str, case_id: str) -> CaseFile:
        for _ in range(_MAX_JOINS):
            items = self.table.read_partition(case_pk(provider, account, case_id))
            head = next((item for item in items if item["sk"] == HEAD), None)
            if head is None or not head.get("part_of"):
                return _case_from_items(provider, account, case_id, head, items)
            case_id = head["part_of"]
        raise Retry("case_joined_too_often")

    def commit(self, case: CaseFile) -> bool:
        """Write the changes of a case, all or nothing; returns False when there was nothing to write.

        Raises `storage.ConditionFailedError` when the case was changed by someone else, one of its other ids leads elsewhere,
        or a write added to it did not hold: open it again and start over.
        """
        if not case.is_changed:
            return False
        head = case.head_write()
        self.table.commit([head, *case.changes.values()])
        case.version, case.changes, case.is_changed = case.version + 1, {}, False
        return True

    # what was reported once more

    def keep_report(self, case: CaseFile, fact: Fact, event_id: str, now: int) -> None:
        """Keep the id of an event that told nothing new, once; the first event of a fact is kept with the fact."""
        if not event_id or event_id == case.event_ids[fact.identity]:
            return
        item = case.report(fact, event_id, "known", now)
        kept = self.table.read_partition(item["pk"], f"{fact.identity}#{event_id}#")
        if not any(one["event_id"] == event_id for one in kept):
            self.table.commit([Put(item)])

    def reports(self, case: CaseFile) -> list[Item]:
        """Every event that told a known fact of a case once more, by when it was received."""
        partitions = (reports_pk(case.provider, case.account, name) for name in (case.id, *case.members))
        found = [item for pk in partitions for item in self.table.read_partition(pk)]
        return sorted(found, key=lambda item: (item["received_at"], item["version"], item["sk"]))

    # whose money it is

    def owner(self, provider: str, account: str) -> str | None:
        """The business customer that registered this provider account; a month of fees names it itself."""
        if provider == FEES_PROVIDER:
            return account
        item = self.table.read(owner_pk(provider, account), OWNER)
        return str(item["business_customer"]) if item else None

    def park_until_registered(self, case: CaseFile) -> None:
        """Keep the case where the registration of its owner will find it, unless the owner was registered meanwhile.

        Raises `storage.ConditionFailedError` in that case, as `commit` does.
        """
        pk = owner_pk(case.provider, case.account)
        case.wait_for_owner()
        if not case.is_changed:
            return
        case.add_write(Check(pk, OWNER, Absent()))
        case.add_write(Put({"pk": pk, "sk": f"WAITING#{case.id}", "case_id": case.id}))
        self.commit(case)

    def claim_account(self, provider: str, account: str, business_customer: str) -> None:
        """Raises `storage.ConditionFailedError` when the account belongs to another business customer."""
        item = {"pk": owner_pk(provider, account), "sk": OWNER, "business_customer": business_customer}
        self.table.commit([Put(item, AbsentOrEquals("business_customer", business_customer))])

    def cases_waiting_for(self, provider: str, account: str) -> Iterable[Item]:
        return self.table.read_partition(owner_pk(provider, account), "WAITING#")


def _changed(before: Item, after: Item) -> Item:
    """What of `before` is another in `after`, None for what it did not have: enough to get from the one back to the other."""
    return {name: before.get(name) for name in sorted({*before, *after}) if before.get(name) != after.get(name)}


def _require_idle(case: CaseFile) -> None:
    if case.lease_owner or case.pending():
        raise Retry("case_in_use", delay_s=2)


def partitions(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The items of each partition, out of a stream in which those of one partition follow each other."""
    for _, together in groupby(items, key=itemgetter("pk")):
        yield list(together)


def case_from_partition(items: Sequence[Item]) -> CaseFile | None:
    """The case that these items, all of its partition, are; None for an id that only leads to another case."""
    head = next((item for item in items if item["sk"] == HEAD), None)
    if head is None or head.get("part_of"):
        return None
    return _case_from_items(*case_names(items[0]["pk"]), head, items)


def _case_from_items(provider: str, account: str, case_id: str, head: Item | None, items: Iterable[Item]) -> CaseFile:
    case = CaseFile(provider, account, case_id)
    if head:
        case.version = head["version"]
        case.members = tuple(head["members"])
        case.business_customer = head["business_customer"]
        case.waiting = tuple(head["waiting"])
        case.lease_owner, case.lease_until = head["lease_owner"], head["lease_until"]
    for item in items:
        kind, _, name = item["sk"].partition("#")
        case.since[item["sk"]] = Since(item.get("since", 0), tuple(item.get("moved", ())))
        if kind == "FACT":
            case.facts[name] = fact_from_json(item["fact"])
            case.event_ids[name] = item["event_id"]
            case.recorded_at[name] = item["recorded_at"]
        elif kind == "DOC":
            case.documents[name] = DocumentEntry.from_item(item)
        elif kind == "EVIDENCE":
            case.evidence[name] = TaxEvidence(**{"is_valid": None} | item["evidence"])
        elif kind == "FEE":
            case.fees[name] = fee_entry_from_json(item["fee"])
        elif kind == "FINDING":
            case.findings[name] = item
    return case
