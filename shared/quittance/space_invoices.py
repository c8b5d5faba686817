"""The Space Invoices API over HTTP: one request per call, and every way it can end sorted by what to do next.

What the API promises is known in part only, so nothing here relies on a promise: both headers that may carry the idempotency
key are sent, look-ups do not trust filters, and an answer that cannot be read is no answer.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from quittance.errors import InDoubt, Park, QuittanceError, Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REQUESTS_PER_MINUTE = {"sandbox": 60, "live": 600}
"""What its documentation says it allows, for all business customers together, by the environment of the key."""
RATE_LIMIT_PAUSE_S = 60
"""How long to wait after a 429 that does not say."""
CONFIGURATION_PAUSE_S = 300
"""How long to wait for somebody to repair a key, a base URL or the API's filters."""
LONGEST_PAUSE_S = 3600
PDF_READ_TIMEOUT_S = 30.0
"""Rendering is slower than anything else the API does."""
PAGE_SIZE = 100
"""The most that one page may hold."""
KEPT_EXCHANGES = 20

_HEADER_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FIELD_NAME = re.compile(r"[A-Za-z0-9_]{1,40}")
_ROUTE_WORD = re.compile(r"[a-z-]*")
_MAX_ISSUES = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request that brought no result raises: the code, and its kind on mutations and on reads."""

    code: str
    on_mutation: type[Retry | InDoubt | Park]
    on_read: type[Retry | Park]
    delay_s: int | None = None

    def failure(self, *, mutation: bool, message: str = "", delay_s: int | None = None) -> QuittanceError:
        kind = self.on_mutation if mutation else self.on_read
        if issubclass(kind, Park):
            return kind(self.code, message)
        return kind(self.code, message, delay_s=self.delay_s if delay_s is None else delay_s)


UNREACHABLE = Outcome("api_unreachable", Retry, Retry)
NO_ANSWER = Outcome("api_no_answer", InDoubt, Retry)
UNREADABLE_ANSWER = Outcome("api_unreadable_answer", InDoubt, Retry)
SERVER_ERROR = Outcome("api_server_error", InDoubt, Retry)
CONFLICT = Outcome("api_conflict", InDoubt, Retry)
RATE_LIMITED = Outcome("api_rate_limited", Retry, Retry, RATE_LIMIT_PAUSE_S)
REFUSED_KEY = Outcome("api_refused_key", Retry, Retry, CONFIGURATION_PAUSE_S)
REDIRECTED = Outcome("api_redirected", Retry, Retry, CONFIGURATION_PAUSE_S)
NOT_FOUND = Outcome("api_not_found", Park, Park)
REFUSED = Outcome("api_refused", Park, Park)

OUTCOMES: tuple[tuple[range, Outcome], ...] = (
    (range(300, 400), REDIRECTED),
    (range(401, 402), REFUSED_KEY),
    (range(403, 404), REFUSED_KEY),
    (range(404, 405), NOT_FOUND),
    (range(408, 409), SERVER_ERROR),
    (range(409, 410), CONFLICT),
    (range(429, 430), RATE_LIMITED),
    (range(501, 502), REFUSED),
    (range(500, 600), SERVER_ERROR),
    (range(100, 1000), REFUSED),
)
"""The outcome of every status that is not a success; the first range that has it decides."""

_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as it may be logged and counted: no body, no query, no id of anything but the request itself."""

    method: str
    route: str
    """The path with `{id}` in place of every id."""
    status: int | None
    """None: no answer."""
    duration_ms: int
    request_id: str | None

    @property
    def outcome(self) -> str:
        """`ok`, or the code of what went wrong as far as the status tells it."""
        if self.status is None:
            return NO_ANSWER.code
        return "ok" if httpx.codes.is_success(self.status) else _outcome_of(self.status).code


