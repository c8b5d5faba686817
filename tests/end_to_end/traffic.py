"""Webhooks of many payments of several business customers, out of a seed: bodies as their providers would send them.

What platform events tell comes from the simulation's generator; Stripe's are put together here. The facts that an oracle needs
are read back out of the bodies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from quittance.facts import Fact, FactType
from quittance.providers import provider
from tests.simulation import generate, platform
from tests.simulation.generate import Customer, Story
from tests.simulation.history import Delivery, Fault, History

LONGEST_AGO = timedelta(days=40)
"""Stories last for weeks, and nothing may lie in the future."""
SPREAD = 0.35
"""Over what share of the run the events of one payment arrive."""
REPEATED = 0.25
"""Share of deliveries that are sent once more."""
SHUFFLED = 0.4
"""Share of payments whose events arrive in any order."""
_CUSTOMERS: tuple[tuple[dict[str, Any], int], ...] = (
    ({"version": 1, "dispute_credit_on": "lost"}, 0),
    ({"version": 1, "dispute_credit_on": "lost", "due_days": 0}, 0),
    ({"version": 1, "dispute_credit_on": "opened", "due_days": 31}, 0),
    ({"version": 1, "dispute_credit_on": "never"}, 1),
)
"""The policy of each business customer, and whether it registers late."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One delivery; `due` is the share of the run after which it is sent first."""

    due: float
    provider: str
    event_id: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Everything that is sent in one run."""

    seed: int
    start: datetime
    customers: Sequence[Customer]
    webhooks: Sequence[Webhook]
    """In the order in which they are due, repetitions included."""

    def history(self) -> History:
        """The same for the simulation's oracle. The fault in it stands for all those that the stack meets."""
        once = {webhook.event_id: webhook for webhook in self.webhooks}
        deliveries = [delivery for webhook in once.values() if (delivery := _delivery(webhook)).facts]
        return History(self.seed, int(self.start.timestamp()), tuple(deliveries), faults=(Fault("chaos", "any", 1),))


def _delivery(webhook: Webhook) -> Delivery:
    translation = provider(webhook.provider).translate(webhook.body, "default", {})
    return Delivery(0, translation.facts, translation.event_id, translation.event_type)


def traffic(seed: int, payments: int) -> Traffic:
    """The traffic of a seed: the same seed on the same day is the same traffic."""
    random = Random(f"traffic {seed}")  # noqa: S311 - reproducible on purpose
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - LONGEST_AGO
    name = f"{seed:x}"
    customers = [
        Customer(f"bc_{name}_{n}", f"acct_1Chaos{name}x{n}", random.choice(generate.ZONES), (policy,), registers_at)
        for n, (policy, registers_at) in enumerate(_CUSTOMERS)
    ]
    webhooks = [_registration(customer, start) for customer in customers]
    for number in range(payments):
        tell = _STORIES[number % len(_STORIES)]
        customer = random.choice(customers)
        webhooks += _spread(random, tell(random, int(start.timestamp()), customer, f"{name}_{number}"))
    again = [replace(one, due=one.due + random.uniform(0, 0.2)) for one in webhooks if random.random() < REPEATED]
    return Traffic(seed, start, customers, sorted([*webhooks, *again], key=lambda one: one.due))


def _registration(customer: Customer, start: datetime) -> Webhook:
    """One of them comes late, when there is something waiting for it."""
    registration = {
        "name": f"Chaos {customer.id}",
        "country": "DE",
        "timezone": customer.zone,
        "accounts": [{"provider": "stripe", "account": customer.account}],
        "policy": customer.policies[0],
    }
    fact = Fact(
        type=FactType.BUSINESS_CUSTOMER_CREATED, provider="platform", account=customer.id, key=customer.id,
        occurred_at=generate.moment(int(start.timestamp())), registration=registration,
    )  # fmt: skip
    return Webhook(
        0.5 if customer.registers_at else 0, "platform", f"evt_{customer.id}", _platform_body(fact, f"evt_{customer.id}")
    )


def _spread(random: Random, told: list[tuple[str, str, bytes]]) -> list[Webhook]:
    """Give the events of one payment their moments."""
    begin = random.uniform(0, 1 - SPREAD)
    moments = sorted(begin + random.uniform(0, SPREAD) for _ in told)
    if random.random() < SHUFFLED:
        random.shuffle(moments)
    return [Webhook(due, *one) for due, one in zip(moments, told, strict=True)]


# --- platform --------------------------------------------------------------------------------------------------------------


