"""Subscription renewed: one recurring invoice, with its payment on it whenever that arrives."""

from __future__ import annotations

from quittance.facts import FactType
from quittance.runtime.fact_worker import fact_worker

handler = fact_worker(FactType.SUBSCRIPTION_RENEWED)
