"""The control API under `/_sandbox/`: faults on request and a look inside. Never part of the real API; needs no key."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from pydantic import ValidationError

from tools.sandbox.model import Sandbox
from tools.sandbox.wire import Problem, Request, Response, decode, encode

PREFIX = "/_sandbox/"


def control(sandbox: Sandbox, request: Request) -> Response:
    """Answers one control request.

    `POST faults` puts a rule in force (see `faults`), `GET faults` lists them, `DELETE faults` clears them; `GET state`,
    `GET requests`, `GET deliveries` and `GET emails` look inside; `POST tax-numbers` says which are registered, `GET
    tax-numbers` lists what was said; `POST reset` forgets everything.
    """
    try:
        return _json(200, _answer(sandbox, request))
    except Problem as problem:
        return problem.response("control")


def _answer(sandbox: Sandbox, request: Request) -> object:
    name = request.path.removeprefix(PREFIX)
    if (request.method, name) == ("POST", "faults"):
        return _add_fault(sandbox, request.body)
    if (request.method, name) == ("POST", "tax-numbers"):
        sandbox.registry.tell(decode(request.body))
        return sandbox.registry.to_json()
    route = _ROUTES.get((request.method, name))
    if route is None:
        raise Problem(404, "Not Found")
    return route(sandbox)


def _clear_faults(sandbox: Sandbox) -> object:
    sandbox.faults.clear()
    return {"data": []}


def _reset(sandbox: Sandbox) -> object:
    sandbox.reset()
    return {}


_ROUTES: dict[tuple[str, str], Callable[[Sandbox], object]] = {
    ("GET", "faults"): lambda sandbox: {"data": sandbox.faults.to_json()},
    ("DELETE", "faults"): _clear_faults,
    ("GET", "state"): Sandbox.state,
    ("GET", "requests"): lambda sandbox: {"data": [dataclasses.asdict(seen) for seen in sandbox.seen]},
    ("GET", "deliveries"): lambda sandbox: {"data": list(sandbox.outbox.log)},
    ("GET", "emails"): lambda sandbox: {"data": sandbox.emails},
    ("GET", "tax-numbers"): lambda sandbox: sandbox.registry.to_json(),
    ("POST", "reset"): _reset,
}


def _add_fault(sandbox: Sandbox, body: bytes) -> object:
    try:
        sandbox.faults.add_json(decode(body))
    except ValidationError as error:
        issues = [{"path": list(one["loc"]), "message": one["msg"], "code": one["type"]} for one in error.errors()]
        raise Problem(422, "Not a fault", issues=issues) from error
    return {"data": sandbox.faults.to_json()}


def _json(status: int, value: object) -> Response:
    return Response(status, {"content-type": "application/json"}, encode(value))
