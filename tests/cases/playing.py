"""Plays a case twice: with the plan alone, and with the real use cases against the model of the invoicing API.

Both ways end in the same kind of `Outcome`, which is held against what the case expects.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from quittance.customers import BusinessCustomer, EntityTax, policies_after, registered
from quittance.document_changes import DocumentChanges
from quittance.documents import Document, DocumentKind, RecordedDocument, TaxEvidence
from quittance.errors import Retry
from quittance.facts import Fact, FactType, merged
from quittance.ledger import OPEN_FINDING, WAITING, Ledger
from quittance.money import DOCUMENT_DECIMALS, EXPONENTS, Money
from quittance.observation import Observation, ObservedDocument, Sighting
from quittance.plan import Case, Plan, plan
from quittance.policy import DEFAULT_POLICY, Rate
from quittance.providers import platform
from quittance.registration import CustomerDirectory
from quittance.settlements import settlements
from quittance.tax import line_total
from tests.cases.reading import Line, Paper, Story
from tests.unit.stories import issue
from tests.use_cases.world import World
from tools.sandbox.faults import RegistryDown

REGISTERED_AT = "2026-01-01T00:00:00Z"
NOW = int(datetime(2027, 6, 1, 12, tzinfo=UTC).timestamp())
BY_HAND = "finalized by hand"
_NO_ANSWER = "the registry of tax numbers"
_ANSWERS = {"valid": True, "not valid": False, "no answer": None}


@dataclass
class Outcome:
    """What came of a case."""

    papers: list[Paper] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    emails: int = 0


def expected(story: Story) -> Outcome:
    return Outcome(_sorted(story.papers), story.waiting, story.findings, story.emails)


def _sorted(papers: list[Paper]) -> list[Paper]:
    """Own invoices, own credit notes, then the platform's, each in the order in which they were issued."""
    return sorted(papers, key=lambda paper: (paper.issuer == "platform", paper.kind != "invoice"))


# --- events --------------------------------------------------------------------------------------------------------------


def fact_of(kind: str, at: str, data: dict[str, Any], number: int, customer: str = "bc_1") -> Fact:
    """The fact of an event, through the same door as the platform's own."""
    event = {
        "specversion": "1.0",
        "id": f"evt_{number}",
        "source": "/cases",
        "type": kind,
        "time": at,
        "data": {"business_customer": customer} | data,
    }
    (fact,) = platform.translate(json.dumps(event).encode(), "default", {}).facts
    return fact


def registration_of(story: Story) -> Fact:
    data = {"name": "Seller", "timezone": "Europe/Berlin", "email": "seller@example.com"} | story.seller
    return fact_of("business_customer.created", REGISTERED_AT, data | ({"policy": story.policy} if story.policy else {}), 0)


def _platform_registration(story: Story) -> Fact | None:
    if story.platform is None:
        return None
    data = {"name": "Platform", "timezone": "Europe/Berlin", "role": "platform"} | story.platform
    return fact_of("business_customer.created", REGISTERED_AT, data, 0, "platform")


def _facts(story: Story) -> Iterator[Fact | str]:
    """The facts in the order of arrival; `BY_HAND` stands for a person who makes the draft final."""
    for number, (at, kind, data) in enumerate(story.events, 1):
        if kind == BY_HAND:
            yield BY_HAND
        elif kind == "policy":
            profile = {"name": "Seller", **story.seller}
            yield fact_of("business_customer.updated", at, profile | {"policy": data}, number)
        elif kind == "payout.paid":
            yield from settlements(fact_of(kind, at, data, number))
        else:
            yield fact_of(kind, at, data, number)


# --- the plan alone ------------------------------------------------------------------------------------------------------


