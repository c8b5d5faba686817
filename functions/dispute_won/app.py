"""Dispute won: nothing; a corrective invoice if it was lost and credited before."""

from __future__ import annotations

from quittance.facts import FactType
from quittance.runtime.fact_worker import fact_worker

handler = fact_worker(FactType.DISPUTE_WON)
