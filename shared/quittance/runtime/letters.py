"""What a dead letter tells: why it was given up, and whose it is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from quittance.fees import FEES_PROVIDER
from quittance.runtime.dead_letters import CAUSE, dead_letters_of
from quittance.runtime.queues import account_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_sqs.type_defs import MessageTypeDef

NO_CAUSE = "unrecorded"
"""The cause of a letter that SQS moved by itself, because its worker was killed or ran out of time at every attempt."""
CAUSES = (CAUSE, "ERROR_CODE")
"""The attributes that name one: a worker's, and that of an event bus that could not deliver."""
UNKNOWN = ""
"""The business customer of a letter that does not tell whose it is, or whose account nobody registered."""
_NAME_IT_THEMSELVES = frozenset({"platform", FEES_PROVIDER})
"""The providers whose account is the business customer."""


class QueuePair(NamedTuple):
    """The queue of a function and the queue of its dead letters."""

    function: str
    url: str
    dead_letters_url: str


def pairs_of(urls: Mapping[str, str]) -> dict[str, QueuePair]:
    """The pairs by function, from the addresses of the functions' queues. An empty address is of a queue that is not there."""
    return {function: QueuePair(function, url, dead_letters_of(url)) for function, url in urls.items() if url}


class Kind(NamedTuple):
    """What letters are counted and chosen by."""

    function: str
    cause: str
    business_customer: str


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter while it is held."""

    pair: QueuePair
    kind: Kind
    group: str
    """The payment in whose order it stands; empty on a queue that keeps no order."""
    body: str = field(repr=False)
    receipt: str = field(repr=False)

    @property
    def digest(self) -> bytes:
        """The same for what is the same to its function."""
        return hashlib.sha256(f"{self.kind.function}\n{self.group}\n{self.body}".encode()).digest()


class LetterReader:
    """Reads letters, and remembers whose accounts are."""

    def __init__(self, owner_of: Callable[[str, str], str | None]) -> None:
        """`owner_of` gives the business customer of a provider's account."""
        self._owner_of = owner_of
        self._owners: dict[tuple[str, str], str] = {}

    def letter(self, pair: QueuePair, message: MessageTypeDef) -> Letter:
        attributes = message.get("MessageAttributes", {})
        causes = (attributes[name].get("StringValue") for name in CAUSES if name in attributes)
        body = message["Body"]
        return Letter(
            pair=pair,
            kind=Kind(pair.function, next(filter(None, causes), NO_CAUSE), self._customer_of(body)),
            group=message.get("Attributes", {}).get("MessageGroupId", ""),
            body=body,
            receipt=message["ReceiptHandle"],
        )

    def _customer_of(self, body: str) -> str:
        try:
            provider, account = account_of(json.loads(body))
        except (KeyError, TypeError, ValueError, RecursionError):
            return UNKNOWN
        if provider in _NAME_IT_THEMSELVES:
            return account
        if (provider, account) not in self._owners:
            self._owners[provider, account] = self._owner_of(provider, account) or UNKNOWN
        return self._owners[provider, account]
