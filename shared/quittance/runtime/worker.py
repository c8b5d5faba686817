"""The loop of every worker function: one batch of messages, each failure kept to itself."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from quittance.errors import InDoubt, Park, QuittanceError, Reject, Retry
from quittance.facts import Fact, fact_from_json
from quittance.runtime.observability import count as count_metric
from quittance.runtime.observability import logger
from quittance.runtime.retry_schedule import delay_s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef as VisibilityEntry,
    )
    from mypy_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchResultTypeDef as VisibilityAnswer,
    )

Record: TypeAlias = dict[str, Any]
Handler: TypeAlias = "Callable[[dict[str, Any], LambdaContext], dict[str, Any]]"

RECORD_BUDGET_S = 15.0
"""What one message may take: the longest that one API request lasts, and the table's share."""
HOPELESS_DELAY_S = 1
"""A message that can never succeed comes back at once, until SQS moves it to the dead-letter queue."""
MEANT_FOR_ALL = frozenset({"api_rate_limited", "api_redirected", "api_refused_key", "api_unreachable"})
"""Failures that every other message would meet too: asking again for each of them would only prolong it."""
CLIENT_CONFIG = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
_VISIBILITY_BATCH_MAX = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as a use case gets it."""

    fact: Fact | None
    """None in messages that carry none: an event to keep, a payment to revisit."""
    body: dict[str, Any] = field(repr=False)
    event_id: str
    event_type: str
    received_at: str
    """When the webhook came in, RFC 3339 in UTC."""
    receive_count: int
    """How many times the message was received, this time included."""
    remaining_s: float
    """How long the function could still run when the message's turn came."""


class Reach(IntEnum):
    """How far a failure reaches: what comes later within it is not tried."""

    MESSAGE = 1
    GROUP = 2
    BATCH = 3


class Failure(NamedTuple):
    """What a failed message brings about: how long it is hidden, and what else it holds back."""

    delay_s: int
    reach: Reach


def worker_handler(
    use_case: Callable[[Message], None],
    *,
    count: Callable[..., None] = count_metric,
    sqs: SQSClient | None = None,
    record_budget_s: float = RECORD_BUDGET_S,
) -> Handler:
    """A Lambda handler for SQS that calls `use_case` with one message after the other and reports those that failed.

    A failed message is hidden for as long as the retry schedule says. What else it holds back goes unprocessed and does not come
    back before it:

    - `Retry`, `InDoubt` and defects hold back the later messages of the same group;
    - a failure that is `MEANT_FOR_ALL` holds back the rest of the batch;
    - `Reject` and `Park`, which no repetition can help, hold back nothing, and go to the dead-letter queue without delay.

    No message is begun with less than `record_budget_s` left, except the first, so that every call makes progress; what is not
    begun goes back at once. Nothing is kept from one call to the next.

    `count` takes the metrics `MessagesHandled` by type of fact and `MessagesFailed` by code, each with the provider.
    """
    visibility = _Visibility(sqs)

    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        batch = _Batch()
        for place, record in enumerate(event["Records"]):
            remaining_s = context.get_remaining_time_in_millis() / 1000
            if place and remaining_s < record_budget_s:
                batch.give_back_the_rest()
            if not batch.holds_back(record) and (failure := _attempt(use_case, record, remaining_s, context, count)):
                batch.failed(record, failure)
        visibility.hide(batch.unfinished)
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record, _ in batch.unfinished]}

    return handler


class _Batch:
    """What became of the messages of one call so far, and what that means for the next one."""

    def __init__(self) -> None:
        self.unfinished: list[tuple[Record, int]] = []
        """The messages that stay on the queue, each with the seconds it is to be hidden."""
        self._held_groups: dict[str, int] = {}
        self._held: int | None = None

    def failed(self, record: Record, failure: Failure) -> None:
        self.unfinished.append((record, failure.delay_s))
        group = _group(record)
        if failure.reach >= Reach.GROUP and group:
            self._held_groups[group] = failure.delay_s
        if failure.reach >= Reach.BATCH:
            self._held = failure.delay_s

    def give_back_the_rest(self) -> None:
        if self._held is None:
            self._held = 0
            logger.warning("no time left for the rest of the batch")

    def holds_back(self, record: Record) -> bool:
        """Whether the message must not be tried; then it counts as unfinished.

        It waits as long as what holds it back, and as long as its own schedule says, lest failing neighbours use up its receives.
        """
        waits = [wait for wait in (self._held_groups.get(_group(record)), self._held) if wait is not None]
        if not waits:
            return False
        wait = max(waits)
        self.unfinished.append((record, max(wait, _scheduled(record)) if wait else 0))
        return True


