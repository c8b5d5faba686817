"""The sandbox on real HTTP, with its webhooks really sent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.routing import Mount
from uvicorn.protocols.http.h11_impl import H11Protocol

from tools.sandbox.control import PREFIX, control
from tools.sandbox.deliveries import Delivery, Outbox
from tools.sandbox.model import Answer, Sandbox
from tools.sandbox.sources import Clock, wall_clock
from tools.sandbox.wire import Request, Response

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_DELIVERY_TIMEOUT_SECONDS = 5.0
_SHUTDOWN_SECONDS = 10.0
_KEEP_ALIVE_SECONDS = 120
_GRACE_SECONDS = 2
_BACKLOG = 128
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER on, for zero seconds: closing the socket resets the connection."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is a free port. Raises `OSError`. A client may connect at once: it waits in the queue."""
    # Only of a socket that says TCP asyncio switches Nagle's algorithm off, which would hold every answer back for 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    return listener


def url_of(listener: socket.socket) -> str:
    """The base URL of a listening socket, without a slash at the end."""
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


def build_server(sandbox: Sandbox, clock: Clock = wall_clock) -> uvicorn.Server:
    """A uvicorn server over the sandbox, to be run on a socket of `listen`."""
    connections = _Connections()
    application = _Application(sandbox, clock, connections)
    app = Starlette(routes=[Mount("/", app=application)], lifespan=application.lifespan)
    # Proxy headers would replace the peer address, by which connections are known here. Kept-alive connections outlive the
    # pauses of a client, so that a request does not meet a connection that is just being closed.
    config = uvicorn.Config(
        app,
        http=connections.protocol(),
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return uvicorn.Server(config)


@contextlib.contextmanager
def running(sandbox: Sandbox, clock: Clock = wall_clock) -> Iterator[str]:
    """Serves the sandbox from a thread of this process, on a free port of the loopback interface; gives the base URL."""
    listener = listen("127.0.0.1", 0)
    server = build_server(sandbox, clock)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join(_SHUTDOWN_SECONDS)
        listener.close()


class _Connections:
    """The open connections by peer address, so that one can be broken on purpose."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}

    def protocol(self) -> type[H11Protocol]:
        """The HTTP protocol for uvicorn, which keeps this list."""
        transports = self._transports

        class Protocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                transports[transport.get_extra_info("peername")] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(self.transport.get_extra_info("peername"), None)
                super().connection_lost(exc)

        return Protocol

    def break_off(self, peer: tuple[str, int], *, reset: bool) -> None:
        """Closes a connection without an answer; with `reset` so that the peer sees it reset."""
        transport = self._transports[peer]
        if reset:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()


class _Application:
    """The ASGI application over one sandbox."""

    def __init__(self, sandbox: Sandbox, clock: Clock, connections: _Connections) -> None:
        self._sandbox = sandbox
        self._clock = clock
        self._connections = connections
        self._deliveries_changed = asyncio.Event()

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        request = await _read(HttpRequest(scope, receive))
        if request.path.startswith(PREFIX):
            await _http(control(self._sandbox, request))(scope, receive, send)
            return
        answer = await self._answer(request)
        if answer.response is None:
            self._connections.break_off(tuple(scope["client"]), reset=answer.connection == "reset")
            await _until_disconnected(receive)
            return
        await _http(answer.response)(scope, receive, send)

    async def _answer(self, request: Request) -> Answer:
        pending = self._sandbox.begin(request)
        await asyncio.sleep(pending.delay)
        answer = self._sandbox.finish(pending)
        self._deliveries_changed.set()
        await asyncio.sleep(answer.delay)
        return answer

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Sends webhooks for as long as the server runs."""
        task = asyncio.create_task(self._deliver())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _deliver(self) -> None:
        sending: set[asyncio.Task[None]] = set()
        async with httpx.AsyncClient(timeout=_DELIVERY_TIMEOUT_SECONDS, trust_env=False) as client:
            while True:
                outbox = self._sandbox.outbox
                for delivery in outbox.due(self._clock()):
                    task = asyncio.create_task(self._send(client, outbox, delivery))
                    sending.add(task)
                    task.add_done_callback(sending.discard)
                await self._until_due(outbox)

    async def _until_due(self, outbox: Outbox) -> None:
        due = outbox.next_due
        seconds = None if due is None else max(0.0, (due - self._clock()).total_seconds())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._deliveries_changed.wait()
        self._deliveries_changed.clear()

    async def _send(self, client: httpx.AsyncClient, outbox: Outbox, delivery: Delivery) -> None:
        try:
            response = await client.post(delivery.url, content=delivery.body, headers=dict(delivery.headers))
        except httpx.HTTPError:
            outbox.record(delivery, None, self._clock())
        else:
            outbox.record(delivery, response.status_code, self._clock())
        self._deliveries_changed.set()


async def _read(request: HttpRequest) -> Request:
    return Request(
        method=request.method,
        path=request.url.path,
        headers=dict(request.headers),
        query=tuple(request.query_params.multi_items()),
        body=await request.body(),
        client=request.client.host if request.client else "",
    )


def _http(response: Response) -> HttpResponse:
    return HttpResponse(response.body, response.status, dict(response.headers))


async def _until_disconnected(receive: _Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