def with_taxes(customer: BusinessCustomer, own: dict[str, str]) -> BusinessCustomer:
    """The customer with every tax of its policies in its entity."""
    rates: dict[str, Rate] = {}
    for policy in customer.policies:
        rates |= policy.tax.named_rates() if policy.tax else {}
    taxes = {name: EntityTax(tax_id=f"tax:{name}", percent=rate.percent or own[name]) for name, rate in rates.items()}
    return replace(customer, taxes=taxes)


def customer_of(registration: Fact, own_taxes: dict[str, str] | None = None) -> BusinessCustomer:
    """A business customer as it stands once its registration is carried out."""
    customer = registered(registration.key, [registration], f"ent_{registration.key}")
    customer = replace(customer, policies=policies_after((), registration) or (DEFAULT_POLICY,))
    return with_taxes(customer, own_taxes or {})


class Planner:
    """A case to which facts arrive one by one, each followed by everything the plan then asks for."""

    def __init__(self, customer: BusinessCustomer, issuer: BusinessCustomer | None, registry: dict[str, str]) -> None:
        self.case = Case(facts=())
        self.customer = customer
        self.issuer = issuer
        self.registry = registry
        self.plan = Plan()

    def take(self, fact: Fact) -> None:
        known = {one.identity: one for one in self.case.facts}
        known[fact.identity] = merged(known[fact.identity], fact) if fact.identity in known else fact
        self.case = replace(self.case, facts=tuple(known.values()))
        self.carry_out()

    def carry_out(self) -> None:
        self.plan = self._plan()
        for check in self.plan.checks:
            is_valid = _ANSWERS[self.registry.get(check.tax_number, "valid")]
            if is_valid is not None or not check.waits:
                evidence = TaxEvidence(is_valid=is_valid, checked_at="2026-11-20T12:00:00Z")
                self.case = replace(self.case, evidence={**self.case.evidence, check.key: evidence})
        if self.plan.checks:
            self.plan = self._plan()
        self.case = issue(self.case, self.plan.documents)
        again = self._plan()
        assert not again.documents, f"planned again: {[one.key for one in again.documents]}"
        assert (again.waiting, again.findings) == (self.plan.waiting, self.plan.findings)

    def _plan(self) -> Plan:
        return plan(self.case, self.customer, self.issuer)

    def finalize_by_hand(self) -> None:
        seen = Observation(document=ObservedDocument(at="2027-01-01T00:00:00.000000Z", is_draft=False, total=Money(0, "EUR")))
        self.case = replace(self.case, documents=tuple(_seen_final(one, seen) for one in self.case.documents))
        self.carry_out()

    def papers(self) -> list[Paper]:
        """The documents as they stand after all that was done to them since."""
        documents = [recorded.document for recorded in self.case.documents]
        removed = {one.refers_to for one in documents if one.kind is DocumentKind.DRAFT_REMOVAL}
        final = {one.refers_to for one in documents if one.kind is DocumentKind.FINALIZATION}
        final |= {one.document.key for one in self.case.documents if one.was_finalized_by_hand}
        kinds = {DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE}
        shown = [one for one in documents if one.kind in kinds and one.key not in removed]
        return [_paper_of(one, documents, is_draft=one.draft and one.key not in final) for one in shown]


def _seen_final(recorded: RecordedDocument, seen: Observation) -> RecordedDocument:
    if not recorded.document.draft or seen.document is None:
        return recorded
    return replace(recorded, observed=replace(seen, document=replace(seen.document, total=recorded.document.amount)))


def planned(story: Story, order: Callable[[list[Fact | str]], list[Fact | str]] | None = None) -> Planner:
    """The case played with the plan alone; `order` changes the order of arrival, with every policy known from the start."""
    registration, issuer = registration_of(story), _platform_registration(story)
    planner = Planner(customer_of(registration, story.taxes), customer_of(issuer) if issuer else None, story.registry)
    facts = list(_facts(story))
    if order:
        rules = [fact for fact in facts if isinstance(fact, Fact) and fact.type is FactType.BUSINESS_CUSTOMER_UPDATED]
        facts = [*rules, *order([fact for fact in facts if fact not in rules])]
    for fact in facts:
        if isinstance(fact, str):
            planner.finalize_by_hand()
        elif fact.type is FactType.BUSINESS_CUSTOMER_UPDATED:
            policies = policies_after(planner.customer.policies, fact)
            planner.customer = with_taxes(replace(planner.customer, policies=policies), story.taxes)
            planner.carry_out()
        else:
            planner.take(fact)
    return planner


