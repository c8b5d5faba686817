"""Facts in, documents out: the use cases against the invoicing API's model, with its failures."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from quittance.errors import InDoubt, Retry
from quittance.facts import Fact, FactType, Payer
from quittance.ledger import Ledger, case_names, case_pk
from tests.unit.stories import dispute, fact, refund, renewal, succeeded
from tests.use_cases.world import World
from tools.sandbox.model import Sandbox


@pytest.fixture
def world() -> World:
    world = World()
    world.register()
    return world


def fail(sandbox: Sandbox, kind: str, path: str = "/invoices", *, method: str = "POST", **details: Any) -> None:
    sandbox.faults.add_json({"kind": kind, "match": {"method": method, "path_prefix": path}, **details})


def test_a_payment_becomes_one_paid_invoice_in_one_request(world: World) -> None:
    before = len(world.sandbox.seen)
    world.take(succeeded(12345, method="card"))
    assert len(world.sandbox.seen) - before == 1
    (invoice,) = world.held("invoices")
    assert (invoice["number"], invoice["paid_in_full"]) == ("2026-00001", True)
    assert invoice["metadata"]["payment_id"] == "pay_1"
    assert invoice["metadata"]["document_key"] == "invoice:payment:pay_1"
    (payment,) = world.held("payments")
    assert (payment["type"], payment["reference"]) == ("card", "pay_1")


def test_a_repeated_fact_asks_nothing_of_the_api(world: World) -> None:
    world.take(succeeded())
    before = len(world.sandbox.seen)
    world.take(succeeded(), succeeded(minute=3))
    assert len(world.sandbox.seen) == before
    assert world.counts["FactsRepeated"] == 2


def test_a_lost_response_is_looked_up_and_not_repeated(world: World) -> None:
    fail(world.sandbox, "lose_response_after_commit")
    with pytest.raises(InDoubt):
        world.take(succeeded())
    world.take(succeeded())
    assert world.totals()["invoices"] == ["100"]
    assert world.requests("createInvoice") == 1


def test_a_request_that_never_arrived_is_sent_again_after_a_look_up(world: World) -> None:
    fail(world.sandbox, "reset_before")
    with pytest.raises(InDoubt):
        world.take(succeeded())
    world.take(succeeded())
    assert world.totals()["invoices"] == ["100"]


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("after_commit", [False, True])
def test_a_server_error_ends_in_one_invoice(world: World, status: int, *, after_commit: bool) -> None:
    fail(world.sandbox, "status", status=status, after_commit=after_commit)
    with pytest.raises(InDoubt):
        world.take(succeeded())
    world.take(succeeded())
    assert world.totals()["invoices"] == ["100"]


def test_a_rate_limited_request_is_repeated_without_a_look_up(world: World) -> None:
    fail(world.sandbox, "status", status=429, retry_after=7)
    with pytest.raises(Retry) as caught:
        world.take(succeeded())
    assert caught.value.delay_s == 7
    world.take(succeeded())
    assert world.requests("getInvoices") == 0
    assert world.totals()["invoices"] == ["100"]


def test_one_header_alone_protects_when_the_look_up_lags() -> None:
    for ignored in ("x-request-id", "idempotency-key"):
        honoured = tuple(name for name in ("x-request-id", "idempotency-key") if name != ignored)
        world = World(idempotency_headers=honoured)
        world.register()
        fail(world.sandbox, "lose_response_after_commit")
        fail(world.sandbox, "lookup_lag", method="GET", seconds=60, times=None)
        with pytest.raises(InDoubt):
            world.take(succeeded())
        world.take(succeeded())
        world.sandbox.faults.clear()
        assert world.totals()["invoices"] == ["100"]


def test_a_refused_document_is_kept_as_a_finding_and_blocks_nobody(world: World) -> None:
    fail(world.sandbox, "status", status=422)
    world.take(succeeded(), succeeded(payment_id="pay_2"))
    assert world.totals()["invoices"] == ["100"]
    refused = Ledger(world.table).open("stripe", "acct_1", ["pay_1"], join=False)
    assert "document_refused#invoice:payment:pay_1" in refused.findings
    world.take(succeeded())
    assert world.totals()["invoices"] == ["100"]


def test_the_whole_life_of_a_payment(world: World) -> None:
    story = [
        succeeded(),
        refund("re_1", 2500),
        dispute("opened", 7500),
        dispute("lost", 7500, minute=25),
        dispute("won", 7500, minute=30),
        fact("refund.failed", "re_1", 2500, minute=40),
    ]
    world.take(*story)
    assert world.totals() == {"invoices": ["100", "75", "25"], "credit-notes": ["25", "75"]}
    credit_note = world.held("credit-notes")[0]
    assert credit_note["paid_in_full"]
    assert credit_note["document_relations"][0]["related_document"]["type"] == "invoice"
    assert credit_note["metadata"]["refund_id"] == "re_1"
    assert credit_note["metadata"]["corrects"] == world.held("invoices")[0]["id"]


def test_a_refund_before_its_payment_is_issued_with_it(world: World) -> None:
    world.take(refund("re_1", 2500))
    assert world.totals() == {"invoices": [], "credit-notes": []}
    world.take(succeeded())
    assert world.totals() == {"invoices": ["100"], "credit-notes": ["25"]}


def test_a_renewal_and_its_payment_share_one_invoice_in_either_order() -> None:
    for order in permutations([renewal(), succeeded(invoice_id="in_1", awaits_renewal=True)]):
        world = World()
        world.register()
        world.take(*order)
        (invoice,) = world.held("invoices")
        assert invoice["paid_in_full"]
        assert invoice["items"][0]["name"].startswith("Pro - ")


def test_a_renewal_paid_by_a_payment_named_late_is_invoiced_once_in_any_order() -> None:
    unnamed = succeeded(payment_id="in_1", invoice_id="in_1", awaits_renewal=True)
    for order in permutations([unnamed, renewal(is_paid=True), succeeded(), succeeded(invoice_id="in_1", awaits_renewal=True)]):
        world = World()
        world.register()
        world.take(*order)
        assert world.totals()["invoices"] == ["100"], [f.identity for f in order]


def test_a_dispute_that_names_only_the_charge_finds_its_payment_in_any_order() -> None:
    story = [succeeded(also_known_as=("ch_1",)), dispute("lost", payment_id="ch_1")]
    for order in permutations(story):
        world = World()
        world.register()
        world.take(*order)
        assert world.totals() == {"invoices": ["100"], "credit-notes": ["100"]}


def test_a_late_failure_makes_the_invoice_due_again_and_a_new_success_pays_it(world: World) -> None:
    world.take(succeeded(), fact("payment.failed", "pay_1", 10000, minute=30))
    (invoice,) = world.held("invoices")
    assert (str(invoice["total_paid"]), invoice["paid_in_full"]) == ("0", False)
    world.take(succeeded(minute=50))
    (invoice,) = world.held("invoices")
    assert invoice["paid_in_full"]


def test_a_payment_of_an_unknown_customer_waits_and_is_issued_on_registration() -> None:
    world = World()
    world.take(succeeded(), refund("re_1", 2500))
    assert not world.sandbox.seen
    world.register()
    world.drain_revisits()
    assert world.totals() == {"invoices": ["100"], "credit-notes": ["25"]}


def test_a_customer_registered_twice_has_one_entity() -> None:
    world = World()
    fail(world.sandbox, "lose_response_after_commit", "/entities")
    with pytest.raises(InDoubt):
        world.register()
    world.register()
    world.register(name="Acme Ltd")
    assert len(list(world.api.pages("entities", entity_id=None))) == 1


def test_an_account_of_another_customer_is_not_taken_over(world: World) -> None:
    world.register("bc_2", name="Other")
    world.take(succeeded())
    (invoice,) = world.held("invoices")
    assert invoice["metadata"]["business_customer"] == "bc_1"


def test_conflicting_content_changes_nothing_and_is_kept(world: World) -> None:
    world.take(succeeded(10000), succeeded(20000))
    assert world.totals()["invoices"] == ["100"]
    case = Ledger(world.table).open("stripe", "acct_1", ["pay_1"], join=False)
    assert [name.partition("#")[0] for name in case.findings] == ["conflict"]
    assert world.counts["Conflicts"] == 1


@pytest.mark.parametrize(("currency", "minor", "total"), [("JPY", 500, "500"), ("KWD", 1230, "1.23"), ("ISK", 700, "700")])
def test_currencies_of_no_and_three_decimals(world: World, currency: str, minor: int, total: str) -> None:
    world.take(succeeded(minor, currency=currency))
    assert world.totals()["invoices"] == [total]


def test_a_busy_case_is_left_alone(world: World) -> None:
    world.take(succeeded())
    ledger = Ledger(world.table)
    case = ledger.open("stripe", "acct_1", ["pay_1"], join=False)
    case.take_lease("another", world.seconds + 10)
    ledger.commit(case)
    with pytest.raises(Retry, match="case_in_use"):
        world.take(refund("re_1", 100))
    world.seconds += 11
    world.take(refund("re_1", 100))
    assert world.totals()["credit-notes"] == ["1"]


def test_a_refused_entity_is_loud_and_a_mended_registration_makes_it() -> None:
    world = World()
    fail(world.sandbox, "status", "/entities", status=422)
    world.register()
    assert world.counts["Findings platform entity_refused"] == 1
    world.take(succeeded())
    assert world.requests("createInvoice") == 0
    world.register(name="Acme Ltd")
    world.drain_revisits()
    assert world.totals()["invoices"] == ["100"]


def test_joined_cases_leave_nothing_behind(world: World) -> None:
    world.take(renewal(), succeeded(invoice_id="in_1", awaits_renewal=True))
    facts = [item["sk"] for item in world.table.items() if item["sk"].startswith(("FACT#", "DOC#")) and "CASE#" in item["pk"]]
    assert len(facts) == len(set(facts))


def test_ids_of_two_customers_never_lead_to_one_case() -> None:
    world = World()
    odd = {"country": "DE", "accounts": []}
    world.register("a", name="A", **odd)
    world.register("a#b", name="B", **odd)
    for customer, payment in (("a", "b#c"), ("a#b", "c")):
        world.take(succeeded(provider="platform", account=customer, payment_id=payment))
    holders = [one["id"] for one in world.api.pages("entities", entity_id=None)]
    assert [len(world.held("invoices", entity)) for entity in holders] == [1, 1]
    for account, case_id in (("a", "b#c"), ("a#b", "c"), ("50%23", "x")):
        assert case_names(case_pk("platform", account, case_id)) == ("platform", account, case_id)


def test_a_document_follows_its_policy_in_a_worker_that_does_not_know_it_yet() -> None:
    """The older policy arrived last, and a worker still remembers the customer without it."""
    world = World()

    def registered(kind: FactType, at: str, **policy: Any) -> None:
        registration = {
            "name": "Acme",
            "country": "DE",
            "accounts": [{"provider": "stripe", "account": "acct_1"}],
            "policy": policy,
        }
        world.registrar.take(
            Fact(type=kind, provider="platform", account="bc_9", key="bc_9", occurred_at=at, registration=registration),
            f"evt_{at}",
        )

    registered(FactType.BUSINESS_CUSTOMER_UPDATED, "2026-11-20T13:00:00Z", version=2, send_email=True)
    remembering = world.converger()
    remembering.take(succeeded(payment_id="pay_0"), "evt_0")
    registered(FactType.BUSINESS_CUSTOMER_CREATED, "2026-11-20T09:00:00Z", version=1)
    world.take(succeeded(payer=Payer(name="Ada", email="ap@ada.example")))
    remembering.revisit("stripe", "acct_1", "pay_1")
    assert world.sandbox.emails == []
