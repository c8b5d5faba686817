"""What a sender is answered, and what comes of what was not accepted."""

from __future__ import annotations

import json
import secrets
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from quittance.providers import provider, provider_names
from tests.end_to_end.conftest import CUSTOMER, ON_THE_STACK, Stack, payment_data, platform_event, stripe_event
from tools.deliveries import signed_delivery
from tools.samples import with_fresh_ids
from tools.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = ON_THE_STACK

ROOT = Path(__file__).parents[2]
STRANGERS_SECRET = "whsec_c29tZWJvZHkgZWxzZQ=="
INTENT = {"id": "pi_3Refused", "object": "payment_intent", "amount_received": 100, "currency": "eur", "status": "succeeded"}


def test_health(stack: Stack) -> None:
    assert httpx.get(f"{stack.target.webhooks}/health", trust_env=False).status_code == httpx.codes.OK


@pytest.mark.parametrize("name", provider_names())
def test_every_provider_has_a_connection(stack: Stack, name: str) -> None:
    """And a secret of the kind that it signs with."""
    samples = [path.read_bytes() for path in sorted((ROOT / "events" / name).iterdir()) if path.is_file()]
    # A document that says it is ours would be waited for until it is recorded, which a sample never is.
    sample = next(raw for raw in samples if provider(name).translate(raw, "default", {}).sighting is None)
    body = with_fresh_ids(sample, secrets.token_hex(4), customers=True)
    assert stack.post(name, *signed_delivery(name, body, stack.local.secrets[name], int(time.time()))).is_success


def test_a_missing_signature(stack: Stack) -> None:
    assert stack.post("platform", platform_event("payment.succeeded", payment_data("pay_unsigned")), {}).status_code == 401
    assert stack.post("stripe", stripe_event("payment_intent.succeeded", INTENT), {}).status_code == 401


def test_a_signature_of_somebody_else(stack: Stack) -> None:
    body = platform_event("payment.succeeded", payment_data("pay_forged"))
    assert stack.post("platform", body, stack.signed_by_standard_webhooks(body, STRANGERS_SECRET)).status_code == 401
    body = stripe_event("payment_intent.succeeded", INTENT)
    assert stack.post("stripe", body, stack.signed_by_stripe(body, STRANGERS_SECRET)).status_code == 401


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_signature_of_another_time(stack: Stack, minutes: int) -> None:
    body = platform_event("payment.succeeded", payment_data("pay_replayed"))
    headers = stack.signed_by_standard_webhooks(body, at=datetime.now(UTC) + timedelta(minutes=minutes))
    assert stack.post("platform", body, headers).status_code == 401


def test_a_body_changed_after_it_was_signed(stack: Stack) -> None:
    body = platform_event("payment.succeeded", payment_data("pay_changed", 5000))
    headers = stack.signed_by_standard_webhooks(body)
    assert stack.post("platform", body.replace(b"5000", b"9000"), headers).status_code == 401


@pytest.mark.parametrize(
    "amount",
    [
        {"value": -1, "currency": "EUR"},
        {"value": 12.5, "currency": "EUR"},
        {"value": "100", "currency": "EUR"},
        {"value": 100, "currency": "XXX"},
        {"value": 100},
        None,
    ],
)
def test_an_amount_that_is_none(stack: Stack, amount: object) -> None:
    assert stack.platform("payment.succeeded", payment_data("pay_bad_amount") | {"amount": amount}).status_code == 400


def test_a_body_that_is_not_json(stack: Stack) -> None:
    event_id = "evt_not_json"
    headers = stack.signed_by_standard_webhooks(json.dumps({"id": event_id}).encode())
    body = b"not json at all"
    assert stack.post("stripe", body, stack.signed_by_stripe(body)).status_code == 400
    assert stack.post("platform", body, headers).status_code == 401


def test_unknown_places(stack: Stack) -> None:
    body = platform_event("payment.succeeded", payment_data("pay_nowhere"))
    headers = stack.signed_by_standard_webhooks(body)
    assert stack.post("nobody", body, headers).status_code == 404
    assert stack.post("platform", body, headers, connection="unknown").status_code == 404


def test_a_body_that_is_too_large(stack: Stack) -> None:
    body = platform_event("payment.succeeded", payment_data("pay_large") | {"description": "x" * 1_100_000})
    assert stack.post("platform", body, stack.signed_by_standard_webhooks(body)).status_code == 413


def test_an_event_of_an_unknown_kind_is_accepted_and_can_be_explained(stack: Stack, new_id: Callable[[str], str]) -> None:
    event_id = new_id("evt")
    answer = stack.platform("parcel.shipped", {"business_customer": CUSTOMER}, event_id)
    assert answer.is_success
    [event] = wait_for("the ignored event", lambda: stack.target.ledger.find(event_id), seconds=20)
    assert event["reason"] == "unknown_event_type"
    assert event["expires_at"] > datetime.now(UTC).timestamp()


def test_nothing_refused_is_in_the_ledger(stack: Stack) -> None:
    refused = ("unsigned", "forged", "replayed", "changed", "bad_amount", "nowhere", "large")
    stack.wait_until_done()
    assert [name for name in refused if stack.case(f"pay_{name}").facts] == []
