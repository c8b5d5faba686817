"""What the sample deliveries of Stripe name can be fetched from the stand-in, and makes documents complete."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from quittance.errors import Park
from quittance.facts import FactType
from quittance.money import Money
from quittance.providers import FetchedFor, Translation, stripe
from quittance.providers.payload import json_object
from tests.unit.stories import arrive, balance, held, received
from tools.provider_apis.stand_in import STAND_INS, answered

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENTS = Path(__file__).parents[2] / "events" / "stripe"
STAND_IN = STAND_INS["stripe"](EVENTS)


class Api:
    """The stand-in, asked as the function asks Stripe."""

    def get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        headers = {name.lower(): value for name, value in stripe.api_headers("sk_local").items()}
        answer = answered(STAND_IN, "sk_local", path, dict(params or {}), headers)
        if answer.status != 200:
            raise Park("object_not_found", str(answer.status))
        return json_object(answer.body)


def fetched(file: str) -> tuple[Translation, Translation]:
    """What a sample delivery says, and what the object says that it names."""
    told = stripe.translate((EVENTS / f"{file}.json").read_bytes(), "default", {})
    (reference,) = told.fetch
    details = {"event_id": told.event_id, "event_type": told.event_type, "account": told.account}
    delivery = FetchedFor(connection="default", occurred_at=told.occurred_at, **details)
    (found,) = stripe.fetch(reference, Api(), {}, delivery)
    return told, found


@pytest.mark.trap(29)
def test_a_thin_event_ends_in_its_payment() -> None:
    _, found = fetched("thin.v1.payment_intent.succeeded")
    snapshot = stripe.translate((EVENTS / "payment_intent.succeeded.json").read_bytes(), "default", {})
    assert [(fact.identity, fact.amount) for fact in found.facts] == [(fact.identity, fact.amount) for fact in snapshot.facts]


def test_a_renewal_of_basil_gets_to_know_its_payment() -> None:
    told, found = fetched("invoice.paid.renewal-basil")
    assert [fact.payment_id for fact in told.facts] == ["in_1Harbour0002", None]
    assert [fact.payment_id for fact in found.facts] == ["pi_3Harbour0007", "pi_3Harbour0007"]


@pytest.mark.trap(1)
def test_a_renewal_of_basil_ends_in_one_invoice_in_every_order() -> None:
    told, found = fetched("invoice.paid.renewal-basil")
    paid = stripe.translate((EVENTS / "payment_intent.succeeded.renewal-basil.json").read_bytes(), "default", {})
    for order in permutations([*told.facts, *found.facts, *paid.facts]):
        case, end = arrive(held(order))
        assert (balance(case), received(case)) == (1900, 1900)
        assert end.waiting == ()


def test_a_payout_gets_to_know_what_it_holds() -> None:
    _, found = fetched("payout.paid")
    (fact,) = found.facts
    assert fact.type is FactType.PAYOUT_PAID
    assert [line.payment_id for line in fact.payout_lines] == ["pi_3Harbour0001", "pi_3Harbour0010"]
    assert [(other.kind, other.id) for other in fact.payout_adjustments] == [
        ("refund", "re_3Harbour0001"),
        ("stripe_fee", "txn_1Harbour0005"),
    ]
    of_payments, of_others = sum(one.net for one in fact.payout_lines), sum(one.net for one in fact.payout_adjustments)
    assert fact.amount == Money(of_payments + of_others, "EUR")


@pytest.mark.trap(28)
def test_a_fee_that_is_booked_later_is_looked_up_and_belongs_to_the_same_payment() -> None:
    told, found = fetched("charge.updated.fee-booked")
    paid = stripe.translate((EVENTS / "payment_intent.succeeded.connect.json").read_bytes(), "default", {})
    assert told.facts == ()
    assert [fact.identity for fact in found.facts] == [fact.identity for fact in paid.facts]
    for reports in permutations([*paid.facts, *found.facts]):
        (fact,) = held(reports)
        assert (fact.fee, fact.amount) == (Money(195, "EUR"), Money(6500, "EUR"))
        assert (fact.occurred_at, fact.latest_at) == (paid.facts[0].occurred_at, paid.facts[0].occurred_at)


@pytest.mark.parametrize("path", ["v1/charges/ch_unknown", "v1/customers/cus_1"])
def test_what_is_not_there_is_not_there(path: str) -> None:
    with pytest.raises(Park):
        Api().get(path)


def test_a_request_says_which_version_it_means() -> None:
    assert answered(STAND_IN, "sk_local", "v1/charges/ch_1", {}, {"authorization": "Bearer sk_local"}).status == 400
