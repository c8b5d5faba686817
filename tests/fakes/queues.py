"""SQS queues on a clock that a test moves: what a test in real time would have to wait hours for.

Groups are handed out in order, visibility and receive counts are kept, and what was received too often goes to the dead letters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace
from typing import Any

from quittance.runtime.dead_letters import RECEIVES_MAX, dead_letters_of

VISIBILITY_S = 120


@dataclass(slots=True)
class Held:
    """One message on a queue."""

    id: str
    body: str
    group: str
    attributes: dict[str, Any] = field(default_factory=dict)
    receives: int = 0
    first_received_at: float = 0.0
    visible_at: float = 0.0

    @property
    def receipt(self) -> str:
        """Of its latest receive; earlier ones are void."""
        return f"{self.id}:{self.receives}"


def as_record(message: Held) -> dict[str, Any]:
    """The message as Lambda hands it to a worker."""
    return {
        "messageId": message.id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:payment_succeeded.fifo",
        "attributes": {
            "ApproximateReceiveCount": str(message.receives),
            "ApproximateFirstReceiveTimestamp": str(int(message.first_received_at * 1000)),
            "MessageGroupId": message.group,
        },
    }


class VirtualQueues:
    """The SQS client, and the queues behind it, by address. A queue exists as soon as something is sent to it."""

    meta = SimpleNamespace(endpoint_url="https://sqs.test")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._numbers = count(1)
        self.queues: dict[str, list[Held]] = {}
        self.most_receives = 0
        """The most that any message on a queue of work was received."""
        self.refuses_sends = False

    def send_message(self, **sent: Any) -> dict[str, Any]:
        name = f"message-{next(self._numbers)}"
        message = Held(name, sent["MessageBody"], sent.get("MessageGroupId", ""), sent.get("MessageAttributes", {}))
        self.queues.setdefault(sent["QueueUrl"], []).append(message)
        return {"MessageId": name}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - SQS's names
        taken = [] if self.refuses_sends else Entries
        return {"Successful": [self.send_message(QueueUrl=QueueUrl, **entry) for entry in taken]}

    def receive_message(self, *, QueueUrl: str, MaxNumberOfMessages: int = 10, **asked: Any) -> dict[str, Any]:  # noqa: N803
        hidden_s = asked.get("VisibilityTimeout", VISIBILITY_S)
        return {"Messages": [_received(one) for one in self.received(QueueUrl, MaxNumberOfMessages, hidden_s)]}

    def received(self, url: str, most: int, hidden_s: float = VISIBILITY_S) -> list[Held]:
        """What a consumer gets now: of a group only what has nothing before it that waits or is worked on."""
        received: list[Held] = []
        blocked: set[str] = set()
        for message in list(self.queues.get(url, ())):
            if len(received) == most or message.group in blocked:
                continue
            if message.visible_at > self._clock():
                blocked |= {message.group} if message.group else set()
            elif message.receives >= RECEIVES_MAX and "DeadLetters" not in url:
                self.queues[url].remove(message)
                self.queues.setdefault(dead_letters_of(url), []).append(message)
            else:
                message.receives += 1
                message.first_received_at = message.first_received_at or self._clock()
                message.visible_at = self._clock() + hidden_s
                received.append(message)
                if "DeadLetters" not in url:
                    self.most_receives = max(self.most_receives, message.receives)
        return received

    def delete_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        receipts = {entry["ReceiptHandle"] for entry in Entries}
        self.queues[QueueUrl] = [one for one in self.queues[QueueUrl] if one.receipt not in receipts]
        return {}

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        hidden = {entry["ReceiptHandle"]: entry["VisibilityTimeout"] for entry in Entries}
        for message in self.queues[QueueUrl]:
            if message.receipt in hidden:
                message.visible_at = self._clock() + hidden[message.receipt]
        return {}

    def get_queue_attributes(self, *, QueueUrl: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        messages = self.queues.get(QueueUrl, [])
        hidden = sum(1 for one in messages if one.visible_at > self._clock())
        states = {"": len(messages) - hidden, "NotVisible": hidden, "Delayed": 0}
        return {"Attributes": {f"ApproximateNumberOfMessages{state}": str(number) for state, number in states.items()}}

    def next_at(self, url: str) -> float | None:
        """When something of a queue can be received next."""
        first = {message.group: message.visible_at for message in reversed(self.queues.get(url, []))}
        return min(first.values(), default=None)


def _received(message: Held) -> dict[str, Any]:
    return {
        "MessageId": message.id,
        "Body": message.body,
        "ReceiptHandle": message.receipt,
        "Attributes": {"MessageGroupId": message.group} if message.group else {},
        "MessageAttributes": message.attributes,
    }
