"""The composition root of the operators' API."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from quittance.ledger import Ledger
from quittance.operations.audit import AuditTrail
from quittance.operations.findings import Findings
from quittance.operations.payments import Payments
from quittance.registration import CustomerDirectory
from quittance.runtime.composition import now, space_invoices, table, timestamp
from quittance.runtime.letters import pairs_of
from quittance.runtime.queues import Queues, revisit_message
from quittance.runtime.redrive import DeadLetters, Pace
from quittance.runtime.report_links import ReportLinks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quittance.operations.payments import PaymentName

_AWS = Config(connect_timeout=1, read_timeout=4, retries={"total_max_attempts": 2, "mode": "standard"})
# An address that is good for a while is signed as S3 asks it of objects that are encrypted with a key of ours.
_S3 = _AWS.merge(Config(signature_version="s3v4"))


class Operations:
    """Everything that the API's handlers use, made once."""

    def __init__(self) -> None:
        store = table()
        ledger = Ledger(store)
        client = boto3.client("sqs", config=_AWS)
        pairs = pairs_of(json.loads(os.environ["QUEUE_URLS"]) | {"event_received": os.environ.get("EVENTS_QUEUE_URL", "")})
        self.payments = Payments(ledger, store, CustomerDirectory(ledger, now))
        self.findings = Findings(store, store, self.payments, now)
        self.audit = AuditTrail(store, store, _instant)
        self.reports = ReportLinks(boto3.client("s3", config=_S3), os.environ["REPORTS_BUCKET"])
        self.dead_letters = DeadLetters(client, pairs.values(), ledger.owner)
        allowed = int(os.environ.get("REQUESTS_PER_MINUTE", "0"))
        self.pace = Pace.of(os.environ.get("INVOICING_ENVIRONMENT", "sandbox"), allowed)
        self.space_invoices = space_invoices()
        self._queues = Queues(client, {function: pair.url for function, pair in pairs.items()})

    def revisit(self, payments: Iterable[PaymentName], reason: str) -> None:
        """Ask for payments to be converged again. Raises `Retry`."""
        self._queues.send(revisit_message(*name, reason, timestamp()) for name in payments)


def _instant() -> str:
    """The present as RFC 3339 in UTC, to the microsecond."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
