"""Business customers: whose sales are documented, and the invoicing entity that documents them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from quittance.policy import DEFAULT_POLICY, Policy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quittance.facts import Fact

DEFAULT_TIMEZONE = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A provider account whose money belongs to a business customer: a Connect `acct_...`, or `connection:NAME`."""

    provider: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BusinessCustomer:
    """One isolated business customer of the fintech. `profile` is what the platform registered, as validated at the door."""

    id: str
    profile: dict[str, Any] = field(default_factory=dict)
    entity_id: str | None = None
    """The Space Invoices entity that issues its documents; None until it exists."""
    entity_timezone: str | None = None
    """Where the entity does business, as the API has it: the API refuses dates that are in that zone's future."""

    @property
    def timezone(self) -> ZoneInfo:
        return ZoneInfo(self.profile.get("timezone") or self.entity_timezone or DEFAULT_TIMEZONE)

    @property
    def policy(self) -> Policy:
        return Policy(**self.profile["policy"]) if self.profile.get("policy") else DEFAULT_POLICY

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
    """The customer as all its registrations together describe it, whichever arrived first.

    A later event overrides, field by field, what an earlier one said. An entity the platform asked to adopt wins over none.
    """
    profile: dict[str, Any] = {}
    for fact in sorted(registrations, key=lambda fact: (fact.occurred_at, fact.identity)):
        profile |= {name: value for name, value in (fact.registration or {}).items() if value is not None}
    return BusinessCustomer(id=customer_id, profile=profile, entity_id=entity_id or profile.get("entity_id"))
