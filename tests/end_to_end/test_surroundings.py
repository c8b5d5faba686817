"""What surrounds the pipeline: permissions, logs, and the command line on a running stack."""

from __future__ import annotations

import json
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from tests.end_to_end.conftest import ON_THE_STACK, PAYER, Stack, payment_data, platform_event
from tools.cli import app
from tools.target import LOCAL_DESCRIPTION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = ON_THE_STACK


@contextmanager
def _as(stack: Stack, function: str, service: str) -> Iterator[Any]:
    """A client with the permissions of a function."""
    role = stack.target.client("lambda").get_function_configuration(FunctionName=f"{stack.local.stack_name}-{function}")["Role"]
    credentials = stack.target.client("sts").assume_role(RoleArn=role, RoleSessionName="end-to-end")["Credentials"]
    session: Any = boto3.Session(
        credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"], region_name="us-east-1"
    )
    with closing(session.client(service, endpoint_url=stack.local.aws_endpoint_url)) as client:
        yield client


def test_functions_may_do_only_what_they_must(stack: Stack) -> None:
    table, key = stack.target.output("TableName"), {"pk": {"S": "x"}, "sk": {"S": "x"}}
    secret, api_key = (f"/quittance/local/{name}" for name in ("connections/platform/default/secret", "space-invoices/api-key"))
    with _as(stack, "PaymentSucceeded", "dynamodb") as dynamodb:
        assert dynamodb.get_item(TableName=table, Key=key)
        _must_not(dynamodb.delete_table, TableName=table)
    with _as(stack, "PaymentSucceeded", "ssm") as ssm:
        assert ssm.get_parameter(Name=api_key, WithDecryption=True)
        _must_not(ssm.get_parameter, Name=secret, WithDecryption=True)
    with _as(stack, "Ingest", "ssm") as ssm:
        assert ssm.get_parameters(Names=[secret], WithDecryption=True)["Parameters"]
        _must_not(ssm.get_parameters, Names=[api_key], WithDecryption=True)
        _must_not(ssm.get_parameters, Names=[secret.replace("/secret", "/api-key")], WithDecryption=True)
    with _as(stack, "Ingest", "dynamodb") as dynamodb:
        _must_not(dynamodb.get_item, TableName=table, Key=key)


def _must_not(call: Callable[..., Any], **arguments: Any) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied|not authorized"):
        call(**arguments)


@pytest.fixture
def quittance(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run the command line where this stack is the local one; gives its output."""
    monkeypatch.chdir(tmp_path)
    stack.local.write_local_json(tmp_path / LOCAL_DESCRIPTION.parent)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_the_command_line_sends_explains_renders_and_reconciles(
    stack: Stack, quittance: Callable[..., str], new_id: Callable[[str], str], tmp_path: Path
) -> None:
    customer, payment, event = new_id("bc"), new_id("pay"), new_id("evt")
    profile = {"business_customer": customer, "name": "Of its own GmbH", "country": "DE"}
    assert stack.platform("business_customer.created", profile).is_success
    (tmp_path / "platform").mkdir()
    file = tmp_path / "platform" / "payment.json"
    data = payment_data(payment, 9900) | {"business_customer": customer}
    file.write_bytes(platform_event("payment.succeeded", data, event))
    assert ": 200 " in quittance("send", str(file))
    stack.wait_until_done()
    by_payment = json.loads(quittance("explain", payment, "--json"))
    by_account = json.loads(quittance("explain", payment, "--provider", "platform", "--account", customer, "--json"))
    by_event = json.loads(quittance("explain", event, "--json"))
    [document] = by_payment["documents"]
    by_document = json.loads(quittance("explain", document["id"], "--json"))
    assert by_payment == by_account == by_event == by_document
    # Every entity numbers its own documents.
    assert by_payment in map(json.loads, quittance("explain", document["number"], "--json").splitlines())
    assert document["reason"] == "payment succeeded: invoice"
    assert document["amount"] == {"value": 9900, "currency": "EUR"}
    quittance("pdf", document["id"], "-o", str(tmp_path / "invoice.pdf"))
    assert (tmp_path / "invoice.pdf").read_bytes().startswith(b"%PDF")
    # Other tests leave differences behind on purpose, in books of their own.
    assert "agrees" in quittance("reconcile", "--business-customer", customer)


def test_logs_follow_an_event_and_hold_no_secret_and_no_personal_data(stack: Stack, new_id: Callable[[str], str]) -> None:
    payment, event = new_id("pay"), new_id("evt")
    assert stack.platform("payment.succeeded", payment_data(payment), event).is_success
    stack.wait_for_documents(payment, f"invoice:payment:{payment}")
    stack.wait_until_done()
    lines = _logged(stack)
    structured = [line for text in lines if (line := _structured(text))]
    followed = {
        line["location"].partition(":")[0] for line in structured if event in (line.get("event_id"), line.get("correlation_id"))
    }
    assert len(followed) > 1, "the event is logged where it comes in and where it is worked on"
    everything = "\n".join(lines)
    for private in (*stack.local.secrets.values(), stack.server.api_key, PAYER, "mina@example.com", "End to End GmbH"):
        assert private not in everything


def _structured(text: str) -> dict[str, Any] | None:
    line = json.loads(text) if text.startswith("{") else {}
    return line if "level" in line else None


def _logged(stack: Stack) -> list[str]:
    logs = stack.target.client("logs")
    groups = [
        group["logGroupName"] for page in logs.get_paginator("describe_log_groups").paginate() for group in page["logGroups"]
    ]
    return [
        event["message"]
        for group in groups
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        for event in page["events"]
    ]