def by_plan(story: Story) -> Outcome:
    planner = planned(story)
    documents = [recorded.document for recorded in planner.case.documents]
    return Outcome(
        papers=_sorted(planner.papers()),
        waiting=sorted(
            [f"{one.fact.partition('#')[0]}: {one.awaited}" for one in planner.plan.waiting]
            + [_NO_ANSWER for _ in planner.plan.checks]
        ),
        findings=sorted(_finding(one.code, one.amount) for one in planner.plan.findings),
        emails=sum(one.kind is DocumentKind.EMAIL for one in documents),
    )


def _finding(code: str, amount: Money | None) -> str:
    if amount is None:
        return code
    decimals = max(DOCUMENT_DECIMALS, EXPONENTS[amount.currency])
    return f"{code} {amount.decimal:.{decimals}f}"


def _paper_of(document: Document, documents: list[Document], *, is_draft: bool) -> Paper:
    currency = document.amount.currency
    lines = []
    for line in document.lines:
        total = line_total(line, currency, prices_exclude_tax=document.prices_exclude_tax)
        gross, net = (Decimal(amount).scaleb(-2) for amount in (total.gross, total.net))
        lines.append(Line(gross, net, gross - net, Decimal(line.tax.percent) if line.tax else None))
    sums = [sum((getattr(line, name) for line in lines), Decimal(0)) for name in ("gross", "net", "tax")]
    is_invoice = document.kind is DocumentKind.INVOICE
    return Paper(
        kind="invoice" if is_invoice else "credit note",
        date=document.date,
        due=(document.date_due or "") if is_invoice else "",
        lines=tuple(lines),
        paid=_paid(document, documents),
        total=(sums[0], sums[1], sums[2]),
        currency=currency,
        issuer=document.issuer or "own",
        draft=is_draft,
        sale=document.transaction_type,
        clause=document.tax_clause,
        credits=_place(document, documents),
    )


def _place(document: Document, documents: list[Document]) -> int:
    """Which document of the other kind, and of the same issuer, it refers to, counted from 1."""
    if not document.refers_to:
        return 0
    other = DocumentKind.CREDIT_NOTE if document.kind is DocumentKind.INVOICE else DocumentKind.INVOICE
    keys = [one.key for one in documents if one.kind is other and one.issuer == document.issuer]
    return keys.index(document.refers_to) + 1


def _paid(document: Document, documents: list[Document]) -> Decimal:
    total = sum(payment.amount for payment in document.payments)
    credited_on = {one.key: one.refers_to for one in documents if one.kind is DocumentKind.CREDIT_NOTE}
    for later in documents:
        match later.kind:
            case DocumentKind.PAYMENT if later.refers_to == document.key:
                total += later.amount.value
            case DocumentKind.PAYMENT_REMOVAL if later.refers_to == document.key:
                total -= later.amount.value
            case DocumentKind.CREDIT_APPLICATION if document.key in {later.refers_to, credited_on[later.refers_to]}:
                total += later.amount.value
    return Money(total, document.amount.currency).decimal


# --- the real use cases --------------------------------------------------------------------------------------------------


def in_sandbox(story: Story) -> Outcome:
    """The case played with the real registration, ledger and worker against the sandbox."""
    return _played(story, again=None)


def in_sandbox_after_a_loss(story: Story, order: Callable[[list[Fact | str]], list[Fact | str]]) -> Outcome:
    """The same with an API that ignores idempotency keys; then the ledger is lost, and all is told again in this order."""
    return _played(story, again=order, idempotency_headers=())


