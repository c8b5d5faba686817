"""`quittance redrive`: dead letters back to their queue."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tools.commands.options import Stack
from tools.target import chosen

if TYPE_CHECKING:
    from tools.target import QueuePair

_AT_ONCE = 10
_HIDDEN_S = 60


def redrive(
    queue: Annotated[
        str | None, typer.Argument(help="Function whose dead letters to send again, e.g. payment_succeeded.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="The dead letters of every function.")] = False,
    stack: Stack = None,
) -> None:
    """Send dead letters to their queue again, each in the order of its payment.

    Sent first and deleted afterwards: a letter may be handled twice, which is harmless, but is never lost.
    """
    if (queue is None) is not every:
        raise typer.BadParameter("name a queue or give --all")
    with chosen(stack) as target:
        if queue is not None and queue not in target.queues:
            raise typer.BadParameter(f"there is no queue {queue}; there are {', '.join(sorted(target.queues))}")
        for name in [queue] if queue else sorted(target.queues):
            typer.echo(f"{name}: {redriven(target.client('sqs'), target.queues[name])} sent again")


def redriven(sqs: Any, pair: QueuePair) -> int:  # noqa: ANN401 - boto3's clients have no type
    """Send every dead letter of a queue again. Returns how many there were."""
    count = 0
    while letters := _letters(sqs, pair.dead_letters_url):
        for letter in letters:
            sqs.send_message(
                QueueUrl=pair.url,
                MessageBody=letter["Body"],
                MessageGroupId=letter["Attributes"]["MessageGroupId"],
                # A new id: under its old one SQS would silently drop a letter that was sent in the last five minutes.
                MessageDeduplicationId=uuid.uuid4().hex,
            )
            sqs.delete_message(QueueUrl=pair.dead_letters_url, ReceiptHandle=letter["ReceiptHandle"])
            count += 1
    return count


def _letters(sqs: Any, url: str) -> list[dict[str, Any]]:  # noqa: ANN401 - boto3's clients have no type
    answer = sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=_AT_ONCE,
        MessageSystemAttributeNames=["MessageGroupId"],
        VisibilityTimeout=_HIDDEN_S,
        WaitTimeSeconds=1,
    )
    return list(answer.get("Messages", ()))
