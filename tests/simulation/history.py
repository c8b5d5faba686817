"""What a simulated run is made of: deliveries, faults and settings, as plain data that can be shrunk and printed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from quittance.runtime.dead_letters import RECEIVES_MAX

if TYPE_CHECKING:
    from quittance.facts import Fact

CALLS = (
    "table.read", "table.commit", "api.create", "api.list", "api.delete", "queue.send", "queue.hide", "queue.delete",
    "secrets.read",
)  # fmt: skip
"""Every kind of call that leaves a function. Each one is a boundary at which a function may die."""
ANY_CALL = "any"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook: `facts` reported by one event, posted `at` seconds after the start of the history."""

    at: int
    facts: tuple[Fact, ...]
    event_id: str
    event_type: str

    @property
    def is_platform(self) -> bool:
        return self.facts[0].provider == "platform"

    def __str__(self) -> str:
        facts = ", ".join(_shown(fact) for fact in self.facts)
        return f"+{self.at:>6} s  {self.event_id} ({self.event_type}): {facts}"


def _policy_of(fact: Fact) -> object:
    return (fact.registration or {}).get("policy")


def _shown(fact: Fact) -> str:
    details = [f"{fact.amount.value} {fact.amount.currency}"] if fact.amount else []
    named = {"payment": fact.payment_id, "invoice": fact.invoice_id, "aka": "+".join(fact.also_known_as)}
    details += [f"policy={policy}"] if (policy := _policy_of(fact)) else []
    details += [f"{name}={value}" for name, value in named.items() if value and value != fact.key]
    return f"{fact.identity} of {fact.account} at {fact.occurred_at} [{' '.join(details)}]"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong at the `nth` call of a kind (or at the `nth` of `ANY_CALL`), counted from 1.

    `amount` means what the kind of fault says: mostly seconds.
    """

    kind: str
    call: str
    nth: int
    amount: int = 0

    def __str__(self) -> str:
        return f"{self.kind} at {self.call} no. {self.nth}" + (f" ({self.amount})" if self.amount else "")


@dataclass(frozen=True, slots=True)
class Outage:
    """The invoicing API answers nothing but this between two moments, in seconds after the start; status 0 is no connection."""

    begin: int
    end: int
    status: int

    def __str__(self) -> str:
        return f"outage of the invoicing API from +{self.begin} s to +{self.end} s, status {self.status or 'unreachable'}"


@dataclass(frozen=True, slots=True)
class Poison:
    """A message that no function can read, on a queue `at` seconds after the start."""

    at: int
    queue: str
    group: str
    shape: str
    body: str

    def __str__(self) -> str:
        return f"+{self.at:>6} s  poison on {self.queue} in group {self.group[:6]}: {self.shape}"


@dataclass(frozen=True, slots=True)
class History:
    """Everything a run depends on: the same history always runs the same way."""

    seed: int
    start: int
    """Seconds since 1970 of the first possible delivery."""
    deliveries: tuple[Delivery, ...]
    poison: tuple[Poison, ...] = ()
    faults: tuple[Fault, ...] = ()
    outages: tuple[Outage, ...] = ()
    honoured_headers: tuple[str, ...] = ("x-request-id", "idempotency-key")
    rotated_at: int | None = None
    """When the platform's signing secret is replaced, in seconds after the start."""
    receives_max: int = RECEIVES_MAX
    """How often a message may be received before it becomes a dead letter; fewer than the template says make it happen often."""
    shuffled: bool = False
    """Whether queues are polled in an order drawn from the seed rather than by age."""

    def __str__(self) -> str:
        parts = [f"seed {self.seed}, start {datetime.fromtimestamp(self.start, UTC):%Y-%m-%dT%H:%M:%SZ}"]
        parts += [f"idempotency headers honoured: {' '.join(self.honoured_headers) or 'none'}"] * (
            self.honoured_headers != ("x-request-id", "idempotency-key")
        )
        parts += [f"dead letters after {self.receives_max} receives"] * (self.receives_max != RECEIVES_MAX)
        parts += [f"secret rotated at +{self.rotated_at} s"] * (self.rotated_at is not None)
        parts += [str(delivery) for delivery in sorted(self.deliveries, key=lambda one: one.at)]
        return "\n  ".join([*parts, *map(str, self.poison), *map(str, self.outages), *map(str, self.faults)])

    @property
    def is_quiet(self) -> bool:
        """Whether nothing goes wrong on the way."""
        return not self.faults and not self.outages

    @property
    def changes_policy(self) -> bool:
        """Whether a business customer gets another policy than it registered with."""
        policies: dict[str, object] = {}
        registrations = (fact for one in self.deliveries for fact in one.facts if fact.registration)
        return any(policies.setdefault(fact.key, said) != said for fact in registrations if (said := _policy_of(fact)))


@dataclass(slots=True)
class Trace:
    """What happened, line by line; keeps nothing unless told to, because most runs are never looked at."""

    is_kept: bool = False
    lines: list[str] = field(default_factory=list)


class Violation(BaseException):
    """Something that must never be. No code under test can catch it."""
