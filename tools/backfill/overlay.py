"""A world in which nothing can be changed: the pipeline may run in it, and its writes are kept in memory.

Reads are real. So what the pipeline does here is what it would do out there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx

from quittance.storage import (
    Absent,
    AbsentOrEquals,
    AnyState,
    ConditionFailedError,
    Delete,
    Equals,
    Item,
    Put,
    Table,
    Write,
    check_writes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_TAX_CHECK = "/transaction-type/check"
"""The one request by POST that only asks."""
_PRETENDED = "rehearsed_"
_REMEMBERED = 10_000
"""Answers of the registry of tax numbers, so that a long history takes no more memory than a short one."""


class OverlayTable:
    """A `Table` over another one. What is committed here hides what is below, which is only read.

    Items are held as JSON: that is read faster than a structure is copied, and nobody can change what is held.
    """

    def __init__(self, below: Table, *, remembers: bool = False) -> None:
        """With `remembers`, a partition below is read once. It takes the memory of everything that is read."""
        self._below = below
        self._read: dict[str, dict[str, str]] | None = {} if remembers else None
        self._written: dict[str, dict[str, str]] = {}
        """An empty text: deleted here."""

    def know_empty(self, pks: Iterable[str]) -> None:
        """Take it from the caller that nothing is below in these partitions."""
        if self._read is not None:
            self._read |= {pk: {} for pk in pks}

    def read(self, pk: str, sk: str) -> Item | None:
        text = self._written.get(pk, {}).get(sk)
        if text is None and self._read is not None and pk in self._read:
            text = self._read[pk].get(sk, "")
        if text is None:
            return self._below.read(pk, sk)
        return json.loads(text) if text else None

    def read_partition(self, pk: str, sk_prefix: str = "") -> list[Item]:
        texts = self._all_below(pk) | self._written.get(pk, {})
        return [json.loads(text) for sk, text in sorted(texts.items()) if text and sk.startswith(sk_prefix)]

    def walk(self, pk: str, sk_prefix: str = "") -> Iterator[Item]:
        yield from self.read_partition(pk, sk_prefix)

    def commit(self, writes: Sequence[Write]) -> None:
        check_writes(writes)
        if not all(map(self._fulfils, writes)):
            raise ConditionFailedError
        for write in writes:
            match write:
                case Put(item):
                    self._written.setdefault(write.pk, {})[write.sk] = json.dumps(item)
                case Delete(pk, sk):
                    self._written.setdefault(pk, {})[sk] = ""

    def find(self, reference: str) -> list[Item]:
        """What is below. Nothing that is rehearsed looks for what it has just written."""
        return self._below.find(reference)

    def _fulfils(self, write: Write) -> bool:
        if isinstance(write.condition, AnyState):
            return True
        item = self.read(write.pk, write.sk)
        match write.condition:
            case Absent():
                return item is None
            case Equals(attribute, value):
                return item is not None and attribute in item and item[attribute] == value
            case AbsentOrEquals(attribute, value):
                return item is None or (attribute in item and item[attribute] == value)

    def _all_below(self, pk: str) -> dict[str, str]:
        if self._read is not None and pk in self._read:
            return self._read[pk]
        texts = {item["sk"]: json.dumps(item) for item in self._below.read_partition(pk)}
        if self._read is not None:
            self._read[pk] = texts
        return texts


class ReadOnlyTransport(httpx.BaseTransport):
    """The way to the invoicing API, for reading: what would be made or changed is answered as if it had been.

    Only the registry of tax numbers is really asked by POST, because documents depend on its answer. What it said lately is
    remembered: a buyer often comes back.
    """

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport
        self._made = 0
        self._checked: dict[bytes, bytes] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if _is_pretended(request):
            # Nothing is known of what was never made, and nobody can ask in its name.
            return httpx.Response(200, json={"data": []}) if request.method == "GET" else self._pretend(request)
        if request.url.path.endswith(_TAX_CHECK):
            return self._check(request)
        return self._transport.handle_request(request) if request.method == "GET" else self._pretend(request)

    def _check(self, request: httpx.Request) -> httpx.Response:
        asked = request.read()
        if asked not in self._checked:
            answer = self._transport.handle_request(request)
            answer.read()
            if not answer.is_success:
                return answer
            if len(self._checked) == _REMEMBERED:
                del self._checked[next(iter(self._checked))]  # the oldest
            self._checked[asked] = answer.content
        return httpx.Response(200, content=self._checked[asked])

    def _pretend(self, request: httpx.Request) -> httpx.Response:
        """What the API would answer, as far as anybody looks at it."""
        asked = json.loads(request.read() or b"{}")
        self._made += 1
        made = {
            "id": f"{_PRETENDED}{self._made}",
            "number": "" if asked.get("is_draft") else "-",
            "is_draft": asked.get("is_draft", False),
            "total_with_tax": asked.get("expected_total_with_tax"),
            "total_paid": sum(payment["amount"] for payment in asked.get("payments", ())),
        }
        return httpx.Response(200, json=asked | made)


def _is_pretended(request: httpx.Request) -> bool:
    return _PRETENDED in str(request.url) or _PRETENDED in request.headers.get("x-entity-id", "")
