"""What the function `object_fetched` makes of its messages, with real queues of the emulator behind it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from quittance.providers import FetchedFor, Reference, Translation
from quittance.runtime import fetching
from quittance.runtime.queues import delivery_messages
from tests.unit.provider_api import API_KEY, Canned
from tools.deliveries import sqs_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

NAMED = Translation(event_id="evt_1", event_type="x.changed", account="acct_1", fetch=(Reference("payment", "pay_1"),))


class Context:
    aws_request_id = "lambda-request"

    def get_remaining_time_in_millis(self) -> int:
        return 20_000


class Fetches:
    """The use case, which notes what it is given."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Reference, FetchedFor]] = []

    def take(self, provider: str, reference: Reference, told: FetchedFor) -> None:
        self.taken.append((provider, reference, told))


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> Fetches:
    found = Fetches()
    monkeypatch.setattr(fetching, "fetcher", lambda: found)
    return found


@pytest.fixture
def app(fetches: Fetches, cloud: Any, load_function: Callable[[str], ModuleType]) -> ModuleType:  # noqa: ARG001
    return load_function("object_fetched")


def delivered(app: ModuleType, **changes: Any) -> list[Any]:
    """The items that failed."""
    (message,) = delivery_messages("stripe", "shop", NAMED, "2026-11-20T10:00:00Z")
    event = sqs_event([message])
    body = json.loads(event["Records"][0]["body"])
    event["Records"][0]["body"] = json.dumps(body | {"fetch": body["fetch"] | changes})
    return list(app.handler(event, Context())["batchItemFailures"])


def test_when_it_happened_and_whether_it_is_needed_arrive_too(fetches: Fetches, app: ModuleType) -> None:
    assert delivered(app, occurred_at="2026-11-20T09:00:00Z", optional="yes") == []
    ((_, reference, told),) = fetches.taken
    assert (reference.optional, told.occurred_at) == (True, "2026-11-20T09:00:00Z")


def test_a_message_says_when_it_happened_and_whether_it_is_needed() -> None:
    named = replace(NAMED, occurred_at="2026-11-20T09:00:00Z", fetch=(Reference("payment", "pay_1", optional=True),))
    (message,) = delivery_messages("stripe", "shop", named, "2026-11-20T10:00:00Z")
    wanted = json.loads(message.body)["fetch"]
    assert (wanted["occurred_at"], wanted["optional"]) == ("2026-11-20T09:00:00Z", "yes")


def test_what_a_delivery_named_reaches_the_use_case(fetches: Fetches, app: ModuleType) -> None:
    assert delivered(app) == []
    came_at = "2026-11-20T10:00:00Z"
    told = FetchedFor(connection="shop", event_id="evt_1", event_type="x.changed", account="acct_1", occurred_at=came_at)
    assert fetches.taken == [("stripe", Reference("payment", "pay_1"), told)]


@pytest.mark.parametrize("changes", [{"id": None}, {"provider": ["stripe"]}])
def test_a_message_that_names_nothing_fails_alone(fetches: Fetches, app: ModuleType, changes: dict[str, Any]) -> None:
    assert len(delivered(app, **changes)) == 1
    assert fetches.taken == []


def test_what_is_told_without_a_time_is_never_taken_for_a_repetition() -> None:
    """The same call of a provider may mean something new within the five minutes for which a queue remembers."""
    first, second = (delivery_messages("mollie", "shop", NAMED, "2026-11-20T10:00:00Z")[0] for _ in range(2))
    assert first.deduplication_id != second.deduplication_id
    timed = replace(NAMED, occurred_at="2026-11-19T10:00:00Z")
    first, second = (delivery_messages("mollie", "shop", timed, "2026-11-20T10:00:00Z")[0] for _ in range(2))
    assert first.deduplication_id == second.deduplication_id
    assert json.loads(first.body)["fetch"]["occurred_at"] == "2026-11-19T10:00:00Z"


@pytest.mark.parametrize(
    ("status", "metric", "event_type"),
    [
        ("paid", "FactsAccepted", "fetched"),
        ("open", "EventsIgnored", "fetched"),
        ("dreamt", "EventsNotUnderstood", "unknown_status"),
    ],
)
def test_what_was_fetched_is_counted_and_written_as_what_became_of_it(
    monkeypatch: pytest.MonkeyPatch, cloud: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
    status: str, metric: str, event_type: str,
) -> None:  # fmt: skip
    cloud.configure("mollie", secret="secret", api_key=API_KEY)
    payment = {
        "id": "tr_1",
        "status": status,
        "amount": {"value": "1.00", "currency": "EUR"},
        "createdAt": "2026-11-16T08:00:00Z",
    }
    monkeypatch.setattr(fetching, "ProviderApi", lambda *_: Canned("mollie", {"payments/tr_1": payment}).api)
    told = FetchedFor(connection="default", event_id="tr_1", event_type="payment", account="connection:default")
    fetching.fetcher().take("mollie", Reference("payment", "tr_1"), told)
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert (line[metric], line["provider"], line["event_type"]) == ([1.0], "mollie", event_type)
    (record,) = caplog.records
    assert (record.getMessage(), record.__dict__["event_id"]) == ("delivery accepted", "tr_1")
    assert (record.__dict__["reason"] == event_type) is (metric == "EventsNotUnderstood"), "what is not understood can be found"


@pytest.mark.parametrize(("environment", "taken"), [("live", False), ("sandbox", True)])
def test_play_money_that_was_fetched_makes_nothing_on_a_live_stack(
    monkeypatch: pytest.MonkeyPatch, cloud: Any, environment: str, *, taken: bool
) -> None:
    monkeypatch.setenv("INVOICING_ENVIRONMENT", environment)
    cloud.configure("mollie", secret="secret", api_key=API_KEY)
    payment = {"id": "tr_1", "mode": "test", "status": "paid", "amount": {"value": "1.00", "currency": "EUR"}}
    answers = {"payments/tr_1": payment | {"createdAt": "2026-11-16T08:00:00Z"}}
    monkeypatch.setattr(fetching, "ProviderApi", lambda *_: Canned("mollie", answers).api)
    told = FetchedFor(connection="default", event_id="tr_1", event_type="payment", account="connection:default")
    fetching.fetcher().take("mollie", Reference("payment", "tr_1"), told)
    found = cloud.all_received()
    assert set(found) == {"payment_succeeded" if taken else "event_ignored"}
