"""The ledger's store on DynamoDB: the adapter behind `quittance.storage.Table`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from quittance.errors import Park, Retry
from quittance.runtime.sdk import LEAN
from quittance.storage import (
    Absent,
    AbsentOrEquals,
    AnyState,
    Check,
    Condition,
    ConditionFailedError,
    Delete,
    Equals,
    Item,
    Keys,
    Page,
    Put,
    Write,
    check_writes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

INDEX_NAME = "by_reference"
CLIENT_CONFIG = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3}, **LEAN)
"""A worker that waits for the SDK's 60 seconds is killed with its messages half done."""

# A cancelled transaction whose reasons are none of the others met contention or throttling.
_BUSY = frozenset(
    {
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "TransactionCanceledException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_SERVER_ERROR = 500


class DynamoTable:
    """Implements `quittance.storage.Table`; any number of these may share one client."""

    def __init__(self, name: str, client: DynamoDBClient | None = None) -> None:
        self._name = name
        self._client = client or boto3.client("dynamodb", config=CLIENT_CONFIG)

    def read(self, pk: str, sk: str) -> Item | None:
        with _sorted_failures():
            answer = self._client.get_item(TableName=self._name, Key=_keys(pk, sk), ConsistentRead=True)
        return plain_item(answer["Item"]) if "Item" in answer else None

    def read_partition(self, pk: str, sk_prefix: str = "") -> list[Item]:
        return list(self.walk(pk, sk_prefix))

    def walk(self, pk: str, sk_prefix: str = "") -> Iterator[Item]:
        values = {":pk": pk} | ({":prefix": sk_prefix} if sk_prefix else {})
        condition = "pk = :pk AND begins_with(sk, :prefix)" if sk_prefix else "pk = :pk"
        return self._query(condition, values, {"ConsistentRead": True})

    def scan(self, after: tuple[str, str] | None = None, *, prefix: str = "") -> Iterator[Item]:
        """Every item whose `pk` begins with the prefix, after these keys in the table's own order; page after page.

        Items of one partition follow each other. They are read as they were a moment ago, one by one: what was written last may
        be missing.
        """
        options: dict[str, Any] = {"ExclusiveStartKey": _keys(*after)} if after else {}
        if prefix:
            options |= {"FilterExpression": "begins_with(pk, :prefix)", "ExpressionAttributeValues": _map({":prefix": prefix})}
        pages = self._client.get_paginator("scan").paginate(TableName=self._name, **options)
        with _sorted_failures():
            for page in pages:
                yield from map(plain_item, page["Items"])

    def commit(self, writes: Sequence[Write]) -> None:
        check_writes(writes)
        with _sorted_failures():
            match writes:
                case []:
                    pass
                case [Put() as put]:
                    self._client.put_item(**self._put(put))
                case [Delete() as delete]:
                    self._client.delete_item(**self._delete(delete))
                case _:
                    items: list[Any] = [self._in_transaction(write) for write in writes]
                    self._client.transact_write_items(TransactItems=items)

    def find(self, reference: str) -> list[Item]:
        found = self._query(
            "#reference = :reference",
            {":reference": reference},
            {"IndexName": INDEX_NAME, "ExpressionAttributeNames": {"#reference": "reference"}},
        )
        return sorted(found, key=lambda item: (item["pk"], item["sk"]))

    def page(self, reference: str, after: Keys | None, limit: int) -> Page:
        """See `quittance.storage.PagedTable`."""
        options: dict[str, Any] = {"IndexName": INDEX_NAME, "ExpressionAttributeNames": {"#reference": "reference"}}
        begins = _map({"reference": reference, **after._asdict()}) if after else None
        return self._page("#reference = :reference", {":reference": reference}, options, begins, limit)

    def page_backwards(self, pk: str, after: Keys | None, limit: int) -> Page:
        """See `quittance.storage.PagedTable`."""
        options: dict[str, Any] = {"ConsistentRead": True, "ScanIndexForward": False}
        return self._page("pk = :pk", {":pk": pk}, options, _keys(pk, after.sk) if after else None, limit)

    def _page(
        self, condition: str, values: dict[str, str], options: dict[str, Any], begins: dict[str, Any] | None, limit: int
    ) -> Page:
        options |= {"ExclusiveStartKey": begins} if begins else {}
        with _sorted_failures():
            answer = self._client.query(
                TableName=self._name,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=_map(values),
                Limit=limit,
                **options,
            )
        last = answer.get("LastEvaluatedKey")
        return Page([plain_item(item) for item in answer["Items"]], Keys(last["pk"]["S"], last["sk"]["S"]) if last else None)

    def _query(self, condition: str, values: dict[str, str], options: dict[str, Any]) -> Iterator[Item]:
        # Not with the SDK's paginator, which costs as much as a tenth of a call.
        options = {"KeyConditionExpression": condition, "ExpressionAttributeValues": _map(values)} | options
        with _sorted_failures():
            while options:
                page = self._client.query(TableName=self._name, **options)
                yield from map(plain_item, page["Items"])
                last = page.get("LastEvaluatedKey")
                options = options | {"ExclusiveStartKey": last} if last else {}

    def _in_transaction(self, write: Write) -> dict[str, Any]:
        match write:
            case Put():
                return {"Put": self._put(write)}
            case Delete():
                return {"Delete": self._delete(write)}
            case Check():
                return {"ConditionCheck": self._delete(write)}

    def _put(self, write: Put) -> dict[str, Any]:
        return {"TableName": self._name, "Item": _map(write.item)} | _expression(write.condition)

    def _delete(self, write: Delete | Check) -> dict[str, Any]:
        return {"TableName": self._name, "Key": _keys(write.pk, write.sk)} | _expression(write.condition)


def _expression(condition: Condition) -> dict[str, Any]:
    match condition:
        case AnyState():
            return {}
        case Absent():
            return {"ConditionExpression": "attribute_not_exists(pk)"}
        case Equals(attribute, value):
            expression = "#attribute = :value"
        case AbsentOrEquals(attribute, value):
            expression = "attribute_not_exists(pk) OR #attribute = :value"
    return {
        "ConditionExpression": expression,
        "ExpressionAttributeNames": {"#attribute": attribute},
        "ExpressionAttributeValues": {":value": _value(value)},
    }


@contextmanager
def _sorted_failures() -> Iterator[None]:
    """Raise what `Table` promises in place of the SDK's errors; what is none of these is a defect and passes as it is."""
    try:
        yield
    except (BotoConnectionError, HTTPClientError) as error:
        raise Retry("table_busy", type(error).__name__) from error
    except ClientError as error:
        codes = set(_codes(error))
        if codes & {"ValidationError", "ValidationException"}:
            raise Park("table_refused_item") from error
        if codes & {"ConditionalCheckFailed", "ConditionalCheckFailedException"}:
            raise ConditionFailedError from None
        if codes & _BUSY or error.response["ResponseMetadata"]["HTTPStatusCode"] >= _SERVER_ERROR:
            raise Retry("table_busy", " ".join(sorted(codes))) from error
        raise


def _codes(error: ClientError) -> Iterator[str]:
    """The error's code, and for a cancelled transaction the reason of each write."""
    yield error.response["Error"]["Code"]
    yield from (reason.get("Code", "None") for reason in error.response.get("CancellationReasons", ()))


def _keys(pk: str, sk: str) -> dict[str, Any]:
    return _map({"pk": pk, "sk": sk})


def _map(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in values.items()}


def _value(value: object) -> dict[str, Any]:
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case list() | tuple():
            return {"L": [_value(element) for element in value]}
        case dict():
            return {"M": _map(value)}
        case _:
            raise TypeError(f"{type(value).__name__} cannot be stored")


def plain_item(attributes: dict[str, Any]) -> Item:
    """An item as DynamoDB writes it, in a stream too, with plain values."""
    return {name: _plain(value) for name, value in attributes.items()}


def _plain(value: dict[str, Any]) -> object:
    [(kind, content)] = value.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return int(content)
        case "L":
            return [_plain(element) for element in content]
        case "M":
            return plain_item(content)
        case _:
            return content
