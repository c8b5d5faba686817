"""Checkout.com deliveries: signatures, and what each event type means."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quittance.errors import Reject
from quittance.facts import Fact, FactType, Payer, conflicting_fields
from quittance.money import Money
from quittance.plan import Case, plan
from quittance.policy import Policy
from quittance.providers import SIGNATURE_CODES, Translation, checkout
from tests.unit.stories import CUSTOMER
from tests.use_cases.world import World
from tools.deliveries import signed_delivery

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLES = {file.stem: file.read_bytes() for file in (Path(__file__).parents[2] / "events" / "checkout").glob("*.json")}
SECRET, OTHER_SECRET = "current", "previous"
NOW = 1_795_000_000
BODY = SAMPLES["payment_captured.first"]


def event(kind: str, minute: int = 0, **data: Any) -> dict[str, Any]:
    """A minimal event of a type, about payment pay_1."""
    money = {"amount": 1000, "currency": "EUR"}
    return {
        "id": f"evt_{kind}",
        "type": kind,
        "version": "1.0.31",
        "created_on": f"2026-11-20T12:{minute:02}:00.1234567Z",
        "data": {"id": "pay_1", "action_id": "act_1"} | money | data,
    }


def about_dispute(kind: str, minute: int = 0, **data: Any) -> dict[str, Any]:
    return event(kind, minute, **{"id": "dsp_1", "payment_id": "pay_1", "action_id": None, "reason_code": "10.4"} | data)


def translation(body: dict[str, Any]) -> Translation:
    return checkout.translate(json.dumps(body).encode(), "default", {})


def one(body: dict[str, Any]) -> Fact:
    (fact,) = translation(body).facts
    return fact


def ignored(body: dict[str, Any]) -> str | None:
    found = translation(body)
    assert found.facts == ()
    return found.ignored


def code_of_verification(given: str | None, secrets: Sequence[str] = (SECRET,), raw: bytes = BODY) -> str | None:
    try:
        checkout.verify(raw, {} if given is None else {"cko-signature": given}, secrets, NOW)
    except Reject as rejected:
        return rejected.code
    return None


def signature(secret: str = SECRET, raw: bytes = BODY) -> str:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


# --- verify


def test_the_digest_of_the_body_is_accepted() -> None:
    assert code_of_verification(signature()) is None
    assert signed_delivery("checkout", BODY, SECRET, NOW)[1]["Cko-Signature"] == signature()


def test_a_digest_computed_elsewhere_is_accepted() -> None:
    """RFC 4231, test case 2."""
    digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert code_of_verification(digest, ["Jefe"], b"what do ya want for nothing?") is None


def test_both_secrets_of_a_rotation_are_accepted() -> None:
    assert code_of_verification(signature(OTHER_SECRET), (SECRET, OTHER_SECRET)) is None
    assert code_of_verification(signature(OTHER_SECRET)) == "signature_mismatch"
    assert code_of_verification(f"00, {signature()}") is None


def test_a_changed_body_is_refused() -> None:
    assert code_of_verification(signature(), raw=BODY + b" ") == "signature_mismatch"


@pytest.mark.parametrize("value", [None, "", " ", ",", ", ,"])
def test_without_a_signature_it_is_missing(value: str | None) -> None:
    assert code_of_verification(value) == "signature_missing"


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_without_a_secret_nothing_is_accepted(secrets: tuple[str, ...]) -> None:
    assert code_of_verification(signature(""), secrets) == "signature_mismatch"


@given(st.text(max_size=80))
def test_no_header_gets_in_or_breaks_the_check(value: str) -> None:
    assert code_of_verification(value) in SIGNATURE_CODES


# --- the rows: event -> type, key, payment

ROWS: dict[str, tuple[dict[str, Any], str, str]] = {
    "payment_approved": (event("payment_approved"), "payment.authorized", "pay_1"),
    "payment_captured": (event("payment_captured"), "payment.captured", "act_1"),
    "payment_declined": (event("payment_declined"), "payment.failed", "pay_1"),
    "payment_expired": (event("payment_expired"), "payment.failed", "pay_1"),
    "payment_canceled": (event("payment_canceled"), "payment.failed", "pay_1"),
    "payment_capture_declined": (event("payment_capture_declined"), "payment.failed", "pay_1"),
    "payment_returned": (event("payment_returned"), "payment.failed", "act_1"),
    "payment_refunded": (event("payment_refunded"), "refund.succeeded", "act_1"),
    "payment_refund_declined": (event("payment_refund_declined"), "refund.failed", "act_1"),
} | {
    kind: (about_dispute(kind), f"dispute.{outcome}", "dsp_1")
    for outcome, kinds in {
        "opened": "dispute_received dispute_evidence_required",
        "won": "dispute_won dispute_arbitration_won dispute_canceled",
        "lost": "dispute_lost dispute_expired dispute_accepted dispute_arbitration_lost",
    }.items()
    for kind in kinds.split()
}


@pytest.mark.parametrize("name", ROWS)
def test_an_event_type_means(name: str) -> None:
    body, kind, key = ROWS[name]
    fact = one(body)
    assert (str(fact.type), fact.key, fact.payment_id, fact.amount) == (kind, key, "pay_1", Money(1000, "EUR"))
    assert (fact.provider, fact.account, fact.occurred_at) == ("checkout", "connection:default", "2026-11-20T12:00:00Z")
    assert translation(body).event_id == f"evt_{name}"


IGNORED = {
    "payment_authorization_increment_declined": "no_new_fact",
    "payment_capture_pending": "not_paid",
    "payment_paid": "not_a_sale",
    "payment_pending": "not_paid",
    "payment_refund_pending": "refund_pending",
    "payment_void_declined": "no_new_fact",
    "payment_voided": "authorization_released",
    "dispute_evidence_submitted": "dispute_open",
    "card_verified": "no_new_fact",
    "authentication_failed": "no_new_fact",
    "fraud_reported": "inquiry",
    "issuing_something": "not_a_sale",
    "payout_paid": "not_a_sale",
    "report_generated": "report_not_read",
    "payment_admired": "unknown_event_type",
    "dispute_admired": "unknown_event_type",
    "surprise": "unknown_event_type",
}


@pytest.mark.parametrize("kind", IGNORED)
def test_what_makes_no_document_is_ignored_with_its_reason(kind: str) -> None:
    assert ignored(event(kind)) == IGNORED[kind]


# --- the traps


@pytest.mark.parametrize(
    "outgoing",
    [
        {"destination": {"type": "card", "id": "src_1"}},
        {"source": {"type": "currency_account"}, "destination": {"type": "token"}},
        {"source": {"type": "currency_account"}},
        {"payment_type": "Payout"},
        {"type": "payout"},
    ],
)
@pytest.mark.parametrize("kind", ["payment_approved", "payment_captured", "payment_declined", "payment_returned"])
@pytest.mark.trap(20)
def test_money_paid_out_to_a_card_is_no_sale(kind: str, outgoing: dict[str, Any]) -> None:
    assert ignored(event(kind, **outgoing)) == "not_a_sale"


@pytest.mark.trap(21)
def test_a_dispute_that_is_resolved_was_refunded_before() -> None:
    assert ignored(about_dispute("dispute_resolved")) == "refund_events_report_it"


@pytest.mark.parametrize("kind", ["payment_captured", "dispute_received"])
@pytest.mark.trap(22)
def test_the_time_has_two_names(kind: str) -> None:
    body = about_dispute(kind) if kind.startswith("dispute") else event(kind)
    body["timestamp"] = body.pop("created_on")
    assert one(body).occurred_at == "2026-11-20T12:00:00Z"
    del body["timestamp"]
    with pytest.raises(Reject, match="created_on is no instant"):
        translation(body)


@pytest.mark.trap(22)
def test_the_id_of_a_dispute_is_not_taken_for_a_payment_nor_the_other_way_round() -> None:
    with pytest.raises(Reject):
        translation(event("payment_captured", id="dsp_1"))
    with pytest.raises(Reject):
        translation(about_dispute("dispute_lost", id="pay_1"))


def test_a_dispute_is_opened_once_though_two_events_say_so() -> None:
    received, required = (one(about_dispute(kind)) for kind in ("dispute_received", "dispute_evidence_required"))
    assert received.identity == required.identity
    assert conflicting_fields(received, required) == ()


# --- amounts: of the step, never the running total of the payment


def test_captures_and_refunds_count_by_their_own_amount() -> None:
    balances = {"total_authorized": 1000, "total_captured": 900, "total_refunded": 300}
    captured = one(event("payment_captured", amount=300, balances=balances))
    refunded = one(event("payment_refunded", amount=100, balances=balances))
    assert (captured.amount, captured.running_total) == (Money(300, "EUR"), False)
    assert (refunded.amount, refunded.running_total) == (Money(100, "EUR"), False)


def test_an_authorization_that_is_raised_counts_by_its_total() -> None:
    fact = one(event("payment_authorization_incremented", amount=200, balances={"total_authorized": 1200}))
    assert (fact.type, fact.amount, fact.running_total) == (FactType.PAYMENT_AUTHORIZED, Money(1200, "EUR"), True)
    assert fact.identity != one(event("payment_approved")).identity
    with pytest.raises(Reject, match="amount_not_integer"):
        translation(event("payment_authorization_incremented"))


def test_the_samples_come_to_what_was_kept() -> None:
    world = registered_world()
    told = ("payment_approved", "payment_captured.first", "payment_captured.second", "payment_refunded.partial")
    world.take(*(fact for name in told for fact in checkout.translate(SAMPLES[name], "default", {}).facts))
    assert world.totals() == {"invoices": ["60", "36"], "credit-notes": ["12"]}


def registered_world() -> World:
    world = World()
    world.register(accounts=[{"provider": "checkout", "account": "connection:default"}])
    return world


@pytest.mark.parametrize("kind", ["payment_expired", "payment_canceled", "payment_declined", "payment_capture_declined"])
def test_what_ends_later_leaves_what_was_captured(kind: str) -> None:
    facts = (
        one(event("payment_approved")),
        one(event("payment_captured", 1, amount=600)),
        one(event(kind, 30, amount=400, action_id="act_2")),
    )
    for order in permutations(facts):
        planned = plan(Case(facts=order), CUSTOMER)
        assert [(len(document.payments), document.amount.value) for document in planned.documents] == [(1, 600)]
        assert planned.findings == ()


def test_a_capture_that_is_declined_ends_no_authorization() -> None:
    """Another one may follow it, so what was invoiced at the authorization stands."""
    early = replace(CUSTOMER, policies=(Policy(issue_on="authorized"),))
    facts = one(event("payment_approved")), one(event("payment_capture_declined", 30, action_id="act_2"))
    assert [document.kind for document in plan(Case(facts=facts), early).documents] == ["invoice"]
    expired = one(event("payment_expired", 30, action_id="act_2"))
    assert plan(Case(facts=(facts[0], expired)), early).documents == ()


def test_a_payment_that_is_returned_by_the_bank_is_due_again() -> None:
    world = registered_world()
    world.take(
        one(event("payment_captured", 1)),
        one(event("payment_returned", 30, action_id="act_2")),
    )
    assert [invoice["total_paid"] for invoice in world.held("invoices")] == [0]


def test_a_dispute_won_after_it_was_lost_takes_the_credit_back() -> None:
    world = registered_world()
    world.take(one(event("payment_captured", 1)), one(about_dispute("dispute_lost", 20)))
    assert world.totals() == {"invoices": ["10"], "credit-notes": ["10"]}
    world.take(one(about_dispute("dispute_arbitration_won", 40)))
    assert world.totals() == {"invoices": ["10", "10"], "credit-notes": ["10"]}


# --- what cannot be read


@pytest.mark.parametrize(
    "body",
    [
        {"type": "payment_captured"},
        {"id": "evt_1"},
        {"id": 1, "type": "payment_captured"},
        {"id": "evt_1", "type": "payment_captured"},
        event("payment_captured", amount=-1),
        event("payment_captured", amount=1.5),
        event("payment_captured", amount="1000"),
        event("payment_captured", amount=None),
        event("payment_captured", action_id=None),
        event("payment_captured", action_id="x" * 251),
        event("payment_captured", id=None),
        event("payment_captured", customer="cus_1"),
        event("payment_refunded", amount=None),
        event("payment_captured", currency="CLP", amount=1050),
        about_dispute("dispute_lost", payment_id=None),
        event("payment_captured") | {"data": []},
        event("payment_captured") | {"created_on": "yesterday"},
    ],
)
def test_a_body_that_misses_what_its_type_needs_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(Reject):
        translation(body)


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"id": "evt_1", "type": "authentication_failed", "data": {,}}'])
def test_a_body_that_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(Reject, match="unreadable_body"):
        checkout.translate(raw, "default", {})


@pytest.mark.parametrize("currency", ["XTS", "CLF", "", None, 1])
def test_an_unknown_currency_is_kept_and_not_guessed(currency: object) -> None:
    assert ignored(event("payment_captured", currency=currency)) == "unknown_currency"


@pytest.mark.parametrize("kind", ["payment_approved", "payment_captured"])
def test_nothing_of_nothing(kind: str) -> None:
    assert ignored(event(kind, amount=0)) == "zero_amount"


@pytest.mark.parametrize("kind", ["payment_expired", "payment_canceled"])
def test_an_end_may_tell_no_amount_and_no_action(kind: str) -> None:
    fact = one(event(kind, amount=None, action_id=None))
    assert (fact.amount, fact.occurrence) == (None, "")


# --- details


def test_what_is_printed_of_a_payment() -> None:
    (fact,) = checkout.translate(SAMPLES["payment_approved"], "shop-2", {}).facts
    assert fact.payer == Payer(
        name="Orla Byrne",
        email="orla@byrne.example",
        country="IE",
        line1="4 Pier Road",
        city="Galway",
        postal_code="H91 X2P0",
    )
    assert (fact.method, fact.order_id, fact.account) == ("card", "HB-3301", "connection:shop-2")


@pytest.mark.parametrize(
    ("source", "method"),
    [("card", "card"), ("sepa", "direct_debit"), ("ideal", "bank_transfer"), ("paypal", "paypal"), ("klarna", "other")],
)
def test_a_method_is_known_by_its_source(source: str, method: str) -> None:
    assert one(event("payment_captured", source={"type": source})).method == method
    assert one(event("payment_captured")).method is None


@pytest.mark.parametrize(
    ("currency", "value", "minor_units"),
    [("CLP", 100000, 1000), ("ISK", 5, 5), ("JPY", 7, 7), ("KWD", 1230, 1230), ("IDR", 10000, 10000), ("eur", 1, 1)],
)
def test_decimals_are_checkout_s_own(currency: str, value: int, minor_units: int) -> None:
    assert one(event("payment_captured", amount=value, currency=currency)).amount == Money(minor_units, currency.upper())


def test_every_type_that_makes_a_fact_is_named_for_the_metrics() -> None:
    assert set(ROWS) <= checkout.EVENT_TYPES
