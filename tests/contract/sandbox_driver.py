"""Drives the sandbox's model in memory and holds every answer against the OpenAPI document."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import settings

from tools.sandbox.contract import contract
from tools.sandbox.model import Answer, Sandbox
from tools.sandbox.settings import Settings
from tools.sandbox.wire import Problem, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tools.sandbox.contract import Operation

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
UNDOCUMENTED = {404: "rule entity-scope of the document: lists too answer 404 for an entity or account that is not the caller's"}
"""Statuses that operations may answer although the document does not list them, with the reason."""
UNLIMITED = Settings(rate_limits=None)
UNHURRIED = settings(deadline=None)
"""For property tests: how long an example takes says more about the machine than about the sandbox."""
JSON = {"content-type": "application/json"}


class Clock:
    """A clock that moves only when told to."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, its JSON parsed."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def issues(self) -> list[dict[str, Any]]:
        return list(self.json["cause"]["issues"])


class Api:
    """A sandbox with one entity, and the calls that tests make on it."""

    def __init__(self, settings: Settings = UNLIMITED, **options: Any) -> None:
        self.clock = Clock()
        self.sandbox = Sandbox(clock=self.clock, settings=settings, **options)
        self.exercised: set[str] = set()
        self.entity: str | None = None
        self.entity = self.create("/entities", {"name": "Alpine Coffee d.o.o.", "country": "Slovenia"})["id"]

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str | None] | None = None,
        query: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    ) -> Request:
        """A request with a sandbox key and the entity; a header given as None is left out."""
        sent: dict[str, str | None] = {"authorization": "Bearer sk_sandbox_1", "x-entity-id": self.entity}
        if body is not None:
            sent |= JSON
        if key is not None:
            sent["x-request-id"] = key
        sent |= headers or {}
        pairs = tuple(query.items()) if hasattr(query, "items") else tuple(query)
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        present = {name: value for name, value in sent.items() if value is not None}
        return Request(method, path, present, pairs, content)

    def answer(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """The raw answer, for requests that meet a fault."""
        return self.sandbox.handle(self.request(method, path, body, **options))

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        """Sends a request. Fails when the answer is not one that the document has for the operation."""
        response = self.answer(method, path, body, **options).response
        assert response is not None
        self._check(method, path, response)
        return Reply(response.status, response.headers, response.body)

    def create(self, path: str, body: Any, **options: Any) -> dict[str, Any]:
        reply = self.call("POST", path, body, **options)
        assert reply.status == 201, reply.content
        return dict(reply.json)

    def get(self, path: str, **query: str) -> Any:
        reply = self.call("GET", path, query=query)
        assert reply.status == 200, reply.content
        return reply.json

    def ids(self, path: str, **query: str) -> list[str]:
        return [record["id"] for record in self.get(path, **query)["data"]]

    def invoice(self, gross: float = 122, **body: Any) -> dict[str, Any]:
        return self.create("/invoices", invoice_body(gross, **body))

    def credit_note(self, gross: float = 61, **body: Any) -> dict[str, Any]:
        return self.create("/credit-notes", invoice_body(gross, **body))

    def _check(self, method: str, path: str, response: Response) -> None:
        assert response.headers["x-request-id"]
        try:
            operation, _ = contract().find(method, path)
        except Problem:
            return  # the document has nothing to say about addresses and methods that it does not know
        check_documented(operation, response)
        self.exercised.add(operation.id)


def invoice_body(gross: float = 122, **body: Any) -> dict[str, Any]:
    """A gross-priced body with one line at 22 percent."""
    line = {"name": "Annual plan", "quantity": 1, "gross_price": gross, "taxes": [{"rate": 22}]}
    return {"calculation_mode": "b2c_gross_discount", "items": [line]} | body


def check_documented(operation: Operation, response: Response) -> None:
    """Fails unless the document has this status for the operation, and the body fits the schema given for it."""
    spec = contract().document["paths"][operation.path][operation.method.lower()]
    name = str(response.status) if str(response.status) in spec["responses"] else f"{response.status // 100}XX"
    assert name in spec["responses"] or response.status in UNDOCUMENTED, f"{operation.id} may not answer {response.status}"
    documented = _resolved(spec["responses"].get(name, {"$ref": "#/components/responses/NotFound"}))
    content = documented.get("content")
    if content is None:
        assert response.body == b""
        return
    media_type = response.headers["content-type"]
    assert media_type in content
    if media_type == "application/json":
        errors = [error.message for error in _validator(content[media_type]["schema"])(json.loads(response.body))]
        assert not errors, f"{operation.id} {response.status}: {errors}"
    for header in documented.get("headers", {}):
        assert header == "Retry-After" or header.lower() in response.headers


def _resolved(spec: dict[str, Any]) -> dict[str, Any]:
    reference = spec.get("$ref", "")
    return contract().document["components"]["responses"][reference.rpartition("/")[2]] if reference else spec


_VALIDATORS: dict[str, Any] = {}


def _validator(schema: dict[str, Any]) -> Callable[[Any], Any]:
    name = schema["$ref"].rpartition("/")[2]
    if name not in _VALIDATORS:
        _VALIDATORS[name] = contract().schema(name)
    return _VALIDATORS[name].iter_errors  # type: ignore[no-any-return]
