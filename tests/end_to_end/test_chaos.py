"""A storm over the deployed stack, bounded and out of a seed; and after it every payment has exactly the papers it should have.

QUITTANCE_CHAOS_SEED and QUITTANCE_CHAOS_PAYMENTS ask for another storm, or a bigger one. What happened is in `build/chaos.json`.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest
from typer.testing import CliRunner

from tests.end_to_end.chaos import EXPECTED, Chaos, short_visibility, wait_until_calm
from tests.end_to_end.conftest import ON_THE_STACK, PATIENCE_S, Consumers, Stack
from tests.end_to_end.snapshot import check_books, world_of
from tests.end_to_end.traffic import Traffic, Webhook, traffic
from tests.simulation.checks import check_end
from tests.simulation.history import Violation
from tools.cli import app
from tools.local_stack.sam import ROOT
from tools.reconciliation import unfinished
from tools.target import LOCAL_DESCRIPTION
from tools.traffic import dead_letters, on_the_way

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = ON_THE_STACK

SEED = int(os.environ.get("QUITTANCE_CHAOS_SEED", "1"))
PAYMENTS = int(os.environ.get("QUITTANCE_CHAOS_PAYMENTS", "32"))
STORM_S = max(25.0, PAYMENTS / 3)
END_S = 100 + 2 * STORM_S
"""How long after it began everything must be sent, and nothing left to do."""
_SENDERS = 4
_SENDER_WAITS_S = 0.5


@dataclass(slots=True)
class Senders:
    """Send every webhook when it is due, again and again until it is accepted: as their providers do."""

    stack: Stack
    over: threading.Event
    answers: Counter[str] = field(default_factory=Counter)

    def send(self, sent: Traffic, seconds: float) -> bool:
        """Whether all of it was accepted before it was over."""
        started = time.monotonic()
        with ThreadPoolExecutor(_SENDERS) as pool:
            return all(pool.map(lambda one: self._send(one, started + one.due * seconds), sent.webhooks))

    def _send(self, webhook: Webhook, due: float) -> bool:
        self.over.wait(max(0.0, due - time.monotonic()))
        while not self.over.is_set():
            answer = self._answer(webhook)
            self.answers[answer] += 1
            if answer.startswith("2"):
                return True
            self.over.wait(_SENDER_WAITS_S)
        return False

    def _answer(self, webhook: Webhook) -> str:
        sign = {"platform": self.stack.signed_by_standard_webhooks, "stripe": self.stack.signed_by_stripe}[webhook.provider]
        try:
            return str(self.stack.post(webhook.provider, webhook.body, sign(webhook.body)).status_code)
        except httpx.TransportError as error:
            return type(error).__name__


def test_a_message_that_waits_for_long_is_called_back(stack: Stack, new_id: Callable[[str], str]) -> None:
    """Or a storm might not end in time."""
    payment = new_id("pay")
    with Consumers(stack) as consumers:
        consumers.stop("payment_succeeded")
        assert stack.payment(payment).is_success
        queue = stack.target.queues["payment_succeeded"].url
        assert stack.target.client("sqs").receive_message(QueueUrl=queue, VisibilityTimeout=600)["Messages"]
    wait_until_calm(stack, PATIENCE_S)
    assert stack.held(payment) == {"invoice 50.00": 1}


@pytest.mark.timeout(END_S + 180)  # with the start of the stack, and reconciliation
def test_no_storm_changes_what_is_issued(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = traffic(SEED, PAYMENTS)
    stack.wait_until_done()
    chaos, over = Chaos(stack, SEED, STORM_S), threading.Event()
    senders = Senders(stack, over)
    alarm = threading.Timer(END_S, over.set)
    alarm.start()
    started = time.monotonic()
    with short_visibility(stack), ThreadPoolExecutor(1) as driver:
        storm = driver.submit(chaos.run, over)
        storm.add_done_callback(lambda done: over.set() if done.exception() else None)
        try:
            all_sent = senders.send(sent, STORM_S)
            storm.result()
        finally:
            alarm.cancel()
            over.set()
            chaos.heal()
        assert all_sent, f"not everything was accepted: {dict(senders.answers)}"
        wait_until_calm(stack, started + END_S - time.monotonic())
    _report(chaos, senders, sent, time.monotonic() - started)
    _assert_it_happened(chaos, senders)
    _assert_right(stack, sent)
    _assert_reconciled(stack, tmp_path, monkeypatch)


def _report(chaos: Chaos, senders: Senders, sent: Traffic, seconds: float) -> None:
    """For whoever repeats it: shown when the test fails, and kept in any case."""
    facts = Counter(str(fact.type) for delivery in sent.history().deliveries for fact in delivery.facts)
    report = {
        "seed": SEED,
        "payments": PAYMENTS,
        "seconds": round(seconds),
        "webhooks": len(sent.webhooks),
        "facts": dict(facts),
        "answers": dict(senders.answers),
        "happened": dict(chaos.happened),
    }
    text = json.dumps(report, indent=2)
    print(f"QUITTANCE_CHAOS_SEED={SEED} QUITTANCE_CHAOS_PAYMENTS={PAYMENTS}\n{text}")  # noqa: T201 - for a person
    (ROOT / "build" / "chaos.json").write_text(text + "\n")


def _assert_it_happened(chaos: Chaos, senders: Senders) -> None:
    """A storm that did not take place proves nothing."""
    assert [name for name in EXPECTED if chaos.happened[name] < 1] == [], f"never happened; seed {SEED}"
    assert sum(senders.answers.values()) > senders.answers["200"], "no sender had to come again"


def _assert_right(stack: Stack, sent: Traffic) -> None:
    assert on_the_way(stack.target) == {}
    assert dead_letters(stack.target) == {}
    assert not [case.id for case in stack.target.ledger.cases() if case.lease_owner]
    world = world_of(stack, sent.history(), {name for one in sent.customers for name in (one.id, one.account)})
    try:
        check_books(world.api.books.values())
        check_end(world)
    except Violation as violation:
        pytest.fail(f"seed {SEED}: {violation}\n{world.history}", pytrace=False)


def _assert_reconciled(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the product's own command, before and after a repair, which finds nothing to do."""
    monkeypatch.chdir(tmp_path)
    stack.local.write_local_json(tmp_path / LOCAL_DESCRIPTION.parent)
    assert unfinished(stack.target.ledger) == []
    outputs = []
    for arguments in (["reconcile", "--json", "--repair"], ["reconcile", "--json"]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        outputs.append([line for line in result.stdout.splitlines() if line.startswith("{")])
        stack.wait_until_done()
    assert outputs[0] == outputs[1]
    assert all(json.loads(line)["agrees"] for line in outputs[0])
