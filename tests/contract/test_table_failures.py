"""How the tables fail: what DynamoDB's errors become, and the faults that a simulation puts into the table in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from botocore.stub import Stubber

from quittance.errors import Park, Retry
from quittance.runtime.table import CLIENT_CONFIG, DynamoTable
from quittance.storage import Absent, Check, ConditionFailedError, Delete, Put
from tests.fakes.memory_table import MemoryTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from quittance.storage import Write

ONE: list[Write] = [Put({"pk": "case", "sk": "head"})]
MANY: list[Write] = [*ONE, Check("case", "fact", Absent())]


@pytest.fixture
def client() -> DynamoDBClient:
    return boto3.client("dynamodb", config=CLIENT_CONFIG)


@pytest.fixture
def stubber(client: DynamoDBClient) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber


def _cancelled(stubber: Stubber, *reasons: str) -> None:
    modeled = {"CancellationReasons": [{"Code": reason} for reason in reasons]}
    stubber.add_client_error("transact_write_items", "TransactionCanceledException", http_status_code=400, modeled_fields=modeled)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ProvisionedThroughputExceededException", 400),
        ("ThrottlingException", 400),
        ("RequestLimitExceeded", 400),
        ("TransactionConflictException", 400),
        ("InternalServerError", 500),
        ("SomethingNew", 503),
    ],
)
def test_a_busy_store_is_tried_again(client: DynamoDBClient, stubber: Stubber, code: str, status: int) -> None:
    table = DynamoTable("ledger", client)
    for operation in ("put_item", "get_item", "query"):
        stubber.add_client_error(operation, code, http_status_code=status)
    for call in (lambda: table.commit(ONE), lambda: table.read("case", "head"), lambda: table.read_partition("case")):
        with pytest.raises(Retry, match="table_busy"):
            call()
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_contended_transaction_is_tried_again(client: DynamoDBClient, stubber: Stubber, reason: str) -> None:
    _cancelled(stubber, reason, "None")
    with pytest.raises(Retry, match="table_busy"):
        DynamoTable("ledger", client).commit(MANY)


def test_a_transaction_in_progress_is_tried_again(client: DynamoDBClient, stubber: Stubber) -> None:
    stubber.add_client_error("transact_write_items", "TransactionInProgressException", http_status_code=400)
    with pytest.raises(Retry, match="table_busy"):
        DynamoTable("ledger", client).commit(MANY)


def test_a_false_condition_is_an_answer_even_beside_contention(client: DynamoDBClient, stubber: Stubber) -> None:
    _cancelled(stubber, "TransactionConflict", "ConditionalCheckFailed")
    with pytest.raises(ConditionFailedError):
        DynamoTable("ledger", client).commit(MANY)


def test_an_item_refused_in_a_transaction_is_parked(client: DynamoDBClient, stubber: Stubber) -> None:
    _cancelled(stubber, "ConditionalCheckFailed", "ValidationError")
    with pytest.raises(Park, match="table_refused_item"):
        DynamoTable("ledger", client).commit(MANY)


def test_a_defect_is_not_taken_for_a_busy_store(client: DynamoDBClient, stubber: Stubber) -> None:
    stubber.add_client_error("put_item", "AccessDeniedException", http_status_code=400)
    with pytest.raises(ClientError, match="AccessDenied"):
        DynamoTable("ledger", client).commit(ONE)


@pytest.mark.parametrize("kind", [EndpointConnectionError, ConnectTimeoutError, ReadTimeoutError])
def test_a_store_that_does_not_answer_is_tried_again(client: DynamoDBClient, kind: type[BotoCoreError]) -> None:
    def fail(**_: Any) -> None:
        raise kind(endpoint_url="https://dynamodb")

    client.meta.events.register("before-send.dynamodb", fail)
    with pytest.raises(Retry, match="table_busy"):
        DynamoTable("ledger", client).commit(MANY)


def test_a_store_that_nobody_runs_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(Retry, match="table_busy"):
        DynamoTable("ledger").read("case", "head")


def test_reads_are_strongly_consistent(client: DynamoDBClient, stubber: Stubber) -> None:
    keys = {"pk": {"S": "case"}, "sk": {"S": "head"}}
    stubber.add_response("get_item", {}, {"TableName": "ledger", "Key": keys, "ConsistentRead": True})
    query = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "case"}}, "ConsistentRead": True}
    stubber.add_response("query", {"Items": []}, {"TableName": "ledger"} | query)
    DynamoTable("ledger", client).read("case", "head")
    DynamoTable("ledger", client).read_partition("case")
    stubber.assert_no_pending_responses()


def test_a_fault_before_the_commit_leaves_nothing() -> None:
    table = MemoryTable()
    table.before_commit = _busy
    with pytest.raises(Retry):
        table.commit(ONE)
    assert table.items() == []


def test_a_fault_after_the_commit_is_the_answer_that_got_lost() -> None:
    table = MemoryTable()
    table.after_commit = _busy
    with pytest.raises(Retry):
        table.commit(ONE)
    assert table.items() == [{"pk": "case", "sk": "head"}]


def test_a_competitor_gets_in_before_the_commit() -> None:
    table = MemoryTable()

    def compete(_: object) -> None:
        table.before_commit = lambda _: None
        table.commit([Put({"pk": "case", "sk": "head", "by": "competitor"})])

    table.before_commit = compete
    with pytest.raises(ConditionFailedError):
        table.commit([Put({"pk": "case", "sk": "head"}, Absent())])
    assert table.items() == [{"pk": "case", "sk": "head", "by": "competitor"}]


def test_reads_can_fail() -> None:
    table = MemoryTable()
    table.before_read = _busy
    for call in (lambda: table.read("case", "head"), lambda: table.read_partition("case"), lambda: table.find("pay_1")):
        with pytest.raises(Retry):
            call()


def test_the_index_can_lag() -> None:
    table = MemoryTable(index_lags=True)
    table.commit([Put({"pk": "case", "sk": "head", "reference": "pay_1"})])
    assert table.find("pay_1") == []
    table.index_catches_up()
    table.commit([Delete("case", "head")])
    assert [item["sk"] for item in table.find("pay_1")] == ["head"]
    assert table.read("case", "head") is None


def _busy(_: object) -> None:
    raise Retry("table_busy")
