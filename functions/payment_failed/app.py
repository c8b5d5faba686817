"""Payment failed: nothing; after a success, the payment's record is removed and the invoice is due again."""

from __future__ import annotations

from quittance.facts import FactType
from quittance.runtime.fact_worker import fact_worker

handler = fact_worker(FactType.PAYMENT_FAILED)
