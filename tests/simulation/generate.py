"""Histories out of a seed: what happened to money, how it is reported, and what goes wrong on the way."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

from quittance.facts import Fact, FactType, Payer, PayoutLine
from quittance.money import Money
from quittance.runtime.dead_letters import RECEIVES_MAX
from tests.simulation import faults, policies
from tests.simulation.history import Delivery, History, Outage

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR, DAY = 3600, 86_400
ORDINARY_START = int(datetime(2026, 11, 17, 9, 0, tzinfo=UTC).timestamp())
TURNING_POINTS = (
    "2026-12-31T22:59:00+00:00",  # new year in Berlin
    "2026-12-31T23:59:00+00:00",  # new year in UTC
    "2027-03-28T00:55:00+00:00",  # summer time begins in Europe
    "2026-10-25T00:55:00+00:00",  # summer time ends in Europe
    "2026-11-20T22:59:00+00:00",  # midnight in Berlin
    "2026-03-08T06:58:00+00:00",  # summer time begins in New York
    "2028-02-28T23:58:00+00:00",  # the day before a leap day
)
ZONES = ("Europe/Berlin", "UTC", "America/New_York", "Pacific/Auckland", "Asia/Kolkata")
CURRENCIES = ("EUR", "EUR", "EUR", "USD", "JPY", "ISK", "KWD", "BHD")
THREE_DECIMALS = frozenset({"KWD", "BHD"})
AMOUNTS = (1, 2, 7, 29, 33, 100, 105, 999, 1001, 1999, 4110, 10_000, 12_345, 57_029, 1_000_001, 8_007_199_254, 99_999_999_999)


@dataclass(slots=True)
class Customer:
    """A business customer of the fintech, and where its payments come from."""

    id: str
    account: str
    zone: str
    policies: tuple[dict[str, Any], ...]
    """The first one comes with its registration, another one with an update."""
    registers_at: int | None
    """Seconds after the start; None if it never does."""


@dataclass(slots=True)
class Story:
    """What happened under one payment, in seconds after the start, as the facts that report it."""

    random: Random
    start: int
    customer: Customer
    name: str
    provider: str
    currency: str
    clock: int
    facts: list[tuple[Fact, str]] = field(default_factory=list)
    """Each with the type of the event that reports it."""

    @property
    def account(self) -> str:
        return self.customer.id if self.provider == "platform" else self.customer.account

    def id(self, prefix: str, number: int | str = "") -> str:
        return f"{prefix}_{self.name}{number}"

    def pass_time(self, longest: int = 2 * HOUR) -> None:
        self.clock += self.random.choice((1, 5, 60, 600, longest))

    def amount(self, at_most: int | None = None) -> int:
        unit = 10 if self.currency in THREE_DECIMALS else 1
        chosen = self.random.choice(AMOUNTS) * unit
        if at_most is None or chosen <= at_most:
            return chosen
        return self.random.randrange(unit, max(at_most, unit) + 1, unit)

    def tell(self, kind: FactType, key: str, amount: int | None = None, event: str = "", **details: Any) -> Fact:
        fact = Fact(
            type=kind,
            provider=self.provider,
            account=self.account,
            key=key,
            occurred_at=moment(self.start + self.clock),
            amount=None if amount is None else Money(amount, self.currency),
            **details,
        )
        self.facts.append((fact, event or str(kind)))
        return fact


def moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- what happens to money -----------------------------------------------------------------------------------------------


def sale(story: Story) -> int:
    """A payment, reported by up to three types of event."""
    total = story.amount()
    payment_id, charge = story.id("pay"), story.id("ch")
    if story.random.random() < 0.2:
        story.tell(FactType.PAYMENT_AUTHORIZED, payment_id, total, payment_id=payment_id)
        story.pass_time()
    if story.random.random() < 0.15:
        story.tell(
            FactType.PAYMENT_FAILED,
            payment_id,
            total,
            payment_id=payment_id,
            occurrence="" if story.provider == "platform" else story.id("chx"),
        )
        story.pass_time()
    _succeed(story, total, payment_id, charge)
    return total


def _succeed(story: Story, total: int, payment_id: str, charge: str, **details: Any) -> None:
    method = story.random.choice(("card", "bank_transfer", "direct_debit", None))
    if story.provider == "platform":
        payer = Payer(name="Ada Ltd", country="DE", email="ap@ada.example") if story.random.random() < 0.8 else None
        story.tell(FactType.PAYMENT_SUCCEEDED, payment_id, total, payment_id=payment_id, method=method, payer=payer, **details)
        return
    full = {"payment_id": payment_id, "also_known_as": (charge,), "method": method}
    story.tell(FactType.PAYMENT_SUCCEEDED, payment_id, total, "charge.succeeded", **full | details)
    for event in ("payment_intent.succeeded", "checkout.session.completed"):
        if story.random.random() < 0.35:
            story.clock += story.random.choice((0, 1, 2))
            story.tell(FactType.PAYMENT_SUCCEEDED, payment_id, total, event, payment_id=payment_id)


def captures(story: Story) -> int:
    payment_id, charge = story.id("pay"), story.id("ch")
    parts = [story.amount() for _ in range(story.random.randint(2, 3))]
    if story.provider != "platform" and story.random.random() < 0.5:
        running = 0
        for part in parts:
            running += part
            story.tell(
                FactType.PAYMENT_CAPTURED,
                charge,
                running,
                payment_id=payment_id,
                capture_id=charge,
                occurrence=str(running),
                running_total=True,
            )
            story.pass_time()
    else:
        for number, part in enumerate(parts):
            capture = story.id("cap", number)
            story.tell(FactType.PAYMENT_CAPTURED, capture, part, payment_id=payment_id, capture_id=capture)
            story.pass_time()
    if story.random.random() < 0.4:
        story.tell(FactType.PAYMENT_SUCCEEDED, payment_id, sum(parts), payment_id=payment_id)
    elif story.provider == "platform" and story.random.random() < 0.3:
        failed = story.id("cap", 0)
        story.tell(FactType.PAYMENT_FAILED, payment_id, parts[0], payment_id=payment_id, capture_id=failed, occurrence=failed)
    return sum(parts)


def renewal(story: Story) -> int:
    """A subscription's billing invoice, and how its payment is told: at once, beside it, late, or never."""
    total, invoice_id, payment_id, charge = story.amount(), story.id("in"), story.id("pay"), story.id("ch")
    shape = story.random.choice(("alone", "names it", "beside", "late", "never named", "zero", "no renewal", "not a renewal"))
    if story.provider == "platform" and shape in {"late", "never named", "not a renewal"}:
        shape = "beside"
    start = moment(story.start + story.clock)[:10]
    period = {"subscription_id": story.id("sub"), "subscription_plan": "Pro", "period_start": start, "period_end": start}
    unnamed = {"invoice_id": invoice_id, "awaits_renewal": True, "payment_id": invoice_id}
    if shape in {"late", "never named"}:
        story.tell(FactType.PAYMENT_SUCCEEDED, invoice_id, total, "invoice.paid", **unnamed)
    if shape not in {"no renewal", "not a renewal"}:
        story.tell(
            FactType.SUBSCRIPTION_RENEWED,
            invoice_id,
            0 if shape == "zero" else total,
            invoice_id=invoice_id,
            payment_id=payment_id if shape == "names it" else None,
            is_paid=True if shape in {"late", "never named"} else None,
            **period,
        )
    story.pass_time()
    if shape in {"beside", "late", "no renewal", "not a renewal"}:
        awaits = shape != "not a renewal"
        _succeed(story, total, payment_id, charge, invoice_id=invoice_id, awaits_renewal=awaits)
        if shape == "not a renewal" and story.random.random() < 0.5:
            story.tell(
                FactType.PAYMENT_SUCCEEDED,
                payment_id,
                total,
                "early",
                payment_id=payment_id,
                invoice_id=invoice_id,
                awaits_renewal=True,
            )
    return 0 if shape in {"zero", "never named", "no renewal"} else total


