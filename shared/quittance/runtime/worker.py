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
from quittance.runtime.allowance import Ask
from quittance.runtime.dead_letters import CAUSE, RECEIVES_MAX, dead_letters_of
from quittance.runtime.observability import count as count_metric
from quittance.runtime.observability import logger
from quittance.runtime.queues import account_of
from quittance.runtime.retry_schedule import GIVEN_UP_AFTER_S, KEPT_WAITING_S, OF_A_DEFECT, OF_A_PASSING_FAILURE, delay_s
from quittance.runtime.sdk import LEAN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef as VisibilityEntry,
    )
    from mypy_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchResultTypeDef as VisibilityAnswer,
    )

    from quittance.runtime.allowance import Allowance

Record: TypeAlias = dict[str, Any]
Handler: TypeAlias = "Callable[[dict[str, Any], LambdaContext], dict[str, Any]]"

RECORD_BUDGET_S = 15.0
"""What one message may take: the longest that one API request lasts, and the table's share."""
HOPELESS_DELAY_S = 1
"""A message that can never succeed comes back at once where it could not be given up."""
RATE_LIMITED = "api_rate_limited"
NO_TIME_LEFT = "no_time_left"
WAITING = frozenset({RATE_LIMITED, NO_TIME_LEFT})
"""Why messages go back with which nothing is wrong: there is no room for them now."""
RECEIVES_OF_A_BACKLOG = 150
"""More than the longest backlog asks of a message that waits for the allowance: then it is an outage, and waits like one."""
MEANT_FOR_ALL = frozenset({RATE_LIMITED, "api_redirected", "api_refused_key", "api_unreachable"})
"""Failures that every other message would meet too: asking again for each of them would only prolong it."""
CLIENT_CONFIG = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2}, **LEAN)
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
    age_s: float
    """Since it was received for the first time."""
    remaining_s: float
    """How long the function could still run when the message's turn came."""


class Reach(IntEnum):
    """How far a failure reaches: what comes later within it is not tried."""

    MESSAGE = 1
    GROUP = 2
    BATCH = 3


class Failure(NamedTuple):
    """What a failed message brings about: how long it is hidden, what else it holds back, and why."""

    delay_s: int
    reach: Reach
    code: str


class Unfinished(NamedTuple):
    """A message that is not done: how long it is hidden, why, and whether it is not to be tried again."""

    record: Record
    delay_s: int
    code: str
    is_over: bool = False


def worker_handler(
    use_case: Callable[[Message], None],
    *,
    allowance: Allowance | None = None,
    count: Callable[..., None] = count_metric,
    clock: Callable[[], float] = time.time,
    sqs: SQSClient | None = None,
) -> Handler:
    """A Lambda handler for SQS that calls `use_case` with one message after the other and reports those that failed.

    A failed message is hidden for as long as the retry schedule says. What else it holds back goes unprocessed and does not come
    back before it:

    - `Retry`, `InDoubt` and defects hold back the later messages of the same group;
    - a failure that is `MEANT_FOR_ALL` holds back the rest of the batch;
    - `Reject` and `Park`, which no repetition can help, hold back nothing, and become dead letters at once.

    What fails for longer than `GIVEN_UP_AFTER_S` becomes a dead letter as well, and what merely waits, for the allowance or for
    time, after `KEPT_WAITING_S`. A dead letter says its cause, the code of its last failure. Where it cannot be written SQS moves
    the message after `RECEIVES_MAX` receives, without a cause.

    With an `allowance`, messages for which the invoicing API has none left are not tried, and wait as long as it says.

    No message is begun with less than `RECORD_BUDGET_S` left, except the first, so that every call makes progress; what is not
    begun goes back at once. Nothing but the allowance is kept from one call to the next.

    `count` takes the metrics `MessagesHandled` by type of fact and `MessagesFailed` by code, each with the provider.
    """
    source = _Source(sqs)

    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        batch = _Batch(clock(), allowance)
        for place, (record, wait_s) in enumerate(batch.with_waits(event["Records"])):
            remaining_s = context.get_remaining_time_in_millis() / 1000
            if place and remaining_s < RECORD_BUDGET_S:
                batch.give_back_the_rest()
            if batch.holds_back(record):
                continue
            if wait_s is not None:
                batch.defer(record, wait_s)
            elif failure := _attempt(use_case, record, _message(record, batch.age_s(record), remaining_s), context, count):
                batch.failed(record, failure)
        kept = source.without_given_up(batch.unfinished)
        source.hide(kept)
        return {"batchItemFailures": [{"itemIdentifier": message.record["messageId"]} for message in kept]}

    return handler


