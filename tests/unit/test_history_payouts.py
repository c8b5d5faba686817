"""Reports of payouts: what they state, under which keys, and that it is what the providers' webhooks state."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from quittance.facts import Fact, FactType, PayoutAdjustment, PayoutLine, conflicting_fields, fact_from_json
from quittance.money import Money
from quittance.providers import FetchedFor, Reference, adyen, stripe
from quittance.runtime.queues import fact_message
from tests.unit.stripe_payloads import charge, event, intent, refund, translation
from tools.history import History, HistoryError, Reported, reader_of
from tools.history.payout_shares import SHARE

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = Path(__file__).parents[2] / "events" / "history"
ADYEN = SAMPLES / "adyen.settlement_detail_report_batch_47.csv"
STRIPE = SAMPLES / "stripe.payout_reconciliation_itemized.csv"
AT = "2026-11-20T00:00:00Z"
BALANCE = SAMPLES / "stripe.balance_transactions.jsonl"


def read(path: Path, account: str | None = "acct_1", **settings: Any) -> list[Reported | HistoryError]:
    return list(History(path, reader_of(path), account, settings))


def stated(path: Path, account: str | None = "acct_1", **settings: Any) -> list[Fact]:
    """The facts of a file without errors."""
    found = read(path, account, **settings)
    assert not [one for one in found if isinstance(one, HistoryError)]
    return [one.fact for one in found if isinstance(one, Reported)]


def payouts(facts: list[Fact]) -> list[Fact]:
    return [one for one in facts if one.type is FactType.PAYOUT_PAID]


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """A copy of a table with some cells changed: line -> column -> text; a line of None is left out."""

    def change(path: Path, changes: dict[int, dict[str, str] | None], *, repeat: int = 1) -> Path:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        kept = [row | (changes.get(line) or {}) for line, row in enumerate(rows, 2) if changes.get(line, {}) is not None]
        copy = tmp_path / "copy.csv"
        with copy.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(kept * repeat)
        return copy

    return change


# --- Adyen


def test_a_settlement_batch_is_a_payout() -> None:
    (payout,) = payouts(stated(ADYEN, None))
    assert (payout.provider, payout.account, payout.key) == ("adyen", "HarbourBooks", "batch:47:EUR")
    assert (payout.amount, payout.occurred_at) == (Money(12130, "EUR"), "2026-11-20T05:00:00Z")
    assert payout.payout_lines == (
        PayoutLine(payment_id="QFQTPCQ8HXSKGK82", gross=11840, fee=0, net=11706),
        PayoutLine(payment_id="W7P2XNB8HXSKGK82", gross=6000, fee=0, net=5910),
    )
    refunded, disputed, fee, carried = payout.payout_adjustments
    assert refunded == PayoutAdjustment(
        kind="Refunded", id="H5LQ7XB8HXSKGK82", payment_id="QFQTPCQ8HXSKGK82", gross=-2340, fee=10, net=-2350
    )
    assert (disputed.kind, disputed.id, disputed.gross, disputed.net) == ("Chargeback", "J8M3TCC8HXSKGK82", -3500, -4250)
    assert (fee.kind, fee.net, carried.kind, carried.net) == ("Fee", -120, "Balancetransfer", 1234)
    net = sum(line.net for line in payout.payout_lines) + sum(one.net for one in payout.payout_adjustments)
    assert Money(net, "EUR") == payout.amount


def notified(code: str, reference: str, original: str | None, value: int, **settings: Any) -> Fact:
    """What the webhook of the same thing states."""
    item: dict[str, Any] = {"eventCode": code, "success": "true", "pspReference": reference, "originalReference": original}
    item |= {"merchantAccountCode": "HarbourBooks", "eventDate": "2026-11-17T10:00:00+01:00"}
    item |= {"amount": {"value": value, "currency": "EUR"}}
    body = json.dumps({"live": "true", "notificationItems": [{"NotificationRequestItem": item}]})
    (fact,) = adyen.translate(body.encode(), "default", settings).facts
    return fact


@pytest.mark.parametrize("mode", ["immediate", "manual"])
def test_adyens_report_and_its_webhooks_state_the_same_facts(mode: str) -> None:
    paid: tuple[str, str, str | None] = ("AUTHORISATION", "QFQTPCQ8HXSKGK82", None)
    if mode == "manual":
        paid = ("CAPTURE", "RZJ6Q6P8HXSKGK82", "QFQTPCQ8HXSKGK82")
    told = [
        notified(*paid, 11840, capture_mode=mode),
        notified("REFUND", "H5LQ7XB8HXSKGK82", "QFQTPCQ8HXSKGK82", 2340),
        notified("CHARGEBACK", "J8M3TCC8HXSKGK82", "D4K9VRC8HXSKGK82", 3500),
    ]
    held = {one.identity: one for one in stated(ADYEN, None, capture_mode=mode) if one.type is not FactType.PAYOUT_PAID}
    assert len(held) == 4
    for one in told:
        assert not conflicting_fields(one, held[one.identity])
        assert held[one.identity].case_ids == one.case_ids
        assert held[one.identity].account == one.account


def test_a_batch_that_paid_nothing_out_is_told_with_nothing(changed: Callable[..., Path]) -> None:
    (payout,) = payouts(stated(changed(ADYEN, {8: None})))
    assert (payout.amount, payout.occurred_at, len(payout.payout_lines)) == (Money(0, "EUR"), "2026-11-19T22:55:00Z", 2)


def test_every_currency_of_a_batch_is_a_payout_of_its_own(changed: Callable[..., Path]) -> None:
    in_yen = {"Gross Currency": "JPY", "Gross Credit (GC)": "6000", "Net Currency": "JPY", "Net Credit (NC)": "5910"}
    found = {one.key: one for one in payouts(stated(changed(ADYEN, {3: in_yen})))}
    assert [line.gross for line in found["batch:47:JPY"].payout_lines] == [6000]
    assert found["batch:47:JPY"].amount == Money(0, "JPY")


def test_a_sale_in_another_currency_is_listed_as_it_was_settled(changed: Callable[..., Path]) -> None:
    facts = stated(changed(ADYEN, {3: {"Gross Currency": "USD", "Gross Credit (GC)": "69.60"}}))
    assert payouts(facts)[0].payout_lines[1] == PayoutLine(payment_id="W7P2XNB8HXSKGK82", gross=6000, fee=0, net=5910)
    assert next(one.amount for one in facts if one.key == "W7P2XNB8HXSKGK82") == Money(6960, "USD")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Net Credit (NC)": "12,30"}, "amount_not_decimal"),
        ({"Net Credit (NC)": "12.345"}, "amount_not_expressible"),
        ({"Net Currency": "EURO"}, "currency_unknown"),
        ({"Creation Date": "yesterday"}, "Creation Date is no time"),
        ({"TimeZone": "Mars"}, "the time zone is not known"),
        ({"Psp Reference": ""}, "Psp Reference is missing"),
        ({"Batch Number": ""}, "Batch Number"),
        ({"Gross Credit (GC)": ""}, "an amount is no number"),
    ],
)
def test_a_row_that_cannot_be_read_is_told_and_the_rest_goes_on(
    change: dict[str, str], reason: str, changed: Callable[..., Path]
) -> None:
    found = read(changed(ADYEN, {3: change}))
    (error,) = [one for one in found if isinstance(one, HistoryError)]
    assert (error.line, reason in error.reason) == (3, True)
    assert len([one for one in found if isinstance(one, Reported)]) == 4


def test_a_large_batch_is_told_in_shares_that_fit_and_lead_to_one_case(tmp_path: Path) -> None:
    header, first, *_ = ADYEN.read_text(encoding="utf-8").splitlines()
    rows = [first.replace("QFQTPCQ8HXSKGK82", f"QFQTPCQ8HXS{number:05}") for number in range(SHARE + 1)]
    copy = tmp_path / "large.csv"
    copy.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    whole, rest = payouts(stated(copy))
    assert (len(whole.payout_lines), len(rest.payout_lines)) == (SHARE, 1)
    assert (rest.key, rest.case_ids) == ("batch:47:EUR/2", ("batch:47:EUR",))
    for share in (whole, rest):
        fact_message(share, "evt", "payout.paid", "2026-11-20T10:00:00Z")
        assert fact_from_json(share.to_json()) == share


# --- Stripe's report


def test_stripes_report_tells_what_each_payout_held() -> None:
    (payout,) = payouts(stated(STRIPE))
    assert (payout.key, payout.amount, payout.occurred_at) == ("po_1Harbour0009", Money(5500, "EUR"), "2026-11-20T00:00:00Z")
    assert payout.payout_lines == (
        PayoutLine(payment_id="pi_3Harbour0001", gross=4990, fee=0, net=4890),
        PayoutLine(payment_id="pi_3Harbour0010", gross=6000, fee=0, net=5840),
    )
    assert [(one.kind, one.id, one.payment_id, one.gross, one.net) for one in payout.payout_adjustments] == [
        ("refund", "re_3Harbour0001", "pi_3Harbour0001", -1000, -1000),
        ("dispute", "du_1Harbour0004", "pi_3Harbour0004", -2000, -3500),
        ("fee", "txn_1Harbour0106", None, -730, -730),
    ]


def test_stripes_report_and_its_events_state_the_same_facts() -> None:
    paid = intent(id="pi_3Harbour0001", amount=4990, amount_received=4990, latest_charge=charge(id="ch_3Harbour0001"))
    back = refund(id="re_3Harbour0001", amount=1000, charge="ch_3Harbour0001", payment_intent="pi_3Harbour0001")
    told = [
        *translation(event("payment_intent.succeeded", **paid)).facts,
        *translation(event("refund.updated", **back)).facts,
    ]
    held = {one.identity: one for one in stated(STRIPE, told[0].account) if one.type is not FactType.PAYOUT_PAID}
    assert set(held) == {one.identity for one in told}, "what was captured in part proves no amount"
    for one in told:
        assert not conflicting_fields(one, held[one.identity])
        assert set(held[one.identity].case_ids) == set(one.case_ids)


def test_a_payment_is_of_the_amount_that_the_buyer_was_asked_for(changed: Callable[..., Path]) -> None:
    facts = stated(changed(STRIPE, {2: {"customer_facing_amount": "54.10", "customer_facing_currency": "usd"}}))
    assert next(one.amount for one in facts if one.key == "pi_3Harbour0001") == Money(5410, "USD")
    assert payouts(facts)[0].payout_lines[0].gross == 4990


@pytest.mark.parametrize(
    ("line", "change", "reason"),
    [
        (2, {"gross": "a"}, "amount_not_decimal"),
        (3, {"currency": "usd"}, "currencies_differ"),
        (2, {"created_utc": ""}, "created_utc is no time"),
        (5, {"payment_intent_id": "", "charge_id": ""}, "names no payment"),
    ],
)
def test_a_row_of_stripes_that_cannot_be_read_is_told(
    line: int, change: dict[str, str], reason: str, changed: Callable[..., Path]
) -> None:
    (error,) = [one for one in read(changed(STRIPE, {line: change})) if isinstance(one, HistoryError)]
    assert (error.line, reason in error.reason) == (line, True)


def test_what_no_payout_holds_yet_is_left_out(changed: Callable[..., Path]) -> None:
    facts = stated(changed(STRIPE, {2: {"automatic_payout_id": ""}, 7: {"reporting_category": "payout"}}))
    (payout,) = payouts(facts)
    assert [line.payment_id for line in payout.payout_lines] == ["pi_3Harbour0010"]
    assert "fee" not in [one.kind for one in payout.payout_adjustments]


# --- Stripe's balance transactions


def listed(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_list_of_balance_transactions_is_what_the_api_would_have_said() -> None:
    transactions = listed(BALANCE)

    class Api:
        def get(self, path: str, params: Any = None) -> dict[str, Any]:  # noqa: ARG002 - as it is called
            if "balance_transactions" in path:
                return {"data": transactions, "has_more": False}
            shown: dict[str, Any] = transactions[0]["source"] | {"automatic": True}
            return shown

    told = FetchedFor(
        connection="default", event_id="e", event_type="payout.paid", account="acct_1", occurred_at="2026-11-20T00:00:00Z"
    )
    (fetched,) = stripe.fetch(Reference("payout", "po_1Harbour0001"), Api(), {}, told)
    shares = [one for one in payouts(stated(BALANCE)) if one.payout_lines]
    assert len(shares) == 1
    assert replace(shares[0], occurred_at=fetched.facts[0].occurred_at) == fetched.facts[0]


def test_the_objects_behind_balance_transactions_tell_of_payments() -> None:
    told = {one.identity for one in stated(BALANCE)}
    assert {
        "payment.succeeded#pi_3Harbour0001",
        "payment.succeeded#pi_3Harbour0010",
        "refund.succeeded#re_3Harbour0001",
        "payout.paid#po_1Harbour0001",
    } == told


def test_lists_of_several_payouts_follow_each_other(tmp_path: Path) -> None:
    first = listed(BALANCE)
    second = [first[0] | {"source": "po_2", "amount": -4890}, first[1]]
    copy = tmp_path / "two.jsonl"
    copy.write_text("\n".join(map(json.dumps, first + second)), encoding="utf-8")
    found = {one.key: one for one in payouts(stated(copy)) if one.payout_lines}
    assert (found["po_2"].amount, len(found["po_2"].payout_lines)) == (Money(4890, "EUR"), 1)


def test_a_long_list_is_shared_out_as_the_api_does(tmp_path: Path) -> None:
    first = listed(BALANCE)
    more = [first[1] | {"id": f"txn_{number}", "source": f"ch_{number}"} for number in range(250)]
    copy = tmp_path / "long.jsonl"
    copy.write_text("\n".join(map(json.dumps, [first[0] | {"source": "po_9"}, *more])), encoding="utf-8")
    shares = payouts(stated(copy))
    assert [(one.key, one.case_ids, len(one.payout_lines)) for one in shares] == [
        ("po_9", ("po_9",), 199),
        ("po_9/txn_198", ("po_9",), 51),
    ]


def test_a_balance_transaction_without_its_payout_is_told(tmp_path: Path) -> None:
    copy = tmp_path / "cut.jsonl"
    copy.write_text("\n".join(map(json.dumps, listed(BALANCE)[1:3])), encoding="utf-8")
    errors = [one for one in read(copy) if isinstance(one, HistoryError)]
    assert [one.line for one in errors] == [1, 2]
