"""A reconciliation from its beginning to its end, in as many sittings as it takes.

    listing     every entity's invoices and credit notes, a hundred a request
    comparing   every payment of the ledger, in one pass over the table, with what is held of its documents
    leftovers   what is held and no payment explains
    fees        the platform's fee documents with what payouts kept, month by month
    payouts     every payout with what explains it
    keeping     what was found goes to where operators see it; what is gone is closed; what is acknowledged no longer counts

The ledger and the invoicing API go on changing meanwhile. The listing comes first, so a document without a payment has none for
good. Whatever else does not agree is looked at once more, in the ledger and at the API, before it is said.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeAlias

from quittance.documents import DocumentKind, DocumentState
from quittance.errors import Park
from quittance.facts import PAYOUT_TYPES
from quittance.fee_totals import fee_totals, paid_out_lines
from quittance.fees import FEES_PROVIDER
from quittance.ledger import case_from_partition, case_names, partitions
from quittance.mapping import COLLECTIONS
from quittance.money import EXPONENTS
from quittance.personal_data import without_persons
from quittance.plan import PLATFORM, plan
from quittance.reconciliation.books import PRINTED, held_document, major, minor_units, money_of, signed_total
from quittance.reconciliation.comparison import NOBODY, Compared, compare
from quittance.reconciliation.finding_classes import finding_class
from quittance.reconciliation.listing import Listing
from quittance.reconciliation.outcome import PLANNED, reconciliation_of
from quittance.reconciliation.payout_marks import is_payout, marks_in, tie_out_marked
from quittance.reconciliation.payouts import residual_found
from quittance.reconciliation.results import Found, Reconciliation
from quittance.reconciliation.standing import keep_findings, note_acknowledged
from quittance.registration import CustomerDirectory, read_customer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from quittance.customers import BusinessCustomer
    from quittance.fee_totals import PaidOut
    from quittance.ledger import CaseFile, Ledger
    from quittance.plan import Plan
    from quittance.reconciliation.books import HeldDocument
    from quittance.reconciliation.workbook import Workbook
    from quittance.space_invoices import SpaceInvoices
    from quittance.storage import Item

    Owned: TypeAlias = tuple[list[Item], CaseFile, BusinessCustomer | None]
    """The items of a case, the case, and whose payment it is; None while nobody has registered its account."""

BATCH = 250
"""How many payments are compared with one look into the workbook."""
COMMIT_EVERY = 20
"""How many batches a killed run may have to do again."""
MOST_LOOKED_AT = 1000
"""How many differences are looked at once more at the API, a request each. So many at once are no accident of timing."""
_NOTHING_BEFORE_ITS_TIME = frozenset({"waiting_too_long", "payout_residual", "payout_currency_differs"})
"""What is in good order until it took too long."""
_STEPS = ("listing", "comparing", "leftovers", "fees", "payouts", "keeping", "finished")

Position = tuple[str, str]
"""Both keys of an item of the ledger's table."""


class Scan(Protocol):
    """Every item of the table after a position, or from the beginning. Items of one partition follow each other."""

    def __call__(self, after: Position | None) -> Iterator[Item]: ...


class Progress(Protocol):
    """Told of what is under way, and how many pages or payments of it are done."""

    def __call__(self, step: str, done: int) -> None: ...


def _nobody_told(step: str, done: int) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a run is about."""

    business_customer: str | None = None
    """Only this one; all of them if None."""
    counts_at_once: bool = False
    """Differences count whatever their age, but for what is in good order until it took too long."""
    keeps: bool = True
    """What was found is kept in the ledger's table."""


