"""Payouts of any make: nothing is left exactly when everything is known, and what is taken away is left to the cent."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quittance.money import Money
from quittance.reconciliation.payout_marks import NAMED_MAX
from quittance.reconciliation.payouts import PARTS
from tests.unit.payout_world import PayoutWorld, line, other
from tests.unit.stories import dispute, fact, refund, succeeded

if TYPE_CHECKING:
    from quittance.facts import Fact, PayoutAdjustment, PayoutLine
    from quittance.reconciliation.payouts import TieOut

SOLD = st.fixed_dictionaries(
    {
        "amount": st.integers(100, 10**9),
        "fee": st.integers(-50, 50),
        "kept": st.integers(0, 50),
        "refunded": st.sampled_from([0, 1, 40, 99]),
        "disputed": st.sampled_from(["", "", "opened", "lost", "won"]),
        "alias": st.booleans(),
    }
)


def told(number: int, sold: dict[str, Any]) -> list[Fact]:
    """What was reported of one payment."""
    name = f"pay_{number}"
    named_by = (f"ch_{number}",) if sold["alias"] else ()
    facts = [succeeded(sold["amount"], payment_id=name, also_known_as=named_by)]
    if sold["refunded"]:
        facts.append(refund(f"re_{number}", sold["refunded"], payment_id=name))
    if sold["disputed"]:
        facts.append(dispute(sold["disputed"], 1, f"dp_{number}", payment_id=name))
    return facts


def listed(number: int, sold: dict[str, Any]) -> tuple[PayoutLine, list[PayoutAdjustment]]:
    """What a payout says of it."""
    name = f"pay_{number}"
    others = [other("refund", f"re_{number}", -sold["refunded"], name)] if sold["refunded"] else []
    others += [other("dispute", f"dp_{number}", -1, name, fee=15)] if sold["disputed"] else []
    called = f"ch_{number}" if sold["alias"] else name
    return line(called, sold["amount"], sold["fee"], sold["kept"]), others


def world_of(sales: list[dict[str, Any]], *, order: Random | None = None, shares: int = 1) -> PayoutWorld:
    world = PayoutWorld()
    facts = [one for number, sold in enumerate(sales) for one in told(number, sold)]
    content = [listed(number, sold) for number, sold in enumerate(sales)]
    if order:
        order.shuffle(facts)
        order.shuffle(content)
    world.take(*facts)
    lines = [one for one, _ in content]
    others = [*(one for _, more in content for one in more), other("stripe_fee", "txn_1", -7)]
    amount = sum(one.net for one in lines) + sum(one.net for one in others)
    for share in range(shares):
        key, also = ("po_1", ()) if not share else (f"po_1/txn_{share}", ("po_1",))
        held: dict[str, Any] = {"lines": lines[share::shares], "adjustments": others[share::shares]}
        world.pay_out(key, amount=amount, also_known_as=also, **held)
    return world


def balanced(tied: TieOut) -> TieOut:
    """What every tie-out guarantees, whatever is known."""
    summary = tied.summary()
    assert summary.amount.value == sum(getattr(summary, part) for part in PARTS) + summary.residual
    assert tied.residual == tied.amount.value - sum(tied.parts.values())
    return tied


SALES = st.lists(SOLD, min_size=1, max_size=6)


@given(SALES, st.integers(1, 3))
def test_nothing_is_left_when_everything_is_known(sales: list[dict[str, Any]], shares: int) -> None:
    tied = balanced(world_of(sales, shares=shares).tied())
    assert (tied.residual, tied.unexplained) == (0, ())


@given(SALES, st.data())
def test_a_payment_that_is_not_known_is_left_with_all_that_came_of_it(sales: list[dict[str, Any]], data: st.DataObject) -> None:
    world = world_of(sales)
    number = data.draw(st.integers(0, len(sales) - 1))
    sold = sales[number]
    world.forget(f"pay_{number}")
    tied = balanced(world.tied())
    taken = sold["refunded"] + bool(sold["disputed"])
    assert tied.residual == sold["amount"] - taken
    assert {one.payment_id.split("_")[1] for one in tied.unexplained} == {str(number)}


@given(SALES, st.data())
def test_one_fact_or_document_that_is_missing_leaves_just_its_line(sales: list[dict[str, Any]], data: st.DataObject) -> None:
    world = world_of(sales)
    lines = {one.id: one for one in world.tied().lines if one.documents}
    gone = lines[data.draw(st.sampled_from(sorted(lines)))]
    case = world.cases[gone.payment_id]
    document = next(key for key, entry in case.documents.items() if entry.record.api_id == gone.documents[0].id)
    if gone.kind == "payment" or data.draw(st.booleans()):
        del case.documents[document]
    else:
        del case.facts[case.documents[document].record.document.fact]
    tied = balanced(world.tied())
    assert tied.residual == gone.gross
    assert [one.id for one in tied.unexplained] == [gone.id]


@given(SALES, st.integers(0, 2**32), st.integers(1, 3))
def test_order_does_not_matter(sales: list[dict[str, Any]], seed: int, shares: int) -> None:
    world = world_of(sales)
    other_way = world_of(sales, order=Random(seed), shares=shares)  # noqa: S311 - an order, no secret
    for one in (world, other_way):
        one.forget("pay_0")
    assert _figures(world.tied()) == _figures(other_way.tied())


def _figures(tied: TieOut) -> tuple[Any, ...]:
    return tied.parts, tied.residual, sorted(one.id for one in tied.unexplained)


# --- by the marks of payments


@given(SALES, st.integers(1, 3), st.sets(st.sampled_from(["payment", "document", "refund", "mark", "amount"])), st.randoms())
def test_marks_say_the_same(sales: list[dict[str, Any]], shares: int, faults: set[str], random: Random) -> None:
    world = world_of(sales, shares=shares)
    first = world.cases["pay_0"]
    if "payment" in faults and len(sales) > 1:
        gone = world.cases["pay_1"]
        gone.facts = {name: one for name, one in gone.facts.items() if one.type == "payment.settled"}
    if "document" in faults:
        del first.documents["invoice:payment:pay_0"]
    if "refund" in faults:
        first.facts.pop("refund.succeeded#re_0", None)
    if "mark" in faults:
        first.facts = {name: one for name, one in first.facts.items() if one.type != "payment.settled"}
    if "amount" in faults:
        payout = world.cases["po_1"]
        payout.facts = {name: replace(one, amount=Money(5, "EUR")) for name, one in payout.facts.items()}
    ids = world.ids
    random.shuffle(ids)
    streamed = balanced(world.streamed(ids)["po_1"])
    assert _figures(streamed) == _figures(world.tied())


def test_by_marks_only_what_a_payout_holds_besides_payments_is_read() -> None:
    world = PayoutWorld()
    world.take(*(succeeded(1000, payment_id=f"pay_{number}") for number in range(20)), refund("re_1", 5, payment_id="pay_3"))
    lines = [line(f"pay_{number}", 1000) for number in range(20)]
    world.pay_out(lines=lines, adjustments=[other("refund", "re_1", -5, "pay_3"), other("stripe_fee", "txn_1", -7)])
    streamed = world.streamed()["po_1"]
    assert (streamed.residual, world.looked_up) == (0, ["pay_3"])
    world.cases["pay_7"].facts.clear()
    assert (world.streamed()["po_1"].residual, len(world.looked_up)) == (1000, 21)


def test_marks_name_some_of_many_unexplained_payments_and_counts_all() -> None:
    world = PayoutWorld()
    world.pay_out(lines=[line(f"pay_{number}", 100) for number in range(NAMED_MAX + 5)])
    streamed = world.streamed()["po_1"]
    assert (streamed.residual, len(streamed.unexplained)) == (100 * (NAMED_MAX + 5), NAMED_MAX + 1)
    assert (streamed.unexplained[-1].id, streamed.unexplained[-1].gross, world.looked_up) == ("5 more", 500, [])


def test_a_case_that_comes_by_twice_changes_nothing() -> None:
    world = PayoutWorld()
    world.take(succeeded())
    world.pay_out(lines=[line("pay_1", 10000, 20)])
    assert world.streamed(["pay_1", "po_1", "pay_1"])["po_1"].parts == world.tied().parts


@pytest.mark.parametrize("failed", [True, False])
def test_by_marks_it_is_asked_whether_an_earlier_payout_of_the_payment_failed(*, failed: bool) -> None:
    world = PayoutWorld()
    world.take(succeeded())
    world.pay_out(lines=[line("pay_1", 10000)])
    world.pay_out("po_2", lines=[line("pay_1", 10000)], minute=55)
    if failed:
        world.take(fact("payout.failed", "po_1", 10000, payment_id=None, minute=52))
    streamed = world.streamed()
    assert [streamed[key].residual for key in ("po_1", "po_2")] == [0, 0 if failed else 10000]
    assert streamed["po_1"].state == ("failed" if failed else "paid")
