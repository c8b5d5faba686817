"""Every worker has a queue of its own, dead letters of its own, and someone is told."""

from __future__ import annotations

import re

import pytest

from quittance.runtime.dead_letters import RECEIVES_MAX
from tests.template.conftest import ROOT, WORKERS, Template, arn_of, pascal, text_of

pytestmark = pytest.mark.xdist_group("template")

FOURTEEN_DAYS_S = 14 * 24 * 3600


@pytest.mark.parametrize("folder", WORKERS)
def test_queue_is_fifo_at_high_throughput_and_encrypted(template: Template, folder: str) -> None:
    for queue in (f"{pascal(folder)}Queue", f"{pascal(folder)}DeadLetters"):
        properties = template.properties(queue)
        assert properties["FifoQueue"] is True
        assert properties["DeduplicationScope"] == "messageGroup"
        assert properties["FifoThroughputLimit"] == "perMessageGroupId"
        assert properties["KmsMasterKeyId"] == {"Ref": "Key"}
        assert not properties.get("ContentBasedDeduplication")


@pytest.mark.parametrize("folder", WORKERS)
def test_dead_letters_are_its_own_and_are_kept_for_fourteen_days(template: Template, folder: str) -> None:
    name = pascal(folder)
    redrive = template.properties(f"{name}Queue")["RedrivePolicy"]
    dead_letters = template.properties(f"{name}DeadLetters")
    assert redrive["deadLetterTargetArn"] == arn_of(f"{name}DeadLetters")
    assert redrive["maxReceiveCount"] == RECEIVES_MAX
    assert dead_letters["MessageRetentionPeriod"] == FOURTEEN_DAYS_S
    (source,) = dead_letters["RedriveAllowPolicy"]["sourceQueueArns"]
    assert text_of(source).endswith(f"-{name}.fifo")


def test_there_are_no_other_queues(template: Template) -> None:
    names = {pascal(folder) for folder in (*WORKERS, "event_received")}
    queues = {f"{name}{kind}" for name in names for kind in ("Queue", "DeadLetters")} | {"EvidenceRecordedDeadLetters"}
    assert set(template.of_type("AWS::SQS::Queue")) == queues


@pytest.mark.parametrize("folder", WORKERS)
def test_plain_transport_is_denied_on_both_queues(template: Template, folder: str) -> None:
    name = pascal(folder)
    policy = template.properties(f"{name}QueuePolicy")
    assert policy["Queues"] == [{"Ref": f"{name}Queue"}, {"Ref": f"{name}DeadLetters"}]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Resource"] == [arn_of(f"{name}Queue"), arn_of(f"{name}DeadLetters")]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": False}}


@pytest.mark.parametrize("folder", WORKERS)
def test_each_worker_is_watched(template: Template, folder: str) -> None:
    name = pascal(folder)
    function = {"Ref": f"{name}Function"}
    watched = {
        "DeadLetters": ("ApproximateNumberOfMessagesVisible", {"Fn::GetAtt": [f"{name}DeadLetters", "QueueName"]}),
        "Backlog": ("ApproximateAgeOfOldestMessage", {"Fn::GetAtt": [f"{name}Queue", "QueueName"]}),
        "Errors": ("Errors", function),
        "Throttles": ("Throttles", function),
    }
    for kind, (metric, of) in watched.items():
        alarm = template.properties(f"{name}{kind}Alarm")
        assert (alarm["MetricName"], [dimension["Value"] for dimension in alarm["Dimensions"]]) == (metric, [of])


def test_every_alarm_tells_someone_and_names_its_runbook(template: Template) -> None:
    alarms = template.of_type("AWS::CloudWatch::Alarm")
    assert alarms
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == [{"Ref": "Alarms"}], name
        runbook = re.search(r"Runbook: (docs/runbooks/[a-z-]+\.md)$", text_of(alarm["AlarmDescription"]))
        assert runbook, name
        assert (ROOT / runbook[1]).is_file(), runbook[1]


def test_every_runbook_belongs_to_an_alarm() -> None:
    named = set(re.findall(r"docs/runbooks/([a-z-]+)\.md", (ROOT / "template.yaml").read_text()))
    assert {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")} - {"README"} == named
