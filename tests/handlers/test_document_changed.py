"""What the function `document_changed` makes of its messages."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from quittance.errors import Reject, Retry
from quittance.providers import provider
from quittance.runtime import composition
from quittance.runtime.queues import delivery_messages
from tools.deliveries import sqs_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from quittance.observation import Sighting

VOIDED = (Path(__file__).parents[2] / "events" / "space-invoices" / "invoice.voided.json").read_bytes()


class Context:
    aws_request_id = "lambda-request"

    def get_remaining_time_in_millis(self) -> int:
        return 20_000


class Changes:
    """The use case, which notes what it is given."""

    def __init__(self) -> None:
        self.taken: list[tuple[Sighting, float]] = []
        self.failure: Exception | None = None

    def take(self, sighting: Sighting, age_s: float) -> None:
        self.taken.append((sighting, age_s))
        if self.failure:
            raise self.failure


@pytest.fixture
def changes(monkeypatch: pytest.MonkeyPatch) -> Changes:
    found = Changes()
    monkeypatch.setattr(composition, "document_changes", lambda: found)
    return found


@pytest.fixture
def handle(changes: Changes, cloud: Any, load_function: Callable[[str], ModuleType]) -> Callable[[dict[str, Any]], list[Any]]:  # noqa: ARG001
    """The items that failed."""
    function = load_function("document_changed")
    return lambda event: list(function.handler(event, Context())["batchItemFailures"])


def event(**changes: Any) -> dict[str, Any]:
    translation = provider("space-invoices").translate(VOIDED, "default", {})
    wrapped = sqs_event(delivery_messages("space-invoices", "default", translation, "2026-11-20T10:00:35Z"))
    wrapped["Records"][0] |= changes
    return wrapped


def test_a_sighting_reaches_the_use_case_with_its_age(changes: Changes, handle: Any) -> None:
    sent = event()
    first = time.time() - 300
    sent["Records"][0]["attributes"]["ApproximateFirstReceiveTimestamp"] = str(int(first * 1000))
    assert handle(sent) == []
    [(sighting, age_s)] = changes.taken
    assert sighting == provider("space-invoices").translate(VOIDED, "default", {}).sighting
    assert 300 <= age_s < 360


@pytest.mark.parametrize("failure", [Retry("document_not_recorded_yet"), Reject("foreign_document")])
def test_what_fails_stays_on_the_queue(changes: Changes, handle: Any, failure: Exception) -> None:
    changes.failure = failure
    sent = event()
    assert handle(sent) == [{"itemIdentifier": sent["Records"][0]["messageId"]}]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"sighting": None},
        {"sighting": {}},
        {"sighting": {"observed": {}}},
        {"sighting": {"observed": {"document": {"at": "x"}}}},
    ],
)
def test_a_message_that_is_no_sighting_is_refused(changes: Changes, handle: Any, body: dict[str, Any]) -> None:
    assert len(handle(event(body=json.dumps(body)))) == 1
    assert changes.taken == []
