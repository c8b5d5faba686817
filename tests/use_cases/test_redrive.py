"""Redriving dead letters against an API with an allowance: none lost, none twice, none back, and nobody else has to wait long."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from quittance.errors import Retry
from quittance.facts import Fact, FactType
from quittance.ledger import Ledger
from quittance.money import Money
from quittance.runtime.allowance import Allowance
from quittance.runtime.dead_letters import dead_letters_of
from quittance.runtime.letters import Kind, LetterReader, pairs_of
from quittance.runtime.queues import fact_message, revisit_message
from quittance.runtime.redrive import HELD_S, MARGIN_S, DeadLetters, Pace, Wanted
from quittance.runtime.worker import Message, worker_handler
from tests.fakes.queues import VirtualQueues, as_record
from tests.fakes.shared_count import MemorySharedCount
from tests.use_cases.world import World

PAYMENTS = "https://sqs.test/123456789012/payment_succeeded.fifo"
REVISITS = "https://sqs.test/123456789012/payment_revisited.fifo"
EVENTS = "https://sqs.test/123456789012/EventReceived"
URLS = {"payment_succeeded": PAYMENTS, "payment_revisited": REVISITS, "event_received": EVENTS}
ALLOWED = 60
"""Requests a minute."""
CONSUMERS = 2
"""Functions that work on the queue at once."""
BATCH = 5


class Context:
    aws_request_id = "request"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 20_000


class Redriving(World):
    """The real worker on a queue, the sandbox with its allowance, and an operator who redrives, all on one clock."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.sqs = VirtualQueues(lambda: self.seconds)
        self.arriving: dict[str, int] = {}
        """New payments of bc_other that have nothing to do with the letters, and when they come in."""
        self.served: dict[str, int] = {}
        """Payment -> when its documents were up to date."""
        self._converging = self.converger()
        client: Any = self.sqs
        allowance = Allowance(MemorySharedCount(), ALLOWED, clock=lambda: self.seconds)
        self.work = worker_handler(
            self._take, allowance=allowance, count=self._count_labels, clock=lambda: self.seconds, sqs=client
        )

    def _take(self, message: Message) -> None:
        assert message.fact
        self._converging.take(message.fact, message.event_id)
        self.served.setdefault(message.fact.key, self.seconds)

    def _count_labels(self, metric: str, **labels: str) -> None:
        self.counts.update([f"{metric} {labels['event_type']}"])

    def dead_letters(self) -> DeadLetters:
        client: Any = self.sqs
        owner_of = Ledger(self.table).owner
        return DeadLetters(client, pairs_of(URLS).values(), owner_of, clock=lambda: self.seconds, wait=self.pass_time)

    def pass_time(self, seconds: float) -> None:
        """Workers work meanwhile."""
        end = self.seconds + max(1, round(seconds))
        while self.seconds < end:
            for name in [name for name, at in self.arriving.items() if at == self.seconds]:
                message = fact_message(payment("bc_other", name), f"evt_{name}", "payment.succeeded", "2026-11-20T10:00:01Z")
                self.sqs.send_message(QueueUrl=PAYMENTS, MessageBody=message.body, MessageGroupId=message.group)
            for _ in range(CONSUMERS):
                self._poll()
            self.seconds += 1

    def _poll(self) -> None:
        messages = self.sqs.received(PAYMENTS, BATCH)
        if not messages:
            return
        records = [as_record(message) for message in messages]
        failed = {one["itemIdentifier"] for one in self.work({"Records": records}, Context())["batchItemFailures"]}  # type: ignore[arg-type]
        done = [{"ReceiptHandle": message.receipt} for message in messages if message.id not in failed]
        self.sqs.delete_message_batch(QueueUrl=PAYMENTS, Entries=done)

    def lying(self, url: str = PAYMENTS) -> int:
        return len(self.sqs.queues.get(dead_letters_of(url), ()))

    def drain(self) -> None:
        """Until the queue is empty."""
        for _ in range(10_000):
            moment = self.sqs.next_at(PAYMENTS)
            if moment is None:
                return
            self.seconds = max(self.seconds, int(moment))
            self.pass_time(1)
        pytest.fail("the queue never drains")


