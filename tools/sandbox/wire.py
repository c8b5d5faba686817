"""Requests, responses and errors as values: what crosses the edge of the model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Record = dict[str, Any]
"""One JSON object. Amounts inside the model are `Decimal`; they become JSON numbers only in `encode`."""

_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    422: "validation_error",
    429: "too_many_requests",
    500: "internal_server_error",
    501: "not_implemented",
    502: "bad_gateway",
    503: "service_unavailable",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Header names are lower case; `query` keeps order and repetition; `client` is the peer's address."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    client: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Problem(Exception):
    """An error answer of the API.

    `issues` become `cause.issues`; each has `path`, `message` and `code`. `retry_after` is in seconds.
    """

    def __init__(
        self, status: int, message: str, *, issues: Sequence[Record] = (), retry_after: int | None = None, code: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.issues = issues
        self.retry_after = retry_after
        self.code = code or code_of(status)

    def response(self, request_id: str) -> Response:
        """The error as an answer, in the shape of the document's `Error` schema."""
        body: Record = {"code": self.code, "message": self.message, "request_id": request_id}
        if self.issues:
            body["cause"] = {"issues": list(self.issues)}
        headers = {"content-type": "application/json", "x-request-id": request_id}
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        return Response(self.status, headers, encode(body))


def code_of(status: int) -> str:
    """The machine code that goes with an HTTP status."""
    return _CODES.get(status, "error")


def invalid(path: Sequence[str | int], message: str) -> Problem:
    """A business rule broken at one place of the request body: 422 with one issue."""
    return Problem(422, message, issues=[{"path": list(path), "message": message, "code": "custom"}])


def not_found(what: str) -> Problem:
    """404: `what` does not exist or is not visible to this key and entity."""
    return Problem(404, f"{what} not found")


def decode(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON value of a body, fractions as `Decimal`.

    Raises `Problem` 400 when it is not JSON, or uses the numbers NaN or Infinity, which JSON does not have.
    """
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Problem(400, "The body is not valid JSON") from error


def encode(value: object) -> bytes:
    """Compact UTF-8 JSON; `Decimal` as the JSON number with the same digits."""
    return json.dumps(value, default=_number, ensure_ascii=False, separators=(",", ":")).encode()


def _number(value: object) -> int | float:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no JSON form")
    whole = int(value)
    return whole if whole == value else float(value)


def _no_constant(name: str) -> None:
    raise ValueError(name)