def attempt(story: Story) -> int:
    """Nothing that makes a document."""
    payment_id, total = story.id("pay"), story.amount()
    story.tell(FactType.PAYMENT_AUTHORIZED, payment_id, total, payment_id=payment_id)
    story.tell(FactType.PAYMENT_FAILED, payment_id, total, payment_id=payment_id)
    return 0


def unrepresentable(story: Story) -> int:
    """An amount that two decimals cannot carry."""
    story.currency = "KWD"
    _succeed(story, 1234, story.id("pay"), story.id("ch"))
    return 0


def orphan(story: Story) -> int:
    """Money returned for a payment that nobody ever reports."""
    return story.amount()


SALES: tuple[tuple[Callable[[Story], int], int], ...] = (
    (sale, 45), (captures, 18), (renewal, 25), (attempt, 4), (unrepresentable, 3), (orphan, 5),
)  # fmt: skip


def fail_late(story: Story, total: int) -> None:
    story.pass_time(DAY)
    payment_id = story.id("pay")
    occurrence = story.random.choice(("", story.id("ch"))) if story.provider != "platform" else ""
    story.tell(FactType.PAYMENT_FAILED, payment_id, total, payment_id=payment_id, occurrence=occurrence)
    if story.random.random() < 0.5:
        story.pass_time(DAY)
        known = next(fact for fact, _ in story.facts if fact.type is FactType.PAYMENT_SUCCEEDED)
        story.facts.append((replace(known, occurred_at=moment(story.start + story.clock)), "succeeded again"))


