"""The composition root of the worker functions: the only place that reads their environment and makes their clients.

Everything is made once, when the function's module is imported, because Lambda's init phase has its own budget.
"""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime

import boto3
from botocore.config import Config

from quittance.converge import Converger
from quittance.document_changes import DocumentChanges
from quittance.fee_closing import FeeClosing
from quittance.ledger import Ledger
from quittance.registration import CustomerDirectory, Registrar, Webhooks
from quittance.runtime.allowance import Allowance
from quittance.runtime.observability import count, logger
from quittance.runtime.parameter import ConnectionSecrets, KeyOf, Parameter
from quittance.runtime.queues import Queues, revisit_message
from quittance.runtime.sdk import LEAN
from quittance.runtime.shared_count import DynamoSharedCount
from quittance.runtime.table import CLIENT_CONFIG, DynamoTable
from quittance.space_invoices import REQUESTS_PER_MINUTE, Exchange, SpaceInvoices

_AWS = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"}, **LEAN)


def now() -> int:
    """Seconds since 1970."""
    return int(time.time())


def timestamp() -> str:
    """The present as RFC 3339 in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def table() -> DynamoTable:
    return DynamoTable(os.environ["TABLE_NAME"], boto3.client("dynamodb", config=CLIENT_CONFIG))


def queues() -> Queues:
    return Queues(boto3.client("sqs", config=_AWS), json.loads(os.environ["QUEUE_URLS"]))


def space_invoices() -> SpaceInvoices:
    parameter = Parameter(boto3.client("ssm", config=_AWS), os.environ["SPACE_INVOICES_API_KEY_PARAMETER"])
    return SpaceInvoices(os.environ["SPACE_INVOICES_BASE_URL"], KeyOf(_environment(), parameter), observe=_log_exchange)


def allowance() -> Allowance:
    """What this function may ask of the invoicing API."""
    configured = int(os.environ.get("REQUESTS_PER_MINUTE", "0"))
    return Allowance(DynamoSharedCount(os.environ["TABLE_NAME"]), configured or REQUESTS_PER_MINUTE[_environment()])


def _environment() -> str:
    """Whether this stack invoices for real. Where nothing says so it does not."""
    return os.environ.get("INVOICING_ENVIRONMENT", "sandbox")


def _log_exchange(exchange: Exchange) -> None:
    details = {"method": exchange.method, "route": exchange.route, "status": exchange.status, "duration_ms": exchange.duration_ms}
    logger.info("invoicing API asked", extra=details | {"api_request_id": exchange.request_id})


def converger(store: DynamoTable | None = None) -> Converger:
    """`store` is the table that the function reads anyway: each has connections of its own."""
    ledger = Ledger(store or table())
    return Converger(
        ledger=ledger,
        customers=CustomerDirectory(ledger, now),
        api=space_invoices(),
        stage=os.environ["STAGE"],
        now=now,
        count=count,
        look_up_before=os.environ.get("LOOK_UP_PAYMENTS_BEFORE", ""),
    )


def document_changes() -> DocumentChanges:
    store = table()
    ledger = Ledger(store)
    return DocumentChanges(
        ledger=ledger, customers=CustomerDirectory(ledger, now), revisit=converger(store).revisit, now=now, count=count
    )


def fee_closing() -> FeeClosing:
    store = table()
    return FeeClosing(table=store, take=converger(store).take, now=now, count=count)


def registrar() -> Registrar:
    queue = queues()

    def revisit_later(provider: str, account: str, payment_id: str, reason: str) -> None:
        queue.send([revisit_message(provider, account, payment_id, reason, timestamp())])

    return Registrar(
        ledger=Ledger(table()),
        api=space_invoices(),
        stage=os.environ["STAGE"],
        now=now,
        revisit_later=revisit_later,
        count=count,
        environment=_environment(),
        webhooks=_webhooks(),
    )


def _webhooks() -> Webhooks | None:
    base_url = os.environ.get("PUBLIC_WEBHOOKS_URL")
    if not base_url:
        return None
    path = f"{os.environ['CONNECTIONS_PATH']}/space-invoices"
    key = f"alias/{os.environ['APP']}-{os.environ['STAGE']}"
    return Webhooks(base_url, ConnectionSecrets(boto3.client("ssm", config=_AWS), path, key))