def _played(story: Story, again: Callable[[list[Fact | str]], list[Fact | str]] | None, **settings: Any) -> Outcome:
    answers = {number: answer == "valid" for number, answer in story.registry.items() if answer != "no answer"}
    world = World(tax_numbers=answers, **settings)
    world.seconds = NOW
    if "no answer" in story.registry.values():
        world.sandbox.faults.add(RegistryDown(kind="registry_down", times=None))
    registration = _adopting(world, story) if story.taxes else registration_of(story)
    facts = list(_facts(story))
    retried = _told(world, story, registration, facts)
    if again:
        world.lose_ledger()
        retried = _told(world, story, registration, again(facts))
    return _outcome(world, retried, story)


def _told(world: World, story: Story, registration: Fact, facts: list[Fact | str]) -> list[bool]:
    issuer = _platform_registration(story)
    if issuer:
        world.registrar.take(issuer, "evt_platform")
    world.registrar.take(registration, "evt_0")
    return [_take(world, arrived, number) for number, arrived in enumerate(facts, 1)]


def _adopting(world: World, story: Story) -> Fact:
    """The registration of a seller whose entity, with its taxes, was there before."""
    body = {"name": "Seller", "country": "Germany", "country_code": "DE", "environment": "sandbox", "timezone": "Europe/Berlin"}
    entity = world.api.create("/entities", json.dumps(body).encode(), entity_id=None, idempotency_key="entity")
    policy = json.dumps(story.policy)
    for name, rate in story.taxes.items():
        tax = json.dumps({"name": name, "tax_rates": [{"rate": float(rate)}]}).encode()
        made = world.api.create("/taxes", tax, entity_id=entity["id"], idempotency_key=name)
        policy = policy.replace(f'"{name}"', f'"{made["id"]}"')
    seller = story.seller | {"entity_id": entity["id"]}
    return registration_of(replace(story, seller=seller, policy=json.loads(policy)))


def _take(world: World, arrived: Fact | str, number: int) -> bool:
    """Whether the worker asked for the event to come again."""
    world.seconds += 60
    if isinstance(arrived, str):
        _finalize_by_hand(world)
    elif arrived.type is FactType.BUSINESS_CUSTOMER_UPDATED:
        world.registrar.take(arrived, f"evt_{number}")
        world.drain_revisits()
    else:
        try:
            world.converger().take(arrived, f"evt_{number}")
        except Retry as again:
            if again.code != "tax_registry_down":
                raise
            return True
    return False


def _finalize_by_hand(world: World) -> None:
    """A person makes every draft final in Space Invoices, whose webhook tells of it."""
    entity_id = _entities(world)["own"]
    for draft in (one for one in world.held("invoices", entity_id) if one["is_draft"]):
        key = f"hand-{draft['id']}"
        final = world.api.create(
            f"/documents/{draft['id']}/finalize?type=invoice", b"{}", entity_id=entity_id, idempotency_key=key
        )
        total = Money(int(Decimal(str(final["total_with_tax"])).scaleb(2)), final["currency_code"])
        seen = ObservedDocument(at="2027-06-01T12:30:00.000000Z", is_draft=False, total=total, number=final["number"])
        ledger = Ledger(world.table)
        changes = DocumentChanges(
            ledger=ledger,
            customers=CustomerDirectory(ledger, lambda: world.seconds),
            revisit=world.converger().revisit,
            now=lambda: world.seconds,
        )
        sighting = Sighting(
            document_id=draft["id"],
            event_type="invoice.updated",
            observed=Observation(document=seen),
            business_customer="bc_1",
            connection="default",
        )
        changes.take(sighting, 1)


