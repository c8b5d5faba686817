"""Registrations: what the invoicing API is asked for a business customer, and what is a finding instead."""

from __future__ import annotations

from typing import Any

import pytest

from quittance.customers import EntityTax
from quittance.entities import WEBHOOK_EVENTS, connection_of
from quittance.errors import InDoubt, Retry
from quittance.ledger import Ledger
from quittance.policy import DEFAULT_POLICY
from quittance.storage import ConditionFailedError
from tests.use_cases.onboarding import BASE_URL, Onboarding

PORTUGUESE: dict[str, Any] = {
    "country": "PT",
    "tax_number": "PT123456789",
    "phone": "+351 1",
    "email": "a@example.pt",
    "address": {"line1": "Rua 1", "city": "Porto", "postal_code": "4000-001"},
    "starting_capital": {"value": 500000, "currency": "EUR"},
}


@pytest.fixture
def world() -> Onboarding:
    return Onboarding()


def codes(world: Onboarding) -> list[str]:
    return [code for code, _ in world.findings()]


# --- once ----------------------------------------------------------------------------------------------------------------


def test_a_registration_makes_an_entity_its_taxes_and_its_webhook(world: Onboarding) -> None:
    world.registered(policy={"tax": {"domestic": {"standard": "19", "reduced": "7"}}})
    (entity,) = world.entities()
    assert (entity["metadata"], entity["environment"]) == ({"business_customer": "bc_1"}, "sandbox")
    assert [(tax["name"], tax["metadata"]) for tax in world.taxes()] == [
        ("19%", {"quittance_tax": "19%"}),
        ("7%", {"quittance_tax": "7%"}),
    ]
    (webhook,) = world.webhooks()
    connection = connection_of("bc_1")
    assert webhook["url"] == f"{BASE_URL}/webhooks/space-invoices/{connection}"
    assert (webhook["metadata"], webhook["events"]) == ({"business_customer": "bc_1"}, list(WEBHOOK_EVENTS))
    assert world.secrets == {connection: webhook["secret"]}
    customer = world.customer()
    assert customer.taxes == {tax["name"]: EntityTax(tax_id=tax["id"], percent=tax["name"].rstrip("%")) for tax in world.taxes()}
    assert not world.findings()


def test_a_repeated_registration_asks_nothing(world: Onboarding) -> None:
    details: dict[str, Any] = {"policy": {"tax": {"domestic": "19"}}, "role": "platform"}
    world.registered(**details)
    world.asked.clear()
    before = world.customer()
    stored = world.table.items()
    world.registered(**details)
    assert world.table.items() == stored
    world.registered(day=21, accounts=[{"provider": "stripe", "account": "acct_9"}])
    assert not world.asked
    assert world.customer().policies == before.policies
    assert not world.revisits


def test_without_a_public_address_no_webhook_is_asked_for(world: Onboarding) -> None:
    world.restart(base_url="")
    world.registered()
    assert not world.webhooks()
    assert {asked.path for asked in world.asked} == {"/entities"}


# --- the entity ----------------------------------------------------------------------------------------------------------


def test_an_entity_that_carries_the_customer_is_found_and_brought_up_to_date(world: Onboarding) -> None:
    body = {"name": "Old", "country": "Germany", "country_code": "DE", "metadata": {"business_customer": "bc_1"}}
    made = world.made_by_hand("entities", body)
    world.registered(name="Acme")
    assert world.customer().entity_id == made["id"]
    assert [entity["name"] for entity in world.entities()] == ["Acme"]


def test_an_entity_is_adopted_with_its_own_metadata_kept(world: Onboarding) -> None:
    made = world.made_by_hand("entities", {"name": "Own", "country": "Germany", "country_code": "DE", "metadata": {"x": "1"}})
    world.registered(entity_id=made["id"])
    (entity,) = world.entities()
    assert entity["metadata"] == {"x": "1", "business_customer": "bc_1"}
    assert entity["name"] == "Own"
    assert world.customer().entity_id == made["id"]
    world.registered(day=21, entity_id=made["id"], name="Renamed")
    assert world.entities()[0]["name"] == "Renamed"


