"""Refund processed: a credit note for exactly the refunded amount."""

from __future__ import annotations

from quittance.facts import FactType
from quittance.runtime.fact_worker import fact_worker

handler = fact_worker(FactType.REFUND_SUCCEEDED)
