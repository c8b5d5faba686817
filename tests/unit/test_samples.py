"""Samples made new: every id changes alike, and whose money it is only on request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from quittance.providers import provider, provider_names
from tools.samples import with_fresh_ids

EVENTS = Path(__file__).parents[2] / "events"
SAMPLES = [file for name in provider_names() for file in sorted((EVENTS / name).glob("*.json"))]


def fresh(sample: dict[str, Any], **options: Any) -> dict[str, Any]:
    renamed: dict[str, Any] = json.loads(with_fresh_ids(json.dumps(sample).encode(), "x", **options))
    return renamed


def test_platform_ids_change_and_the_customer_stays() -> None:
    data = {"business_customer": "bc_1", "payment_id": "pay_1", "refund_id": "re_1", "method": "bank_transfer"}
    assert fresh({"id": "evt_1", "type": "refund.succeeded", "data": data}) == {
        "id": "evt_1_x",
        "type": "refund.succeeded",
        "data": data | {"payment_id": "pay_1_x", "refund_id": "re_1_x"},
    }


def test_stripe_ids_change_wherever_they_are_and_words_do_not() -> None:
    thing = {
        "id": "ch_3A1",
        "payment_intent": "pi_3A1",
        "status": "in_progress",
        "reason": "subscription_cycle",
        "account": "acct_1A",
    }
    assert fresh(thing) == thing | {"id": "ch_3A1_x", "payment_intent": "pi_3A1_x"}


def test_customers_and_their_accounts_change_on_request() -> None:
    sample = {"business_customer": "bc_1", "accounts": [{"account": "acct_1A"}, {"account": "connection:default"}]}
    accounts = [{"account": "acct_1A_x"}, {"account": "connection:default"}]
    assert fresh(sample, customers=True) == {"business_customer": "bc_1_x", "accounts": accounts}


@pytest.mark.parametrize("file", SAMPLES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_sample_still_means_the_same(file: Path) -> None:
    """Of something else: no fact keeps its identity."""
    translate = provider(file.parent.name).translate
    before = translate(file.read_bytes(), "default", {})
    after = translate(with_fresh_ids(file.read_bytes(), "x"), "default", {})
    is_hash = before.event_id not in file.read_text(encoding="utf-8")
    assert after.event_id != before.event_id if is_hash else after.event_id == f"{before.event_id}_x"
    assert [(fact.type, fact.amount, fact.account) for fact in after.facts] == [
        (fact.type, fact.amount, fact.account) for fact in before.facts
    ]
    assert after.ignored == before.ignored
    changed = [fact for fact in before.facts if fact.registration is None]
    assert not {fact.identity for fact in changed} & {fact.identity for fact in after.facts}
