"""Least privilege: every role is spelled out here once more, so that widening one is a decision."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quittance.reconciliation.sittings import KEYS as RUN_KEYS
from quittance.reconciliation.standing import reconciliation_pk
from quittance.runtime.reconciling import WORKBOOKS
from quittance.runtime.report_links import PREFIX
from tests.template.conftest import FOLDERS, WORKERS, Template, arn_of, one_or_many, pascal, text_of

pytestmark = pytest.mark.xdist_group("template")

LEDGER_WORKERS = [folder for folder in WORKERS if folder not in {"event_ignored", "object_fetched"}]
REVISIT_SENDERS = ["business_customer_changed", "payout_settled"]
FROM_OUTSIDE = [folder for folder in WORKERS if folder not in {"fees_closed", "payment_revisited"}]
"""What a delivery may be about: nobody reports that a month is over, or that a payment is to be looked at again."""
NOT_FETCHED = {"business_customer_changed", "document_changed"}
"""What no provider's API can tell of."""
SENDERS = {folder: ["payment_revisited"] for folder in REVISIT_SENDERS} | {
    "fees_closed": ["fees_closed"],
    "object_fetched": [folder for folder in FROM_OUTSIDE if folder not in NOT_FETCHED],
}
CONSUME = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"}
READ_ALL = {"GetItem", "Query", "Scan"}
LEDGER = {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"}


def test_each_function_has_a_role_of_its_own(template: Template) -> None:
    functions = template.of_type("AWS::Lambda::Function").values()
    assert len({json.dumps(function["Role"]) for function in functions}) == len(functions)


def test_no_role_has_a_managed_policy(template: Template) -> None:
    roles = template.of_type("AWS::IAM::Role")
    assert len(roles) == len(FOLDERS) + 1, "one for each function, one for API Gateway's logs"
    assert not [name for name, role in roles.items() if role.get("ManagedPolicyArns")]


def test_no_action_is_a_wildcard_and_no_resource_without_need(template: Template) -> None:
    allowed_everywhere = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
    for role in template.of_type("AWS::IAM::Role"):
        if role == "ApiGatewayAccountRole":
            continue
        for statement in template.statements(role):
            actions = set(one_or_many(statement["Action"]))
            assert not [action for action in actions if "*" in action], role
            if "*" in one_or_many(statement["Resource"]):
                assert actions == allowed_everywhere, role


@pytest.mark.parametrize("folder", FOLDERS)
def test_writes_to_its_own_log_group_only(template: Template, folder: str) -> None:
    group = [arn_of(f"{pascal(folder)}Logs")]
    assert template.allowed(f"{pascal(folder)}Role", "logs") == {"logs:CreateLogStream": group, "logs:PutLogEvents": group}


@pytest.mark.parametrize("folder", WORKERS)
def test_consumes_its_own_queue_only(template: Template, folder: str) -> None:
    allowed = template.allowed(f"{pascal(folder)}Role", "sqs")
    assert {action: allowed[action] for action in CONSUME} == {action: [arn_of(f"{pascal(folder)}Queue")] for action in CONSUME}
    assert set(allowed) - CONSUME <= {"sqs:SendMessage"}


@pytest.mark.parametrize("folder", WORKERS)
def test_sends_to_the_queues_it_is_told_of(template: Template, folder: str) -> None:
    allowed = template.allowed(f"{pascal(folder)}Role", "sqs").get("sqs:SendMessage", [])
    expected = SENDERS.get(folder, [])
    own_dead_letters = str(arn_of(f"{pascal(folder)}DeadLetters"))
    assert sorted(map(str, allowed)) == sorted([own_dead_letters, *(str(arn_of(f"{pascal(name)}Queue")) for name in expected)])
    urls = template.properties(f"{pascal(folder)}Function")["Environment"]["Variables"]["QUEUE_URLS"]
    assert set(_queues(urls)) == set(expected)


def test_ingest_sends_to_every_worker_that_hears_from_outside_and_consumes_nothing(template: Template) -> None:
    allowed = template.allowed("IngestRole", "sqs")
    assert set(allowed) == {"sqs:SendMessage"}
    queues = {pascal(folder): arn_of(f"{pascal(folder)}Queue") for folder in FROM_OUTSIDE}
    assert sorted(map(str, allowed["sqs:SendMessage"])) == sorted(map(str, queues.values()))
    variables = template.properties("IngestFunction")["Environment"]["Variables"]
    assert _queues(variables["QUEUE_URLS"]) == {folder: {"Ref": f"{pascal(folder)}Queue"} for folder in FROM_OUTSIDE}


@pytest.mark.parametrize("folder", LEDGER_WORKERS)
def test_keeps_the_ledger_without_scanning_it(template: Template, folder: str) -> None:
    allowed = template.allowed(f"{pascal(folder)}Role", "dynamodb")
    table, index = allowed.pop("dynamodb:Query")
    assert allowed == {f"dynamodb:{action}": [arn_of("Table")] for action in LEDGER}
    assert (table, text_of(index)) == (arn_of("Table"), "${Table.Arn}/index/by_reference")


def test_ignored_events_are_written_and_nothing_else(template: Template) -> None:
    assert template.allowed("EventIgnoredRole", "dynamodb") == {"dynamodb:PutItem": [arn_of("Table")]}
    assert not template.allowed("EventIgnoredRole", "ssm")


def test_reconciling_reads_all_and_writes_only_what_it_found(template: Template) -> None:
    statements = {one["Sid"]: one for one in template.statements("ReconcileRole")}
    assert template.allowed("ReconcileRole", "dynamodb").keys() == {f"dynamodb:{one}" for one in READ_ALL} | {"dynamodb:PutItem"}
    partitions = statements["KeepFindings"]["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    assert partitions == [RUN_KEYS[0], reconciliation_pk("*")]
    written = {text_of(r) for r in template.allowed("ReconcileRole", "s3")["s3:PutObject"]}
    assert written == {f"${{ReportsBucket.Arn}}/{prefix}*" for prefix in (WORKBOOKS, PREFIX)}
    assert not template.allowed("ReconcileRole", "sqs"), "it asks for nothing to be changed"


def test_ingest_does_not_touch_the_ledger(template: Template) -> None:
    assert not template.allowed("IngestRole", "dynamodb")


def test_signing_secrets_and_keys_of_providers_apis_are_read_apart(template: Template) -> None:
    """Who hears the internet has no key to an API, and who asks an API cannot sign."""
    leaves = {"IngestRole": ["secret", "secret-previous", "settings"], "ObjectFetchedRole": ["api-key", "settings"]}
    for role, expected in leaves.items():
        (action, resources), *others = template.allowed(role, "ssm").items()
        assert (action, others) == ("ssm:GetParameters", [])
        path = ":parameter/quittance/dev/connections/*/"
        assert sorted(text_of(resource).partition(path)[2] for resource in resources) == expected


def test_only_ledger_workers_read_the_api_key(template: Template) -> None:
    for folder in LEDGER_WORKERS:
        allowed = template.allowed(f"{pascal(folder)}Role", "ssm")
        (key,) = {json.dumps(r) for action, rs in allowed.items() if action != "ssm:PutParameter" for r in rs}
        assert "/space-invoices/api-key" in key
        assert "*" not in key


def test_only_registrations_store_secrets_and_only_those_of_the_invoicing_api(template: Template) -> None:
    writers = [folder for folder in FOLDERS if "ssm:PutParameter" in template.allowed(f"{pascal(folder)}Role", "ssm")]
    assert writers == ["business_customer_changed"]
    (secrets,) = template.allowed("BusinessCustomerChangedRole", "ssm")["ssm:PutParameter"]
    assert text_of(secrets).endswith(":parameter/quittance/dev/connections/space-invoices/*/secret")


@pytest.mark.parametrize("folder", FOLDERS)
def test_uses_the_key_for_what_is_encrypted_with_it(template: Template, folder: str) -> None:
    allowed = template.allowed(f"{pascal(folder)}Role", "kms")
    assert {"kms:Decrypt", "kms:GenerateDataKey"} <= set(allowed)
    assert {json.dumps(r) for resources in allowed.values() for r in resources} == {json.dumps(arn_of("Key"))}


def test_the_key_rotates_and_no_one_else_may_use_it(template: Template) -> None:
    key = template.properties("Key")
    assert key["EnableKeyRotation"] is True
    for statement in key["KeyPolicy"]["Statement"]:
        assert statement["Principal"] != "*"
        if "Service" in statement["Principal"]:
            assert all(statement["Condition"].values()), "a service is bound to this account's own resources"


def _queues(urls: Any) -> dict[str, Any]:
    """QUEUE_URLS, which is JSON, written or made."""
    match urls:
        case {"Fn::ToJsonString": mapping}:
            return dict(mapping)
        case _:
            return dict(json.loads(text_of(urls)))
