"""Requests for entities, taxes and webhooks, and how the API's answers are read."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from quittance.entities import (
    COUNTRY_NEEDS,
    WEBHOOK_EVENTS,
    current_percent,
    entity_body,
    entity_changes,
    entity_fields,
    fiscal_duties,
    missing_fields,
    owned_metadata,
    tax_body,
    tax_called,
    tax_of_rate,
    webhook_body,
)
from tools.sandbox.contract import contract

TODAY = date(2026, 11, 20)
PROFILE: dict[str, Any] = {
    "name": "Acme",
    "country": "DE",
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "email": "a@example.com",
    "phone": "+49 1",
    "company_number": "HRB 1",
    "starting_capital": {"value": 2500050, "currency": "eur"},
    "tax_number": "DE123456789",
    "is_tax_subject": True,
    "address": {"line1": "Street 1", "line2": "Yard", "postal_code": "10115", "city": "Berlin", "state": "BE"},
}


def test_an_entity_carries_its_business_customer_and_all_that_is_known_of_it() -> None:
    body = json.loads(entity_body("bc_1", PROFILE, "live"))
    assert body == {
        "name": "Acme",
        "country": "Germany",
        "country_code": "DE",
        "environment": "live",
        "currency_code": "EUR",
        "timezone": "Europe/Berlin",
        "email": "a@example.com",
        "phone": "+49 1",
        "company_number": "HRB 1",
        "starting_capital": 25000.5,
        "tax_number": "DE123456789",
        "is_tax_subject": True,
        "address": "Street 1",
        "address_2": "Yard",
        "post_code": "10115",
        "city": "Berlin",
        "state": "BE",
        "metadata": {"business_customer": "bc_1"},
    }
    assert contract().schema("CreateEntity").is_valid(body)
    assert (
        contract()
        .schema("PatchEntity")
        .is_valid(entity_changes(json.loads(json.dumps(entity_fields(PROFILE), default=str)), {}) | {"starting_capital": 1})
    )


def test_what_was_not_registered_is_left_to_the_api() -> None:
    assert set(json.loads(entity_body("bc_1", {"name": "A", "country": "DE"}, "sandbox"))) == {
        "name",
        "country",
        "country_code",
        "environment",
        "metadata",
    }


def test_every_request_is_one_the_contract_knows() -> None:
    assert contract().schema("CreateTax").is_valid(json.loads(tax_body("FR 5.5%", "5.5")))
    assert contract().schema("CreateWebhook").is_valid(json.loads(webhook_body("https://q.example/w", "bc_1")))
    assert contract().schema("PatchEntity").is_valid(json.loads(owned_metadata({"metadata": None}, "bc_1")))


def test_all_events_of_the_documents_we_make_are_asked_for() -> None:
    known = contract().document["components"]["schemas"]["WebhookEvent"]["enum"]
    assert set(WEBHOOK_EVENTS) == {one for one in known if one.partition(".")[0] in {"invoice", "credit_note", "payment"}}


def test_only_what_differs_is_changed_and_only_an_address_is_emptied() -> None:
    sent = {"name": "A", "address_2": "Yard", "tax_number": "DE123456789", "email": "a@example.com"}
    assert entity_changes({"name": "B", "email": "a@example.com"}, sent) == {"name": "B", "address_2": None}


@pytest.mark.parametrize("country", COUNTRY_NEEDS)
def test_what_a_country_needs_is_named(country: str) -> None:
    needs = COUNTRY_NEEDS[country].fields
    assert missing_fields(country, {}) == needs
    assert not missing_fields(country, dict.fromkeys(needs, "x"))
    assert set(needs) <= set(contract().fields("CreateEntity"))
    assert not missing_fields("DE", {})


@pytest.mark.parametrize(
    ("country", "features", "settings", "duties"),
    [
        ("DE", ["e_invoicing"], {}, []),
        ("SI", ["furs"], {}, []),
        ("SI", ["furs"], {"furs": {"enabled": True}}, ["furs"]),
        ("HR", ["fina"], None, ["fina"]),
        ("HR", ["fina"], {"fina": {"enabled": False}}, []),
        ("PT", [], {}, ["certified_series"]),
    ],
)
def test_fiscal_duties(country: str, features: list[str], settings: dict[str, Any] | None, duties: list[str]) -> None:
    assert fiscal_duties(country, {"country_rules": {"features": features}, "settings": settings}) == duties
    assert not fiscal_duties("DE", {"country_rules": None})


def tax(identifier: str, rate: float, *, valid_from: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": identifier, "tax_rates": [{"rate": rate, "valid_from": valid_from}], "metadata": {}} | more


def test_the_rate_of_today_counts() -> None:
    rates = [{"rate": 16, "valid_from": "2026-11-20T00:00:00.000Z"}, {"rate": 19}, {"rate": 20, "valid_from": "2026-11-21"}]
    assert current_percent({"tax_rates": rates}, TODAY) == "16"
    assert current_percent({"tax_rates": rates}, date(2026, 11, 19)) == "19"
    assert not current_percent({"tax_rates": [{"rate": 20, "valid_from": "2027-01-01"}]}, TODAY)
    assert [current_percent(tax("t", rate), TODAY) for rate in (9.5, 20, 0, 100)] == ["9.5", "20", "0", "100"]


def test_a_tax_is_ours_by_its_metadata_or_nobodys_by_its_rate() -> None:
    ours = tax("tax_1", 19, metadata={"quittance_tax": "19%"}, created_at="2026")
    taxes = [
        tax("tax_0", 19, deleted_at="2026-01-01"),
        ours,
        tax("tax_2", 19, created_at="2025"),
        tax("tax_3", 19, created_at="2024"),
    ]
    assert tax_called("19%", taxes) == ours
    assert tax_called("7%", taxes) is None
    found = tax_of_rate("19", taxes, TODAY)
    assert found
    assert found["id"] == "tax_3"
    assert tax_of_rate("20", taxes, TODAY) is None