def payment(customer: str, name: str) -> Fact:
    return Fact(
        type=FactType.PAYMENT_SUCCEEDED,
        provider="platform",
        account=customer,
        key=name,
        payment_id=name,
        occurred_at="2026-11-20T10:00:00Z",
        amount=Money(1000, "EUR"),
    )


def letter(world: Redriving, fact: Fact, cause: str = "api_unreachable") -> None:
    message = fact_message(fact, f"evt_{fact.key}", "payment.succeeded", "2026-11-20T10:00:01Z")
    attributes = {"cause": {"DataType": "String", "StringValue": cause}} if cause else {}
    world.sqs.send_message(
        QueueUrl=dead_letters_of(PAYMENTS), MessageBody=message.body, MessageGroupId=message.group, MessageAttributes=attributes
    )


def registered(*customers: str, **settings: Any) -> Redriving:
    world = Redriving(**settings)
    for customer in customers:
        world.register(customer, name=customer, accounts=[])
    return world


def limited(world: Redriving) -> None:
    """From now on: registering is not what is tested."""
    world.sandbox._limiter.limits = {"sandbox": ALLOWED, "live": ALLOWED}


def told_apart(world: Redriving) -> dict[str, int]:
    """How many documents each business customer has. Looking is not what the allowance is for."""
    world.sandbox._limiter.limits = None
    entities = world.api.pages("entities", entity_id=None)
    return {one["name"]: len(world.held("invoices", one["id"])) for one in entities}


def longest_wait_s(world: Redriving) -> int:
    """Of a new payment that came in meanwhile."""
    return max(world.served[name] - came_at for name, came_at in world.arriving.items())


SHARES = {"bc_big": 400, "bc_small": 80, "bc_tiny": 20}


def with_letters() -> Redriving:
    world = registered(*SHARES, "bc_other")
    for customer, share in SHARES.items():
        for number in range(share):
            letter(world, payment(customer, f"{customer}_{number}"))
    return world


def test_five_hundred_letters_against_sixty_requests_a_minute_leave_room_for_new_payments() -> None:
    world = with_letters()
    limited(world)
    world.arriving = {f"new_{number}": world.seconds + 20 * number for number in range(20)}
    result = world.dead_letters().redrive(Wanted(), pace=Pace(per_minute=30))
    world.drain()
    assert (result.is_complete, result.came_back) == (True, 0)
    assert Counter({kind.business_customer: count for kind, count in result.sent.items()}) == SHARES
    assert told_apart(world) == SHARES | {"bc_other": 20}, "one for each payment, none twice"
    assert world.lying() == 0
    assert longest_wait_s(world) <= 10


def test_letters_sent_faster_than_the_api_allows_wait_on_their_queue_and_do_not_come_back() -> None:
    world = with_letters()
    limited(world)
    world.arriving = {f"new_{number}": world.seconds + 20 * number for number in range(20)}
    result = world.dead_letters().redrive(Wanted(), pace=Pace(per_minute=600, in_flight=50))
    world.drain()
    assert world.counts["MessagesFailed api_rate_limited"] >= 1, "otherwise nothing was tested"
    assert (result.is_complete, result.came_back, world.lying()) == (True, 0, 0)
    assert told_apart(world) == SHARES | {"bc_other": 20}
    assert 1 < world.sqs.most_receives < 30
    assert longest_wait_s(world) <= 90


def test_a_huge_customer_is_not_served_before_the_others() -> None:
    world = with_letters()
    world.dead_letters().redrive(Wanted(), pace=Pace(per_minute=600), limit=60)
    world.drain()
    assert told_apart(world) == {"bc_big": 20, "bc_small": 20, "bc_tiny": 20, "bc_other": 0}
    assert world.lying() == 440
    assert world.dead_letters().overview(Wanted(), within_s=30).kinds.total() == 440, "what was held is to be seen again"


FAST = Pace(per_minute=6000)


def mixed() -> Redriving:
    world = registered("bc_1", "bc_2")
    for customer, cause in (("bc_1", "api_refused_key"), ("bc_1", "defect"), ("bc_2", "defect"), ("bc_2", "")):
        letter(world, payment(customer, f"{customer}_{cause}"), cause)
    return world


