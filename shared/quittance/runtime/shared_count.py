"""What the processes know together of the invoicing API's allowance: two kinds of counters in the table."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from quittance.errors import Retry
from quittance.runtime.allowance import SPAN_S
from quittance.runtime.table import CLIENT_CONFIG

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PARTITION = "ALLOWANCE#SPACE_INVOICES"
_TURNS = "TURNS"
_KEPT_FOR_S = 3600
_ROUNDS = 3


class DynamoSharedCount:
    """Implements `allowance.SharedCount`, each question in one conditional update. Its client is made when first needed."""

    def __init__(self, table_name: str) -> None:
        self._table_name = table_name

    @cached_property
    def _client(self) -> DynamoDBClient:
        return boto3.client("dynamodb", config=CLIENT_CONFIG)

    def take(self, span: int, requests: int, room: int) -> int:
        """As promised there. What is counted in a span is forgotten some time after it."""
        name, expires_at = f"SPAN#{span}", span * SPAN_S + _KEPT_FOR_S
        count = "ADD requests :requests SET expires_at = :expires_at"
        has_room = "attribute_not_exists(requests) OR requests < :room"
        try:
            counted = self._update(name, count, has_room, requests=requests, room=room, expires_at=expires_at)
        except self._client.exceptions.ConditionalCheckFailedException:
            return 0
        too_many = max(0, int(counted["requests"]["N"]) - room)
        if too_many:
            self._update(name, count, "attribute_exists(requests)", requests=-too_many, expires_at=expires_at)
        return requests - too_many

    def reserve(self, not_before: float, length_s: float) -> float:
        """As promised there, to the millisecond."""
        first, length = math.ceil(not_before * 1000), math.ceil(length_s * 1000)
        for _ in range(_ROUNDS):
            start = self._behind_the_last(first, length)
            if start is None:
                start = self._as_the_first(first, length)
            if start is not None:
                return start / 1000
        raise Retry("turns_contended")

    def _behind_the_last(self, first: int, length: int) -> int | None:
        """None: nobody has a turn as late as that."""
        try:
            turns = self._update(_TURNS, "ADD free_at :length", "free_at > :first", first=first, length=length)
        except self._client.exceptions.ConditionalCheckFailedException:
            return None
        return int(turns["free_at"]["N"]) - length

    def _as_the_first(self, first: int, length: int) -> int | None:
        """None: somebody has taken a turn meanwhile."""
        try:
            condition = "attribute_not_exists(free_at) OR free_at <= :first"
            self._update(_TURNS, "SET free_at = :first + :length", condition, first=first, length=length)
        except self._client.exceptions.ConditionalCheckFailedException:
            return None
        return first

    def _update(self, name: str, expression: str, condition: str, **values: int) -> dict[str, Any]:
        try:
            answer = self._client.update_item(
                TableName=self._table_name,
                Key={"pk": {"S": PARTITION}, "sk": {"S": name}},
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeValues={f":{name}": {"N": str(value)} for name, value in values.items()},
                ReturnValues="UPDATED_NEW",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            raise
        except (BotoCoreError, ClientError) as error:
            raise Retry("table_busy", type(error).__name__) from error
        return dict(answer["Attributes"])
