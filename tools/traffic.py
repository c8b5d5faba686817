"""The queues of a stack: what is on its way, what failed for good, and when everything is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.waiting import wait_for

if TYPE_CHECKING:
    from tools.target import Target

_COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")
_QUIET_ROUNDS = 2
"""One message may move from a queue not yet counted to one already counted; it cannot do so without end."""


def on_the_way(target: Target) -> dict[str, int]:
    """Messages waiting or being worked on, by function, without the empty queues."""
    return _counted(target, {name: pair.url for name, pair in target.queues.items()})


def dead_letters(target: Target) -> dict[str, int]:
    """Messages given up, by function, without the empty queues."""
    return _counted(target, {name: pair.dead_letters_url for name, pair in target.queues.items()})


def wait_until_done(target: Target, *, seconds: float) -> None:
    """Return when no queue holds anything. Raises `WaitedTooLongError`, with the queues that still do."""
    quiet = 0

    def is_done() -> bool:
        nonlocal quiet
        quiet = 0 if on_the_way(target) else quiet + 1
        return quiet >= _QUIET_ROUNDS

    wait_for("the queues to be empty", is_done, seconds=seconds)


def _counted(target: Target, urls: dict[str, str]) -> dict[str, int]:
    sqs = target.client("sqs")
    counts = {name: _count(sqs, url) for name, url in urls.items()}
    return {name: count for name, count in counts.items() if count}


def _count(sqs: Any, url: str) -> int:  # noqa: ANN401 - boto3's clients have no type
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS))["Attributes"]
    return sum(int(attributes.get(name, 0)) for name in _COUNTS)
