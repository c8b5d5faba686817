"""What travels between the functions: messages, the queue each belongs to, and how they are sent."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from quittance.errors import Reject, Retry
from quittance.facts import PAYOUT_TYPES, Fact, FactType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from quittance.providers import Reference, Translation

FUNCTION_OF: dict[FactType, str] = {
    FactType.BUSINESS_CUSTOMER_CREATED: "business_customer_changed",
    FactType.BUSINESS_CUSTOMER_UPDATED: "business_customer_changed",
    FactType.PAYMENT_AUTHORIZED: "payment_authorized",
    FactType.PAYMENT_SUCCEEDED: "payment_succeeded",
    FactType.PAYMENT_CAPTURED: "payment_captured",
    FactType.PAYMENT_FAILED: "payment_failed",
    FactType.PAYMENT_SETTLED: "payment_revisited",
    FactType.SUBSCRIPTION_RENEWED: "subscription_renewed",
    FactType.REFUND_SUCCEEDED: "refund_processed",
    FactType.REFUND_FAILED: "refund_failed",
    FactType.DISPUTE_OPENED: "dispute_opened",
    FactType.DISPUTE_WON: "dispute_won",
    FactType.DISPUTE_LOST: "dispute_lost",
    FactType.PAYOUT_PAID: "payout_settled",
    FactType.PAYOUT_FAILED: "payout_settled",
    FactType.FEES_CLOSED: "fees_closed",
    FactType.FEES_RETURNED: "fees_closed",
}
"""The function, and so the queue, that each type of fact belongs to."""

BATCH_MAX = 10
BATCH_BYTES_MAX = 1_048_576
"""What SQS takes in one request, and in one message."""
FACT_CHARACTERS_MAX = 96 * 1024
"""Of a fact as text. The ledger keeps a document's lines twice, as planned and as sent, in an item of at most 400 KB."""
PAYOUT_CHARACTERS_MAX = 300 * 1024
"""Of a payout, which is kept once: some 3,800 payments."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message to the queue of `function`. Messages of one `group` are handled in turn; one without a group, whenever."""

    function: str
    group: str
    body: str = field(repr=False)
    deduplication_id: str = ""

    @property
    def order(self) -> dict[str, str]:
        """What SQS is told of it on a FIFO queue. Without a group it is for a queue that keeps no order."""
        named = {"MessageGroupId": self.group, "MessageDeduplicationId": self.deduplication_id}
        return named if self.group else {}

    @classmethod
    def of(cls, function: str, group: tuple[str, str, str], content: dict[str, Any], received_at: str) -> Message:
        """A message about one case: `group` is its provider, account and case id.

        Its body is ASCII, because SQS refuses some characters. Two messages of the same content have one deduplication id,
        which SQS honours for five minutes; it saves work and guarantees nothing.

        Raises `Reject` with `body_too_large` if SQS would not take it.
        """
        text = json.dumps(content | {"received_at": received_at}, separators=(",", ":"))
        if len(text) > BATCH_BYTES_MAX:
            raise Reject("body_too_large")
        return cls(function, _digest("|".join(group)), text, _digest(json.dumps(content, sort_keys=True)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def fact_message(fact: Fact, event_id: str, event_type: str, received_at: str) -> Message:
    """`fact` for the function that records its type, in the order of its payment. `received_at` is an RFC 3339 instant in UTC.

    Raises `Reject` with `body_too_large` for a fact that the ledger could not keep.
    """
    content = {"fact": fact.to_json(), "event_id": event_id, "event_type": event_type}
    message = Message.of(FUNCTION_OF[fact.type], (fact.provider, fact.account, fact.case_ids[0]), content, received_at)
    if len(message.body) > (PAYOUT_CHARACTERS_MAX if fact.type in PAYOUT_TYPES else FACT_CHARACTERS_MAX):
        raise Reject("body_too_large")
    return message


def delivery_messages(provider: str, connection: str, translation: Translation, received_at: str) -> list[Message]:
    """Everything one delivery of `provider` on `connection` means, for the functions it concerns; never empty.

    A delivery that says nothing of use goes to the function that keeps such events, so that they can be explained.
    """
    return [message for event in translation.events for message in _event_messages(provider, connection, event, received_at)]


def _event_messages(provider: str, connection: str, translation: Translation, received_at: str) -> list[Message]:
    """The same of one event: a delivery may hold several."""
    event_id, event_type = translation.event_id, translation.event_type
    if translation.facts or translation.fetch:
        facts = [fact_message(fact, event_id, event_type, received_at) for fact in translation.facts]
        return facts + [
            _fetch_message(provider, connection, reference, translation, received_at) for reference in translation.fetch
        ]
    if translation.sighting:
        content = {"sighting": translation.sighting.to_json(), "event_id": event_id, "event_type": event_type}
        return [Message.of("document_changed", (provider, "", translation.sighting.document_id), content, received_at)]
    content = {
        "provider": provider,
        "account": translation.account,
        "event_id": event_id,
        "event_type": event_type,
        "reason": translation.ignored or "no_new_fact",
    }
    return [Message.of("event_ignored", (provider, translation.account, event_id), content, received_at)]


def _fetch_message(provider: str, connection: str, reference: Reference, translation: Translation, received_at: str) -> Message:
    """One object to fetch from its provider. What one type of event asks of an object never waits for what another one does.

    A delivery that does not say when what it tells of happened may be the same as an earlier one and mean something new: it tells
    of the moment at which it came, and no queue may take it for a repetition.
    """
    account = translation.account
    wanted = {"provider": provider, "connection": connection, "account": account, "object": reference.object, "id": reference.id}
    wanted |= {"occurred_at": translation.occurred_at or received_at}
    wanted |= {"optional": "yes"} if reference.optional else {}
    content = {"fetch": wanted, "event_id": translation.event_id, "event_type": translation.event_type}
    message = Message.of("object_fetched", (provider, account, f"{translation.event_type}:{reference.id}"), content, received_at)
    return message if translation.occurred_at else replace(message, deduplication_id=uuid4().hex)


def revisit_message(provider: str, account: str, payment_id: str, reason: str, received_at: str) -> Message:
    """One payment to converge again without a new outside event.

    The time is part of what it says: asking again later is not a repetition that the queue may swallow.
    """
    revisit = {"provider": provider, "account": account, "payment_id": payment_id}
    content = {"revisit": revisit, "reason": reason, "asked_at": received_at}
    return Message.of("payment_revisited", (provider, account, payment_id), content, received_at)


def fees_message(business_customer: str, currency: str, month: str, received_at: str) -> Message:
    """One month of fees to close. Those of one business customer and currency are closed in turn."""
    content = {"fees": {"business_customer": business_customer, "currency": currency, "month": month}}
    return Message.of("fees_closed", ("fees", business_customer, currency), content, received_at)


def account_of(body: Any) -> tuple[str, str]:  # noqa: ANN401 - whatever somebody sent
    """The provider and its account that a message is about. Raises `KeyError` or `TypeError` where it names none."""
    match body:
        case {"fact": named} | {"revisit": named} | {"fetch": named}:
            return str(named["provider"]), str(named["account"])
        case {"fees": named} | {"sighting": named}:
            return "platform", str(named["business_customer"])
        case {"specversion": _, "data": named} | {"detail": {"specversion": _, "data": named}}:
            return "platform", str(named["business_customer"])
        case {"detail": {"object": "event", "account": str(account)}}:
            return "stripe", account
        case _:
            return str(body["provider"]), str(body["account"])


class QueueClient(Protocol):
    """The part of the SQS client that is used."""

    def send_message_batch(self, *, QueueUrl: str, Entries: list[Any]) -> Mapping[str, Any]: ...  # noqa: N803 - SQS's names


class Queues:
    """The queues of the functions, by function name."""

    def __init__(self, client: QueueClient, urls: Mapping[str, str]) -> None:
        self._client = client
        self._urls = dict(urls)

    def send(self, messages: Iterable[Message]) -> None:
        """Every message is on its queue when this returns.

        Raises `Retry` if any is not known to be; those that were sent are then sent again, which is harmless.
        """
        by_function: dict[str, list[Message]] = {}
        for message in messages:
            by_function.setdefault(message.function, []).append(message)
        for function, waiting in by_function.items():
            for batch in _batches(waiting):
                self._send_batch(self._urls[function], batch)

    def _send_batch(self, url: str, batch: list[Message]) -> None:
        entries = [{"Id": str(place), "MessageBody": message.body} | message.order for place, message in enumerate(batch)]
        try:
            answer = self._client.send_message_batch(QueueUrl=url, Entries=entries)
        except (BotoCoreError, ClientError) as error:
            raise Retry("queue_unavailable", type(error).__name__) from None
        if len(answer.get("Successful", ())) != len(batch):
            raise Retry("queue_incomplete")


def _batches(messages: list[Message]) -> Iterator[list[Message]]:
    batch: list[Message] = []
    for message in messages:
        if len(batch) == BATCH_MAX or sum(len(held.body) for held in (*batch, message)) > BATCH_BYTES_MAX:
            yield batch
            batch = []
        batch.append(message)
    if batch:
        yield batch
