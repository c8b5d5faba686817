"""The batch loop of the workers: what fails, what it takes with it, when it comes back, and what is said about it."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from quittance.errors import InDoubt, Park, Reject, Retry
from quittance.facts import Fact, FactType, Payer
from quittance.money import Money
from quittance.runtime.allowance import Ask
from quittance.runtime.dead_letters import RECEIVES_MAX
from quittance.runtime.observability import logger
from quittance.runtime.retry_schedule import GIVEN_UP_AFTER_S, KEPT_WAITING_S, OF_A_DEFECT, SPREAD, delay_s
from quittance.runtime.worker import MEANT_FOR_ALL, Message, worker_handler

if TYPE_CHECKING:
    from collections.abc import Callable

QUEUE = "arn:aws:sqs:eu-central-1:123456789012:payment_succeeded.fifo"
PERSONAL = "ada@example.com"
NOW = 1_790_000_000


def _fact(payment: str) -> Fact:
    return Fact(
        type=FactType.PAYMENT_SUCCEEDED,
        provider="stripe",
        account="acct_1",
        key=payment,
        payment_id=payment,
        occurred_at="2026-11-20T10:00:00Z",
        amount=Money(12345, "EUR"),
        payer=Payer(email=PERSONAL),
    )


def _record(
    payment: str, *, group: str | None = "same", receive_count: int = 1, age_s: int = 0, **changes: Any
) -> dict[str, Any]:
    body = {
        "fact": _fact(payment).to_json(),
        "event_id": f"evt_{payment}",
        "event_type": "charge.succeeded",
        "received_at": "2026-11-20T10:00:01Z",
    }
    groups = {} if group is None else {"MessageGroupId": payment if group == "same" else group}
    return {
        "messageId": f"message-{payment}",
        "receiptHandle": f"receipt-{payment}",
        "body": json.dumps(body),
        "attributes": {
            "ApproximateReceiveCount": str(receive_count),
            "ApproximateFirstReceiveTimestamp": str(1000 * (NOW - age_s)),
        }
        | groups,
        "eventSourceARN": QUEUE,
    } | changes


@dataclass
class FakeSqs:
    """The two calls that the worker makes."""

    hidden: dict[str, int] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    urls: set[str] = field(default_factory=set)
    calls: int = 0
    failure: Exception | None = None
    answer: dict[str, Any] = field(default_factory=dict)
    sent: list[dict[str, Any]] = field(default_factory=list)

    class meta:  # noqa: N801 - as on a client
        endpoint_url = "https://sqs.test"

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.calls += 1
        assert 1 <= len(Entries) <= 10
        assert len({entry["Id"] for entry in Entries}) == len(Entries)
        if self.failure:
            raise self.failure
        self.urls.add(QueueUrl)
        self.hidden |= {entry["ReceiptHandle"].removeprefix("receipt-"): entry["VisibilityTimeout"] for entry in Entries}
        self.order += [entry["ReceiptHandle"].removeprefix("receipt-") for entry in Entries]
        return self.answer

    def send_message(self, **letter: Any) -> None:
        if self.failure:
            raise self.failure
        self.sent.append(letter)


class Context:
    """Time left in seconds, one value for each question; the last one stays."""

    aws_request_id = "request-1"

    def __init__(self, *remaining_s: float) -> None:
        self.remaining_s = list(remaining_s) or [30.0]

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self.remaining_s.pop(0) if len(self.remaining_s) > 1 else self.remaining_s[0]))


@dataclass
class FakeAllowance:
    """Lets only the first few of a batch be tried."""

    tried: int = 0
    is_tight: bool = True
    asks: list[Ask] = field(default_factory=list)
    pauses: list[int] = field(default_factory=list)

    def refused(self, pause_s: int) -> None:
        self.pauses.append(pause_s)

    def wait_s(self, account: str) -> int:
        assert account == "stripe acct_1"
        return 7

    def waits_s(self, asks: list[Ask]) -> list[int | None]:
        self.asks += asks
        return [None if place < self.tried else 40 + place for place in range(len(asks))]


class Worker:
    """A handler whose use case fails for the payments that `failures` names."""

    def __init__(self, allowance: FakeAllowance | None = None, **failures: Exception) -> None:
        self.failures = failures
        self.allowance = allowance
        self.tried: list[str] = []
        self.messages: list[Message] = []
        self.sqs = FakeSqs()
        self.metrics: Counter[tuple[str, ...]] = Counter()
        self.handler: Callable[[dict[str, Any], Any], dict[str, Any]] = worker_handler(
            self._use_case,
            allowance=self.allowance,  # type: ignore[arg-type]
            count=lambda name, **labels: self.metrics.update([(name, *labels.values())]),
            clock=lambda: NOW,
            sqs=self.sqs,  # type: ignore[arg-type]
        )

    def _use_case(self, message: Message) -> None:
        self.messages.append(message)
        payment = message.event_id.removeprefix("evt_")
        self.tried.append(payment)
        logger.info("use case", extra={"status": payment})
        if payment in self.failures:
            raise self.failures[payment]

    def handle(self, *records: dict[str, Any], context: Context | None = None) -> list[str]:
        answer = self.handler({"Records": list(records)}, context or Context())
        return [failure["itemIdentifier"].removeprefix("message-") for failure in answer["batchItemFailures"]]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    stream = io.StringIO()
    monkeypatch.setattr(logger.handlers[0], "stream", stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_messages_are_handled_in_order_and_none_fails() -> None:
    worker = Worker()
    assert worker.handle(_record("pay_1"), _record("pay_2"), _record("pay_3")) == []
    assert worker.tried == ["pay_1", "pay_2", "pay_3"]
    assert worker.sqs.calls == 0


def test_a_use_case_gets_the_whole_message() -> None:
    worker = Worker()
    worker.handle(_record("pay_1", age_s=3), context=Context(12.5))
    [message] = worker.messages
    assert message.fact == _fact("pay_1")
    assert message.body["event_type"] == message.event_type == "charge.succeeded"
    assert (message.event_id, message.received_at) == ("evt_pay_1", "2026-11-20T10:00:01Z")
    assert (message.age_s, message.remaining_s) == (3, 12.5)
    assert PERSONAL not in repr(message.body) or "body" not in repr(message)


def test_a_message_without_a_fact_is_handled_too() -> None:
    worker = Worker()
    body = {"revisit": {"provider": "stripe", "account": "acct_1", "payment_id": "pay_1"}, "reason": "registered"}
    assert worker.handle(_record("pay_1", body=json.dumps(body))) == []
    [message] = worker.messages
    assert message.fact is None
    assert message.body == body
    assert worker.metrics == {("MessagesHandled", "none", "none"): 1}


def test_no_records_are_no_failures() -> None:
    assert Worker().handler({"Records": []}, Context()) == {"batchItemFailures": []}


@pytest.mark.parametrize("failure", [Retry("table_busy"), InDoubt("api_no_answer"), RuntimeError("defect")])
def test_a_failure_holds_back_its_group_and_no_other(failure: Exception) -> None:
    worker = Worker(a1=failure)
    records = [_record(name, group=name[0]) for name in ("b0", "a0", "a1", "b1", "a2", "c1", "a3")]
    assert worker.handle(*records) == ["a1", "a2", "a3"]
    assert worker.tried == ["b0", "a0", "a1", "b1", "c1"]
    assert worker.sqs.order == ["a1", "a2", "a3"]
    assert worker.sqs.hidden["a1"] == delay_s(0, None, "message-a1")
    assert min(worker.sqs.hidden["a2"], worker.sqs.hidden["a3"]) >= worker.sqs.hidden["a1"]
    assert worker.sqs.urls == {"https://sqs.test/123456789012/payment_succeeded.fifo"}
    assert worker.sqs.calls == 1


def test_a_queue_without_groups_holds_nothing_back() -> None:
    worker = Worker(a1=Retry("table_busy"))
    assert worker.handle(_record("a1", group=None), _record("a2", group=None)) == ["a1"]
    assert worker.tried == ["a1", "a2"]


@pytest.mark.parametrize("age_s", [0, 400, 90_000])
def test_a_failed_message_waits_by_its_age_however_often_it_was_received(age_s: int) -> None:
    worker = Worker(a1=Retry("table_busy"), b1=KeyError("defect"))
    worker.handle(_record("a1", age_s=age_s, receive_count=50), _record("b1", age_s=age_s))
    assert worker.sqs.hidden == {
        "a1": delay_s(age_s, None, "message-a1"),
        "b1": delay_s(age_s, None, "message-b1", OF_A_DEFECT),
    }


def test_a_message_without_an_age_is_a_new_one() -> None:
    worker = Worker(a1=Retry("table_busy"))
    worker.handle(_record("a1", attributes={"ApproximateReceiveCount": "1", "MessageGroupId": "a"}))
    assert worker.sqs.hidden == {"a1": delay_s(0, None, "message-a1")}


@pytest.mark.parametrize("kind", [Retry, InDoubt])
def test_a_pause_asked_for_is_kept(kind: type[Retry | InDoubt]) -> None:
    worker = Worker(a1=kind("api_server_error", delay_s=100))
    worker.handle(_record("a1"))
    assert 100 <= worker.sqs.hidden["a1"] <= 100 * (1 + SPREAD)


@pytest.mark.parametrize("code", sorted(MEANT_FOR_ALL))
def test_a_failure_meant_for_all_spares_the_rest_the_attempt(code: str) -> None:
    worker = Worker(b1=Retry(code, delay_s=60))
    assert worker.handle(_record("a1"), _record("b1"), _record("c1"), _record("d1")) == ["b1", "c1", "d1"]
    assert worker.tried == ["a1", "b1"]
    assert all(hidden >= worker.sqs.hidden["b1"] >= 60 for hidden in worker.sqs.hidden.values())


def test_who_is_held_back_waits_by_its_own_age_too() -> None:
    worker = Worker(a1=Retry("table_busy"), c1=Retry("api_unreachable"))
    old_a2, old_d1 = _record("a2", group="a", age_s=300_000), _record("d1", age_s=300_000)
    worker.handle(_record("a1", group="a"), old_a2, _record("c1"), old_d1)
    assert worker.sqs.hidden["a2"] == delay_s(300_000, None, "message-a2") > 10_000
    assert worker.sqs.hidden["d1"] == delay_s(300_000, None, "message-d1") > 10_000


@pytest.mark.parametrize("failure", [Reject("fact_unreadable"), Park("table_refused_item")])
def test_what_no_repetition_can_help_is_a_dead_letter_at_once_and_holds_nothing_back(failure: Exception) -> None:
    worker = Worker(a1=failure)
    assert worker.handle(_record("a1", group="a"), _record("a2", group="a")) == []
    assert worker.tried == ["a1", "a2"]
    assert [letter["MessageAttributes"]["cause"]["StringValue"] for letter in worker.sqs.sent] == [failure.code]  # type: ignore[attr-defined]


def test_what_no_repetition_can_help_comes_back_where_it_cannot_be_given_up() -> None:
    worker = Worker(a1=Reject("fact_unreadable"))
    worker.sqs.failure = EndpointConnectionError(endpoint_url="https://sqs.test")
    assert worker.handle(_record("a1")) == ["a1"]
    worker.sqs.failure = None
    assert worker.handle(_record("a1", receive_count=2)) == []
    assert len(worker.sqs.sent) == 1


@pytest.mark.parametrize("last", [{"age_s": GIVEN_UP_AFTER_S}, {"receive_count": RECEIVES_MAX}], ids=str)
def test_what_fails_for_the_last_time_becomes_a_dead_letter_with_its_cause(last: dict[str, int]) -> None:
    worker = Worker(a1=Retry("api_unreachable"))
    last_a1, last_c1 = _record("a1", group="same", **last), _record("c1", group="same", **last)
    assert worker.handle(last_a1, _record("b1"), last_c1) == ["b1"]
    assert worker.sqs.hidden.keys() == {"b1"}
    assert worker.sqs.sent[0] == {
        "QueueUrl": "https://sqs.test/123456789012/payment_succeeded-DeadLetters.fifo",
        "MessageBody": last_a1["body"],
        "MessageAttributes": {"cause": {"DataType": "String", "StringValue": "api_unreachable"}},
        "MessageGroupId": "a1",
        "MessageDeduplicationId": "message-a1",
    }
    # What was held back was not tried: its cause is that of what held it back.
    assert [letter["MessageAttributes"]["cause"]["StringValue"] for letter in worker.sqs.sent] == ["api_unreachable"] * 2


def test_a_defect_is_a_cause_and_a_queue_without_groups_has_dead_letters_too() -> None:
    worker = Worker(a1=KeyError(PERSONAL))
    arn = "arn:aws:sqs:eu-central-1:123456789012:quittance-EventReceived"
    assert worker.handle(_record("a1", group=None, receive_count=RECEIVES_MAX, eventSourceARN=arn)) == []
    [letter] = worker.sqs.sent
    assert letter["QueueUrl"] == "https://sqs.test/123456789012/quittance-EventReceived-DeadLetters"
    assert letter["MessageAttributes"]["cause"]["StringValue"] == "defect"
    assert not letter.keys() & {"MessageGroupId", "MessageDeduplicationId"}


def test_a_cause_that_cannot_be_written_leaves_the_message_to_sqs(log: Callable[[], list[dict[str, Any]]]) -> None:
    worker = Worker(a1=Retry("table_busy"))
    worker.sqs.failure = EndpointConnectionError(endpoint_url="https://sqs.test")
    assert worker.handle(_record("a1", receive_count=RECEIVES_MAX)) == ["a1"]
    [line] = [line for line in log() if line["message"] == "cause not written"]
    assert (line["message_id"], line["code"], line["reason"]) == ("message-a1", "table_busy", "EndpointConnectionError")


def test_what_succeeds_the_last_time_is_no_dead_letter() -> None:
    worker = Worker()
    assert worker.handle(_record("a1", receive_count=RECEIVES_MAX)) == []
    assert worker.sqs.sent == []


UNREADABLE = {
    "not JSON": "{",
    "not an object": '["fact"]',
    "a list of something else": '["other"]',
    "a text": '"fact"',
    "null": "null",
    "fact is null": '{"fact": null}',
    "fact without a key": json.dumps({"fact": {"type": "payment.succeeded"}}),
    "fact of another version": json.dumps({"fact": _fact("a1").to_json() | {"later": 1}}),
    "fact of no known type": json.dumps({"fact": _fact("a1").to_json() | {"type": "payment.dreamt"}}),
    "amount that is none": json.dumps({"fact": _fact("a1").to_json() | {"amount": 5}}),
    "nested beyond reason": "[" * 100_000,
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_message_fails_alone(name: str) -> None:
    worker = Worker()
    assert worker.handle(_record("a1", group="a", body=UNREADABLE[name]), _record("a2", group="a")) == []
    assert worker.tried == ["a2"]
    assert [letter["MessageBody"] for letter in worker.sqs.sent] == [UNREADABLE[name]]
    assert worker.metrics["MessagesFailed", "none", "message_unreadable"] == 1


def test_what_there_is_no_time_for_goes_back_at_once() -> None:
    worker = Worker()
    records = [_record(name, age_s=GIVEN_UP_AFTER_S) for name in ("a1", "b1", "c1")]
    assert worker.handle(*records, context=Context(30, 16, 14.9)) == ["c1"]
    assert worker.sqs.sent == [], "it was not tried"
    assert worker.tried == ["a1", "b1"]
    assert worker.sqs.hidden == {"c1": 0}


def test_what_the_allowance_has_no_room_for_is_not_tried_and_holds_back_its_group() -> None:
    worker = Worker(allowance=FakeAllowance(tried=1))
    records = [_record("a1", group="a"), _record("b1", group="b", receive_count=2), _record("b2", group="b"), _record("c1")]
    assert worker.handle(*records) == ["b1", "b2", "c1"]
    assert worker.tried == ["a1"]
    assert worker.sqs.hidden == {"b1": 41, "b2": 7, "c1": 43}
    assert worker.allowance
    assert worker.allowance.asks == [Ask("stripe acct_1", is_new=is_new) for is_new in (True, False, True, True)]


def test_an_allowance_that_is_not_tight_is_not_asked() -> None:
    worker = Worker(allowance=FakeAllowance(is_tight=False))
    assert worker.handle(_record("a1"), _record("b1")) == []


def test_a_refusal_is_told_to_the_allowance_which_says_when_everything_comes_back() -> None:
    worker = Worker(FakeAllowance(is_tight=False), a1=Retry("api_rate_limited", delay_s=30))
    assert worker.handle(_record("a1", age_s=100_000), _record("b1"), _record("c1", age_s=GIVEN_UP_AFTER_S)) == ["a1", "b1", "c1"]
    assert worker.sqs.hidden == {"a1": 7, "b1": 7, "c1": 7}
    assert worker.sqs.sent == [], "nothing is wrong with what waits for the allowance"
    assert worker.allowance
    [pause_s] = worker.allowance.pauses
    assert 30 <= pause_s <= 30 * (1 + SPREAD)


def test_what_waits_until_its_queue_would_forget_it_is_a_dead_letter() -> None:
    deferring = Worker(FakeAllowance(tried=0))
    assert deferring.handle(_record("a1", age_s=KEPT_WAITING_S), _record("b1")) == ["b1"]
    refused = Worker(FakeAllowance(is_tight=False), a1=Retry("api_rate_limited", delay_s=30))
    old_a1, old_b1 = (_record(name, age_s=KEPT_WAITING_S) for name in ("a1", "b1"))
    assert refused.handle(old_a1, old_b1, _record("c1")) == ["c1"]
    causes = [one["MessageAttributes"]["cause"]["StringValue"] for worker in (deferring, refused) for one in worker.sqs.sent]
    assert causes == ["api_rate_limited"] * 3


@pytest.mark.parametrize(
    ("body", "account"),
    [
        ({"revisit": {"provider": "stripe", "account": "acct_1", "payment_id": "pi_1"}}, "stripe acct_1"),
        ({"fees": {"business_customer": "bc_1", "currency": "EUR", "month": "2026-10"}}, "platform bc_1"),
        ({"sighting": {"business_customer": "bc_1", "document_id": "inv_1"}}, "platform bc_1"),
        ({"fact": None}, "group_1"),
        ("{", "group_1"),
    ],
)
def test_the_allowance_is_shared_by_those_whom_messages_are_about(body: Any, account: str) -> None:
    worker = Worker(FakeAllowance())
    worker.handle(_record("a1", group="group_1", body=body if isinstance(body, str) else json.dumps(body)))
    assert worker.allowance
    assert worker.allowance.asks == [Ask(account, is_new=True)]


def test_the_first_message_is_tried_however_late_it_is() -> None:
    worker = Worker()
    assert worker.handle(_record("a1"), _record("b1"), context=Context(1)) == ["b1"]
    assert worker.tried == ["a1"]


def test_time_running_out_does_not_let_a_group_overtake_its_failure() -> None:
    worker = Worker(a1=Retry("table_busy"))
    worker.handle(_record("a1", group="a"), _record("a2", group="a"), _record("b1"), context=Context(30, 1))
    assert worker.tried == ["a1"]
    assert worker.sqs.hidden["a2"] >= worker.sqs.hidden["a1"] > 0
    assert worker.sqs.hidden["b1"] == 0


def test_time_running_out_does_not_shorten_a_wait_meant_for_all() -> None:
    worker = Worker(a1=Retry("api_rate_limited", delay_s=60))
    worker.handle(_record("a1"), _record("b1"), context=Context(30, 1))
    assert worker.sqs.hidden["b1"] >= worker.sqs.hidden["a1"] >= 60


def test_a_warm_worker_starts_every_call_afresh() -> None:
    worker = Worker(a1=Retry("api_unreachable"))
    assert worker.handle(_record("a1", group="a"), _record("a2", group="a")) == ["a1", "a2"]
    worker.failures.clear()
    assert worker.handle(_record("a1", group="a"), _record("a2", group="a")) == []
    assert worker.tried == ["a1", "a1", "a2"]


@pytest.mark.parametrize(
    "failure", [EndpointConnectionError(endpoint_url="https://sqs.test"), None], ids=["no answer", "refused"]
)
def test_a_visibility_that_cannot_be_changed_is_left_to_the_queue(
    failure: Exception | None, log: Callable[[], list[dict[str, Any]]]
) -> None:
    worker = Worker(a1=Retry("table_busy"))
    worker.sqs.failure = failure
    worker.sqs.answer = {"Failed": [{"Id": "0", "Code": "MessageNotInflight", "SenderFault": True}]}
    assert worker.handle(_record("a1")) == ["a1"]
    assert [line["reason"] for line in log() if line["message"] == "visibility not changed"] == [
        "EndpointConnectionError" if failure else "MessageNotInflight"
    ]


def test_more_failures_than_one_request_takes_are_all_hidden() -> None:
    worker = Worker(None, **{f"p{number}": Retry("table_busy") for number in range(25)})
    assert len(worker.handle(*(_record(f"p{number}") for number in range(25)))) == 25
    assert len(worker.sqs.hidden) == 25
    assert worker.sqs.calls == 3


def test_metrics_tell_what_was_handled_and_what_failed() -> None:
    worker = Worker(a1=Retry("case_in_use"), b1=InDoubt("api_no_answer"), c1=KeyError("defect"))
    worker.handle(_record("a1"), _record("b1"), _record("c1"), _record("d1"))
    assert worker.metrics == {
        ("MessagesFailed", "stripe", "case_in_use"): 1,
        ("MessagesFailed", "stripe", "api_no_answer"): 1,
        ("MessagesFailed", "stripe", "defect"): 1,
        ("MessagesHandled", "stripe", "payment.succeeded"): 1,
    }


def test_every_line_says_what_it_is_about_and_nobody_personal(log: Callable[[], list[dict[str, Any]]]) -> None:
    worker = Worker(a1=Retry("case_in_use", "by another run"), b1=RuntimeError(f"defect near {PERSONAL}"))
    worker.handle(_record("a1", receive_count=2, age_s=90), _record("b1"), _record("c1", body=PERSONAL), _record("d1"))
    lines = log()
    about_a1 = [line for line in lines if line.get("message_id") == "message-a1"]
    assert [line["message"] for line in about_a1] == ["use case", "message failed"]
    for line in about_a1:
        assert (line["request_id"], line["attempt"], line["event_id"]) == ("request-1", 2, "evt_a1")
        assert (line["provider"], line["account"], line["payment_id"]) == ("stripe", "acct_1", "a1")
        assert line["fact"] == "payment.succeeded#a1"
    assert (about_a1[1]["code"], about_a1[1]["reason"]) == ("case_in_use", "case_in_use: by another run")
    assert about_a1[1]["delay_s"] == delay_s(90, None, "message-a1")
    about_b1 = [line for line in lines if line.get("message_id") == "message-b1"]
    assert [line["message"] for line in about_b1] == ["use case", "message met a defect", "message failed"]
    assert about_b1[1]["exception_name"] == about_b1[2]["reason"] == "RuntimeError"
    assert any("_use_case" in frame for frame in about_b1[1]["stack_trace"])
    about_c1 = [line for line in lines if line.get("message_id") == "message-c1"]
    assert [(line["message"], line["code"], "fact" in line) for line in about_c1] == [
        ("message failed", "message_unreadable", False),
        ("message given up", "message_unreadable", False),
    ]
    assert [line["message"] for line in lines[-3:-1]] == ["use case", "message handled"]
    assert lines[-2]["duration_ms"] >= 0
    assert PERSONAL not in json.dumps(lines)


@mock_aws
def test_a_failed_message_is_really_hidden_on_its_queue() -> None:
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="payment_succeeded.fifo", Attributes={"FifoQueue": "true", "VisibilityTimeout": "0"})[
        "QueueUrl"
    ]
    for name in ("a1", "b1"):
        record = _record(name)
        sqs.send_message(QueueUrl=url, MessageBody=record["body"], MessageGroupId=name, MessageDeduplicationId=name)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "600"})
    received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    assert _in_flight(sqs, url) == 2

    def fail(_: Message) -> None:
        raise Retry("case_in_use", delay_s=60)

    records = [
        {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "eventSourceARN": QUEUE,
        }
        for message in received
    ]
    context: Any = Context(30, 1)
    failures = worker_handler(fail, count=lambda *_, **__: None)({"Records": records}, context)["batchItemFailures"]
    assert [failure["itemIdentifier"] for failure in failures] == [message["MessageId"] for message in received]
    assert _in_flight(sqs, url) == 1
    [again] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert again["MessageId"] == received[1]["MessageId"]


def _in_flight(sqs: Any, url: str) -> int:
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])["Attributes"]
    return int(attributes["ApproximateNumberOfMessagesNotVisible"])
