"""What must survive survives, and what comes in is limited."""

from __future__ import annotations

import json

import pytest

from tests.template.conftest import Template, arn_of

pytestmark = pytest.mark.xdist_group("template")


@pytest.mark.parametrize("logical_id", ["Table", "Key"])
def test_the_ledger_and_its_key_outlive_the_stack(template: Template, logical_id: str) -> None:
    assert template.resources[logical_id]["DeletionPolicy"] == "Retain"
    assert template.resources[logical_id]["UpdateReplacePolicy"] == "Retain"


def test_the_ledger_is_encrypted_recoverable_and_forgets_only_by_expires_at(template: Template) -> None:
    table = template.properties("Table")
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": arn_of("Key")}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    (index,) = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "by_reference"
    assert index["KeySchema"] == [{"AttributeName": "reference", "KeyType": "HASH"}]


def test_the_api_is_throttled_and_keeps_no_bodies(template: Template) -> None:
    (stage,) = template.of_type("AWS::ApiGateway::Stage").values()
    (setting,) = stage["MethodSettings"]
    assert setting["ThrottlingRateLimit"] > 0
    assert setting["ThrottlingBurstLimit"] > 0
    assert setting["DataTraceEnabled"] is False
    assert stage["AccessLogSetting"]["DestinationArn"] == arn_of("ApiLogs")


def test_access_logs_are_json_without_anything_a_sender_wrote(template: Template) -> None:
    (stage,) = template.of_type("AWS::ApiGateway::Stage").values()
    fields = json.loads(stage["AccessLogSetting"]["Format"])
    assert not [value for value in fields.values() if "header" in value or "querystring" in value or "$context.path" in value]


def test_bodies_reach_ingest_as_the_bytes_that_were_signed(template: Template) -> None:
    (api,) = template.of_type("AWS::ApiGateway::RestApi").values()
    body = api.get("BinaryMediaTypes") or api["Body"]["x-amazon-apigateway-binary-media-types"]
    assert body == ["*/*"]


def test_alarms_are_encrypted(template: Template) -> None:
    assert template.properties("Alarms")["KmsMasterKeyId"] == {"Ref": "Key"}
