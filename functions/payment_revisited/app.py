"""Payment revisited: its documents are brought up to date without a new event from outside.

Its business customer was registered, a payout settled it, or somebody asked for it again.
"""

from __future__ import annotations

from quittance.errors import Reject
from quittance.facts import FactType
from quittance.runtime.composition import allowance, converger
from quittance.runtime.fact_worker import fact_of
from quittance.runtime.worker import Message, worker_handler

_converger = converger()


def _revisit(message: Message) -> None:
    if message.fact is not None:
        _converger.take(fact_of(message, FactType.PAYMENT_SETTLED), message.event_id)
        return
    try:
        revisit = message.body["revisit"]
        provider, account, payment_id = revisit["provider"], revisit["account"], revisit["payment_id"]
    except (KeyError, TypeError):
        raise Reject("message_unreadable") from None
    _converger.revisit(provider, account, payment_id)


handler = worker_handler(_revisit, allowance=allowance())
