"""The composition root of the function that fetches objects: it needs secrets and queues, and neither ledger nor invoices."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from quittance.fetching import Fetcher
from quittance.provider_api import ProviderApi
from quittance.runtime.accepted import taken_in
from quittance.runtime.observability import count
from quittance.runtime.play_money import on_this_stack
from quittance.runtime.queues import Queues, delivery_messages
from quittance.runtime.sdk import LEAN
from quittance.runtime.secrets import Connections

if TYPE_CHECKING:
    from quittance.providers import Translation

_AWS = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"}, **LEAN)


def fetcher() -> Fetcher:
    queues = Queues(boto3.client("sqs", config=_AWS), json.loads(os.environ["QUEUE_URLS"]))
    connections = Connections(boto3.client("ssm", config=_AWS), os.environ["CONNECTIONS_PATH"], with_api_key=True)
    environment = os.environ.get("INVOICING_ENVIRONMENT", "sandbox")

    def hand_on(provider: str, connection: str, translation: Translation) -> None:
        translation = on_this_stack(translation, environment)
        received_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        queues.send(delivery_messages(provider, connection, translation, received_at))
        taken_in(provider, "fetched", translation)

    def skipped(provider: str, reason: str) -> None:
        count("FetchesSkipped", provider=provider, event_type=reason)

    return Fetcher(access=connections.get, api=ProviderApi, hand_on=hand_on, skipped=skipped)
