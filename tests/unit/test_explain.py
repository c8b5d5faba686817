"""What `explain` says: the ledger's facts, documents and reasons, and nothing personal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quittance.facts import Payer
from quittance.ledger import Ledger
from quittance.plan import Plan, plan
from quittance.registration import read_customer
from tests.unit.stories import dispute, refund, renewal, succeeded
from tests.unit.stories import fact as a_fact
from tests.use_cases.world import World
from tools.explain import as_text, explain_case, in_print


@pytest.fixture
def world() -> World:
    world = World()
    world.register()
    return world


def explained(world: World, payment_id: str = "pay_1") -> dict[str, Any]:
    ledger = Ledger(world.table)
    case = ledger.open("stripe", "acct_1", (payment_id,), join=False)
    customer = read_customer(world.table, case.business_customer or ledger.owner("stripe", "acct_1") or "")
    return explain_case(case, customer, plan(case.as_case(), customer) if customer else Plan())


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


def test_nothing_personal_is_explained(world: World) -> None:
    world.take(succeeded(payer=Payer(name="Wilhelmina Murray", email="mina@example.com")))
    explanation = explained(world)
    assert "Murray" not in json.dumps(explanation) + as_text(explanation)
    assert "mina" not in json.dumps(explanation) + as_text(explanation)


def test_the_text_names_document_reason_and_what_is_missing(world: World) -> None:
    world.take(succeeded(10000), refund("re_1", 2500))
    explanation = explained(world)
    text = as_text(explanation)
    assert f"invoice {explanation['documents'][0]['number']}" in text
    assert "because refund: credit note, refers to invoice:payment:pay_1" in text
    missing = explanation | {"missing": [explanation["documents"][0]], "documents": []}
    assert "missing: invoice:payment:pay_1  100.00 EUR" in as_text(missing)


@pytest.mark.parametrize(
    ("value", "currency", "printed"),
    [(1234567, "EUR", "12,345.67 EUR"), (500, "JPY", "500 JPY"), (1234, "KWD", "1.234 KWD"), (5, "USD", "0.05 USD")],
)
def test_money_in_print(value: int, currency: str, printed: str) -> None:
    assert in_print({"value": value, "currency": currency}) == printed
