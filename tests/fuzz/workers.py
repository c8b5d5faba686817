"""What becomes of an accepted message: the real ledger, plan and mapping take it, alone, as the first of its payment.

The invoicing API says yes to everything and the table refuses what DynamoDB would, so whatever is raised here is raised by
content that the door should not have let through.
"""

from __future__ import annotations

import json
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from quittance.converge import Converger
from quittance.customers import BusinessCustomer
from quittance.errors import Park
from quittance.facts import REGISTRATION_TYPES, Fact, FactType
from quittance.ledger import CaseFile, Ledger
from quittance.money import Money
from quittance.registration import Registrar, read_customer
from quittance.runtime import composition
from quittance.runtime.queues import fact_message
from quittance.runtime.worker import Message
from quittance.settlements import settlements
from tests.fakes.memory_table import MemoryTable
from tests.fuzz.ingress import FUNCTIONS, NOW_S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from quittance.storage import Write

_PK_BYTES_MAX, _SK_BYTES_MAX = 2048, 1024
_DAY = "2026-11-20T10:00:00Z"
_CUSTOMERS: tuple[dict[str, Any], ...] = (
    {},
    {"timezone": "Pacific/Kiritimati", "policy": {"due_days": 365, "dispute_credit_on": "opened"}},
    {"timezone": "Pacific/Pago_Pago", "policy": {"dispute_credit_on": "never"}},
)
"""Where a day begins first and last, and what makes dates go furthest."""


class _Table(MemoryTable):
    """Refuses keys that are too long for DynamoDB too."""

    def commit(self, writes: Sequence[Write]) -> None:
        for write in writes:
            if len(write.pk.encode()) > _PK_BYTES_MAX or len(write.sk.encode()) > _SK_BYTES_MAX:
                raise Park("table_refused_item", "key too long")
        super().commit(writes)


class _Api:
    """Issues whatever it is asked for."""

    def exchanged(self) -> list[Any]:
        return []

    def create(self, _path: str, body: bytes, **_: Any) -> dict[str, Any]:
        asked: dict[str, Any] = json.loads(body)
        return asked | {"id": "doc_1", "number": "1", "total_with_tax": asked.get("expected_total_with_tax")}

    def get(self, path: str, **_: Any) -> dict[str, Any]:
        return {"id": path.rpartition("/")[2], "country_code": "DE", "timezone": "UTC", "metadata": {}}

    def patch(self, path: str, body: bytes, **_: Any) -> dict[str, Any]:
        changes: dict[str, Any] = json.loads(body)
        return self.get(path) | changes

    def delete(self, *_: Any, **__: Any) -> None:
        pass

    def find_by_metadata(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        return []

    def pages(self, *_: Any, **__: Any) -> list[dict[str, Any]]:
        return []


class Workers:
    """The functions behind the queues."""

    def __init__(self) -> None:
        self._table = _Table()
        forward = SimpleNamespace(commit=lambda writes: self._table.commit(writes))  # noqa: PLW0108 - the table of the moment
        with patch.object(composition, "table", lambda: forward):
            self._ignored = _loaded("event_ignored")
        self._customers = [self._register(_registration(profile), "evt_fuzz") for profile in _CUSTOMERS]

    def take(self, rng: Random, message: dict[str, Any], fact: Fact | None) -> None:
        """Do what the function of the message does. Raises whatever that raises."""
        self._table = _Table()
        event_id = message["event_id"]
        if fact is None:
            details = {"event_id": event_id, "event_type": message["event_type"], "received_at": message["received_at"]}
            self._ignored._keep(Message(fact=None, body=message, age_s=0, remaining_s=1, **details))
        elif fact.type in REGISTRATION_TYPES:
            self._converge(_SALE, event_id, self._register(fact, event_id))
        else:
            self._converge(fact, event_id, rng.choice(self._customers))
            for settled in settlements(fact):
                fact_message(settled, event_id, message["event_type"], _DAY)

    def _converge(self, fact: Fact, event_id: str, customer: BusinessCustomer) -> None:
        owners: Any = SimpleNamespace(owner_of=lambda _: customer, entries_of_waiting=lambda *_: (), forget=lambda: None)
        api: Any = _Api()
        ledger = Ledger(self._table)
        Converger(ledger=ledger, customers=owners, api=api, stage="fuzz", now=_now).take(fact, event_id)
        # What a contradiction would be kept as, and where it waits while nobody is registered.
        case = CaseFile(fact.provider, fact.account, fact.case_ids[0])
        case.add_fact(fact, event_id, NOW_S)
        case._store_finding("conflict", f"{fact.identity}:{event_id}", NOW_S, {"fields": [], "reported": fact.to_json()})
        Ledger(_Table()).park_until_registered(case)

    def _register(self, fact: Fact, event_id: str) -> BusinessCustomer:
        self._table = _Table()
        api: Any = _Api()
        ledger = Ledger(self._table)
        Registrar(ledger=ledger, api=api, stage="fuzz", now=_now, revisit_later=lambda *_: None).take(fact, event_id)
        # A registration may be incomplete, which is a finding; the payments of such a customer wait.
        waiting = BusinessCustomer(id=fact.key, entity_id="ent_fuzz", profile={"timezone": "Pacific/Kiritimati"})
        return read_customer(self._table, fact.key) or waiting


def _registration(profile: dict[str, Any]) -> Fact:
    registration = {"business_customer": "bc_fuzz", "name": "Harbour Books", "country": "DE"} | profile
    return Fact(
        type=FactType.BUSINESS_CUSTOMER_CREATED,
        provider="platform",
        account="bc_fuzz",
        key="bc_fuzz",
        occurred_at=_DAY,
        registration=registration,
    )


_SALE = Fact(
    type=FactType.PAYMENT_SUCCEEDED,
    provider="platform",
    account="bc_fuzz",
    key="pay_fuzz",
    payment_id="pay_fuzz",
    occurred_at=_DAY,
    amount=Money(100, "EUR"),
)
"""What a new customer's first payment may be."""


def _now() -> int:
    return NOW_S


def _loaded(name: str) -> ModuleType:
    path = FUNCTIONS / name / "app.py"
    module = ModuleType(f"functions.{name}")
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), vars(module))  # noqa: S102 - our own source
    return module
