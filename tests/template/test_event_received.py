"""The entrance for events that never leave AWS: there only if asked for, open only to whom IAM and the rules let in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from quittance.runtime.dead_letters import RECEIVES_MAX
from tests.template.conftest import Template, arn_of, text_of

pytestmark = pytest.mark.xdist_group("template")

OF_THE_ENTRANCE = "EventReceived"
NEVER_RECEIVED = {"DocumentChangedQueue"}
"""What only the invoicing API's deliveries are about."""


def test_nothing_of_it_is_there_unless_asked_for(template: Template) -> None:
    conditions = {
        name: body.get("Condition")
        for name, body in template.resources.items()
        if name.startswith(OF_THE_ENTRANCE) or name.endswith("EventsRule")
    }
    assert len(conditions) == 13
    assert {name: conditions.pop(name) for name in ("StripeEventsRule", "PlatformEventsRule", "EventReceivedQueuePolicy")} == {
        "StripeEventsRule": "TakesStripeBus",
        "PlatformEventsRule": "TakesPlatformBus",
        "EventReceivedQueuePolicy": "TakesEventsInAws",
    }
    assert set(conditions.values()) == {"TakesEvents"}


@pytest.mark.parametrize(
    ("rule", "bus", "pattern"),
    [
        ("StripeEventsRule", "aws.partner/stripe.com/ed_1", {"source": [{"prefix": "aws.partner/stripe.com/"}]}),
        ("PlatformEventsRule", "platform", {"detail": {"specversion": ["1.0"]}}),
    ],
)
def test_a_bus_writes_to_the_queue_and_loses_nothing(template: Template, rule: str, bus: str, pattern: dict[str, Any]) -> None:
    properties = template.properties(rule)
    (target,) = properties["Targets"]
    assert (properties["EventBusName"], properties["EventPattern"]) == (bus, pattern)
    assert target["Arn"] == arn_of("EventReceivedQueue")
    assert target["DeadLetterConfig"] == {"Arn": arn_of("EventReceivedDeadLetters")}


def test_only_this_stacks_rules_are_let_in_from_outside_of_iam(template: Template) -> None:
    deny, allow = template.properties("EventReceivedQueuePolicy")["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Principal"], deny["Condition"]) == ("Deny", "*", {"Bool": {"aws:SecureTransport": False}})
    assert (allow["Principal"], allow["Action"]) == ({"Service": "events.amazonaws.com"}, "sqs:SendMessage")
    rules = [text_of(arn) for arn in allow["Condition"]["ArnLike"]["aws:SourceArn"]]
    assert {arn.rpartition("/")[2] for arn in rules} == {f"*quittance-dev-{name}" for name in ("stripe", "platform")}


def test_an_event_bus_may_use_the_key_of_the_queue(template: Template) -> None:
    statements = {statement["Sid"]: statement for statement in template.properties("Key")["KeyPolicy"]["Statement"]}
    granted = statements["EventBusesWriteToEncryptedQueue"]
    assert granted["Principal"] == {"Service": "events.amazonaws.com"}
    assert set(granted["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey"}
    assert set(granted["Condition"]["StringEquals"]) == {"aws:SourceAccount"}


def test_its_queues_are_encrypted_and_keep_what_is_given_up_on(template: Template) -> None:
    queue, dead_letters = (template.properties(f"EventReceived{kind}") for kind in ("Queue", "DeadLetters"))
    assert queue["KmsMasterKeyId"] == dead_letters["KmsMasterKeyId"] == {"Ref": "Key"}
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": arn_of("EventReceivedDeadLetters"), "maxReceiveCount": RECEIVES_MAX}
    assert dead_letters["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert queue["VisibilityTimeout"] >= 6 * template.properties("EventReceivedFunction")["Timeout"]


def test_it_is_fed_by_its_queue_and_reports_each_message(template: Template) -> None:
    source = template.properties("EventReceivedSource")
    assert source["EventSourceArn"] == arn_of("EventReceivedQueue")
    assert source["FunctionName"] == {"Ref": "EventReceivedFunction"}
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_it_may_do_what_ingest_may_but_reads_no_secrets(template: Template) -> None:
    allowed = template.allowed("EventReceivedRole", "sqs")
    sends = allowed.pop("sqs:SendMessage")
    sends.remove(arn_of("EventReceivedDeadLetters"))
    assert {str(resource) for resources in allowed.values() for resource in resources} == {str(arn_of("EventReceivedQueue"))}
    of_ingest = {str(arn) for arn in template.allowed("IngestRole", "sqs")["sqs:SendMessage"]}
    assert {str(arn) for arn in sends} == of_ingest - {str(arn_of(queue)) for queue in NEVER_RECEIVED}
    urls = template.properties("EventReceivedFunction")["Environment"]["Variables"]["QUEUE_URLS"]
    told = urls["Fn::ToJsonString"] if isinstance(urls, dict) else json.loads(urls)
    assert {url["Ref"] for url in told.values()} == {arn["Fn::GetAtt"][0] for arn in sends}
    assert not template.allowed("EventReceivedRole", "ssm")
    assert not template.allowed("EventReceivedRole", "dynamodb")


@pytest.mark.parametrize(
    ("kind", "metric", "watched"),
    [
        ("DeadLetters", "ApproximateNumberOfMessagesVisible", {"Fn::GetAtt": ["EventReceivedDeadLetters", "QueueName"]}),
        ("Backlog", "ApproximateAgeOfOldestMessage", {"Fn::GetAtt": ["EventReceivedQueue", "QueueName"]}),
        ("Errors", "Errors", {"Ref": "EventReceivedFunction"}),
        ("Throttles", "Throttles", {"Ref": "EventReceivedFunction"}),
    ],
)
def test_it_is_watched_like_every_worker(template: Template, kind: str, metric: str, watched: dict[str, Any]) -> None:
    alarm = template.properties(f"EventReceived{kind}Alarm")
    assert (alarm["MetricName"], [dimension["Value"] for dimension in alarm["Dimensions"]]) == (metric, [watched])
