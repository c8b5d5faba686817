"""Functions under test, loaded as Lambda loads them, over emulated AWS services in this process."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import pytest
from moto import mock_aws

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

FUNCTIONS = Path(__file__).parents[2] / "functions"
WORKERS = (
    "business_customer_changed",
    "payment_authorized",
    "payment_succeeded",
    "payment_captured",
    "payment_failed",
    "subscription_renewed",
    "refund_processed",
    "refund_failed",
    "dispute_opened",
    "dispute_won",
    "dispute_lost",
    "payout_settled",
    "payment_revisited",
    "document_changed",
    "fees_closed",
    "object_fetched",
    "event_ignored",
)
CONNECTIONS_PATH = "/quittance/test/connections"


class Cloud(NamedTuple):
    """The emulated services, with one FIFO queue for each worker."""

    ssm: Any
    sqs: Any
    queue_urls: dict[str, str]

    def received(self, function: str) -> list[dict[str, Any]]:
        """The messages that wait for `function`, as received, and no longer waiting."""
        answer = self.sqs.receive_message(
            QueueUrl=self.queue_urls[function], MaxNumberOfMessages=10, AttributeNames=["All"], VisibilityTimeout=300
        )
        return list(answer.get("Messages", ()))

    def all_received(self) -> dict[str, list[dict[str, Any]]]:
        """The bodies that wait, by function."""
        found = {function: [json.loads(message["Body"]) for message in self.received(function)] for function in self.queue_urls}
        return {function: bodies for function, bodies in found.items() if bodies}

    def configure(self, provider: str, connection: str = "default", **leaves: str) -> None:
        """Store a connection's secret, secret_previous and settings."""
        for leaf, value in leaves.items():
            name = f"{CONNECTIONS_PATH}/{provider}/{connection}/{leaf.replace('_', '-')}"
            self.ssm.put_parameter(
                Name=name, Value=value, Type="String" if leaf == "settings" else "SecureString", Overwrite=True
            )


@pytest.fixture(scope="module")
def emulator() -> Iterator[Any]:
    """AWS in this process, with the environment every function gets. An endpoint in the environment would defeat it."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith(("AWS_", "POWERTOOLS_"))]:
            environment.delenv(name)
        for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "DEFAULT_REGION": "eu-central-1"}.items():
            environment.setenv(f"AWS_{name}", value)
        with mock_aws() as emulator:
            account = boto3.client("sts").get_caller_identity()["Account"]
            urls = {worker: f"https://sqs.eu-central-1.amazonaws.com/{account}/{worker}.fifo" for worker in WORKERS}
            environment.setenv("QUEUE_URLS", json.dumps(urls))
            environment.setenv("CONNECTIONS_PATH", CONNECTIONS_PATH)
            environment.setenv("TABLE_NAME", "ledger")
            environment.setenv("POWERTOOLS_SERVICE_NAME", "test")
            yield emulator


@pytest.fixture(scope="module")
def clients(emulator: Any) -> tuple[Any, Any]:  # noqa: ARG001 - clients of the emulator
    """The clients of SSM and SQS. Making one costs more than any test, so a module shares them."""
    return boto3.client("ssm"), boto3.client("sqs")


@pytest.fixture
def cloud(emulator: Any, clients: tuple[Any, Any]) -> Cloud:
    """The emulated services as new: empty queues and no parameters."""
    emulator.reset()
    ssm, sqs = clients
    for worker in WORKERS:
        sqs.create_queue(QueueName=f"{worker}.fifo", Attributes={"FifoQueue": "true"})
    return Cloud(ssm, sqs, json.loads(os.environ["QUEUE_URLS"]))


@pytest.fixture(scope="module")
def load_function(emulator: Any) -> Callable[[str], ModuleType]:  # noqa: ARG001 - the environment must be there before the import
    """Load `functions/<name>/app.py` anew, as a cold start does."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"function_{name}", FUNCTIONS / name / "app.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