class SpaceInvoices:
    """A client for one API key. Every request carries `Authorization`, and `x-entity-id` when an entity is given.

    Every method raises the failures of the table above. `Retry` means that nothing happened; `InDoubt` that a mutation may have
    happened; `Park` that the API refused what it was sent, whose message names the status, the error code and the fields
    complained about, never a value.
    """

    def __init__(  # noqa: PLR0913 - every setting is named at the one place that makes a client
        self,
        base_url: str,
        api_key: Callable[[], str],
        *,
        transport: httpx.BaseTransport | None = None,
        connect_timeout_s: float = 3.0,
        read_timeout_s: float = 10.0,
        observe: Callable[[Exchange], None] | None = None,
    ) -> None:
        """`api_key` is asked before every request, so that a rotated key is used at once; `observe` is told of each request."""
        self._base_url = base_url
        self._api_key = api_key
        self._transport = transport
        self._timeout = httpx.Timeout(read_timeout_s, connect=connect_timeout_s)
        self._observe = observe
        self._made_client: httpx.Client | None = None
        self._filter_in_use: dict[str, int] = {}
        self._exchanges: deque[Exchange] = deque(maxlen=KEPT_EXCHANGES)

    def exchanged(self) -> list[Exchange]:
        """The last `KEPT_EXCHANGES` requests since this was last asked."""
        exchanges = list(self._exchanges)
        self._exchanges.clear()
        return exchanges

    def create(self, path: str, body: bytes, *, entity_id: str | None, idempotency_key: str) -> dict[str, Any]:
        """POST exactly these bytes and return the object made, its non-integer numbers as `Decimal`.

        Repeating it with the same key and bytes makes nothing twice, as far as the API keeps its word.
        Raises `ValueError` for a key that is not 1 to 64 of `A-Z a-z 0-9 _ -`.
        """
        answer = self._mutate("POST", path, body, entity_id=entity_id, idempotency_key=idempotency_key)
        return _object(answer, mutation=True)

    def patch(self, path: str, body: bytes, *, entity_id: str | None, idempotency_key: str) -> dict[str, Any]:
        """PATCH exactly these bytes and return the object as it is now; otherwise as `create`."""
        answer = self._mutate("PATCH", path, body, entity_id=entity_id, idempotency_key=idempotency_key)
        return _object(answer, mutation=True)

    def delete(self, path: str, *, entity_id: str | None, idempotency_key: str) -> None:
        """DELETE; any answer of success will do, with or without a body, and what is not there any more is deleted."""
        try:
            self._mutate("DELETE", path, None, entity_id=entity_id, idempotency_key=idempotency_key)
        except Park as refused:
            if refused.code != NOT_FOUND.code:
                raise

    def get(self, path: str, *, entity_id: str | None, params: Mapping[str, str | int] | None = None) -> dict[str, Any]:
        """The object, its non-integer numbers as `Decimal`."""
        return _object(self._send("GET", path, entity_id=entity_id, params=params), mutation=False)

    def pdf(self, document_id: str, *, entity_id: str) -> bytes:
        """The document as PDF. An answer that is none, whatever its status, raises `Retry`."""
        path = f"/documents/{quote(document_id, safe='')}/pdf"
        timeout = httpx.Timeout(PDF_READ_TIMEOUT_S, connect=self._timeout.connect)
        answer = self._send("GET", path, entity_id=entity_id, timeout=timeout)
        if not answer.content.startswith(b"%PDF"):
            raise UNREADABLE_ANSWER.failure(mutation=False)
        return answer.content

    def find_by_metadata(self, collection: str, metadata: Mapping[str, str], *, entity_id: str | None) -> list[dict[str, Any]]:
        """The first 100 objects that carry all of this metadata; empty only where the API showed that there are none.

        The filter has two spellings, and either may be unknown to the API, which may then refuse it, ignore it, or match
        nothing. So an object counts when its own metadata says so, which no filter can get wrong, and one request is enough
        to find what exists. Absence is concluded

        - from a page without further pages that has other objects on it: it is a superset, searched here;
        - from an empty page, if this spelling has found something in this collection before: it is understood, and an API that
          ignored it would have no objects to return at all;
        - otherwise from an empty page under one spelling while the other finds nothing either, which takes a second request.

        Raises `Retry("api_filter_ignored")` where no spelling gives one of these answers, and `Park` where all are refused. Lists
        may lag behind writes: "none" right after an unknown outcome deserves a second look, or a repetition under the same key.
        """
        empty = refused = None
        for number in self._filters_to_try(collection):
            try:
                found = self._filtered(collection, _FILTERS[number](metadata), entity_id=entity_id)
            except Park as refusal:
                refused = refusal
                continue
            hits = [candidate for candidate in found.data if _carries(candidate, metadata)]
            if hits and len(hits) == len(found.data):
                self._filter_in_use[collection] = number
            if hits or (found.data and found.is_last):
                return hits
            if not found.data:
                empty = hits
                if self._filter_in_use.get(collection) == number:
                    break
        if empty is not None:
            return empty
        raise refused or Retry("api_filter_ignored", delay_s=CONFIGURATION_PAUSE_S)

    def pages(
        self, collection: str, *, entity_id: str | None, order_by: str = "id", query: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Every object of a collection, asking for the next 100 when they are needed.

        Objects made or removed meanwhile may show up or not. `query` is passed on as it is and not checked. Never ends early
        without saying so: a page that does not lead on where it should raises `Retry`.
        """
        seen: set[str] = set()
        cursor = None
        while True:
            data, cursor = self.page(collection, entity_id=entity_id, cursor=cursor, order_by=order_by, query=query)
            yield from data
            if cursor is None:
                return
            if cursor in seen:
                raise UNREADABLE_ANSWER.failure(mutation=False, message="pages do not lead on")
            seen.add(cursor)

    def page(
        self,
        collection: str,
        *,
        entity_id: str | None,
        cursor: str | None = None,
        order_by: str = "id",
        query: Mapping[str, Any] | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Up to 100 objects of a collection, and the cursor of what comes after them; None at the end.

        For a caller that must be able to go on later. Otherwise as `pages`.
        """
        params = {**_query(query), "limit": PAGE_SIZE, "order_by": order_by} | ({"next_cursor": cursor} if cursor else {})
        page = self._page(collection, params, entity_id=entity_id)
        if page.is_last:
            return page.data, None
        if page.next_cursor is None:
            raise UNREADABLE_ANSWER.failure(mutation=False, message="pages do not lead on")
        return page.data, page.next_cursor

    def _filters_to_try(self, collection: str) -> list[int]:
        in_use = self._filter_in_use.get(collection, 0)
        return sorted(range(len(_FILTERS)), key=lambda number: number != in_use)

    def _filtered(self, collection: str, query: Mapping[str, Any], *, entity_id: str | None) -> _Page:
        return self._page(collection, {**_query(query), "limit": PAGE_SIZE}, entity_id=entity_id)

    def _page(self, collection: str, params: Mapping[str, str | int], *, entity_id: str | None) -> _Page:
        return _page(self.get(f"/{collection}", entity_id=entity_id, params=params))

    def _mutate(
        self, method: str, path: str, body: bytes | None, *, entity_id: str | None, idempotency_key: str
    ) -> httpx.Response:
        if not _HEADER_TOKEN.fullmatch(idempotency_key):
            raise ValueError("an idempotency key is 1 to 64 of A-Z a-z 0-9 _ -")
        headers = {"X-Request-Id": idempotency_key, "Idempotency-Key": idempotency_key}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self._send(method, path, entity_id=entity_id, headers=headers, body=body)

    def _send(  # noqa: PLR0913 - the one place where a request is put together
        self,
        method: str,
        path: str,
        *,
        entity_id: str | None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        params: Mapping[str, str | int] | None = None,
        timeout: httpx.Timeout | None = None,
    ) -> httpx.Response:
        mutation = method != "GET"
        all_headers = self._headers(entity_id) | dict(headers or {})
        started = time.monotonic()
        answer = None
        try:
            answer = self._client.request(
                method, path, headers=all_headers, content=body, params=params, timeout=timeout or self._timeout
            )
        except httpx.RequestError as error:
            # Not chained: the message of a header that cannot be sent would quote the key.
            raise _outcome_without_answer(error).failure(mutation=mutation, message=type(error).__name__) from None
        finally:
            self._report(method, path, answer, started)
        if not answer.is_success:
            raise _failure_of(answer, mutation=mutation)
        return answer

    @property
    def _client(self) -> httpx.Client:
        """Made at the first request, because loading certificates is what takes time, and kept for the next ones."""
        if self._made_client is None:
            self._made_client = httpx.Client(
                base_url=self._base_url, transport=self._transport, trust_env=False, follow_redirects=False
            )
        return self._made_client

    def _headers(self, entity_id: str | None) -> dict[str, str]:
        key = self._api_key()
        if not (key.isascii() and key.isprintable()):
            raise REFUSED_KEY.failure(mutation=False, message="not a key")
        headers = {"Authorization": f"Bearer {key}", "Accept": "application/json", "User-Agent": "quittance"}
        if entity_id is None:
            return headers
        if not _HEADER_TOKEN.fullmatch(entity_id):
            raise REFUSED.failure(mutation=False, message="not an entity id")
        return headers | {"x-entity-id": entity_id}

    def _report(self, method: str, path: str, answer: httpx.Response | None, started: float) -> None:
        exchange = Exchange(
            method=method,
            route=_route(path),
            status=None if answer is None else answer.status_code,
            duration_ms=round((time.monotonic() - started) * 1000),
            request_id=None if answer is None else answer.headers.get("X-Request-Id", "")[:64] or None,
        )
        self._exchanges.append(exchange)
        if self._observe is not None:
            self._observe(exchange)


def _nested_filter(metadata: Mapping[str, str]) -> dict[str, Any]:
    return {"metadata": {key: {"equals": value} for key, value in metadata.items()}}


def _dotted_filter(metadata: Mapping[str, str]) -> dict[str, Any]:
    return {f"metadata.{key}": {"equals": value} for key, value in metadata.items()}


_FILTERS = (_nested_filter, _dotted_filter)
"""The spellings of a metadata filter: what a production client uses, then what the vendor's guide prints."""


@dataclass(frozen=True, slots=True)
class _Page:
    data: list[dict[str, Any]]
    next_cursor: str | None
    is_last: bool


def _page(body: Mapping[str, Any]) -> _Page:
    """Without any word on pagination a page is the last one only if it is not full."""
    data, pagination = body.get("data"), body.get("pagination", {})
    if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data) or not isinstance(pagination, dict):
        raise UNREADABLE_ANSWER.failure(mutation=False, message="not a page")
    cursor = pagination.get("next_cursor")
    has_more = pagination.get("has_more", cursor is not None or len(data) >= PAGE_SIZE)
    return _Page(data, str(cursor) if cursor else None, not has_more)