def refunds(story: Story, total: int) -> int:
    """Up to three refunds, some of which fail; named by the payment or by its charge; one by one, as a running total, or both."""
    left = total * story.random.choice((5, 10, 10, 10, 17)) // 10 or total
    named_by = story.id("pay") if story.provider == "platform" else story.random.choice((story.id("pay"), story.id("ch")))
    shape = "single" if story.provider == "platform" else story.random.choice(("single", "single", "running", "both"))
    running = 0
    for number in range(story.random.randint(1, 3)):
        if left <= 0:
            break
        amount = story.amount(left)
        left, running = left - amount, running + amount
        refund = story.id("re", number)
        if shape in {"single", "both"}:
            story.tell(FactType.REFUND_SUCCEEDED, refund, amount, payment_id=named_by)
            if story.random.random() < 0.3:
                story.pass_time(DAY)
                story.tell(FactType.REFUND_FAILED, refund, amount, payment_id=named_by)
        if shape in {"running", "both"}:
            aliases = () if named_by == story.id("ch") else (story.id("ch"),)
            story.tell(
                FactType.REFUND_SUCCEEDED, story.id("ch"), running, "charge.refunded", payment_id=named_by,
                occurrence=str(running), running_total=True, also_known_as=aliases,
            )  # fmt: skip
        story.pass_time()
    return running


def disputes(story: Story, total: int) -> None:
    amount = story.random.choice((total, total, story.amount(total)))
    named_by = story.id("pay") if story.provider == "platform" else story.random.choice((story.id("pay"), story.id("ch")))
    outcomes = story.random.choice(
        (("opened",), ("opened", "lost"), ("lost",), ("opened", "won"), ("lost", "won"), ("opened", "won", "lost"),
         ("lost", "won", "lost"), ("won", "lost", "won"))
    )  # fmt: skip
    for outcome in outcomes:
        story.pass_time(DAY)
        story.tell(FactType(f"dispute.{outcome}"), story.id("dp"), amount, payment_id=named_by)


def payout(story: Story, total: int) -> None:
    story.pass_time(DAY)
    line = PayoutLine(payment_id=story.id("pay"), gross=total, fee=1, net=total - 1)
    kind = story.random.choice((FactType.PAYOUT_PAID, FactType.PAYOUT_PAID, FactType.PAYOUT_FAILED))
    story.tell(kind, story.id("po"), total - 1, payout_lines=(line,))


def conflict(story: Story) -> None:
    """Some fact of the story is reported again with another amount: not a renewal's payment, whose link might get lost by it."""
    renews = any(fact.type is FactType.SUBSCRIPTION_RENEWED for fact, _ in story.facts)
    chosen = [fact for fact, _ in story.facts if fact.amount and not fact.running_total and not fact.payout_lines]
    chosen = [fact for fact in chosen if not (renews and fact.type is FactType.PAYMENT_SUCCEEDED)]
    if chosen:
        fact = story.random.choice(chosen)
        other = Money(fact.amount.value + 10, fact.amount.currency)  # type: ignore[union-attr]
        story.facts.append((replace(fact, amount=other), "contradiction"))


# --- how it is reported ----------------------------------------------------------------------------------------------------


