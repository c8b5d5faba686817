"""What must hold when a history has ended: the API against the oracle, the ledger against both."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from quittance.documents import DocumentKind, DocumentState
from quittance.facts import FactType
from quittance.ledger import HEAD, CaseFile, Ledger, case_pk
from quittance.reconciliation.books import held_document, money_of
from quittance.reconciliation.comparison import compare
from quittance.reconciliation.finding_classes import finding_class
from quittance.registration import read_customer
from tests.simulation.history import Violation
from tests.simulation.oracle import REGISTRATIONS, Expected, Oracle, Owner, local_day
from tests.simulation.table import QuietTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quittance.customers import BusinessCustomer
    from tests.simulation.world import World

_DECIMALS = {"JPY": 0, "ISK": 0, "KWD": 3, "BHD": 3}
_LONG_AFTER = 1 << 40
"""Seconds since 1970: everything was issued before that."""
HELD_UP_MAX_S = 60
"""Longer than it takes to receive a message that nobody can read as often as it may be received."""
_METADATA = ("business_customer", "provider", "payment_id", "document_key", "fact", "event_id", "policy")


def require(holds: object, complaint: str) -> None:
    if not holds:
        raise Violation(complaint)


def check_end(world: World) -> None:
    """Everything that must hold once a history has healed and drained. Raises `Violation`."""
    for queue in world.sqs.queues.values():
        require(not queue.groups, f"messages are left on {queue.name}")
        good = [message.id for message in queue.dead if not message.is_poison]
        require(not good, f"good messages are in the dead-letter queue of {queue.name}: {good}")
        poison = sum(1 for one in world.history.poison if one.queue == queue.name)
        require(
            len(queue.dead) == poison,
            f"{len(queue.dead)} of {poison} poison messages are in the dead-letter queue of {queue.name}",
        )
    held_up = world.history.is_quiet and world.longest_wait_s > HELD_UP_MAX_S
    require(not held_up, f"a good message waited for {world.longest_wait_s:.0f} s although nothing failed")
    ledger = _LedgerView(world)
    oracle = Oracle(world.history, ledger.believed)
    _check_entities(world, oracle)
    documents = _Documents(world)
    for expected in oracle.expectations():
        _check_payment(expected, oracle.owner_of(expected.provider, expected.account), ledger, documents, world)
    require(not documents.unclaimed, f"documents that no payment explains: {documents.unclaimed}")
    _check_agreement(world, ledger, documents)
    _check_cost(world, documents)


class _LedgerView:
    """The ledger as the product reads it, and the raw items."""

    def __init__(self, world: World) -> None:
        table = QuietTable(world.table)
        self.ledger = Ledger(table)
        self.table = table
        self.items = world.table.items()
        self.heads = [item for item in self.items if item["pk"].startswith("CASE#") and item["sk"] == HEAD]
        self._part_of = {item["pk"]: item["part_of"] for item in self.heads if item.get("part_of")}
        self.believed = {}
        for item in self.items:
            if item["pk"].startswith("CASE#") and item["sk"].startswith("FACT#") and item["fact"].get("amount"):
                _, provider, account, _ = item["pk"].split("#", 3)
                self.believed[provider, account, item["sk"].removeprefix("FACT#")] = item["fact"]["amount"]["value"]
        self.cases: dict[str, CaseFile] = {}

    def case(self, expected: Expected) -> CaseFile:
        """The one case of a payment, whichever name leads to it."""
        found = {self._led_to(expected, name) for name in expected.names}
        require(len(found) == 1, f"{sorted(expected.names)} lead to several cases: {sorted(found)}")
        case = self.ledger.open(expected.provider, expected.account, [found.pop()], join=False)
        require(case.version, f"nothing is known of {sorted(expected.names)}")
        self.cases[case.pk] = case
        return case

    def _led_to(self, expected: Expected, name: str) -> str:
        """The case that a name leads to in the end."""
        while joined := self._part_of.get(case_pk(expected.provider, expected.account, name)):
            name = joined
        return name


class _Documents:
    """Invoices, credit notes and payments in the API, by the payment that their metadata names."""

    def __init__(self, world: World) -> None:
        self.books = world.api.books
        self.held: list[tuple[DocumentKind, dict[str, Any]]] = []
        for book in self.books.values():
            self.held += [(DocumentKind.INVOICE, one) for one in book.invoices.values()]
            self.held += [(DocumentKind.CREDIT_NOTE, one) for one in book.credit_notes.values()]
        self.by_id = {one["id"]: one for _, one in self.held}
        self.unclaimed = set(self.by_id)

    def of(self, expected: Expected, owner: Owner | None) -> list[tuple[DocumentKind, dict[str, Any]]]:
        found = []
        for kind, one in self.held:
            metadata = one["metadata"]
            if metadata.get("payment_id") in expected.names and metadata.get("provider") == expected.provider:
                require(owner and metadata.get("business_customer") == owner.id, f"{one['number']} belongs to another customer")
                entity = self.books[one["entity_id"]].entity
                require(owner and entity["metadata"]["business_customer"] == owner.id, f"{one['number']} is in another entity")
                found.append((kind, one))
                self.unclaimed.discard(one["id"])
        return found


def _check_entities(world: World, oracle: Oracle) -> None:
    registered = {owner.id for owner in oracle.owners.values()}
    held = {book.entity["metadata"].get("business_customer") for book in world.api.books.values()}
    require(held == registered, f"entities {held}, registered {registered}")
    complaints = [item for item in world.table.items() if item["pk"].startswith("BUSINESS_CUSTOMER#") and "code" in item]
    standing = {item["code"] for item in complaints if not item.get("resolved_at")}
    require(not standing, f"findings about registrations: {standing}")


def _check_payment(expected: Expected, owner: Owner | None, ledger: _LedgerView, documents: _Documents, world: World) -> None:
    what = "/".join(sorted(expected.names))
    case = ledger.case(expected)
    require(expected.identities == set(case.facts), f"{what}: facts {expected.identities ^ set(case.facts)} are lost or invented")
    held = documents.of(expected, owner)
    # A refusal whose record was lost, of a document that an earlier request made after all, is none.
    is_refused = any(entry.record.state is DocumentState.REFUSED for entry in case.documents.values())
    names = ((provider, payment) for provider, payment, _ in world.api.refused)
    if is_refused and any(provider == expected.provider and payment in expected.names for provider, payment in names):
        require(
            any(item["code"] == "document_refused" for item in case.findings.values()), f"{what}: a refusal nobody is told of"
        )
        return
    sold = _check_amounts(expected, held, what)
    _check_case(expected, case, sold, what)
    for kind, one in held:
        _check_explained(one, case, owner, documents, world)
        if kind is DocumentKind.CREDIT_NOTE:
            _check_linked(one, documents, what)


def _check_amounts(expected: Expected, held: list[tuple[DocumentKind, dict[str, Any]]], what: str) -> int:
    """Totals in the API against the oracle. Returns what was sold."""

    def minor(value: Decimal) -> int:
        return int(value.scaleb(_DECIMALS.get(expected.currency, 2)))

    sales = [one for kind, one in held if kind is DocumentKind.INVOICE and "corrects" not in one["metadata"]]
    corrections = [one for kind, one in held if kind is DocumentKind.INVOICE and "corrects" in one["metadata"]]
    notes = [one for kind, one in held if kind is DocumentKind.CREDIT_NOTE and _subject(one)]
    doubled = [one for kind, one in held if kind is DocumentKind.CREDIT_NOTE and not _subject(one)]
    for _, one in held:
        require(one["currency_code"] == expected.currency, f"{what}: currency of {one['number']}")
        require(not one["is_draft"] and one["number"] and not one["voided_at"], f"{what}: {one['id']} is not issued")
    require(expected.may_double or not doubled, f"{what}: invoiced twice although its renewal was known")
    sold = sum(minor(one["total_with_tax"]) for one in sales) - sum(minor(one["total_with_tax"]) for one in doubled)
    require(sold in expected.sales, f"{what}: sold {sold}, expected {sorted(expected.sales)}")
    credited = sum(minor(one["total_with_tax"]) for one in notes) - sum(minor(one["total_with_tax"]) for one in corrections)
    require(credited == expected.credited(sold), f"{what}: credited {credited} of {sold}, expected {expected.credited(sold)}")
    by_subject: Counter[str] = Counter()
    for sign, group in ((1, notes), (-1, corrections)):
        for one in group:
            by_subject[_subject(one)] += sign * minor(one["total_with_tax"])
    for subject, amount in by_subject.items():
        level = expected.levels.get(subject, 0)
        exact = sum(expected.levels.values()) <= sold and not expected.is_pooled
        require(amount >= 0, f"{what}: {subject} stands at {amount}")
        require(
            amount == level if exact else amount <= level or expected.is_pooled,
            f"{what}: {subject} stands at {amount}, expected {level}",
        )
    received = sum(minor(one["total_paid"]) for one in sales) - sum(minor(one["total_paid"]) for one in doubled)
    require(
        expected.received is None or received in expected.received, f"{what}: received {received}, expected {expected.received}"
    )
    _check_rates(sales, [*notes, *doubled], corrections, what)
    for one in corrections:
        require(one["total_paid"] == one["total_with_tax"], f"{what}: {one['number']} is a correction without its money")
    return sold


def _check_rates(sales: list[dict[str, Any]], notes: list[dict[str, Any]], corrections: list[dict[str, Any]], what: str) -> None:
    """At no rate more is credited than was invoiced at it, or taken back than was credited at it."""
    sold, credited, corrected = (_by_rate(group) for group in (sales, notes, corrections))
    for rate in {*sold, *credited, *corrected}:
        require(
            corrected[rate] <= credited[rate] <= sold[rate] + corrected[rate],
            f"{what}: at {rate or 'no tax'} sold {sold[rate]}, credited {credited[rate]}, corrected {corrected[rate]}",
        )


def _by_rate(group: list[dict[str, Any]]) -> Counter[str]:
    """What documents come to at each rate, in thousandths."""
    totals: Counter[str] = Counter()
    for line in (line for one in group for line in one["items"]):
        totals["+".join(str(tax["rate"]) for tax in line["taxes"])] += int(Decimal(line["total_with_tax"]).scaleb(3))
    return totals


def _subject(one: dict[str, Any]) -> str:
    """The refund or dispute a document is about; empty for a sale that was invoiced twice and taken back."""
    metadata = one["metadata"]
    return next((f"{kind}:{metadata[name]}" for kind in ("refund", "dispute") if (name := f"{kind}_id") in metadata), "")


def _check_case(expected: Expected, case: CaseFile, sold: int, what: str) -> None:
    require(not case.lease_owner, f"{what}: the lease was never given back")
    states = {key: entry.record.state for key, entry in case.documents.items() if entry.record.state is not DocumentState.ISSUED}
    require(not states, f"{what}: not issued: {states}")
    require(bool(case.waiting) == expected.waits(sold), f"{what}: waits for {case.waiting}, expected {expected.waits(sold)}")
    standing = {name.partition("#")[0] for name, item in case.findings.items() if not item.get("resolved_at")} - {"conflict"}
    require(standing == expected.findings_given(sold), f"{what}: findings {standing}, expected {expected.findings_given(sold)}")
    conflicts = {item["subject"] for item in case.findings.values() if item["code"] == "conflict"}
    for identity in expected.contradicted:
        require(
            any(subject.startswith(identity) for subject in conflicts), f"{what}: {identity} was contradicted without a finding"
        )
    require(bool(conflicts) == bool(expected.contradicted), f"{what}: conflicts {conflicts}")


def _check_explained(one: dict[str, Any], case: CaseFile, owner: Owner | None, documents: _Documents, world: World) -> None:
    metadata, number = one["metadata"], one["number"]
    require(all(metadata.get(name) for name in _METADATA), f"{number} does not explain itself: {metadata}")
    reports = [
        (d, f) for d in world.history.deliveries for f in d.facts if f.identity == metadata["fact"] and f.account == case.account
    ]
    require(reports, f"{number} names a fact that nobody reported: {metadata['fact']}")
    require(
        metadata["event_id"] in {delivery.event_id for delivery, _ in reports}, f"{number} names an event that did not report it"
    )
    assert owner
    setting = owner.policies.broken_by(one)
    require(not setting, f"{number} does not keep its policy: {setting}")
    _check_email(one, owner, world)
    days = {local_day(fact.occurred_at, owner.zone) for _, fact in reports}
    credited = documents.by_id.get(metadata.get("corrects", ""))
    if credited and credited["date"][:10] > max(days):
        days = {credited["date"][:10]}  # nothing is dated before what it corrects
    require(one["date"][:10] in days, f"{number} is dated {one['date'][:10]}, not {sorted(days)}")


def _check_linked(note: dict[str, Any], documents: _Documents, what: str) -> None:
    related = documents.books[note["entity_id"]].relations.get(note["id"], ())
    linked = [one["target_id"] for one in related if one["relation_type"] == "credit_for"]
    require(linked == [note["metadata"].get("corrects")], f"{what}: {note['number']} is linked to {linked}")


def _check_agreement(world: World, ledger: _LedgerView, documents: _Documents) -> None:
    """The product's own reconciliation finds the same: nothing differs, nothing is left in the ledger that hides a case."""
    for book in world.api.books.values():
        customer = read_customer(ledger.table, book.entity["metadata"]["business_customer"])
        require(customer, "an entity without a customer")
        assert customer
        cases = [case for case in ledger.cases.values() if case.business_customer == customer.id]
        _check_books(world, customer, cases, documents)
    facts_of = {item["pk"] for item in ledger.items if item["sk"].startswith("FACT#") and item["pk"].startswith("CASE#")}
    main = {item["pk"] for item in ledger.heads if not item.get("part_of")}
    require(main <= facts_of, f"cases without facts: {main - facts_of}")
    require(main == set(ledger.cases), f"cases nobody asked for: {main ^ set(ledger.cases)}")
    _check_nothing_sleeps(world, ledger)


