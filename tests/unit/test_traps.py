"""The ways in which providers' webhooks mislead: each is proved by tests that carry its number, wherever they belong best.

Here are those that take several deliveries, from what a provider sends to what the documents come to, and the list itself.
"""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from itertools import permutations
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from quittance.documents import DocumentKind
from quittance.errors import Reject
from quittance.facts import Fact
from quittance.providers import Translation, adyen, paypal, provider_names, stripe
from quittance.runtime.queues import delivery_messages
from tests.unit import test_providers_adyen as at_adyen
from tests.unit.stories import arrive, balance, held, received
from tests.unit.stripe_payloads import NOW, charge, dispute, event, intent, invoice, payout, refund, session, translation
from tests.unit.test_provider_fixtures import FIXTURES, payloads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

TESTS = Path(__file__).parents[1]

TRAPS = {
    1: "Stripe tells one renewal in six events",
    2: "Stripe tells one refund in four events",
    3: "Stripe's charge.refunded carries the total of all refunds so far",
    4: "a refund that is made need not be through",
    5: "a refund that was paid may come back",
    6: "Adyen says success of an event that tells of a failure",
    7: "Adyen writes true and false as texts",
    8: "Adyen gives a refund an id of its own, and all stages of a dispute one",
    9: "Adyen's CANCEL_OR_REFUND may only cancel",
    10: "Adyen's ORDER_CLOSED repeats the sum of its payments",
    11: "a dispute that was won at Adyen may still be lost",
    12: "Mollie calls for a paid payment again and again",
    13: "Mollie's two kinds of webhook may both be active",
    14: "the snapshot in a Mollie event may be of another object than the event names",
    15: "GoCardless reports failures after success, and then settles them",
    16: "GoCardless's events hold ids only",
    17: "PayPal repeats captures as orders, and has two shapes of everything",
    18: "PayPal's first generation counts refunds below zero and calls them captures",
    19: "PayPal tells a lost dispute twice, once as a reversal",
    20: "Checkout.com approves outgoing payments by the same event",
    21: "Checkout.com's dispute_resolved follows a refund",
    22: "Checkout.com has two names for the time, and one for two kinds of ids",
    23: "an inquiry at Stripe moves no money until it escalates",
    24: "a dispute may be lost in part, and no status says so",
    25: "Stripe's disputes get new statuses",
    26: "a payout that Stripe calls paid may fail",
    27: "an invoice of Stripe may be paid without money",
    28: "Stripe knows a charge's fee later than the charge",
    29: "Stripe may tell one change in two events of different ids",
    32: "money goes back in another currency at settlement than it came in",
    33: "sample sets give many events one id",
}
NEXT = {
    30: "Braintree has no module yet: its events have no id",
    31: "Square has no module yet: it repeats payment.updated in one state",
}
"""What docs/adding-a-provider.md says of the two providers that come next."""


def marked() -> dict[int, list[str]]:
    """Number of a trap -> the tests that carry it, read from the sources: also those that are not collected here."""
    found: dict[int, list[str]] = defaultdict(list)
    for file in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for number in _numbers(node.decorator_list):
                    found[number].append(f"{file.relative_to(TESTS)}::{node.name}")
    return found


def _numbers(decorators: Iterable[ast.expr]) -> Iterator[int]:
    for decorator in decorators:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.trap":
            yield from (ast.literal_eval(argument) for argument in decorator.args)


def test_every_trap_is_proved_by_a_test_or_belongs_to_a_provider_that_comes_next() -> None:
    assert set(TRAPS) | set(NEXT) == set(range(1, 34))
    assert set(marked()) == set(TRAPS)


def test_the_providers_that_come_next_are_described() -> None:
    page = (TESTS.parent / "docs" / "adding-a-provider.md").read_text(encoding="utf-8")
    names = [reason.partition(" ")[0] for reason in NEXT.values()]
    assert re.findall(r"^### (\w+)$", page, flags=re.MULTILINE) == names
    assert not {name.lower() for name in names} & set(provider_names())


# --- from deliveries to documents


def facts_of(bodies: Iterable[dict[str, Any]]) -> list[Fact]:
    return [fact for body in bodies for fact in translation(body).facts]


def some_orders(reports: Sequence[Fact]) -> Iterator[list[Fact]]:
    """All orders of a few reports, of many a hundred."""
    if len(reports) <= 4:
        yield from map(list, permutations(reports))
    else:
        random = Random(1)  # noqa: S311 - the same orders each time
        yield from (random.sample(reports, len(reports)) for _ in range(100))


def invoices(facts: Sequence[Fact]) -> int:
    """How many invoices the facts come to, whose money was then all received."""
    case, end = arrive(held(facts))
    assert end.waiting == ()
    assert balance(case) == received(case) == 5000
    return sum(known.document.kind is DocumentKind.INVOICE for known in case.documents)


