"""Event ignored: kept for a while, so that `explain` can say why it made no document."""

from __future__ import annotations

from quittance.errors import Reject
from quittance.runtime.composition import now, table
from quittance.runtime.worker import Message, worker_handler
from quittance.storage import Put

KEPT_FOR_S = 400 * 86400
"""Longer than a year: an auditor asks about the last one."""
_KEPT = ("provider", "account", "event_id", "event_type", "reason", "received_at")

_table = table()


def _keep(message: Message) -> None:
    try:
        event = {name: message.body[name] for name in _KEPT}
    except KeyError:
        raise Reject("message_unreadable") from None
    keys = {"pk": f"EVENT#{event['provider']}#{event['event_id']}", "sk": "EVENT", "reference": event["event_id"]}
    _table.commit([Put(event | keys | {"expires_at": now() + KEPT_FOR_S})])


handler = worker_handler(_keep)