def _query(query: Mapping[str, Any] | None) -> dict[str, str | int]:
    return {} if query is None else {"query": json.dumps(query, separators=(",", ":"))}


def _carries(candidate: Mapping[str, Any], metadata: Mapping[str, str]) -> bool:
    carried = candidate.get("metadata")
    return isinstance(carried, dict) and all(carried.get(key) == value for key, value in metadata.items())


def _object(answer: httpx.Response, *, mutation: bool) -> dict[str, Any]:
    body = _json(answer)
    if not isinstance(body, dict):
        raise UNREADABLE_ANSWER.failure(mutation=mutation, message=str(answer.status_code))
    return body


def _json(answer: httpx.Response) -> object:
    """The decoded body, or None when it is not JSON."""
    try:
        return json.loads(answer.content, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _outcome_without_answer(error: httpx.RequestError) -> Outcome:
    if isinstance(error, _NOTHING_SENT):
        return UNREACHABLE
    return UNREADABLE_ANSWER if isinstance(error, httpx.DecodingError) else NO_ANSWER


def _failure_of(answer: httpx.Response, *, mutation: bool) -> QuittanceError:
    return _outcome_of(answer.status_code).failure(mutation=mutation, message=_complaint(answer), delay_s=_asked_delay_s(answer))


def _outcome_of(status: int) -> Outcome:
    return next(outcome for statuses, outcome in OUTCOMES if status in statuses)


def _asked_delay_s(answer: httpx.Response) -> int | None:
    """`Retry-After`, in seconds or as a date, kept between a second and an hour; None if there is none to understand."""
    asked = answer.headers.get("Retry-After", "").strip()
    try:
        seconds = int(asked) if asked.isdecimal() else (parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
    return int(min(max(seconds, 1), LONGEST_PAUSE_S))


def _complaint(answer: httpx.Response) -> str:
    """Status, error code and the fields complained about: nothing that could quote what was sent."""
    body = _json(answer)
    body = body if isinstance(body, dict) else {}
    code = body.get("code")
    known = [str(answer.status_code), *([_name(code)] if code else []), *islice(_issue_paths(body.get("cause")), _MAX_ISSUES)]
    return " ".join(known)


def _issue_paths(cause: object) -> Iterator[str]:
    """The paths in either shape of `cause`: a list of issues, or a tree with `_errors` at the fields."""
    if not isinstance(cause, dict):
        return
    if isinstance(cause.get("issues"), list):
        paths = (issue.get("path") for issue in cause["issues"] if isinstance(issue, dict))
        yield from (".".join(map(_name, path)) for path in paths if isinstance(path, list))
        return
    yield from _error_paths(cause, ())


def _error_paths(tree: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    if tree.get("_errors") and path:
        yield ".".join(path)
    for name, branch in tree.items():
        if isinstance(branch, dict):
            yield from _error_paths(branch, (*path, _name(name)))


def _name(name: object) -> str:
    """A field name or error code as it may be logged; anything that does not look like one is not shown."""
    return str(name) if _FIELD_NAME.fullmatch(str(name)) else "?"


def _route(path: str) -> str:
    return "/".join(word if _ROUTE_WORD.fullmatch(word) else "{id}" for word in path.partition("?")[0].split("/"))
