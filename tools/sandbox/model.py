"""The sandbox in memory: a request in, an answer out. No sockets, no wall clock, no randomness of its own.

What happens to a request, in this order: a fault on request, the key, the rate limit, the route, the idempotency key, the
body's schema, the entity, the operation. An operation checks everything before it changes anything.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Literal

from tools.sandbox import activities, directory, documents, emails, entities, payments, taxes, webhooks
from tools.sandbox.books import Book, World
from tools.sandbox.call import Call, Handler, Render, Reply
from tools.sandbox.contract import Operation, contract
from tools.sandbox.dates import timestamp
from tools.sandbox.deliveries import Outbox
from tools.sandbox.faults import Delay, Fault, Faults, IgnoreHeader, LookupLag, LoseResponse, RegistrySlow, ResetBefore, Status
from tools.sandbox.idempotency import MAX_LENGTH
from tools.sandbox.pdf import render_pdf
from tools.sandbox.rate_limit import RateLimiter
from tools.sandbox.registry import Registry
from tools.sandbox.settings import Settings
from tools.sandbox.sources import Clock, Identifiers
from tools.sandbox.wire import Problem, Record, Request, Response, code_of, decode, encode, not_found

HANDLERS: dict[str, Handler] = {
    **entities.HANDLERS,
    **directory.HANDLERS,
    **taxes.HANDLERS,
    **documents.HANDLERS,
    **emails.HANDLERS,
    **payments.HANDLERS,
    **webhooks.HANDLERS,
    **activities.HANDLERS,
}
"""What answers each operation of the document, by operationId."""

_KEY = re.compile(r"Bearer (sk_(sandbox|live)_[A-Za-z0-9_-]+)")
_LOG_SIZE = 100_000


@dataclass(slots=True)
class Seen:
    """What came in, without anybody's data."""

    method: str
    path: str
    idempotency_key: str | None
    at: str
    operation: str | None = None
    status: int | None = None
    replayed: bool = False
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """How a request ends: with a response, or with the connection broken by a fault."""

    response: Response | None
    connection: Literal["answered", "dropped", "reset"] = "answered"
    delay: float = 0.0
    """Seconds to wait before answering."""


@dataclass(frozen=True, slots=True)
class _Admission:
    operation: Operation
    params: dict[str, str]
    world: World
    key: str | None


@dataclass(frozen=True, slots=True)
class Pending:
    """A request that has arrived. `delay` is the time in seconds after which `Sandbox.finish` is to be called."""

    request: Request
    seen: Seen
    request_id: str
    fault: Fault | None
    admission: _Admission | None
    settled: Response | None
    """The answer, when it needs no operation: an error or a replay."""
    met: list[Fault] = field(default_factory=list)
    """Faults whose occasion came while it was carried out."""

    @property
    def delay(self) -> float:
        return self.fault.seconds if isinstance(self.fault, Delay) and self.fault.when == "before" else 0.0