class _Batch:
    """What became of the messages of one call so far, and what that means for the next one."""

    def __init__(self, now: float, allowance: Allowance | None) -> None:
        self.unfinished: list[Unfinished] = []
        self._now = now
        self._allowance = allowance
        self._held_groups: dict[str, Failure] = {}
        self._held: Failure | None = None

    def age_s(self, record: Record) -> float:
        first = record["attributes"].get("ApproximateFirstReceiveTimestamp")
        return max(0.0, self._now - int(first) / 1000) if first else 0.0

    def with_waits(self, records: Sequence[Record]) -> Iterator[tuple[Record, int | None]]:
        """Each message with the seconds it has to wait for the allowance; None: it may be tried."""
        waits: list[int | None] = [None] * len(records)
        if self._allowance and self._allowance.is_tight:
            waits = self._allowance.waits_s([Ask(_account(record), _receive_count(record) == 1) for record in records])
        return zip(records, waits, strict=True)

    def defer(self, record: Record, wait_s: int) -> None:
        """The message, and those of its group, are not tried now."""
        self._held_groups[_group(record)] = Failure(wait_s, Reach.GROUP, RATE_LIMITED)
        is_old = self._is_old(record, RATE_LIMITED)
        self.unfinished.append(Unfinished(record, self._no_poll_s(record, wait_s), RATE_LIMITED, is_old))

    def failed(self, record: Record, failure: Failure) -> None:
        is_over = failure.reach is Reach.MESSAGE or self._is_old(record, failure.code)
        if failure.code == RATE_LIMITED and self._allowance:
            self._allowance.refused(failure.delay_s)
        self.unfinished.append(Unfinished(record, self._wait_s(record, failure), failure.code, is_over))
        group = _group(record)
        if failure.reach >= Reach.GROUP and group:
            self._held_groups[group] = failure
        if failure.reach >= Reach.BATCH:
            self._held = failure

    def give_back_the_rest(self) -> None:
        if self._held is None:
            self._held = Failure(0, Reach.BATCH, NO_TIME_LEFT)
            logger.warning("no time left for the rest of the batch")

    def holds_back(self, record: Record) -> bool:
        """Whether the message must not be tried; then it counts as unfinished.

        It waits as long as what holds it back, and as long as its own age says.
        """
        held = [failure for failure in (self._held_groups.get(_group(record)), self._held) if failure is not None]
        if not held:
            return False
        longest = max(held)
        if longest.delay_s and longest.code != RATE_LIMITED:
            longest = longest._replace(delay_s=max(longest.delay_s, _scheduled(record, self.age_s(record))))
        is_old = self._is_old(record, longest.code)
        self.unfinished.append(Unfinished(record, self._wait_s(record, longest), longest.code, is_old))
        return True

    def _is_old(self, record: Record, code: str) -> bool:
        """What merely waits is given up only because its queue would soon forget it."""
        return self.age_s(record) >= (KEPT_WAITING_S if code in WAITING else GIVEN_UP_AFTER_S)

    def _wait_s(self, record: Record, failure: Failure) -> int:
        if failure.code != RATE_LIMITED or self._allowance is None:
            return failure.delay_s
        return self._no_poll_s(record, self._allowance.wait_s(_account(record)))

    def _no_poll_s(self, record: Record, wait_s: int) -> int:
        is_backlog = _receive_count(record) <= RECEIVES_OF_A_BACKLOG
        return wait_s if is_backlog else max(wait_s, _scheduled(record, self.age_s(record)))


