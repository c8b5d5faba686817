"""The operators' API is open to whom IAM lets in, and to nobody else; the function behind it can do no more than it must."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from aws_lambda_powertools.event_handler.openapi.models import OpenAPI
from jsonschema import Draft202012Validator

from quittance.acknowledgements import acknowledged_pk
from quittance.operations.audit import audit_pk
from tests.template.conftest import WORKERS, Template, arn_of, pascal, text_of
from tools.operations_openapi import FILE, document, rendered

pytestmark = pytest.mark.xdist_group("template")

OPEN = {("post", "/webhooks/{provider}/{connection}"), ("get", "/health")}
"""What anybody may call: senders are known by their signatures."""


def routes(template: Template) -> dict[tuple[str, str], dict[str, Any]]:
    (api,) = template.of_type("AWS::ApiGateway::RestApi").values()
    paths = api["Body"]["paths"]
    return {(method, path): operation for path, methods in paths.items() for method, operation in methods.items()}


def test_every_route_but_the_senders_asks_iam(template: Template) -> None:
    (api,) = template.of_type("AWS::ApiGateway::RestApi").values()
    assert api["Body"]["components"]["securitySchemes"]["AWS_IAM"]["x-amazon-apigateway-authtype"] == "awsSigv4"
    asking = {route for route, operation in routes(template).items() if operation.get("security") == [{"AWS_IAM": []}]}
    assert asking == set(routes(template)) - OPEN
    assert len(asking) > 10


def test_a_caller_needs_the_route_and_not_the_function(template: Template) -> None:
    """With the caller's own credentials everybody who may ask could invoke the function with any event, as anybody."""
    for (_, path), operation in routes(template).items():
        assert "credentials" not in operation["x-amazon-apigateway-integration"], path


def test_the_routes_are_those_of_the_document(template: Template) -> None:
    described = {(method, path) for path, methods in document()["paths"].items() for method in methods}
    assert described == set(routes(template)) - OPEN


def test_the_document_is_current() -> None:
    assert FILE.read_text(encoding="utf-8") == rendered(), "run `python -m tools.operations_openapi`"


def test_the_document_is_openapi_and_its_schemas_are_json_schema() -> None:
    told = json.loads(FILE.read_text(encoding="utf-8"))
    OpenAPI.model_validate(told)
    for schema in told["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    resolvable = {f"#/components/schemas/{name}" for name in told["components"]["schemas"]}
    assert references(told) == resolvable
    ids = [operation["operationId"] for path in told["paths"].values() for operation in path.values()]
    assert len(set(ids)) == len(ids)


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        return ({value["$ref"]} if "$ref" in value else set()).union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize(
    ("good", "bad"), [({"limit": 5}, {"limit": 0}), ({}, {"cause": ""}), ({"cause": "defect"}, {"cause": 5})]
)
def test_the_schema_of_a_body_says_what_is_checked(good: dict[str, Any], bad: dict[str, Any]) -> None:
    schemas = document()["components"]["schemas"]
    jsonschema.validate(good, schemas["Redrive"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, schemas["Redrive"])


def test_it_knows_every_queue(template: Template) -> None:
    variables = template.properties("OperationsFunction")["Environment"]["Variables"]
    urls = variables["QUEUE_URLS"]
    told = urls["Fn::ToJsonString"] if isinstance(urls, dict) else json.loads(urls)
    assert told == {folder: {"Ref": f"{pascal(folder)}Queue"} for folder in WORKERS}
    assert variables["EVENTS_QUEUE_URL"] == {"Ref": "EventReceivedQueue"}


def test_it_reads_the_ledger_and_writes_nothing_but_its_audit_and_acknowledgements(template: Template) -> None:
    writing = [one for one in template.statements("OperationsRole") if "dynamodb:PutItem" in str(one["Action"])]
    [statement] = writing
    partitions = [audit_pk("*"), acknowledged_pk("*")]
    assert statement["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": partitions}}
    allowed = template.allowed("OperationsRole", "dynamodb")
    assert set(allowed) == {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"}


def test_it_takes_messages_from_dead_letters_only(template: Template) -> None:
    allowed = template.allowed("OperationsRole", "sqs")
    assert set(allowed) == {
        "sqs:SendMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:ChangeMessageVisibility",
    }
    for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"):
        assert all(text_of(arn).endswith(":quittance-dev-*-DeadLetters*") for arn in allowed[action])
    assert all(text_of(arn).endswith(":quittance-dev-*") for arn in allowed["sqs:SendMessage"])


def test_a_worker_writes_to_its_own_dead_letters_by_the_name_that_the_code_knows(template: Template) -> None:
    for name in [pascal(folder) for folder in (*WORKERS, "event_received")]:
        queue, letters = (template.properties(f"{name}{kind}")["QueueName"] for kind in ("Queue", "DeadLetters"))
        base = text_of(queue).removesuffix(".fifo")
        assert text_of(letters) == f"{base}-DeadLetters" + text_of(queue).removeprefix(base)
        assert arn_of(f"{name}DeadLetters") in template.allowed(f"{name}Role", "sqs")["sqs:SendMessage"]


def test_api_gateway_waits_as_long_as_the_function(template: Template) -> None:
    assert template.properties("OperationsFunction")["Timeout"] == 29
