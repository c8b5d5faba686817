"""A document follows from the ledger again, to the byte, whatever has changed since; what does not is named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from quittance.derivation import NOT_PLANNED, Derivation, derive
from quittance.facts import Payer
from quittance.ledger import Ledger
from quittance.money import Money
from quittance.registration import read_customer
from tests.unit.stories import dispute, fact, refund, renewal, succeeded
from tests.use_cases.deriving import derived
from tests.use_cases.fee_world import FeeWorld, charged, disputed, given_back, payout
from tests.use_cases.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from quittance.facts import Fact
    from quittance.ledger import CaseFile

INVOICE = "invoice:payment:pay_1"
BUYER = Payer(name="Ada Ltd", email="ap@ada.example", country="DE")


def told(*facts: Fact, **policy: Any) -> World:
    world = World()
    profile: dict[str, Any] = {"policy": policy} if policy else {}
    world.register(**profile)
    for number, one in enumerate(facts):
        world.seconds += 60
        world.converger().take(one, f"evt_{number}")
    return world


STORIES: dict[str, Callable[[], World]] = {
    "a refund that fails after it was credited": lambda: told(
        succeeded(), refund("re_1", 2500), fact("refund.failed", "re_1", 2500, payment_id="pay_1", minute=30)
    ),
    "a later report that adds who paid": lambda: told(succeeded(), succeeded(payer=BUYER), refund("re_1", 2500)),
    "an earlier time told later": lambda: told(succeeded(minute=5), succeeded(minute=1), dispute("lost")),
    "a draft that is settled": lambda: told(
        succeeded(payer=BUYER), fact("payment.settled", "pay_1", 9800, occurrence="po_1", minute=40), issue_as="draft"
    ),
    "an authorization that is captured in parts": lambda: told(
        fact("payment.authorized", "pay_1", 10000),
        fact("payment.captured", "cap_1", 4000, capture_id="cap_1", minute=5),
        succeeded(4000, minute=6),
        issue_on="authorized",
    ),
    "ids that turn out to name one payment": lambda: told(
        succeeded(payment_id="ch_1"), refund("re_1", 100, payment_id="ch_1"), renewal(5000, payment_id="pay_1"),
        succeeded(also_known_as=("ch_1",), minute=3),
    ),
    "tax, and an e-mail": lambda: told(
        succeeded(payer=BUYER), refund("re_1", 3333), tax={"domestic": "19"}, prices="inclusive", send_email=True
    ),
    "prices before tax": lambda: told(succeeded(payer=BUYER), tax={"domestic": "19"}, prices="exclusive"),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_every_document_derives_again(story: Callable[[], World]) -> None:
    outcomes = {key: one.differs for _, key, one in derived(story().table)}
    assert outcomes
    assert not any(outcomes.values()), outcomes


@pytest.mark.parametrize("fee_invoices", ["each", "monthly"])
def test_fees_derive_again(fee_invoices: str) -> None:
    world = FeeWorld({"fee_invoices": fee_invoices})
    world.take(charged(), given_back(fee=50), disputed("lost", 1500, "2026-11-22T12:00:00Z"), *payout(pay_1=(10000, 230)))
    world.update("2026-11-25T09:00:00Z", name="Acme, renamed")
    world.update("2026-11-25T09:00:00Z", "platform", name="Platform Ltd, renamed", role="platform", timezone="Pacific/Auckland")
    outcomes = [one for _, _, one in derived(world.table)]
    assert outcomes
    assert all(one.is_same for one in outcomes), outcomes


def test_a_customer_that_has_moved_since_and_has_another_policy() -> None:
    world = told(succeeded(), tax={"domestic": "19"})
    world.take(refund("re_1", 2500))
    policy = {"tax": {"domestic": "7"}, "effective_from": "2026-11-01T00:00:00Z"}
    world.update("2026-11-20T18:00:00Z", timezone="Pacific/Auckland", policy=policy)
    world.take(succeeded(payment_id="pay_2", minute=50))
    customer = read_customer(world.table, "bc_1")
    assert customer
    assert str(customer.timezone) == "Pacific/Auckland"
    assert not derive(_case(world), INVOICE, (), [customer]).is_same  # without what it was before
    assert all(one.is_same for _, _, one in derived(world.table))


def test_what_was_voided_by_hand_afterwards() -> None:
    world = told(succeeded(), refund("re_1", 2500))
    case = _case(world)
    entry = case.documents[INVOICE]
    (item,) = [item for item in world.table.items() if item["sk"] == f"DOC#{INVOICE}"]
    observed = {
        "document": {"at": "2026-11-21T00:00:00.000000Z", "is_draft": False, "total": {"value": 10000, "currency": "EUR"}}
    }
    observed["document"] |= {"number": entry.record.number, "is_voided": True}
    world.table._items[item["pk"], item["sk"]] = json.dumps(item | {"observed": observed})
    assert _case(world).documents[INVOICE].record.is_gone
    assert all(one.is_same for _, _, one in derived(world.table))


# --- what does not ------------------------------------------------------------------------------------------------------


def _case(world: World) -> CaseFile:
    return Ledger(world.table).open("stripe", "acct_1", ["pay_1"], join=False)


def _derived(world: World, case: CaseFile, key: str = INVOICE) -> Derivation:
    customer = read_customer(world.table, "bc_1")
    assert customer
    return derive(case, key, Ledger(world.table).reports(case), [customer])


def test_a_request_that_was_changed_is_named_by_its_field() -> None:
    world = told(succeeded(order_id="ord_1"))
    case = _case(world)
    entry = case.documents[INVOICE]
    entry.body = entry.body.replace("ord_1", "ord_2")
    assert _derived(world, case).differs == ("request.reference",)
    entry.body = entry.body.replace("ord_2", "ord_1") + " "
    assert _derived(world, case).differs == ("request",)


def test_a_fact_that_was_changed_is_seen_in_what_follows_from_it() -> None:
    world = told(succeeded(), refund("re_1", 2500))
    case = _case(world)
    case.facts["refund.succeeded#re_1"] = replace(case.facts["refund.succeeded#re_1"], amount=Money(2600, "EUR"))
    differs = _derived(world, case, "credit_note:refund:re_1").differs
    assert {"amount", "lines", "payments", "request.items", "request.expected_total_with_tax"} <= set(differs)
    assert _derived(world, case).is_same


def test_a_document_whose_fact_is_gone_is_not_planned() -> None:
    world = told(succeeded(), refund("re_1", 2500))
    case = _case(world)
    del case.facts["refund.succeeded#re_1"]
    assert _derived(world, case, "credit_note:refund:re_1").differs == (NOT_PLANNED,)


def test_an_event_that_is_not_known_is_not_the_origin() -> None:
    world = told(succeeded())
    case = _case(world)
    entry = case.documents[INVOICE]
    entry.body = entry.body.replace("evt_0", "evt_9")
    assert _derived(world, case).differs == ("request.metadata",)
