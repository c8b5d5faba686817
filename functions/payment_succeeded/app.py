"""Payment succeeded: one final invoice with the payment recorded in the same call."""

from __future__ import annotations

from quittance.facts import FactType
from quittance.runtime.fact_worker import fact_worker

handler = fact_worker(FactType.PAYMENT_SUCCEEDED)
