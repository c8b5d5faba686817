"""Mollie: what is proven, what is looked at, and what a looked-at object states."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mollie.utils.webhooks import SignatureValidator

from quittance.errors import Park, Reject, Retry
from quittance.facts import Fact, FactType, Payer, conflicting_fields, merged
from quittance.money import Money
from quittance.providers import Reference, Translation, mollie
from tests.unit.provider_api import TOLD, Canned, fetched, said, stand_in
from tools.deliveries import signed_delivery

EVENTS = Path(__file__).parents[2] / "events" / "mollie"
FIXTURES = Path(os.environ.get("QUITTANCE_FIXTURES", Path(__file__).parents[3] / "shared" / "fixtures")) / "mollie"
SECRET, OTHER = "secret_of_now", "secret_until_now"
BODY = (EVENTS / "payment.paid.simple.json").read_bytes()
CLASSIC = b"id=tr_8Hb1Bread01"


# --- verify


def refusal(body: bytes, *signatures: str, secrets: tuple[str, ...] = (SECRET, OTHER)) -> str | None:
    headers = {"x-mollie-signature": ", ".join(signatures)} if signatures else {}
    try:
        mollie.verify(body, headers, secrets, 0)
    except Reject as rejected:
        return rejected.code
    return None


def official(body: bytes, secret: str = SECRET) -> str:
    return f"sha256={SignatureValidator.create_signature(body.decode(), secret)}"


def test_what_the_official_library_signs_is_accepted() -> None:
    assert refusal(BODY, official(BODY)) is None
    assert refusal(BODY, official(BODY, OTHER)) is None


def test_the_official_library_accepts_what_the_sample_sender_signs() -> None:
    _, headers = signed_delivery("mollie", BODY, SECRET, 0)
    assert SignatureValidator.validate(BODY.decode(), SECRET, headers["X-Mollie-Signature"]) is True


def test_while_a_secret_is_replaced_two_signatures_come_and_one_is_enough() -> None:
    assert refusal(BODY, official(BODY, "secret_of_tomorrow"), official(BODY)) is None


@pytest.mark.parametrize("signature", ["sha256=", "sha256=00", "é", official(BODY, "another"), official(BODY + b" ")])
def test_any_other_signature_is_refused(signature: str) -> None:
    assert refusal(BODY, signature) == "signature_mismatch"


def test_without_a_secret_nothing_is_proven() -> None:
    assert refusal(BODY, official(BODY, ""), secrets=("",)) == "signature_mismatch"


@pytest.mark.parametrize(
    "body", [BODY, b" " + BODY, b"[]", b"", b'{"a":"&id=tr_1"}', b"id=tr_1\n&{", b"id", b"id=..", b"id=TR_1"]
)
def test_only_a_classic_delivery_may_come_unsigned(body: bytes) -> None:
    """The official validator only answers `False` where there is no signature."""
    assert refusal(body) == "signature_missing"


def test_a_classic_delivery_is_accepted_unsigned_but_not_wrongly_signed() -> None:
    assert refusal(CLASSIC) is None
    assert refusal(b"testByMollie=1") is None
    assert refusal(CLASSIC, official(CLASSIC)) is None
    assert refusal(CLASSIC, "sha256=00") == "signature_mismatch"
    assert "X-Mollie-Signature" not in signed_delivery("mollie", CLASSIC, SECRET, 0)[1]


# --- translate


def translation(body: dict[str, Any] | bytes) -> Translation:
    return mollie.translate(body if isinstance(body, bytes) else json.dumps(body).encode(), "shop", {})


@pytest.mark.parametrize(
    ("named", "kind", "reason"),
    [
        ("tr_1", "payment", None),
        ("ord_1", "order", None),
        ("pl_1", "payment-link", None),
        ("stl_1", "settlement", None),
        ("po_1", "payout", None),
        ("re_1", None, "no_new_fact"),
        ("sub_1", None, "no_new_fact"),
        ("xyz_1", None, "names_no_object"),
    ],
)
def test_a_classic_delivery_only_names_an_object(named: str, kind: str | None, reason: str | None) -> None:
    found = translation(f"id={named}".encode())
    assert found.fetch == ((Reference(kind, named),) if kind else ())
    assert (found.ignored, found.facts, found.event_id, found.account) == (reason, (), named, "connection:shop")


def test_a_test_call_names_nothing() -> None:
    assert translation(b"testByMollie=1").ignored == "names_no_object"


@pytest.mark.parametrize("named", ["..", "tr_", "tr_1.", "TR_1", "tr-1", "tr_" + "x" * 65, "1"])
def test_an_id_that_anybody_may_have_made_up_never_becomes_another_address(named: str) -> None:
    with pytest.raises(Reject, match="unreadable_body"):
        translation(f"id={named}".encode())


def event(kind: str, entity: str = "tr_1", link: str = "", embedded: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "resource": "event",
        "id": "event_1",
        "type": kind,
        "entityId": entity,
        "createdAt": "2026-11-16T08:31:05.0Z",
    }
    body["_links"] = {"entity": {"href": f"https://api.mollie.com/v2/{link}"}} if link else {}
    return body | ({"_embedded": {"entity": embedded}} if embedded else {}) | more


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (event("payment.paid"), [("payment", "tr_1")]),
        (event("payment.authorized"), [("payment", "tr_1")]),
        (event("payment.failed"), [("payment", "tr_1")]),
        (event("payment.canceled"), [("payment", "tr_1")]),
        (event("payment.expired"), [("payment", "tr_1")]),
        (event("payment.paid", embedded={"resource": "payment", "id": "tr_1"}), [("payment", "tr_1")]),
        (event("refund.refunded", "re_1", "payments/tr_2/refunds/re_1"), [("payment", "tr_2")]),
        (event("refund.failed", "re_1", embedded={"id": "re_1", "paymentId": "tr_3"}), [("payment", "tr_3")]),
        (event("refund.canceled", "re_1"), [("event", "event_1")]),
        (event("chargeback.received", "chb_1", "payments/tr_2/chargebacks/chb_1"), [("payment", "tr_2")]),
        (event("chargeback.reversed", "chb_1", "payments/tr_2"), [("payment", "tr_2")]),
        (event("capture.succeeded", "cpt_1", embedded={"id": "cpt_1", "paymentId": "tr_4"}), [("payment", "tr_4")]),
        (event("payment-link.paid", "pl_1"), [("payment-link", "pl_1")]),
        (event("payout.completed", "po_1"), [("payout", "po_1")]),
        (event("payout.failed", "po_1"), [("payout", "po_1")]),
    ],
)
def test_an_event_names_what_to_look_at(body: dict[str, Any], wanted: list[tuple[str, str]]) -> None:
    found = translation(body)
    assert [(reference.object, reference.id) for reference in found.fetch] == wanted
    assert (found.facts, found.event_id, found.occurred_at, found.ignored) == ((), "event_1", "2026-11-16T08:31:05Z", None)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("payment.pending", "not_paid"),
        ("capture.failed", "not_paid"),
        ("refund.queued", "refund_pending"),
        ("refund.pending", "refund_pending"),
        ("refund.processing", "refund_pending"),
        ("payout.initiated", "payout_pending"),
        ("balance-transaction.created", "no_new_fact"),
        ("sales-invoice.paid", "no_new_fact"),
        ("business-account-transfer.processed", "not_a_sale"),
        ("unmatched-credit-transfer.match.completed", "not_a_sale"),
        ("payment.teleported", "unknown_event_type"),
        ("dispute.created", "unknown_event_type"),
    ],
)
def test_what_makes_no_fact_says_why(kind: str, reason: str) -> None:
    found = translation(event(kind))
    assert (found.ignored, found.fetch) == (reason, ())


@pytest.mark.parametrize("entity", ["", "re_1", "tr_../customers"])
def test_an_event_about_a_payment_that_names_none_is_kept(entity: str) -> None:
    assert translation(event("payment.paid", entity)).ignored == "names_no_object"


@pytest.mark.trap(14)
def test_where_the_snapshot_is_of_another_object_both_are_looked_at() -> None:
    found = translation(event("payment.paid", "tr_1", embedded={"id": "tr_2", "amount": {"value": "9.99", "currency": "EUR"}}))
    assert [reference.id for reference in found.fetch] == ["tr_1", "tr_2"]
    assert found.facts == ()


def test_only_a_snapshot_says_that_the_money_is_play_money() -> None:
    assert translation(event("payment.paid")).is_test is None
    assert translation(event("payment.paid", embedded={"id": "tr_1", "mode": "test"})).is_test is True
    assert translation(event("payment.paid", embedded={"id": "tr_1", "mode": "live"})).is_test is False


@pytest.mark.parametrize("body", [b"{}", b"null", b"<html>", b'{"resource":"payment","id":"tr_1"}', b'{"resource":"event"}'])
def test_what_is_no_delivery_is_refused(body: bytes) -> None:
    with pytest.raises(Reject, match="unreadable_body"):
        translation(body)


# --- fetch: the samples


def facts_of(name: str, kind: str = "payment") -> list[Fact]:
    return [fact for found in fetched("mollie", stand_in("mollie"), kind, name) for fact in found.facts]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tr_8Hb1Bread01", [("payment.succeeded", "tr_8Hb1Bread01", "1840 EUR", "2026-11-16T08:31:02Z")]),
        (
            "tr_8Hb1Bread02",
            [
                ("payment.succeeded", "tr_8Hb1Bread02", "6000 EUR", "2026-11-16T09:01:00Z"),
                ("refund.succeeded", "re_8Crumb001", "1500 EUR", "2026-11-17T10:00:00Z"),
            ],
        ),
        ("tr_8Hb1Bread03", [("payment.failed", "tr_8Hb1Bread03", "3200 EUR", "2026-11-16T10:02:00Z")]),
        (
            "tr_8Hb1Bread04",
            [
                ("payment.succeeded", "tr_8Hb1Bread04", "7500 EUR", "2026-11-12T06:00:00Z"),
                ("dispute.opened", "chb_8Crust01", "7500 EUR", "2026-11-18T07:00:00Z"),
                ("dispute.lost", "chb_8Crust01", "7500 EUR", "2026-11-18T07:00:00Z"),
            ],
        ),
        (
            "tr_8Hb1Bread05",
            [
                ("payment.succeeded", "tr_8Hb1Bread05", "4100 EUR", "2026-11-10T11:01:00Z"),
                ("dispute.opened", "chb_8Crust02", "4100 EUR", "2026-11-14T07:00:00Z"),
                ("dispute.lost", "chb_8Crust02", "4100 EUR", "2026-11-14T07:00:00Z"),
                ("dispute.won", "chb_8Crust02", "4100 EUR", "2026-11-19T07:00:00Z"),
            ],
        ),
        (
            "tr_8Hb1Bread06",
            [
                ("payment.succeeded", "tr_8Hb1Bread06", "2400 EUR", "2026-11-17T06:00:00Z"),
                ("subscription.renewed", "tr_8Hb1Bread06", "2400 EUR", "2026-11-17T06:00:00Z"),
            ],
        ),
        (
            "tr_8Hb1Bread07",
            [
                ("payment.authorized", "tr_8Hb1Bread07", "12000 EUR", "2026-11-16T12:01:00Z"),
                ("payment.captured", "cpt_8Slice01", "6000 EUR", "2026-11-17T08:00:00Z"),
                ("payment.captured", "cpt_8Slice02", "5000 EUR", "2026-11-19T08:00:00Z"),
            ],
        ),
    ],
)
def test_a_payment_states_all_of_its_facts_at_its_own_times(name: str, expected: list[Any]) -> None:
    facts = facts_of(name)
    assert [said(fact) for fact in facts] == expected
    assert {(fact.payment_id, fact.account, fact.provider) for fact in facts} == {(name, "pfl_QuayBakery1", "mollie")}


def test_an_order_is_booked_by_its_payments_and_not_itself() -> None:
    assert facts_of("ord_8Quay07", "order") == facts_of("tr_8Hb1Bread07")


@pytest.mark.trap(12)
def test_telling_everything_again_changes_nothing() -> None:
    """Also when the refund was only being processed at the first look, and whatever the time of each call."""
    before = payment(_embedded={"refunds": [part("re_1", "processing")]})
    after = payment(_embedded={"refunds": [part("re_1", "refunded")]})
    later = replace(TOLD, event_id="tr_1", occurred_at="2026-11-25T08:00:00Z")
    first, second, third = (facts(look, told) for look, told in ((before, TOLD), (after, later), (after, TOLD)))
    assert [fact.type for fact in first] == ["payment.succeeded"]
    assert [fact.type for fact in second] == ["payment.succeeded", "refund.succeeded"]
    assert second == third
    assert first[0] == second[0]
    assert merged(first[0], second[0]) == first[0]


@pytest.mark.trap(13)
def test_both_kinds_of_webhook_lead_to_the_same_facts() -> None:
    classic, event_ = (mollie.translate(body, "default", {}).fetch for body in (CLASSIC, BODY))
    assert classic == event_


# --- fetch: made up payments


def amount(value: str, currency: str = "EUR") -> dict[str, str]:
    return {"value": value, "currency": currency}


def part(name: str, status: str | None, value: str = "5.00", **more: Any) -> dict[str, Any]:
    return {"id": name, "status": status, "amount": amount(value), "createdAt": "2026-11-17T08:00:00+00:00"} | more


def payment(status: Any = "paid", **more: Any) -> dict[str, Any]:
    base = {"id": "tr_1", "mode": "live", "status": status, "amount": amount("10.00"), "profileId": "pfl_1", "settlementId": None}
    times = {"createdAt": "2026-11-16T08:00:00+00:00", "paidAt": "2026-11-16T08:05:00+00:00" if status == "paid" else None}
    return base | times | more


def look(answer: dict[str, Any], told: Any = TOLD, **others: Any) -> Translation:
    api = Canned("mollie", {"payments/tr_1": answer} | others).api
    (found,) = fetched("mollie", api, "payment", "tr_1", told)
    return found


def facts(answer: dict[str, Any], told: Any = TOLD, **others: Any) -> list[Fact]:
    return list(look(answer, told, **others).facts)


def test_running_totals_are_not_looked_at() -> None:
    totals = {"amountRefunded": amount("10.00"), "amountChargedBack": amount("10.00"), "amountCaptured": amount("3.00")}
    assert [fact.type for fact in facts(payment(**totals))] == ["payment.succeeded"]
    assert facts(payment(**totals))[0].amount == Money(1000, "EUR")


def test_everything_related_is_asked_for_in_one_request() -> None:
    canned = Canned("mollie", {"payments/tr_1": payment()})
    fetched("mollie", canned.api, "payment", "tr_1")
    assert canned.asked == ["payments/tr_1?embed=captures%2Cchargebacks%2Crefunds"]


@pytest.mark.parametrize("status", ["queued", "pending", "processing", None])
def test_a_refund_that_has_not_arrived_is_no_fact(status: str | None) -> None:
    assert [fact.type for fact in facts(payment(_embedded={"refunds": [part("re_1", status)]}))] == ["payment.succeeded"]


@pytest.mark.parametrize("name", ["refunds", "captures"])
def test_a_part_in_a_state_that_nobody_knows_is_told_beside_what_is_known(name: str) -> None:
    answer = payment(_embedded={name: [part("x_1", "teleported")]})
    known, unknown = fetched("mollie", Canned("mollie", {"payments/tr_1": answer}).api, "payment", "tr_1")
    assert [fact.type for fact in known.facts] == ["payment.succeeded"]
    assert (unknown.facts, unknown.ignored, unknown.is_not_understood) == ((), "unknown_status", True)


@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_a_refund_that_failed_has_failed_since_we_were_told(status: str) -> None:
    *_, failed = facts(payment(_embedded={"refunds": [part("re_1", status)]}))
    assert said(failed) == ("refund.failed", "re_1", "500 EUR", TOLD.occurred_at)
    *_, failed = facts(payment(_embedded={"refunds": [part("re_1", status)]}), replace(TOLD, occurred_at="2026-11-01T00:00:00Z"))
    assert failed.occurred_at == "2026-11-17T08:00:00Z"


@pytest.mark.trap(32)
def test_a_chargeback_is_in_the_currency_of_the_payment() -> None:
    chargeback = part("chb_1", None, settlementAmount=amount("-35.07")) | {"amount": amount("43.38", "USD")}
    _, opened, lost = facts(payment(amount=amount("43.38", "USD"), _embedded={"chargebacks": [chargeback]}))
    assert (opened.type, lost.type) == (FactType.DISPUTE_OPENED, FactType.DISPUTE_LOST)
    assert opened.amount == lost.amount == Money(4338, "USD")


@pytest.mark.parametrize("status", ["open", "pending", "canceled", "expired"])
def test_what_never_had_money_is_ignored(status: str) -> None:
    found = look(payment(status, canceledAt="2026-11-16T09:00:00+00:00", expiredAt="2026-11-16T09:00:00+00:00"))
    assert (found.facts, found.ignored) == ((), "not_paid")


@pytest.mark.parametrize("status", ["canceled", "expired"])
def test_an_authorization_that_ends_is_over(status: str) -> None:
    over = {f"{status}At": "2026-11-18T09:00:00+00:00"}
    authorized, failed = facts(payment(status, authorizedAt="2026-11-16T08:01:00+00:00", **over))
    assert (authorized.type, failed.type) == (FactType.PAYMENT_AUTHORIZED, FactType.PAYMENT_FAILED)
    assert (authorized.occurred_at, failed.occurred_at) == ("2026-11-16T08:01:00Z", "2026-11-18T09:00:00Z")


def test_a_payment_that_failed_after_all_had_succeeded_before() -> None:
    answer = payment("failed", paidAt="2026-11-16T08:05:00+00:00", failedAt="2026-11-19T08:00:00+00:00")
    assert [(fact.type, fact.occurred_at) for fact in facts(answer)] == [
        ("payment.succeeded", "2026-11-16T08:05:00Z"),
        ("payment.failed", "2026-11-19T08:00:00Z"),
    ]


@pytest.mark.parametrize(("status", "taken"), [("succeeded", True), (None, True), ("pending", False), ("failed", False)])
def test_captures_count_in_place_of_the_payment(status: str | None, *, taken: bool) -> None:
    """Captures of earlier years have no status."""
    answer = payment(authorizedAt="2026-11-16T08:01:00+00:00", _embedded={"captures": [part("cpt_1", status)]})
    assert [fact.type for fact in facts(answer)] == ["payment.authorized", "payment.captured" if taken else "payment.succeeded"]


def test_a_capture_of_everything_may_leave_out_its_amount() -> None:
    whole = part("cpt_1", "succeeded") | {"amount": None}
    (captured,) = facts(payment(_embedded={"captures": [whole]}))
    assert said(captured)[:3] == ("payment.captured", "cpt_1", "1000 EUR")
    assert look(payment(_embedded={"captures": [whole, part("cpt_2", "succeeded")]})).ignored == "unknown_currency"


def test_the_platforms_fee_goes_with_the_payment_or_its_first_capture() -> None:
    fee = {"applicationFee": {"amount": amount("1.20"), "description": "Fee"}}
    assert facts(payment(**fee))[0].fee == Money(120, "EUR")
    captures = [part("cpt_2", "succeeded", createdAt="2026-11-18T08:00:00+00:00"), part("cpt_1", "succeeded")]
    assert [fact.fee for fact in facts(payment(**fee, _embedded={"captures": captures}))] == [Money(120, "EUR"), None]


@pytest.mark.parametrize("sequence", ["oneoff", "first"])
def test_only_a_recurring_charge_renews(sequence: str) -> None:
    (only,) = facts(payment(subscriptionId="sub_1", sequenceType=sequence))
    assert (only.type, only.awaits_renewal) == (FactType.PAYMENT_SUCCEEDED, None)
    (only,) = facts(payment(sequenceType="recurring"))
    assert (only.type, only.awaits_renewal) == (FactType.PAYMENT_SUCCEEDED, None)


def test_a_renewal_names_its_payment_which_awaits_it() -> None:
    paid, renewed = facts(payment(subscriptionId="sub_1", sequenceType="recurring", description="Box"))
    assert (paid.awaits_renewal, paid.subscription_id) == (True, "sub_1")
    assert (renewed.payment_id, renewed.subscription_id, renewed.subscription_plan) == ("tr_1", "sub_1", "Box")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount": amount("0.00")}, "zero_amount"),
        ({"status": "teleported"}, "unknown_status"),
        ({"amount": amount("10.00", "XXX")}, "unknown_currency"),
        ({"amount": None}, "unknown_currency"),
    ],
)
def test_what_is_not_understood_is_kept_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    found = look(payment() | changes)
    assert (found.facts, found.ignored, found.event_id) == ((), reason, "evt_1")


@pytest.mark.parametrize("value", ["10,00", "10.001", "-10.00", "1e3", "", None, 10, 10.5, "\u0661\u0660", "9999999999999999.00"])
def test_an_amount_is_never_guessed(value: object) -> None:
    with pytest.raises(Reject, match="amount"):
        look(payment(amount={"value": value, "currency": "EUR"}))


@pytest.mark.parametrize(
    ("value", "currency", "minor"),
    [("1050", "JPY", 1050), ("1050.00", "JPY", 1050), ("1.234", "KWD", 1234), ("12.3400", "EUR", 1234)],
)
def test_decimals_are_those_of_the_currency(value: str, currency: str, minor: int) -> None:
    assert facts(payment(amount=amount(value, currency)))[0].amount == Money(minor, currency)


def test_play_money_says_so() -> None:
    assert look(payment(mode="test")).is_test is True
    assert look(payment()).is_test is False


def test_without_a_profile_the_money_is_the_connections() -> None:
    assert facts(payment(profileId=None))[0].account == "connection:shop"


def test_the_payer_is_whom_the_billing_address_names() -> None:
    address = {"organizationName": "Maas Catering", "givenName": "Ilse", "email": "a@b.example", "country": "nl", "city": "R"}
    (paid,) = facts(payment(billingAddress=address, customerId="cst_1", details={"consumerName": "Someone"}))
    assert paid.payer == Payer(name="Maas Catering", email="a@b.example", country="NL", city="R")


def test_the_payer_is_else_the_customer_else_what_the_bank_says() -> None:
    known = payment(customerId="cst_1", countryCode="BE", details={"consumerName": "A Bank's Name", "consumerAccount": "NL00"})
    named = facts(known, **{"customers/cst_1": {"name": "Femke", "email": "f@z.example"}})[0].payer
    assert named == Payer(name="Femke", email="f@z.example", country="BE")
    assert facts(known)[0].payer == Payer(name="A Bank's Name", country="BE")
    assert facts(payment(countryCode="BE"))[0].payer is None


def test_what_people_said_is_nowhere_but_in_the_payer() -> None:
    for fact in facts_of("tr_8Hb1Bread07") + facts_of("tr_8Hb1Bread04"):
        assert "Maas" not in repr(replace(fact, payer=None))
        assert "Femke" not in repr(replace(fact, payer=None))


def test_an_event_that_does_not_say_is_asked_for_its_payment() -> None:
    whole = event("refund.failed", "re_1", embedded={"id": "re_1", "paymentId": "tr_1"})
    api = Canned("mollie", {"events/event_1": whole, "payments/tr_1": payment()}).api
    (found,) = fetched("mollie", api, "event", "event_1")
    assert [fact.key for fact in found.facts] == ["tr_1"]
    api = Canned("mollie", {"events/event_1": event("refund.failed", "re_1")}).api
    assert fetched("mollie", api, "event", "event_1")[0].ignored == "names_no_payment"


def test_the_key_goes_only_where_it_belongs_when_a_list_has_more_pages() -> None:
    first = {
        "_embedded": {"payments": [{"id": "tr_1"}]},
        "_links": {"next": {"href": "https://evil.example/v2/payment-links/pl_1/payments?from=tr_2&limit=250"}},
    }
    second = {"_embedded": {"payments": [{"id": "tr_2"}]}, "_links": {"next": None}}
    pages = {"payment-links/pl_1/payments?limit=250": first, "payment-links/pl_1/payments?limit=250&from=tr_2": second}
    api = Canned("mollie", pages | {"payments/tr_1": payment(), "payments/tr_2": payment(id="tr_2")}).api
    found = fetched("mollie", api, "payment-link", "pl_1")
    assert [fact.key for one in found for fact in one.facts] == ["tr_1", "tr_2"]


def test_a_list_without_an_end_is_refused() -> None:
    page = {"_embedded": {"payments": []}, "_links": {"next": {"href": "https://api.mollie.com/v2/x?from=tr_1"}}}
    api = Canned("mollie", {"payment-links/pl_1/payments": page}).api
    with pytest.raises(Reject, match="list_too_long"):
        fetched("mollie", api, "payment-link", "pl_1")


def test_an_object_that_does_not_exist_is_no_fact() -> None:
    with pytest.raises(Park, match="object_not_found"):
        fetched("mollie", stand_in("mollie"), "payment", "tr_unknown")


def test_what_cannot_be_reached_now_is_asked_for_later() -> None:
    api = Canned("mollie", {"payments/tr_1": []}).api
    with pytest.raises(Retry):
        fetched("mollie", api, "payment", "tr_1")


def test_an_unknown_kind_of_object_is_kept() -> None:
    assert fetched("mollie", stand_in("mollie"), "teleport", "x_1")[0].ignored == "unknown_object"


# --- settlements and payouts


def test_a_settlement_settles_its_payments_and_names_what_went_back() -> None:
    (paid,) = facts_of("stl_8Quay101", "settlement")
    assert said(paid) == ("payout.paid", "stl_8Quay101", "6214 EUR", "2026-11-18T09:00:00Z")
    assert paid.account == "pfl_QuayBakery1"
    assert [(line.payment_id, line.gross, line.net) for line in paid.payout_lines] == [
        ("tr_8Hb1Bread01", 1840, 1840),
        ("tr_8Hb1Bread02", 6000, 6000),
    ]
    assert [(part.kind, part.id, part.net, part.payment_id) for part in paid.payout_adjustments] == [
        ("refund", "re_8Crumb001", -1500, "tr_8Hb1Bread02")
    ]


def settlement(status: str = "paidout") -> dict[str, Any]:
    return {"id": "stl_1", "status": status, "amount": amount("9.00"), "createdAt": "2026-11-18T00:00:00Z", "settledAt": None}


def settled(**lists: list[dict[str, Any]]) -> list[Fact]:
    kinds = ("payments", "captures", "chargebacks", "refunds")
    pages = {f"settlements/stl_1/{kind}": {"_embedded": {kind: lists.get(kind, [])}} for kind in kinds}
    api = Canned("mollie", {"settlements/stl_1": settlement()} | pages).api
    return [fact for found in fetched("mollie", api, "settlement", "stl_1") for fact in found.facts]


def test_a_settlement_of_several_profiles_is_told_to_each_with_its_part() -> None:
    one = payment(settlementAmount=amount("10.00"))
    other = payment(id="tr_2", profileId="pfl_2", settlementAmount=amount("4.00"))
    facts = settled(
        payments=[one, other], refunds=[part("re_1", "refunded", settlementAmount=amount("-5.00"), _embedded={"payment": other})]
    )
    assert [(fact.account, fact.amount) for fact in facts] == [("pfl_1", Money(1000, "EUR")), ("pfl_2", Money(0, "EUR"))]


def test_what_was_captured_in_parts_is_settled_by_its_captures_but_never_twice() -> None:
    whole = payment(settlementAmount=amount("10.00"))
    of_parts = payment(id="tr_2")
    captures = [part(f"cpt_{n}", "succeeded", settlementAmount=amount("5.00"), _embedded={"payment": of_parts}) for n in (1, 2)]
    again = part("cpt_3", "succeeded", settlementAmount=amount("10.00"), _embedded={"payment": whole})
    (paid,) = settled(payments=[whole], captures=[*captures, again])
    assert [(line.payment_id, line.net) for line in paid.payout_lines] == [("tr_1", 1000), ("tr_2", 1000)]


@pytest.mark.parametrize(
    ("status", "kind"), [("failed", "payout.failed"), ("open", None), ("pending", None), ("processing", None)]
)
def test_a_settlement_that_was_not_paid_settles_nothing(status: str, kind: str | None) -> None:
    (found,) = fetched("mollie", Canned("mollie", {"settlements/stl_1": settlement(status)}).api, "settlement", "stl_1")
    assert ([fact.type for fact in found.facts], found.ignored) == ([kind], None) if kind else ([], "payout_pending")
    assert not any(fact.payout_lines for fact in found.facts)


@pytest.mark.parametrize(
    ("status", "kind"),
    [("completed", "payout.paid"), ("failed", "payout.failed"), ("canceled", "payout.failed"), ("requested", None)],
)
def test_a_payout_is_known_by_its_status(status: str, kind: str | None) -> None:
    payout = {"id": "po_1", "status": status, "amount": amount("9.00"), "createdAt": "2026-11-18T00:00:00Z", "mode": "live"}
    (found,) = fetched("mollie", Canned("mollie", {"payouts/po_1": payout}).api, "payout", "po_1")
    assert [fact.type for fact in found.facts] == ([kind] if kind else [])
    assert found.ignored == (None if kind else "payout_pending")


# --- real objects


@pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"no payloads in {FIXTURES}")
def test_real_captures_refunds_and_chargebacks_are_understood() -> None:
    def real(name: str, own_id: str) -> Any:
        return json.loads((FIXTURES / f"object.{name}.json").read_text(encoding="utf-8").replace("{{ RESOURCE_ID }}", own_id))

    embedded = {
        "captures": [real("capture", "cpt_1")],
        "refunds": [real("refund", "re_1")],
        "chargebacks": [real("chargeback", "chb_1")],
    }
    assert [said(fact) for fact in facts(payment(_embedded=embedded))] == [
        ("payment.captured", "cpt_1", "3595 EUR", "2023-08-02T09:29:56Z"),
        ("dispute.opened", "chb_1", "4338 USD", "2023-03-14T17:09:02Z"),
        ("dispute.lost", "chb_1", "4338 USD", "2023-03-14T17:09:02Z"),
    ]
    answers = {
        "payouts/po_1": real("payout", "po_1"),
        "settlements/stl_1": real("settlement", "stl_1"),
        "customers/cst_1": real("customer", "cst_1"),
    }
    answers |= {
        f"settlements/stl_1/{kind}": {"_embedded": {kind: []}} for kind in ("payments", "captures", "chargebacks", "refunds")
    }
    api = Canned("mollie", answers | {"payments/tr_1": payment(customerId="cst_1")}).api
    found = [fetched("mollie", api, kind, name)[0].facts[0] for kind, name in (("payout", "po_1"), ("settlement", "stl_1"))]
    assert [said(fact) for fact in found] == [
        ("payout.paid", "po_1", "10000 EUR", "2023-12-25T10:30:54Z"),
        ("payout.paid", "stl_1", "3975 EUR", "2024-04-06T09:41:44Z"),
    ]
    (paid,) = fetched("mollie", api, "payment", "tr_1")[0].facts
    assert paid.payer == Payer(name="Jane Doe", email="test@mollie.com")


def test_no_two_looks_at_any_sample_contradict_each_other() -> None:
    names = [file.read_text() for file in EVENTS.glob("payment.*.txt")]
    assert names
    for body in names:
        for one, other in zip(facts_of(body.removeprefix("id=")), facts_of(body.removeprefix("id=")), strict=True):
            assert conflicting_fields(one, other) == ()
