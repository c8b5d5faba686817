"""The evidence journal on AWS: the table's stream in, the journal's table and the bucket of anchors out."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from quittance.errors import Retry
from quittance.journal.anchors import PREFIX, Anchoring
from quittance.journal.chains import Journal
from quittance.journal.changes import ItemChange
from quittance.journal.entries import KeyRing, key_ring
from quittance.journal.recording import Recorder
from quittance.runtime.parameter import Parameter
from quittance.runtime.table import CLIENT_CONFIG, DynamoTable, plain_item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SECRET_BYTES = 32
_AWS = Config(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"})
_THERE_ALREADY = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


def recorder() -> Recorder:
    client = boto3.client("dynamodb", config=CLIENT_CONFIG)
    return Recorder(
        DynamoTable(os.environ["TABLE_NAME"], client), _journal(DynamoTable(os.environ["JOURNAL_TABLE_NAME"], client))
    )


def anchoring() -> Anchoring:
    table = DynamoTable(os.environ["JOURNAL_TABLE_NAME"], boto3.client("dynamodb", config=CLIENT_CONFIG))
    store = S3Anchors(boto3.client("s3", config=_AWS), os.environ["ANCHORS_BUCKET"])
    return Anchoring(_journal(table), store, keys=_keys(), now=_now)


def _journal(table: DynamoTable) -> Journal:
    return Journal(table, keys=_keys(), now=_now, new_secret=new_secret)


def _keys() -> Callable[[], KeyRing]:
    parameter = Parameter(boto3.client("ssm", config=_AWS), os.environ["EVIDENCE_KEYS_PARAMETER"])
    return lambda: key_ring(parameter())


def new_secret() -> str:
    """Unpredictable bytes in hexadecimal digits, for a salt or a key."""
    return secrets.token_hex(SECRET_BYTES)


def _now() -> str:
    return _timestamp(datetime.now(UTC).timestamp())


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def item_change(record: dict[str, Any]) -> ItemChange:
    """A change out of a record of the table's stream, which holds the item before and after."""
    change = record["dynamodb"]
    keys = plain_item(change["Keys"])
    return ItemChange(
        pk=keys["pk"],
        sk=keys["sk"],
        old=plain_item(change["OldImage"]) if "OldImage" in change else None,
        new=plain_item(change["NewImage"]) if "NewImage" in change else None,
        at=_timestamp(change["ApproximateCreationDateTime"]),
        source=change["SequenceNumber"],
    )


class S3Anchors:
    """Implements `quittance.journal.anchors.AnchorStore`."""

    def __init__(self, client: Any, bucket: str) -> None:  # noqa: ANN401 - boto3 makes its clients at run time
        self._client = client
        self._bucket = bucket

    def newest(self, days: Iterable[str]) -> str | None:
        return max(self.names(days), default=None)

    def names(self, days: Iterable[str]) -> list[str]:
        """The files of these days, oldest first."""
        found = []
        try:
            for day in days:
                pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=f"{PREFIX}{day}/")
                found += [held["Key"] for page in pages for held in page.get("Contents", ())]
        except (BotoCoreError, ClientError) as error:
            raise Retry("anchors_unavailable", _code(error)) from None
        return sorted(found)

    def read(self, name: str) -> str:
        """What a file says. Of several versions of it the first counts, since an honest writer never writes another."""
        try:
            pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=name)
            versions = [one for page in pages for one in page.get("Versions", ()) if one["Key"] == name]
            # S3 lists the newest one first.
            first = versions[-1]["VersionId"] if versions else ""
            answer = self._client.get_object(Bucket=self._bucket, Key=name, VersionId=first)
            return str(answer["Body"].read().decode())
        except (BotoCoreError, ClientError, ValueError) as error:
            raise Retry("anchors_unavailable", _code(error)) from None

    def write(self, name: str, text: str) -> None:
        try:
            self._client.put_object(
                Bucket=self._bucket, Key=name, Body=text.encode(), ContentType="application/jsonl", IfNoneMatch="*"
            )
        except (BotoCoreError, ClientError) as error:
            if _code(error) not in _THERE_ALREADY:
                raise Retry("anchors_unavailable", _code(error)) from None


def _code(error: Exception) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__
