"""Business customer created or updated: one entity for each, and its waiting payments are woken."""

from __future__ import annotations

from quittance.facts import FactType
from quittance.runtime.composition import allowance, registrar
from quittance.runtime.fact_worker import fact_of
from quittance.runtime.worker import Message, worker_handler

_take = registrar().take


def _register(message: Message) -> None:
    fact = fact_of(message, FactType.BUSINESS_CUSTOMER_CREATED, FactType.BUSINESS_CUSTOMER_UPDATED)
    _take(fact, message.event_id)


handler = worker_handler(_register, allowance=allowance())
