"""What processes count together: in DynamoDB and in memory by the same rules, and in DynamoDB by many at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from quittance.errors import Retry
from quittance.runtime.allowance import SPAN_S
from quittance.runtime.shared_count import PARTITION, DynamoSharedCount
from tests.fakes.shared_count import MemorySharedCount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from quittance.runtime.allowance import SharedCount

NOW = 1_790_000_000.0
MANY = 60


@pytest.fixture(autouse=True)
def client() -> Iterator[DynamoDBClient]:
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
        yield client


@pytest.fixture(params=["dynamodb", "memory"])
def shared(request: pytest.FixtureRequest) -> SharedCount:
    return DynamoSharedCount("ledger") if request.param == "dynamodb" else MemorySharedCount()


def test_a_span_gives_no_more_than_its_room(shared: SharedCount) -> None:
    assert [shared.take(7, requests, 10) for requests in (4, 4, 4, 4)] == [4, 4, 2, 0]
    assert shared.take(8, 4, 10) == 4


def test_room_that_is_kept_is_given_to_who_may_have_it(shared: SharedCount) -> None:
    assert shared.take(7, 9, 9) == 9
    assert shared.take(7, 1, 9) == 0
    assert shared.take(7, 1, 10) == 1


def test_turns_follow_each_other(shared: SharedCount) -> None:
    assert [shared.reserve(NOW, 0.5) for _ in range(3)] == [NOW, NOW + 0.5, NOW + 1]


def test_no_turn_is_in_the_past(shared: SharedCount) -> None:
    shared.reserve(NOW, 0.5)
    assert shared.reserve(NOW + 100, 0.5) == NOW + 100
    assert shared.reserve(NOW + 100, 0.5) == NOW + 100.5


def test_what_was_counted_is_forgotten_in_the_end(client: DynamoDBClient) -> None:
    DynamoSharedCount("ledger").take(int(NOW // SPAN_S), 1, 10)
    [item] = client.scan(TableName="ledger")["Items"]
    assert item["pk"] == {"S": PARTITION}
    assert NOW < int(item["expires_at"]["N"]) < NOW + 86_400


def test_many_at_once_never_get_the_same() -> None:
    shared = DynamoSharedCount("ledger")
    shared.take(0, 1, 1)  # sessions of the SDK are not made for many threads, clients are
    with ThreadPoolExecutor(8) as processes:
        turns = sorted(processes.map(lambda _: shared.reserve(NOW, 1), range(MANY)))
        taken = list(processes.map(lambda _: shared.take(1, 1, MANY // 2), range(MANY)))
    assert turns == [NOW + place for place in range(MANY)]
    assert sum(taken) == MANY // 2


def test_a_busy_table_is_told() -> None:
    shared = DynamoSharedCount("ledger")
    with Stubber(shared._client) as stubber:
        for ask in (lambda: shared.take(1, 1, 1), lambda: shared.reserve(NOW, 1)):
            stubber.add_client_error("update_item", "ThrottlingException", http_status_code=400)
            with pytest.raises(Retry, match="table_busy"):
                ask()
