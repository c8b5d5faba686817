"""Payout paid or failed: recorded, and settlement marked on every payment it contains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.facts import Fact, FactType
from quittance.money import Money
from quittance.runtime.composition import converger, queues, timestamp
from quittance.runtime.fact_worker import fact_of
from quittance.runtime.queues import fact_message
from quittance.runtime.worker import Message, worker_handler

if TYPE_CHECKING:
    from collections.abc import Iterator

_take = converger().take
_queues = queues()


def _settle(message: Message) -> None:
    """Record the payout first: when the settlements cannot be queued, the message comes again and repeats them harmlessly."""
    payout = fact_of(message, FactType.PAYOUT_PAID, FactType.PAYOUT_FAILED)
    _take(payout, message.event_id)
    _queues.send(fact_message(settled, message.event_id, message.event_type, timestamp()) for settled in _settlements(payout))


def _settlements(payout: Fact) -> Iterator[Fact]:
    if payout.type is FactType.PAYOUT_FAILED or payout.amount is None:
        return
    for line in payout.payout_lines:
        yield Fact(
            type=FactType.PAYMENT_SETTLED,
            provider=payout.provider,
            account=payout.account,
            key=line.payment_id,
            occurrence=payout.key,
            payment_id=line.payment_id,
            occurred_at=payout.occurred_at,
            # Without what the payment provider kept, so that amount and fee always come to the gross.
            amount=Money(line.gross - line.fee, payout.amount.currency),
            fee=Money(line.fee, payout.amount.currency),
        )


handler = worker_handler(_settle)