@pytest.mark.parametrize(
    ("wanted", "served"),
    [
        (Wanted(cause="defect"), {"bc_1_defect", "bc_2_defect"}),
        (Wanted(cause="unrecorded"), {"bc_2_"}),
        (Wanted(business_customer="bc_1"), {"bc_1_api_refused_key", "bc_1_defect"}),
        (Wanted(business_customer="bc_2", cause="defect"), {"bc_2_defect"}),
        (Wanted(function="payment_revisited"), set()),
        (Wanted(function="payment_succeeded", business_customer="bc_2"), {"bc_2_defect", "bc_2_"}),
    ],
)
def test_only_what_is_asked_for_goes_and_the_rest_is_seen_again(wanted: Wanted, served: set[str]) -> None:
    world = mixed()
    before = world.dead_letters().overview(wanted, within_s=30)
    result = world.dead_letters().redrive(wanted, pace=FAST)
    world.drain()
    assert set(world.served) == served
    assert (before.kinds, result.is_complete) == (result.sent, True)
    assert world.dead_letters().overview(Wanted(), within_s=30).kinds.total() == world.lying() == 4 - len(served)


def test_an_overview_counts_by_function_cause_and_customer() -> None:
    world = mixed()
    revisit = revisit_message("stripe", "acct_nobody_registered", "pi_1", "asked", "2026-11-20T10:00:00Z")
    world.sqs.send_message(QueueUrl=dead_letters_of(REVISITS), MessageBody=revisit.body, MessageGroupId=revisit.group)
    overview = world.dead_letters().overview(Wanted(), within_s=30)
    assert overview.lying == {"payment_succeeded": 4, "payment_revisited": 1}
    assert overview.kinds == {
        Kind("payment_succeeded", "api_refused_key", "bc_1"): 1,
        Kind("payment_succeeded", "defect", "bc_1"): 1,
        Kind("payment_succeeded", "defect", "bc_2"): 1,
        Kind("payment_succeeded", "unrecorded", "bc_2"): 1,
        Kind("payment_revisited", "unrecorded", ""): 1,
    }


def test_poison_is_sent_once_and_stays() -> None:
    world = mixed()
    world.sqs.send_message(QueueUrl=dead_letters_of(PAYMENTS), MessageBody="{", MessageGroupId="poison")
    result = world.dead_letters().redrive(Wanted(), pace=Pace(per_minute=10, in_flight=1))
    assert (result.sent.total(), result.came_back, result.is_complete) == (5, 1, True)
    [kind] = world.dead_letters().overview(Wanted(), within_s=30).kinds
    assert kind == Kind("payment_succeeded", "message_unreadable", ""), "the worker wrote why"


def test_letters_wait_while_the_queues_are_full_and_the_next_redrive_goes_on() -> None:
    world = mixed()
    for number in range(10):
        world.sqs.send_message(QueueUrl=REVISITS, MessageBody="{}", MessageGroupId=str(number))
    stopped = world.dead_letters().redrive(Wanted(), pace=FAST, within_s=60)
    assert (stopped.sent.total(), stopped.is_complete, world.lying()) == (0, False, 4)
    world.sqs.queues[REVISITS].clear()
    assert world.dead_letters().redrive(Wanted(), pace=FAST, limit=3).sent.total() == 3
    assert world.dead_letters().redrive(Wanted(), pace=FAST).sent.total() == 1
    world.drain()
    assert told_apart(world) == {"bc_1": 2, "bc_2": 2}


def test_what_waits_for_hours_to_be_tried_again_holds_up_no_letters() -> None:
    world = mixed()
    letters = world.dead_letters()
    for turn in range(2):  # in one process, as the operators' API does
        for number in range(50):
            world.sqs.send_message(QueueUrl=REVISITS, MessageBody="{}", MessageGroupId=f"{turn} {number}")
        assert len(world.sqs.received(REVISITS, 50, hidden_s=20_000)) == 50
        done = letters.redrive(Wanted(), pace=Pace(per_minute=6000, in_flight=1), limit=2, within_s=60)
        assert done.sent.total() == 2
    world.drain()
    assert told_apart(world) == {"bc_1": 2, "bc_2": 2}


def test_letters_that_were_hidden_after_they_were_sent_hold_up_the_others() -> None:
    world = mixed()
    world.work = lambda event, _: {"batchItemFailures": [{"itemIdentifier": one["messageId"]} for one in event["Records"]]}
    stopped = world.dead_letters().redrive(Wanted(), pace=Pace(per_minute=6000, in_flight=2), within_s=60)
    assert (stopped.sent.total(), stopped.is_complete) == (2, False)


