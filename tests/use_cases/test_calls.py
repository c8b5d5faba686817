"""What was asked of the invoicing API for a document, and what came of it, stands in the ledger with the document."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from quittance.errors import QuittanceError
from quittance.facts import Payer
from quittance.ledger import MAX_CALLS, Ledger
from tests.unit.stories import refund, succeeded
from tests.use_cases.world import World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quittance.ledger import DocumentEntry
    from quittance.storage import Write

INVOICE = "invoice:payment:pay_1"


@pytest.fixture
def world() -> World:
    world = World()
    world.register()
    return world


def fail(world: World, **fault: Any) -> None:
    world.sandbox.faults.add_json({"match": {"method": "POST"}} | fault)


def take(world: World) -> None:
    with suppress(QuittanceError):
        world.take(succeeded(10000, payer=Payer(name="Wilhelmina Murray", email="mina@example.com")))


def entry(world: World, key: str = INVOICE) -> DocumentEntry:
    return Ledger(world.table).open("stripe", "acct_1", ["pay_1"], join=False).documents[key]


def calls(world: World, key: str = INVOICE) -> list[tuple[int, str, int | None, str]]:
    return [(one["attempt"], one["call"], one["status"], one["outcome"]) for one in entry(world, key).calls]


def commits_of(world: World) -> list[Sequence[Write]]:
    commits: list[Sequence[Write]] = []
    world.table.after_commit = commits.append
    return commits


def test_one_call_that_did_it(world: World) -> None:
    commits = commits_of(world)
    take(world)
    assert calls(world) == [(1, "POST /invoices", 201, "ok")]
    assert entry(world).calls[0]["at"] == world.seconds
    assert len(commits) == 2  # the intent and the result, as ever


def test_a_lost_answer_is_found_by_a_look_up(world: World) -> None:
    fail(world, kind="lose_response_after_commit")
    commits = commits_of(world)
    take(world)
    assert len(commits) == 2  # the intent, and giving the lease back
    world.seconds += 60
    take(world)
    assert calls(world) == [(1, "POST /invoices", None, "api_no_answer"), (2, "GET /invoices", 200, "found")]
    assert entry(world).record.number


def test_what_was_refused_for_now_is_told_with_its_reason(world: World) -> None:
    fail(world, kind="status", status=429)
    take(world)
    assert entry(world).sent is False
    take(world)
    assert calls(world) == [(1, "POST /invoices", 429, "api_rate_limited"), (2, "POST /invoices", 201, "ok")]


def test_an_unknown_outcome_stays_unknown_until_it_is_looked_up(world: World) -> None:
    fail(world, kind="status", status=503)
    take(world)
    assert entry(world).sent is True
    assert calls(world) == [(1, "POST /invoices", 503, "api_server_error")]


def test_a_refusal_is_the_outcome_of_its_call(world: World) -> None:
    fail(world, kind="status", status=422)
    take(world)
    assert calls(world) == [(1, "POST /invoices", 422, "api_refused")]


def test_each_document_has_its_own_calls(world: World) -> None:
    take(world)
    world.take(refund("re_1", 2500))
    assert calls(world, "credit_note:refund:re_1") == [(1, "POST /credit-notes", 201, "ok")]
    assert calls(world) == [(1, "POST /invoices", 201, "ok")]


def test_only_the_last_calls_are_kept(world: World) -> None:
    for _ in range(MAX_CALLS + 5):
        fail(world, kind="status", status=429)
        take(world)
    kept = [one["attempt"] for one in entry(world).calls]
    assert kept == list(range(6, MAX_CALLS + 6))
    take(world)
    assert calls(world)[-1] == (MAX_CALLS + 6, "POST /invoices", 201, "ok")


def test_calls_hold_nothing_personal_and_no_ids(world: World) -> None:
    fail(world, kind="lose_response_after_commit")
    take(world)
    take(world)
    told = str(entry(world).calls)
    assert "Murray" not in told
    assert "mina" not in told
    assert "pay_1" not in told