@pytest.mark.parametrize("entity_id", ["ent_none", "../webhooks", "a b", "e" * 65])
def test_an_entity_that_is_not_there_is_a_finding_and_its_payments_wait(world: Onboarding, entity_id: str) -> None:
    world.registered(entity_id=entity_id)
    assert world.findings() == [("entity_unknown", entity_id)]
    assert not world.entities()
    assert world.directory().platform() is None


def test_an_entity_this_key_may_not_see_is_a_finding(world: Onboarding) -> None:
    world.sandbox.faults.add_json({"kind": "status", "status": 403, "match": {"method": "GET", "path_prefix": "/entities/"}})
    world.registered(entity_id="ent_1")
    assert world.findings() == [("entity_unknown", "ent_1")]


def test_a_mended_registration_closes_its_finding(world: Onboarding) -> None:
    world.registered(entity_id="ent_none")
    made = world.made_by_hand("entities", {"name": "Own", "country": "Germany", "country_code": "DE"})
    world.registered(day=21, entity_id=made["id"])
    assert not world.findings()
    assert world.customer().entity_id == made["id"]


@pytest.mark.parametrize("is_marked", [True, False])
def test_an_entity_of_another_customer_is_never_used(world: Onboarding, *, is_marked: bool) -> None:
    world.registered("bc_1")
    taken = str(world.customer("bc_1").entity_id)
    if not is_marked:
        world.entities()[0]["metadata"] = {}
    before = dict(world.entities()[0])
    world.registered("bc_2", name="Thief", entity_id=taken)
    assert world.findings() == [("entity_taken", taken)]
    assert world.entities() == [before]


def test_an_entity_that_another_ledger_gave_away_is_never_used(world: Onboarding) -> None:
    body = {"name": "Own", "country": "Germany", "country_code": "DE", "metadata": {"business_customer": "bc_of_another_stage"}}
    made = world.made_by_hand("entities", body)
    world.registered(entity_id=made["id"])
    assert world.findings() == [("entity_taken", made["id"])]
    assert {asked.method for asked in world.asked} == {"GET"}


def test_another_entity_is_not_taken_once_one_is_in_use(world: Onboarding) -> None:
    world.registered()
    used = world.customer().entity_id
    other = world.made_by_hand("entities", {"name": "Own", "country": "Germany"})
    world.registered(day=21, entity_id=other["id"])
    assert world.customer().entity_id == used
    assert world.findings() == [("entity_fixed", other["id"])]


def test_only_what_changed_is_told(world: Onboarding) -> None:
    address = {"line1": "Street 1", "line2": "Yard", "city": "Berlin"}
    world.registered(email="a@example.com", address=address)
    world.asked.clear()
    world.registered(day=21, email="b@example.com", address={"line1": "Street 2", "city": "Berlin"})
    (asked,) = world.asked
    assert (asked.method, asked.body) == ("PATCH", {"email": "b@example.com", "address": "Street 2", "address_2": None})


def test_a_late_report_of_an_earlier_day_does_not_undo_a_later_one(world: Onboarding) -> None:
    world.registered(day=21, name="New")
    world.registered(day=20, name="Old")
    assert [entity["name"] for entity in world.entities()] == ["New"]


def test_the_country_of_an_entity_stays(world: Onboarding) -> None:
    world.registered(country="DE")
    for _ in range(2):
        world.registered(day=21, country="FR")
        assert world.findings() == [("entity_country_fixed", "FR")]
    assert world.entities()[0]["country_code"] == "DE"
    assert world.customer().profile["country"] == "DE"


def test_the_country_of_an_adopted_entity_counts(world: Onboarding) -> None:
    made = world.made_by_hand("entities", {"name": "Own", "country": "France", "country_code": "FR"})
    world.registered(entity_id=made["id"], country="DE")
    assert world.findings() == [("entity_country_fixed", "DE")]
    assert world.customer().profile["country"] == "FR"


def test_a_refused_change_is_a_finding_until_one_is_accepted(world: Onboarding) -> None:
    world.registered()
    world.sandbox.faults.add_json({"kind": "status", "status": 422, "match": {"method": "PATCH"}})
    world.registered(day=21, name="B")
    assert codes(world) == ["entity_refused"]
    world.registered(day=22, name="C")
    assert not world.findings()
    assert world.entities()[0]["name"] == "C"


