"""After a restore the functions look up what their stack says may have been forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.runtime import composition
from tests.unit.stories import succeeded
from tests.use_cases.world import World

if TYPE_CHECKING:
    import pytest


def _invoices_after_a_loss(monkeypatch: pytest.MonkeyPatch) -> int:
    world = World(idempotency_headers=())
    world.register()
    world.take(succeeded())
    world.lose_ledger()
    world.register()
    monkeypatch.setenv("STAGE", "test")
    monkeypatch.setattr(composition, "table", lambda: world.table)
    monkeypatch.setattr(composition, "space_invoices", lambda: world.api)
    composition.converger().take(succeeded(), "evt_again")
    return len(world.held("invoices"))


def test_what_is_older_than_the_stack_says_is_found_and_not_issued_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOK_UP_PAYMENTS_BEFORE", "2026-12-01T00:00:00Z")
    assert _invoices_after_a_loss(monkeypatch) == 1


def test_without_the_parameter_nothing_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOK_UP_PAYMENTS_BEFORE", raising=False)
    assert _invoices_after_a_loss(monkeypatch) == 2
