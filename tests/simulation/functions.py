"""The real functions (`functions/*/app.py`), loaded once and connected to whichever world is running."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import boto3

from quittance import providers
from quittance.converge import Converger
from quittance.ledger import Ledger
from quittance.registration import CustomerDirectory, Registrar
from quittance.runtime import accepted, composition, fact_worker, worker
from quittance.runtime.allowance import Allowance
from quittance.runtime.queues import FUNCTION_OF, Queues, revisit_message
from quittance.runtime.secrets import Connections
from quittance.space_invoices import SpaceInvoices
from tests.simulation import provider
from tests.simulation.history import Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.simulation.world import World

FUNCTIONS = Path(__file__).parents[2] / "functions"
WORKERS = tuple(sorted({*FUNCTION_OF.values(), "document_changed", "event_ignored", "event_received", "object_fetched"}))
NAMES = ("ingest", *WORKERS)
CONNECTIONS = "/quittance/simulation/connections"
URLS = {name: f"https://queues/{name}" for name in WORKERS}
REQUESTS_PER_MINUTE = 600

running: list[World] = []
"""The world that the functions act in is the last one."""


class Instance:
    """One running copy of a function: its parts, and what it keeps in memory between two calls."""

    def __init__(self, world: World, name: str, number: int) -> None:
        self.name = f"{name}.{number}"
        self.deadline = 0.0
        ledger = Ledger(world.table)
        api = SpaceInvoices("http://api", lambda: "sk_sandbox_simulation")
        api._made_client = world.api  # type: ignore[assignment]
        self.allowance = Allowance(world.shared_count, REQUESTS_PER_MINUTE, clock=lambda: world.now)
        self.queues = Queues(world.sqs, URLS)
        self.converger = Converger(
            ledger=ledger,
            customers=CustomerDirectory(ledger, world.seconds),
            api=api,
            stage="simulation",
            now=world.seconds,
            new_token=world.token,
        )
        self.registrar = Registrar(
            ledger=ledger,
            api=api,
            stage="simulation",
            now=world.seconds,
            revisit_later=partial(_revisit_later, world, self.queues),
        )
        self.connections = Connections(world.parameters, CONNECTIONS, clock=lambda: world.now)


def _revisit_later(world: World, queues: Queues, provider_name: str, account: str, payment_id: str, reason: str) -> None:
    queues.send([revisit_message(provider_name, account, payment_id, reason, world.timestamp())])


class _Active:
    """Stands for a part of the running instance while a function module is loaded, and forwards to it afterwards."""

    def __init__(self, part: str) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: getattr(getattr(running[-1].instance, self._part), name)(*args, **kwargs)  # noqa: PLW0108 - the world of the moment


class _Allowance(_Active):
    @property
    def is_tight(self) -> bool:
        return running[-1].instance.allowance.is_tight


class _WorldPart(_Active):
    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: getattr(getattr(running[-1], self._part), name)(*args, **kwargs)  # noqa: PLW0108 - the world of the moment


class _Sqs:
    """The SQS client as the batch loop uses it."""

    meta = SimpleNamespace(endpoint_url="https://queues")

    def change_message_visibility_batch(self, **request: Any) -> dict[str, Any]:
        return running[-1].sqs.change_message_visibility_batch(**request)

    def send_message(self, **letter: Any) -> None:
        running[-1].sqs.give_up(**letter)


class _Clock:
    """Stands in for both `time` and `datetime` of the ingest function."""

    @staticmethod
    def time() -> float:
        return running[-1].now

    @staticmethod
    def now(_zone: object) -> datetime:
        return datetime.fromtimestamp(running[-1].now, UTC)


def _nothing(*_: object, **__: object) -> None:
    pass


def _count(_metric: str, *, event_type: str, **_labels: str) -> None:
    if event_type == "defect":
        raise Violation("a function met a defect")


def load(sources: Mapping[str, tuple[str, str]] | None = None) -> dict[str, Callable[[dict[str, Any], Any], dict[str, Any]]]:
    """The handlers by function name. `sources` may replace a piece of text in a function's source, to plant a bug in it."""
    handlers = {}
    sqs: Any = _Sqs()
    connected = partial(worker.worker_handler, sqs=sqs, count=_count, clock=_Clock.time)
    parts: dict[str, Any] = {"converger": lambda *_: _Active("converger"), "registrar": partial(_Active, "registrar")}
    parts |= {"allowance": partial(_Allowance, "allowance")}
    parts |= {"queues": partial(_Active, "queues"), "table": partial(_WorldPart, "table")}
    parts |= {"now": lambda: running[-1].seconds(), "timestamp": lambda: running[-1].timestamp()}  # noqa: PLW0108 - the world of the moment
    environment = {"CONNECTIONS_PATH": CONNECTIONS, "QUEUE_URLS": "{}"}
    with ExitStack() as stack:
        for name, part in parts.items():
            stack.enter_context(patch.object(composition, name, part))
        stack.enter_context(patch.object(worker, "worker_handler", connected))
        stack.enter_context(patch.object(fact_worker, "worker_handler", connected))
        for name in ("allowance", "converger"):
            stack.enter_context(patch.object(fact_worker, name, parts[name]))
        stack.enter_context(patch.object(boto3, "client", _nothing))
        stack.enter_context(patch.dict(os.environ, environment))
        for name in NAMES:
            module = _module(name, (sources or {}).get(name))
            if name == "ingest":
                vars(module).update(
                    _connections=_Active("connections"), _queues=_Active("queues"), time=_Clock, datetime=_Clock, count=_nothing
                )
            handlers[name] = module.handler
    return handlers


def _module(name: str, replacement: tuple[str, str] | None) -> ModuleType:
    path = FUNCTIONS / name / "app.py"
    source = path.read_text(encoding="utf-8")
    if replacement:
        if source.count(replacement[0]) != 1:
            raise ValueError(f"{name}: the text to replace is there {source.count(replacement[0])} times")
        source = source.replace(*replacement)
    module = ModuleType(f"functions.{name}")
    exec(compile(source, str(path), "exec"), vars(module))  # noqa: S102 - our own source
    return module


@contextmanager
def running_in(world: World) -> Iterator[None]:
    """The functions act in `world`, say nothing, and the simulated provider has its route."""
    routes = providers._MODULES
    silent = logging.root.manager.disable
    counting = vars(accepted)
    counted = counting["count"]
    routes[provider.NAME] = provider.__name__
    counting["count"] = _nothing
    logging.disable(logging.CRITICAL)
    running.append(world)
    try:
        yield
    finally:
        running.pop()
        logging.disable(silent)
        counting["count"] = counted
        routes.pop(provider.NAME, None)
