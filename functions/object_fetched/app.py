"""Object fetched: what a delivery only named is read from the provider's API, and the facts in it are queued."""

from __future__ import annotations

from quittance.errors import Reject
from quittance.providers import FetchedFor, Reference
from quittance.runtime.fetching import fetcher
from quittance.runtime.worker import Message, worker_handler

_NEEDED = {"provider", "connection", "account", "object", "id"}

_fetcher = fetcher()


def _fetch(message: Message) -> None:
    try:
        wanted = {"occurred_at": "", "optional": ""} | message.body["fetch"]
    except (KeyError, TypeError):
        raise Reject("message_unreadable") from None
    if not (wanted.keys() >= _NEEDED and all(isinstance(value, str) for value in wanted.values())):
        raise Reject("message_unreadable")
    told = FetchedFor(
        connection=wanted["connection"],
        event_id=message.event_id,
        event_type=message.event_type,
        account=wanted["account"],
        occurred_at=wanted["occurred_at"],
    )
    _fetcher.take(wanted["provider"], Reference(wanted["object"], wanted["id"], optional=wanted["optional"] == "yes"), told)


handler = worker_handler(_fetch)
