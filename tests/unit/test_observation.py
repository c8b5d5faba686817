"""What was seen of a document is put together the same way in every order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quittance.money import Money
from quittance.observation import Observation, ObservedDocument, ObservedPayment, observation_from_json

MOMENTS = st.sampled_from([f"2026-11-20T10:00:0{second}.000000Z" for second in range(3)])
AMOUNTS = st.builds(Money, st.sampled_from([100, 200]), st.sampled_from(["EUR", "JPY"]))
DOCUMENTS = st.builds(
    ObservedDocument,
    at=MOMENTS,
    is_draft=st.booleans(),
    total=AMOUNTS,
    number=st.sampled_from(["", "2026-00001"]),
    is_voided=st.booleans(),
    is_deleted=st.booleans(),
)
PAYMENTS = st.builds(
    ObservedPayment,
    id=st.sampled_from(["pmt_1", "pmt_2"]),
    at=MOMENTS,
    amount=AMOUNTS,
    reference=st.sampled_from(["a", "b"]),
    is_application=st.booleans(),
    is_deleted=st.booleans(),
)
SEEN = st.one_of(
    st.builds(Observation, document=DOCUMENTS), st.builds(lambda payment: Observation(payments=(payment,)), PAYMENTS)
)


def together(seen: list[Observation]) -> Observation:
    known = Observation()
    for one in seen:
        known = known.with_seen(one)
    return known


@given(st.lists(SEEN, max_size=6).flatmap(lambda seen: st.tuples(st.just(seen), st.permutations([*seen, *seen]))))
def test_order_and_repetition_change_nothing(told: tuple[list[Observation], list[Observation]]) -> None:
    once, again = told
    assert together(once) == together(again)


@given(st.lists(SEEN, max_size=6))
def test_the_newest_state_of_everything_is_kept(seen: list[Observation]) -> None:
    known = together(seen)
    documents = [one.document for one in seen if one.document]
    assert (known.document.at if known.document else None) == max((one.at for one in documents), default=None)
    newest: dict[str, str] = {}
    for payment in (payment for one in seen for payment in one.payments):
        newest[payment.id] = max(newest.get(payment.id, ""), payment.at)
    assert {payment.id: payment.at for payment in known.payments} == newest


@given(st.lists(SEEN, max_size=4))
def test_an_observation_survives_the_ledger(seen: list[Observation]) -> None:
    known = together(seen)
    assert observation_from_json(known.to_json()) == known


def test_within_one_moment_the_later_state_of_a_life_counts() -> None:
    moment, total = "2026-11-20T10:00:00.000000Z", Money(100, "EUR")
    draft = Observation(document=ObservedDocument(at=moment, is_draft=True, total=total))
    final = Observation(document=ObservedDocument(at=moment, is_draft=False, total=total, number="1"))
    voided = Observation(document=ObservedDocument(at=moment, is_draft=False, total=total, number="1", is_voided=True))
    assert together([voided, final, draft]) == voided
    assert (draft.is_draft, final.is_draft, Observation().is_draft) == (True, False, None)
    assert [one.is_gone for one in (draft, final, voided, Observation())] == [False, False, True, False]
