"""SSM and SQS as far as the ingress uses them: what they take, what they refuse, and what they were given."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError, ConnectTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MESSAGE_BYTES_MAX = REQUEST_BYTES_MAX = 1_048_576
BATCH_MAX = 10
NAMES_MAX = 10
_GROUP = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}", re.ASCII)
_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_PARAMETER = re.compile(r"/[A-Za-z0-9_.\-/]{1,1010}", re.ASCII)
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Sent(NamedTuple):
    """A message that a queue took."""

    queue: str
    group: str
    body: str


class Sqs:
    """FIFO queues with the limits of the real ones. Within one delivery it drops repeats, as they do."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._queues = {url: name for name, url in urls.items()}
        self._taken: dict[tuple[str, str], Sent] = {}
        self.refused: list[str] = []
        """What a queue would not take, and why: always a mistake of the caller."""
        self.outage = ""
        """`down`: no connection; `throttled`: an error for the whole request; `partial`: the first message of each fails."""
        self.requests = 0

    @property
    def sent(self) -> list[Sent]:
        return list(self._taken.values())

    def forget(self) -> None:
        self._taken, self.refused, self.outage, self.requests = {}, [], "", 0

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 - SQS's names
        self.requests += 1
        if self.outage == "down":
            raise ConnectTimeoutError(endpoint_url="sqs")
        if self.outage == "throttled":
            raise _error("RequestThrottled", "SendMessageBatch")
        if code := self._fault(QueueUrl, Entries):
            self.refused.append(code)
            raise _error(code, "SendMessageBatch")
        failed = [{"Id": Entries[0]["Id"], "SenderFault": False, "Code": "InternalError"}] if self.outage == "partial" else []
        taken = [entry for entry in Entries[len(failed) :] if self._takes(self._queues[QueueUrl], entry)]
        failed += [{"Id": e["Id"], "SenderFault": True, "Code": "Invalid"} for e in Entries[len(failed) :] if e not in taken]
        return {"Successful": [{"Id": entry["Id"]} for entry in taken], "Failed": failed}

    def _fault(self, url: str, entries: list[dict[str, str]]) -> str:
        """Why the request as a whole is refused."""
        size = sum(len(entry["MessageBody"].encode("utf-8", "surrogatepass")) for entry in entries)
        faults = {
            "NonExistentQueue": url not in self._queues,
            "EmptyBatchRequest": not entries,
            "TooManyEntriesInBatchRequest": len(entries) > BATCH_MAX,
            "InvalidBatchEntryId": not all(_ENTRY_ID.fullmatch(entry["Id"]) for entry in entries),
            "BatchEntryIdsNotDistinct": len({entry["Id"] for entry in entries}) < len(entries),
            "BatchRequestTooLong": size > REQUEST_BYTES_MAX,
        }
        return next((f"AWS.SimpleQueueService.{code}" for code, is_so in faults.items() if is_so), "")

    def _takes(self, queue: str, entry: dict[str, str]) -> bool:
        faults = [*_faults(entry)]
        self.refused += faults
        if not faults:
            sent = Sent(queue, entry["MessageGroupId"], entry["MessageBody"])
            self._taken.setdefault((queue, entry["MessageDeduplicationId"]), sent)
        return not faults


def _faults(entry: dict[str, str]) -> Iterator[str]:
    body = entry["MessageBody"]
    if not body or len(body.encode("utf-8", "surrogatepass")) > MESSAGE_BYTES_MAX:
        yield "message length"
    if _FORBIDDEN.search(body):
        yield "characters of the message"
    for name in ("MessageGroupId", "MessageDeduplicationId"):
        if not _GROUP.fullmatch(entry[name]):
            yield name
    if unknown := set(entry) - {"Id", "MessageBody", "MessageGroupId", "MessageDeduplicationId"}:
        yield f"unknown {sorted(unknown)}"


class Ssm:
    """Parameters by name."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)
        self.refused: list[str] = []

    def get_parameters(self, *, Names: list[str], WithDecryption: bool) -> dict[str, Any]:  # noqa: N803 - SSM's names
        if not (0 < len(Names) <= NAMES_MAX and WithDecryption and all(map(_PARAMETER.fullmatch, Names))):
            self.refused.append("parameter names")
            raise _error("ValidationException", "GetParameters")
        found = [{"Name": name, "Value": self._values[name]} for name in Names if name in self._values]
        return {"Parameters": found, "InvalidParameters": [name for name in Names if name not in self._values]}


def _error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": 400}}, operation)  # type: ignore[typeddict-item]
