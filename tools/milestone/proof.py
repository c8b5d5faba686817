"""Holding what happened against what the scenario says, by what can be seen from outside: the invoicing API, ledger, queues."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any

from quittance.documents import DocumentKind
from quittance.explanation import NOT_REGISTERED, why_none
from quittance.facts import PAYOUT_TYPES
from quittance.money import Money
from tools.milestone.scenario import Expected, Story
from tools.reconciliation import held, reconciled, unfinished
from tools.traffic import dead_letters, on_the_way

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from quittance.facts import Fact
    from quittance.ledger import CaseFile
    from tools.milestone.play import Played
    from tools.reconciliation import CustomerBooks
    from tools.target import Target

_UNAUTHORIZED = 401
_RECORDS = {
    DocumentKind.PAYMENT: ("payment", "recorded"),
    DocumentKind.PAYMENT_REMOVAL: ("payment", "removed"),
    DocumentKind.FINALIZATION: ("draft", "made final"),
}
_SIGNS = {DocumentKind.INVOICE: 1, DocumentKind.CREDIT_NOTE: -1}
_REVERSE_CHARGE = "intra_eu_b2b valid"
"""How the evidence begins for a buyer whose tax number the registry has confirmed."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(slots=True)
class Outcome:
    """What exists after all was played."""

    cases: list[CaseFile]
    documents: list[dict[str, Any]]
    """Every invoice and credit note of every entity, as the API gives it, with its `kind` and the business customer `issuer`."""
    received: dict[str, Decimal] = field(default_factory=dict)
    """Currency -> payments recorded on invoices."""
    reconciliations: list[CustomerBooks] = field(default_factory=list)

    def case_of(self, fact: Fact) -> CaseFile | None:
        """The payment to which a fact was taken."""
        return next((case for case in self.cases if fact.identity in case.facts), None)

    def facts_of(self, played: Played) -> tuple[Fact, ...]:
        """What a delivery states; of one that only names objects, what was fetched."""
        return played.translation.facts or self.learnt(played)

    def learnt(self, played: Played) -> tuple[Fact, ...]:
        """What a delivery made known beyond what it states: what was fetched, and of each payment that it was paid out."""
        stated = {fact.identity for fact in played.translation.facts}
        known = ((case.facts[name], by) for case in self.cases for name, by in case.event_ids.items() if name not in stated)
        return tuple(fact for fact, by in known if by in played.event_ids)

    def taxes(self, issuer: str | None = None) -> dict[str, Decimal]:
        """Currency -> the tax on invoices less that on credit notes, of one business customer or of all."""
        totals: dict[str, Decimal] = defaultdict(Decimal)
        for one in self.documents:
            if issuer in {None, one["issuer"]}:
                totals[one["currency_code"]] += _SIGNS[one["kind"]] * tax_of(one)
        return dict(totals)

    def documents_of(self, story: Story, played: Iterable[Played]) -> list[dict[str, Any]]:
        """What was issued for the payments of a story."""
        facts = [fact for one in played if one.story is story for fact in self.facts_of(one)]
        keys = {(fact.provider, name) for fact in facts for name in fact.case_ids}
        return [one for one in self.documents if (one["metadata"].get("provider"), one["metadata"].get("payment_id")) in keys]


def outcome(target: Target) -> Outcome:
    """Read everything: the ledger from the table, the documents and payments from the invoicing API."""
    documents = {
        entity: [one | {"issuer": customer} for one in held(target.space_invoices, entity)]
        for customer, entity in target.ledger.entities().items()
    }
    received: dict[str, Decimal] = defaultdict(Decimal)
    for entity in documents:
        for payment in target.space_invoices.pages("payments", entity_id=entity):
            if payment.get("invoice_id") and not payment.get("deleted_at"):
                received[payment["currency_code"]] += Decimal(payment["amount"])
    return Outcome(
        cases=list(target.ledger.cases()),
        documents=list(chain.from_iterable(documents.values())),
        received=dict(received),
        reconciliations=reconciled(target),
    )


def checks(target: Target, found: Outcome, played: Sequence[Played], waits: dict[str, set[str]], forged: int) -> list[Check]:
    """Everything that must be so for the run to count as proof."""
    stories = list(dict.fromkeys(one.story for one in played))
    return [
        Check("a forged delivery is refused", forged == _UNAUTHORIZED, f"answered {forged}"),
        *_entities(target, found),
        *(_as_expected(story, found.documents_of(story, played)) for story in stories if story.rounds),
        *_waited(stories, waits),
        *_findings(stories, found, played),
        _nothing_unexpected(stories, found),
        _payments_reconciled(stories, found),
        _taxes_add_up(stories, found),
        *_ledger_agrees(found),
        _nothing_left(target),
        Check("every queue is empty", not (left := on_the_way(target)), str(left or "")),
        Check("there are no dead letters", not (dead := dead_letters(target)), str(dead or "")),
    ]


