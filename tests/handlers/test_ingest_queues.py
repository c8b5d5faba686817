"""Messages between the functions: where they go, how they are batched, what identifies them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from quittance.errors import Reject, Retry
from quittance.facts import Fact, FactType, PayoutLine, fact_from_json
from quittance.money import Money
from quittance.runtime.queues import (
    BATCH_BYTES_MAX,
    FACT_CHARACTERS_MAX,
    FUNCTION_OF,
    PAYOUT_CHARACTERS_MAX,
    Message,
    Queues,
    fact_message,
    revisit_message,
)
from tests.handlers.conftest import WORKERS

AT = "2026-11-20T10:00:00Z"


def refund(key: str = "re_1", **more: Any) -> Fact:
    values: dict[str, Any] = {"payment_id": "pi_1", "amount": Money(700, "EUR")} | more
    return Fact(type=FactType.REFUND_SUCCEEDED, provider="stripe", account="acct_1", key=key, occurred_at=AT, **values)


class Sqs:
    """SQS that keeps what it is sent, and refuses or fails on demand."""

    def __init__(self, *, failing: set[str] | None = None, refused: int = 0) -> None:
        self.sent: list[tuple[str, list[dict[str, str]]]] = []
        self.failing = failing or set()
        self.refused = refused

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        if QueueUrl in self.failing:
            raise ClientError({"Error": {"Code": "ServiceUnavailable"}}, "SendMessageBatch")
        self.sent.append((QueueUrl, Entries))
        accepted = Entries[self.refused :]
        return {"Successful": [{"Id": entry["Id"]} for entry in accepted], "Failed": [{} for _ in Entries[: self.refused]]}


URLS = {worker: f"https://queue/{worker}" for worker in WORKERS}


def test_every_type_of_fact_has_a_function() -> None:
    assert set(FUNCTION_OF) == set(FactType)
    assert set(FUNCTION_OF.values()) <= set(WORKERS)


def test_a_fact_arrives_as_it_was_sent() -> None:
    body = json.loads(fact_message(refund(), "evt_1", "refund.updated", AT).body)
    assert fact_from_json(body["fact"]) == refund()
    assert (body["event_id"], body["event_type"], body["received_at"]) == ("evt_1", "refund.updated", AT)


def test_a_group_is_one_payment_of_one_account() -> None:
    def group(**changes: Any) -> str:
        fact = refund(**changes)
        return fact_message(fact, "evt_1", "x", AT).group

    assert group() == group(key="re_2") == revisit_message("stripe", "acct_1", "pi_1", "repair", AT).group
    assert group() != group(payment_id="pi_2")


def test_only_the_time_of_arrival_does_not_identify_a_message() -> None:
    first = fact_message(refund(), "evt_1", "refund.updated", AT)
    again = fact_message(refund(), "evt_1", "refund.updated", "2026-11-20T10:00:09Z")
    other = fact_message(refund(), "evt_2", "refund.updated", AT)
    assert first.deduplication_id == again.deduplication_id != other.deduplication_id
    assert first.body != again.body


def test_a_body_holds_only_characters_that_sqs_takes() -> None:
    odd = refund(description="\x00\x0b\ufffe\U0001f600é")
    message = fact_message(odd, "evt_1", "x", AT)
    assert message.body.isascii()
    assert message.body.isprintable()
    assert fact_from_json(json.loads(message.body)["fact"]) == odd


def test_messages_go_to_their_queue_ten_at_a_time() -> None:
    sqs = Sqs()
    facts = [refund(f"re_{number}") for number in range(23)]
    failed = Fact(type=FactType.REFUND_FAILED, provider="stripe", account="acct_1", key="re_0", occurred_at=AT, payment_id="pi_1")
    Queues(sqs, URLS).send(fact_message(fact, "evt_1", "x", AT) for fact in (*facts, failed))
    assert [(url, len(entries)) for url, entries in sqs.sent] == [
        (URLS["refund_processed"], 10),
        (URLS["refund_processed"], 10),
        (URLS["refund_processed"], 3),
        (URLS["refund_failed"], 1),
    ]
    assert all(len({entry["Id"] for entry in entries}) == len(entries) for _, entries in sqs.sent)


def test_a_batch_is_never_larger_than_sqs_takes() -> None:
    sqs = Sqs()
    text = "x" * (BATCH_BYTES_MAX // 2 - 1000)
    large = [Message.of("refund_processed", ("stripe", "acct_1", "pi_1"), {"text": text, "n": n}, AT) for n in range(5)]
    Queues(sqs, URLS).send(large)
    sizes = [sum(len(entry["MessageBody"]) for entry in entries) for _, entries in sqs.sent]
    assert len(sizes) == 3
    assert max(sizes) <= BATCH_BYTES_MAX


def test_a_message_larger_than_sqs_takes_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(Reject, match="body_too_large"):
        Message.of("refund_processed", ("stripe", "acct_1", "pi_1"), {"text": "x" * BATCH_BYTES_MAX}, AT)


def test_a_queue_that_is_down_or_takes_a_part_is_worth_a_retry() -> None:
    messages = [fact_message(refund(), "evt_1", "x", AT)]
    with pytest.raises(Retry, match="queue_unavailable"):
        Queues(Sqs(failing={URLS["refund_processed"]}), URLS).send(messages)
    with pytest.raises(Retry, match="queue_incomplete"):
        Queues(Sqs(refused=1), URLS).send(messages)


def test_a_message_does_not_show_its_body() -> None:
    assert "Ada" not in repr(Message("event_ignored", "group", '{"name":"Ada"}'))


def test_a_fact_that_the_ledger_could_not_keep_with_its_document_is_too_large() -> None:
    with pytest.raises(Reject, match="body_too_large"):
        fact_message(refund(description="x" * FACT_CHARACTERS_MAX), "evt_1", "x", AT)
    assert fact_message(refund(description="x" * (FACT_CHARACTERS_MAX - 1000)), "evt_1", "x", AT)


def test_a_payout_has_room_for_thousands_of_payments() -> None:
    def payout(payments: int) -> Message:
        lines = tuple(PayoutLine(payment_id=f"pay_{number:016}", gross=1000, fee=30, net=970) for number in range(payments))
        paid = replace(refund(), type=FactType.PAYOUT_PAID, payment_id=None, payout_lines=lines)
        return fact_message(paid, "evt_1", "x", AT)

    assert FACT_CHARACTERS_MAX < len(payout(3500).body) <= PAYOUT_CHARACTERS_MAX
    with pytest.raises(Reject, match="body_too_large"):
        payout(4500)
