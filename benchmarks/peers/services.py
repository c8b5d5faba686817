"""What both pipelines call, in memory: a queue, secrets, tables, and the invoicing API for as long as nothing goes wrong."""

from __future__ import annotations

import json
from typing import Any

import httpx

from benchmarks.warm_worker import Refused, Services

SECRET = "whsec_benchmark"  # noqa: S105 - opens nothing
API_KEY = "sk_sandbox_benchmark"


class PeerServices(Services):
    """Besides what the worker needs: a queue, and the conditions that Powertools' idempotency relies on."""

    def __init__(self) -> None:
        super().__init__()
        self.queued: list[dict[str, Any]] = []
        self.requests = 0
        self._idempotency: dict[str, dict[str, Any]] = {}

    def answer_http(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if request.method == "GET":
            return httpx.Response(200, json={"data": []})
        if request.url.path == "/invoices" and b"expected_total_with_tax" in request.content:
            return super().answer_http(request)
        self.invoices += request.url.path == "/invoices"
        return httpx.Response(201, json=json.loads(request.content) | {"id": f"made_{self.requests}"})

    def _SendMessage(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's names, here and below
        self.queued.append({"body": parameters["MessageBody"], "group": parameters["MessageGroupId"]})
        return {"MessageId": "m", "MD5OfMessageBody": ""}

    def _SendMessageBatch(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.queued += [{"body": one["MessageBody"], "group": one["MessageGroupId"]} for one in parameters["Entries"]]
        done = [{"Id": one["Id"], "MessageId": "m", "MD5OfMessageBody": ""} for one in parameters["Entries"]]
        return {"Successful": done, "Failed": []}

    def _GetParameter(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Parameter": {"Name": parameters["Name"], "Value": SECRET if "secret" in parameters["Name"] else API_KEY}}

    def _GetParameters(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        known = [name for name in parameters["Names"] if name.endswith("/secret")]
        return {"Parameters": [{"Name": name, "Value": SECRET} for name in known], "InvalidParameters": []}

    def _PutItem(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if parameters["TableName"] != "idempotency":
            return super()._PutItem(parameters)
        item, values = parameters["Item"], parameters["ExpressionAttributeValues"]
        held = self._idempotency.get(item["id"]["S"])
        if held and not _may_take_over(held, values):
            raise Refused("com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException")
        self._idempotency[item["id"]["S"]] = item
        return {}

    def _GetItem(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if parameters["TableName"] != "idempotency":
            return super()._GetItem(parameters)
        held = self._idempotency.get(parameters["Key"]["id"]["S"])
        return {"Item": held} if held else {}

    def _UpdateItem(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        names, values = parameters["ExpressionAttributeNames"], parameters["ExpressionAttributeValues"]
        told = {name: values[f":{alias[1:]}"] for alias, name in names.items() if f":{alias[1:]}" in values}
        self._idempotency[parameters["Key"]["id"]["S"]] |= told
        return {}

    def _DeleteItem(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._idempotency.pop(parameters["Key"]["id"]["S"], None)
        return {}


def _may_take_over(held: dict[str, Any], values: dict[str, Any]) -> bool:
    """The condition that Powertools puts: the record is over, or whoever works on it ran out of time."""
    is_stale = "in_progress_expiration" in held and _number(held["in_progress_expiration"]) < _number(values[":now_in_millis"])
    return _number(held["expiration"]) < _number(values[":now"]) or (held["status"] == values[":inprogress"] and is_stale)


def _number(value: dict[str, str]) -> int:
    return int(value["N"])
