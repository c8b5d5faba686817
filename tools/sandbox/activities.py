"""The audit trail of one entity."""

from __future__ import annotations

from tools.sandbox.call import Call, Handler
from tools.sandbox.lists import list_records
from tools.sandbox.wire import Record

_FILTERS = ("resource_type", "resource_id", "action")


def _list(call: Call) -> Record:
    wanted = {name: call.query[name] for name in _FILTERS if call.query[name] is not None}
    chosen = (activity for activity in call.book.activities.values() if wanted.items() <= activity.items())
    return list_records(call, chosen, "Activity")


HANDLERS: dict[str, Handler] = {"getActivities": _list}
