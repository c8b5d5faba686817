"""The stack that a command acts on: the local one that is running, or a deployed one by its name.

Everything but the address of the local stack is read from CloudFormation, so both are the same to the commands.
"""

from __future__ import annotations

import json
import time
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import boto3
import httpx
from botocore.exceptions import BotoCoreError, ClientError

from quittance.reconciliation.pace import share_of
from quittance.runtime.letters import QueuePair, pairs_of
from quittance.runtime.redrive import Pace
from quittance.space_invoices import RATE_LIMIT_PAUSE_S, SpaceInvoices
from tools.backfill.overlay import ReadOnlyTransport
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
    def requests_a_minute(self) -> int:
        """How many requests a reconciliation may make of the invoicing API; 0, as many as it takes, for a local stack."""
        if self._endpoint_url:
            return 0
        return share_of(self._parameter("InvoicingEnvironment"), int(self._parameter("RequestsPerMinute")))

    @cached_property
    def ledger(self) -> LedgerView:
        return LedgerView(self.output("TableName"), self.client("dynamodb"))

    @cached_property
    def queues(self) -> dict[str, QueuePair]:
        """The queues by the name of their function."""
        # Only a stack that takes events which never leave AWS has that queue.
        return pairs_of(json.loads(self.output("QueueUrls")) | {"event_received": self._outputs.get("EventsQueueUrl", "")})

    @property
    def pace(self) -> Pace:
        """How fast what is made up for may be sent, by what the invoicing API allows this stack: dead letters, a history."""
        return Pace.of(self._parameter("InvoicingEnvironment"), int(self._parameter("RequestsPerMinute")))

    @cached_property
    def space_invoices(self) -> SpaceInvoices:
        """The invoicing API as the stack itself uses it."""
        return SpaceInvoices(self._parameter("SpaceInvoicesBaseUrl"), lambda: self._api_key, transport=self._transport)

    @cached_property
    def rehearsed_space_invoices(self) -> SpaceInvoices:
        """The same, in which nothing can be changed."""
        transport = ReadOnlyTransport(self._transport)
        return SpaceInvoices(self._parameter("SpaceInvoicesBaseUrl"), lambda: self._api_key, transport=transport)

    def secret(self, provider: str, connection: str) -> str:
        """The secret with which deliveries on this connection are signed. Raises `TargetError` if there is none."""
        return self._ssm(f"{self._path}/connections/{provider}/{connection}/secret")

    def setting(self, name: str) -> str:
        """A parameter of the stack in SSM, such as `evidence/keys`. Raises `TargetError` if there is none."""
        return self._ssm(self.setting_path(name))

    def setting_path(self, name: str) -> str:
        return f"{self._path}/{name}"

    def connection_settings(self, provider: str, connection: str) -> dict[str, Any]:
        """What is configured for deliveries on this connection, if anything is. Raises `TargetError` when it cannot be read."""
        name = self.setting_path(f"connections/{provider}/{connection}/settings")
        ssm = self.client("ssm")
        try:
            settings = json.loads(ssm.get_parameter(Name=name)["Parameter"]["Value"])
        except ssm.exceptions.ParameterNotFound:
            return {}
        except ClientError as error:
            raise TargetError(f"parameter {name} cannot be read: {error.response['Error']['Code']}") from None
        except ValueError:
            raise TargetError(f"parameter {name} is not JSON") from None
        return dict(settings)

    @property
    def environment(self) -> str:
        """Whether the stack invoices for real: `live` or `sandbox`."""
        return self._parameter("InvoicingEnvironment")

    @property
    def stage(self) -> str:
        return self._parameter("Stage")

    def output(self, name: str) -> str:
        """An output of the stack. Raises `TargetError` if it has none of this name."""
        if name not in self._outputs:
            raise TargetError(f"stack {self.stack} has no output {name}: is it a Quittance stack?")
        return self._outputs[name]

    @property
    def _outputs(self) -> dict[str, str]:
        return {output["OutputKey"]: output["OutputValue"] for output in self._description.get("Outputs", ())}

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


def _reason(error: BotoCoreError | ClientError) -> str:
    return error.response["Error"]["Message"] if isinstance(error, ClientError) else str(error)
