"""Refund failed: a corrective invoice if it was credited before."""

from __future__ import annotations

from quittance.facts import FactType
from quittance.runtime.fact_worker import fact_worker

handler = fact_worker(FactType.REFUND_FAILED)
