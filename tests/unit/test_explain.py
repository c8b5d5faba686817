"""What `explain` says: the ledger's facts, documents and reasons, and nothing personal."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from quittance.acknowledgements import Acknowledgement, acknowledge, acknowledgements
from quittance.errors import Retry
from quittance.explanation import as_text, explain_case, explain_customer, in_print
from quittance.explanation.text import WIDTH
from quittance.facts import Payer
from quittance.ledger import OPEN_FINDING, Ledger
from quittance.money import Money
from quittance.plan import Plan, plan
from quittance.registration import customer_pk, read_customer
from quittance.storage import Keys
from tests.unit.stories import dispute, refund, renewal, succeeded
from tests.unit.stories import fact as a_fact
from tests.use_cases.deriving import derived
from tests.use_cases.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quittance.facts import Fact
    from quittance.storage import Write


@pytest.fixture
def world() -> World:
    world = World()
    world.register()
    return world


def explained(world: World, payment_id: str = "pay_1") -> dict[str, Any]:
    ledger = Ledger(world.table)
    case = ledger.open("stripe", "acct_1", (payment_id,), join=False)
    customer = read_customer(world.table, case.business_customer or ledger.owner("stripe", "acct_1") or "")
    derivations = {key: one for of, key, one in derived(world.table) if of.pk == case.pk}
    planned = plan(case.as_case(), customer) if customer else Plan()
    return explain_case(case, customer, planned, ledger.reports(case), derivations)


def reasons(explanation: dict[str, Any]) -> dict[str, str]:
    return {fact["fact"]: fact["no_document_because"] for fact in explanation["facts"]}


def test_a_payment_with_its_refund(world: World) -> None:
    world.take(succeeded(10000), refund("re_1", 2500))
    explanation = explained(world)
    invoice, credit_note = explanation["documents"]
    assert invoice["key"] == "invoice:payment:pay_1"
    assert invoice["state"] == "issued"
    assert invoice["number"]
    assert invoice["reason"] == "payment succeeded: invoice"
    assert invoice["amount"] == {"value": 10000, "currency": "EUR"}
    assert credit_note["refers_to"] == "invoice:payment:pay_1"
    assert [fact["documents"] for fact in explanation["facts"]] == [["invoice:payment:pay_1"], ["credit_note:refund:re_1"]]
    assert reasons(explanation) == {"payment.succeeded#pay_1": None, "refund.succeeded#re_1": None}
    assert (explanation["missing"], explanation["waiting"], explanation["findings"]) == ([], [], [])


def test_what_waits_says_for_what(world: World) -> None:
    world.take(refund("re_1", 2500))
    assert explained(world)["waiting"] == [{"fact": "refund.succeeded#re_1", "for": "payment"}]
    assert reasons(explained(world)) == {"refund.succeeded#re_1": "waits for: payment"}


def test_a_payment_of_nobody_registered() -> None:
    world = World()
    world.take(succeeded())
    explanation = explained(world)
    assert explanation["business_customer"] is None
    assert explanation["waiting"] == [{"fact": "", "for": "its business customer to be registered"}]
    assert "registered" in reasons(explanation)["payment.succeeded#pay_1"]


def test_facts_that_make_no_document_say_why(world: World) -> None:
    world.take(succeeded(), dispute("opened"), a_fact("payment.authorized", "pay_2", 100, payment_id="pay_2"))
    assert "not credited" in reasons(explained(world))["dispute.opened#dp_1"]
    assert "authorization" in reasons(explained(world, "pay_2"))["payment.authorized#pay_2"]


def test_a_payment_recorded_on_the_invoice_of_its_renewal(world: World) -> None:
    paid = succeeded(10000, invoice_id="in_1", awaits_renewal=True)
    world.take(paid, renewal(10000))
    explanation = explained(world)
    [invoice] = explanation["documents"]
    assert reasons(explanation)["payment.succeeded#pay_1"] == f"recorded as payment of {invoice['number']}"


def test_a_finding_stands_beside_its_fact(world: World) -> None:
    world.take(succeeded(1234, currency="KWD"))
    explanation = explained(world)
    assert [finding["code"] for finding in explanation["findings"]] == ["amount_not_representable"]
    assert reasons(explanation)["payment.succeeded#pay_1"] == "finding: amount_not_representable"


def test_a_finding_says_who_acknowledged_it_and_why(world: World) -> None:
    world.take(succeeded(1234, currency="KWD"))
    world.register("bc_9", entity_id="ent_none")
    for item in world.table.find(OPEN_FINDING):
        acknowledge(world.table, Keys(item["pk"], item["sk"]), Acknowledgement(1_795_000_000, "finance", "written by hand"))
    known = acknowledgements(world.table)
    case = Ledger(world.table).open("stripe", "acct_1", ("pay_1",), join=False)
    customer = explain_customer("bc_9", None, [], world.table.read_partition(customer_pk("bc_9"), "FINDING#"), known)
    for explanation in (explain_case(case, None, Plan(), acknowledged=known), customer):
        [finding] = explanation["findings"]
        assert finding["acknowledged"] == {"at": "2026-11-18T11:06:40Z", "by": "finance", "reason": "written by hand"}
        words = " ".join(as_text(explanation).split())
        assert "), acknowledged by finance at 2026-11-18T11:06:40Z: written by hand" in words
    assert [finding["acknowledged"] for finding in explained(world)["findings"]] == [None], "who does not ask is not told"


def test_nothing_personal_is_explained(world: World) -> None:
    world.take(succeeded(payer=Payer(name="Wilhelmina Murray", email="mina@example.com")))
    explanation = explained(world)
    assert "Murray" not in json.dumps(explanation) + as_text(explanation)
    assert "mina" not in json.dumps(explanation) + as_text(explanation)


def test_the_text_names_document_reason_and_what_is_missing(world: World) -> None:
    world.take(succeeded(10000), refund("re_1", 2500))
    explanation = explained(world)
    text = as_text(explanation)
    number, credited_by = (one["number"] for one in explanation["documents"])
    assert f"payment succeeded: pay_1  100.00 EUR  (event evt_payment.succeeded#pay_1)\n    -> invoice {number}\n" in text
    assert f"because refund: credit note, refers to invoice {number}, dated" in text
    assert text.endswith(f"invoice {number} -> credit note {credited_by}: credited 25.00 EUR of 100.00 EUR\n")
    missing = explanation | {"missing": [explanation["documents"][0]], "documents": []}
    assert "missing: invoice:payment:pay_1  100.00 EUR" in as_text(missing)


# --- events --------------------------------------------------------------------------------------------------------------


def told_by(world: World, *events: tuple[Fact, str]) -> dict[str, Any]:
    for fact, event_id in events:
        world.converger().take(fact, event_id)
    return explained(world)


def test_every_event_of_a_fact_is_named_with_what_it_did(world: World) -> None:
    paid = succeeded(10000)
    explanation = told_by(
        world,
        (paid, "evt_1"),
        (replace(paid, fee=Money(210, "EUR")), "evt_2"),
        (paid, "evt_3"),
        (replace(paid, amount=Money(9000, "EUR")), "evt_4"),
    )
    (fact,) = explanation["facts"]
    told = [(event["event_id"], event["outcome"], event.get("fields", [])) for event in fact["events"]]
    assert told == [("evt_1", "new", []), ("evt_2", "merged", ["fee"]), ("evt_3", "known", []), ("evt_4", "conflict", ["amount"])]
    text = as_text(explanation)
    assert "told again by evt_2 (completed fee); evt_3 (nothing new); evt_4 (does not count: another amount, 90.00 EUR)" in text


def test_what_is_done_to_a_document_is_named_after_it() -> None:
    world = World()
    world.register(policy={"send_email": True})
    world.take(succeeded(10000, payer=Payer(email="mina@example.com")), a_fact("payment.failed", "pay_1", 10000, minute=30))
    text = as_text(explained(world))
    number = explained(world)["documents"][0]["number"]
    assert f"    -> invoice {number}, email of invoice {number}\n" in text
    assert f"  email of invoice {number}  100.00 EUR  sent at 2026-11-20T14:00:00Z\n" in text
    assert "    because document sent to its payer, dated 2026-11-20, policy 1\n" in text
    assert f"  payment removal of invoice {number}  100.00 EUR  done at 2026-11-20T14:00:00Z\n" in text


def test_what_happened_at_one_moment_is_told_in_its_course(world: World) -> None:
    world.take(succeeded(), dispute("lost"), dispute("opened"))
    assert [fact["fact"].partition("#")[0] for fact in explained(world)["facts"]] == [
        "payment.succeeded",
        "dispute.opened",
        "dispute.lost",
    ]
    assert "  dispute opened: dp_1 -> dispute lost: dp_1: the dispute was lost\n" in as_text(explained(world))


def test_documents_of_one_second_are_told_in_the_order_in_which_they_were_issued(world: World) -> None:
    world.take(succeeded(), refund("re_1", 2500), dispute("lost", 5000))
    assert [one["number"] for one in explained(world)["documents"]] == ["2026-00001", "CN-2026-00001", "CN-2026-00002"]


def test_what_took_the_place_of_what(world: World) -> None:
    refunded = refund("re_1", 2500)
    told_by(world, (succeeded(10000), "evt_1"), (succeeded(9000), "evt_2"), (refunded, "evt_3"))
    explanation = told_by(world, (a_fact("refund.failed", "re_1", 2500, payment_id="pay_1", minute=30), "evt_4"))
    invoice, note, corrective = (one["number"] for one in explanation["documents"])
    assert [(one["what"], one["by"]) for one in explanation["superseded"]] == [
        ("event evt_2", "event evt_1"),
        ("refund.succeeded#re_1", "refund.failed#re_1"),
        (invoice, note),
        (note, corrective),
    ]


def test_captures_take_the_place_of_what_was_authorized(world: World) -> None:
    authorized = a_fact("payment.authorized", "pay_1", 10000)
    captured = a_fact("payment.captured", "cap_1", 6000, capture_id="cap_1", minute=5)
    explanation = told_by(world, (authorized, "evt_1"), (captured, "evt_2"))
    assert [(one["what"], one["by"]) for one in explanation["superseded"]] == [
        ("payment.authorized#pay_1", "payment.captured#cap_1")
    ]


def test_a_later_policy_takes_the_place_of_the_one_that_was_followed(world: World) -> None:
    world.take(succeeded())
    world.update("2026-12-01T00:00:00Z", policy={"issue_as": "draft"})
    explanation = explained(world)
    (invoice,) = explanation["documents"]
    assert (invoice["rule"]["policy"], invoice["rule"]["superseded_by"]) == (1, [2])
    assert [(one["what"], one["by"]) for one in explanation["superseded"]] == [("policy 1", "policy 2")]


# --- rules and calls -----------------------------------------------------------------------------------------------------


def test_the_settings_that_decided_are_shown() -> None:
    world = World(tax_numbers={"ATU12345675": True})
    world.register(policy={"tax": {"domestic": "19"}, "dispute_credit_on": "opened"})
    buyer = Payer(name="Ada GmbH", country="AT", tax_number="ATU12345675")
    world.take(succeeded(10000, payer=buyer), dispute("opened", 2500))
    invoice, note = explained(world)["documents"]
    assert invoice["rule"]["settings"] == {
        "invoices": "sale",
        "issue_on": "captured",
        "issue_as": "final",
        "prices": "inclusive",
    }
    assert note["rule"]["settings"] == {"dispute_credit_on": "opened"}
    assert invoice["tax"]["treatment"] == "intra_eu_b2b"
    assert invoice["tax"]["settings"] == {"eu_business": "reverse_charge"}
    assert invoice["tax"]["registry"]["valid"] is True
    assert "Reverse charge" in invoice["tax"]["clause"]
    text = as_text(explained(world))
    assert "tax: intra_eu_b2b sale; policy says eu_business: reverse_charge; none charged; buyer's tax number valid" in text
    assert "ATU12345675" not in text + json.dumps(explained(world))


def test_a_rate_is_shown_with_net_and_tax() -> None:
    world = World()
    world.register(policy={"tax": {"domestic": "19"}})
    world.take(succeeded(11900))
    (invoice,) = explained(world)["documents"]
    assert invoice["tax"]["rates"] == [{"percent": "19", "net": "100.00", "tax": "19.00"}]
    assert invoice["tax"]["settings"] == {"domestic": {"standard": "19"}}


def test_calls_are_shown_with_their_outcomes(world: World) -> None:
    world.sandbox.faults.add_json({"kind": "status", "status": 429, "match": {"method": "POST"}})
    with pytest.raises(Retry):
        world.take(succeeded())
    world.seconds += 61
    world.take(succeeded())
    (invoice,) = explained(world)["documents"]
    assert [(call["attempt"], call["call"], call["status"], call["outcome"]) for call in invoice["calls"]] == [
        (1, "POST /invoices", 429, "api_rate_limited"),
        (2, "POST /invoices", 201, "ok"),
    ]
    assert invoice["calls_unknown"] == 0
    assert "asked 2026-11-20T14:00:00Z POST /invoices 429: api_rate_limited" in as_text(explained(world))


def test_an_attempt_that_was_cut_off_is_counted(world: World) -> None:
    def die(writes: Sequence[Write]) -> None:
        if any(write.sk.startswith("DOC#") for write in writes):
            raise KeyboardInterrupt

    world.table.after_commit = die
    with pytest.raises(KeyboardInterrupt):
        world.take(succeeded())
    world.table.after_commit = lambda _: None
    world.seconds += 31
    world.take(succeeded())
    (invoice,) = explained(world)["documents"]
    assert (invoice["attempts"], invoice["calls_unknown"]) == (2, 1)
    assert "attempts that were cut off before their outcome was recorded: 1" in as_text(explained(world))


def test_whether_a_document_follows_from_the_ledger_again(world: World) -> None:
    world.take(succeeded())
    explanation = explained(world)
    assert explanation["documents"][0]["derives_again"] == {"same": True, "differs": []}
    assert "derives again from the ledger: yes, to the byte" in as_text(explanation)
    explanation["documents"][0]["derives_again"] = {"same": False, "differs": ["request.items"]}
    assert "derives again from the ledger: no, these differ: request.items" in as_text(explanation)


def test_no_line_is_wider_than_a_terminal(world: World) -> None:
    paid = succeeded(10000)
    explanation = told_by(world, *((paid, f"evt_{number:030}") for number in range(30)))
    lines = as_text(explanation).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert sum(f"evt_{number:030}" in as_text(explanation) for number in range(30)) == 30


def test_a_business_customer_with_its_policies_and_registrations(world: World) -> None:
    world.update("2026-12-01T00:00:00Z", policy={"issue_as": "draft"}, email="ap@acme.example", tax_number="DE129273398")
    customer = read_customer(world.table, "bc_1")
    items = world.table.read_partition(customer_pk("bc_1"), "FACT#")
    explanation = explain_customer("bc_1", customer, items)
    assert [one["version"] for one in explanation["policies"]] == [1, 2]
    assert [one["event_id"] for one in explanation["registrations"]] == ["evt_bc_1", "evt_bc_1_2026-12-01T00:00:00Z"]
    assert explanation["registrations"][1]["fields"] == ["country", "email", "name", "policy", "tax_number"]
    assert "acme.example" not in json.dumps(explanation)
    assert "DE129273398" not in json.dumps(explanation)
    assert "policy 2 since 2026-12-01T00:00:00Z: issue_as draft" in as_text(explanation)


@pytest.mark.parametrize(
    ("value", "currency", "printed"),
    [(1234567, "EUR", "12,345.67 EUR"), (500, "JPY", "500 JPY"), (1234, "KWD", "1.234 KWD"), (5, "USD", "0.05 USD")],
)
def test_money_in_print(value: int, currency: str, printed: str) -> None:
    assert in_print({"value": value, "currency": currency}) == printed
