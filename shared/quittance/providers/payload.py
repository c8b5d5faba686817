"""Reading what providers send: JSON bodies, signature headers and instants, each refused with `Reject` if it is not one."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from quittance.errors import Reject
from quittance.providers import SIGNATURE_MALFORMED, SIGNATURE_OUTSIDE_TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Iterable

UNREADABLE_BODY = "unreadable_body"

ID_BYTES_MAX = 250
"""Of any id, in UTF-8: the ledger's sort keys take 1024 bytes, and the longest of them names four ids."""
TEXT_CHARACTERS_MAX = 2000
"""Of any text that is only printed."""

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_EPOCH_SECONDS = re.compile(r"\d{1,11}", re.ASCII)


def json_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`, without the members that are null: they are the same as absent.

    Raises `Reject` for anything else, be it hostile: endless depth or numbers, NaN, lone surrogates.
    """
    try:
        document = json.loads(raw.decode(), parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_without_nulls)
        if b"\\ud" in raw.lower():
            json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Reject(UNREADABLE_BODY, "not JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise Reject(UNREADABLE_BODY, "not a JSON object")
    return document


def _without_nulls(members: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in members if value is not None}


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _finite(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError(literal)
    return number


def signed_at(timestamp: str, now_s: int, tolerance_s: int) -> str:
    """`timestamp` itself, once it is known to be epoch seconds within `tolerance_s` of `now_s`, before or after."""
    if not _EPOCH_SECONDS.fullmatch(timestamp):
        raise Reject(SIGNATURE_MALFORMED)
    if abs(now_s - int(timestamp)) > tolerance_s:
        raise Reject(SIGNATURE_OUTSIDE_TOLERANCE)
    return timestamp


def hex_digests(content: bytes, secrets: Iterable[str]) -> list[bytes]:
    """The HMAC-SHA256 of `content` under each of `secrets`, in hexadecimal digits. An empty secret proves nothing."""
    return [hmac.new(secret.encode(), content, hashlib.sha256).hexdigest().encode() for secret in secrets if secret]


def any_equal(expected: Iterable[bytes], given: Iterable[str]) -> bool:
    """Whether one of the `given` header values is one of the `expected`, in a time that does not depend on where they differ.

    Header values are compared as bytes, because the comparison of strings refuses those that are not ASCII.
    """
    candidates = [value.encode("utf-8", "replace") for value in given]
    # A list, so that every pair is compared: stopping at the first match would tell which one it was.
    return any([hmac.compare_digest(right, candidate) for right in expected for candidate in candidates])  # noqa: C419


def utc_instant(text: str) -> str:
    """An RFC 3339 instant in UTC with second precision. Raises `ValueError` if `text` is not one, or none from 1970 to 8999."""
    return _written(_moment(text))


def utc_microsecond(text: str) -> str:
    """The same, of one width and as precise as `text`. Raises as `utc_instant` does."""
    return _moment(text).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _moment(text: str) -> datetime:
    if not _INSTANT.fullmatch(text):
        raise ValueError("not an RFC 3339 instant")
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:
        raise ValueError("not an instant of this calendar") from None
    if not 0 <= moment.timestamp() < _END_OF_TIME_S:
        raise ValueError("not an instant of any payment")
    return moment


def utc_instant_from_epoch(seconds: object) -> str:
    """The instant `seconds` after the epoch. Raises `Reject` if it is not a whole number, or beyond the year 8999."""
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds < _END_OF_TIME_S:
        raise Reject(UNREADABLE_BODY, "not an instant")
    return _written(datetime.fromtimestamp(seconds, UTC))


def _written(moment: datetime) -> str:
    return moment.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


_END_OF_TIME_S = 221_845_392_000
"""9000-01-01T00:00:00Z. The calendar ends in 9999; a local day and a due date must still lie in it."""
