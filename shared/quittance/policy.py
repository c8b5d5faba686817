"""Issuance policy: versioned data per business customer, separate from payment success and from settlement timing.

A policy is validated at the door by the schema of platform events and by `policy_from_json`: a rule that is not understood is
refused, never dropped. Each counts from an instant on. A document follows the policy that was in force when the fact that
calls for it happened, and carries its version; a new policy never reaches back to what was issued.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from quittance.countries import EU_COUNTRIES, iso_country
from quittance.errors import Reject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STANDARD = "standard"
"""The tax class of every line that names none."""
REVERSE_CHARGE_CLAUSE = "Reverse charge: VAT is owed by the recipient, Article 196 of Directive 2006/112/EC."


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A rate in percent, or a tax of the entity's own, whose rate is read from the invoicing API when it is registered."""

    percent: str = ""
    """A decimal such as `9.5`, without trailing zeros."""
    tax_id: str = ""

    def name(self, country: str = "") -> str:
        """What the tax is called in its entity, `9.5%` or `DE 19%`; a tax of the entity's own goes by its id."""
        return self.tax_id or f"{country} {self.percent}%".strip()


Rates = dict[str, Rate]
"""Tax class -> rate; `standard` is always among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxPolicy:
    """Which tax the lines of an invoice carry, by where the buyer is and what the buyer is."""

    domestic: Rates
    eu_business: Literal["reverse_charge", "domestic"] = "reverse_charge"
    """A buyer in another EU country whose tax number the registry confirms (Directive 2006/112/EC, article 196)."""
    eu_consumer: Literal["domestic", "destination"] = "domestic"
    """Any other buyer in another EU country: the seller's rate (below the threshold of article 59c), or the buyer's."""
    destination: dict[str, Rates] = field(default_factory=dict)
    """ISO 3166-1 country of the buyer -> rates there; a buyer from a country that is not listed is a finding."""
    outside_eu: Literal["none", "domestic"] = "none"
    """A buyer outside the EU, or any buyer abroad when the seller is outside it."""
    registry_down: Literal["domestic", "reverse_charge", "wait"] = "domestic"
    """What an EU buyer with a tax number gets while the registry of tax numbers does not answer."""
    reverse_charge_clause: str = REVERSE_CHARGE_CLAUSE
    """Printed on an invoice that charges no tax because the buyer owes it."""

    def named_rates(self) -> dict[str, Rate]:
        """Every rate under the name of its tax in the entity."""
        named = {rate.name(): rate for rate in self.domestic.values()}
        return named | {rate.name(country): rate for country, rates in self.destination.items() for rate in rates.values()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules a business customer's documents follow, as the platform registered them."""

    version: int = 1
    """Printed in the metadata of every document that was planned under it."""
    effective_from: str = ""
    """RFC 3339 in UTC; the first policy of a business customer counts for everything before it too."""
    invoices: Literal["sale", "fee", "both"] = "sale"
    """`sale`: its entity invoices the payer. `fee`: the platform's entity invoices it for the fee of each payment."""
    fee_invoices: Literal["each", "monthly"] = "each"
    """One fee invoice for each payment, or one a month and currency."""
    issue_on: Literal["authorized", "captured", "settled"] = "captured"
    """The stage of a payment that calls for its invoice."""
    issue_as: Literal["final", "draft"] = "final"
    finalize_on: Literal["settled", "manual"] = "settled"
    """What makes a draft final: the payout of its payment, or a person in Space Invoices."""
    prices: Literal["inclusive", "exclusive"] = "inclusive"
    """Whether the amounts of lines hold the tax. If they do, a document's total is the money that moved."""
    tax: TaxPolicy | None = None
    """None: no tax is configured, and lines carry none."""
    due_days: int = 14
    """Days until an invoice that was issued before its money arrived is due. One that is paid already is due on its date."""
    dispute_credit_on: Literal["lost", "opened", "never"] = "lost"
    """When a dispute's amount is credited: once it is lost, as soon as it is opened, or not at all."""
    send_email: bool = False
    """Whether the payer is sent each final document with its PDF, once."""

    def to_json(self) -> dict[str, Any]:
        """JSON-ready, without what equals the default; `policy_from_json` restores an equal policy."""
        return _differing(self)


DEFAULT_POLICY = Policy()
_DEFAULT_TAX = TaxPolicy(domestic={})


def _differing(policy: Policy) -> dict[str, Any]:
    shown = {one.name: getattr(policy, one.name) for one in fields(policy) if getattr(policy, one.name) != one.default}
    shown["version"] = policy.version
    if policy.tax is not None:
        tax = asdict(policy.tax)
        shown["tax"] = {name: value for name, value in tax.items() if value != getattr(_DEFAULT_TAX, name)}
    return shown


