"""The stack that a command acts on: the local one that is running, or a deployed one by its name.

Everything but the address of the local stack is read from CloudFormation, so both are the same to the commands.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import boto3
import httpx
from botocore.exceptions import BotoCoreError, ClientError

from quittance.space_invoices import RATE_LIMIT_PAUSE_S, SpaceInvoices
from tools.ledger_view import LedgerView
from tools.local_stack import LocalStack
from tools.local_stack.emulator import CREDENTIALS

LOCAL_DESCRIPTION = Path("build") / "local.json"
"""Where a running local stack says how to reach it, relative to the repository root."""


_MOST_WAITS = 5


class TargetError(Exception):
    """The stack cannot do what is asked of it. The message is one line for the person at the terminal."""


class PatientTransport(httpx.HTTPTransport):
    """HTTP for somebody who has time: where the server says when to come back, that is awaited. For reads only."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, or the last of a few that say to come back later."""
        answer = super().handle_request(request)
        for _ in range(_MOST_WAITS):
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                break
            answer.close()
            time.sleep(int(answer.headers.get("Retry-After", RATE_LIMIT_PAUSE_S)))
            answer = super().handle_request(request)
        return answer


@dataclass(frozen=True, slots=True)
class QueuePair:
    """The queue of a worker function and the queue of its dead letters."""

    function: str
    url: str
    dead_letters_url: str


class Target:
    """One stack, by the clients and names that reach it. Nothing is asked before it is needed; the `with` block closes it."""

    def __init__(self, stack: str, session: Any, *, endpoint_url: str | None = None, webhooks: str | None = None) -> None:  # noqa: ANN401
        """`session` is a boto3 session of the stack's account; an `endpoint_url` and `webhooks` are those of a local stack."""
        self.stack = stack
        self._session = session
        self._endpoint_url = endpoint_url
        self._webhooks = webhooks
        self._clients: dict[str, Any] = {}
        self._transport = PatientTransport()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            client.close()
        self._transport.close()

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """The boto3 client of a service in the stack's account."""
        if service not in self._clients:
            self._clients[service] = self._session.client(service, endpoint_url=self._endpoint_url)
        return self._clients[service]

    @cached_property
    def webhooks(self) -> str:
        """Base URL of the webhooks, without a slash at its end."""
        return (self._webhooks or self.output("WebhooksUrl")).rstrip("/")

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
        return SpaceInvoices(self._parameter("SpaceInvoicesBaseUrl"), lambda: self._api_key, transport=self._transport)

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
    return local_target(local["stack"], local["aws_endpoint_url"], local["webhooks"])


def target_of(stack: LocalStack) -> Target:
    """The local stack that this process runs."""
    return local_target(stack.stack_name, stack.aws_endpoint_url, stack.webhooks_url)


def local_target(stack: str, endpoint_url: str, webhooks: str) -> Target:
    """The stack of this name in the emulator at `endpoint_url`."""
    session = boto3.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=CREDENTIALS["AWS_REGION"],
    )
    return Target(stack, session, endpoint_url=endpoint_url, webhooks=webhooks)


def _pair(sqs: Any, function: str, url: str) -> QueuePair:  # noqa: ANN401 - boto3 makes its clients at run time
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]
    name = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"].rpartition(":")[2]
    return QueuePair(function, url, sqs.get_queue_url(QueueName=name)["QueueUrl"])


def _reason(error: BotoCoreError | ClientError) -> str:
    return error.response["Error"]["Message"] if isinstance(error, ClientError) else str(error)
