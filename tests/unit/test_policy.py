"""Policies at the door, tried as somebody would who has never seen one: what is wrong is named by its path, and what is right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quittance.customers import policies_after
from quittance.errors import Reject
from quittance.policy import Policy, Rate, policy_at, policy_from_json, with_policy
from tests.cases.playing import fact_of

SCHEMA = "event_does_not_match_schema: data.policy"
CONTRADICTION = "policy_contradicts_itself: data.policy"
RATES = "One rate for everything, one tax that the entity has already, or a rate for each tax class, `standard` among them."
RATE = "A rate in percent, or a tax that the entity has already."
INSTANT = "must be date-time: an instant with its offset such as 2026-11-20T10:00:00Z"
ABROAD = {"domestic": 19, "eu_consumer": "destination"}

REFUSED: list[tuple[Any, str]] = [
    ("strict", f"{SCHEMA} must be object. Issuance policy. Settings that are not understood are refused."),
    (
        {"invoice_on": "captured"},
        (
            f"{SCHEMA} must not contain other properties than version, effective_from, invoices, fee_invoices, issue_on,"
            " issue_as,"
            " finalize_on, prices, tax, due_days, dispute_credit_on, send_email"
        ),
    ),
    ({"version": 0}, f"{SCHEMA}.version must be bigger than or equal to 1"),
    ({"version": "2"}, f"{SCHEMA}.version must be integer"),
    ({"version": 2.0}, "policy_number_not_whole: data.policy.version must be written without a decimal point"),
    ({"effective_from": "2027-01-01"}, f"{SCHEMA}.effective_from {INSTANT}"),
    ({"effective_from": "next year"}, f"{SCHEMA}.effective_from {INSTANT}"),
    ({"issue_on": "shipped"}, f"{SCHEMA}.issue_on must be one of ['authorized', 'captured', 'settled']"),
    ({"issue_as": "proforma"}, f"{SCHEMA}.issue_as must be one of ['final', 'draft']"),
    ({"issue_as": "draft", "finalize_on": "never"}, f"{SCHEMA}.finalize_on must be one of ['settled', 'manual']"),
    ({"finalize_on": "manual"}, f"{CONTRADICTION}.finalize_on is for drafts, and issue_as is not draft"),
    (
        {"issue_as": "draft", "issue_on": "settled"},
        f"{CONTRADICTION}.finalize_on must be manual where issue_on is settled: such a draft cannot wait for settlement",
    ),
    ({"prices": "net"}, f"{SCHEMA}.prices must be one of ['inclusive', 'exclusive']"),
    ({"prices": "exclusive"}, f"{CONTRADICTION}.prices exclusive needs tax, or there is nothing to add"),
    ({"due_days": -1}, f"{SCHEMA}.due_days must be bigger than or equal to 0"),
    ({"due_days": 366}, f"{SCHEMA}.due_days must be smaller than or equal to 365"),
    ({"due_days": 1.5}, f"{SCHEMA}.due_days must be integer"),
    ({"due_days": 14.0}, "policy_number_not_whole: data.policy.due_days must be written without a decimal point"),
    ({"dispute_credit_on": "won"}, f"{SCHEMA}.dispute_credit_on must be one of ['lost', 'opened', 'never']"),
    ({"invoices": "fees"}, f"{SCHEMA}.invoices must be one of ['sale', 'fee', 'both']"),
    ({"fee_invoices": "weekly"}, f"{SCHEMA}.fee_invoices must be one of ['each', 'monthly']"),
    ({"fee_invoices": "monthly"}, f"{CONTRADICTION}.fee_invoices is for fees, and invoices is neither fee nor both"),
    ({"send_email": "yes"}, f"{SCHEMA}.send_email must be boolean"),
    ({"tax": 19}, f"{SCHEMA}.tax must be object. Which tax the lines of an invoice carry."),
    ({"tax": {}}, f"{SCHEMA}.tax must contain ['domestic'] properties"),
    (
        {"tax": {"domestic": 19, "vat": 7}},
        (
            f"{SCHEMA}.tax must not contain other properties than domestic, eu_business, eu_consumer, destination, outside_eu,"
            " registry_down, reverse_charge_clause"
        ),
    ),
    ({"tax": {"domestic": "19%"}}, f"{SCHEMA}.tax.domestic must be number or object. {RATES}"),
    ({"tax": {"domestic": -1}}, f"{SCHEMA}.tax.domestic must be bigger than or equal to 0"),
    ({"tax": {"domestic": 190}}, f"{SCHEMA}.tax.domestic must be smaller than or equal to 100"),
    ({"tax": {"domestic": {}}}, f"{SCHEMA}.tax.domestic must contain at least 1 properties"),
    ({"tax": {"domestic": {"Standard": 19}}}, f"{SCHEMA}.tax.domestic must not contain other properties. {RATES}"),
    ({"tax": {"domestic": {"standard": "19"}}}, f"{SCHEMA}.tax.domestic.standard must be number or object. {RATE}"),
    ({"tax": {"domestic": {"standard": {"id": "x"}}}}, f"{SCHEMA}.tax.domestic.standard must contain ['tax_id'] properties"),
    ({"tax": {"domestic": {"books": 7}}}, f"{CONTRADICTION}.tax.domestic must contain a rate named standard"),
    (
        {"tax": {"domestic": {"tax_id": "tax_1", "standard": 19}}},
        f"{CONTRADICTION}.tax: a tax_id stands alone, or as the rate of a tax class",
    ),
    ({"tax": {"domestic": 19, "eu_business": "zero"}}, f"{SCHEMA}.tax.eu_business must be one of ['reverse_charge', 'domestic']"),
    ({"tax": {"domestic": 19, "eu_consumer": "oss"}}, f"{SCHEMA}.tax.eu_consumer must be one of ['domestic', 'destination']"),
    ({"tax": {"domestic": 19, "outside_eu": "zero"}}, f"{SCHEMA}.tax.outside_eu must be one of ['none', 'domestic']"),
    (
        {"tax": {"domestic": 19, "registry_down": "retry"}},
        f"{SCHEMA}.tax.registry_down must be one of ['domestic', 'reverse_charge', 'wait']",
    ),
    (
        {"tax": {"domestic": 19, "reverse_charge_clause": ""}},
        f"{SCHEMA}.tax.reverse_charge_clause must be longer than or equal to 1 characters",
    ),
    ({"tax": ABROAD}, f"{CONTRADICTION}.tax.destination must list the rates of each country where eu_consumer is destination"),
    (
        {"tax": {"domestic": 19, "destination": {"FR": 20}}},
        f"{CONTRADICTION}.tax.destination is used only where eu_consumer is destination",
    ),
    ({"tax": ABROAD | {"destination": {}}}, f"{SCHEMA}.tax.destination must contain at least 1 properties"),
    (
        {"tax": ABROAD | {"destination": {"France": 20}}},
        f"{SCHEMA}.tax.destination must not contain other properties than names like ^[A-Za-z]{{2}}$",
    ),
    ({"tax": ABROAD | {"destination": {"US": 8}}}, f"{CONTRADICTION}.tax.destination.US is no country of the EU"),
    (
        {"tax": ABROAD | {"destination": {"FR": {"books": 5.5}}}},
        f"{CONTRADICTION}.tax.destination.FR must contain a rate named standard",
    ),
]


def registered(policy: Any, kind: str = "business_customer.created", time: str = "2026-01-01T00:00:00Z") -> Any:
    return fact_of(kind, time, {"name": "Acme", "country": "DE", "policy": policy}, 1)


@pytest.mark.parametrize(("policy", "answer"), REFUSED, ids=[json.dumps(policy) for policy, _ in REFUSED])
def test_an_invalid_policy_is_refused_with_its_path_and_what_is_allowed(policy: Any, answer: str) -> None:
    with pytest.raises(Reject) as refused:
        registered(policy)
    assert str(refused.value) == answer


def test_an_update_does_not_reach_back() -> None:
    with pytest.raises(Reject) as refused:
        registered({"effective_from": "2025-12-31T23:59:59Z"}, kind="business_customer.updated")
    assert str(refused.value) == "policy_reaches_back: data.policy.effective_from must not lie before the event's time"


def test_a_currency_of_four_decimals_is_refused_at_the_door() -> None:
    with pytest.raises(Reject, match=r"amount\.currency must be iso-4217"):
        fact_of("payment.succeeded", "2026-11-20T10:00:00Z", {"payment_id": "p", "amount": {"value": 1, "currency": "CLF"}}, 1)


def test_a_policy_survives_its_way_through_the_ledger() -> None:
    tax = {"domestic": {"standard": 19, "books": {"tax_id": "tax_7"}}} | ABROAD | {"domestic": 19.50, "destination": {"el": 24}}
    said = {"version": 3, "issue_on": "authorized", "due_days": 0, "send_email": True, "tax": tax}
    policy = policy_from_json(registered(said).registration["policy"])
    assert policy.tax
    assert policy.tax.destination == {"GR": {"standard": Rate(percent="24")}}
    assert list(policy.tax.named_rates()) == ["19.5%", "GR 24%"]
    assert policy_from_json(json.loads(json.dumps(policy.to_json()))) == policy


# --- versions ------------------------------------------------------------------------------------------------------------


def known(*policies: Policy) -> tuple[Policy, ...]:
    return policies


def test_the_first_policy_counts_for_everything_before_it() -> None:
    policies = known(
        Policy(version=1, effective_from="2026-06-01T00:00:00Z"), Policy(version=2, effective_from="2026-09-01T00:00:00Z")
    )
    moments = ("2020-01-01T00:00:00Z", "2026-08-31T23:59:59Z", "2026-09-01T00:00:00Z")
    assert [policy_at(policies, moment).version for moment in moments] == [1, 1, 2]


def test_a_policy_without_a_number_gets_the_next_one_and_again_changes_nothing() -> None:
    first = policies_after((), registered({"due_days": 7}))
    changed = registered({"due_days": 30}, kind="business_customer.updated", time="2026-02-01T00:00:00Z")
    second = policies_after(first, changed)
    assert [(policy.version, policy.due_days) for policy in second] == [(1, 7), (2, 30)]
    assert policies_after(second, changed) == second


def test_a_number_that_means_another_policy_is_refused() -> None:
    first = with_policy((), Policy(version=5, due_days=7), is_numbered=True)
    with pytest.raises(Reject, match="policy_version_reused: 5"):
        with_policy(first, Policy(version=5, due_days=30, effective_from="2026-02-01T00:00:00Z"), is_numbered=True)
