"""A payment that was documented by the real use cases, with its changes on the stream."""

from __future__ import annotations

from typing import Any

from quittance.facts import Fact, FactType, Payer
from quittance.money import Money
from tests.evidence.journal_world import JournalWorld
from tests.use_cases.world import World


def paid(payment_id: str = "pay_1", **said: Any) -> Fact:
    payer = Payer(name="Ada Lovelace", email="ada@example.com", country="DE", line1="Lane 1", city="Ulm", tax_number="DE1")
    usual: dict[str, Any] = {
        "type": FactType.PAYMENT_SUCCEEDED,
        "provider": "stripe",
        "account": "acct_1",
        "key": payment_id,
        "payment_id": payment_id,
        "occurred_at": "2026-11-20T10:00:00Z",
        "amount": Money(12345, "EUR"),
        "payer": payer,
        "description": "Advice to Ada",
    }
    return Fact(**usual | said)


def refunded(amount: int = 1000) -> Fact:
    return paid(
        type=FactType.REFUND_SUCCEEDED, key="re_1", occurred_at="2026-11-20T11:00:00Z", amount=Money(amount, "EUR"), payer=None
    )


def played_payment() -> tuple[World, JournalWorld]:
    journal = JournalWorld()
    world = World()
    world.table = journal.ledger
    world.registrar._ledger.table = journal.ledger
    world.registrar._table = journal.ledger
    world.register()
    world.take(paid())
    return world, journal
