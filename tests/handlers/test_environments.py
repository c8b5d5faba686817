"""Sandbox and live are kept apart: a test event makes nothing on a live stack, and a key of the other kind is never used."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from quittance.errors import Retry
from quittance.providers import stripe
from quittance.runtime.parameter import KeyOf
from quittance.space_invoices import SpaceInvoices
from tests.use_cases.world import World
from tools.deliveries import api_gateway_event, signed_delivery

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.handlers.conftest import Cloud

SECRET = "whsec_of_stripe"


def intent(**event: Any) -> bytes:
    body = {
        "id": "evt_1",
        "object": "event",
        "type": "payment_intent.succeeded",
        "created": 1_795_000_000,
        "data": {"object": {"id": "pi_1", "object": "payment_intent", "amount_received": 500, "currency": "eur"}},
    }
    return json.dumps(body | event).encode()


def delivered(load: Callable[[str], ModuleType], cloud: Cloud, body: bytes) -> dict[str, list[dict[str, Any]]]:
    """What waits on the queues after a delivery to a function that just started."""
    cloud.configure("stripe", secret=SECRET)
    _, headers = signed_delivery("stripe", body, SECRET, int(time.time()))
    answer = load("ingest").handler(api_gateway_event("stripe", "default", body, headers), None)
    assert answer["statusCode"] == 200
    return cloud.all_received()


@pytest.mark.parametrize(
    ("environment", "livemode", "taken"),
    [("live", True, True), ("live", False, False), ("live", None, True), ("sandbox", True, True), ("sandbox", False, True)],
)
def test_test_events_make_nothing_on_a_live_stack(
    load_function: Callable[[str], ModuleType],
    cloud: Cloud,
    monkeypatch: pytest.MonkeyPatch,
    environment: str,
    *,
    livemode: bool | None,
    taken: bool,
) -> None:
    monkeypatch.setenv("INVOICING_ENVIRONMENT", environment)
    body = intent() if livemode is None else intent(livemode=livemode)
    found = delivered(load_function, cloud, body)
    if taken:
        assert set(found) == {"payment_succeeded"}
    else:
        assert [message["reason"] for message in found["event_ignored"]] == ["test_event_on_live_stack"]
        assert set(found) == {"event_ignored"}


@pytest.mark.parametrize(
    ("event_mode", "object_mode", "expected"),
    [
        (True, None, False),
        (False, None, True),
        (None, False, True),
        (True, False, True),
        (True, True, False),
        (None, None, None),
        ("no", 1, None),
    ],
)
def test_stripe_says_of_each_event_and_object_whether_it_is_a_test(
    event_mode: object, object_mode: object, *, expected: bool | None
) -> None:
    event = json.loads(intent())
    event |= {} if event_mode is None else {"livemode": event_mode}
    event["data"]["object"] |= {} if object_mode is None else {"livemode": object_mode}
    assert stripe.translate(json.dumps(event).encode(), "default", {}).is_test is expected


def test_a_thin_event_says_so_too() -> None:
    thin = {"id": "evt_1", "object": "v2.core.event", "type": "x", "livemode": False, "related_object": {"id": "a", "type": "b"}}
    assert stripe.translate(json.dumps(thin).encode(), "default", {}).is_test is True


@pytest.mark.parametrize("kind", ["sk", "ek"])
@pytest.mark.parametrize(("environment", "other"), [("sandbox", "live"), ("live", "sandbox")])
def test_a_key_of_the_other_environment_is_refused_before_any_request(kind: str, environment: str, other: str) -> None:
    world = World()
    world.api = SpaceInvoices("http://sandbox", KeyOf(environment, lambda: f"{kind}_{other}_x"), transport=world.api._transport)
    with pytest.raises(Retry, match="api_refused_key") as refused:
        world.api.get("/entities", entity_id=None)
    assert refused.value.delay_s == 300
    assert "_x" not in str(refused.value)
    assert not world.sandbox.seen


@pytest.mark.parametrize("environment", ["sandbox", "live"])
def test_its_own_keys_and_those_of_no_known_form_pass(environment: str) -> None:
    for key in (f"sk_{environment}_x", f"ek_{environment}_x", "whatever"):
        assert KeyOf(environment, lambda key=key: key)() == key  # type: ignore[misc]
