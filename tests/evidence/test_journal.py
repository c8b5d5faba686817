"""What is entered, where, once, whatever is repeated, reordered, raced or killed."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quittance.acknowledgements import Acknowledgement, acknowledge, take_back
from quittance.errors import Retry
from quittance.journal.changes import ItemChange, event_of
from quittance.journal.entries import GENESIS, Key, KeyRing, is_sealed, key_ring
from quittance.ledger import OPEN_FINDING, Ledger, case_pk
from quittance.operations.audit import audit_pk
from quittance.personal_data import parted, whole
from quittance.provisioning import customer_pk
from quittance.reconciliation.standing import reconciliation_pk
from quittance.storage import Keys, Put
from tests.evidence.journal_world import RING, JournalWorld, Streamed, change
from tests.evidence.payments import paid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quittance.storage import Write
    from tests.use_cases.world import World

CHAIN = "customer:bc_1"


class Killed(Exception):
    """The function died here."""


def test_a_payment_is_entered_in_the_chain_of_its_business_customer(played: tuple[World, JournalWorld]) -> None:
    _, journal = played
    journal.recorder().record(journal.ledger.stream)
    kinds = journal.kinds(CHAIN)
    assert {"registration.recorded", "account.recorded", "fact.recorded"} <= set(kinds)
    assert kinds.index("document.intended") < kinds.index("document.issued")
    assert [head.chain for head in journal.journal.heads()] == [CHAIN]


def test_what_is_entered_without_its_person_names_nobody(played: tuple[World, JournalWorld]) -> None:
    _, journal = played
    journal.recorder().record(journal.ledger.stream)
    readable = json.dumps([{**one, "personal": ""} for one in journal.entries(CHAIN)])
    assert "12345" in readable
    for said in ("Ada", "ada@example.com", "Advice", "Acme"):
        assert said not in readable


def test_a_chain_begins_with_nothing_and_every_entry_knows_the_one_before() -> None:
    world = JournalWorld()
    world.enter(CHAIN, 5)
    entries = list(world.journal.entries(CHAIN, 1, 5))
    assert [one.sequence for one in entries] == [1, 2, 3, 4, 5]
    assert [one.header["previous"] for one in entries] == [GENESIS, *(one.digest for one in entries[:-1])]
    assert all(is_sealed(one.header, RING) for one in entries)
    assert world.journal.head(CHAIN).digest == entries[-1].digest


def test_money_of_an_unregistered_account_waits_in_a_chain_of_the_account() -> None:
    world = JournalWorld()
    case = Ledger(world.ledger).open("stripe", "acct_9", ("pay_1",), join=False)
    case.add_fact(paid(), "evt_1", 1)
    Ledger(world.ledger).park_until_registered(case)
    world.recorder().record(world.ledger.stream)
    assert world.kinds("account:stripe:acct_9") == ["fact.recorded"]
    Ledger(world.ledger).claim_account("stripe", "acct_9", "bc_9")
    world.ledger.commit([Put({"pk": case_pk("stripe", "acct_9", "pay_1"), "sk": "FINDING#x#y", "code": "x"})])
    world.recorder().record(world.ledger.stream)  # the first ones again: they are not entered under their new owner too
    assert world.kinds("account:stripe:acct_9") == ["fact.recorded"]
    assert world.kinds("customer:bc_9") == ["account.recorded", "finding.opened"]


def test_platform_payments_are_their_business_customers_before_it_registers() -> None:
    world = JournalWorld()
    assert world.recorder().chain_of(case_pk("platform", "bc_7", "pay_1")) == "customer:bc_7"


def test_changes_that_are_no_evidence_are_not_entered() -> None:
    world = JournalWorld()
    for pk, sk in (("CASE#p#a#1", "HEAD"), ("EVENT#p#1", "EVENT"), ("AWAITED#bc_1", "x"), ("FEES#bc_1#EUR#2026-11", "MONTH")):
        world.ledger.commit([Put({"pk": pk, "sk": sk, "version": 1, "lease_owner": "me"})])
    assert world.recorder().record(world.ledger.stream) == 0


def test_a_case_that_is_given_away_is_entered() -> None:
    world = JournalWorld()
    for owner in ("bc_1", "bc_2"):
        world.ledger.commit([Put({"pk": "CASE#p#a#1", "sk": "HEAD", "business_customer": owner, "lease_until": 1})])
    world.recorder().record(world.ledger.stream)
    assert world.kinds("customer:bc_2") == ["case.recorded", "case.changed"]


def test_customer_partitions_are_called_as_the_journal_thinks() -> None:
    world = JournalWorld()
    assert world.recorder().chain_of(customer_pk("bc_1")) == CHAIN
    assert world.recorder().chain_of(reconciliation_pk("bc#1")) == "customer:bc#1"


def test_who_acknowledged_a_finding_is_entered_where_the_finding_is_and_the_reason_apart() -> None:
    world = JournalWorld()
    case, found = case_pk("platform", "bc_1", "pay_1"), reconciliation_pk("bc_1")
    finding = {"sk": "FINDING#x#y", "code": "x", "subject": "y", "reference": OPEN_FINDING, "opened_at": 1}
    for pk in (case, found):
        world.ledger.commit([Put(finding | {"pk": pk})])
        acknowledge(world.ledger, Keys(pk, "FINDING#x#y"), Acknowledgement(5, "finance", "Ada called"))
        take_back(world.ledger, Keys(pk, "FINDING#x#y"), "controller", 6)
        acknowledge(world.ledger, Keys(pk, "FINDING#x#y"), Acknowledgement(7, "finance", "Ada called again"))
    world.recorder().record(world.ledger.stream)
    kinds = ["finding.opened", "acknowledgement.given", "acknowledgement.taken_back", "acknowledgement.given"]
    assert world.kinds(CHAIN) == 2 * kinds
    _, given, taken_back, _ = world.entries(CHAIN)[:4]
    assert (given["content"]["by"], given["content"]["said"]) == ("finance", {"opened_at": 1})
    assert taken_back["content"]["taken_back"] == {"at": 6, "by": "controller"}
    assert "Ada" not in json.dumps([{**one, "personal": ""} for one in world.entries(CHAIN)])
    assert given["personal"] == '{"/because":"Ada called"}'


def test_what_operators_do_is_entered_in_a_chain_of_their_own() -> None:
    world = JournalWorld()
    begun = {"pk": audit_pk("2026-11"), "sk": "2026-11-20T10:00:00Z#r1", "by": "arn:aws:iam::1:user/ops", "outcome": "begun"}
    for outcome in ("begun", "done"):
        world.ledger.commit([Put(begun | {"outcome": outcome})])
    world.recorder().record(world.ledger.stream)
    assert world.kinds("operators") == ["audit.recorded", "audit.changed"]


def test_a_tax_number_in_a_key_is_not_in_the_entry() -> None:
    world = JournalWorld()
    world.ledger.commit([Put({"pk": "CASE#platform#bc_1#1", "sk": "EVIDENCE#DE:AT:ATU123", "evidence": {"is_valid": True}})])
    world.recorder().record(world.ledger.stream)
    world.recorder().record(world.ledger.stream)
    (entry,) = world.entries(CHAIN)
    assert "ATU123" not in json.dumps([entry["item"], entry["content"]])
    assert "ATU123" in entry["personal"]
    keys = json.dumps([[item["pk"], item["sk"]] for item in world.table.items()])
    assert "ATU123" not in keys


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_repeats_and_any_split_into_batches_make_the_same_chain(data: st.DataObject) -> None:
    once, again = JournalWorld(), JournalWorld()
    changes = [change(number % 4, turn=number) for number in range(12)]
    changes = [replace(one, source=str(number + 1)) for number, one in enumerate(changes)]
    once.journal.append(CHAIN, changes)
    start = 0
    while start < len(changes):
        start = max(0, start - data.draw(st.integers(0, 3), "repeated"))
        end = start + data.draw(st.integers(1, 6), "batch")
        again.journal.append(CHAIN, changes[start:end])
        start = end
    assert [one["content"] for one in again.entries(CHAIN)] == [one["content"] for one in once.entries(CHAIN)]


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_workers_that_append_at_the_same_time_never_fork_the_chain(seed: int) -> None:
    world = JournalWorld()
    draw = random.Random(seed)  # noqa: S311 - not for a secret
    rivals = [change(number) for number in range(100, 100 + draw.randrange(1, 7))]
    is_inside = False

    def compete(_writes: Sequence[Write]) -> None:
        nonlocal is_inside
        if not is_inside and rivals and draw.random() < 0.7:
            is_inside = True
            world.new_journal().append(CHAIN, [rivals.pop(0)])
            is_inside = False

    world.table.before_commit = compete
    mine = [change(number) for number in range(10)]
    for start in range(0, 10, 3):
        world.journal.append(CHAIN, mine[start : start + 3])
    entries = list(world.journal.entries(CHAIN, 1, 999))
    assert [one.sequence for one in entries] == list(range(1, len(entries) + 1))
    assert [one.header["previous"] for one in entries][1:] == [one.digest for one in entries[:-1]]
    items = [one.header["item"][1] for one in entries]
    assert len(set(items)) == len(items)
    assert {one.sk for one in mine} <= set(items)


@pytest.mark.parametrize("lost", ["before", "after"])
@pytest.mark.parametrize("crash", range(1, 4))
def test_killed_at_any_boundary_nothing_is_lost_or_entered_twice(crash: int, lost: str) -> None:
    world = JournalWorld()
    changes = [change(number) for number in range(100)]  # three transactions
    calls = 0

    def die(_writes: Sequence[Write]) -> None:
        nonlocal calls
        calls += 1
        if calls == crash:
            raise Killed

    setattr(world.table, f"{lost}_commit", die)
    with pytest.raises(Killed):
        world.journal.append(CHAIN, changes)
    world.new_journal().append(CHAIN, changes)
    assert [one["item"][1] for one in world.entries(CHAIN)] == [one.sk for one in changes]


def test_who_is_overtaken_all_the_time_asks_to_come_again() -> None:
    world = JournalWorld()
    number = 1000
    is_inside = False

    def overtake(_writes: Sequence[Write]) -> None:
        nonlocal number, is_inside
        if not is_inside:
            is_inside, number = True, number + 1
            world.new_journal().append(CHAIN, [change(number)])
            is_inside = False

    world.table.before_commit = overtake
    with pytest.raises(Retry, match="journal_contended"):
        world.journal.append(CHAIN, [change(1)])


def test_time_in_a_chain_never_goes_back() -> None:
    world = JournalWorld()
    world.enter(CHAIN, 1)
    world.clock.seconds -= 3600
    world.enter(CHAIN, 1, start=1)
    first, second = world.journal.entries(CHAIN, 1, 2)
    assert second.header["chained_at"] == first.header["chained_at"]


def test_entries_are_read_from_and_to_anywhere() -> None:
    world = JournalWorld()
    world.journal.append(CHAIN, [change(number) for number in range(2100)])
    for first, last in ((1, 2100), (999, 1001), (1000, 1000), (1999, 2000), (2100, 2100)):
        assert [one.sequence for one in world.journal.entries(CHAIN, first, last)] == list(range(first, last + 1))


def test_large_changes_go_into_several_transactions() -> None:
    world = JournalWorld()
    sizes: list[int] = []
    world.table.before_commit = lambda writes: sizes.append(len(writes))
    world.journal.append(CHAIN, [change(number, description="x" * 300_000) for number in range(10)])
    assert len(sizes) >= 2
    assert len(world.entries(CHAIN)) == 10


def test_chains_are_anchored_once_they_grow_and_all_of_them_after_a_long_silence() -> None:
    world = JournalWorld()
    for chain in ("customer:a", "customer:b", "customer:c"):
        world.enter(chain, 2)
    world.clock.seconds += 600
    assert world.anchor() == 3
    world.clock.seconds += 3600
    assert world.anchor() == 0
    world.enter("customer:b", 1, start=5)
    assert world.anchor() == 1
    assert len(world.anchors.files) == 2
    (anchor,) = [json.loads(line) for line in world.anchors.files[max(world.anchors.files)].splitlines()]
    assert (anchor["chain"], anchor["sequence"]) == ("customer:b", 3)
    assert is_sealed(anchor, RING)
    world.anchors.files.clear()
    assert world.anchor() == 3


def test_a_new_key_signs_and_the_old_one_still_verifies() -> None:
    world = JournalWorld()
    both = KeyRing((*RING.keys, Key("k2", b"2" * 32)))
    world.enter(CHAIN, 1)
    world.new_journal(both).append(CHAIN, [change(7)])
    headers = [one.header for one in world.journal.entries(CHAIN, 1, 2)]
    assert [one["key_id"] for one in headers] == ["k1", "k2"]
    assert all(is_sealed(one, both) for one in headers)
    assert not is_sealed(headers[1], RING)
    assert not is_sealed(headers[1] | {"at": "2020-01-01T00:00:00Z"}, both)


@pytest.mark.parametrize("text", ["", "k1", "k1 zz", "k1 00 00"])
def test_a_key_that_cannot_be_read_is_awaited_and_not_told(text: str) -> None:
    with pytest.raises(Retry, match=r"^evidence_key_unusable$") as raised:
        key_ring(text)
    assert raised.value.__cause__ is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["payer", "items", "name", "a/b", "~", "body", "lines"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["fact", "payer", "items", "body", "x"]), json_values))
def test_an_item_is_put_together_again_from_its_parts(item: dict[str, object]) -> None:
    content, personal = parted(item)
    assert whole(content, personal) == item


def test_what_was_found_and_not_reported_is_marked() -> None:
    event = event_of(ItemChange(pk="CASE#p#a#1", sk="FACT#x", old=None, new={"fact": {}}, at=""))
    assert event is not None
    assert event.kind == "fact.caught_up"


def test_the_stream_of_the_fake_tells_of_every_change_once() -> None:
    world = JournalWorld()
    table: Streamed = world.ledger
    table.commit([Put({"pk": "a", "sk": "b", "n": 1})])
    table.commit([Put({"pk": "a", "sk": "b", "n": 1})])
    table.commit([Put({"pk": "a", "sk": "b", "n": 2})])
    assert [(one.old or {}).get("n") for one in table.stream] == [None, 1]
