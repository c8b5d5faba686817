"""What `quittance.storage.Table` promises, on the table in memory and on DynamoDB as moto has it."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from quittance.errors import Park
from quittance.runtime.table import INDEX_NAME, DynamoTable
from quittance.storage import (
    MAX_WRITES,
    Absent,
    AbsentOrEquals,
    Check,
    Condition,
    ConditionFailedError,
    Delete,
    Equals,
    Put,
    Table,
    Write,
)
from tests.fakes.memory_table import MAX_ITEM_BYTES, MemoryTable

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLE_NAME = "ledger"


@pytest.fixture(params=["memory", "dynamodb"])
def table(request: pytest.FixtureRequest) -> Iterator[Table]:
    if request.param == "memory":
        yield MemoryTable()
        return
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName=TABLE_NAME,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "reference")],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": INDEX_NAME,
                    "KeySchema": [{"AttributeName": "reference", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
        yield DynamoTable(TABLE_NAME)


def _put(sk: str = "head", condition: Condition | None = None, **attributes: Any) -> Put:
    item = {"pk": "case", "sk": sk} | attributes
    return Put(item) if condition is None else Put(item, condition)


def test_an_item_comes_back_as_it_was_put(table: Table) -> None:
    attributes: dict[str, Any] = {
        "n": -(10**37),
        "yes": True,
        "no": False,
        "nothing": None,
        "text": "",
        "é": ["a", 1, {"b": [None]}],
        "empty": {},
    }
    table.commit([Put({"pk": "case", "sk": "head"} | attributes)])
    assert table.read("case", "head") == {"pk": "case", "sk": "head"} | attributes


def test_a_tuple_comes_back_as_a_list(table: Table) -> None:
    table.commit([_put(names=("a", "b"))])
    assert table.read("case", "head") == {"pk": "case", "sk": "head", "names": ["a", "b"]}


@pytest.mark.parametrize("flag", [True, 1])
def test_true_and_one_stay_apart(table: Table, flag: object) -> None:
    table.commit([_put(flag=flag)])
    item = table.read("case", "head")
    assert item is not None
    assert type(item["flag"]) is type(flag)


def test_a_put_replaces_the_whole_item(table: Table) -> None:
    table.commit([_put(a=1)])
    table.commit([_put(b=2)])
    assert table.read("case", "head") == {"pk": "case", "sk": "head", "b": 2}


def test_what_is_read_or_was_written_belongs_to_the_caller(table: Table) -> None:
    names = ["a"]
    table.commit([_put(names=names)])
    names.append("b")
    item = table.read("case", "head")
    assert item is not None
    item["names"].append("c")
    assert table.read("case", "head") == {"pk": "case", "sk": "head", "names": ["a"]}


def test_an_absent_item_reads_as_none(table: Table) -> None:
    table.commit([_put()])
    assert table.read("case", "other") is None
    assert table.read("other", "head") is None


def test_delete_removes_and_does_not_mind_absence(table: Table) -> None:
    table.commit([_put()])
    table.commit([Delete("case", "head")])
    table.commit([Delete("case", "head")])
    assert table.read("case", "head") is None


def test_a_partition_is_read_by_prefix_in_order(table: Table) -> None:
    for sk in ("fact#b", "fact#a", "fact#é", "fact", "head", "FACT#a"):
        table.commit([_put(sk)])
    table.commit([Put({"pk": "case2", "sk": "fact#c"})])
    assert [item["sk"] for item in table.read_partition("case")] == ["FACT#a", "fact", "fact#a", "fact#b", "fact#é", "head"]
    assert [item["sk"] for item in table.read_partition("case", "fact#")] == ["fact#a", "fact#b", "fact#é"]
    assert table.read_partition("nobody") == []


def test_a_partition_of_several_pages_is_read_whole(table: Table) -> None:
    large = "x" * (300 * 1024)
    for number in range(5):
        table.commit([_put(f"fact#{number}", text=large)])
    assert [item["sk"] for item in table.read_partition("case", "fact#")] == [f"fact#{number}" for number in range(5)]


def test_a_partition_can_be_walked_without_holding_it(table: Table) -> None:
    large = "x" * (300 * 1024)
    for sk in ("fact#b", "fact#a", "fact#c", "fact#d", "fact#e", "head"):
        table.commit([_put(sk, text=large)])
    walk = table.walk("case", "fact#")
    assert next(walk)["sk"] == "fact#a"
    assert [item["sk"] for item in walk] == ["fact#b", "fact#c", "fact#d", "fact#e"]
    assert len(list(table.walk("case"))) == 6
    assert list(table.walk("nobody")) == []


def _written(kind: str, condition: Condition) -> Write:
    match kind:
        case "put":
            return _put(condition=condition, written=True)
        case "delete":
            return Delete("case", "head", condition)
        case _:
            return Check("case", "head", condition)


HOLDS: dict[Condition, set[str]] = {
    Absent(): {"absent"},
    Equals("version", 1): {"version 1"},
    AbsentOrEquals("version", 1): {"absent", "version 1"},
}
"""In which states of the item each condition holds."""


@pytest.mark.parametrize("others", [[], [Put({"pk": "other", "sk": "head"})]], ids=["alone", "in a transaction"])
@pytest.mark.parametrize("kind", ["put", "delete", "check"])
@pytest.mark.parametrize("state", ["absent", "version 1", "version 2"])
@pytest.mark.parametrize("condition", HOLDS, ids=str)
def test_a_write_happens_exactly_when_its_condition_holds(
    *, table: Table, others: list[Write], kind: str, state: str, condition: Condition
) -> None:
    if state != "absent":
        table.commit([_put(version=int(state[-1]))])
    before = table.read("case", "head")
    if state in HOLDS[condition]:
        table.commit([*others, _written(kind, condition)])
        after = {"put": {"pk": "case", "sk": "head", "written": True}, "delete": None, "check": before}[kind]
        assert table.read("other", "head") == (others[0].item if others and isinstance(others[0], Put) else None)
    else:
        with pytest.raises(ConditionFailedError):
            table.commit([*others, _written(kind, condition)])
        after = before
        assert table.read("other", "head") is None
    assert table.read("case", "head") == after


def _moto_differs(request: pytest.FixtureRequest, how: str) -> None:
    if "dynamodb" in request.node.callspec.id:
        request.applymarker(pytest.mark.xfail(strict=True, reason=f"moto {how}"))


def test_an_item_without_the_attribute_does_not_equal_null(table: Table, request: pytest.FixtureRequest) -> None:
    _moto_differs(request, "takes a missing attribute for null")
    table.commit([_put()])
    for condition in (Equals("version", None), AbsentOrEquals("version", None)):
        with pytest.raises(ConditionFailedError):
            table.commit([_put(condition=condition)])


def test_text_and_structures_can_be_compared(table: Table) -> None:
    table.commit([_put(state="issued", names=["a", {"b": 1, "c": True}])])
    table.commit([Check("case", "head", Equals("state", "issued"))])
    table.commit([Check("case", "head", Equals("names", ["a", {"c": True, "b": 1}]))])
    with pytest.raises(ConditionFailedError):
        table.commit([Check("case", "head", Equals("names", ["a", {"c": False, "b": 1}]))])


def test_one_does_not_equal_true(table: Table, request: pytest.FixtureRequest) -> None:
    _moto_differs(request, "compares across types")
    table.commit([_put(version=1)])
    with pytest.raises(ConditionFailedError):
        table.commit([_put(condition=Equals("version", True))])


def test_nothing_is_written_when_one_of_many_conditions_fails(table: Table) -> None:
    table.commit([_put("a", version=1), _put("b", version=1)])
    with pytest.raises(ConditionFailedError):
        table.commit([_put("a", version=2), Delete("case", "b", Equals("version", 7)), _put("c")])
    assert table.read_partition("case") == [{"pk": "case", "sk": sk, "version": 1} for sk in ("a", "b")]


def test_no_writes_are_nothing_to_do(table: Table) -> None:
    table.commit([])
    assert table.read_partition("case") == []


def test_a_commit_holds_a_hundred_writes_and_no_more(table: Table) -> None:
    table.commit([_put(f"fact#{number}") for number in range(MAX_WRITES)])
    assert len(table.read_partition("case")) == MAX_WRITES
    with pytest.raises(ValueError, match="101 writes"):
        table.commit([_put(f"more#{number}") for number in range(MAX_WRITES + 1)])
    assert table.read_partition("case", "more#") == []


def test_two_writes_for_one_item_are_a_mistake(table: Table) -> None:
    with pytest.raises(ValueError, match="two writes for one item"):
        table.commit([_put(), Check("case", "head", Absent())])
    assert table.read("case", "head") is None


@pytest.mark.parametrize("value", [1.5, b"bytes", {1, 2}], ids=["float", "bytes", "set"])
def test_other_types_are_a_mistake(table: Table, value: object) -> None:
    with pytest.raises(TypeError, match="cannot be stored"):
        table.commit([_put(nested=[{"value": value}])])


@pytest.mark.parametrize("among_others", [False, True], ids=["alone", "in a transaction"])
@pytest.mark.parametrize(
    "write",
    [
        Put({"pk": "case", "sk": "head", "text": "x" * MAX_ITEM_BYTES}),
        Put({"pk": "", "sk": "head"}),
        Put({"pk": "case", "sk": ""}),
        Put({"pk": "case", "sk": "head", "reference": ""}),
        Put({"pk": "case", "sk": "head", "reference": 5}),
        Put({"pk": "case", "sk": "head", "n": 10**38 + 1}),
        Delete("case", ""),
    ],
    ids=["too large", "empty pk", "empty sk", "empty reference", "reference not text", "39 digits", "delete empty sk"],
)
def test_what_the_store_can_never_hold_is_parked(
    table: Table, request: pytest.FixtureRequest, write: Write, among_others: bool
) -> None:
    if any(case in request.node.callspec.id for case in ("reference not text", "39 digits", "delete empty sk")):
        _moto_differs(request, "accepts it")
    writes = [write, _put("other")] if among_others else [write]
    with pytest.raises(Park, match="table_refused_item"):
        table.commit(writes)
    assert table.read_partition("case") == []


def test_the_largest_item_fits(table: Table) -> None:
    text = "x" * (400_000 - 100)
    table.commit([_put(text=text)])
    assert table.read("case", "head") == {"pk": "case", "sk": "head", "text": text}


def test_items_are_found_by_reference_until_they_go(table: Table) -> None:
    table.commit([Put({"pk": "later case", "sk": "head", "reference": "pay_1"})])
    table.commit([_put("b", reference="pay_1", kind="b"), _put("a", reference="pay_1"), _put("c", reference="pay_2"), _put("d")])
    assert [(item["pk"], item["sk"]) for item in table.find("pay_1")] == [("case", "a"), ("case", "b"), ("later case", "head")]
    assert table.find("pay_1")[1]["kind"] == "b"
    table.commit([Delete("later case", "head")])
    table.commit([Delete("case", "a"), _put("b", reference="pay_3")])
    assert table.find("pay_1") == []
    assert [item["sk"] for item in table.find("pay_3")] == ["b"]


def test_pages_of_a_reference_hold_each_item_once(table: Any) -> None:
    for number in range(7):
        table.commit([Put({"pk": f"case-{number}", "sk": "finding", "reference": "open"})])
    table.commit([Put({"pk": "case-8", "sk": "finding", "reference": "closed"})])
    seen: list[str] = []
    page = table.page("open", None, 3)
    seen += [item["pk"] for item in page.items]
    while page.last:
        assert len(page.items) == 3
        page = table.page("open", page.last, 3)
        seen += [item["pk"] for item in page.items]
    assert sorted(seen) == [f"case-{number}" for number in range(7)]
    assert table.page("nothing", None, 3).items == []


def test_a_page_goes_on_after_an_item_that_is_gone(table: Any) -> None:
    for number in range(4):
        table.commit([Put({"pk": "case", "sk": str(number), "reference": "open"})])
    first = table.page("open", None, 2)
    table.commit([Delete("case", first.last.sk)])
    rest = table.page("open", first.last, 10)
    assert {item["sk"] for item in (*first.items, *rest.items)} == {"0", "1", "2", "3"}


def test_a_partition_is_shown_from_its_end(table: Any) -> None:
    for number in range(5):
        table.commit([_put(f"entry-{number}")])
    first = table.page_backwards("case", None, 2)
    second = table.page_backwards("case", first.last, 2)
    assert [item["sk"] for item in (*first.items, *second.items)] == ["entry-4", "entry-3", "entry-2", "entry-1"]
    assert [item["sk"] for item in table.page_backwards("case", second.last, 2).items] == ["entry-0"]


@pytest.mark.parametrize("filler", ["", "x" * 200_000], ids=["one page", "many pages"])
def test_a_scan_gives_partitions_whole_and_goes_on_from_anywhere(table: Any, filler: str) -> None:
    keys = [
        ("CASE#1", "FACT#a"),
        ("CASE#1", "HEAD"),
        ("CASE#2", "HEAD"),
        ("CASE#3", "DOC#a"),
        ("CASE#3", "HEAD"),
        ("CASE#4", "HEAD"),
    ]
    for pk, sk in [*keys, ("OWNER#1", "HEAD")]:
        table.commit([Put({"pk": pk, "sk": sk, "filler": filler})])
    found = [(item["pk"], item["sk"]) for item in table.scan(prefix="CASE#")]
    assert sorted(found) == keys
    assert len([pk for pk, _ in groupby(found, key=itemgetter(0))]) == 4
    for place, position in enumerate(found):
        assert [(item["pk"], item["sk"]) for item in table.scan(position, prefix="CASE#")] == found[place + 1 :]
