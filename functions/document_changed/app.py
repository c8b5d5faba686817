"""Document changed: the invoicing API told what became of a document, and what was done to it by hand is recorded."""

from __future__ import annotations

from quittance.errors import Reject
from quittance.observation import sighting_from_json
from quittance.runtime.composition import allowance, document_changes
from quittance.runtime.worker import Message, worker_handler

_changes = document_changes()


def _take(message: Message) -> None:
    try:
        sighting = sighting_from_json(message.body["sighting"])
    except (AttributeError, KeyError, TypeError):
        raise Reject("message_unreadable") from None
    _changes.take(sighting, message.age_s)


handler = worker_handler(_take, allowance=allowance())
