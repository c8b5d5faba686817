"""Fees by the month: noted with their payment, invoiced once when the month is closed, credited when given back later."""

from __future__ import annotations

import tracemalloc
from functools import partial
from itertools import count, permutations
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from quittance.errors import Retry
from quittance.fee_closing import SETTLE_S, SUMMING_S, FeeClosing
from quittance.fee_months import CLOSED, MONTH, OPEN_MONTH, SHARDS, FeeMonth
from quittance.ledger import WAITING
from quittance.storage import Check, Put
from tests.fakes.memory_table import MemoryTable
from tests.use_cases.fee_world import MONTHLY, FeeWorld, charged, disputed, given_back, paid_out, payout
from tests.use_cases.onboarding import Killed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from quittance.facts import Fact
    from quittance.storage import Write

NOVEMBER = FeeMonth("2026-11", "bc_1", "EUR")
DECEMBER = FeeMonth("2026-12", "bc_1", "EUR")
IN_DECEMBER = "2026-12-10T12:00:00+00:00"
IN_JANUARY = "2027-01-10T12:00:00+00:00"
IN_FEBRUARY = "2027-02-10T12:00:00+00:00"


def invoiced(total: str, month: str = "2026-11-30") -> tuple[str, str, str, str]:
    return (month, "invoices", f"{total} EUR", f"{month[:7]}:EUR")


def credited(total: str, of: str = "2026-11", month: str = "2026-12-31") -> tuple[str, str, str, str]:
    return (month, "credit-notes", f"{total} EUR", f"{of}:EUR")


def _lines(invoice: dict[str, Any]) -> list[str]:
    return [f"{line['name']}: {line['gross_price']}" for line in invoice["items"]]


# --- what a month comes to


def test_the_payments_of_a_month_become_one_invoice_of_the_platform() -> None:
    world = FeeWorld()
    world.take(charged("pay_1"), charged("pay_2", at="2026-11-02T12:00:00Z"))
    assert world.papers() == []
    world.at(IN_DECEMBER)
    assert world.close_due() == [NOVEMBER]
    assert world.papers() == [invoiced("4.20")]
    (invoice,) = world.issued_by_platform("invoices")
    assert _lines(invoice) == ["2 x Transaction fee: 4.2"]
    assert (invoice["customer"]["name"], invoice["paid_in_full"]) == ("Acme", True)
    assert (invoice["date_service"][:10], invoice["date_service_to"][:10]) == ("2026-11-01", "2026-11-30")
    assert world.states() == {"2026-11": "invoiced"}


def test_a_month_is_the_business_customers_own() -> None:
    world = FeeWorld(timezone="Pacific/Auckland")
    world.take(charged(at="2026-11-30T12:00:00Z"))
    world.at(IN_DECEMBER)
    assert world.close_due() == []
    world.at(IN_JANUARY)
    assert world.close_due() == [DECEMBER]


def test_a_dispute_fee_is_a_line_of_its_own() -> None:
    world = FeeWorld()
    world.take(charged(), disputed("opened", 1500, "2026-11-21T12:00:00Z"), disputed("lost", 1500, "2026-11-25T12:00:00Z"))
    world.at(IN_DECEMBER)
    world.close_due()
    (invoice,) = world.issued_by_platform("invoices")
    assert _lines(invoice) == ["Transaction fee: 2.1", "Refund or dispute fee: 15"]


def test_a_dispute_fee_given_back_when_it_is_won_later_is_credited() -> None:
    world = FeeWorld()
    world.take(charged(), disputed("opened", 1500, "2026-11-21T12:00:00Z"))
    world.at(IN_DECEMBER)
    world.close_due()
    world.take(disputed("won", 1500, "2026-12-10T12:00:00Z"))
    world.at(IN_JANUARY)
    world.close_due()
    assert world.papers() == [invoiced("17.10"), credited("15.00")]


def test_each_currency_and_each_business_customer_has_its_own_invoice() -> None:
    world = FeeWorld()
    world.register("bc_2", accounts=[{"provider": "stripe", "account": "acct_2"}], policy=MONTHLY)
    world.take(charged("pay_1"), charged("pay_2", currency="USD"), charged("pay_1", 333, account="acct_2"))
    world.at(IN_DECEMBER)
    assert len(world.close_due()) == 3
    assert [total for _, _, total, _ in world.papers()] == ["2.10 EUR", "2.10 USD"]
    assert [total for _, _, total, _ in world.papers("bc_2")] == ["3.33 EUR"]