def test_two_entities_of_one_customer_are_an_incident_and_the_older_stands(world: Onboarding) -> None:
    body = {"name": "A", "country": "Germany", "country_code": "DE", "metadata": {"business_customer": "bc_1"}}
    first = world.made_by_hand("entities", body)
    world.seconds += 60
    world.made_by_hand("entities", body)
    world.registered()
    assert world.customer().entity_id == first["id"]
    assert codes(world) == ["entity_duplicate"]


# --- what a country needs ------------------------------------------------------------------------------------------------


def test_what_a_country_needs_is_asked_of_the_platform_before_the_api(world: Onboarding) -> None:
    world.registered(**PORTUGUESE | {"phone": "", "starting_capital": None})
    assert world.findings() == [("entity_incomplete", "phone starting_capital")]
    assert {asked.method for asked in world.asked} == {"GET"}
    world.registered(day=21, **PORTUGUESE)
    assert world.findings() == [("fiscal_data_not_sent", "certified_series")]
    assert world.entities()[0]["starting_capital"] == 5000


def test_a_fiscal_duty_that_nothing_is_sent_for_is_a_finding(world: Onboarding) -> None:
    world.registered("bc_hr", country="HR")
    assert world.findings() == [("fiscal_data_not_sent", "fina")]
    world.registered("bc_si", country="SI")
    assert len(world.findings()) == 1


def test_a_tax_number_that_cannot_be_one_is_not_sent(world: Onboarding) -> None:
    world.registered(tax_number="DE12345")
    assert world.findings() == [("tax_number_malformed", "wrong_length")]
    assert world.entities()[0]["tax_number"] is None
    world.registered(day=21, tax_number="DE123456789")
    assert not world.findings()
    assert world.entities()[0]["tax_number"] == "DE123456789"


# --- policies and taxes --------------------------------------------------------------------------------------------------


def test_a_version_reused_is_a_finding_and_the_rest_of_the_registration_counts(world: Onboarding) -> None:
    world.registered(policy={"version": 2, "due_days": 10})
    world.registered(day=21, name="Renamed", policy={"version": 2, "due_days": 20})
    assert world.findings() == [("policy_version_reused", "evt_bc_1_21")]
    assert world.entities()[0]["name"] == "Renamed"
    assert [policy.due_days for policy in world.customer().policies] == [10]
    world.registered(day=22, policy={"version": 3, "due_days": 20})
    assert not world.findings()
    assert [policy.due_days for policy in world.customer().policies] == [10, 20]


def test_without_a_policy_the_default_counts_and_no_tax_is_asked_for(world: Onboarding) -> None:
    world.registered()
    assert world.customer().policies == (DEFAULT_POLICY,)
    assert not [asked for asked in world.asked if asked.path.startswith("/taxes")]


def test_a_new_policy_adds_only_the_taxes_that_are_missing(world: Onboarding) -> None:
    world.registered(policy={"tax": {"domestic": "19"}})
    destination = {"eu_consumer": "destination", "destination": {"FR": "20", "AT": "20"}}
    world.registered(day=21, policy={"tax": {"domestic": "19", **destination}})
    assert sorted(tax["name"] for tax in world.taxes()) == ["19%", "AT 20%", "FR 20%"]


def test_a_tax_of_an_adopted_entity_with_the_same_rate_is_used(world: Onboarding) -> None:
    made = world.made_by_hand("entities", {"name": "Own", "country": "Germany", "country_code": "DE"})
    old = [
        {"rate": 16, "valid_from": "2020-07-01"},
        {"rate": 19, "valid_from": "2021-01-01"},
        {"rate": 20, "valid_from": "2030-01-01"},
    ]
    tax = world.made_by_hand("taxes", {"tax_rates": old}, made["id"])
    world.registered(entity_id=made["id"], policy={"tax": {"domestic": "19"}})
    assert world.customer().taxes == {"19%": EntityTax(tax_id=tax["id"], percent="19")}
    assert len(world.taxes()) == 1


def test_a_foreign_rate_has_a_tax_of_its_own(world: Onboarding) -> None:
    destination = {"eu_consumer": "destination", "destination": {"CY": "19"}}
    world.registered(policy={"tax": {"domestic": "19", **destination}})
    assert len({tax.tax_id for tax in world.customer().taxes.values()}) == 2


