"""Makes the calls of a payment, and nothing of what they are for: one read, two writes, one request."""

from __future__ import annotations

import json
import os
from typing import Any

import boto3
import httpx

_table = boto3.client("dynamodb")
_http = httpx.Client(
    base_url=os.environ["INVOICING_URL"],
    headers={"Authorization": f"Bearer {os.environ['INVOICING_KEY']}", "x-entity-id": os.environ["ENTITY"]},
)


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    for record in event["Records"]:
        name = json.loads(record["body"])["data"]["payment_id"]
        _table.query(
            TableName=os.environ["TABLE_NAME"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": name}},
            ConsistentRead=True,
        )
        invoice = os.environ["INVOICE"].replace("PAYMENT", name)
        _put(name, "INTENT", invoice)
        headers = {"Idempotency-Key": name, "Content-Type": "application/json"}
        _put(name, "RESULT", _http.post("/invoices", content=invoice, headers=headers).raise_for_status().text)
    return {"batchItemFailures": []}


def _put(pk: str, sk: str, text: str) -> None:
    _table.put_item(TableName=os.environ["TABLE_NAME"], Item={"pk": {"S": pk}, "sk": {"S": sk}, "text": {"S": text}})