def _entities(target: Target, found: Outcome) -> Iterator[Check]:
    for result in found.reconciliations:
        entities = target.space_invoices.find_by_metadata(
            "entities", {"business_customer": result.business_customer}, entity_id=None
        )
        yield Check(f"{result.business_customer} has exactly one entity", len(entities) == 1, f"{len(entities)} found")


def _as_expected(story: Story, documents: list[dict[str, Any]]) -> Check:
    expected = Counter(_told(one) for one in story.documents)
    actual = Counter(_seen(one) for one in documents)
    differences = [f"missing: {told}" for told in (expected - actual).elements()]
    differences += [f"not expected: {seen}" for seen in (actual - expected).elements()]
    return Check(f"documents of: {story.title}", not differences, "; ".join(differences))


def _told(expected: Expected) -> str:
    total, tax = expected.total, Money(expected.tax, expected.total.currency)
    paid = _plain(total.decimal if expected.paid else 0)
    by = " by the platform" if expected.by_platform else ""
    reversed_ = ", reverse charge" if expected.reverse_charge else ""
    return f"{expected.kind}{by} over {_plain(total.decimal)} {total.currency}, {_plain(tax.decimal)} tax{reversed_}, {paid} paid"


def _seen(document: dict[str, Any]) -> str:
    total, currency, paid = _plain(document["total_with_tax"]), document["currency_code"], _plain(document["total_paid"])
    by = " by the platform" if is_of_the_platform(document) else ""
    confirmed = document["metadata"].get("tax_evidence", "").startswith(_REVERSE_CHARGE)
    reversed_ = ", reverse charge" if document.get("tax_clause") and confirmed else ""
    state = "draft " if document["is_draft"] else ""
    return f"{state}{document['kind']}{by} over {total} {currency}, {_plain(tax_of(document))} tax{reversed_}, {paid} paid"


def tax_of(document: dict[str, Any]) -> Decimal:
    """The tax in a document's total."""
    return Decimal(document["total_with_tax"]) - Decimal(document["total"])


def is_of_the_platform(document: dict[str, Any]) -> bool:
    """Whether it was issued to the business customer instead of by it."""
    return document["metadata"].get("business_customer") not in {None, document["issuer"]}


def _plain(number: Decimal | int) -> str:
    return f"{Decimal(number):.2f}"


def _waited(stories: Iterable[Story], waits: dict[str, set[str]]) -> Iterator[Check]:
    for story in stories:
        expected, actual = set(story.waits_first), waits.get(story.title, set())
        if expected or actual:
            yield Check(f"waits first: {story.title}", actual == expected, f"waited for {', '.join(sorted(actual)) or 'nothing'}")


def _findings(stories: Iterable[Story], found: Outcome, played: Sequence[Played]) -> Iterator[Check]:
    for story in stories:
        cases = {
            case.pk: case for one in played if one.story is story for fact in found.facts_of(one) if (case := found.case_of(fact))
        }
        codes = sorted(item["code"] for case in cases.values() for item in case.findings.values() if not item.get("resolved_at"))
        if codes or story.findings:
            detail = f"found {', '.join(codes) or 'none'}"
            yield Check(f"findings of: {story.title}", codes == sorted(story.findings), detail)


def _nothing_unexpected(stories: Iterable[Story], found: Outcome) -> Check:
    expected = sum(len(story.documents) for story in stories)
    return Check(
        f"there are {expected} documents and no others", len(found.documents) == expected, f"{len(found.documents)} found"
    )


def _payments_reconciled(stories: Iterable[Story], found: Outcome) -> Check:
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for story in stories:
        for one in story.documents:
            if one.kind == "invoice" and one.paid:
                expected[one.total.currency] += one.total.decimal
    detail = ", ".join(f"{total:,} {currency}" for currency, total in sorted(found.received.items()))
    return Check("the payments recorded on invoices add up to the money received", found.received == expected, detail)


