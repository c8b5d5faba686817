"""Business customers: whose sales are documented, and the invoicing entity that documents them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from quittance.policy import DEFAULT_POLICY, Policy, policy_at, policy_from_json, with_policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from quittance.facts import Fact

DEFAULT_TIMEZONE = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A provider account whose money belongs to a business customer: a Connect `acct_...`, or `connection:NAME`."""

    provider: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityTax:
    """A tax as the invoicing API holds it."""

    tax_id: str
    percent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessCustomer:
    """One isolated business customer of the fintech. `profile` is what the platform registered, as validated at the door."""

    id: str
    profile: dict[str, Any] = field(default_factory=dict)
    entity_id: str | None = None
    """The Space Invoices entity that issues its documents; None until it exists."""
    entity_timezone: str | None = None
    """Where the entity does business, as the API has it: the API refuses dates that are in that zone's future."""
    policies: tuple[Policy, ...] = (DEFAULT_POLICY,)
    """In the order in which they count."""
    taxes: dict[str, EntityTax] = field(default_factory=dict)
    """The taxes of its policies in its entity, by `Rate.name`."""
    version: int = 0
    """Counts the changes of what the ledger holds of it."""

    @property
    def timezone(self) -> ZoneInfo:
        return ZoneInfo(self.profile.get("timezone") or self.entity_timezone or DEFAULT_TIMEZONE)

    def policy_at(self, instant: str) -> Policy:
        """The policy in force at an RFC 3339 instant in UTC."""
        return policy_at(self.policies, instant)

    @property
    def is_charged_fees(self) -> bool:
        """Whether any of its policies has the platform invoice its fees."""
        return any(policy.invoices != "sale" for policy in self.policies)

    @property
    def accounts(self) -> tuple[Account, ...]:
        """Every provider account whose payments are this customer's, the platform's own events included."""
        named = tuple(Account(**account) for account in self.profile.get("accounts", ()))
        return (Account(provider="platform", account=self.id), *named)

    def local_date(self, instant: str) -> date:
        """The calendar day of an RFC 3339 instant, or of a plain date, where the customer does business."""
        if len(instant) == len("2026-11-20"):
            return date.fromisoformat(instant)
        moment = datetime.fromisoformat(instant)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(self.timezone).date()


def registered(customer_id: str, registrations: Iterable[Fact], entity_id: str | None) -> BusinessCustomer:
    """The customer as all its registrations together describe it, whichever arrived first; its policies apart.

    A later event overrides, field by field, what an earlier one said. An entity the platform asked to adopt wins over none.
    """
    profile: dict[str, Any] = {}
    for fact in sorted(registrations, key=lambda fact: (fact.occurred_at, fact.identity)):
        said = {name: value for name, value in (fact.registration or {}).items() if value is not None and name != "policy"}
        profile |= said
    return BusinessCustomer(id=customer_id, profile=profile, entity_id=entity_id or profile.get("entity_id"))


def policies_after(known: Sequence[Policy], registration: Fact) -> tuple[Policy, ...]:
    """The policies of a business customer once this registration is taken in.

    A policy counts from its `effective_from`, or else from its event's time, whichever event arrived first. Raises `Reject` as
    `with_policy` does.
    """
    data = (registration.registration or {}).get("policy")
    if not data:
        return tuple(known) or (DEFAULT_POLICY,)
    starts = data.get("effective_from", registration.occurred_at)
    return with_policy(known, policy_from_json(data | {"effective_from": starts}), is_numbered="version" in data)
