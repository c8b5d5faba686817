"""Deliveries that only name objects: fetched from the stand-ins of their providers' APIs, and documented."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.conftest import ON_THE_STACK, PATIENCE_S
from tools.deliveries import signed_delivery
from tools.samples import with_fresh_ids
from tools.waiting import wait_for

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Stack

pytestmark = ON_THE_STACK

EVENTS = Path(__file__).parents[2] / "events"


def send(stack: Stack, provider: str, name: str, suffix: str = "") -> None:
    """Send a sample as its provider would, with ids of its own if there is a suffix for them."""
    body = (EVENTS / provider / name).read_bytes()
    body, headers = signed_delivery(
        provider, with_fresh_ids(body, suffix) if suffix else body, stack.local.secrets[provider], int(time.time())
    )
    assert stack.post(provider, body, headers).is_success


STORIES = [
    ("mollie", "tr_8Hb1Bread01", ["payment.paid.txt", "payment.paid.simple.json"], ["invoice 18.40"]),
    (
        "mollie",
        "tr_8Hb1Bread02",
        ["refund.refunded.full.json", "payment.refunded-in-part.txt"],
        ["invoice 60.00", "credit note 15.00"],
    ),
    ("mollie", "tr_8Hb1Bread04", ["payment.charged-back.txt"], ["invoice 75.00", "credit note 75.00"]),
    ("mollie", "tr_8Hb1Bread06", ["payment.renewal.txt"], ["invoice 24.00"]),
    ("mollie", "tr_8Hb1Bread07", ["order.txt"], ["invoice 60.00", "invoice 50.00"]),
    ("mollie", "tr_8Hb1Bread08", ["payment.expired.txt"], []),
    ("gocardless", "PM00QUAY0001", ["payments.confirmed.json", "payouts.paid.json"], ["invoice 29.50"]),
    (
        "gocardless",
        "PM00QUAY0002",
        ["refunds.paid.json", "payments.confirmed.refunded-in-part.json"],
        ["invoice 59.00", "credit note 9.00"],
    ),
    (
        "gocardless",
        "PM00QUAY0005",
        ["payments.charged_back.json", "payments.confirmed.charged-back-later.json"],
        ["invoice 42.00", "credit note 42.00"],
    ),
    ("gocardless", "PM00QUAY0004", ["payments.failed.late.json", "payments.confirmed.failed-later.json"], ["invoice 29.50"]),
    ("gocardless", "PM00QUAY0006", ["payments.confirmed.renewal.json"], ["invoice 19.90"]),
]


@pytest.mark.parametrize(("provider", "payment_id", "samples", "expected"), STORIES)
def test_what_a_delivery_names_is_fetched_and_documented(
    stack: Stack, provider: str, payment_id: str, samples: list[str], expected: list[str]
) -> None:
    customer = f"bc_{provider}_quay"
    send(stack, "platform", f"business_customer.created.{provider}.json")
    wait_for("the entity", lambda: customer in stack.target.ledger.entities(), seconds=PATIENCE_S)
    suffix = secrets.token_hex(4)
    for sample in samples:
        send(stack, provider, sample, suffix)
    stack.wait_until_done()
    assert stack.held(f"{payment_id}_{suffix}", customer) == Counter(expected)