def test_an_unknown_outcome_is_not_mistaken_for_another_business_customers_invoice() -> None:
    world = FeeWorld()
    world.register("bc_2", accounts=[{"provider": "stripe", "account": "acct_2"}], policy=MONTHLY)
    world.take(charged("pay_1"), charged("pay_1", account="acct_2"))
    world.at(IN_DECEMBER)
    world.close(NOVEMBER)
    world.sandbox.faults.add_json({"kind": "reset_before", "match": {"method": "POST", "path_prefix": "/invoices"}})
    world.close_due()
    assert (len(world.papers()), len(world.papers("bc_2"))) == (1, 1)


def test_what_is_given_back_before_the_month_is_closed_lowers_its_invoice() -> None:
    world = FeeWorld()
    world.take(charged("pay_1"), charged("pay_2"), given_back("pay_1", 100))
    world.at("2026-12-02T12:00:00+00:00")
    world.take(given_back("pay_2", 50, "re_2", at="2026-12-02T11:00:00Z"))
    world.at(IN_DECEMBER)
    world.close_due()
    world.at(IN_JANUARY)
    assert world.close_due() == []
    assert world.papers() == [invoiced("2.70")]


def test_what_is_given_back_later_is_credited_once_by_the_month_that_gave_it_back() -> None:
    world = FeeWorld()
    world.take(charged("pay_1"), charged("pay_2"))
    world.at(IN_DECEMBER)
    world.close_due()
    world.take(*(given_back(payment, 100, f"re_{payment}", at="2026-12-10T11:00:00Z") for payment in ("pay_1", "pay_2")))
    world.take(charged("pay_3", at="2026-12-10T11:00:00Z"))
    world.at(IN_JANUARY)
    world.close_due()
    world.close_due()
    assert world.papers() == [invoiced("4.20"), credited("2.00"), invoiced("2.10", "2026-12-31")]
    (note,) = world.issued_by_platform("credit-notes")
    assert note["document_relations"][0]["related_document"]["type"] == "invoice"
    assert note["paid_in_full"]


def test_each_later_month_credits_what_it_gave_back() -> None:
    world = FeeWorld()
    world.take(charged())
    for moment, key in ((IN_DECEMBER, "re_1"), (IN_JANUARY, "re_2")):
        world.at(moment)
        world.close_due()
        world.take(given_back(fee=50, key=key, at=f"{moment[:10]}T11:00:00Z"))
    world.at(IN_FEBRUARY)
    world.close_due()
    assert world.papers() == [invoiced("2.10"), credited("0.50"), credited("0.50", month="2027-01-31")]


def test_what_was_charged_in_two_months_is_given_back_of_both_the_last_one_first() -> None:
    world = FeeWorld()
    world.take(charged())
    world.at(IN_DECEMBER)
    world.close_due()
    world.take(paid_out(fee=250, occurred_at="2026-12-09T12:00:00Z"))
    world.at(IN_JANUARY)
    world.close_due()
    world.take(given_back(fee=230, at="2027-01-09T12:00:00Z"))
    world.at(IN_FEBRUARY)
    world.close_due()
    january = "2027-01-31"
    assert world.papers() == [
        invoiced("2.10"),
        invoiced("0.40", "2026-12-31"),
        credited("0.40", "2026-12", january),
        credited("1.90", "2026-11", january),
    ]


def test_a_month_whose_fees_were_all_given_back_has_no_invoice() -> None:
    world = FeeWorld()
    world.take(charged(), given_back())
    world.at(IN_DECEMBER)
    world.close_due()
    assert world.papers() == []
    assert world.states() == {"2026-11": "invoiced"}


def test_a_fee_reported_after_its_month_was_closed_counts_for_the_present_one() -> None:
    world = FeeWorld()
    world.take(charged("pay_1"))
    world.at(IN_DECEMBER)
    world.close_due()
    world.at(IN_FEBRUARY)
    world.take(charged("pay_2", 333))
    world.at("2027-03-10T12:00:00+00:00")
    world.close_due()
    assert world.papers() == [invoiced("2.10"), invoiced("3.33", "2027-02-28")]


