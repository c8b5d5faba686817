"""What the function `fees_closed` makes of its schedule and of its messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from quittance.errors import Retry
from quittance.fee_months import FeeMonth
from quittance.runtime import composition
from quittance.runtime.queues import fees_message
from tools.lambda_events import lambda_events

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.handlers.conftest import Cloud

SCHEDULED = {"detail-type": "Scheduled Event", "source": "aws.events", "time": "2026-12-05T02:00:00Z"}


class Context:
    aws_request_id = "lambda-request"

    def __init__(self, *remaining_ms: int) -> None:
        """How long the function can still run, each time it asks; then for ever as the last time."""
        self.remaining_ms = list(remaining_ms or (20_000,))

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms.pop(0) if len(self.remaining_ms) > 1 else self.remaining_ms[0]


class Closing:
    """The use case, which notes what it is asked."""

    def __init__(self, *months: FeeMonth) -> None:
        self.months = list(months)
        self.asked: list[str | None] = []
        self.closed: list[dict[str, str]] = []

    def due(self, through: str | None) -> list[FeeMonth]:
        self.asked.append(through)
        return self.months

    def close(self, **named: str) -> None:
        self.closed.append(named)
        if len(self.closed) == 1:
            raise Retry("fees_settling", delay_s=10)


@pytest.fixture
def closing(monkeypatch: pytest.MonkeyPatch) -> Closing:
    found = Closing(*(FeeMonth(f"2026-{month:02}", f"bc_{number}", "EUR") for number in range(125) for month in (10, 11)))
    monkeypatch.setattr(composition, "fee_closing", lambda: found)
    return found


@pytest.fixture
def function(closing: Closing, cloud: Cloud, load_function: Callable[[str], ModuleType]) -> Any:  # noqa: ARG001
    return load_function("fees_closed")


def test_the_schedule_queues_one_message_for_each_month_that_is_due(function: Any, closing: Closing, cloud: Cloud) -> None:
    assert function.handler(SCHEDULED, Context()) == {"asked": 250, "left": 0}
    assert closing.asked == [None]
    bodies: list[dict[str, Any]] = []
    while received := cloud.received("fees_closed"):
        bodies += [json.loads(message["Body"])["fees"] for message in received]
        for message in received:
            cloud.sqs.delete_message(QueueUrl=cloud.queue_urls["fees_closed"], ReceiptHandle=message["ReceiptHandle"])
    assert {(b["month"], b["business_customer"], b["currency"]) for b in bodies} == {
        (one.month, one.business_customer, one.currency) for one in closing.months
    }
    assert len(bodies) == 250


def test_the_schedule_stops_in_time_and_leaves_the_rest_to_its_next_run(function: Any) -> None:
    assert function.handler(SCHEDULED, Context(20_000, 9_000, 4_000)) == {"asked": 200, "left": 50}


def test_somebody_may_ask_for_a_month(function: Any, closing: Closing) -> None:
    function.handler(lambda_events()["fees_closed"], Context())
    assert closing.asked == ["2026-11"]


def test_a_message_closes_its_month_and_comes_again_until_that_is_done(function: Any, closing: Closing) -> None:
    message = fees_message("bc_1", "EUR", "2026-11", "2026-12-05T02:00:00Z")
    record = {
        "messageId": "1",
        "receiptHandle": "r",
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": message.group},
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:fees_closed.fifo",
    }
    failed = function.handler({"Records": [record]}, Context())
    assert failed == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert function.handler({"Records": [record]}, Context()) == {"batchItemFailures": []}
    assert closing.closed == [{"business_customer": "bc_1", "currency": "EUR", "month": "2026-11"}] * 2


@pytest.mark.parametrize("body", [{}, {"fees": None}, {"fees": {"month": "2026-11"}}, {"fees": ["2026-11"]}])
def test_what_names_no_month_is_given_up_on(function: Any, closing: Closing, body: dict[str, Any]) -> None:
    record = {
        "messageId": "1",
        "receiptHandle": "r",
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": "g"},
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:fees_closed.fifo",
    }
    assert function.handler({"Records": [record]}, Context())["batchItemFailures"]
    assert closing.closed == []


def test_messages_of_one_business_customer_and_currency_are_closed_in_turn() -> None:
    months = [fees_message("bc_1", "EUR", month, "2026-12-05T02:00:00Z") for month in ("2026-10", "2026-11")]
    other = fees_message("bc_1", "USD", "2026-11", "2026-12-05T02:00:00Z")
    assert months[0].group == months[1].group != other.group
    assert months[0].deduplication_id != months[1].deduplication_id