class Run:
    """One reconciliation. `work` goes on with it; everything it knows is in its workbook."""

    def __init__(  # noqa: PLR0913 - the composition root names every part
        self,
        *,
        ledger: Ledger,
        scan: Scan,
        api: SpaceInvoices,
        workbook: Workbook,
        now: Callable[[], int],
        pace: Callable[[], None],
        scope: Scope | None = None,
        is_time_up: Callable[[], bool] = lambda: False,
        progress: Progress = _nobody_told,
        committed: Callable[[], None] = lambda: None,
    ) -> None:
        """`now` gives seconds since 1970; `pace` is called before each request to the API and may wait.

        `committed` is called whenever a killed run would go on from here.
        """
        self._ledger = ledger
        self._customers = CustomerDirectory(ledger, now)
        self._scan = scan
        self._api = api
        self._book = workbook
        self._now = now
        self._pace = pace
        self._scope = scope or Scope()
        self._is_time_up = is_time_up
        self._progress = progress
        self._committed = committed
        self._figures: Counter[tuple[str, str]] = Counter()
        self._listing = Listing(
            api=api,
            ledger=ledger,
            book=workbook,
            now=now,
            pace=pace,
            wants=self._is_wanted,
            is_time_up=is_time_up,
            page_listed=self._page_listed,
        )
        self._started_at = workbook.state("started_at") or now()
        workbook.set_state("started_at", self._started_at)
        workbook.commit()

    def work(self) -> bool:
        """Go on until it is finished, or time is up. Returns whether it is finished.

        Raises `Retry` when ledger or API cannot be asked now, and `Park` when the API refuses. All that was committed before
        stays done, so the run can go on later, with this object or another one.
        """
        try:
            return self._work()
        except BaseException:
            self._figures.clear()
            self._book.roll_back()
            raise

    def _work(self) -> bool:
        steps = {
            "listing": self._list_all,
            "comparing": self._compare_all,
            "leftovers": self._judge_leftovers,
            "fees": self._total_fees,
            "payouts": self._tie_out_payouts,
            "keeping": self._keep,
        }
        while (name := self._book.state("step", _STEPS[0])) != _STEPS[-1]:
            if self._is_time_up() or not steps[name]():
                self._commit()
                return False
            self._book.set_state("step", _STEPS[_STEPS.index(name) + 1])
            self._commit()
        return True

    def _commit(self) -> None:
        self._book.add_up(self._figures)
        self._figures.clear()
        self._book.commit()
        self._committed()

    # what is held

    def _list_all(self) -> bool:
        return self._listing.go_on()

    def _page_listed(self) -> None:
        self._tell("listing", 1)
        self._commit()

    def _is_wanted(self, business_customer: str) -> bool:
        return self._scope.business_customer in {None, business_customer}

    def _tell(self, step: str, more: int) -> None:
        done = self._book.state(f"done {step}", 0) + more
        self._book.set_state(f"done {step}", done)
        self._progress(step, done)

    # what should be

    def _compare_all(self) -> bool:
        position = self._book.state("position")
        cases = self._cases(tuple(position) if position else None)
        batches = 0
        while batch := list(islice(cases, BATCH)):
            owned = [(items, case, self._customers.owner_of(case)) for items, case in batch]
            if not self._lists_entities_of(customer for *_, customer in owned):
                return False  # this batch comes again
            self._compare_batch(owned)
            if self._is_time_up():
                return False
            batches += 1
            if batches % COMMIT_EVERY == 0:
                self._commit()
        return True

    def _cases(self, after: Position | None) -> Iterator[tuple[list[Item], CaseFile]]:
        """Every case with its items. A page may end within one: what belongs together is put together."""
        for partition in partitions(self._scan(after)):
            if (case := case_from_partition(partition)) is not None:
                yield partition, case

    def _lists_entities_of(self, customers: Iterable[BusinessCustomer | None]) -> bool:
        """List the entities that came about after the beginning, or that the API's list of them does not show."""
        issuers = {one.id: one for one in (*customers, self._customers.platform()) if one and self._is_wanted(one.id)}
        return self._listing.includes(issuers.values())

    def _compare_batch(self, owned: list[Owned]) -> None:
        """Compare these cases, or the first of them if time is up: each look at the API may take its time."""
        held = self._book.held(_api_ids(case for _, case, _ in owned))
        seen: list[str] = []
        done = 0
        for items, case, customer in owned:
            done += 1
            if self._concerns(customer):
                compared = self._judge(case, customer, held)
                seen += compared.seen
                self._note(case, customer, compared)
                self._keep_charged(items, case, customer)
            if self._is_time_up():
                break
        last = owned[done - 1][0][-1]
        self._book.set_state("position", (last["pk"], last["sk"]))
        self._book.see(seen)
        self._tell("comparing", done)

    def _keep_charged(self, items: list[Item], case: CaseFile, customer: BusinessCustomer | None) -> None:
        """Fees are summed up once all payouts are known, which may come after their payments."""
        if customer and customer.is_charged_fees and self._is_wanted(customer.id):
            # No erasure reaches the workbook. The key of a registry's answer ends in a tax number.
            kept = [without_persons(item) for item in items if not item["sk"].startswith("EVIDENCE#")]
            self._book.charge(customer.id, kept, paid_out_lines(case))

    def _concerns(self, customer: BusinessCustomer | None) -> bool:
        wanted = self._scope.business_customer
        if wanted is None or (customer is not None and customer.id == wanted):
            return True
        platform = self._customers.platform()
        return bool(customer and customer.is_charged_fees and platform and platform.id == wanted)

    def _judge(self, case: CaseFile, customer: BusinessCustomer | None, held: Mapping[str, HeldDocument]) -> Compared:
        """The comparison; made again with what ledger and API say now where something does not agree."""
        platform = self._customers.platform()
        compared = compare(case, customer, platform, held, self._listing.began_at)
        if not compared.has_differences:
            return compared
        now = self._ledger.open(case.provider, case.account, (case.id,), join=False)
        if now.id != case.id:
            return Compared()  # it was joined to another one, which is compared instead
        case, customer = now, self._customers.owner_of(now)
        fresh = dict(held)
        about = {one.document for one in compared.found if finding_class(one.code).is_difference}
        for entry in case.documents.values():
            if entry.record.api_id in about and (one := self._look_at(entry.record.api_id, held, case, customer)):
                fresh[one.id] = one
        return compare(case, customer, platform, fresh, self._listing.began_at)

    def _look_at(
        self, document_id: str, held: Mapping[str, HeldDocument], case: CaseFile, customer: BusinessCustomer | None
    ) -> HeldDocument | None:
        """A document as the API shows it now; as it was listed when too many have been looked at."""
        entry = next(entry for entry in case.documents.values() if entry.record.api_id == document_id)
        document = entry.record.document
        issuer = self._customers.platform() if document.issuer == PLATFORM else customer
        if document.kind not in PRINTED or issuer is None or not issuer.entity_id:
            return None
        known = held.get(document_id)
        return self._shown(document.kind, issuer.entity_id, document_id, known)

    def _shown(self, kind: DocumentKind, entity: str, document_id: str, known: HeldDocument | None) -> HeldDocument | None:
        looked_at = self._book.state("looked_at", 0)
        if looked_at >= MOST_LOOKED_AT:
            return known
        self._book.set_state("looked_at", looked_at + 1)
        self._pace()
        try:
            shown = self._api.get(f"/{COLLECTIONS[kind]}/{document_id}", entity_id=entity)
        except Park:
            one = known._replace(is_deleted=True) if known else None
        else:
            one = held_document(kind, entity, shown)
        self._book.hold(filter(None, [one]))
        return one

    def _note(self, case: CaseFile, customer: BusinessCustomer | None, compared: Compared) -> None:
        owner = customer.id if customer else NOBODY
        wanted = self._is_wanted(owner)
        if wanted and _is_payment(case):
            self._figures[owner, "payments"] += 1
        if wanted and compared.waiting:
            self._figures[owner, "waiting"] += len(compared.waiting)
            self._book.wait(owner, compared.waiting)
        for issuer, documents in compared.documents.items():
            if self._is_wanted(issuer):
                self._figures[issuer, "documents"] += documents
        for (issuer, currency), amount in compared.planned.items():
            if self._is_wanted(issuer):
                self._figures[issuer, PLANNED + currency] += amount
        if wanted:
            if marks := list(marks_in(case, compared.plan)):
                self._book.mark(marks)
            if is_payout(case):
                self._book.pay_out(case, owner)
        self._find(compared.found)
        about = {one.document for one in compared.found}
        self._book.plan({document: amount for document, amount in compared.amounts.items() if document in about})
        self._note_intended(case, customer)

    def _note_intended(self, case: CaseFile, customer: BusinessCustomer | None) -> None:
        for entry in case.documents.values():
            document = entry.record.document
            if customer and entry.record.state is DocumentState.INTENDED and document.kind in PRINTED:
                platform = self._customers.platform()
                issuer = platform.id if document.issuer == PLATFORM and platform else customer.id
                self._book.intend(customer.id, _provider_of(case, document.fact), document.payment_id, document.key, issuer)

    def _find(self, found: Iterable[Found]) -> None:
        """Keep what was found, apart by whether it is old enough to count."""
        for one in found:
            if self._is_wanted(one.business_customer):
                self._book.find([one], counts=self._counts(one))

    def _counts(self, found: Found) -> bool:
        if self._scope.counts_at_once and found.code not in _NOTHING_BEFORE_ITS_TIME:
            return True
        return self._started_at - found.since >= finding_class(found.code).age_s

    # what is too much

    def _judge_leftovers(self) -> bool:
        owners = {entity.id: entity.business_customer for entity in self._book.entities()}
        for number, (place, document) in enumerate(self._book.unseen(self._book.state("place", 0)), 1):
            self._find(self._leftover(document, owners[document.entity]))
            self._book.set_state("place", place)
            if self._is_time_up():
                return False
            if number % BATCH == 0:
                self._commit()
        for invoice, excess in self._book.over_credited():
            self._find([self._over_credited(invoice, excess, owners[invoice.entity])])
        return True

    def _leftover(self, document: HeldDocument, owner: str) -> Iterator[Found]:
        if not document.key:
            yield _about(document, "made_by_hand", owner)
            return
        copies = self._book.copies(document)
        issuer = self._book.issuer_of_intended(document)
        # Its outcome is not recorded, which is found as such; or its payment was joined to another one while the table was read.
        if (issuer and copies[0] == document.id) or self._is_explained(document):
            self._count_as_planned(document, issuer or owner)
            return
        shown = self._shown(DocumentKind(document.kind), document.entity, document.id, document)
        if shown and not shown.is_deleted:
            yield _about(shown, "duplicate" if len(copies) > 1 else "orphan", owner)

    def _count_as_planned(self, document: HeldDocument, issuer: str) -> None:
        if document.is_counted:
            self._figures[issuer, PLANNED + document.currency] += signed_total(document)

    def _is_explained(self, document: HeldDocument) -> bool:
        names = self._names_of_case(document)
        if names is None:
            return False
        provider, account, case_id = names
        case = self._ledger.open(provider, account, (case_id,), join=False)
        held = {document.id: document}
        compared = compare(case, self._customers.owner_of(case), self._customers.platform(), held, self._listing.began_at)
        return document.id in compared.seen

    def _names_of_case(self, document: HeldDocument) -> tuple[str, str, str] | None:
        """Provider, account and id of the case that holds this document by now, if one does."""
        items = self._ledger.table.find(document.id)
        pk = next((item["pk"] for item in items if item["sk"].startswith("DOC#")), None)
        return case_names(pk) if pk else None

    def _over_credited(self, invoice: HeldDocument, excess: int, owner: str) -> Found:
        found = _about(invoice._replace(total=excess), "over_credited", owner)
        names = self._names_of_case(invoice)
        return replace(found, account=names[1]) if names else found

    # fees and payouts

    def _total_fees(self) -> bool:
        for name in self._book.charged_customers(self._book.state("fees_of", "")):
            if customer := read_customer(self._ledger.table, name):
                cases = filter(None, map(case_from_partition, self._book.charged(name)))
                totals = fee_totals(customer, cases, _PaidOutOf(self._book, name))
                self._book.set_fees(name, totals)
            self._book.set_state("fees_of", name)
            if self._is_time_up():
                return False
        return True

    def _tie_out_payouts(self) -> bool:
        cases = self._book.payout_cases(self._book.state("payout", 0))
        for number, (place, provider, account, payout_id, business_customer) in enumerate(cases, 1):
            facts = self._look(provider, account, payout_id)[0].facts.values()
            tied = tie_out_marked(facts, business_customer, self._book.marks, self._look)
            self._find(filter(None, [residual_found(tied)]))
            self._book.keep_payout(tied.summary())
            self._book.set_state("payout", place)
            if self._is_time_up():
                return False
            if number % BATCH == 0:
                self._commit()
        return True

    def _look(self, provider: str, account: str, some_id: str) -> tuple[CaseFile, Plan | None]:
        case = self._ledger.open(provider, account, (some_id,), join=False)
        customer = self._customers.owner_of(case)
        platform = self._customers.platform() if customer and customer.is_charged_fees else None
        return case, plan(case.as_case(), customer, platform) if customer else None

    # where it is kept

    def _keep(self) -> bool:
        if self._scope.keeps:
            names = {entity.business_customer for entity in self._book.entities()} | {NOBODY}
            wanted = sorted(name for name in names if self._is_wanted(name))
            keep_findings(self._ledger.table, self._book, wanted, self._now())
        note_acknowledged(self._ledger.table, self._book)
        self._book.set_state("finished_at", self._now())
        return True

    # what came of it

    def found(self, *, counts: bool = True) -> Iterator[Found]:
        """Everything found that counts; or that is too young to."""
        return self._book.found(counts=counts)

    def result(self) -> Reconciliation:
        """The figures of the run. What was found and the payouts are in the workbook: there may be many."""
        return reconciliation_of(self._book)