def test_a_month_closed_before_its_end_sends_what_follows_to_the_next() -> None:
    world = FeeWorld()
    world.take(charged("pay_1"))
    assert world.close_due(through="2026-11") == [NOVEMBER]
    world.take(charged("pay_2"), given_back("pay_1", 10, at="2026-11-20T13:00:00Z"))
    world.at(IN_JANUARY)
    world.close_due()
    today = ("2026-11-20", *invoiced("2.10")[1:])
    assert world.papers() == [today, credited("0.10"), invoiced("2.10", "2026-12-31")]


@pytest.mark.parametrize(("settled", "when", "expected"), [
    (200, "2026-11-25T12:00:00+00:00", [invoiced("2.00")]),
    (250, "2026-11-25T12:00:00+00:00", [invoiced("2.50")]),
    (200, IN_DECEMBER, [invoiced("2.10"), credited("0.10")]),
    (250, IN_DECEMBER, [invoiced("2.10"), invoiced("0.40", "2026-12-31")]),
])  # fmt: skip
def test_a_payout_says_what_was_really_kept(settled: int, when: str, expected: list[Any]) -> None:
    world = FeeWorld()
    world.take(charged())
    world.at(when)
    world.close_due()
    world.take(paid_out(fee=settled, occurred_at=world.moment.replace("+00:00", "Z")))
    world.at(IN_JANUARY)
    world.close_due()
    assert world.papers() == expected


def test_every_order_of_reports_comes_to_the_same_sum() -> None:
    for order in permutations([charged(), given_back(fee=60), paid_out(fee=220), charged("pay_2", 90)]):
        world = FeeWorld()
        world.take(*order)
        world.at(IN_DECEMBER)
        world.close_due()
        assert world.papers() == [invoiced("2.50")]


def test_nothing_is_noted_twice_by_repetition() -> None:
    world = FeeWorld()
    world.take(charged(), charged(), charged(minute=5))
    world.converger().revisit("stripe", "acct_1", "pay_1")
    world.at(IN_DECEMBER)
    world.close_due()
    world.take(charged())
    world.at(IN_JANUARY)
    assert world.close_due() == []
    assert world.papers() == [invoiced("2.10")]


def test_a_joined_payment_keeps_what_was_noted_of_it() -> None:
    world = FeeWorld()
    world.take(charged(), disputed("opened", None, "2026-11-21T12:00:00Z", payment="ch_1"))
    world.take(given_back(fee=10, at="2026-11-22T12:00:00Z"))
    joining = disputed("lost", None, "2026-11-23T12:00:00Z", payment="ch_1")
    world.take(
        type(joining)(**{name: getattr(joining, name) for name in joining.__dataclass_fields__} | {"also_known_as": ("pay_1",)})
    )
    world.take(given_back(fee=20, key="re_2"))
    (case,) = world.cases()
    assert (case.id, len(case.fees)) == ("ch_1", 3)
    world.at(IN_DECEMBER)
    world.close_due()
    assert world.papers() == [invoiced("1.80")]


# --- which payments


def test_the_policy_in_force_at_the_payment_decides_and_no_fee_is_charged_twice() -> None:
    world = FeeWorld({"fee_invoices": "each"})
    world.charge_by({"invoices": "fee", "fee_invoices": "monthly"}, since="2026-11-15T00:00:00Z")
    world.charge_by({"invoices": "sale"}, since="2026-11-25T00:00:00Z")
    days = {"pay_1": "14", "pay_2": "15", "pay_3": "25"}
    world.at("2026-11-26T12:00:00+00:00")
    world.take(*(charged(payment, at=f"2026-11-{day}T12:00:00Z") for payment, day in days.items()))
    world.take(*(given_back(payment, 10, f"re_{payment}", at="2026-11-26T12:00:00Z") for payment in days))
    world.at(IN_DECEMBER)
    world.close_due()
    assert world.papers() == [
        ("2026-11-14", "invoices", "2.10 EUR", "pay_1"),
        ("2026-11-26", "credit-notes", "0.10 EUR", "pay_1"),
        invoiced("2.00"),
    ]