def _platform_story(kind: Callable[[Story], int], *more: str) -> Callable[..., list[tuple[str, str, bytes]]]:
    """A sale of this kind, and what else becomes of it."""

    def tell(random: Random, start: int, customer: Customer, name: str) -> list[tuple[str, str, bytes]]:
        story = Story(
            random, start, customer, name, "platform", random.choice(generate.CURRENCIES), random.randrange(generate.HOUR)
        )
        total = kind(story)
        has_succeeded = any(fact.type is FactType.PAYMENT_SUCCEEDED for fact, _ in story.facts)
        if "failure" in more and total and has_succeeded:
            generate.fail_late(story, total)
        if "refunds" in more and total:
            generate.refunds(story, total)
        if "dispute" in more and total:
            generate.disputes(story, total)
        if "payout" in more and total > 1:
            generate.payout(story, total)
        if "conflict" in more:
            generate.conflict(story)
        named = [(fact, f"evt_{story.name}_{number}") for number, (fact, _) in enumerate(story.facts)]
        return [("platform", event_id, _platform_body(fact, event_id)) for fact, event_id in named]

    return tell


def _platform_body(fact: Fact, event_id: str) -> bytes:
    return platform.event_body(Delivery(0, (fact,), event_id, str(fact.type)))


# --- Stripe ----------------------------------------------------------------------------------------------------------------


def _stripe_story(*more: str) -> Callable[..., list[tuple[str, str, bytes]]]:
    """A card payment told by two types of event, and what else becomes of it."""

    def tell(random: Random, start: int, customer: Customer, name: str) -> list[tuple[str, str, bytes]]:
        total = random.choice((999, 4110, 12_345, 57_029))
        story = _Stripe(start + random.randrange(generate.HOUR), customer.account, name)
        if "failure" in more:
            story.tell("payment_intent.payment_failed", story.intent(total) | {"status": "requires_payment_method"})
        story.tell("charge.succeeded", story.charge(total))
        story.tell("payment_intent.succeeded", story.intent(total) | {"status": "succeeded", "amount_received": total})
        if "refunds" in more:
            for number, part in enumerate((total // 3, total // 4)):
                refund = story.of_payment("refund", f"re_{name}x{number}", part)
                story.tell("refund.created", refund | {"status": "pending"})
                story.tell("refund.updated", refund | {"status": "succeeded"})
                if random.random() < 0.3:
                    story.tell("refund.failed", refund | {"status": "failed"})
        if "dispute" in more:
            dispute = story.of_payment("dispute", f"du_{name}", total)
            story.tell("charge.dispute.created", dispute | {"status": "needs_response"})
            for status in random.choice((("lost",), ("won",), ("lost", "won"), ("won", "lost"))):
                story.tell("charge.dispute.closed", dispute | {"status": status})
        return story.events

    return tell


@dataclass(slots=True)
class _Stripe:
    clock: int
    account: str
    name: str
    events: list[tuple[str, str, bytes]] = field(default_factory=list)

    def charge(self, total: int) -> dict[str, Any]:
        return {
            "id": f"ch_{self.name}", "object": "charge", "payment_intent": f"pi_{self.name}", "amount": total,
            "amount_captured": total, "captured": True, "currency": "eur", "status": "succeeded",
        }  # fmt: skip

    def intent(self, total: int) -> dict[str, Any]:
        return {
            "id": f"pi_{self.name}",
            "object": "payment_intent",
            "amount": total,
            "currency": "eur",
            "capture_method": "automatic",
        }

    def of_payment(self, kind: str, object_id: str, amount: int) -> dict[str, Any]:
        names = {"payment_intent": f"pi_{self.name}", "charge": f"ch_{self.name}"}
        return {"id": object_id, "object": kind, "amount": amount, "currency": "eur", **names}

    def tell(self, kind: str, thing: dict[str, Any]) -> None:
        self.clock += generate.HOUR
        event_id = f"evt_1{self.name}x{len(self.events)}"
        event = {
            "id": event_id, "object": "event", "account": self.account, "api_version": "2026-10-28.endive",
            "created": self.clock, "data": {"object": thing}, "livemode": False, "pending_webhooks": 1, "type": kind,
        }  # fmt: skip
        self.events.append(("stripe", event_id, json.dumps(event).encode()))


_STORIES = (
    _platform_story(generate.sale, "refunds"),
    _stripe_story("refunds"),
    _platform_story(generate.sale, "dispute"),
    _stripe_story("dispute"),
    _platform_story(generate.captures, "refunds"),
    _platform_story(generate.renewal),
    _stripe_story(),
    _platform_story(generate.sale, "failure", "payout"),
    _platform_story(generate.renewal, "refunds", "dispute"),
    _stripe_story("failure", "refunds", "dispute"),
    _platform_story(generate.sale, "payout", "conflict"),
    _platform_story(generate.captures, "dispute"),
    _platform_story(generate.orphan, "refunds"),
    _platform_story(generate.attempt),
    _platform_story(generate.unrepresentable),
    _platform_story(generate.sale, "refunds", "dispute", "payout"),
)
"""Told in turn, so that even a short run has all of them."""
