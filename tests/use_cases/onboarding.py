"""Registrations against the invoicing API's model, with every request and every stored secret on record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from quittance.customers import BusinessCustomer
from quittance.facts import Fact, FactType
from quittance.ledger import OPEN_FINDING, Ledger
from quittance.registration import CustomerDirectory, Registrar, Webhooks, read_customer
from quittance.space_invoices import SpaceInvoices
from tests.use_cases.world import World
from tools.sandbox.transport import mounted

if TYPE_CHECKING:
    from collections.abc import Callable

BASE_URL = "https://quittance.example/dev"


class Killed(BaseException):
    """The run ends here, whatever would have caught an error."""


@dataclass(frozen=True)
class Asked:
    """One request, with the entity it was made for."""

    method: str
    path: str
    entity_id: str | None
    body: dict[str, Any]


class Onboarding(World):
    """A world whose registrations also ask for webhooks, and which can be killed at any call of the outside."""

    def __init__(self, *, key: str = "sk_sandbox_test", environment: str = "sandbox", **settings: Any) -> None:
        super().__init__(**settings)
        self.asked: list[Asked] = []
        self.secrets: dict[str, str] = {}
        self.before_call: Callable[[str], None] = lambda _: None
        self.after_call: Callable[[str], None] = lambda _: None
        inner = mounted(self.sandbox)

        def answer(request: httpx.Request) -> httpx.Response:
            body = json.loads(request.content) if request.content else {}
            self.asked.append(Asked(request.method, request.url.path, request.headers.get("x-entity-id"), body))
            name = f"{request.method} {request.url.path.split('/')[1]}"
            self.before_call(name)
            response = inner.handle_request(request)
            self.after_call(name)
            return response

        self.api = SpaceInvoices("http://sandbox", lambda: key, transport=httpx.MockTransport(answer))
        self.environment = environment
        self.restart()

    def restart(self, base_url: str = BASE_URL) -> None:
        """A worker with nothing in memory, for a stack at this address."""
        self.registrar = Registrar(
            ledger=Ledger(self.table),
            api=self.api,
            stage="test",
            now=lambda: self.seconds,
            revisit_later=self._revisit_later,
            count=self._count,
            environment=self.environment,
            webhooks=Webhooks(base_url, self._store_secret) if base_url else None,
        )

    def _store_secret(self, connection: str, secret: str) -> None:
        self.before_call("put secret")
        self.secrets[connection] = secret
        self.after_call("put secret")

    def registered(self, customer_id: str = "bc_1", *, day: int = 20, event_id: str = "", **profile: Any) -> None:
        """One registration, by default the same event each time it is told on one day."""
        registration = {"name": "Acme", "country": "DE"} | profile
        fact = Fact(
            type=FactType.BUSINESS_CUSTOMER_UPDATED,
            provider="platform",
            account=customer_id,
            key=customer_id,
            occurred_at=f"2026-11-{day:02}T09:00:00Z",
            registration=registration,
        )
        self.registrar.take(fact, event_id or f"evt_{customer_id}_{day}")

    def customer(self, customer_id: str = "bc_1") -> BusinessCustomer:
        customer = read_customer(self.table, customer_id)
        assert customer
        return customer

    def directory(self) -> CustomerDirectory:
        return CustomerDirectory(Ledger(self.table), lambda: self.seconds)

    def findings(self) -> list[tuple[str, str]]:
        """Code and subject of everything that stands."""
        return [(item["code"], item["subject"]) for item in self.table.find(OPEN_FINDING)]

    def entities(self) -> list[dict[str, Any]]:
        return [book.entity for book in self.sandbox._worlds[self.environment].books.values()]

    def taxes(self, entity_id: str | None = None) -> list[dict[str, Any]]:
        return list(self._book(entity_id).taxes.values())

    def webhooks(self, entity_id: str | None = None) -> list[dict[str, Any]]:
        return list(self._book(entity_id).webhooks.values())

    def _book(self, entity_id: str | None) -> Any:
        books = self.sandbox._worlds[self.environment].books
        return books[entity_id or next(iter(books))]

    def made_by_hand(self, collection: str, body: dict[str, Any], entity_id: str | None = None) -> dict[str, Any]:
        """What somebody makes in the invoicing API without us."""
        key = f"by-hand-{len(self.sandbox.seen)}"
        made = self.api.create(f"/{collection}", json.dumps(body).encode(), entity_id=entity_id, idempotency_key=key)
        self.asked.clear()
        return made
