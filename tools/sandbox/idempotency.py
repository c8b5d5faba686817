"""Idempotency keys of one account.

A key stands for one request: method, address, entity and the exact body bytes. Repeating it replays the stored status and
body; using it for anything else is a conflict. Stored answers do not expire. Answers that say nothing about the request
itself (429, 5xx) are given before a key is looked at, so they are not stored. While the first request is still running, a
repeat is refused with 409 rather than made to wait: it is the harder of the two for a client, and the real behaviour is
unknown.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tools.sandbox.wire import Problem, Request, Response

MAX_LENGTH = 255


@dataclass(slots=True)
class _Entry:
    fingerprint: bytes
    response: Response | None


class Keys:
    """The keys an account has used."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def begin(self, key: str, request: Request) -> Response | None:
        """The stored answer of a repeat, or None after noting that the request is running.

        Raises `Problem` 409 when the key was used for another request, or its request is still running.
        """
        fingerprint = _fingerprint(request)
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = _Entry(fingerprint, None)
            return None
        if entry.fingerprint != fingerprint:
            raise Problem(409, "The idempotency key was used with a different request")
        if entry.response is None:
            raise Problem(409, "A request with this idempotency key is still being processed")
        return entry.response

    def finish(self, key: str, response: Response | None) -> None:
        """Stores the answer of the request that `begin` noted, or forgets the key if the request came to nothing."""
        if response is None:
            del self._entries[key]
        else:
            self._entries[key].response = response


def _fingerprint(request: Request) -> bytes:
    digest = hashlib.sha256()
    entity = request.headers.get("x-entity-id", "")
    for part in (request.method, request.path, repr(sorted(request.query)), entity):
        digest.update(part.encode() + b"\0")
    digest.update(request.body)
    return digest.digest()