def test_a_policy_that_turns_out_to_count_from_earlier_on_charges_nothing_again() -> None:
    for first, then in permutations(("each", "monthly")):
        world = FeeWorld({"fee_invoices": first})
        world.at("2026-11-25T12:00:00+00:00")
        world.take(charged())
        world.charge_by({"invoices": "both", "fee_invoices": then}, since="2026-11-01T00:00:00Z")
        world.take(paid_out(fee=200), given_back(fee=50))
        world.at(IN_DECEMBER)
        world.close_due()
        assert world.sum_of_papers() == "1.50"


def test_a_month_waits_for_the_platform_to_be_registered() -> None:
    world = FeeWorld(has_platform=False)
    world.take(charged())
    world.at(IN_DECEMBER)
    world.close_due()
    assert [item["waiting"] for item in world.table.find(WAITING)] == [["fees.closed#2026-11:EUR waits for platform entity"]]
    world.register_platform()
    world.drain_revisits()
    assert world.papers() == [invoiced("2.10")]


# --- when a month is closed


@pytest.mark.parametrize(("moment", "is_due"), [("2026-12-04T11:59:59+00:00", False), ("2026-12-04T12:00:00+00:00", True)])
def test_a_month_is_closed_when_it_is_over_everywhere_and_three_days_more(moment: str, *, is_due: bool) -> None:
    world = FeeWorld()
    world.take(charged())
    world.at(moment)
    assert world.closing().due() == ([NOVEMBER] if is_due else [])
    assert "FeeMonthsOverdue" not in world.counts


def test_a_month_that_is_late_is_counted() -> None:
    world = FeeWorld()
    world.take(charged())
    world.at(IN_DECEMBER)
    world.closing().due(through="2026-10")
    assert world.counts["FeeMonthsOverdue"] == 1