class Sandbox:
    """The API and its state.

    `clock` gives the time, `ids` all identifiers and secrets; with the same two and the same requests every answer is the
    same. `faults`, `registry`, `emails` and `outbox` are open to whoever runs the sandbox.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        ids: Identifiers | None = None,
        settings: Settings | None = None,
        render: Render = render_pdf,
        webhook_time_scale: float = 1.0,
    ) -> None:
        self._clock = clock
        self._ids = ids or Identifiers(clock)
        self._settings = settings or Settings()
        self._render = render
        self._webhook_time_scale = webhook_time_scale
        self._contract = contract()
        self.reset()

    def reset(self) -> None:
        """Forgets everything: data, keys, faults, tax numbers told, deliveries, e-mails, the log."""
        self._worlds = {name: World(name, self._ids.new("acc")) for name in ("sandbox", "live")}
        self._limiter = RateLimiter(self._settings.rate_limits)
        self.faults = Faults()
        self.outbox = Outbox(self._ids, self._webhook_time_scale)
        self.registry = Registry(self._settings.tax_numbers)
        self.emails: list[Record] = []
        self.seen: deque[Seen] = deque(maxlen=_LOG_SIZE)

    def handle(self, request: Request) -> Answer:
        """Arrival and effect at once; a delay is reported but not waited for."""
        return self.finish(self.begin(request))

    def begin(self, request: Request) -> Pending:
        """Takes a request in. Nothing has happened to documents yet, but its idempotency key is busy until `finish`."""
        now = self._clock()
        request_id = request.headers.get("x-request-id") or self._ids.new("req")
        fault = self.faults.take(request)
        key = self._key_of(request, fault)
        seen = Seen(request.method, request.path, key, timestamp(now), fault=fault.kind if fault else None)
        self.seen.append(seen)
        admission, settled = None, None
        if not _prevents_effect(fault):
            try:
                admission, settled = self._admit(request, seen, now)
            except Problem as problem:
                settled = problem.response(request_id)
        return Pending(request, seen, request_id, fault, admission, settled)

    def finish(self, pending: Pending) -> Answer:
        """Carries out what `begin` took in."""
        fault, response = pending.fault, pending.settled
        if response is None and pending.admission is not None:
            response = self._carry_out(pending, pending.admission)
        if isinstance(fault, Status):
            response = _fault_response(fault, pending.request_id)
        if isinstance(fault, LoseResponse):
            return Answer(None, "dropped")
        if response is None:
            return Answer(None, "reset")
        pending.seen.status = response.status
        return Answer(response, delay=_delay_after(pending))

    def state(self) -> Record:
        """How much there is, by environment, and how often each operation was called."""
        return {
            "worlds": {name: _counts(world) for name, world in self._worlds.items()},
            "requests": dict(Counter(seen.operation or "unknown" for seen in self.seen)),
            "statuses": dict(Counter(str(seen.status or "none") for seen in self.seen)),
            "faults": self.faults.to_json(),
            "deliveries": len(self.outbox.log),
            "emails": len(self.emails),
        }

    def _admit(self, request: Request, seen: Seen, now: datetime) -> tuple[_Admission, Response | None]:
        world = self._world(request)
        self._limiter.admit(request.client, world.environment, now)
        operation, params = self._contract.find(request.method, request.path)
        seen.operation = operation.id
        key = seen.idempotency_key if operation.idempotent else None
        if key is not None and len(key) > MAX_LENGTH:
            raise Problem(400, "The idempotency key is too long")
        replay = world.keys.begin(key, request) if key else None
        seen.replayed = replay is not None
        return _Admission(operation, params, world, key), replay

    def _carry_out(self, pending: Pending, admission: _Admission) -> Response:
        response = None
        try:
            response = self._execute(pending, admission)
        finally:
            if admission.key:
                admission.world.keys.finish(admission.key, response)
        return response

    def _execute(self, pending: Pending, admission: _Admission) -> Response:
        operation = admission.operation
        try:
            call = self._call(pending, admission)
            reply = HANDLERS[operation.id](call)
        except Problem as problem:
            return problem.response(pending.request_id)
        self._publish(call)
        return _response(operation, reply, pending.request_id)

    def _call(self, pending: Pending, admission: _Admission) -> Call:
        operation, request, now = admission.operation, pending.request, self._clock()
        lag = pending.fault.age if isinstance(pending.fault, LookupLag) else None
        return Call(
            operation=operation,
            params=admission.params,
            query=operation.read_query(request.query),
            body=_body(operation, request),
            world=admission.world,
            selected=_selected(admission.world, operation, request),
            now=now,
            settings=self._settings,
            ids=self._ids,
            render=self._render,
            registry=self.registry,
            meet=partial(self._meet, pending),
            emails=self.emails,
            hidden_since=now - lag if lag else None,
        )

    def _meet(self, pending: Pending, *kinds: type[Fault]) -> Fault | None:
        fault = self.faults.meet(pending.request, kinds)
        if fault:
            pending.met.append(fault)
            pending.seen.fault = pending.seen.fault or fault.kind
        return fault

    def _publish(self, call: Call) -> None:
        for event, data in call.events:
            for webhook in call.book.webhooks.values():
                if webhook["active"] and event in webhook["events"]:
                    self.outbox.post(webhook, event, data, call.now)

    def _world(self, request: Request) -> World:
        given = _KEY.fullmatch(request.headers.get("authorization", ""))
        if given is None or self._settings.api_key not in {None, given[1]}:
            raise Problem(401, "Missing or invalid key")
        world = self._worlds[given[2]]
        if request.headers.get("x-account-id", world.account_id) != world.account_id:
            raise not_found("Account")
        return world

    def _key_of(self, request: Request, fault: Fault | None) -> str | None:
        ignored = fault.header if isinstance(fault, IgnoreHeader) else None
        present = (request.headers.get(name) for name in self._settings.idempotency_headers if name != ignored)
        return next((key for key in present if key), None)


def _prevents_effect(fault: Fault | None) -> bool:
    return isinstance(fault, ResetBefore) or (isinstance(fault, Status) and not fault.after_commit)


def _delay_after(pending: Pending) -> float:
    late = [pending.fault] if isinstance(pending.fault, Delay) and pending.fault.when == "after" else []
    return sum((one.seconds for one in (*late, *pending.met) if isinstance(one, (Delay, RegistrySlow))), 0.0)


def _selected(world: World, operation: Operation, request: Request) -> Book | None:
    if operation.scope == "account":
        return None
    identifier = request.headers.get("x-entity-id")
    if identifier is None:
        return _able(next(iter(world.books.values())), operation) if len(world.books) == 1 else None
    if identifier not in world.books:
        raise not_found("Entity")
    return _able(world.books[identifier], operation)


def _able(book: Book, operation: Operation) -> Book:
    if operation.method != "GET" and book.entity["is_enabled"] is False:
        raise Problem(403, "The entity is disabled")
    return book


def _body(operation: Operation, request: Request) -> Record:
    if operation.body is None:
        return {}
    if not request.body:
        if operation.body_required:
            raise Problem(422, "A request body is required")
        return {}
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise Problem(400, "The body must be sent as application/json")
    body: Any = decode(request.body)
    operation.check_body(body)
    return dict(body)


def _response(operation: Operation, reply: Reply, request_id: str) -> Response:
    headers = {"x-request-id": request_id}
    if reply is None:
        return Response(operation.success, headers, b"")
    if isinstance(reply, bytes):
        return Response(operation.success, headers | {"content-type": "application/pdf"}, reply)
    return Response(operation.success, headers | {"content-type": "application/json"}, encode(reply))


def _fault_response(fault: Status, request_id: str) -> Response:
    message = f"{code_of(fault.status)} on request"
    return Problem(fault.status, message, retry_after=fault.retry_after).response(request_id)


def _counts(world: World) -> Record:
    books = world.books.values()
    return {
        "entities": len(books),
        **{
            shelf: sum(len(getattr(book, shelf)) for book in books)
            for shelf in ("customers", "taxes", "invoices", "credit_notes", "payments", "webhooks")
        },
        "idempotency_keys": len(world.keys),
    }
