"""Event received: events that never leave AWS, out of a queue that event buses and the platform itself write to.

They carry no signature. Whoever may write to the queue was let in by IAM, and is believed.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config

from quittance.errors import Reject
from quittance.providers import provider
from quittance.runtime.accepted import accepted
from quittance.runtime.play_money import on_this_stack
from quittance.runtime.queues import Queues, delivery_messages
from quittance.runtime.sdk import LEAN
from quittance.runtime.worker import Message, worker_handler

_PARTNERS = {"aws.partner/stripe.com/": "stripe"}
"""What an event bus names as the source of a partner's events; nobody else can name it so."""

_AWS = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"}, **LEAN)
_connection = os.environ.get("EVENTS_CONNECTION", "default")
_environment = os.environ.get("INVOICING_ENVIRONMENT", "sandbox")
_queues = Queues(boto3.client("sqs", config=_AWS), json.loads(os.environ["QUEUE_URLS"]))


def _receive(message: Message) -> None:
    name, event = _origin(message.body)
    chosen = provider(name)
    translation = on_this_stack(chosen.translate(json.dumps(event).encode(), _connection, {}), _environment)
    _queues.send(delivery_messages(name, _connection, translation, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")))
    for told in translation.events:
        accepted(name, chosen, told)


def _origin(body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The provider that speaks, and its event: the detail of an event bus's envelope, or the whole body of a platform's event.

    Raises `Reject` for anything else.
    """
    match body:
        case {"specversion": _}:
            return "platform", body
        case {"detail-type": str(), "source": str(source), "detail": dict(event)}:
            partner = next((name for prefix, name in _PARTNERS.items() if source.startswith(prefix)), None)
            return partner or "platform", event
        case _:
            raise Reject("message_unreadable")


handler = worker_handler(_receive)
