"""Payouts of the sample deliveries tied out to documents that the invoicing API issued, and a history that a report brings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from quittance.facts import PAYOUT_TYPES, Fact, FactType
from quittance.ledger import case_from_partition, partitions
from quittance.providers import FetchedFor, Reference, platform, stripe
from quittance.settlements import settlements
from tests.use_cases.world import World
from tools.history import History, Reported, reader_of
from tools.payouts import Payouts
from tools.provider_apis.stripe import Stripe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from quittance.reconciliation.payouts import TieOut

EVENTS = Path(__file__).parents[2] / "events"
PAID_AT = "2026-11-22T06:30:00Z"
CONNECT = {"provider": "stripe", "account": "acct_1HarbourBooks"}


class PayoutWorld(World):
    """One business customer to whom all the money of the samples belongs."""

    def __init__(self, customer_id: str = "bc_harbour_books", accounts: Iterable[Mapping[str, str]] = ()) -> None:
        super().__init__()
        self.register(customer_id, accounts=list(accounts))
        self.seconds += 30 * 86_400  # the samples' documents must not be dated in the future

    def report(self, facts: Iterable[Fact]) -> None:
        """Record facts, and what follows of payouts, as the functions do."""
        for fact in facts:
            self.converger().take(fact, "evt")
            if fact.type in PAYOUT_TYPES:
                self.report(settlements(fact))

    def tied(self) -> dict[str, TieOut]:
        """Every payout line by line, which must say what one pass over all cases says."""
        cases = list(filter(None, map(case_from_partition, partitions(self.table.scan(prefix="CASE#")))))
        known = Payouts(self.table)
        in_one_pass = {one.payout_id: one for one in known.all_of(cases)}
        by_line = {name: known.tied(next(case for case in cases if case.id == name)) for name in in_one_pass}
        assert {name: (one.parts, one.residual) for name, one in in_one_pass.items()} == {
            name: (one.parts, one.residual) for name, one in by_line.items()
        }
        return by_line


def platform_facts(*names: str) -> list[Fact]:
    bodies = ((EVENTS / "platform" / f"{name}.json").read_bytes() for name in names)
    return [fact for body in bodies for fact in platform.translate(body, "default", {}).facts]


def stripe_facts(*names: str) -> list[Fact]:
    bodies = ((EVENTS / "stripe" / f"{name}.json").read_bytes() for name in names)
    return [fact for body in bodies for fact in stripe.translate(body, "default", {}).facts]


SOLD_BY_THE_PLATFORM = ("payment.succeeded", "refund.succeeded.partial", "payout.paid")


def test_the_platforms_payout_leaves_nothing() -> None:
    world = PayoutWorld()
    world.report(platform_facts(*SOLD_BY_THE_PLATFORM))
    tied = world.tied()["po_501"]
    assert (tied.residual, tied.unexplained) == (0, ())
    assert tied.parts == {"payments": 12345, "fees": -210, "refunds": 0, "disputes": 0, "other": 0}
    (document,) = tied.lines[0].documents
    assert (document.number != "", document.amount.value) == (True, 12345)


class Api:
    """The stand-in for Stripe's API, asked as the function does."""

    def __init__(self) -> None:
        self._stand_in = Stripe(EVENTS / "stripe")

    def get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        found = self._stand_in.answer(path, params or {})
        assert found is not None
        kept: dict[str, Any] = without_nulls(found)
        return kept


def without_nulls(value: Any) -> Any:
    match value:
        case dict():
            return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
        case list():
            return [without_nulls(inner) for inner in value]
        case _:
            return value


SOLD_AT_STRIPE = (
    "payment_intent.succeeded",
    "refund.updated",
    "charge.captured.first",
    "payment_intent.succeeded.captured-in-full",
    "payout.paid",
)


