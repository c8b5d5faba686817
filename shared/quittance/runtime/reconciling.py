"""The composition root of the `reconcile` function: the bucket of reports beside the ledger and the invoicing API."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from quittance.errors import Retry
from quittance.ledger import CASE_PREFIX, Ledger
from quittance.reconciliation.pace import Pace, share_of
from quittance.reconciliation.report import rendered
from quittance.reconciliation.run import Run
from quittance.reconciliation.sittings import Sittings
from quittance.reconciliation.tally import Tally, levels
from quittance.runtime.composition import now, space_invoices, table
from quittance.runtime.observability import level, logger
from quittance.runtime.report_links import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from quittance.reconciliation.workbook import Workbook
    from quittance.runtime.table import DynamoTable

WORKBOOKS = "workbooks/"
"""Where runs that are under way are kept, apart from what they write in the end."""
_AWS = Config(connect_timeout=2, read_timeout=60, retries={"total_max_attempts": 3, "mode": "standard"})
_GONE = frozenset({"404", "NoSuchKey"})


class Bucket:
    """The bucket of reports."""

    def __init__(self, client: Any, name: str) -> None:  # noqa: ANN401 - boto3 makes its clients at run time
        self._client = client
        self._name = name

    def fetch(self, name: str, to: Path) -> bool:
        """See `Shelf`."""
        try:
            answer = self._client.get_object(Bucket=self._name, Key=_workbook(name))
            with to.open("wb") as file:
                shutil.copyfileobj(answer["Body"], file)
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                return False
            raise Retry("bucket_unavailable", error.response["Error"]["Code"]) from None
        except BotoCoreError as error:
            raise Retry("bucket_unavailable", type(error).__name__) from None
        return True

    def store(self, name: str, file: Path) -> None:
        """See `Shelf`."""
        with file.open("rb") as body:
            self._put(_workbook(name), body, "application/vnd.sqlite3")

    def publish(self, run: Run, workbook: Workbook) -> None:
        """Write the report and its metrics. Written again, it is the same."""
        result = run.result()
        tally = Tally(result.finished_at)
        for name, content_type, body in rendered(result, workbook.found(), workbook.payouts(), tally):
            self._put(f"{PREFIX}{result.id}/{name}", body, content_type)
        for one in levels(result, tally):
            level(one.metric, one.value, one.severity)
        duration = {"duration_ms": 1000 * (result.finished_at - result.started_at)}
        logger.info("reconciliation finished", extra={"count": tally.total} | duration)

    def _put(self, key: str, body: Any, content_type: str) -> None:  # noqa: ANN401 - bytes or a file
        try:
            self._client.put_object(Bucket=self._name, Key=key, Body=body, ContentType=content_type)
        except (BotoCoreError, ClientError) as error:
            raise Retry("bucket_unavailable", type(error).__name__) from None


def _workbook(name: str) -> str:
    return f"{WORKBOOKS}{name}.sqlite3"


def sittings() -> Sittings:
    """What the function does, out of its environment."""
    store = table()
    bucket = Bucket(boto3.client("s3", config=_AWS), os.environ["REPORTS_BUCKET"])
    return Sittings(table=store, shelf=bucket, start=_RunOver(store), publish=bucket.publish, now=now)


class _RunOver:
    def __init__(self, store: DynamoTable) -> None:
        self._table = store
        self._api = space_invoices()
        environment = os.environ.get("INVOICING_ENVIRONMENT", "sandbox")
        self._pace = Pace(share_of(environment, int(os.environ.get("REQUESTS_PER_MINUTE", "0"))))

    def __call__(self, workbook: Workbook, is_time_up: Callable[[], bool], committed: Callable[[], None]) -> Run:
        return Run(
            ledger=Ledger(self._table),
            scan=lambda after: self._table.scan(after, prefix=CASE_PREFIX),
            api=self._api,
            workbook=workbook,
            now=now,
            pace=self._pace,
            is_time_up=is_time_up,
            committed=committed,
        )
