"""The reports that reconciliations wrote to S3, and addresses at which they can be fetched for a while."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from quittance.errors import Reject

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "reconciliations/"
LINK_VALID_S = 300


class ReportFile(NamedTuple):
    """One file of a report. Whoever has the address may fetch it while it is valid."""

    name: str
    size: int
    url: str


class ReportLinks:
    """Reads the bucket of reports, whose folders are called by the beginning of the reconciliation."""

    def __init__(self, client: Any, bucket: str) -> None:  # noqa: ANN401 - boto3 makes its clients at run time
        self._client = client
        self._bucket = bucket

    def latest(self, before: str | None, limit: int) -> list[str]:
        """Ids of reports, the latest first, of those before one if that is given."""
        ids = sorted(self._ids(), reverse=True)
        return list(islice((one for one in ids if before is None or one < before), limit))

    def files(self, report_id: str) -> list[ReportFile]:
        """Raises `Reject` with `report_unknown`."""
        folder = f"{PREFIX}{report_id}/"
        objects = [one for page in self._pages(folder) for one in page.get("Contents", ())]
        if not objects:
            raise Reject("report_unknown")
        return [ReportFile(one["Key"].removeprefix(folder), one["Size"], self._link(one["Key"])) for one in objects]

    def _ids(self) -> Iterator[str]:
        for page in self._pages(PREFIX):
            for folder in page.get("CommonPrefixes", ()):
                yield folder["Prefix"].removeprefix(PREFIX).rstrip("/")

    def _pages(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("list_objects_v2")
        yield from pages.paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/")

    def _link(self, key: str) -> str:
        return str(self._client.generate_presigned_url("get_object", {"Bucket": self._bucket, "Key": key}, LINK_VALID_S))
