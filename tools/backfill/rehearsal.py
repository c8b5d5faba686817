"""What a history would bring about: every payment runs through the real pipeline, in a world that keeps nothing.

Each report is taken in the order in which it happened, as `delivery` sends them, so that the documents are those that will be
issued: their dates, their taxes, and the policy in force at the fact.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from quittance.converge import Converger
from quittance.documents import DocumentKind
from quittance.errors import InDoubt, Retry
from quittance.facts import conflicting_fields
from quittance.ledger import CaseFile, Ledger, case_pk
from quittance.registration import PROFILE, CustomerDirectory, Registrar, customer_pk
from quittance.settlements import settlements
from quittance.tax import totals_by_tax
from tools.backfill.overlay import OverlayTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from quittance.documents import Document
    from quittance.ledger import DocumentEntry
    from quittance.space_invoices import SpaceInvoices
    from quittance.storage import Table
    from tools.backfill.index import Entry, Story


class Outcome(StrEnum):
    """What a history means for one payment; the first that applies."""

    CONFLICT = "conflict"
    """It contradicts what is known. What is known stays, and a finding says so."""
    WOULD_CREATE = "would-create"
    """An invoice."""
    WOULD_CREDIT = "would-credit"
    """A credit note, and no invoice."""
    WAITING = "waiting"
    """Something must come first: a registration, the payment of a refund."""
    WOULD_RECORD = "would-record"
    """Facts, a payment, or another thing that is no document."""
    ALREADY_RIGHT = "already-right"
    """Everything is known, and every document is there."""


class Amount(NamedTuple):
    """What documents hold at one rate, in hundredths of the currency's major unit."""

    net: int
    tax: int