class _Visibility:
    """Hides messages on the queue they came from. The client is made when first needed: most calls never fail."""

    def __init__(self, client: SQSClient | None) -> None:
        self._client = client

    def hide(self, messages: Sequence[tuple[Record, int]]) -> None:
        """Set how long each message stays hidden. Where that fails, the queue's own visibility timeout applies."""
        for start in range(0, len(messages), _VISIBILITY_BATCH_MAX):
            some = messages[start : start + _VISIBILITY_BATCH_MAX]
            try:
                answer = self._hide(some)
            except (BotoCoreError, ClientError) as error:
                logger.warning("visibility not changed", extra={"reason": type(error).__name__, "count": len(some)})
            else:
                if refused := answer.get("Failed"):
                    logger.warning("visibility not changed", extra={"reason": refused[0]["Code"], "count": len(refused)})

    def _hide(self, messages: Sequence[tuple[Record, int]]) -> VisibilityAnswer:
        if self._client is None:
            self._client = boto3.client("sqs", config=CLIENT_CONFIG)
        *_, account, name = messages[0][0]["eventSourceARN"].split(":")
        entries: list[VisibilityEntry] = [
            {"Id": str(place), "ReceiptHandle": record["receiptHandle"], "VisibilityTimeout": hidden_s}
            for place, (record, hidden_s) in enumerate(messages)
        ]
        url = f"{self._client.meta.endpoint_url}/{account}/{name}"
        return self._client.change_message_visibility_batch(QueueUrl=url, Entries=entries)


def _attempt(
    use_case: Callable[[Message], None], record: Record, remaining_s: float, context: LambdaContext, count: Callable[..., None]
) -> Failure | None:
    message = _message(record, remaining_s)
    fact = message.fact if message else None
    provider = fact.provider if fact else "none"
    with logger.append_context_keys(**_correlation(record, message, context)):
        started = time.monotonic()
        error = Reject("message_unreadable") if message is None else _error_of(use_case, message)
        duration = {"duration_ms": round((time.monotonic() - started) * 1000)}
        if error is not None:
            failure, code = _failed(error, record, duration)
            count("MessagesFailed", provider=provider, event_type=code)
            return failure
        logger.info("message handled", extra=duration)
    count("MessagesHandled", provider=provider, event_type=fact.type if fact else "none")
    return None


def _failed(error: Exception, record: Record, duration: dict[str, int]) -> tuple[Failure, str]:
    """What the failure brings about, and its code."""
    failure = _failure(error, record)
    if isinstance(error, QuittanceError):
        code, reason = error.code, str(error)
    else:
        code, reason = "defect", type(error).__name__
    logger.warning("message failed", extra=duration | {"code": code, "reason": reason, "delay_s": failure.delay_s})
    return failure, code


def _error_of(use_case: Callable[[Message], None], message: Message) -> Exception | None:
    try:
        use_case(message)
    except QuittanceError as error:
        return error
    except Exception as error:  # noqa: BLE001 - the boundary: a defect met by one payment must not take others down with it
        logger.exception("message met a defect")
        return error
    return None


def _failure(error: Exception, record: Record) -> Failure:
    if isinstance(error, Reject | Park):
        return Failure(HOPELESS_DELAY_S, Reach.MESSAGE)
    if isinstance(error, Retry | InDoubt):
        reach = Reach.BATCH if error.code in MEANT_FOR_ALL else Reach.GROUP
        return Failure(_scheduled(record, error.delay_s), reach)
    return Failure(_scheduled(record), Reach.GROUP)


def _message(record: Record, remaining_s: float) -> Message | None:
    """The message, or None when it cannot be read."""
    try:
        body = json.loads(record["body"])
        return Message(
            fact=fact_from_json(body["fact"]) if "fact" in body else None,
            body=body,
            event_id=body.get("event_id", ""),
            event_type=body.get("event_type", ""),
            received_at=body.get("received_at", ""),
            receive_count=_receive_count(record),
            remaining_s=remaining_s,
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return None


def _correlation(record: Record, message: Message | None, context: LambdaContext) -> dict[str, Any]:
    """The log keys of everything that is said about this message."""
    keys = {"request_id": context.aws_request_id, "message_id": record["messageId"], "attempt": _receive_count(record)}
    if message is None:
        return keys
    keys |= {"event_id": message.event_id, "event_type": message.event_type}
    if (fact := message.fact) is None:
        return keys
    return keys | {"provider": fact.provider, "account": fact.account, "payment_id": fact.case_ids[0], "fact": fact.identity}


def _scheduled(record: Record, asked_s: int | None = None) -> int:
    return delay_s(_receive_count(record), asked_s, record["messageId"])


def _receive_count(record: Record) -> int:
    return int(record["attributes"]["ApproximateReceiveCount"])


def _group(record: Record) -> str:
    """The message's group; empty on a queue that has none."""
    return str(record["attributes"].get("MessageGroupId", ""))