def test_what_could_not_be_sent_is_not_deleted() -> None:
    world = mixed()
    world.sqs.refuses_sends = True
    with pytest.raises(Retry, match="queue_incomplete"):
        world.dead_letters().redrive(Wanted(), pace=FAST)
    assert world.lying() == 4
    world.sqs.refuses_sends = False
    world.dead_letters().redrive(Wanted(), pace=FAST)
    world.drain()
    assert told_apart(world) == {"bc_1": 2, "bc_2": 2}


def test_what_was_sent_and_not_deleted_makes_no_second_document() -> None:
    world = mixed()
    deleting = world.sqs.delete_message_batch
    world.sqs.delete_message_batch = lambda **_: {"Failed": [{"Id": "0"}]}  # type: ignore[method-assign]
    world.dead_letters().redrive(Wanted(), pace=FAST, limit=4)
    world.sqs.delete_message_batch = deleting  # type: ignore[method-assign]
    world.drain()
    assert world.lying() == 4
    world.pass_time(HELD_S + MARGIN_S)
    assert world.dead_letters().redrive(Wanted(), pace=FAST).sent.total() == 4
    world.drain()
    assert told_apart(world) == {"bc_1": 2, "bc_2": 2}


def test_letters_of_one_payment_keep_their_order() -> None:
    world = registered("bc_1")
    for number in range(3):
        world.sqs.send_message(QueueUrl=dead_letters_of(REVISITS), MessageBody=f'{{"n": {number}}}', MessageGroupId="same")
    world.dead_letters().redrive(Wanted(), pace=FAST)
    assert [(one.group, one.body) for one in world.sqs.queues[REVISITS]] == [("same", f'{{"n": {n}}}') for n in range(3)]


def test_a_queue_without_order_is_redriven_too() -> None:
    world = registered("bc_1")
    event = {"specversion": "1.0", "type": "payment.succeeded", "data": {"business_customer": "bc_1"}}
    bus = {"ERROR_CODE": {"DataType": "String", "StringValue": "NO_PERMISSIONS"}}
    world.sqs.send_message(QueueUrl=dead_letters_of(EVENTS), MessageBody=json.dumps(event), MessageAttributes=bus)
    result = world.dead_letters().redrive(Wanted(cause="NO_PERMISSIONS", business_customer="bc_1"), pace=FAST)
    assert result.sent == {Kind("event_received", "NO_PERMISSIONS", "bc_1"): 1}
    assert [(one.group, json.loads(one.body)) for one in world.sqs.queues[EVENTS]] == [("", event)]


@pytest.mark.parametrize(
    ("body", "customer"),
    [
        ({"fact": {"provider": "platform", "account": "bc_1", "something": "new"}}, "bc_1"),
        ({"fact": {"provider": "stripe", "account": "acct_1"}}, "bc_1"),
        ({"fetch": {"provider": "stripe", "account": "acct_1", "id": "ch_1"}}, "bc_1"),
        ({"fees": {"business_customer": "bc_1", "currency": "EUR", "month": "2026-10"}}, "bc_1"),
        ({"sighting": {"business_customer": "bc_1", "document_id": "inv_1"}}, "bc_1"),
        ({"detail": {"specversion": "1.0", "data": {"business_customer": "bc_1"}}}, "bc_1"),
        ({"detail": {"object": "event", "account": "acct_1"}}, "bc_1"),
        ({"provider": "stripe", "account": "acct_1", "reason": "ignored"}, "bc_1"),
        ({"fact": {"provider": "stripe", "account": "acct_2"}}, ""),
        ({"fact": {"provider": "stripe"}}, ""),
        ({"detail": {"object": "event"}}, ""),
        (["fact"], ""),
        (None, ""),
    ],
)
def test_whose_a_letter_is(body: Any, customer: str) -> None:
    reader = LetterReader(lambda provider, account: {("stripe", "acct_1"): "bc_1"}.get((provider, account)))
    message: Any = {"Body": json.dumps(body), "ReceiptHandle": "receipt"}
    assert reader.letter(pairs_of(URLS)["payment_succeeded"], message).kind.business_customer == customer