def test_a_tax_named_by_its_id_is_read(world: Onboarding) -> None:
    made = world.made_by_hand("entities", {"name": "Own", "country": "Germany", "country_code": "DE"})
    tax = world.made_by_hand("taxes", {"tax_rates": [{"rate": 9.5}]}, made["id"])
    world.registered(entity_id=made["id"], policy={"tax": {"domestic": {"tax_id": tax["id"]}}})
    assert world.customer().taxes == {tax["id"]: EntityTax(tax_id=tax["id"], percent="9.5")}


def test_a_tax_of_another_entity_is_unknown(world: Onboarding) -> None:
    world.registered("bc_2", policy={"tax": {"domestic": "19"}})
    foreign = world.customer("bc_2").taxes["19%"].tax_id
    world.registered("bc_1", policy={"tax": {"domestic": {"tax_id": foreign}}})
    assert world.findings() == [("tax_unknown", foreign)]
    assert not world.customer("bc_1").taxes


def test_a_tax_that_was_changed_by_hand_is_not_used(world: Onboarding) -> None:
    made = world.made_by_hand("entities", {"name": "Own", "country": "Germany", "country_code": "DE"})
    world.made_by_hand("taxes", {"tax_rates": [{"rate": 20}], "metadata": {"quittance_tax": "19%"}}, made["id"])
    world.registered(entity_id=made["id"], policy={"tax": {"domestic": "19"}})
    assert world.findings() == [("tax_rate_differs", "19%")]
    assert not world.customer().taxes


def test_a_refused_tax_is_a_finding_and_the_others_are_made(world: Onboarding) -> None:
    fault = {"kind": "status", "status": 422, "match": {"method": "POST", "path_prefix": "/taxes"}}
    world.sandbox.faults.add_json(fault)
    world.registered(policy={"tax": {"domestic": {"standard": "19", "reduced": "7"}}})
    assert codes(world) == ["tax_refused"]
    assert set(world.customer().taxes) == {"7%"}
    assert len(world.webhooks()) == 1


# --- webhooks ------------------------------------------------------------------------------------------------------------


def test_a_stack_that_moved_replaces_the_webhook(world: Onboarding) -> None:
    world.registered()
    world.restart("https://new.example")
    world.registered(day=21)
    (webhook,) = world.webhooks()
    assert webhook["url"].startswith("https://new.example/")
    assert list(world.secrets.values()) == [webhook["secret"]]


def test_a_secret_that_could_not_be_stored_is_made_anew(world: Onboarding) -> None:
    def fail(name: str) -> None:
        if name == "put secret":
            raise Retry("secret_not_stored")

    world.before_call = fail
    with pytest.raises(Retry, match="secret_not_stored"):
        world.registered()
    world.before_call = lambda _: None
    world.registered()
    (webhook,) = world.webhooks()
    assert list(world.secrets.values()) == [webhook["secret"]]


def test_a_webhook_that_a_lagging_list_does_not_show_is_not_made_twice(world: Onboarding) -> None:
    world.sandbox.faults.add_json({"kind": "lose_response_after_commit", "match": {"method": "POST", "path_prefix": "/webhooks"}})
    with pytest.raises(InDoubt):
        world.registered()
    world.sandbox.faults.add_json({"kind": "lookup_lag", "seconds": 60, "times": None, "match": {"path_prefix": "/webhooks"}})
    world.registered()
    (webhook,) = world.webhooks()
    assert list(world.secrets.values()) == [webhook["secret"]]


def test_a_webhook_of_somebody_else_stays(world: Onboarding) -> None:
    made = world.made_by_hand("entities", {"name": "Own", "country": "Germany", "country_code": "DE"})
    others = {"url": "https://other.example/hook", "events": ["invoice.paid"], "metadata": {"business_customer": "bc_1"}}
    world.made_by_hand("webhooks", others, made["id"])
    world.registered(entity_id=made["id"])
    assert len(world.webhooks()) == 2


# --- the platform, and who waited ----------------------------------------------------------------------------------------


def test_one_business_customer_is_the_platform(world: Onboarding) -> None:
    directory = world.directory()
    assert directory.platform() is None
    world.registered("bc_p", role="platform")
    platform = directory.platform()
    assert platform
    assert (platform.id, platform.entity_id) == ("bc_p", world.customer("bc_p").entity_id)
    world.registered("bc_q", role="platform")
    assert world.findings() == [("platform_taken", "bc_q")]
    assert world.directory().platform() == platform


