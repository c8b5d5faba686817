"""The evidence journal: out of reach of those who keep the ledger, and its anchors out of reach of everybody."""

from __future__ import annotations

import json

import pytest

from quittance.journal.changes import AUDIT, BY_CUSTOMER, CASE, OWNER
from tests.template.conftest import Template, arn_of, text_of

pytestmark = pytest.mark.xdist_group("template")

RECORDED, ANCHORED = "EvidenceRecordedRole", "EvidenceAnchoredRole"


def test_the_ledger_tells_of_every_change_with_what_was_before(template: Template) -> None:
    assert template.properties("Table")["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"


def test_the_journal_reads_the_stream_from_its_beginning_and_keeps_what_it_gives_up(template: Template) -> None:
    source = template.properties("EvidenceRecordedSource")
    assert source["EventSourceArn"] == {"Fn::GetAtt": ["Table", "StreamArn"]}
    assert source["FunctionName"] == {"Ref": "EvidenceRecordedFunction"}
    assert source["StartingPosition"] == "TRIM_HORIZON"
    assert source["BisectBatchOnFunctionError"] is True
    assert source["DestinationConfig"] == {"OnFailure": {"Destination": arn_of("EvidenceRecordedDeadLetters")}}
    assert source["MaximumRecordAgeInSeconds"] < 24 * 3600, "what the stream has forgotten cannot be looked at"
    assert "MaximumRetryAttempts" not in source, "an outage is no reason to give up"


def test_every_kind_of_evidence_passes_the_filter(template: Template) -> None:
    (filters,) = template.properties("EvidenceRecordedSource")["FilterCriteria"]["Filters"]
    prefixes = json.loads(filters["Pattern"])["dynamodb"]["Keys"]["pk"]["S"]
    assert {one["prefix"] for one in prefixes} == {f"{name}#" for name in (*BY_CUSTOMER, CASE, OWNER, AUDIT)}


def test_who_keeps_the_ledger_cannot_touch_the_journal_or_its_anchors(template: Template) -> None:
    """Two functions can, and neither takes anything away."""
    for role in template.of_type("AWS::IAM::Role"):
        reached = {
            str(one) for service in ("dynamodb", "s3") for ones in template.allowed(role, service).values() for one in ones
        }
        touched = [one for one in reached if "JournalTable" in one or "AnchorsBucket" in one]
        assert bool(touched) == (role in {RECORDED, ANCHORED}), role


def test_the_recorder_reads_the_ledger_and_appends_to_the_journal(template: Template) -> None:
    allowed = template.allowed(RECORDED, "dynamodb")
    stream = {"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}
    assert {text_of(*allowed.pop(f"dynamodb:{action}")) for action in stream} == {"${Table.Arn}/stream/*"}
    assert allowed == {
        "dynamodb:GetItem": [arn_of("Table"), arn_of("JournalTable")],
        "dynamodb:PutItem": [arn_of("JournalTable")],
    }
    assert template.allowed(RECORDED, "sqs") == {"sqs:SendMessage": [arn_of("EvidenceRecordedDeadLetters")]}
    assert not template.allowed(RECORDED, "s3")


def test_who_anchors_reads_heads_and_adds_files(template: Template) -> None:
    assert template.allowed(ANCHORED, "dynamodb") == {"dynamodb:Query": [arn_of("JournalTable")]}
    allowed = template.allowed(ANCHORED, "s3")
    assert set(allowed) == {"s3:ListBucket", "s3:PutObject"}
    assert text_of(*allowed["s3:PutObject"]) == "${AnchorsBucket.Arn}/anchors/*"


@pytest.mark.parametrize("role", [RECORDED, ANCHORED])
def test_only_the_journals_functions_read_its_keys(template: Template, role: str) -> None:
    (name,) = template.allowed(role, "ssm")["ssm:GetParameter"]
    assert text_of(name).endswith("/evidence/keys")
    others = set(template.of_type("AWS::IAM::Role")) - {RECORDED, ANCHORED}
    assert not [other for other in others if "/evidence/" in json.dumps(template.allowed(other, "ssm"))]


def test_anchors_are_locked_versioned_and_private(template: Template) -> None:
    bucket = template.properties("AnchorsBucket")
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["ObjectLockEnabled"] is True
    retention = bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert retention == {"Mode": "GOVERNANCE", "Days": 3653}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    encrypted, writers = template.properties("AnchorsBucketPolicy")["PolicyDocument"]["Statement"]
    assert (encrypted["Effect"], encrypted["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": False}})
    assert writers["Effect"] == "Deny"
    assert {"s3:PutObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"} <= set(writers["Action"])
    assert writers["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": arn_of(ANCHORED)}}


@pytest.mark.parametrize("logical_id", ["JournalTable", "AnchorsBucket"])
def test_the_journal_and_its_anchors_outlive_the_stack(template: Template, logical_id: str) -> None:
    assert template.resources[logical_id]["DeletionPolicy"] == "Retain"
    assert template.resources[logical_id]["UpdateReplacePolicy"] == "Retain"


def test_the_journal_is_encrypted_and_recoverable(template: Template) -> None:
    table = template.properties("JournalTable")
    assert table["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": arn_of("Key")}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert "TimeToLiveSpecification" not in table


@pytest.mark.parametrize(
    ("alarm", "metric", "watched"),
    [
        ("EvidenceRecordedDeadLettersAlarm", "ApproximateNumberOfMessagesVisible", "EvidenceRecordedDeadLetters"),
        ("EvidenceRecordedBacklogAlarm", "IteratorAge", "EvidenceRecordedFunction"),
        ("EvidenceRecordedErrorsAlarm", "Errors", "EvidenceRecordedFunction"),
        ("EvidenceAnchoredErrorsAlarm", "Errors", "EvidenceAnchoredFunction"),
        ("EvidenceAnchoredLateAlarm", "Invocations", "EvidenceAnchoredFunction"),
    ],
)
def test_somebody_is_told_when_evidence_is_not_kept(template: Template, alarm: str, metric: str, watched: str) -> None:
    properties = template.properties(alarm)
    assert properties["MetricName"] == metric
    assert watched in json.dumps(properties["Dimensions"])
