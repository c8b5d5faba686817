"""One local stack from start to stop, as a context manager."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import boto3
import httpx

from quittance.providers import provider_names
from tools.local_stack import sam
from tools.local_stack.emulator import CREDENTIALS, Emulator, EmulatorError, emulator
from tools.local_stack.provider_apis import ProviderApis, ProviderApisError, provider_apis
from tools.provider_apis import STAND_INS

if TYPE_CHECKING:
    from types import FrameType, TracebackType

Progress = Callable[[str], None]
"""Called with one line for the person who waits, at the beginning of each step."""

_APP = "quittance"
_STAGE = "local"
_API_ID = "quittance"
_READY_TIMEOUT_S = 30.0
_POLL_S = 0.1
_TERMINATED = 128 + signal.SIGTERM


class LocalStackError(Exception):
    """The stack could not be brought up. The message is for the person at the terminal."""


class LocalStack:
    """The template, deployed on this machine, while the `with` block lasts.

    On entry it is built (only what changed), deployed, given throwaway secrets and a connection `default` for every provider,
    stand-ins for the providers' APIs, and has answered its health check. At the end everything it started is stopped and
    removed, also on SIGTERM and Ctrl-C.
    Raises `LocalStackError` on entry. `port` serves both the API's routes and the AWS API.
    """

    stack_name = f"{_APP}-{_STAGE}"
    """In CloudFormation."""

    def __init__(  # noqa: PLR0913 - every setting is named where a stack is made
        self,
        *,
        space_invoices_url: str,
        space_invoices_api_key: str,
        requests_per_minute: int = 0,
        port: int = 3000,
        host: str | None = None,
        progress: Progress = lambda _: None,
    ) -> None:
        """`requests_per_minute` is what the invoicing API allows, 0 what its documentation says.

        `host` is where it listens: QUITTANCE_HOST unless given, else this machine alone. A container reaches it at the address of
        the containers' bridge only.
        """
        self.space_invoices_url = space_invoices_url.rstrip("/")
        self._api_key = space_invoices_api_key
        self._requests_per_minute = requests_per_minute
        self._host = host or os.environ.get("QUITTANCE_HOST") or "127.0.0.1"
        self._port = port
        self._progress = progress
        self._cleanup = ExitStack()
        self._emulator: Emulator | None = None
        self.secrets = {provider: _new_secret(provider) for provider in provider_names()}
        """Signing secret of each provider's connection `default`."""
        self.aws_endpoint_url = f"http://{self._host}:{port}"
        self.webhooks_url = self.aws_endpoint_url
        """What to add `/webhooks/{provider}/{connection}` to."""

    def __enter__(self) -> Self:
        self._stop_on_sigterm()
        with ExitStack() as attempt:
            try:
                self._bring_up(attempt)
            except (EmulatorError, ProviderApisError, sam.SamError) as error:
                raise LocalStackError(str(error)) from error
            self._cleanup.push(attempt.pop_all())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._cleanup.close()

    def client(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """A boto3 client for the emulated account, as its root user."""
        make: Any = boto3.client
        return make(
            service,
            endpoint_url=self.aws_endpoint_url,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=CREDENTIALS["AWS_REGION"],
        )

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The outputs of the stack by their names."""
        stack = self.client("cloudformation").describe_stacks(StackName=self.stack_name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    @property
    def emulator_log(self) -> Path:
        """What the emulator says, from the start of the stack. Raises `LocalStackError` when the stack is not running."""
        return self._running.log

    def rotate_secret(self, provider: str) -> None:
        """Give the provider's connection `default` a new secret; the one until now is accepted as the previous one."""
        path = f"connections/{provider}/default"
        self._put_secret(f"{path}/secret-previous", self.secrets[provider])
        self.secrets[provider] = _new_secret(provider)
        self._put_secret(f"{path}/secret", self.secrets[provider])

    def restart(self) -> None:
        """Restart the emulator: queues, table and permissions stay as they are, every function is killed.

        Returns when it answers again. Raises `LocalStackError` when it does not, or when the stack is not running.
        """
        try:
            self._running.restart()
        except EmulatorError as error:
            raise LocalStackError(str(error)) from error
        self._wait_until_healthy()

    def write_local_json(self, folder: Path = sam.ROOT / "build") -> None:
        """Say in `local.json` where everything is, for programs that find the running stack by this file.

        Beside it `sam-local.toml` makes `sam local --config-file` run the functions, as they were built, in the environment that
        they have here. All go when the stack does.
        """
        description = {
            "webhooks": self.webhooks_url,
            "aws_endpoint_url": self.aws_endpoint_url,
            "space_invoices_url": self.space_invoices_url,
            "stack": self.stack_name,
            "secrets": self.secrets,
        }
        variables = folder / "sam-local.json"
        self._write(variables, _json(self._environments()))
        self._write(folder / "sam-local.toml", sam.local_configuration(variables, self.aws_endpoint_url))
        self._write(folder / "local.json", _json(description))

    def _write(self, path: Path, text: str) -> None:
        """Readers see all of it or nothing."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._cleanup.callback(path.unlink, missing_ok=True)
        draft = path.with_name(path.name + ".new")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)

    def _environments(self) -> dict[str, dict[str, str]]:
        """The variables that each function really has, by its logical id."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.stack_name)
        resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
        describe = self.client("lambda").get_function_configuration
        return {
            function["LogicalResourceId"]: describe(FunctionName=function["PhysicalResourceId"])["Environment"]["Variables"]
            for function in resources
            if function["ResourceType"] == "AWS::Lambda::Function"
        }

    @property
    def _running(self) -> Emulator:
        if self._emulator is None:
            raise LocalStackError("the stack is not running")
        return self._emulator

    def _bring_up(self, attempt: ExitStack) -> None:
        with sam.build_lock():
            self._progress("starting the AWS emulator")
            self._emulator = attempt.enter_context(emulator(self._host, self._port, f"{_API_ID}/{_STAGE}"))
            self._progress("building the functions and their layer")
            sam.build()
            apis = attempt.enter_context(provider_apis(self._host))
            self._progress("deploying template.yaml")
            self._deploy(apis)
        self._put_secrets(apis)
        self._wait_until_healthy()

    def _deploy(self, apis: ProviderApis) -> None:
        parameters = {"App": _APP, "Stage": _STAGE, "SpaceInvoicesBaseUrl": self.space_invoices_url}
        parameters |= {"CertificatesStandInUrl": apis.base_url("paypal"), "RequestsPerMinute": str(self._requests_per_minute)}
        # Nothing of the person's own AWS configuration may reach the commands.
        environment = {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": self.aws_endpoint_url,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        sam.deploy(self.aws_endpoint_url, parameters, api_id=_API_ID, environment=environment)

    def _put_secrets(self, apis: ProviderApis) -> None:
        for provider, secret in self.secrets.items():
            self._put_secret(f"connections/{provider}/default/secret", secret)
        for provider in STAND_INS:
            self._put_secret(f"connections/{provider}/default/api-key", apis.api_key)
            self._put_secret(f"connections/{provider}/default/settings", json.dumps({"api_base_url": apis.base_url(provider)}))
        self._put_secret("space-invoices/api-key", self._api_key)
        self._put_secret("evidence/keys", f"{self.stack_name} {secrets.token_hex(32)}")

    def _put_secret(self, name: str, value: str) -> None:
        self.client("ssm").put_parameter(
            Name=f"/{_APP}/{_STAGE}/{name}", Value=value, Type="SecureString", KeyId=self.outputs["KeyArn"], Overwrite=True
        )

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + _READY_TIMEOUT_S
        url = f"{self.webhooks_url}/health"
        while (answer := httpx.get(url, timeout=_READY_TIMEOUT_S, trust_env=False)).status_code != httpx.codes.OK:
            if time.monotonic() > deadline:
                raise LocalStackError(f"{url} answers {answer.status_code}: {answer.text[:500]}")
            time.sleep(_POLL_S)

    def _stop_on_sigterm(self) -> None:
        """Turn SIGTERM into an exception that unwinds the `with` block. Only the main thread may."""
        if threading.current_thread() is threading.main_thread():
            self._cleanup.callback(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM))
            signal.signal(signal.SIGTERM, _exit)


def _exit(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(_TERMINATED)


def _new_secret(provider: str) -> str:
    """Standard Webhooks sign with the bytes that a secret stands for; hexadecimal digits suit every other scheme."""
    if provider == "platform":
        return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_hex(32)


def _json(content: object) -> str:
    return json.dumps(content, indent=2) + "\n"
