"""Dispute lost: a credit note for the disputed amount, capped by what is not yet credited."""

from __future__ import annotations

from quittance.facts import FactType
from quittance.runtime.fact_worker import fact_worker

handler = fact_worker(FactType.DISPUTE_LOST)
