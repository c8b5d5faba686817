"""Months of fees: a schedule asks for those that are over to be closed, and each message closes one.

Invoked with `{"through": "2026-11"}` it asks for every month up to that one, whether or not it is over.
"""

from __future__ import annotations

from typing import Any

from quittance.errors import Reject
from quittance.runtime.composition import allowance, fee_closing, queues, timestamp
from quittance.runtime.observability import logger
from quittance.runtime.queues import fees_message
from quittance.runtime.worker import Message, worker_handler

_closing = fee_closing()
_queues = queues()

_AT_ONCE = 100
_RESERVE_MS = 5_000
"""Time to be left for sending that many. The next run of the schedule asks for the rest: what is invoiced is not due any more."""


def _close(message: Message) -> None:
    try:
        fees = message.body["fees"]
        named = {name: str(fees[name]) for name in ("business_customer", "currency", "month")}
    except (KeyError, TypeError):
        raise Reject("message_unreadable") from None
    _closing.close(**named)


_work = worker_handler(_close, allowance=allowance())


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401 - Lambda's own
    return _work(event, context) if "Records" in event else _ask(event, context)


def _ask(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401 - Lambda's own
    """Queue the months that are due. Raises `Retry`, which has the whole invocation repeated; asked twice does no harm."""
    due = _closing.due(event.get("through"))
    asked = 0
    while asked < len(due) and context.get_remaining_time_in_millis() > _RESERVE_MS:
        some = due[asked : asked + _AT_ONCE]
        _queues.send(fees_message(one.business_customer, one.currency, one.month, timestamp()) for one in some)
        asked += len(some)
    logger.info("months of fees asked to be closed", extra={"count": asked})
    return {"asked": asked, "left": len(due) - asked}
