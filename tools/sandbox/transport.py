"""Mounts the sandbox into an httpx client without sockets, faults included."""

from __future__ import annotations

import httpx

from tools.sandbox.model import Answer, Sandbox
from tools.sandbox.wire import Request


def mounted(sandbox: Sandbox) -> httpx.MockTransport:
    """A transport that answers from `sandbox`. Delays take no time.

    A reset raises `httpx.ReadError`, a lost response `httpx.RemoteProtocolError`, as over a real connection.
    """

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx_response(sandbox.handle(from_httpx(request)), request)

    return httpx.MockTransport(answer)


def from_httpx(request: httpx.Request) -> Request:
    """An httpx request as the model takes it."""
    return Request(
        method=request.method,
        path=request.url.path,
        headers={name.lower(): value for name, value in request.headers.items()},
        query=tuple(request.url.params.multi_items()),
        body=request.read(),
    )


def httpx_response(answer: Answer, request: httpx.Request) -> httpx.Response:
    """A model's answer as httpx gives it. Raises what a broken connection raises."""
    if answer.connection == "reset":
        raise httpx.ReadError("Connection reset by peer", request=request)
    if answer.response is None:
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.", request=request)
    response = answer.response
    return httpx.Response(response.status, headers=dict(response.headers), content=response.body, request=request)
