"""Payment authorized: recorded; nothing is issued before money is captured."""

from __future__ import annotations

from quittance.facts import FactType
from quittance.runtime.fact_worker import fact_worker

handler = fact_worker(FactType.PAYMENT_AUTHORIZED)
