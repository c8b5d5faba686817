"""Reconcile: by the clock, ledger and invoicing API are compared, in as many sittings as it takes.

Invoked with `{"begin": true}` it begins a run though none is due.
"""

from __future__ import annotations

from typing import Any

from quittance.errors import QuittanceError
from quittance.runtime.observability import logger
from quittance.runtime.reconciling import sittings

_sittings = sittings()


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:  # noqa: ANN401 - Lambda's own
    """Raises what stopped the sitting: the function's errors are counted, and the next sitting goes on."""
    try:
        sat = _sittings.sit(context.get_remaining_time_in_millis() / 1000, begins=bool(event.get("begin")))
    except QuittanceError as error:
        logger.warning("reconciliation interrupted", extra={"code": error.code, "reason": str(error)})
        raise
    logger.info("sat over a reconciliation", extra={"status": sat["state"]})
    return sat
