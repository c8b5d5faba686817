"""The ledger's table in emulated DynamoDB, as the template has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quittance.runtime.table import INDEX_NAME

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient


def create_table(client: DynamoDBClient, name: str) -> None:
    """Keys and index; nothing else of it matters to what reads and writes."""
    keys: Any = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    by_reference: Any = [{"AttributeName": "reference", "KeyType": "HASH"}]
    client.create_table(
        TableName=name,
        KeySchema=keys,
        AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in ("pk", "sk", "reference")],
        GlobalSecondaryIndexes=[{"IndexName": INDEX_NAME, "KeySchema": by_reference, "Projection": {"ProjectionType": "ALL"}}],
        BillingMode="PAY_PER_REQUEST",
    )
