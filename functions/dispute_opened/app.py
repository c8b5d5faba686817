"""Dispute opened: recorded; nothing is issued unless the policy says so."""

from __future__ import annotations

from quittance.facts import FactType
from quittance.runtime.fact_worker import fact_worker

handler = fact_worker(FactType.DISPUTE_OPENED)
