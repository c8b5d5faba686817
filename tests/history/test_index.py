"""A history sorted by payment: what belongs together, in which order, however the file has it."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from quittance.facts import Fact, FactType, PayoutLine
from tests.history.stack import indexed, written
from tests.unit.stories import fact, refund, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

REPORTED_BY_CHARGE = refund("re_1", 5, payment_id="ch_1", minute=30)
REPORTED_BY_INTENT = fact("payment.authorized", "pi_1", 100, payment_id="pi_1", minute=1)
NAMES_BOTH = succeeded(100, payment_id="pi_1", also_known_as=("ch_1",), minute=2)


def payout(*payments: str, **details: Any) -> Fact:
    lines = tuple(PayoutLine(payment_id=name, gross=100, fee=0, net=100) for name in payments)
    return fact("payout.paid", "po_1", 100, payment_id=None, payout_lines=lines, **{"minute": 3} | details)


def stories(path: Path, facts: Iterable[Fact]) -> list[list[str]]:
    return [[entry.fact.identity for entry in story.entries] for story in indexed(written(path, facts)).told()]


@pytest.mark.parametrize("order", list(permutations([REPORTED_BY_CHARGE, REPORTED_BY_INTENT, NAMES_BOTH])))
def test_reports_that_share_an_id_are_one_story(order: tuple[Fact, ...], tmp_path: Path) -> None:
    in_time = [REPORTED_BY_INTENT.identity, NAMES_BOTH.identity, REPORTED_BY_CHARGE.identity]
    assert stories(tmp_path / "a", order) == [in_time]


def test_the_same_id_of_two_accounts_is_two_payments(tmp_path: Path) -> None:
    others = [succeeded(), succeeded(account="acct_2"), succeeded(provider="adyen")]
    assert len(stories(tmp_path / "a", others)) == 3


def test_what_happened_in_one_second_has_its_course(tmp_path: Path) -> None:
    kinds = ["payment.authorized", "payment.succeeded", "refund.succeeded", "dispute.opened", "dispute.won", "dispute.lost"]
    facts = [fact(kind, "key" if "." in kind and not kind.startswith("payment") else "pay_1", 5) for kind in kinds]
    (told,) = stories(tmp_path / "a", reversed(facts))
    assert [identity.partition("#")[0] for identity in told] == kinds


def test_payouts_come_last_with_what_they_settle(tmp_path: Path) -> None:
    """Also when the payment was paid out before it was reported."""
    facts = [payout("pay_1", "pay_2", minute=0), succeeded(minute=9), succeeded(payment_id="pay_3", minute=4)]
    index = indexed(written(tmp_path / "a", facts))
    told = [(story.position, [entry.fact.identity for entry in story.entries]) for story in index.told()]
    settled = {name: f"payment.settled#{name}#po_1" for name in ("pay_1", "pay_2")}
    assert told == [
        (1, ["payment.succeeded#pay_1", settled["pay_1"]]),
        (2, [settled["pay_2"]]),
        (3, ["payment.succeeded#pay_3"]),
        (4, ["payout.paid#po_1"]),
    ]
    assert index.stories == len(told)
    assert [story.position for story in index.told(2)] == [3, 4]


def test_registrations_are_told_apart_and_in_order(tmp_path: Path) -> None:
    values: dict[str, Any] = {"payment_id": None, "provider": "platform", "account": "bc_1"}
    made = fact("business_customer.created", "bc_1", minute=1, registration={"name": "A", "country": "DE"}, **values)
    changed = fact("business_customer.updated", "bc_1", minute=2, registration={"name": "B", "country": "DE"}, **values)
    index = indexed(written(tmp_path / "a", [changed, succeeded(), made]))
    assert [entry.fact.type for entry in index.registrations()] == [
        FactType.BUSINESS_CUSTOMER_CREATED,
        FactType.BUSINESS_CUSTOMER_UPDATED,
    ]
    assert [entry.line for entry in index.registrations()] == [3, 1]
    assert index.stories == 1