def _taxes_add_up(stories: Iterable[Story], found: Outcome) -> Check:
    expected = defaultdict(Decimal, dict.fromkeys(found.taxes(), Decimal(0)))
    for one in (document for story in stories for document in story.documents):
        expected[one.total.currency] += _SIGNS[DocumentKind(one.kind)] * Money(one.tax, one.total.currency).decimal
    detail = ", ".join(f"{total:,} {currency}" for currency, total in sorted(found.taxes().items()))
    return Check("the taxes of all documents add up to those expected", found.taxes() == expected, detail)


def _ledger_agrees(found: Outcome) -> Iterator[Check]:
    for result in found.reconciliations:
        differences = "; ".join(f"{one.code} {one.document} {one.detail}" for one in result.differences)
        name = f"ledger and invoicing API agree on {result.documents_checked} documents of {result.business_customer}"
        yield Check(name, result.agrees, differences)


def _nothing_left(target: Target) -> Check:
    left = [case.id for case in unfinished(target.ledger)]
    return Check("the plan has nothing left to issue", not left, ", ".join(left))


@dataclass(frozen=True, slots=True)
class Record:
    """What was done to an invoice that was there before: a payment added or removed, or the draft made final."""

    kind: str
    status: str
    number: str
    """Of the invoice."""
    amount: Money


@dataclass(frozen=True, slots=True)
class Row:
    """One delivery and what it led to: documents, records of payments, or else the reason why there is neither."""

    played: Played
    facts: tuple[Fact, ...]
    """All that it states or made known, told before or not."""
    documents: tuple[dict[str, Any], ...]
    records: tuple[Record, ...] = ()
    none_because: str = ""


def rows(target: Target, found: Outcome, played: Sequence[Played], waited: dict[str, str]) -> list[Row]:
    """Every delivery in the order in which its story was told. A document stands beside the first delivery of its fact."""
    told: set[str] = set()
    result = []
    for one in sorted(played, key=lambda each: each.round):
        known = (*one.translation.facts, *found.learnt(one))
        facts = [fact for fact in known if fact.identity not in told]
        told |= {fact.identity for fact in facts}
        documents = tuple(document for fact in facts for document in found.documents if _is_of(document, fact))
        records = tuple(record for fact in facts for record in _records(found, fact))
        reason = "" if documents or records else _reason(target, found, one, facts, waited)
        result.append(Row(one, known, documents, records, reason))
    return result


def _records(found: Outcome, fact: Fact) -> Iterator[Record]:
    case = found.case_of(fact)
    for entry in case.documents.values() if case else ():
        document = entry.record.document
        if case and document.fact == fact.identity and document.kind in _RECORDS:
            invoice = case.documents[document.refers_to].record
            yield Record(*_RECORDS[document.kind], invoice.printed_number, document.amount)


def _is_of(document: dict[str, Any], fact: Fact) -> bool:
    metadata = document["metadata"]
    return bool(metadata.get("fact") == fact.identity and metadata.get("provider") == fact.provider)


def _reason(target: Target, found: Outcome, played: Played, facts: Sequence[Fact], waited: dict[str, str]) -> str:
    if played.translation.ignored:
        return f"ignored: {played.translation.ignored}".replace("_", " ")
    if not facts:
        return _repeated(found, played)
    [fact, *_] = facts
    case = found.case_of(fact)
    if case is None:
        return _outside_of_payments(fact)
    customer = target.ledger.customer_of(case)
    planned = target.ledger.planned(case, customer)
    reason = why_none(fact, case, planned, customer) if customer else f"waits for {NOT_REGISTERED}"
    return reason + (f" (waited for: {waited[fact.identity]})" if fact.identity in waited else "")


def _repeated(found: Outcome, played: Played) -> str:
    """Nothing new; or something else about what is known, which is kept as a finding."""
    for fact in played.translation.facts:
        case = found.case_of(fact)
        if case and f"conflict#{fact.identity}:{played.translation.event_id}" in case.findings:
            return "finding: conflict"
    return "known already"


def _outside_of_payments(fact: Fact) -> str:
    if fact.registration:
        return f"entity {fact.account}"
    return "marks its payments as settled" if fact.type in PAYOUT_TYPES else "not in the ledger"


def printed_kind(document: dict[str, Any]) -> str:
    """`invoice` or `credit note`, what it corrects, and whether it is about the platform's fee."""
    if document["kind"] is DocumentKind.CREDIT_NOTE:
        return "fee credit note" if is_of_the_platform(document) else "credit note"
    if is_of_the_platform(document):
        return "fee invoice"
    return "corrective invoice" if document["metadata"].get("corrects") else "invoice"
