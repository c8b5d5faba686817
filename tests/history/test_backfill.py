"""Backfill as a whole: what is rehearsed is what is issued, and what was killed goes on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from quittance.errors import InDoubt, Retry
from quittance.facts import Fact, FactType, Item, Payer, PayoutLine
from quittance.money import Money
from quittance.storage import Put
from tests.history.stack import Stack, indexed, written
from tests.unit.stories import fact, refund, renewal, succeeded
from tools.backfill.delivery import STALLED_S, StalledError, Throttle
from tools.backfill.rehearsal import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tools.backfill.index import Index
    from tools.backfill.rehearsal import Judgement
    from tools.backfill.totals import Totals

SEEDS = range(12)
TAXED = {"tax": {"domestic": {"standard": "22", "reduced": "9.5"}}}
POLICIES: tuple[dict[str, Any], ...] = (
    {},
    TAXED,
    TAXED | {"prices": "exclusive"},
    {"dispute_credit_on": "opened"},
    {"issue_on": "settled"},
    {"invoices": "both"},
    {"invoices": "both", "fee_invoices": "monthly"},
    {"issue_as": "draft", "finalize_on": "settled"},
    {"issue_on": "authorized"},
)


def registered(customer: str, **profile: Any) -> Fact:
    if profile.get("policy") is not None:
        profile["policy"] = profile["policy"] | {"effective_from": "2025-01-01T00:00:00Z"}
    return Fact(
        type=FactType.BUSINESS_CUSTOMER_CREATED,
        provider="platform",
        account=customer,
        key=customer,
        occurred_at="2025-12-01T09:00:00Z",
        registration={"name": "Acme", "country": "DE", "timezone": "Europe/Berlin"} | profile,
    )


class History:
    """A random past of several business customers."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - a game of chance, repeatable
        self.customers = [f"bc_{number}" for number in range(self.random.randint(1, 3))]
        self.day = 0

    def facts(self) -> list[Fact]:
        told = [*self._registrations()]
        for number in range(self.random.randint(3, 9)):
            told += self._payment(f"pay_{number}", self.random.choice(self.customers))
        told += [self._payout(customer, told) for customer in self.customers if self.random.random() < 0.6]
        self.random.shuffle(told)
        repeated = [one for one in told if self.random.random() < 0.1]
        again = [
            replace(one, occurred_at="2026-11-20T11:00:00Z") for one in told if one.payment_id and self.random.random() < 0.1
        ]
        return told + repeated + again

    def _registrations(self) -> Iterator[Fact]:
        yield registered("bc_platform", role="platform")
        for customer in self.customers:
            policy = self.random.choice(POLICIES)
            yield registered(customer, policy=policy, accounts=[{"provider": "stripe", "account": f"acct_{customer}"}])

    def _at(self) -> str:
        """Always later than before."""
        self.day += self.random.randint(0, 2)
        return f"2026-{1 + self.day // 28 % 11:02}-{1 + self.day % 28:02}T{self.day // 308 + 10:02}:00:00Z"

    def _payment(self, name: str, customer: str) -> list[Fact]:
        own: dict[str, Any] = {"account": f"acct_{customer}", "payment_id": name, "currency": self.random.choice(["EUR", "JPY"])}
        amount = self.random.randint(100, 90000)
        paid = own | {"also_known_as": (f"ch_{name}",), "payer": Payer(name="Ada", country="DE")}
        if self.random.random() < 0.5:
            tax_class = self.random.choice(["", "reduced"])
            half = Item(name="A", quantity=1, amount=amount // 2)
            paid["items"] = (half, Item(name="B", quantity=2, amount=amount - half.amount, tax_class=tax_class))
        if self.random.random() < 0.5:
            paid["fee"] = Money(amount // 50, own["currency"])
        before = [fact("payment.authorized", name, amount, occurred_at=self._at(), **paid)] if self.random.random() < 0.2 else []
        paid_at_all = [succeeded(amount, occurred_at=self._at(), **paid)]
        after = self._aftermath(name, amount, own)
        return [*before, *after] if self.random.random() < 0.1 else [*before, *paid_at_all, *after]

    def _aftermath(self, name: str, amount: int, own: dict[str, Any]) -> list[Fact]:
        """What happens to a payment afterwards, which may not be in the history itself."""
        part = self.random.randint(1, amount)
        told: list[tuple[str, str, int]] = self.random.choice(
            [
                [],
                [],
                [("payment.failed", name, amount)],
                [("refund.succeeded", f"re_{name}", part)],
                [("refund.succeeded", f"re_{name}", amount), ("refund.failed", f"re_{name}", amount)],
                [("refund.succeeded", f"re1_{name}", part), ("refund.succeeded", f"re2_{name}", amount)],
                [("dispute.opened", f"dp_{name}", amount), ("dispute.lost", f"dp_{name}", amount)],
                [
                    ("dispute.opened", f"dp_{name}", part),
                    ("dispute.lost", f"dp_{name}", part),
                    ("dispute.won", f"dp_{name}", part),
                ],
            ]
        )
        return [fact(kind, key, value, occurred_at=self._at(), **own) for kind, key, value in told]

    def _payout(self, customer: str, told: list[Fact]) -> Fact:
        paid = [f for f in told if f.type is FactType.PAYMENT_SUCCEEDED and f.account == f"acct_{customer}" and f.amount]
        in_euros = [f for f in paid if f.amount and f.amount.currency == "EUR"]
        lines = tuple(
            PayoutLine(payment_id=f.key, gross=f.amount.value, fee=f.fee.value if f.fee else 0, net=0)
            for f in in_euros
            if f.amount
        )
        return Fact(
            type=FactType.PAYOUT_PAID,
            provider="stripe",
            account=f"acct_{customer}",
            key=f"po_{customer}",
            occurred_at="2026-11-20T00:00:00Z",
            amount=Money(1, "EUR"),
            payout_lines=lines,
        )


def held(stack: Stack) -> dict[tuple[str, str, str], tuple[int, str, str]]:
    """Business customer, currency, collection -> documents, their total, and that without tax, as the API has them."""
    sums: dict[tuple[str, str, str], list[Any]] = {}
    for entity in stack.api.pages("entities", entity_id=None):
        for collection in ("invoices", "credit-notes"):
            for document in stack.held(collection, entity["id"]):
                key = (entity["metadata"]["business_customer"], document["currency_code"], collection)
                one = sums.setdefault(key, [0, 0, 0])
                one[0] += 1
                one[1] += document["total_with_tax"]
                one[2] += document["total"]
    return {key: (count, f"{total:.2f}", f"{net:.2f}") for key, (count, total, net) in sums.items()}


def foretold(totals: Totals, judged: list[Judgement]) -> dict[tuple[str, str, str], tuple[int, str, str]]:
    sums: dict[tuple[str, str, str], list[int]] = {}
    for place, kinds in totals.sums.items():
        for name, entry in kinds.items():
            one = sums.setdefault((place.business_customer, place.currency, name.replace("_", "-")), [0, 0])
            one[0] += entry.net + entry.tax
            one[1] += entry.net
    counts: dict[tuple[str, str, str], int] = {}
    names = {"invoice": "invoices", "credit_note": "credit-notes"}
    for made in (made for judgement in judged for made in judgement.made):
        if made.document.kind in names:
            key = (made.business_customer, made.document.amount.currency, names[made.document.kind])
            counts[key] = counts.get(key, 0) + 1
    return {key: (counts[key], f"{gross / 100:.2f}", f"{net / 100:.2f}") for key, (gross, net) in sums.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_rehearsed_is_what_is_issued(seed: int, tmp_path: Path) -> None:
    stack = Stack(seed)
    index = indexed(written(tmp_path / "a.jsonl", History(seed).facts()))
    judged: list[Judgement] = []
    totals = stack.rehearsed(index, judged.append)
    assert not stack.table.items(), "a rehearsal writes nothing"
    assert not stack.sandbox.seen or {seen.method for seen in stack.sandbox.seen} == {"GET"}
    stack.apply(index)
    stack.work()
    assert held(stack) == foretold(totals, judged)
    again = stack.rehearsed(index)
    assert (again.needed, again.made) == (0, {})
    sent = len(stack.sent)
    stack.apply(index, stack.delivery("run_2"))
    assert len(stack.sent) == sent, "a second run is empty"


# --- killed, and taken up again ------------------------------------------------------------------------------------------


class KilledError(Exception):
    """The process ended."""


def story(*, customers: int = 1) -> list[Fact]:
    """A registration, a plain payment, one that was refunded, one whose refund failed, and a payout, of each customer."""
    told = [registered("bc_platform", role="platform")]
    for number in range(customers):
        account = f"acct_{number}"
        told += [
            registered(f"bc_{number}", policy=TAXED, accounts=[{"provider": "stripe", "account": account}]),
            succeeded(10000, payment_id="pay_1", account=account),
            succeeded(20000, payment_id="pay_2", account=account, also_known_as=("ch_2",)),
            refund("re_2", 5000, payment_id="pay_2", account=account),
            succeeded(30000, payment_id="pay_3", account=account),
            refund("re_3", 30000, payment_id="pay_3", account=account),
            fact("refund.failed", "re_3", 30000, payment_id="pay_3", account=account, minute=30),
            payout("po_1", account, pay_1=10000, pay_2=20000),
        ]
    return told


def payout(key: str, account: str, **gross: int) -> Fact:
    lines = tuple(PayoutLine(payment_id=name, gross=value, fee=0, net=value) for name, value in gross.items())
    details: dict[str, Any] = {"payment_id": None, "account": account, "payout_lines": lines, "minute": 50}
    return fact("payout.paid", key, sum(gross.values()), **details)


def test_a_run_that_is_killed_at_any_message_goes_on_where_it_was(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", story())
    whole = Stack()
    whole.apply(indexed(path))
    assert len(whole.sent) == 11, "nine reports, and what the payout settles"
    for deaths in range(1, len(whole.sent) + 2):
        for before in (True, False):
            stack, index = Stack(deaths), indexed(path)
            position = killed(stack, index, deaths, before=before)
            resumed = stack.delivery()
            resumed.progress.position = resumed.progress.judged = position
            stack.apply(index, resumed)
            stack.work()
            assert held(stack) == held(whole), (deaths, before)
            assert stack.rehearsed(index).needed == 0


def killed(stack: Stack, index: Index, at: int, *, before: bool) -> int:
    """Apply until the process dies, before or after message number `at` is sent. Returns the position that was kept."""
    delivery = stack.delivery()
    calls = 0

    def send(messages: Any) -> None:
        nonlocal calls
        for message in messages:
            calls += 1
            if calls == at and before:
                raise KilledError
            stack.send([message])
            if calls == at:
                raise KilledError

    delivery.send = send
    kept = [0]
    delivery.on_progress = lambda progress: kept.append(progress.position)
    with suppress(KilledError):
        stack.apply(index, delivery)
    return kept[-1]


def test_a_kept_position_is_never_ahead_of_the_ledger(tmp_path: Path) -> None:
    stack, index = Stack(3), indexed(written(tmp_path / "a.jsonl", story(customers=3)))
    stories = {story.position: story for story in index.told()}
    delivery = stack.delivery()

    def check(progress: Any) -> None:
        for position in range(1, progress.position + 1):
            assert not stack.rehearsal().judge(stories[position]).has_work

    delivery.on_progress = check
    stack.apply(index, delivery)
    assert delivery.progress.position == len(stories)


# --- one payment ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def stack() -> Stack:
    stack = Stack()
    stack.register()
    return stack


def judged(stack: Stack, tmp_path: Path, *facts: Fact) -> list[Judgement]:
    found: list[Judgement] = []
    stack.rehearsed(indexed(written(tmp_path / "one.jsonl", facts)), found.append)
    return found


@pytest.mark.parametrize(
    ("known", "told", "outcome"),
    [
        ([], [succeeded()], Outcome.WOULD_CREATE),
        ([succeeded()], [succeeded(), refund("re_1", 100)], Outcome.WOULD_CREDIT),
        ([succeeded()], [succeeded()], Outcome.ALREADY_RIGHT),
        ([succeeded()], [succeeded(9900)], Outcome.CONFLICT),
        ([succeeded()], [succeeded(method="card")], Outcome.WOULD_RECORD),
        ([succeeded()], [fact("payment.failed", "pay_1", 10000, minute=40)], Outcome.WOULD_RECORD),
        ([], [refund("re_1", 100)], Outcome.WAITING),
        ([], [succeeded(account="acct_of_nobody")], Outcome.WAITING),
        ([], [fact("payment.authorized", "pay_1", 100)], Outcome.WOULD_RECORD),
        ([renewal()], [succeeded(invoice_id="in_1", awaits_renewal=True)], Outcome.WOULD_RECORD),
    ],
)
def test_what_a_history_means_for_a_payment(
    stack: Stack, tmp_path: Path, known: list[Fact], told: list[Fact], outcome: Outcome
) -> None:
    stack.take(*known)
    before = stack.table.items()
    (found,) = judged(stack, tmp_path, *told)
    assert found.outcome is outcome
    assert stack.table.items() == before


def test_two_ids_that_one_report_joins_are_one_payment(stack: Stack, tmp_path: Path) -> None:
    stack.take(refund("re_1", 100, payment_id="ch_1"))
    (found,) = judged(stack, tmp_path, succeeded(also_known_as=("ch_1",)))
    assert {one.document.kind for one in found.made} == {"invoice", "credit_note"}


def test_a_conflict_becomes_a_finding_once(stack: Stack, tmp_path: Path) -> None:
    stack.take(succeeded())
    index = indexed(written(tmp_path / "a.jsonl", [succeeded(9900)]))
    for run in ("run_1", "run_2"):
        stack.apply(index, stack.delivery(run))
    assert len(stack.sent) == 1
    (finding,) = [item for item in stack.table.items() if item["sk"].startswith("FINDING#conflict")]
    assert finding["fields"] == ["amount"]
    assert stack.totals()["invoices"] == ["100"]
    assert stack.rehearsed(index).payments == {Outcome.CONFLICT: 1}


def test_a_document_that_the_ledger_owes_is_asked_for_again(stack: Stack, tmp_path: Path) -> None:
    """The fact was recorded and its run died before the intent; no message will come for it any more."""
    stack.sandbox.faults.add_json({"kind": "reset_before", "match": {"method": "POST", "path_prefix": "/invoices"}})
    with suppress(InDoubt):
        stack.take(succeeded())
    index = indexed(written(tmp_path / "a.jsonl", [succeeded()]))
    stack.seconds += 60
    delivery = stack.delivery()
    delivery.rehearsal = stack.rehearsal()
    (found,) = judged(stack, tmp_path, succeeded())
    assert found.is_in_use
    stack.converger().revisit("stripe", "acct_1", "pay_1")
    stack.apply(index, delivery)
    assert stack.totals()["invoices"] == ["100"]
    assert not stack.sent


def test_a_policy_that_came_late_is_what_a_replay_acts_on(stack: Stack, tmp_path: Path) -> None:
    """A payment that waited for a rate is woken by its registration; if that message was lost, a replay finds it."""
    stack.register("bc_2", policy=TAXED, accounts=[{"provider": "stripe", "account": "acct_2"}])
    paid = succeeded(account="acct_2", items=(Item(name="A", quantity=1, amount=10000, tax_class="books"),))
    stack.take(paid)
    (found,) = judged(stack, tmp_path, paid)
    assert found.outcome is Outcome.WAITING
    policy = {"tax": {"domestic": {"standard": "22", "books": "5"}}, "effective_from": "2026-11-20T10:00:00Z"}
    late = replace(registered("bc_2"), type=FactType.BUSINESS_CUSTOMER_UPDATED, occurred_at="2026-11-20T10:00:00Z")
    stack.registrar.take(replace(late, registration={"name": "Acme", "country": "DE", "policy": policy}), "evt_late")
    stack.revisits.clear()
    index = indexed(written(tmp_path / "a.jsonl", [paid]))
    stack.apply(index)
    assert [message.function for message in stack.sent] == ["payment_revisited"]
    assert stack.rehearsed(index).payments == {Outcome.ALREADY_RIGHT: 1}


# --- pace ----------------------------------------------------------------------------------------------------------------


def many(count: int) -> list[Fact]:
    return [succeeded(1000 + number, payment_id=f"pay_{number}") for number in range(count)]


def test_live_traffic_never_waits_behind_more_than_a_few_messages(stack: Stack, tmp_path: Path) -> None:
    stack.apply(indexed(written(tmp_path / "a.jsonl", many(60))), stack.delivery(in_flight=4))
    assert stack.most_queued <= 4
    assert len(stack.held("invoices")) == 60


def test_no_more_messages_are_sent_than_the_pace_allows(stack: Stack, tmp_path: Path) -> None:
    began = stack.monotonic()
    stack.apply(indexed(written(tmp_path / "a.jsonl", many(30))), stack.delivery(per_minute=60, in_flight=20))
    assert stack.monotonic() - began >= 29


def test_a_pace_is_even_and_saves_nothing_up() -> None:
    pace = Throttle(60)
    assert [pace.may_send(second) for second in (0, 0, 1, 1, 100, 100)] == [True, False, True, False, True, False]


def test_a_pipeline_that_takes_nothing_in_ends_the_run(stack: Stack, tmp_path: Path) -> None:
    stack.is_down = True
    index = indexed(written(tmp_path / "a.jsonl", many(3)))
    delivery = stack.delivery()
    with pytest.raises(StalledError, match="nothing was taken in for 15 minutes"):
        stack.apply(index, delivery)
    assert STALLED_S <= stack.monotonic() < STALLED_S + 60
    stack.is_down = False
    stack.apply(index, stack.delivery())
    assert len(stack.held("invoices")) == 3


def test_messages_that_may_not_have_arrived_are_sent_again(stack: Stack, tmp_path: Path) -> None:
    delivery = stack.delivery()
    failures = [Retry("queue_unavailable")] * 3

    def send(messages: Any) -> None:
        if failures:
            raise failures.pop()
        stack.send(messages)

    delivery.send = send
    stack.apply(indexed(written(tmp_path / "a.jsonl", many(2))), delivery)
    assert len(stack.held("invoices")) == 2


def test_what_another_run_sent_moments_ago_hides_nothing(stack: Stack, tmp_path: Path) -> None:
    """The ledger was set back after the first run: the second sends the same facts within SQS's five minutes."""
    index = indexed(written(tmp_path / "a.jsonl", many(1)))
    items = stack.table.items()
    stack.apply(index)
    restored = Stack()
    restored.table.commit([Put(item) for item in items])
    restored.sandbox, restored.api, restored._seen = stack.sandbox, stack.api, stack._seen
    restored.apply(index, restored.delivery("run_2"))
    assert restored.rehearsed(index).needed == 0


def test_a_payout_is_sent_when_all_payments_are_done(stack: Stack, tmp_path: Path) -> None:
    """Else what it settles might be taken in before what it settles is known, which is not what was rehearsed."""
    facts = [*many(5), payout("po_1", "acct_1", pay_0=1000)]
    stack.apply(indexed(written(tmp_path / "a.jsonl", facts)))
    assert [message.function for message in stack.sent] == ["payment_succeeded"] * 5 + ["payout_settled", "payment_revisited"]
    stack.is_down = True
    waiting = stack.delivery("run_2")
    with pytest.raises(StalledError):
        stack.apply(
            indexed(written(tmp_path / "b.jsonl", [succeeded(payment_id="pay_9"), payout("po_2", "acct_1", pay_9=1)])), waiting
        )
    assert stack.sent[-1].function == "payment_succeeded"
