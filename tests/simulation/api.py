"""The invoicing API: the sandbox's model behind the real client, with its failures and the checks of every request."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from tests.simulation.history import Violation
from tools.sandbox.faults import LookupLag
from tools.sandbox.model import Answer, Sandbox
from tools.sandbox.wire import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulation.world import World

READ_TIMEOUT_S = 10.0
DOCUMENTS_MAX = 120
"""More than any history calls for."""
_STATUS_OF = {
    "rate-limited": 429,
    "server-error": 500,
    "unavailable": 503,
    "error-after-commit": 500,
    "unavailable-after-commit": 503,
}
_NUMBER = re.compile(r":[0-9]+$")
_MUTATIONS = frozenset({"POST", "PATCH", "DELETE"})


class _Headers(dict[str, str]):
    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


@dataclass(slots=True)
class _Answer:
    """What the client reads of an `httpx.Response`."""

    status_code: int
    headers: _Headers
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status_code < 300


class SimulatedApi:
    """Stands in for the `httpx.Client` of `SpaceInvoices`, which is real in every other respect."""

    def __init__(self, world: World, sandbox: Sandbox) -> None:
        self._world = world
        self.sandbox = sandbox
        self.requests: Counter[str] = Counter()
        """Without those about entities, which are asked for once in a customer's life."""
        self.refused: set[tuple[str, ...]] = set()
        """Provider, payment and document key of what was refused."""
        self._bodies: dict[tuple[str, ...], bytes] = {}
        self._seen: dict[str, int] = {}

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None,
        params: Mapping[str, str | int] | None,
        timeout: object,  # noqa: ARG002
    ) -> _Answer:
        request = Request(
            method=method,
            path=path,
            headers={name.lower(): value for name, value in headers.items()},
            query=tuple((name, str(value)) for name, value in (params or {}).items()),
            body=content or b"",
        )
        call = {"GET": "api.list", "DELETE": "api.delete"}.get(method, "api.create")
        fault = self._world.enter(call, f"{method} {path}")
        self._check_request(request)
        self.requests[call] += not request.path.startswith(("/entities", "/taxes"))
        outage = self._world.outage()
        if outage is not None:
            self._world.leave(call, fault, f"outage {outage}")
            if not outage:
                raise httpx.ConnectError("unreachable")
            return _error(outage)
        return self._answer(request, call, fault)

    def _answer(self, request: Request, call: str, fault: str) -> _Answer:
        if fault == "unreachable":
            self._world.leave(call, fault)
            raise httpx.ConnectError("unreachable")
        if fault == "reset":
            self._world.leave(call, fault)
            raise httpx.ReadError("reset")
        if fault in {"rate-limited", "server-error", "unavailable"}:
            self._world.leave(call, fault)
            return _error(_STATUS_OF[fault], retry_after=self._world.fault_amount if fault == "rate-limited" else None)
        if fault == "refused" and not request.path.startswith(("/entities", "/taxes", "/documents")):
            self._world.leave(call, fault)
            self.refused.add(_document_name(request))
            return _error(422)
        if fault == "slow-commit" and request.method in _MUTATIONS:
            pending = self.sandbox.begin(request)
            self._world.later(self._world.fault_amount, lambda: self._land(pending))
            self._world.now += READ_TIMEOUT_S
            self._world.leave(call, fault)
            raise httpx.ReadTimeout("no answer")
        if call == "api.create" and not request.path.startswith(("/entities", "/taxes")):
            self.refused.discard(_document_name(request))
        answer = self._handle(request, self._world.fault_amount if fault == "lookup-lag" else 0)
        self._world.leave(call, fault, str(answer.response.status) if answer.response else "")
        if fault == "lost-response":
            raise httpx.RemoteProtocolError("no answer")
        if fault in _STATUS_OF:
            return _error(_STATUS_OF[fault])
        if fault == "unreadable":
            return _Answer(200, _Headers(), b"<html>")
        assert answer.response
        return _Answer(answer.response.status, _Headers(answer.response.headers), answer.response.body)

    def _handle(self, request: Request, lag_s: int) -> Answer:
        if lag_s and request.method == "GET":
            self.sandbox.faults.add(LookupLag(kind="lookup_lag", seconds=lag_s))
        answer = self.sandbox.handle(request)
        self.sandbox.faults.clear()
        if request.method in _MUTATIONS:
            self.check_step()
        return answer

    def _land(self, pending: Any) -> None:
        self._world.note("api", "a slow request lands")
        self.sandbox.finish(pending)
        self.check_step()

    # what must hold of every request

    def _check_request(self, request: Request) -> None:
        keys = {request.headers.get(name) for name in ("x-request-id", "idempotency-key")}
        if request.method == "GET":
            self._require(keys == {None}, "a read carries an idempotency key")
            return
        self._require(len(keys) == 1 and None not in keys, "the idempotency headers differ or are missing")
        self._require(("x-entity-id" in request.headers) != request.path.startswith("/entities"), "entity header")
        (key,) = keys
        self._require_same(
            ("key", str(key)), request.method.encode() + request.path.encode() + request.body, "a key was used for two requests"
        )
        if request.method == "POST" and not request.path.startswith(("/entities", "/taxes")):
            name = _document_name(request)
            self._require(not self._is_known_as_refused(name), f"asked again for what was refused: {name}")
            self._require_same((request.headers["x-entity-id"], *name), request.body, "a document was asked for in two ways")

    def _is_known_as_refused(self, name: tuple[str, ...]) -> bool:
        """Whether the ledger has it in writing: a refusal whose record got lost may be asked for once more."""
        if not any(refused[:2] == name[:2] for refused in self.refused):
            return False
        documents = (item for item in self._world.table.items() if item["sk"].startswith("DOC#") and item["state"] == "refused")
        known = {(item["document"]["payment_id"], _unnumbered(item["document"]["key"])) for item in documents}
        return (name[1], _unnumbered(name[2])) in known

    def _require_same(self, name: tuple[str, ...], body: bytes, complaint: str) -> None:
        self._require(self._bodies.setdefault(name, body) == body, f"{complaint}: {name}")

    @staticmethod
    def _require(holds: bool, complaint: str) -> None:
        if not holds:
            raise Violation(complaint)

    # what must hold after every change

    @property
    def books(self) -> dict[str, Any]:
        """The books of all entities, by entity id."""
        return dict(self.sandbox._worlds["sandbox"].books)

    def check_step(self) -> None:
        """No document twice, and never more credited, paid or invoiced than there is. Looks only at books that have changed."""
        books = self.books
        owners = [book.entity["metadata"].get("business_customer") for book in books.values()]
        self._require(len(set(owners)) == len(owners), "an entity was made twice")
        for entity_id, book in books.items():
            size = len(book.invoices) + len(book.credit_notes) + len(book.payments)
            if self._seen.get(entity_id) != size:
                self._seen[entity_id] = size
                self._check_book(book)

    def _check_book(self, book: Any) -> None:
        self._require(len(book.invoices) + len(book.credit_notes) < DOCUMENTS_MAX, "documents without end")
        names = Counter(_name(one) for shelf in (book.invoices, book.credit_notes) for one in shelf.values())
        names.update(_name(one) for one in book.payments.values() if one["metadata"])
        twice = [name for name, count in names.items() if count > 1]
        self._require(not twice, f"issued twice: {twice}")
        for invoice in book.invoices.values():
            credits_of_it = [r["target_id"] for r in book.relations.get(invoice["id"], ()) if r["relation_type"] == "has_credit"]
            credited = sum(book.credit_notes[one]["total_with_tax"] for one in credits_of_it)
            self._require(credited <= invoice["total_with_tax"], f"{invoice['number']} is credited by {credited}")
            self._require(invoice["total_paid"] <= invoice["total_with_tax"], f"{invoice['number']} is overpaid")
        for note in book.credit_notes.values():
            if note["metadata"].keys() & {"refund_id", "dispute_id"}:
                self._require(note["total_paid"] == note["total_with_tax"], f"{note['number']} lacks its pay-out")


def _document_name(request: Request) -> tuple[str, ...]:
    metadata = json.loads(request.body).get("metadata", {})
    return tuple(str(metadata.get(field)) for field in ("provider", "payment_id", "document_key"))


def _unnumbered(document_key: str) -> str:
    """The key without the number that tells apart several documents of one kind and subject."""
    return _NUMBER.sub("", document_key)


def _name(one: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(one["metadata"].get(field) for field in ("provider", "payment_id", "document_key"))


def _error(status: int, retry_after: int | None = None) -> _Answer:
    headers = _Headers({} if retry_after is None else {"retry-after": str(retry_after)})
    return _Answer(status, headers, b'{"code":"simulated"}')