def _check_books(world: World, customer: BusinessCustomer, cases: Iterable[CaseFile], documents: _Documents) -> None:
    entity = str(customer.entity_id)
    held = {one["id"]: held_document(kind, entity, one) for kind, one in documents.held if one["entity_id"] == entity}
    compared = [compare(case, customer, None, held, {entity: _LONG_AFTER}) for case in cases]
    differences = [found for one in compared for found in one.found if finding_class(found.code).is_difference]
    left = {one.id for one in held.values() if not one.is_deleted} - {name for one in compared for name in one.seen}
    planned = sum((one.planned for one in compared), Counter())
    booked: Counter[tuple[str, str]] = Counter()
    for one in held.values():
        sign = -1 if one.kind == DocumentKind.CREDIT_NOTE else 1
        booked[customer.id, one.currency] += sign * money_of(one.total, one.currency).value if one.is_counted else 0
    agrees = not differences and not left and +planned == +booked
    require(agrees or world.api.refused, f"reconciliation of {customer.id}: {differences} {left} {planned} {booked}")


def _check_nothing_sleeps(world: World, ledger: _LedgerView) -> None:
    registered = {item["pk"] for item in ledger.items if item["sk"] == "OWNER"}
    asleep = [item["sk"] for item in ledger.items if item["sk"].startswith("WAITING#") and item["pk"] in registered]
    require(not asleep, f"still waiting for a customer that is registered: {asleep}")
    names = {str(item.get("event_id")) for item in ledger.items if item["sk"].startswith("FACT#")}
    for fact, event_id in _reported(world):
        if fact.type in REGISTRATIONS:
            require(event_id in names, f"registration {event_id} is lost")


def _reported(world: World) -> Iterable[tuple[Any, str]]:
    return ((fact, delivery.event_id) for delivery in world.history.deliveries for fact in delivery.facts)


def _check_email(one: dict[str, Any], owner: Owner, world: World) -> None:
    """Whoever is to get a document has got it once."""
    sent = sum(1 for email in world.api.sandbox.emails if email["document_id"] == one["id"])
    is_due = bool(owner.policies.named_by(one, "send_email") and (one["customer"] or {}).get("email"))
    require(sent == is_due, f"{one['number']} was sent {sent} times, expected {int(is_due)}")


def _check_cost(world: World, documents: _Documents) -> None:
    """When nothing goes wrong, a document costs one request."""
    history = world.history
    if not history.is_quiet or any(f.type is FactType.PAYMENT_FAILED for f, _ in _reported(world)):
        return
    later = sum(1 for book in world.api.books.values() for one in book.payments.values() if one["metadata"])
    wanted = len(documents.held) + later + len(world.api.sandbox.emails)
    asked = sum(world.api.requests.values())
    require(asked == wanted, f"{asked} requests for {wanted} documents")
