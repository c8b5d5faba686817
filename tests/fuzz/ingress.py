"""The real function `ingest`, started once in this process over fakes of SSM, SQS and the clock, and asked many times."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import boto3

from quittance.providers import provider_names
from quittance.providers.published import PUBLICATIONS
from quittance.runtime import observability
from tests.fuzz.aws import Sent, Sqs, Ssm
from tools.paypal_authority import authority

if TYPE_CHECKING:
    from collections.abc import Mapping

FUNCTIONS = Path(__file__).parents[2] / "functions"
NOW_S = int(datetime(2026, 11, 20, 10, 0, tzinfo=UTC).timestamp())
PATH = "/quittance/fuzz/connections"
SECRET, PREVIOUS = "5ec2e7" * 10 + "5ec2", "01d5ec" * 10 + "01d5"
"""Hexadecimal digits, which every scheme's key format can be read from."""
CONNECTIONS: dict[str, dict[str, str]] = {
    "default": {"secret": SECRET},
    "Shop-2.eu": {"secret": SECRET, "secret-previous": PREVIOUS, "settings": '{"capture": "manual"}'},
}
WORKERS = sorted(path.parent.name for path in FUNCTIONS.glob("*/app.py") if path.parent.name != "ingest")
URLS = {name: f"https://queues/{name}.fifo" for name in WORKERS}


class Outcome(NamedTuple):
    """What one request came to."""

    response: Any
    sent: list[Sent]
    refused: list[str]
    queue_requests: int
    written: str
    """Everything that went to the log, to standard output and to standard error."""
    error: BaseException | None


class Context:
    """The little of Lambda's context that is used."""

    aws_request_id = "lambda-request"


class Ingress:
    """One instance of the function. Its memory lasts from request to request, as that of a warm Lambda does."""

    def __init__(self, replacements: Mapping[str, str] | None = None) -> None:
        """`replacements` of text in the function's source plant bugs in it."""
        self._sqs = Sqs(URLS)
        values = {
            f"{PATH}/{provider}/{connection}/{leaf}": value
            for provider in provider_names()
            for connection, leaves in CONNECTIONS.items()
            for leaf, value in leaves.items()
        }
        self._ssm = Ssm(values)
        self._app = self._started(replacements or {})
        vars(self._app).update(time=SimpleNamespace(time=lambda: float(NOW_S)))

    def _started(self, replacements: Mapping[str, str]) -> ModuleType:
        path = FUNCTIONS / "ingest" / "app.py"
        source = path.read_text(encoding="utf-8")
        for text, other in replacements.items():
            if source.count(text) != 1:
                raise ValueError(f"the text to replace is there {source.count(text)} times")
            source = source.replace(text, other)
        module = ModuleType("functions.ingest")
        clients = {"ssm": self._ssm, "sqs": self._sqs}
        with (
            patch.object(boto3, "client", lambda name, **_: clients[name]),
            patch.dict(os.environ, {"CONNECTIONS_PATH": PATH, "QUEUE_URLS": json.dumps(URLS)}),
        ):
            exec(compile(source, str(path), "exec"), vars(module))  # noqa: S102 - our own source
        PUBLICATIONS.source = authority()
        return module

    def asked(self, event: Any, outage: str = "") -> Outcome:
        """One request, while the queues have `outage`."""
        self._sqs.forget()
        self._ssm.refused.clear()
        self._sqs.outage = outage
        stream = io.StringIO()
        response, error = None, None
        handler = observability.logger.registered_handler
        before = handler.stream  # type: ignore[attr-defined]
        handler.stream = stream  # type: ignore[attr-defined]
        try:
            with redirect_stdout(stream), redirect_stderr(stream):
                response = self._app.handler(event, Context())
        except Exception as raised:  # noqa: BLE001 - that nothing is raised is what is being tried
            error = raised
        finally:
            handler.stream = before  # type: ignore[attr-defined]
        refused = [*self._sqs.refused, *self._ssm.refused]
        return Outcome(response, self._sqs.sent, refused, self._sqs.requests, stream.getvalue(), error)
