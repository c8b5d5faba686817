"""The stack that a command acts on: the local one that is running, or a deployed one by its name.

Everything but the address of the local stack is read from CloudFormation, so both are the same to the commands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from quittance.space_invoices import SpaceInvoices
from tools.ledger_view import LedgerView
from tools.local_stack.emulator import CREDENTIALS

LOCAL_DESCRIPTION = Path("build") / "local.json"
"""Where a running local stack says how to reach it, relative to the repository root."""


class TargetError(Exception):
    """The stack cannot do what is asked of it. The message is one line for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class QueuePair:
    """The queue of a worker function and the queue of its dead letters."""

    function: str
    url: str
    dead_letters_url: str


@dataclass(frozen=True)
class Target:
    """One stack, by the clients and names that reach it. Nothing is asked before it is needed."""

    stack: str
    session: Any
    endpoint_url: str | None = None
    local: dict[str, Any] = field(default_factory=dict, repr=False)
    """The description of the local stack, secrets included; empty for a deployed one."""

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """A boto3 client for the stack's account."""
        return self.session.client(service, endpoint_url=self.endpoint_url)

    @cached_property
    def webhooks(self) -> str:
        """Base URL of the webhooks, without a slash at its end."""
        return str(self.local.get("webhooks") or self.output("WebhooksUrl")).rstrip("/")

    @cached_property
    def ledger(self) -> LedgerView:
        return LedgerView(self.output("TableName"), self.client("dynamodb"))

    @cached_property
    def queues(self) -> dict[str, QueuePair]:
        """The queues by the name of their function."""
        sqs = self.client("sqs")
        return {function: _pair(sqs, function, url) for function, url in json.loads(self.output("QueueUrls")).items()}

    @cached_property
    def space_invoices(self) -> SpaceInvoices:
        """The invoicing API as the stack itself uses it."""
        return SpaceInvoices(self._parameter("SpaceInvoicesBaseUrl"), lambda: self._api_key)

    def secret(self, provider: str, connection: str) -> str:
        """The secret with which deliveries on this connection are signed. Raises `TargetError` if there is none."""
        return self._ssm(f"{self._path}/connections/{provider}/{connection}/secret")

    def output(self, name: str) -> str:
        """An output of the stack. Raises `TargetError` if it has none of this name."""
        outputs = {output["OutputKey"]: output["OutputValue"] for output in self._description.get("Outputs", ())}
        if name not in outputs:
            raise TargetError(f"stack {self.stack} has no output {name}: is it a Quittance stack?")
        return str(outputs[name])

    def _parameter(self, name: str) -> str:
        values = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in self._description["Parameters"]}
        return str(values[name])

    @property
    def _path(self) -> str:
        return f"/{self._parameter('App')}/{self._parameter('Stage')}"

    @cached_property
    def _api_key(self) -> str:
        return self._ssm(f"{self._path}/space-invoices/api-key")

    def _ssm(self, name: str) -> str:
        try:
            return str(self.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
        except ClientError as error:
            raise TargetError(f"parameter {name} cannot be read: {error.response['Error']['Code']}") from None

    @cached_property
    def _description(self) -> dict[str, Any]:
        try:
            return dict(self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"][0])
        except (BotoCoreError, ClientError) as error:
            raise TargetError(f"stack {self.stack} cannot be read: {_reason(error)}") from None


def chosen(stack: str | None) -> Target:
    """The deployed stack of this name, else the local stack that is running. Raises `TargetError`."""
    if stack:
        return Target(stack, boto3.Session())
    try:
        local = json.loads(LOCAL_DESCRIPTION.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TargetError(
            "no local stack is running here: start one with `make local`, or name a deployed one with --stack"
        ) from None
    return local_target(local)


def local_target(local: dict[str, Any]) -> Target:
    """The local stack that this description (as in `build/local.json`) tells how to reach."""
    return Target(local["stack"], _emulator_session(), local["aws_endpoint_url"], local)


def _emulator_session() -> boto3.Session:
    return boto3.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=CREDENTIALS["AWS_REGION"],
    )


def _pair(sqs: Any, function: str, url: str) -> QueuePair:  # noqa: ANN401 - boto3 makes its clients at run time
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    name = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"].rpartition(":")[2]
    return QueuePair(function, url, sqs.get_queue_url(QueueName=name)["QueueUrl"])


def _reason(error: BotoCoreError | ClientError) -> str:
    return error.response["Error"]["Message"] if isinstance(error, ClientError) else str(error)