LINK = {"object": "invoice_payment", "amount_paid": 5000, "currency": "eur", "invoice": "in_1", "status": "paid"}
LINK |= {"payment": {"type": "payment_intent", "payment_intent": "pi_1"}}
RENEWAL_OF_2020 = [
    event("charge.succeeded", **charge(invoice="in_1")),
    event("payment_intent.succeeded", **intent(invoice="in_1")),
    event("invoice.paid", **invoice(payment_intent="pi_1", charge="ch_1")),
    event("invoice.payment_succeeded", **invoice(payment_intent="pi_1", charge="ch_1")),
    event("checkout.session.completed", **session(payment_status="unpaid", invoice="in_1")),
]
RENEWAL_OF_BASIL = [
    event("charge.succeeded", **charge()),
    event("payment_intent.succeeded", **intent()),
    event("invoice.paid", **invoice()),
    event("invoice.payment_succeeded", **invoice()),
    event("invoice_payment.paid", **LINK),
]


@pytest.mark.trap(1)
@pytest.mark.parametrize("told", [RENEWAL_OF_2020, RENEWAL_OF_BASIL], ids=["2020", "basil"])
def test_a_renewal_that_is_told_in_six_events_is_one_invoice(told: list[dict[str, Any]]) -> None:
    assert {invoices(order) for order in some_orders(facts_of(told))} == {1}


def credited(order: Iterable[Fact]) -> int:
    case, end = arrive(held(order))
    assert end.waiting == ()
    return 5000 - balance(case)


PAID = event("payment_intent.succeeded", **intent())


@pytest.mark.trap(2)
@pytest.mark.parametrize("version", ["2026-10-28.endive", "2022-11-15"])
def test_a_refund_that_is_told_in_four_events_is_one_credit_note(version: str) -> None:
    told = [
        PAID,
        event("charge.refunded", **charge(amount_refunded=700)),
        event("refund.created", **refund()),
        event("refund.updated", **refund()),
        event("charge.refund.updated", **refund()),
    ]
    reports = facts_of(body | {"api_version": version} for body in told)
    assert {credited(order) for order in some_orders(reports)} == {700}
    is_total_told = any(fact.running_total for fact in reports)
    assert is_total_told == (version == "2022-11-15")


@pytest.mark.trap(3)
def test_the_second_partial_refund_is_credited_by_what_it_adds_to_the_total() -> None:
    told = [event("charge.refunded", **charge(amount_refunded=total)) | {"api_version": "2022-11-15"} for total in (700, 1000)]
    assert {credited(order) for order in some_orders(facts_of([PAID, *told]))} == {1000}


@pytest.mark.trap(4)
@pytest.mark.parametrize("status", ["pending", "requires_action"])
def test_a_refund_that_is_not_through_is_no_credit_note_until_it_is(status: str) -> None:
    made = event("refund.created", **refund(status=status))
    assert translation(made).facts == ()
    assert credited(facts_of([PAID, made])) == 0
    assert credited(facts_of([PAID, made, event("refund.updated", **refund())])) == 700


def at_stripe() -> list[Fact]:
    failed = event("refund.failed", **refund(status="failed", failure_reason="expired_or_canceled_card"))
    return facts_of([PAID, event("refund.updated", **refund(amount=700)), failed | {"created": NOW + 86400}])


def of_adyen() -> list[Fact]:
    later: dict[str, Any] = {"eventDate": "2026-11-22T09:00:00+01:00", "amount": {"currency": "EUR", "value": 700}}
    paid = at_adyen.item("AUTHORISATION", amount={"currency": "EUR", "value": 5000})
    items = [paid, at_adyen.modification("REFUND", amount=later["amount"]), at_adyen.modification("REFUND_FAILED", **later)]
    return list(adyen.translate(at_adyen.delivery(*items), "default", {}).facts)


def of_paypal() -> list[Fact]:
    def told(kind: str, at: str, **resource: Any) -> Translation:
        body = {"id": f"WH-{kind}", "event_type": kind, "create_time": at, "resource": resource}
        return paypal.translate(json.dumps(body).encode(), "default", {})

    def euros(value: str) -> dict[str, str]:
        return {"value": value, "currency_code": "EUR"}

    capture = [{"rel": "up", "href": "https://api.paypal.com/v2/payments/captures/CAP"}]
    made = {"id": "REF", "amount": euros("7.00"), "links": capture}
    deliveries = [
        told("PAYMENT.CAPTURE.COMPLETED", "2026-11-20T10:00:00Z", id="CAP", status="COMPLETED", amount=euros("50.00")),
        told("PAYMENT.CAPTURE.REFUNDED", "2026-11-21T10:00:00Z", status="COMPLETED", **made),
        told("PAYMENT.REFUND.FAILED", "2026-11-22T10:00:00Z", status="FAILED", **made),
    ]
    return [fact for delivery in deliveries for fact in delivery.facts]


