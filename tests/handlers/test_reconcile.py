"""The function `reconcile`: from its schedule to a report in the bucket, and findings where operators see them."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from quittance.acknowledgements import Acknowledgement, acknowledge
from quittance.errors import Park
from quittance.runtime import composition
from quittance.runtime.table import INDEX_NAME
from quittance.storage import Keys, Put
from tests.unit.stories import succeeded
from tests.use_cases.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from mypy_boto3_dynamodb.type_defs import GlobalSecondaryIndexUnionTypeDef

TABLE, BUCKET = "ledger", "reports"
SCHEDULED = {"detail-type": "Scheduled Event", "source": "aws.events", "time": "2026-12-05T03:00:00Z"}


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 900_000


class Stack:
    """The function over an emulated table and bucket, with the sandbox in place of the API."""

    def __init__(self, module: ModuleType, world: World) -> None:
        self.module = module
        self.world = world
        self.bucket: Any = boto3.client("s3")

    def call(self, **event: Any) -> dict[str, str]:
        answer: dict[str, str] = self.module.handler(SCHEDULED | event, Context())
        return answer

    def files(self, prefix: str) -> dict[str, bytes]:
        listed = self.bucket.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())
        return {one["Key"]: self.bucket.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read() for one in listed}


@pytest.fixture
def stack(emulator: Any, load_function: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Stack:
    emulator.reset()
    _create_table()
    s3: Any = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    monkeypatch.setenv("REPORTS_BUCKET", BUCKET)
    world = World()
    world.register()
    world.take(succeeded(payment_id="pay_1"), succeeded(payment_id="pay_2"))
    table = composition.table()
    for item in world.table.items():
        table.commit([Put(item)])
    monkeypatch.setattr("quittance.runtime.reconciling.space_invoices", lambda: world.api)
    return Stack(load_function("reconcile"), world)


def _create_table() -> None:
    index: GlobalSecondaryIndexUnionTypeDef = {
        "IndexName": INDEX_NAME,
        "KeySchema": [{"AttributeName": "reference", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "reference")],
        GlobalSecondaryIndexes=[index],
    )


def test_a_run_ends_with_a_report_and_with_metrics(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    sat = stack.call()
    assert sat["state"] == "finished"
    files = stack.files(f"reconciliations/{sat['reconciliation']}/")
    names = {name.rpartition("/")[2] for name in files}
    assert {"index.html", "findings.csv", "customers.csv", "reconciliation.json"} <= names
    told = json.loads(files[f"reconciliations/{sat['reconciliation']}/reconciliation.json"])
    assert told["id"] == sat["reconciliation"]
    assert '"PaymentsReconciled":[2' in capsys.readouterr().out.replace(" ", "")
    assert stack.call()["state"] == "not_due"
    assert stack.call(begin=True)["state"] == "finished"


def test_what_is_found_stands_in_the_ledger(stack: Stack) -> None:
    [book] = stack.world.sandbox._worlds["sandbox"].books.values()
    next(iter(book.invoices.values()))["number"] = "2026-X"
    stack.call()
    [finding] = composition.table().find("finding:open")
    assert (finding["pk"], finding["code"], finding["payment_id"]) == ("RECONCILIATION#bc_1", "number_differs", "pay_1")


def test_what_is_acknowledged_raises_no_alarm_and_is_in_the_report(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    [book] = stack.world.sandbox._worlds["sandbox"].books.values()
    next(iter(book.invoices.values()))["number"] = "2026-X"
    stack.call()
    assert open_by_the_metrics(capsys.readouterr().out) == {"FindingsOpen": 1, "FindingsOverdue": 0, "ResidualsOpen": 0}
    table = composition.table()
    [item] = table.find("finding:open")
    acknowledge(table, Keys(item["pk"], item["sk"]), Acknowledgement(1_795_000_000, "finance", "told by Ada Lovelace"))
    for name in stack.files("workbooks/"):  # a run that begins within the same second would go on with it
        stack.bucket.delete_object(Bucket=BUCKET, Key=name)
    sat = stack.call(begin=True)
    output = capsys.readouterr().out
    assert "Lovelace" not in output
    assert open_by_the_metrics(output) == {"FindingsOpen": 0, "FindingsOverdue": 0, "ResidualsOpen": 0}
    report = stack.files(f"reconciliations/{sat['reconciliation']}/")
    assert sorted(name.rpartition("/")[2] for name, body in report.items() if b"told by Ada Lovelace" in body) == [
        "findings.csv",
        "index.html",
        "reconciliation.json",
    ]


def open_by_the_metrics(output: str) -> dict[str, int]:
    """What the metrics in it say that is open, of all severities."""
    counted: Counter[str] = Counter()
    for line in output.splitlines():
        told = json.loads(line) if line.startswith("{") else {}
        for name in ("FindingsOpen", "FindingsOverdue", "ResidualsOpen"):
            counted[name] += int(sum(told.get(name, ())))
    return dict(counted)


def test_a_sitting_that_fails_leaves_its_workbook_behind(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise Park("api_refused", "400")

    with monkeypatch.context() as broken:
        broken.setattr(stack.world.api, "page", refused)
        with pytest.raises(Park):
            stack.call()
    [name] = stack.files("workbooks/")
    assert stack.call()["state"] == "finished"
    assert list(stack.files("workbooks/")) == [name]