def _entities(world: World) -> dict[str, str]:
    """Who issues -> the entity."""
    entities = world.api.pages("entities", entity_id=None)
    owners = {(one.get("metadata") or {}).get("business_customer"): str(one["id"]) for one in entities}
    return {issuer: owners[owner] for issuer, owner in (("own", "bc_1"), ("platform", "platform")) if owner in owners}


def _outcome(world: World, retried: list[bool], story: Story) -> Outcome:
    papers = [paper for issuer, entity_id in _entities(world).items() for paper in _held(world, entity_id, issuer)]
    heads = list(world.table.find(WAITING))
    findings = [item for item in world.table.find(OPEN_FINDING) if item["code"] != "entity_incomplete"]
    waiting = [text for head in heads for text in head["waiting"]]
    return Outcome(
        papers=_as_expected_of_the_api(papers, story),
        waiting=sorted([_awaited(text) for text in waiting] + ([_NO_ANSWER] if any(retried) else [])),
        findings=sorted(_stored_finding(item) for item in findings),
        emails=len(world.sandbox.emails),
    )


def _awaited(text: str) -> str:
    fact, _, awaited = text.partition(" waits for ")
    return f"{fact.partition('#')[0]}: {awaited}"


def _stored_finding(item: dict[str, Any]) -> str:
    amount = item.get("amount")
    return _finding(item["code"], Money(amount["value"], amount["currency"]) if amount else None)


def _held(world: World, entity_id: str, issuer: str) -> Iterator[Paper]:
    """What the API shows of every invoice and credit note."""
    invoices, notes = (world.held(name, entity_id) for name in ("invoices", "credit-notes"))
    numbers = {one["id"]: place for shelf in (invoices, notes) for place, one in enumerate(shelf, 1)}
    for one in invoices:
        yield _shown(one, "invoice", issuer, numbers.get(one["metadata"].get("corrects", ""), 0))
    for one in notes:
        yield _shown(one, "credit note", issuer, numbers.get(one["metadata"].get("corrects", ""), 0))


def _shown(record: dict[str, Any], kind: str, issuer: str, refers_to: int) -> Paper:
    lines = tuple(_shown_line(item) for item in record["items"])
    _require_summary(record, lines)
    gross, net = _decimal(record["total_with_tax"]), _decimal(record["total"])
    return Paper(
        kind=kind,
        date=record["date"][:10],
        due=record["date_due"][:10] if kind == "invoice" else "",
        lines=lines,
        paid=_decimal(record["total_paid"]),
        total=(gross, net, gross - net),
        currency=record["currency_code"],
        issuer=issuer,
        draft=record["is_draft"],
        sale=record["transaction_type"],
        clause=record["tax_clause"] or "",
        credits=refers_to,
    )


def _shown_line(item: dict[str, Any]) -> Line:
    gross, net = _decimal(item["total_with_tax"]), _decimal(item["total"])
    return Line(gross, net, gross - net, _decimal(item["taxes"][0]["rate"]) if item["taxes"] else None)


def _require_summary(record: dict[str, Any], lines: tuple[Line, ...]) -> None:
    """The API's own summary by rate is that of the lines."""
    shown = {_decimal(row["rate"]): (_decimal(row["base"]), _decimal(row["amount"])) for row in record["taxes"]}
    rates = {line.rate for line in lines if line.rate is not None}
    of_lines = {
        rate: tuple(sum(getattr(line, name) for line in lines if line.rate == rate) for name in ("net", "tax")) for rate in rates
    }
    assert shown == of_lines
    assert not record["rounding_correction"]


def _decimal(number: Any) -> Decimal:
    return Decimal(str(number))


def _as_expected_of_the_api(papers: list[Paper], story: Story) -> list[Paper]:
    """Where the case expects no kind of sale because no tax is configured, the API still names one of its own."""
    ordered = _sorted(papers)
    wanted = _sorted(story.papers)
    if len(wanted) != len(ordered):
        return ordered
    return [shown if want.sale else replace(shown, sale="") for shown, want in zip(ordered, wanted, strict=True)]
