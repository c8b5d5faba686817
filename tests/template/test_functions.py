"""Every function is complete: its folder, its environment, its logs, its time limits."""

from __future__ import annotations

import re

import pytest

from tests.template.conftest import FOLDERS, ROOT, WORKERS, Template, arn_of, pascal

pytestmark = pytest.mark.xdist_group("template")

ENVIRONMENT = {
    "APP",
    "STAGE",
    "TABLE_NAME",
    "SPACE_INVOICES_BASE_URL",
    "SPACE_INVOICES_API_KEY_PARAMETER",
    "CONNECTIONS_PATH",
    "QUEUE_URLS",
    "INVOICING_ENVIRONMENT",
    "PUBLIC_WEBHOOKS_URL",
    "POWERTOOLS_SERVICE_NAME",
    "POWERTOOLS_METRICS_NAMESPACE",
    "LOOK_UP_PAYMENTS_BEFORE",
    "REQUESTS_PER_MINUTE",
    "POWERTOOLS_LOG_LEVEL",
    "AWS_ENDPOINT_URL",
    "CERTIFICATES_STAND_IN_URL",
}


def test_every_folder_is_a_function_and_every_function_has_a_folder(template: Template) -> None:
    declared = re.findall(r"^  (\w+)Function:\n(?:    .*\n)*?      CodeUri: functions/(\w+)/$", _source(), re.MULTILINE)
    assert sorted(folder for _, folder in declared) == FOLDERS
    assert all(name == pascal(folder) for name, folder in declared)
    assert set(template.of_type("AWS::Lambda::Function")) == {f"{name}Function" for name, _ in declared}


@pytest.mark.parametrize("folder", FOLDERS)
def test_environment_is_complete_and_has_no_endpoint_in_aws(template: Template, folder: str) -> None:
    variables = template.properties(f"{pascal(folder)}Function")["Environment"]["Variables"]
    own = {
        "event_received": {"EVENTS_CONNECTION"},
        "operations": {"EVENTS_QUEUE_URL", "REPORTS_BUCKET"},
        "reconcile": {"REPORTS_BUCKET"},
        "evidence_recorded": {"JOURNAL_TABLE_NAME", "EVIDENCE_KEYS_PARAMETER"},
        "evidence_anchored": {"JOURNAL_TABLE_NAME", "EVIDENCE_KEYS_PARAMETER", "ANCHORS_BUCKET"},
    }
    assert set(variables) == ENVIRONMENT | own.get(folder, set())
    assert variables["AWS_ENDPOINT_URL"] == {"Fn::If": ["InAws", {"Ref": "AWS::NoValue"}, {"Ref": "AwsEndpointUrl"}]}


@pytest.mark.parametrize("folder", FOLDERS)
def test_logs_go_to_an_encrypted_group_that_forgets(template: Template, folder: str) -> None:
    name = pascal(folder)
    assert template.properties(f"{name}Function")["LoggingConfig"] == {"LogGroup": {"Ref": f"{name}Logs"}}
    group = template.properties(f"{name}Logs")
    assert group["RetentionInDays"]
    assert group["KmsKeyId"] == arn_of("Key")


@pytest.mark.parametrize("folder", FOLDERS)
def test_runs_with_the_layer_under_its_own_role_and_key(template: Template, folder: str) -> None:
    function = template.properties(f"{pascal(folder)}Function")
    assert function["Role"] == arn_of(f"{pascal(folder)}Role")
    assert function["KmsKeyArn"] == arn_of("Key")
    assert len(function["Layers"]) == (2 if folder == "ingest" else 1)
    assert function["Handler"] == "app.handler"


def test_nothing_replaces_the_roots_of_trust_in_aws(template: Template) -> None:
    """Who chooses them could sign payments. In AWS no parameter reaches the variable, whatever its value."""
    variables = template.properties("IngestFunction")["Environment"]["Variables"]
    chosen = {"Fn::If": ["InAws", {"Ref": "AWS::NoValue"}, {"Ref": "CertificatesStandInUrl"}]}
    assert variables["CERTIFICATES_STAND_IN_URL"] == chosen


def test_ingest_answers_before_the_strictest_sender_gives_up(template: Template) -> None:
    strictest_sender_s = 10
    assert template.properties("IngestFunction")["Timeout"] <= strictest_sender_s


@pytest.mark.parametrize("folder", WORKERS)
def test_queue_waits_six_times_as_long_as_the_function_may_run(template: Template, folder: str) -> None:
    timeout = template.properties(f"{pascal(folder)}Function")["Timeout"]
    assert template.properties(f"{pascal(folder)}Queue")["VisibilityTimeout"] >= 6 * timeout


@pytest.mark.parametrize("folder", WORKERS)
def test_reads_its_own_queue_and_reports_each_message(template: Template, folder: str) -> None:
    name = pascal(folder)
    source = template.properties(f"{name}Source")
    assert source["EventSourceArn"] == arn_of(f"{name}Queue")
    assert source["FunctionName"] == {"Ref": f"{name}Function"}
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["BatchSize"] <= 10, "the most that Lambda takes from a FIFO queue"


@pytest.mark.parametrize(
    ("folder", "schedule"), [("fees_closed", "cron("), ("evidence_anchored", "rate("), ("reconcile", "rate(")]
)
def test_what_runs_by_the_clock_is_called_by_its_own_schedule_only(template: Template, folder: str, schedule: str) -> None:
    function = f"{pascal(folder)}Function"
    rules = [one for one in template.of_type("AWS::Events::Rule").values() if "ScheduleExpression" in one]
    (rule,) = [one for one in rules if [target["Arn"] for target in one["Targets"]] == [arn_of(function)]]
    assert rule["ScheduleExpression"].startswith(schedule)
    permissions = template.of_type("AWS::Lambda::Permission").values()
    allowed = [one for one in permissions if one["FunctionName"] == {"Ref": function}]
    assert [(one["Principal"], "SourceArn" in one) for one in allowed] == [("events.amazonaws.com", True)]


def test_layer_is_built_for_what_the_template_says() -> None:
    makefile = (ROOT / "shared" / "Makefile").read_text()
    runtime = re.search(r"^  PythonRuntime:\n    Type: String\n    Default: (\S+)", _source(), re.MULTILINE)
    architecture = re.search(r"^  Architecture:\n    Type: String\n    Default: (\S+)", _source(), re.MULTILINE)
    assert runtime
    assert architecture
    assert f"QUITTANCE_RUNTIME ?= {runtime[1]}\n" in makefile
    assert f"QUITTANCE_ARCHITECTURE ?= {architecture[1]}\n" in makefile


def _source() -> str:
    return (ROOT / "template.yaml").read_text()