@pytest.mark.trap(5)
@pytest.mark.parametrize("told", [at_stripe, of_adyen, of_paypal])
def test_a_refund_that_comes_back_is_taken_back_by_a_document_and_never_deleted(told: Any) -> None:
    reports = told()
    assert [str(fact.type) for fact in reports] == ["payment.succeeded", "refund.succeeded", "refund.failed"]
    assert {credited(order) for order in some_orders(reports)} == {0}
    case, _ = arrive(reports)
    name = reports[1].key
    assert [known.document.key for known in case.documents[1:]] == [f"credit_note:refund:{name}", f"invoice:refund:{name}"]


@pytest.mark.trap(23)
def test_an_inquiry_is_nothing_until_it_escalates_under_its_own_id() -> None:
    inquiry = [
        event("charge.dispute.created", **dispute("warning_needs_response")),
        event("charge.dispute.updated", **dispute("warning_under_review")),
        event("charge.dispute.closed", **dispute("warning_closed")),
        event("charge.dispute.funds_reinstated", **dispute("warning_closed")),
    ]
    assert {translation(body).ignored for body in inquiry} == {"inquiry"}
    escalated = event("charge.dispute.funds_withdrawn", **dispute("needs_response", -5000))
    lost = event("charge.dispute.closed", **dispute("lost", -5000))
    assert [fact.identity for fact in facts_of([escalated, lost])] == ["dispute.opened#du_1", "dispute.lost#du_1"]
    assert credited(facts_of([PAID, *inquiry, escalated, lost])) == 5000


@pytest.mark.trap(24)
@pytest.mark.parametrize("kind", ["charge.dispute.closed", "charge.dispute.funds_reinstated", "charge.dispute.updated"])
def test_a_dispute_that_is_lost_in_part_is_credited_by_what_its_transactions_sum_up_to(kind: str) -> None:
    opened = event("charge.dispute.created", **dispute("needs_response", -5000))
    ended = event(kind, **dispute("won", -5000, 3500))
    assert all(transaction["fee"] == 1500 for transaction in ended["data"]["object"]["balance_transactions"])
    assert {credited(order) for order in some_orders(facts_of([PAID, opened, ended]))} == {1500}


@pytest.mark.trap(25)
@pytest.mark.parametrize("status", ["prevented", "appeal_needs_response", "appeal_under_review", "settled_by_dice"])
@pytest.mark.parametrize("kind", ["created", "updated", "closed", "funds_reinstated"])
def test_no_status_of_a_dispute_breaks_anything_or_credits_anything(kind: str, status: str) -> None:
    found = translation(event(f"charge.dispute.{kind}", **dispute(status)))
    assert found.is_not_understood == (status == "settled_by_dice")
    assert credited([*facts_of([PAID]), *found.facts]) == 0


@pytest.mark.trap(26)
def test_a_payout_that_was_paid_and_failed_is_both_under_one_id() -> None:
    paid, failed = facts_of([event("payout.paid", **payout()), event("payout.failed", **payout(status="failed"))])
    assert (paid.identity, failed.identity) == ("payout.paid#po_1", "payout.failed#po_1")


@pytest.mark.trap(27)
@pytest.mark.parametrize("kind", ["invoice.paid", "invoice.payment_succeeded"])
@pytest.mark.parametrize("reason", ["subscription_create", "subscription_cycle", "manual"])
def test_an_invoice_that_is_paid_without_money_is_no_cash(kind: str, reason: str) -> None:
    assert translation(event(kind, **invoice(amount_paid=0, billing_reason=reason))).ignored == "zero_amount"
    outside = facts_of([event(kind, **invoice(paid_out_of_band=True, billing_reason=reason))])
    assert [str(fact.type) for fact in outside] == (["subscription.renewed"] if reason == "subscription_cycle" else [])


@pytest.mark.trap(29)
def test_one_change_in_two_events_of_different_ids_is_one_fact() -> None:
    for body in (PAID, event("refund.updated", **refund()), event("charge.dispute.closed", **dispute("lost"))):
        first, second = facts_of([body, body | {"id": "evt_2"}])
        assert first == second


@pytest.mark.trap(33)
@pytest.mark.skipif(not (FIXTURES / "stripe").is_dir(), reason=f"no payloads in {FIXTURES}")
def test_events_that_share_an_id_are_not_taken_for_repetitions() -> None:
    """Neither by the queues, which drop what has the same deduplication id, nor by the facts' identities."""
    queued: dict[str, set[tuple[str, str]]] = defaultdict(set)
    sharing: dict[str, int] = defaultdict(int)
    for file in payloads("stripe"):
        try:
            found = stripe.translate(file.read_bytes(), "default", {})
        except Reject:
            continue
        sharing[found.event_id] += 1
        for message in delivery_messages("stripe", "default", found, "2026-11-20T10:00:00Z"):
            content = {name: part for name, part in json.loads(message.body).items() if name != "received_at"}
            queued[message.deduplication_id].add((message.function, json.dumps(content)))
    assert max(sharing.values()) > 10
    assert all(len(contents) == 1 for contents in queued.values())
