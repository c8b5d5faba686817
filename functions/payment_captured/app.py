"""Payment captured, whole or in part: one invoice for each capture."""

from __future__ import annotations

from quittance.facts import FactType
from quittance.runtime.fact_worker import fact_worker

handler = fact_worker(FactType.PAYMENT_CAPTURED)