@dataclass(frozen=True, slots=True)
class _PaidOutOf:
    """What the payouts of one business customer say, as far as the workbook knows."""

    book: Workbook
    business_customer: str

    def get(self, payment: str, /) -> PaidOut | None:
        return self.book.paid_out(self.business_customer, payment)


def _api_ids(cases: Iterable[CaseFile]) -> list[str]:
    entries = (entry for case in cases for entry in case.documents.values())
    return [entry.record.api_id for entry in entries if entry.record.api_id and entry.record.document.kind in PRINTED]


def _is_payment(case: CaseFile) -> bool:
    return case.provider != FEES_PROVIDER and not all(fact.type in PAYOUT_TYPES for fact in case.facts.values())


def _provider_of(case: CaseFile, identity: str) -> str:
    """The provider in a document's metadata."""
    return case.facts[identity].provider if identity in case.facts else case.provider


def _about(document: HeldDocument, code: str, owner: str) -> Found:
    """A finding about all of a document. An amount in a currency that ISO 4217 does not list is no money: the detail has it."""
    known = finding_class(code)
    is_money = document.currency in EXPONENTS
    total = f"{major(minor_units(document.total, document.currency), document.currency)} {document.currency}"
    return Found(
        code=code,
        severity=known.severity,
        business_customer=owner,
        provider=document.provider,
        payment_id=document.payment_id,
        document=document.id,
        number=document.number,
        amount=money_of(document.total, document.currency) if is_money else None,
        detail=document.key if is_money else f"{document.key} {total}".lstrip(),
        since=document.created_at,
        repair=known.repair,
    )
