"""What the function `event_received` makes of its messages: the same as ingest of the same events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from quittance.facts import fact_from_json
from quittance.providers import provider

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.handlers.conftest import Cloud

EVENTS = Path(__file__).parents[2] / "events"
STRIPE_SOURCE = "aws.partner/stripe.com/ed_test_1"


class Context:
    aws_request_id = "lambda-request"

    def get_remaining_time_in_millis(self) -> int:
        return 20_000


def sample(file: str) -> Any:
    return json.loads((EVENTS / file).read_bytes())


def on_bus(detail: Any, source: str = "com.fintech.payments") -> dict[str, Any]:
    """An event as an event bus wraps it."""
    envelope = {"version": "0", "id": "1", "detail-type": "x", "source": source, "account": "1", "region": "eu-central-1"}
    return envelope | {"time": "2026-11-20T10:00:05Z", "resources": [], "detail": detail}


@pytest.fixture
def app(cloud: Cloud, load_function: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:  # noqa: ARG001
    monkeypatch.setenv("EVENTS_CONNECTION", "bus")
    return load_function("event_received")


def failed(app: ModuleType, *bodies: Any) -> list[int]:
    """The places of the messages that stay on the queue."""
    records = [
        {
            "messageId": str(place),
            "receiptHandle": "handle",
            "body": body if isinstance(body, str) else json.dumps(body),
            "attributes": {"ApproximateReceiveCount": "1"},
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:events",
        }
        for place, body in enumerate(bodies)
    ]
    return [int(item["itemIdentifier"]) for item in app.handler({"Records": records}, Context())["batchItemFailures"]]


WAYS: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "Stripe's bus": ("stripe", "stripe/payment_intent.succeeded.json", lambda event: on_bus(event, STRIPE_SOURCE)),
    "Stripe's bus, Connect": (
        "stripe",
        "stripe/payment_intent.succeeded.connect.json",
        lambda event: on_bus(event, STRIPE_SOURCE),
    ),
    "the platform's bus": ("platform", "platform/payment.succeeded.json", on_bus),
    "the platform itself": ("platform", "platform/refund.succeeded.partial.json", lambda event: event),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_event_means_what_its_delivery_would(way: str, app: ModuleType, cloud: Cloud) -> None:
    name, file, wrapped = WAYS[way]
    assert failed(app, wrapped(sample(file))) == []
    expected = provider(name).translate((EVENTS / file).read_bytes(), "bus", {})
    ((message,),) = cloud.all_received().values()
    assert [fact_from_json(message["fact"])] == list(expected.facts)
    assert (message["event_id"], message["event_type"]) == (expected.event_id, expected.event_type)
    assert message["received_at"].endswith("Z")


def test_money_of_no_named_account_belongs_to_the_configured_connection(app: ModuleType, cloud: Cloud) -> None:
    assert failed(app, on_bus(sample("stripe/payment_intent.succeeded.json"), STRIPE_SOURCE)) == []
    assert cloud.all_received()["payment_succeeded"][0]["fact"]["account"] == "connection:bus"


def test_what_a_thin_event_names_is_fetched_on_the_same_connection(app: ModuleType, cloud: Cloud) -> None:
    assert failed(app, on_bus(sample("stripe/thin.v1.payment_intent.succeeded.json"), STRIPE_SOURCE)) == []
    (wanted,) = cloud.all_received()["object_fetched"]
    assert (wanted["fetch"]["connection"], wanted["fetch"]["id"]) == ("bus", "pi_3Harbour0001")


def test_a_test_event_makes_nothing_on_a_live_stack(
    cloud: Cloud, load_function: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVOICING_ENVIRONMENT", "live")
    assert failed(load_function("event_received"), on_bus(sample("stripe/payment_intent.succeeded.json"), STRIPE_SOURCE)) == []
    (kept,) = cloud.all_received()["event_ignored"]
    assert kept["reason"] == "test_event_on_live_stack"


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        "[]",
        "no JSON",
        on_bus({"id": "evt_1"}, STRIPE_SOURCE),
        on_bus(sample("stripe/payment_intent.succeeded.json"), "com.pretender"),
        on_bus(sample("stripe/payment_intent.succeeded.json"), "aws.partner/stripe.com.evil/x"),
        on_bus("text", STRIPE_SOURCE),
        {"specversion": "1.0", "id": "evt_1"},
    ],
)
def test_what_cannot_be_read_fails_alone(body: Any, app: ModuleType, cloud: Cloud) -> None:
    good = sample("platform/payment.succeeded.json")
    assert failed(app, body, good) == [0]
    assert set(cloud.all_received()) == {"payment_succeeded"}
