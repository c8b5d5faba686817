"""Payout paid or failed: recorded, and settlement marked on every payment it contains."""

from __future__ import annotations

from quittance.facts import FactType
from quittance.runtime.composition import converger, queues, timestamp
from quittance.runtime.fact_worker import fact_of
from quittance.runtime.queues import fact_message
from quittance.runtime.worker import Message, worker_handler
from quittance.settlements import settlements

_take = converger().take
_queues = queues()


def _settle(message: Message) -> None:
    """Record the payout first: when the settlements cannot be queued, the message comes again and repeats them harmlessly."""
    payout = fact_of(message, FactType.PAYOUT_PAID, FactType.PAYOUT_FAILED)
    _take(payout, message.event_id)
    _queues.send(fact_message(settled, message.event_id, message.event_type, timestamp()) for settled in settlements(payout))


handler = worker_handler(_settle)
