"""What the function `payout_settled` concludes of a payout: which payments were settled, and for how much."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from quittance.facts import Fact, FactType, PayoutAdjustment, PayoutLine, fact_from_json
from quittance.money import Money
from quittance.runtime import composition
from quittance.runtime.queues import Message, fact_message
from tests.unit.stories import fact
from tools.deliveries import sqs_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

LINES = (PayoutLine(payment_id="pi_1", gross=1000, fee=15, net=955), PayoutLine(payment_id="pi_2", gross=2000, fee=0, net=1955))
REFUND = PayoutAdjustment(kind="refund", id="re_1", payment_id="pi_1", gross=-700, fee=0, net=-700)
PAID = replace(fact("payout.paid", "po_1", 2210, payment_id=None), payout_lines=LINES, payout_adjustments=(REFUND,))


class Context:
    aws_request_id = "lambda-request"

    def get_remaining_time_in_millis(self) -> int:
        return 20_000


class Settling:
    """The function, what it recorded, and what it concluded."""

    def __init__(self, load_function: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
        self.recorded: list[Fact] = []
        self.concluded: list[Fact] = []
        taker = SimpleNamespace(take=lambda taken, _: self.recorded.append(taken))
        monkeypatch.setattr(composition, "converger", lambda: taker)
        monkeypatch.setattr(composition, "queues", lambda: SimpleNamespace(send=self._send))
        self._app = load_function("payout_settled")

    def _send(self, messages: Iterable[Message]) -> None:
        for message in messages:
            assert message.function == "payment_revisited"
            self.concluded.append(fact_from_json(json.loads(message.body)["fact"]))

    def take(self, payout: Fact) -> None:
        event = sqs_event([fact_message(payout, "evt_1", "payout.paid", "2026-11-20T10:00:00Z")])
        assert self._app.handler(event, Context()) == {"batchItemFailures": []}


@pytest.fixture
def settling(cloud: Any, load_function: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Settling:  # noqa: ARG001
    return Settling(load_function, monkeypatch)


def test_each_payment_is_settled_for_all_but_what_the_platform_kept(settling: Settling) -> None:
    settling.take(PAID)
    assert settling.recorded == [PAID]
    assert [(one.type, one.key, one.payment_id, one.occurrence) for one in settling.concluded] == [
        (FactType.PAYMENT_SETTLED, "pi_1", "pi_1", "po_1"),
        (FactType.PAYMENT_SETTLED, "pi_2", "pi_2", "po_1"),
    ]
    assert [(one.amount, one.fee) for one in settling.concluded] == [
        (Money(985, "EUR"), Money(15, "EUR")),
        (Money(2000, "EUR"), Money(0, "EUR")),
    ]


def test_shares_of_one_payout_settle_apart(settling: Settling) -> None:
    settling.take(PAID)
    settling.take(replace(PAID, key="po_1/txn_9"))
    assert len({one.identity for one in settling.concluded}) == 4


@pytest.mark.trap(26)
def test_a_payout_that_failed_settles_nothing(settling: Settling) -> None:
    settling.take(replace(PAID, type=FactType.PAYOUT_FAILED))
    assert (len(settling.recorded), settling.concluded) == (1, [])