class _Source:
    """The queue that the messages came from, and its dead letters. The client is made when needed: most calls never fail."""

    def __init__(self, client: SQSClient | None) -> None:
        self._made_client = client

    @property
    def _client(self) -> SQSClient:
        if self._made_client is None:
            self._made_client = boto3.client("sqs", config=CLIENT_CONFIG)
        return self._made_client

    def without_given_up(self, messages: Sequence[Unfinished]) -> list[Unfinished]:
        """Make dead letters of those that are over, or were received for the last time. Returns the others."""

        def is_last(one: Unfinished) -> bool:
            return one.is_over or _receive_count(one.record) >= RECEIVES_MAX

        return [one for one in messages if not is_last(one) or not self._is_given_up(one)]

    def _is_given_up(self, message: Unfinished) -> bool:
        record, keys = message.record, {"message_id": message.record["messageId"], "code": message.code}
        # One that was killed in between finds its letter there, and does not write it twice.
        group = {"MessageGroupId": _group(record), "MessageDeduplicationId": record["messageId"]} if _group(record) else {}
        try:
            self._client.send_message(
                QueueUrl=dead_letters_of(self._url(record)),
                MessageBody=record["body"],
                MessageAttributes={CAUSE: {"DataType": "String", "StringValue": message.code}},
                **group,
            )
        except (BotoCoreError, ClientError) as error:
            logger.warning("cause not written", extra=keys | {"reason": type(error).__name__})
            return False
        logger.warning("message given up", extra=keys)
        return True

    def hide(self, messages: Sequence[Unfinished]) -> None:
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

    def _hide(self, messages: Sequence[Unfinished]) -> VisibilityAnswer:
        entries: list[VisibilityEntry] = [
            {"Id": str(place), "ReceiptHandle": message.record["receiptHandle"], "VisibilityTimeout": message.delay_s}
            for place, message in enumerate(messages)
        ]
        return self._client.change_message_visibility_batch(QueueUrl=self._url(messages[0].record), Entries=entries)

    def _url(self, record: Record) -> str:
        *_, account, name = record["eventSourceARN"].split(":")
        return f"{self._client.meta.endpoint_url}/{account}/{name}"


def _attempt(
    use_case: Callable[[Message], None],
    record: Record,
    message: Message | None,
    context: LambdaContext,
    count: Callable[..., None],
) -> Failure | None:
    fact = message.fact if message else None
    provider = fact.provider if fact else "none"
    with logger.append_context_keys(**_correlation(record, message, context)):
        started = time.monotonic()
        error = Reject("message_unreadable") if message is None else _error_of(use_case, message)
        duration = {"duration_ms": round((time.monotonic() - started) * 1000)}
        if error is not None:
            failure = _failed(error, record, message.age_s if message else 0, duration)
            count("MessagesFailed", provider=provider, event_type=failure.code)
            return failure
        logger.info("message handled", extra=duration)
    count("MessagesHandled", provider=provider, event_type=fact.type if fact else "none")
    return None


def _failed(error: Exception, record: Record, age_s: float, duration: dict[str, int]) -> Failure:
    failure = _failure(error, record, age_s)
    reason = str(error) if isinstance(error, QuittanceError) else type(error).__name__
    logger.warning("message failed", extra=duration | {"code": failure.code, "reason": reason, "delay_s": failure.delay_s})
    return failure


def _error_of(use_case: Callable[[Message], None], message: Message) -> Exception | None:
    try:
        use_case(message)
    except QuittanceError as error:
        return error
    except Exception as error:  # noqa: BLE001 - the boundary: a defect met by one payment must not take others down with it
        logger.exception("message met a defect")
        return error
    return None


def _failure(error: Exception, record: Record, age_s: float) -> Failure:
    match error:
        case Reject() | Park():
            return Failure(HOPELESS_DELAY_S, Reach.MESSAGE, error.code)
        case Retry(code=code, delay_s=asked_s) if code == RATE_LIMITED:
            # The API says when, whatever the age of the message.
            return Failure(_scheduled(record, 0, asked_s), Reach.BATCH, code)
        case Retry(code=code, delay_s=asked_s) | InDoubt(code=code, delay_s=asked_s):
            return Failure(_scheduled(record, age_s, asked_s), Reach.BATCH if code in MEANT_FOR_ALL else Reach.GROUP, code)
        case _:
            return Failure(_scheduled(record, age_s, share=OF_A_DEFECT), Reach.GROUP, "defect")


def _message(record: Record, age_s: float, remaining_s: float) -> Message | None:
    """The message, or None when it cannot be read."""
    try:
        body = json.loads(record["body"])
        return Message(
            fact=fact_from_json(body["fact"]) if "fact" in body else None,
            body=body,
            event_id=body.get("event_id", ""),
            event_type=body.get("event_type", ""),
            received_at=body.get("received_at", ""),
            age_s=age_s,
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


def _scheduled(record: Record, age_s: float, asked_s: int | None = None, share: float = OF_A_PASSING_FAILURE) -> int:
    return delay_s(age_s, asked_s, record["messageId"], share)


def _account(record: Record) -> str:
    """Whose message it is, as far as can be told; only used to be fair."""
    try:
        return " ".join(account_of(json.loads(record["body"])))
    except (KeyError, TypeError, ValueError, RecursionError):
        return _group(record)


def _receive_count(record: Record) -> int:
    return int(record["attributes"]["ApproximateReceiveCount"])


def _group(record: Record) -> str:
    """The message's group; empty on a queue that has none."""
    return str(record["attributes"].get("MessageGroupId", ""))