def policy_from_json(data: Mapping[str, Any]) -> Policy:
    """A policy as the schema of platform events lets it in, or as `Policy.to_json` wrote it.

    Raises `Reject("policy_contradicts_itself")`, with the reason, for settings that are each allowed but not together.
    """
    policy = Policy(**(dict(data) | ({"tax": _tax_from_json(data["tax"])} if data.get("tax") else {})))
    if reason := _contradiction(policy, data):
        raise Reject("policy_contradicts_itself", reason)
    return policy


def _contradiction(policy: Policy, data: Mapping[str, Any]) -> str:
    """What in a policy excludes each other, named by its path in the event; empty if nothing does."""
    is_settled_draft = policy.issue_as == "draft" and policy.issue_on == policy.finalize_on == "settled"
    contradictions = {
        "finalize_on is for drafts, and issue_as is not draft": "finalize_on" in data and policy.issue_as != "draft",
        "fee_invoices is for fees, and invoices is neither fee nor both": "fee_invoices" in data and policy.invoices == "sale",
        "prices exclusive needs tax, or there is nothing to add": policy.prices == "exclusive" and policy.tax is None,
        "finalize_on must be manual where issue_on is settled: such a draft cannot wait for settlement": is_settled_draft,
    }
    reason = next((reason for reason, applies in contradictions.items() if applies), "")
    reason = reason or (_contradiction_in_tax(policy.tax) if policy.tax else "")
    return reason and f"data.policy.{reason}"


def _contradiction_in_tax(tax: TaxPolicy) -> str:
    named = {"tax.domestic": tax.domestic} | {f"tax.destination.{country}": rates for country, rates in tax.destination.items()}
    contradictions = {f"{path} must contain a rate named {STANDARD}": STANDARD not in rates for path, rates in named.items()} | {
        f"tax.destination.{country} is no country of the EU": country not in EU_COUNTRIES for country in tax.destination
    }
    contradictions |= {
        "tax.destination must list the rates of each country where eu_consumer is destination": tax.eu_consumer == "destination"
        and not tax.destination,
        "tax.destination is used only where eu_consumer is destination": bool(tax.destination)
        and tax.eu_consumer != "destination",
    }
    return next((reason for reason, applies in contradictions.items() if applies), "")


def _tax_from_json(data: Mapping[str, Any]) -> TaxPolicy:
    rates: dict[str, Any] = {"domestic": _rates(data["domestic"])}
    if "destination" in data:
        rates["destination"] = {iso_country(country): _rates(one) for country, one in data["destination"].items()}
    return TaxPolicy(**(dict(data) | rates))


def _rates(data: object) -> Rates:
    """Rates by tax class; a rate that stands alone is the standard one."""
    if isinstance(data, dict) and set(data) > {"tax_id"}:
        raise Reject("policy_contradicts_itself", "data.policy.tax: a tax_id stands alone, or as the rate of a tax class")
    if isinstance(data, dict) and "tax_id" not in data:
        return {tax_class: _rate(one) for tax_class, one in data.items()}
    return {STANDARD: _rate(data)}


def _rate(data: object) -> Rate:
    return Rate(**data) if isinstance(data, dict) else Rate(percent=format(Decimal(str(data)).normalize(), "f"))


# --- one business customer's policies through time -----------------------------------------------------------------------


def policy_at(policies: Sequence[Policy], instant: str) -> Policy:
    """The policy in force at an RFC 3339 instant in UTC; the first one for everything before it."""
    in_force = [policy for policy in policies if policy.effective_from <= instant]
    return (in_force or list(policies[:1]) or [DEFAULT_POLICY])[-1]


def with_policy(policies: Sequence[Policy], proposed: Policy, *, is_numbered: bool) -> tuple[Policy, ...]:
    """The policies of a business customer after it was given another one, in the order in which they count.

    What is in force already changes nothing, and a policy that turns out to count from earlier on does so. One that names no
    version (`is_numbered` is False) gets the next free one. Raises `Reject("policy_version_reused")` when its version means
    another policy already.
    """
    starts = proposed.effective_from
    if policies:
        in_force = policy_at(policies, starts)
        version = proposed.version if is_numbered else in_force.version
        if in_force.effective_from <= starts and replace(in_force, effective_from=starts) == replace(proposed, version=version):
            return tuple(policies)
    known = {policy.version: policy for policy in policies}
    if not is_numbered:
        proposed = replace(proposed, version=max(known, default=0) + 1)
    elif (reused := known.get(proposed.version)) and (
        replace(reused, effective_from=starts) != proposed or starts > reused.effective_from
    ):
        raise Reject("policy_version_reused", str(proposed.version))
    known[proposed.version] = proposed
    return tuple(sorted(known.values(), key=lambda policy: (policy.effective_from, policy.version)))