def history(seed: int, enabled: frozenset[str] = faults.ALL) -> History:
    """The history of a seed, with the faults that are switched on."""
    random = Random(f"history {seed}")  # noqa: S311 - reproducible on purpose
    start = ORDINARY_START + random.randrange(DAY)
    if "calendar" in enabled and random.random() < 0.3:
        start = int(datetime.fromisoformat(random.choice(TURNING_POINTS)).timestamp())
    customers = [_customer(random, f"{number}") for number in range(random.choice((1, 1, 2)))]
    stories = [_story(random, start, random.choice(customers), f"{number}") for number in range(random.choice((1, 1, 2, 3)))]
    deliveries = _registrations(random, start, customers)
    for story in stories:
        deliveries += [
            Delivery(_seconds(fact.occurred_at) - start, (fact,), f"evt_{story.name}_{number}", event)
            for number, (fact, event) in enumerate(story.facts)
        ]
    deliveries = faults.disturb_deliveries(random, deliveries, enabled)
    headers: tuple[str, ...] = ("x-request-id", "idempotency-key")
    forgets = False
    if "idempotency" in enabled and random.random() < 0.4:
        headers = random.choice((headers[:1], headers[1:], ()))
        forgets = not headers
    drawn = faults.draw(random, len(deliveries), enabled - faults.UNANSWERABLE if forgets else enabled)
    if "crowd" in enabled and random.random() < (0.5 if forgets else 0.2):
        drawn += faults.crowd(random, len(deliveries))
    if "refusal" in enabled and random.random() < 0.04:
        drawn += faults.refusals(random, len(deliveries))
    poison = faults.poison(random, deliveries) if "poison" in enabled and deliveries and random.random() < 0.12 else ()
    begin = random.randrange(2 * HOUR)
    outages = (Outage(begin, begin + random.choice((60, HOUR, 8 * HOUR, 2 * DAY)), random.choice((0, 429, 500, 503))),)
    return History(
        seed=seed,
        start=start,
        deliveries=tuple(deliveries),
        poison=poison,
        faults=drawn,
        outages=outages if "outage" in enabled and random.random() < 0.1 else (),
        honoured_headers=headers,
        rotated_at=_rotation(random, deliveries) if "rotation" in enabled and random.random() < 0.25 else None,
        receives_max=_receives_max(random, enabled),
        shuffled="reorder" in enabled and random.random() < 0.7,
    )


def _receives_max(random: Random, enabled: frozenset[str]) -> int:
    """Mostly what the template says."""
    is_small = random.random() < 0.08
    return random.choice((1, 2, 3)) if "dead-letters" in enabled and is_small else RECEIVES_MAX


def _rotation(random: Random, deliveries: list[Delivery]) -> int | None:
    """Shortly before one of the platform's deliveries."""
    candidates = [one.at for one in deliveries if one.is_platform]
    return max(0, random.choice(candidates) - random.choice((1, 200, 1000))) if candidates else None


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _customer(random: Random, number: str) -> Customer:
    late = random.random()
    return Customer(
        id=f"bc_{number}",
        account=f"acct_{number}",
        zone=random.choice(ZONES),
        policies=tuple(policies.drawn(random, version) for version in range(1, random.choice((2, 2, 3)))),
        registers_at=0 if late < 0.6 else random.randrange(3 * HOUR) if late < 0.94 else None,
    )


def _registrations(random: Random, start: int, customers: list[Customer]) -> list[Delivery]:
    deliveries = []
    for customer in customers:
        if customer.registers_at is None:
            continue
        registration = {
            "name": "Acme",
            "country": random.choice(("DE", "US", "NZ")),
            "timezone": customer.zone,
            "accounts": [{"provider": "stripe", "account": customer.account}],
        }
        is_updated = len(customer.policies) > 1 or random.random() < 0.2
        kinds = [FactType.BUSINESS_CUSTOMER_CREATED] + [FactType.BUSINESS_CUSTOMER_UPDATED] * is_updated
        for number, kind in enumerate(kinds):
            at = customer.registers_at + number * random.randrange(1, random.choice((HOUR, HOUR, 2 * DAY)))
            policy = customer.policies[min(number, len(customer.policies) - 1)]
            fact = Fact(
                type=kind, provider="platform", account=customer.id, key=customer.id, occurred_at=moment(start + at),
                registration=registration | {"name": f"Acme {number}", "policy": policy},
            )  # fmt: skip
            deliveries.append(Delivery(at, (fact,), f"evt_{customer.id}_{number}", str(kind)))
    return deliveries


def _story(random: Random, start: int, customer: Customer, name: str) -> Story:
    provider = random.choice(("stripe", "stripe", "platform"))
    story = Story(random, start, customer, name, provider, random.choice(CURRENCIES), random.randrange(HOUR))
    kind = random.choices([kind for kind, _ in SALES], [weight for _, weight in SALES])[0]
    total = kind(story)
    has_succeeded = any(fact.type is FactType.PAYMENT_SUCCEEDED for fact, _ in story.facts)
    if kind in {sale, renewal} and total and has_succeeded and random.random() < 0.15:
        fail_late(story, total)
    if kind is unrepresentable:
        total = 1234
    if total and random.random() < 0.5:
        refunds(story, total)
    if total and random.random() < 0.35:
        disputes(story, total)
    if total > 1 and kind is sale and random.random() < 0.12:
        payout(story, total)
    if random.random() < 0.04:
        conflict(story)
    return story