@pytest.mark.parametrize("through", ["2026-13", "2026", "2026-11-01", "november"])
def test_only_a_month_can_be_asked_for(through: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        FeeWorld().closing().due(through)


def test_a_month_that_was_never_opened_is_left_alone() -> None:
    world = FeeWorld()
    world.close(FeeMonth("2026-10", "bc_1", "EUR"))
    assert world.states() == {}
    assert world.papers() == []


def test_sums_are_taken_only_when_no_transaction_can_be_under_way() -> None:
    world = FeeWorld()
    world.take(charged())
    world.at(IN_DECEMBER)
    for waited in (0, SETTLE_S - 1):
        world.at(IN_DECEMBER)
        world.seconds += waited
        with pytest.raises(Retry, match="fees_settling"):
            world.closing().close("bc_1", "EUR", "2026-11")
    world.close(NOVEMBER)
    assert world.papers() == [invoiced("2.10")]


# --- crashes and races


def _killed(world: FeeWorld, run: Callable[[], object], last: int) -> bool:
    """Whether `run` was killed at this boundary."""
    number = count()

    def kill(_: object) -> None:
        if next(number) == last:
            raise Killed

    world.at_each_boundary(kill)
    try:
        run()
    except Killed:
        return True
    finally:
        world.at_each_boundary(lambda _: None)
    return False


def _story() -> tuple[FeeWorld, list[Fact]]:
    world = FeeWorld()
    world.take(charged("pay_1"), charged("pay_2"))
    world.at(IN_DECEMBER)
    world.close_due()
    return world, [charged("pay_3", at="2026-12-01T12:00:00Z"), given_back("pay_1", 100, at="2026-12-09T12:00:00Z")]


WHOLE_STORY = [invoiced("4.20"), credited("1.00"), invoiced("2.10", "2026-12-31")]


def test_killed_at_any_boundary_of_a_payment_everything_is_noted_once() -> None:
    for last in count():
        world, facts = _story()
        was_killed = _killed(world, partial(world.take, *facts), last)
        world.seconds += 60
        world.take(*facts)
        world.at(IN_JANUARY)
        world.close_due()
        assert world.papers() == WHOLE_STORY
        if not was_killed:
            break
    assert last > 8


def test_killed_at_any_boundary_of_the_closing_everything_is_invoiced_once() -> None:
    for last in count():
        world, facts = _story()
        world.take(*facts)
        world.at(IN_JANUARY)
        was_killed = _killed(world, world.close_due, last)
        world.seconds += 60
        world.close_due()
        assert world.papers() == WHOLE_STORY
        assert world.states() == {"2026-11": "invoiced", "2026-12": "invoiced"}
        if not was_killed:
            break
    assert last > 2 * SHARDS


def test_a_month_closed_between_reading_and_writing_a_payment_loses_nothing() -> None:
    for last in count():
        world = FeeWorld()
        world.take(charged("pay_1"))
        world.at(IN_DECEMBER)
        number = count()

        def compete(_: object, number: Any = number, world: FeeWorld = world, last: int = last) -> None:
            if next(number) == last:
                world.at_each_boundary(lambda _: None)
                world.close(NOVEMBER)

        world.at_each_boundary(compete)
        world.take(charged("pay_2", 90), given_back("pay_1", 10, at="2026-11-25T12:00:00Z"))
        world.at_each_boundary(lambda _: None)
        world.close_due()
        world.at(IN_JANUARY)
        world.close_due()
        assert world.sum_of_papers() == "2.90"
        if next(number) <= last:
            break
    assert last > 5


def test_two_runs_at_once_close_a_month_once() -> None:
    for last in count():
        world, facts = _story()
        world.take(*facts)
        world.at(IN_JANUARY)
        number = count()

        def compete(_: object, number: Any = number, world: FeeWorld = world, last: int = last) -> None:
            if next(number) == last:
                world.at_each_boundary(lambda _: None)
                try:
                    world.closing().close("bc_1", "EUR", "2026-12")
                except Retry:
                    world.seconds += SETTLE_S

        world.at_each_boundary(compete)
        world.close_due()
        world.close_due()
        assert world.papers() == WHOLE_STORY
        if next(number) <= last:
            break
    assert last > 2 * SHARDS


MOMENTS = ["2026-11-28", "2026-12-02", "2026-12-06", "2026-12-28", "2027-01-03", "2027-01-06", "2027-01-28", "2027-02-08"]


@pytest.mark.parametrize("seed", range(25))
def test_documents_come_to_what_the_payouts_kept_whatever_happens_when(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - a seeded story
    world = FeeWorld({"fee_invoices": random.choice(["each", "monthly"])})
    late: list[tuple[str, Callable[[], object]]] = []
    for day, rule in (("2026-11-10", "monthly"), ("2026-11-20", "each"), ("2026-12-05", "monthly")):
        policy = {"invoices": "both", "fee_invoices": rule}
        late.append((day, partial(world.charge_by, policy, f"{day}T00:00:00Z")))
    expected = 0
    for number in range(8):
        facts, fee = _random_payment(random, f"pay_{number}")
        expected += fee
        late += [(fact.occurred_at, partial(world.take, fact)) for fact in facts * random.randint(1, 2)]
    for moment in MOMENTS:
        world.at(f"{moment}T12:00:00+00:00")
        random.shuffle(late)
        arrived = [one for one in late if one[0] < moment and (random.random() < 0.4 or moment > "2027-02")]
        late = [one for one in late if one not in arrived]
        for _, arrives in arrived:
            arrives()
        world.close_due()
    assert not late
    world.at("2027-04-10T12:00:00+00:00")
    world.close_due()
    assert world.sum_of_papers() == f"{expected / 100:.2f}"
    assert {one.rpartition("= ")[2] for one in world.fee_totals().values()} <= {"0.00"}
    assert world.closing().due() == []
    assert set(world.states().values()) <= {"invoiced"}


def _random_payment(random: Random, payment: str) -> tuple[list[Fact], int]:
    """The facts of one payment, and what is kept of it in the end."""
    days = sorted(random.sample(range(1, 28), 3))
    month = random.choice(["2026-11", "2026-12"])
    said, kept, returned = random.randint(1, 300), random.randint(1, 300), random.choice([0, 0, 50, 400])
    facts = [charged(payment, said, at=f"{month}-{days[0]:02}T12:00:00Z")]
    if returned:
        facts.append(given_back(payment, returned, f"re_{payment}", at=f"{month}-{days[1]:02}T12:00:00Z"))
    if is_settled := random.random() < 0.7:
        facts += payout(f"po_{payment}", f"{month}-{days[2]:02}T12:00:00Z", **{payment: (10000, kept)})
    return facts, max(0, (kept if is_settled else said) - returned)


# --- at scale


def test_a_payment_costs_the_same_however_many_came_before() -> None:
    world = FeeWorld({"invoices": "fee"})
    commits: list[int] = []
    reads: list[str] = []
    world.table.before_commit = lambda writes: commits.append(len(writes))
    world.table.before_read = reads.append
    costs = []
    for number in range(40):
        commits.clear()
        reads.clear()
        world.take(charged(f"pay_{number}"))
        costs.append((tuple(commits), len(reads)))
    assert len(set(costs[1:])) == 1, "only the first one opens the month"
    assert costs[1][0] == (5,), "head, fact, what is noted in the case and in the month, and the check that the month is open"


def test_payments_of_one_business_customer_do_not_check_one_item() -> None:
    world = FeeWorld({"invoices": "fee"})
    checked: set[str] = set()
    world.table.before_commit = lambda writes: checked.update(w.pk for w in writes if isinstance(w, Check))
    world.take(*(charged(f"pay_{number}") for number in range(100)))
    assert len(checked) > SHARDS // 2


ENTRIES = 100_000


@pytest.fixture(scope="module")
def large_month() -> MemoryTable:
    """November with 100,000 fees, in two kinds, as payments noted them."""
    table = MemoryTable(index_lags=True)
    month: dict[str, Any] = {"month": "2026-11", "business_customer": "bc_1", "currency": "EUR", "state": "open"}
    table.commit([Put({"pk": NOVEMBER.pk, "sk": MONTH, "reference": OPEN_MONTH} | month)])
    for start in range(0, ENTRIES, 100):
        table.commit([_entry(number) for number in range(start, start + 100)])
    return table


def _entry(number: int) -> Put:
    pk = NOVEMBER.shard_pk(number % SHARDS)
    noted = {"kind": "return" if number % 10 == 0 else "transaction", "of": "2026-11", "amount": 7, "payment_id": f"pay_{number}"}
    return Put({"pk": pk, "sk": f"FEE#CASE#stripe#acct_1#pay_{number}#pay_{number}#1"} | noted)


def test_a_month_of_a_hundred_thousand_fees_is_summed_in_flat_memory(large_month: MemoryTable) -> None:
    taken: list[Fact] = []
    seconds = [0]
    closing = FeeClosing(table=large_month, take=lambda fact, _: taken.append(fact), now=lambda: seconds[0])
    with pytest.raises(Retry):
        closing.close("bc_1", "EUR", "2026-11")
    seconds[0] += SETTLE_S
    tracemalloc.start()
    closing.close("bc_1", "EUR", "2026-11")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (closed,) = taken
    lines = [(item.quantity, item.amount) for item in closed.items]
    assert lines == [(ENTRIES * 9 // 10, ENTRIES * 9 // 10 * 7), (ENTRIES // 10, ENTRIES // 10 * 7)]
    one_shard = ENTRIES // SHARDS
    assert peak < one_shard * 250, "no more than the keys of one shard, which the fake sorts"


def test_summing_goes_on_where_a_run_that_took_too_long_left_it() -> None:
    world = FeeWorld()
    world.take(*(charged(f"pay_{number}", 1) for number in range(40)))
    world.at(IN_DECEMBER)
    summed: list[str] = []

    def slow(writes: Sequence[Write]) -> None:
        of_shard = [write.sk for write in writes if isinstance(write, Put) and write.sk.startswith("SUM#")]
        world.seconds += SUMMING_S // 2 * len(of_shard)
        summed.extend(of_shard)

    world.table.before_commit = slow
    with pytest.raises(Retry, match="fees_settling"):
        world.closing().close("bc_1", "EUR", "2026-11")
    world.seconds += SETTLE_S
    with pytest.raises(Retry, match="fees_not_summed"):
        world.closing().close("bc_1", "EUR", "2026-11")
    assert len(summed) == 2
    world.close(NOVEMBER)
    assert sorted(summed) == sorted(set(summed))
    assert len(summed) == SHARDS
    assert world.papers() == [invoiced("0.40")]


def test_nothing_is_left_in_the_index_of_open_months() -> None:
    world = FeeWorld()
    world.take(charged())
    assert [item["pk"] for item in world.table.find(OPEN_MONTH)] == [NOVEMBER.pk]
    world.at(IN_DECEMBER)
    world.close_due()
    assert world.table.find(OPEN_MONTH) == []
    assert len([item for item in world.table.items() if item["sk"] == CLOSED]) == SHARDS
