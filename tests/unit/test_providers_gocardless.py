"""GoCardless: what is proven, what is looked at, and what an event means once its object is known."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import gocardless_pro.webhooks as official
import pytest
from gocardless_pro.errors import InvalidSignatureError

from quittance.errors import Park, Reject
from quittance.facts import Fact, FactType, Payer, conflicting_fields
from quittance.money import Money
from quittance.providers import Translation, gocardless
from quittance.runtime.queues import delivery_messages
from tests.unit.provider_api import TOLD, Canned, fetched, said, stand_in
from tools.deliveries import signed_delivery

EVENTS = Path(__file__).parents[2] / "events" / "gocardless"
FIXTURES = Path(os.environ.get("QUITTANCE_FIXTURES", Path(__file__).parents[3] / "shared" / "fixtures")) / "gocardless"
SECRET, OTHER = "secret_of_now", "secret_until_now"
BODY = (EVENTS / "payments.confirmed.json").read_bytes()


# --- verify


def refusal(body: bytes, signature: str | None, secrets: tuple[str, ...] = (SECRET, OTHER)) -> str | None:
    try:
        gocardless.verify(body, {} if signature is None else {"webhook-signature": signature}, secrets, 0)
    except Reject as rejected:
        return rejected.code
    return None


def signed(body: bytes, secret: str = SECRET) -> str:
    """As the sample sender signs, which the official library must accept."""
    _, headers = signed_delivery("gocardless", body, secret, 0)
    signature = headers["Webhook-Signature"]
    assert official.parse(body.decode(), secret, signature)
    return signature


def test_what_the_official_library_accepts_is_accepted() -> None:
    assert refusal(BODY, signed(BODY)) is None
    assert refusal(BODY, signed(BODY, OTHER)) is None


@pytest.mark.parametrize("signature", ["00", signed(BODY, "another"), signed(BODY).upper(), signed(BODY)[:-1]])
def test_what_the_official_library_refuses_is_refused(signature: str) -> None:
    with pytest.raises(InvalidSignatureError):
        official.parse(BODY.decode(), SECRET, signature)
    assert refusal(BODY, signature) == "signature_mismatch"


@pytest.mark.parametrize(
    ("signature", "code"), [(None, "signature_missing"), ("", "signature_missing"), ("é", "signature_mismatch")]
)
def test_where_the_official_library_breaks_it_is_a_signature_all_the_same(signature: str | None, code: str) -> None:
    assert refusal(BODY, signature) == code


def test_without_a_secret_nothing_is_proven() -> None:
    assert refusal(BODY, signed(BODY, ""), ("",)) == "signature_mismatch"


@pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"no payloads in {FIXTURES}")
def test_the_published_vector() -> None:
    body = (FIXTURES / "webhook_body.signed-vector.json").read_bytes().rstrip(b"\n")
    expected = "2693754819d3e32d7e8fcb13c729631f316c6de8dc1cf634d6527f1c07276e7e"
    assert refusal(body, expected, ("ED7D658C-D8EB-4941-948B-3973214F2D49",)) is None


# --- translate


def event(kind: str, name: str = "EV1", **links: str) -> dict[str, Any]:
    resource, _, action = kind.partition(".")
    base = {"id": name, "created_at": "2026-11-16T14:00:00.101Z", "resource_type": resource, "action": action}
    return base | {"links": links or {"payment": "PM1", "refund": "RF1", "payout": "PO1"}, "details": {}, "metadata": {}}


def translation(*events: Any, **more: Any) -> Translation:
    return gocardless.translate(json.dumps({"events": events} | more).encode(), "shop", {})


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("payments.confirmed", "PM1"),
        ("payments.failed", "PM1"),
        ("payments.cancelled", "PM1"),
        ("payments.customer_approval_denied", "PM1"),
        ("payments.charged_back", "PM1"),
        ("payments.chargeback_cancelled", "PM1"),
        ("refunds.paid", "RF1"),
        ("refunds.failed", "RF1"),
        ("refunds.bounced", "RF1"),
        ("refunds.funds_returned", "RF1"),
        ("payouts.paid", "PO1"),
        ("payouts.bounced", "PO1"),
    ],
)
def test_an_event_names_what_to_look_at(kind: str, name: str) -> None:
    found = translation(event(kind))
    assert [(reference.object, reference.id) for reference in found.fetch] == [(kind, name)]
    assert (found.event_id, found.event_type, found.occurred_at) == ("EV1", kind, "2026-11-16T14:00:00Z")
    assert (found.facts, found.ignored, found.account) == ((), None, "connection:shop")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("payments.created", "not_paid"),
        ("payments.submitted", "not_paid"),
        ("payments.resubmission_requested", "not_paid"),
        ("payments.customer_approval_granted", "not_paid"),
        ("payments.paid_out", "no_new_fact"),
        ("payments.late_failure_settled", "no_new_fact"),
        ("payments.chargeback_settled", "no_new_fact"),
        ("payments.surcharge_fee_debited", "no_new_fact"),
        ("refunds.created", "refund_pending"),
        ("refunds.refund_settled", "no_new_fact"),
        ("payouts.fx_rate_confirmed", "no_new_fact"),
        ("subscriptions.payment_created", "not_paid"),
        ("mandates.cancelled", "no_new_fact"),
        ("creditors.bounced_payout", "no_new_fact"),
        ("outbound_payments.executed", "not_a_sale"),
        ("payments.teleported", "unknown_event_type"),
        ("teleports.paid", "unknown_event_type"),
    ],
)
@pytest.mark.trap(15)
def test_what_makes_no_fact_says_why(kind: str, reason: str) -> None:
    """What is only settled books nothing by itself."""
    found = translation(event(kind))
    assert (found.ignored, found.fetch) == (reason, ())


@pytest.mark.trap(16)
def test_nothing_is_booked_from_an_event() -> None:
    for file in EVENTS.glob("*.json"):
        assert gocardless.translate(file.read_bytes(), "default", {}).facts == ()


def test_a_batch_keeps_every_event_under_its_own_id_account_and_time() -> None:
    late = event("payments.failed", "EV2", payment="PM2", organisation="OR2") | {"created_at": "2026-11-17T14:00:00Z"}
    batch = translation(event("payments.confirmed", payment="PM1", organisation="OR1"), late, event("mandates.active", "EV3"))
    first, second, third = delivery_messages("gocardless", "shop", batch, "2026-11-20T10:00:00Z")
    wanted = [json.loads(message.body) for message in (first, second)]
    assert [(one["event_id"], one["fetch"]["id"], one["fetch"]["account"], one["fetch"]["occurred_at"]) for one in wanted] == [
        ("EV1", "PM1", "OR1", "2026-11-16T14:00:00Z"),
        ("EV2", "PM2", "OR2", "2026-11-17T14:00:00Z"),
    ]
    assert (third.function, json.loads(third.body)["event_id"]) == ("event_ignored", "EV3")


def test_as_many_events_as_gocardless_sends_at_once_are_taken() -> None:
    assert len(translation(*(event("payments.confirmed", f"EV{n}") for n in range(250))).parts) == 250
    with pytest.raises(Reject, match="unreadable_body"):
        translation(*(event("payments.confirmed", f"EV{n}") for n in range(gocardless.EVENTS_MAX + 1)))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (event("payments.confirmed", mandate="MD1"), "names_no_object"),
        (event("payments.confirmed", payment="../customers"), "names_no_object"),
        (event("payments.confirmed") | {"created_at": "yesterday"}, "unreadable_body"),
        (event("payments.confirmed") | {"links": []}, "unreadable_body"),
    ],
)
def test_one_event_that_cannot_be_read_does_not_hold_back_the_others(broken: dict[str, Any], reason: str) -> None:
    found = translation(broken, event("refunds.paid", "EV2"))
    assert [part.ignored for part in found.parts] == [reason, None]
    assert [reference.id for reference in found.fetch] == ["RF1"]


def test_an_empty_batch_is_acknowledged() -> None:
    assert translation(meta={"webhook_id": "WB1"}).event_id == "WB1"
    assert translation().ignored == "names_no_object"


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"events":{}}', b'{"events":[1]}', b'{"events":[{"id":"EV1"}]}', b"id=tr_1"])
def test_what_is_no_delivery_is_refused(body: bytes) -> None:
    with pytest.raises(Reject, match="unreadable_body"):
        gocardless.translate(body, "shop", {})


# --- fetch: the samples


def told_of(sample: str) -> list[Translation]:
    """Everything that a sample delivery leads to, with the stand-in behind it."""
    delivery = gocardless.translate((EVENTS / f"{sample}.json").read_bytes(), "default", {})
    found: list[Translation] = []
    for one in delivery.events:
        told = replace(TOLD, event_id=one.event_id, event_type=one.event_type, account=one.account, occurred_at=one.occurred_at)
        for reference in one.fetch:
            found += fetched("gocardless", stand_in("gocardless"), reference.object, reference.id, told)
    return found


def lines(sample: str) -> list[tuple[str, str, str | None, str]]:
    return [said(fact) for one in told_of(sample) for fact in one.facts]


PAID_1 = ("payment.succeeded", "PM00QUAY0001", "2950 EUR", "2026-11-16T14:00:00Z")
LATE = [
    ("payment.succeeded", "PM00QUAY0004", "2950 EUR", "2026-11-16T14:00:02Z"),
    ("payment.failed", "PM00QUAY0004", "2950 EUR", "2026-11-19T06:00:00Z"),
]
CHARGED_BACK = [
    ("dispute.opened", "PM00QUAY0005", "4200 EUR", "2026-11-19T07:00:00Z"),
    ("dispute.lost", "PM00QUAY0005", "4200 EUR", "2026-11-19T07:00:00Z"),
]
CONFIRMED_7 = ("payment.succeeded", "PM00QUAY0007", "3100 EUR", "2026-11-16T14:00:05Z")


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("payments.confirmed", [PAID_1]),
        ("payments.confirmed.refunded-in-part", [("payment.succeeded", "PM00QUAY0002", "5900 EUR", "2026-11-16T14:00:01Z")]),
        ("refunds.paid", [("refund.succeeded", "RF00QUAY0001", "900 EUR", "2026-11-19T09:00:00Z")]),
        ("payments.failed", [("payment.failed", "PM00QUAY0003", "2950 EUR", "2026-11-16T15:00:00Z")]),
        ("payments.confirmed.failed-later", LATE),
        ("payments.failed.late", LATE[1:]),
        (
            "payments.confirmed.charged-back-later",
            [("payment.succeeded", "PM00QUAY0005", "4200 EUR", "2026-11-16T14:00:03Z"), *CHARGED_BACK],
        ),
        ("payments.charged_back", CHARGED_BACK),
        (
            "payments.confirmed.renewal",
            [
                ("payment.succeeded", "PM00QUAY0006", "1990 EUR", "2026-11-17T14:00:04Z"),
                ("subscription.renewed", "PM00QUAY0006", "1990 EUR", "2026-11-17T14:00:04Z"),
            ],
        ),
        ("payouts.paid", [("payout.paid", "PO00QUAY0001", "1915 EUR", "2026-11-18T16:00:00Z")]),
        (
            "payments.chargeback_cancelled",
            [
                CONFIRMED_7,
                CONFIRMED_7,  # the charge back, at a time at which the payment is paid out
                ("dispute.opened", "PM00QUAY0007", "3100 EUR", "2026-11-18T07:00:00Z"),
                ("dispute.lost", "PM00QUAY0007", "3100 EUR", "2026-11-18T07:00:00Z"),
                CONFIRMED_7,
                ("dispute.won", "PM00QUAY0007", "3100 EUR", "2026-11-20T07:00:00Z"),
            ],
        ),
    ],
)
def test_a_delivery_means_its_events_and_what_became_of_their_objects(sample: str, expected: list[Any]) -> None:
    assert lines(sample) == expected
    facts = [fact for one in told_of(sample) for fact in one.facts]
    assert {(fact.account, fact.provider) for fact in facts} == {("OR00QUAYGYM1", "gocardless")}
    assert {fact.payment_id for fact in facts} <= {None, *(f"PM00QUAY{n:04d}" for n in range(1, 8))}


def test_the_fact_that_was_looked_up_is_called_after_its_own_event() -> None:
    assert [(one.event_id, one.event_type) for one in told_of("payments.confirmed.failed-later")] == [
        ("EV00QUAY0007", "payments.confirmed"),
        ("EV00QUAY0008", "payments.failed"),
    ]


def test_a_fact_is_the_same_whether_it_was_looked_up_or_came_by_itself() -> None:
    looked_up = told_of("payments.confirmed.failed-later")[1].facts[0]
    (by_itself,) = told_of("payments.failed.late")[0].facts
    assert looked_up == by_itself
    assert conflicting_fields(looked_up, by_itself) == ()


@pytest.mark.trap(16)
def test_the_payment_carries_who_paid_what_for_and_the_platforms_fee() -> None:
    (paid,) = told_of("payments.confirmed")[0].facts
    assert paid.payer == Payer(
        name="Noor Visser",
        email="noor@visser.example",
        country="BE",
        line1="Haven 3",
        line2="Floor 2",
        city="Ghent",
        postal_code="9000",
    )
    assert (paid.method, paid.order_id, paid.description) == ("direct_debit", "M-1", "Membership 1")
    assert paid.fee == Money(60, "EUR")
    assert "Visser" not in repr(replace(paid, payer=None))


def test_a_renewal_is_named_after_its_subscription_and_awaited_by_its_payment() -> None:
    paid, renewed = told_of("payments.confirmed.renewal")[0].facts
    assert (paid.awaits_renewal, paid.subscription_id) == (True, "SB00QUAY0001")
    assert (renewed.payment_id, renewed.subscription_plan) == (paid.key, "Climbing, monthly")


def test_a_payout_settles_its_payments_and_names_what_else_it_holds() -> None:
    """Fees come in tenths of a cent and are rounded payment by payment."""
    (payout,) = told_of("payouts.paid")[0].facts
    assert [(line.payment_id, line.gross, line.fee, line.net) for line in payout.payout_lines] == [
        ("PM00QUAY0001", 2950, 60, 2815)
    ]
    assert [(part.kind, part.id, part.net, part.payment_id) for part in payout.payout_adjustments] == [
        ("payment_refunded", "RF00QUAY0001", -900, "PM00QUAY0002"),
        ("gocardless_fee", "4", 0, None),
    ]


# --- fetch: made up objects


def payment(status: str = "confirmed", **more: Any) -> dict[str, Any]:
    return {"payments": {"id": "PM1", "amount": 1000, "currency": "GBP", "status": status, "scheme": "bacs", "links": {}} | more}


def look(kind: str, answers: dict[str, Any], name: str = "PM1", **told: str) -> tuple[Translation, ...]:
    return fetched("gocardless", Canned("gocardless", answers).api, kind, name, replace(TOLD, event_type=kind, **told))


def facts(kind: str, answers: dict[str, Any], name: str = "PM1", **told: str) -> list[Fact]:
    return [fact for one in look(kind, answers, name, **told) for fact in one.facts]


def history(action: str, *moments: str, resource: str = "payments", **link: str) -> dict[str, Any]:
    events = [
        {"id": f"EV{n}", "action": action, "resource_type": resource, "created_at": moment, "links": link}
        for n, moment in enumerate(moments)
    ]
    return {"events": events}


def test_the_version_of_the_api_is_named() -> None:
    assert gocardless.api_headers("key") == {
        "Authorization": "Bearer key",
        "GoCardless-Version": "2015-07-06",
        "Accept": "application/json",
    }


def test_a_status_that_gocardless_does_not_have_is_not_guessed() -> None:
    canned = Canned("gocardless", {"payments/PM1": payment("teleported")})
    (found,) = fetched("gocardless", canned.api, "payments.confirmed", "PM1")
    assert (found.facts, found.ignored, found.is_not_understood) == ((), "unknown_status", True)


@pytest.mark.parametrize("status", ["confirmed", "paid_out", "submitted"])
def test_an_event_whose_object_says_nothing_else_is_not_looked_into(status: str) -> None:
    canned = Canned("gocardless", {"payments/PM1": payment(status)})
    (found,) = fetched("gocardless", canned.api, "payments.confirmed", "PM1")
    assert canned.asked == ["payments/PM1"]
    assert [fact.type for fact in found.facts] == ["payment.succeeded"]


@pytest.mark.parametrize("action", ["failed", "cancelled", "customer_approval_denied"])
@pytest.mark.trap(15)
def test_a_failure_reverses_whatever_came_before(action: str) -> None:
    (failed,) = facts(f"payments.{action}", {"payments/PM1": payment(action)})
    assert said(failed) == ("payment.failed", "PM1", "1000 GBP", TOLD.occurred_at)
    assert failed.reason == action


def test_the_object_is_trusted_over_the_event_and_the_last_such_event_counts() -> None:
    query = "events?resource_type=payments&action=failed&payment=PM1"
    answers = {"payments/PM1": payment("failed"), query: history("failed", "2026-11-23T08:00:00Z", "2026-11-25T08:00:00Z")}
    assert [said(fact) for fact in facts("payments.confirmed", answers)] == [
        ("payment.succeeded", "PM1", "1000 GBP", "2026-11-21T08:00:00Z"),
        ("payment.failed", "PM1", "1000 GBP", "2026-11-25T08:00:00Z"),
    ]


def test_a_late_report_of_a_failure_tells_of_the_success_that_followed_it() -> None:
    answers = {"payments/PM1": payment("paid_out"), "events": history("confirmed", "2026-11-30T08:00:00Z")}
    assert [fact.type for fact in facts("payments.failed", answers)] == ["payment.failed", "payment.succeeded"]
    answers = {"payments/PM1": payment("paid_out"), "events": history("confirmed", "2026-11-01T08:00:00Z")}
    assert [fact.type for fact in facts("payments.failed", answers)] == ["payment.succeeded", "payment.failed"]


def test_what_gocardless_no_longer_lists_is_told_without() -> None:
    assert len(facts("payments.confirmed", {"payments/PM1": payment("failed"), "events": {"events": []}})) == 1
    unasked_for = {"payments/PM1": payment("failed"), "events": history("confirmed", "2026-11-30T08:00:00Z")}
    assert len(facts("payments.confirmed", unasked_for)) == 1


def refund(status: str = "paid", **links: str) -> dict[str, Any]:
    return {"refunds": {"id": "RF1", "amount": 300, "currency": "GBP", "status": status, "links": links or {"payment": "PM1"}}}


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("paid", "refund.succeeded"),
        ("failed", "refund.failed"),
        ("bounced", "refund.failed"),
        ("funds_returned", "refund.failed"),
    ],
)
def test_a_refund_is_known_by_its_own_amount_and_the_payment_it_belongs_to(action: str, kind: str) -> None:
    (fact,) = facts(f"refunds.{action}", {"refunds/RF1": refund(action)}, "RF1")
    assert (said(fact), fact.payment_id) == ((kind, "RF1", "300 GBP", TOLD.occurred_at), "PM1")


@pytest.mark.trap(5)
def test_a_refund_that_was_paid_and_came_back_is_both() -> None:
    answers = {"refunds/RF1": refund("bounced"), "events": history("bounced", "2026-11-28T08:00:00Z", resource="refunds")}
    assert [fact.type for fact in facts("refunds.paid", answers, "RF1")] == ["refund.succeeded", "refund.failed"]


def test_a_refund_of_no_payment_is_kept() -> None:
    (found,) = look("refunds.paid", {"refunds/RF1": refund(mandate="MD1")}, "RF1")
    assert (found.facts, found.ignored) == ((), "names_no_payment")


@pytest.mark.parametrize("currency", ["JPY", "CHF", "XXX", None, 3])
def test_a_currency_that_gocardless_does_not_collect_is_not_guessed(currency: Any) -> None:
    if isinstance(currency, int):
        with pytest.raises(Reject):
            look("payments.confirmed", {"payments/PM1": payment(currency=currency)})
    else:
        assert look("payments.confirmed", {"payments/PM1": payment(currency=currency)})[0].ignored == "unknown_currency"


@pytest.mark.parametrize("amount", ["1000", 10.5, -1, None, True])
def test_an_amount_is_never_guessed(amount: object) -> None:
    with pytest.raises(Reject, match="amount"):
        look("payments.confirmed", {"payments/PM1": payment(amount=amount)})


def test_a_customer_who_was_removed_takes_nothing_away_from_the_payment() -> None:
    linked = payment(links={"mandate": "MD1", "subscription": "SB1"})
    paid, renewed = facts("payments.confirmed", {"payments/PM1": linked})
    assert (paid.payer, renewed.subscription_plan, paid.amount) == (None, None, Money(1000, "GBP"))
    mandate = {"mandates": {"id": "MD1", "links": {"customer": "CU1"}}}
    company = {"customers": {"id": "CU1", "company_name": "Ltd.", "given_name": "Ada", "country_code": "GB"}}
    paid, _ = facts("payments.confirmed", {"payments/PM1": linked, "mandates/MD1": mandate, "customers/CU1": company})
    assert paid.payer == Payer(name="Ltd.", country="GB")


def test_money_that_the_payer_sent_is_no_direct_debit() -> None:
    assert facts("payments.confirmed", {"payments/PM1": payment(scheme="faster_payments")})[0].method == "bank_transfer"


def test_an_object_that_does_not_exist_is_no_fact() -> None:
    with pytest.raises(Park, match="object_not_found"):
        look("payments.confirmed", {})


def payout(status: str = "paid") -> dict[str, Any]:
    return {"payouts": {"id": "PO1", "amount": 900, "currency": "GBP", "status": status, "links": {}}}


def item(kind: str, amount: str, payment_id: str = "PM1") -> dict[str, Any]:
    return {"type": kind, "amount": amount, "links": {"payment": payment_id}}


def test_a_payout_is_read_to_its_last_page() -> None:
    pages = {
        "payout_items?payout=PO1&limit=500": {
            "payout_items": [item("payment_paid_out", "500.0")],
            "meta": {"cursors": {"after": "X"}},
        },
        "payout_items?payout=PO1&limit=500&after=X": {"payout_items": [item("payment_paid_out", "400.0", "PM2")], "meta": {}},
    }
    (paid,) = facts("payouts.paid", {"payouts/PO1": payout()} | pages, "PO1")
    assert [(line.payment_id, line.net) for line in paid.payout_lines] == [("PM1", 500), ("PM2", 400)]


def test_a_payout_without_an_end_is_refused() -> None:
    page = {"payout_items": [], "meta": {"cursors": {"after": "X"}}}
    with pytest.raises(Reject, match="list_too_long"):
        look("payouts.paid", {"payouts/PO1": payout(), "payout_items": page}, "PO1")


def test_what_a_payout_takes_back_settles_no_payment() -> None:
    items = [item("payment_failed", "-500.0"), item("gocardless_fee", "20.0"), item("payment_charged_back", "-9.0", "PM2")]
    (paid,) = facts("payouts.paid", {"payouts/PO1": payout(), "payout_items": {"payout_items": items}}, "PO1")
    assert paid.payout_lines == ()
    assert [(part.kind, part.net) for part in paid.payout_adjustments] == [
        ("payment_failed", -500),
        ("gocardless_fee", 20),
        ("payment_charged_back", -9),
    ]


@pytest.mark.parametrize("amount", ["", "NaN", "Infinity", "1e99", "x"])
def test_a_part_of_a_payout_is_never_guessed(amount: str) -> None:
    items = {"payout_items": [item("payment_paid_out", amount)]}
    with pytest.raises(Reject, match="amount"):
        look("payouts.paid", {"payouts/PO1": payout(), "payout_items": items}, "PO1")


def test_a_payout_that_bounced_settles_nothing_and_an_old_one_is_told_without_its_content() -> None:
    (bounced,) = facts("payouts.bounced", {"payouts/PO1": payout("bounced")}, "PO1")
    assert (bounced.type, bounced.payout_lines) == (FactType.PAYOUT_FAILED, ())
    (paid,) = facts("payouts.paid", {"payouts/PO1": payout()}, "PO1")
    assert (paid.type, paid.payout_lines, paid.amount) == (FactType.PAYOUT_PAID, (), Money(900, "GBP"))


# --- real objects


@pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"no payloads in {FIXTURES}")
def test_real_objects_are_understood() -> None:
    def real(name: str, call: str = "get") -> Any:
        return json.loads((FIXTURES / f"api.{name}.json").read_text(encoding="utf-8"))[call]["body"]

    items = real("payout_items", "list")
    items["meta"]["cursors"]["after"] = None  # the sample says that there is always another page
    (paid,) = facts("payouts.paid", {"payouts/PO123": real("payouts"), "payout_items": items}, "PO123")
    assert said(paid)[:3] == ("payout.paid", "PO123", "1000 EUR")
    assert [(line.payment_id, line.net) for line in paid.payout_lines] == [("PM123", 90)]
    answers = {
        "payments/PM1": payment(links={"mandate": "MD1", "subscription": "SB123"}),
        "mandates/MD1": {"mandates": {"id": "MD1", "links": {"customer": "CU123"}}},
        "customers/CU123": real("customers"),
        "subscriptions/SB123": real("subscriptions"),
    }
    paid, renewed = facts("payments.confirmed", answers)
    assert paid.payer
    assert (paid.payer.name, paid.payer.line2, paid.payer.country) == (
        "Hamilton Trading Ltd.",
        "Marylebone, City of Westminster",
        "GB",
    )
    assert renewed.subscription_plan == "12 month subscription"