@dataclass(frozen=True, slots=True)
class Made:
    """A document that would be made, or whatever else the invoicing API would be told."""

    document: Document
    business_customer: str
    """Who issues it."""

    @property
    def rates(self) -> dict[str, Amount]:
        """Tax rate in percent, or an empty text for no tax -> what the document holds at it."""
        totals: dict[str, Amount] = {}
        for tax, total in totals_by_tax(self.document).items():
            rate = tax.percent if tax else ""
            before = totals.get(rate, Amount(0, 0))
            totals[rate] = Amount(before.net + total.net, before.tax + total.tax)
        return totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one story means."""

    position: int
    lines: tuple[int, ...]
    provider: str
    account: str
    payment_id: str
    business_customer: str = ""
    """Empty while nobody is registered for the account."""
    made: tuple[Made, ...] = ()
    needed: tuple[Entry, ...] = ()
    """What the ledger does not know yet, in the order in which it is to learn it."""
    revisited: bool = False
    """The ledger knows everything, and has not drawn its conclusions."""
    conflicts: tuple[tuple[int, str], ...] = ()
    """Lines that contradict what is known, each with the fact and the fields."""
    waiting: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    """Codes of the findings that would stand."""
    is_in_use: bool = False
    """Another run works on the payment just now: it cannot be judged yet."""

    @property
    def outcome(self) -> Outcome:
        kinds = {one.document.kind for one in self.made}
        reasons = (
            (Outcome.CONFLICT, self.conflicts),
            (Outcome.WOULD_CREATE, DocumentKind.INVOICE in kinds),
            (Outcome.WOULD_CREDIT, DocumentKind.CREDIT_NOTE in kinds),
            (Outcome.WAITING, self.waiting or self.is_in_use),
            (Outcome.WOULD_RECORD, self.needed or self.made or self.revisited),
        )
        return next((outcome for outcome, applies in reasons if applies), Outcome.ALREADY_RIGHT)

    @property
    def has_work(self) -> bool:
        """Whether the pipeline has to be asked for anything. What follows from a payout it does by itself."""
        return self.revisited or any(not entry.follows for entry in self.needed)


class Rehearsal:
    """Judges one story after the other. Nothing is written, neither to the table nor to the invoicing API."""

    def __init__(self, *, table: Table, api: SpaceInvoices, stage: str, environment: str, now: Callable[[], int]) -> None:
        """`api` is one through `overlay.ReadOnlyTransport`, `environment` that of its key; `now` gives seconds since 1970."""
        self._table = table
        self._world = OverlayTable(table)
        self._api = api
        self._stage = stage
        self._environment = environment
        self._now = now
        self._customers = CustomerDirectory(Ledger(self._world), now)

    def register(self, entries: Iterable[Entry]) -> list[Entry]:
        """Let the registrations of the history be known to what is judged from now on. Returns those that are new."""
        registrar = Registrar(
            ledger=Ledger(self._world),
            api=self._api,
            stage=self._stage,
            now=self._now,
            revisit_later=lambda *_: None,
            environment=self._environment,
        )
        new = [entry for entry in entries if not self.is_registered(entry, self._world)]
        for entry in new:
            registrar.take(entry.fact, entry.event_id)
        return new

    def is_registered(self, entry: Entry, table: Table | None = None) -> bool:
        """Whether the ledger itself has taken this registration in, and done what can be done about it."""
        pk = customer_pk(entry.fact.key)
        items = {item["sk"]: item for item in (table or self._table).read_partition(pk)}
        is_served = bool(items.get(PROFILE, {}).get("entity_id")) or any(sk.startswith("FINDING#") for sk in items)
        return f"FACT#{entry.fact.occurred_at}#{entry.event_id}" in items and is_served

    def judge(self, story: Story, known_empty: Iterable[str] = ()) -> Judgement:
        """What a story would bring about. `known_empty` are partitions that need not be read, because they are not there."""
        first = story.entries[0].fact
        world = OverlayTable(self._world, remembers=True)
        world.know_empty(known_empty)
        ledger = Ledger(world)
        base = Judgement(
            position=story.position,
            lines=tuple(dict.fromkeys(entry.line for entry in story.entries)),
            provider=first.provider,
            account=first.account,
            payment_id=first.payment_id or first.case_ids[0],
        )
        try:
            before = ledger.open(first.provider, first.account, story.ids, join=True)
        except Retry:
            return replace(base, is_in_use=True)
        if not self._is_idle(before):
            return replace(base, is_in_use=True)
        judged = self._taken(story, world, base)
        after = ledger.open(first.provider, first.account, story.ids, join=True)
        return self._with_outcome(judged, before, after)

    def is_taken_in(self, entry: Entry) -> bool:
        """Whether the ledger itself knows all that an entry says, and is done with its payment for now."""
        fact = entry.fact
        case = Ledger(self._table).open(fact.provider, fact.account, fact.case_ids[:1], join=False)
        return self._is_idle(case) and _told(case, entry) == "known"

    def _is_idle(self, case: CaseFile) -> bool:
        return not case.pending() and case.lease_until <= self._now()

    def _taken(self, story: Story, world: OverlayTable, base: Judgement) -> Judgement:
        """The story taken in, entry by entry, as far as that can be rehearsed now."""
        ledger, converger = Ledger(world), self._converger(world)
        needed: list[Entry] = []
        conflicts: list[tuple[int, str]] = []
        waiting = ""
        for entry in story.entries:
            fact = entry.fact
            case = ledger.open(fact.provider, fact.account, fact.case_ids, join=True)
            if fields := _contradicted(case, entry):
                conflicts.append((entry.line, f"{fact.identity}: {', '.join(fields)}"))
            if _told(case, entry) == "known" and not self._has_settlements_to_come(entry):
                continue
            needed.append(entry)
            if not waiting:
                waiting = _failure(converger, entry)
        revisited = not needed and self._is_revisited(story, world, converger)
        waits = (waiting,) if waiting else ()
        return replace(base, needed=tuple(needed), conflicts=tuple(conflicts), revisited=revisited, waiting=waits)

    def _has_settlements_to_come(self, payout: Entry) -> bool:
        """Whether a payout that is known has not settled all of its payments."""
        ledger = Ledger(self._world)
        for settled in settlements(payout.fact):
            case = ledger.open(settled.provider, settled.account, settled.case_ids, join=False)
            if settled.identity not in case.facts:
                return True
        return False

    @staticmethod
    def _is_revisited(story: Story, world: OverlayTable, converger: Converger) -> bool:
        """Whether the pipeline, asked again without anything new, would change anything."""
        first = story.entries[0].fact
        names = first.provider, first.account
        before = Ledger(world).open(*names, story.ids[:1], join=False).version
        if not before:
            return False
        with suppress(Retry):
            converger.revisit(*names, story.ids[0])
        return Ledger(world).open(*names, story.ids[:1], join=False).version != before

    def _converger(self, world: OverlayTable) -> Converger:
        return Converger(ledger=Ledger(world), customers=self._customers, api=self._api, stage=self._stage, now=self._now)

    def _with_outcome(self, judged: Judgement, before: CaseFile, after: CaseFile) -> Judgement:
        customer = self._customers.owner_of(after)
        made = [entry for key, entry in after.documents.items() if key not in before.documents]
        findings = (item["code"] for item in after.findings.values() if item.get("planned") and not item.get("resolved_at"))
        return replace(
            judged,
            business_customer=customer.id if customer else "",
            made=tuple(Made(one.record.document, self._issuer(one, after)) for one in made),
            waiting=(*judged.waiting, *after.waiting),
            findings=tuple(sorted(findings)),
        )

    def _issuer(self, entry: DocumentEntry, case: CaseFile) -> str:
        platform = self._customers.platform() if entry.record.document.issuer else None
        return platform.id if platform else case.business_customer or ""


def _failure(converger: Converger, entry: Entry) -> str:
    """Let an entry be taken in. Returns why that cannot be done now, such as a registry of tax numbers that does not answer."""
    try:
        converger.take(entry.fact, entry.event_id)
    except (InDoubt, Retry) as failure:
        return failure.code
    return ""


def _contradicted(case: CaseFile, entry: Entry) -> tuple[str, ...]:
    known = case.facts.get(entry.fact.identity)
    return conflicting_fields(known, entry.fact) if known else ()


def _told(case: CaseFile, entry: Entry) -> str:
    """What a case makes of an entry, as `CaseFile.add_fact` says it; a conflict that is a finding already is known."""
    if f"conflict#{entry.fact.identity}:{entry.event_id}" in case.findings:
        return "known"
    return case.add_fact(entry.fact, entry.event_id, 0)


def partitions_of(story: Story) -> Iterator[str]:
    """The partitions of the ledger that a story may be found in."""
    first = story.entries[0].fact
    yield from (case_pk(first.provider, first.account, name) for name in story.ids)
