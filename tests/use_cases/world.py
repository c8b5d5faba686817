"""The real use cases over an in-memory table and the sandbox's model: no sockets, no wall clock."""

from __future__ import annotations

from collections import Counter, deque
from datetime import UTC, datetime
from typing import Any

from quittance.converge import Converger
from quittance.facts import Fact, FactType
from quittance.ledger import Ledger
from quittance.registration import CustomerDirectory, Registrar
from quittance.space_invoices import SpaceInvoices
from tests.fakes.memory_table import MemoryTable
from tools.sandbox.model import Sandbox
from tools.sandbox.settings import Settings
from tools.sandbox.transport import mounted

NOON = int(datetime(2026, 11, 20, 12, 0, tzinfo=UTC).timestamp())


class World:
    """One stage with one business customer, bc_1, that owns acct_1 at stripe; `register` makes it known."""

    def __init__(self, **settings: Any) -> None:
        self.seconds = NOON + 7200
        self.table = MemoryTable()
        self.sandbox = Sandbox(
            clock=lambda: datetime.fromtimestamp(self.seconds, UTC), settings=Settings(rate_limits=None, **settings)
        )
        self.api = SpaceInvoices("http://sandbox", lambda: "sk_sandbox_test", transport=mounted(self.sandbox))
        self.counts: Counter[str] = Counter()
        self.revisits: deque[tuple[str, str, str, str]] = deque()
        self.look_up_before = ""
        self.registrar = self._registrar()

    def _registrar(self) -> Registrar:
        return Registrar(
            ledger=Ledger(self.table),
            api=self.api,
            stage="test",
            now=lambda: self.seconds,
            revisit_later=self._revisit_later,
            count=self._count,
        )

    def lose_ledger(self) -> None:
        """What the ledger knew is gone, what the invoicing API holds is not, and the operator has said so."""
        self.table = MemoryTable()
        self.registrar = self._registrar()
        self.look_up_before = datetime.fromtimestamp(self.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _revisit_later(self, provider: str, account: str, payment_id: str, reason: str) -> None:
        self.revisits.append((provider, account, payment_id, reason))

    def _count(self, metric: str, *, provider: str, event_type: str) -> None:
        self.counts.update([metric, f"{metric} {provider} {event_type}"])

    def converger(self) -> Converger:
        """A worker with nothing in memory, as after a cold start."""
        ledger = Ledger(self.table)
        return Converger(
            ledger=ledger,
            customers=CustomerDirectory(ledger, lambda: self.seconds),
            api=self.api,
            stage="test",
            now=lambda: self.seconds,
            count=self._count,
            look_up_before=self.look_up_before,
        )

    def register(self, customer_id: str = "bc_1", **profile: Any) -> None:
        registration = {"name": "Acme", "country": "DE", "timezone": "Europe/Berlin"} | profile
        registration.setdefault("accounts", [{"provider": "stripe", "account": "acct_1"}])
        self.registrar.take(
            Fact(
                type=FactType.BUSINESS_CUSTOMER_CREATED,
                provider="platform",
                account=customer_id,
                key=customer_id,
                occurred_at="2026-11-20T09:00:00Z",
                registration=registration,
            ),
            f"evt_{customer_id}",
        )

    def update(self, at: str, customer_id: str = "bc_1", **said: Any) -> None:
        """The platform tells at an RFC 3339 instant what has changed of a customer."""
        changed: dict[str, Any] = {"provider": "platform", "account": customer_id, "key": customer_id, "occurred_at": at}
        registration = {"name": "Acme", "country": "DE"} | said
        updated = Fact(type=FactType.BUSINESS_CUSTOMER_UPDATED, registration=registration, **changed)
        self.registrar.take(updated, f"evt_{customer_id}_{at}")

    def take(self, *facts: Fact) -> None:
        for fact in facts:
            self.converger().take(fact, f"evt_{fact.identity}")

    def drain_revisits(self) -> None:
        while self.revisits:
            provider, account, payment_id, _ = self.revisits.popleft()
            self.converger().revisit(provider, account, payment_id)

    def held(self, collection: str, entity_id: str | None = None) -> list[dict[str, Any]]:
        """What the invoicing API holds of a collection, oldest first."""
        entity_id = entity_id or next(iter(self.api.pages("entities", entity_id=None)))["id"]
        return list(self.api.pages(collection, entity_id=entity_id))

    def totals(self) -> dict[str, list[str]]:
        return {name: [str(one["total_with_tax"]) for one in self.held(name)] for name in ("invoices", "credit-notes")}

    def requests(self, operation: str) -> int:
        return sum(1 for seen in self.sandbox.seen if seen.operation == operation)
