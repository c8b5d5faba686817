"""Alarms, dashboard, metrics and runbooks say the same things about each other."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from quittance.reconciliation.results import Reconciliation, Severity
from quittance.reconciliation.tally import Tally, levels
from quittance.runtime.observability import NAMESPACE, count, level
from tests.template.conftest import ROOT, Template, text_of

pytestmark = pytest.mark.xdist_group("template")

RUNBOOKS = ROOT / "docs" / "runbooks"
OF_SERVICE = "service"
COUNTED = ("service", "service,provider,event_type")
"""The dimensions under which `count` puts a metric: alone, and what a search finds."""
OF_AWS = {
    "AWS/ApiGateway": {"Count", "4XXError", "5XXError", "Latency"},
    "AWS/DynamoDB": {"ReadThrottleEvents", "WriteThrottleEvents", "TransactionConflict"},
    "AWS/Lambda": {"Errors", "Throttles", "Duration", "Invocations", "IteratorAge"},
    "AWS/SQS": {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"},
}
"""As the services document them, with the dimensions below."""
DIMENSIONS = {
    "AWS/ApiGateway": "ApiName,Stage",
    "AWS/DynamoDB": "TableName",
    "AWS/Lambda": "FunctionName",
    "AWS/SQS": "QueueName",
}
_SEARCH = re.compile(r"SEARCH\('\{(?P<schema>[^}]+)\} MetricName=\"(?P<metric>\w+)\" (?P<terms>[^']+)', '(?P<stat>\w+)', \d+\)")

Metric = tuple[str, str, str]
"""Namespace, name, and the names of its dimensions."""


def widgets(template: Template) -> list[dict[str, Any]]:
    body = template.properties("Dashboard")["DashboardBody"]
    shown: list[dict[str, Any]] = (json.loads(body) if isinstance(body, str) else body["Fn::ToJsonString"])["widgets"]
    return shown


def drawn(template: Template) -> Iterator[Metric]:
    """Every metric of the dashboard."""
    for widget in widgets(template):
        for line in widget["properties"].get("metrics", ()):
            if isinstance(line[0], dict):
                search = _SEARCH.fullmatch(text_of(line[0]["expression"]))
                assert search, line
                namespace, dimensions = search["schema"].split(",", 1)
                yield namespace, search["metric"], dimensions
            else:
                namespace, metric, *dimensions = [part for part in line if not (isinstance(part, dict) and "label" in part)]
                yield namespace, metric, ",".join(dimensions[::2])


def alarmed(template: Template) -> Iterator[Metric]:
    for alarm in template.of_type("AWS::CloudWatch::Alarm").values():
        yield alarm["Namespace"], alarm["MetricName"], ",".join(one["Name"] for one in alarm["Dimensions"])


def counted_in_the_code() -> set[str]:
    """What the product's sources name, and so may count."""
    sources = [*(ROOT / "shared" / "quittance").rglob("*.py"), *(ROOT / "functions").glob("*/app.py")]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sources if path.name != "tally.py"]
    constants = {node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return {name for name in constants if isinstance(name, str) and re.fullmatch(r"(?:[A-Z][a-z]+)+", name)}


def levels_put(capsys: pytest.CaptureFixture[str]) -> set[Metric]:
    """What a reconciliation puts, by its own output."""
    nothing = Reconciliation(id="", started_at=0, finished_at=0, customers=())
    for one in levels(nothing, Tally(0)):
        level(one.metric, one.value, one.severity)
    return put(capsys)


def put(capsys: pytest.CaptureFixture[str]) -> set[Metric]:
    lines = [json.loads(line)["_aws"]["CloudWatchMetrics"] for line in capsys.readouterr().out.splitlines()]
    return {
        (of["Namespace"], metric["Name"], ",".join(dimensions))
        for (of,) in lines
        for metric in of["Metrics"]
        for dimensions in of["Dimensions"]
    }


def test_counting_puts_the_dimensions_that_are_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    count("X", provider="stripe", event_type="refund")
    assert put(capsys) == {(NAMESPACE, "X", dimensions) for dimensions in COUNTED}


def test_whatever_is_watched_is_measured(template: Template, capsys: pytest.CaptureFixture[str]) -> None:
    levelled, counted = levels_put(capsys), counted_in_the_code()
    watched = {*drawn(template), *alarmed(template)}
    assert len(watched) > 30
    for namespace, metric, dimensions in watched:
        if namespace != NAMESPACE:
            assert metric in OF_AWS[namespace], metric
            assert dimensions == DIMENSIONS[namespace]
        elif (namespace, metric, dimensions) not in levelled:
            assert metric in counted, metric
            assert dimensions in COUNTED, (metric, dimensions)


def test_what_a_reconciliation_measures_is_shown_or_alarmed(template: Template, capsys: pytest.CaptureFixture[str]) -> None:
    assert levels_put(capsys) <= {*drawn(template), *alarmed(template)}


def test_what_is_watched_belongs_to_this_stack(template: Template) -> None:
    """By name, in what a search looks for; by reference otherwise."""
    for widget in widgets(template):
        for line in widget["properties"].get("metrics", ()):
            assert any(name in json.dumps(line) for name in ("${App}-${Stage}", "quittance-dev", '{"Ref": ')), line


def test_rows_of_the_dashboard_are_full(template: Template) -> None:
    """Widgets have no position of their own: what does not fill a row would move all that follow."""
    used = 0
    for widget in widgets(template):
        used += widget["width"]
        assert used <= 24, widget
        used %= 24
    assert used == 0


def test_alarms_on_the_dashboard_exist(template: Template) -> None:
    (shown,) = [widget["properties"]["alarms"] for widget in widgets(template) if widget["type"] == "alarm"]
    named = [alarm["Fn::GetAtt"][0] for alarm in shown]
    assert set(named) <= set(template.of_type("AWS::CloudWatch::Alarm"))
    assert len(set(named)) == len(named) > 3


def test_every_function_is_watched_for_errors(template: Template) -> None:
    watched = [
        alarm["Dimensions"][0]["Value"]["Ref"]
        for alarm in template.of_type("AWS::CloudWatch::Alarm").values()
        if (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", "Errors")
    ]
    # Ingest answers 5xx when it fails, which is the alarm of the API.
    assert set(template.of_type("AWS::Lambda::Function")) - {"IngestFunction"} == set(watched)


def test_two_days_without_a_reconciliation_are_an_alarm(template: Template) -> None:
    alarm = template.properties("ReconciliationLateAlarm")
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 2 * 24 * 3600
    assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == ("Sum", "LessThanThreshold", 1)


@pytest.mark.parametrize("name", ["CriticalFindings", "OverdueFindings", "Residuals"])
def test_what_a_reconciliation_found_stays_alarmed_until_the_next_one(template: Template, name: str) -> None:
    alarm = template.properties(f"{name}Alarm")
    assert alarm["TreatMissingData"] == "ignore"
    assert (alarm["Statistic"], alarm["ComparisonOperator"], alarm["Threshold"]) == ("Maximum", "GreaterThanThreshold", 0)
    assert alarm["OKActions"] == alarm["AlarmActions"]


def test_the_alarm_on_critical_findings_is_on_no_others(template: Template) -> None:
    dimensions = {one["Name"]: text_of(one["Value"]) for one in template.properties("CriticalFindingsAlarm")["Dimensions"]}
    assert dimensions["severity"] == Severity.CRITICAL


def test_the_list_of_runbooks_is_complete_and_every_link_leads_somewhere() -> None:
    listed = set(re.findall(r"\(([a-z-]+\.md)\)", (RUNBOOKS / "README.md").read_text(encoding="utf-8")))
    assert listed == {path.name for path in RUNBOOKS.glob("*.md")} - {"README.md"}
    for page in [*RUNBOOKS.glob("*.md"), ROOT / "docs" / "reports.md"]:
        for link in re.findall(r"\]\(([^)#]+\.md)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).is_file(), (page.name, link)


def test_every_runbook_names_its_alarms(template: Template) -> None:
    alarms = template.of_type("AWS::CloudWatch::Alarm")
    for name, alarm in alarms.items():
        runbook = ROOT / text_of(alarm["AlarmDescription"]).rpartition("Runbook: ")[2]
        named = re.findall(r"`…?(\w+Alarm)`", runbook.read_text(encoding="utf-8"))
        assert any(name.endswith(one) for one in named), (name, runbook.name)