def fetched_payout(account: str) -> list[Fact]:
    told = FetchedFor(connection="default", event_id="evt_1", event_type="payout.paid", account=account, occurred_at=PAID_AT)
    (found,) = stripe.fetch(Reference("payout", "po_1Harbour0001", optional=True), Api(), {}, told)
    return list(found.facts)


def test_stripes_payout_leaves_nothing() -> None:
    facts = stripe_facts(*SOLD_AT_STRIPE)
    account = facts[0].account
    world = PayoutWorld(accounts=[{"provider": "stripe", "account": account}])
    world.report([*facts, *fetched_payout(account)])
    tied = world.tied()["po_1Harbour0001"]
    assert (tied.residual, tied.unexplained) == (0, ())
    assert tied.parts == {"payments": 13990, "fees": -990, "refunds": -1000, "disputes": 0, "other": 0}
    assert all(line.documents for line in tied.lines if line.part != "fees")


@pytest.mark.parametrize("missing", ["payment_intent.succeeded", "refund.updated"])
def test_what_stripe_never_told_is_left(missing: str) -> None:
    facts = stripe_facts(*(name for name in SOLD_AT_STRIPE if name != missing))
    account = facts[0].account
    world = PayoutWorld(accounts=[{"provider": "stripe", "account": account}])
    world.report([*facts, *fetched_payout(account)])
    tied = world.tied()["po_1Harbour0001"]
    assert tied.residual == {"payment_intent.succeeded": 4990 - 1000, "refund.updated": -1000}[missing]


def test_before_its_balance_transactions_are_known_a_payout_is_left_as_a_whole() -> None:
    facts = stripe_facts(*SOLD_AT_STRIPE)
    world = PayoutWorld(accounts=[{"provider": "stripe", "account": facts[0].account}])
    world.report(facts)
    assert world.tied()["po_1Harbour0001"].residual == 12000


def test_an_account_that_nobody_registered_leaves_its_payments() -> None:
    facts = stripe_facts(*SOLD_AT_STRIPE)
    world = PayoutWorld()
    world.report([*facts, *fetched_payout(facts[0].account)])
    tied = world.tied()["po_1Harbour0001"]
    assert (tied.business_customer, tied.residual) == ("", 12990)
    assert {one.reason for one in tied.unexplained} == {"business_customer_unknown"}


@pytest.mark.parametrize(
    ("report", "account", "left"),
    [
        # A chargeback, or a dispute, of a payment that the report does not hold.
        ("adyen.settlement_detail_report_batch_47.csv", {"provider": "adyen", "account": "HarbourBooks"}, 0),
        ("stripe.payout_reconciliation_itemized.csv", CONNECT, 6000 - 2000),
        ("stripe.balance_transactions.jsonl", CONNECT, 0),
    ],
)
def test_a_report_brings_the_history_that_explains_its_payouts(report: str, account: dict[str, str], left: int) -> None:
    path = EVENTS / "history" / report
    stated = [one for one in History(path, reader_of(path), account["account"], {}) if isinstance(one, Reported)]
    world = PayoutWorld(accounts=[account])
    world.report(one.fact for one in stated)
    (tied,) = world.tied().values()
    assert tied.residual == left
    explained = [one for one in tied.lines if not one.reason]
    assert sum(one.gross - one.fee for one in explained) + left == tied.amount.value + sum(one.fee for one in tied.unexplained)


def test_what_a_payout_holds_twice_over_two_sources_is_held_once() -> None:
    path = EVENTS / "history" / "stripe.balance_transactions.jsonl"
    facts = stripe_facts(*SOLD_AT_STRIPE)
    account = facts[0].account
    world = PayoutWorld(accounts=[{"provider": "stripe", "account": account}])
    world.report([*facts, *fetched_payout(account)])
    held = [one.fact for one in History(path, reader_of(path), account, {}) if isinstance(one, Reported)]
    world.report(one for one in held if one.type is FactType.PAYOUT_PAID)
    assert world.tied()["po_1Harbour0001"].residual == 0
    assert json.dumps(world.tied()["po_1Harbour0001"].to_json())