def waits(world: Onboarding, account: str, awaited: str, customer_id: str = "bc_1") -> None:
    """A case of a registered customer that waits."""
    ledger = Ledger(world.table)
    case = ledger.open("stripe", account, ("pay_1",), join=False)
    case.waiting, case.is_changed = (f"payment.succeeded#pay_1 waits for {awaited}",), True
    for write in world.directory().entries_of_waiting(case, world.customer(customer_id)):
        case.add_write(write)
    ledger.commit(case)


def test_a_new_tax_wakes_the_cases_of_its_customer_that_wait_for_one(world: Onboarding) -> None:
    world.registered()
    world.registered("bc_2")
    waits(world, "acct_1", "tax FR 20%")
    waits(world, "acct_2", "tax FR 20%", "bc_2")
    waits(world, "acct_3", "payment")
    world.registered(day=21, policy={"tax": {"domestic": "20"}})
    assert [revisit[1] for revisit in world.revisits] == ["acct_1"]


def test_a_tax_that_turns_up_later_wakes_who_waited_for_it(world: Onboarding) -> None:
    policy = {"tax": {"domestic": {"tax_id": "tax_1"}}}
    world.registered(policy=policy)
    waits(world, "acct_1", "tax tax_1")
    world.registered(policy=policy)
    assert not world.revisits
    book = world._book(None)
    book.taxes["tax_1"] = {"id": "tax_1", "tax_rates": [{"rate": 19, "valid_from": "1970-01-01"}], "deleted_at": None}
    world.registered(policy=policy)
    assert [revisit[1] for revisit in world.revisits] == ["acct_1"]
    assert not world.findings()


def test_the_platform_wakes_everyone_who_waits_for_it(world: Onboarding) -> None:
    world.registered(policy={"invoices": "fee"})
    waits(world, "acct_1", "platform entity")
    waits(world, "acct_2", "payment")
    world.registered("bc_p", role="platform")
    assert [revisit[1] for revisit in world.revisits] == ["acct_1"]
    waits(world, "acct_3", "tax 19%")
    world.registered("bc_p", day=21, role="platform", policy={"tax": {"domestic": "19"}})
    assert [revisit[1] for revisit in world.revisits] == ["acct_1", "acct_3"]


def test_who_waits_for_what_was_registered_meanwhile_is_planned_again(world: Onboarding) -> None:
    world.registered(policy={"invoices": "fee"})
    directory, customer = world.directory(), world.customer()
    for awaited, day in (("tax 19%", 21), ("platform entity", 22)):
        case = Ledger(world.table).open("stripe", awaited, ("pay_1",), join=False)
        case.waiting, case.is_changed = (f"payment.succeeded#pay_1 waits for {awaited}",), True
        for write in directory.entries_of_waiting(case, customer):
            case.add_write(write)
        world.registered(day=day, policy={"tax": {"domestic": "19"}}, role="platform")
        with pytest.raises(ConditionFailedError):
            Ledger(world.table).commit(case)


def unavailable(*_: str) -> None:
    raise Retry("queue_unavailable")


def test_who_was_not_asked_for_before_a_crash_is_asked_for_after_it(world: Onboarding) -> None:
    world.registered()
    waits(world, "acct_1", "tax 19%")
    policy = {"tax": {"domestic": "19"}}
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(world.registrar, "_revisit_later", unavailable)
        with pytest.raises(Retry):
            world.registered(day=21, policy=policy)
    world.registered(day=21, policy=policy)
    assert len(world.revisits) == 1


# --- sandbox and live ----------------------------------------------------------------------------------------------------


def test_a_live_stack_makes_live_entities() -> None:
    world = Onboarding(key="sk_live_test", environment="live")
    world.registered()
    assert [entity["environment"] for entity in world.entities()] == ["live"]


def test_an_entity_of_the_other_environment_is_never_used(world: Onboarding) -> None:
    made = world.made_by_hand("entities", {"name": "Own", "country": "Germany", "country_code": "DE"})
    world.entities()[0]["environment"] = "live"
    world.registered(entity_id=made["id"])
    assert world.findings() == [("entity_of_other_environment", made["id"])]
    assert {asked.method for asked in world.asked} == {"GET"}
