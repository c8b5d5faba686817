"""Lists: filters, search, order and pages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.sandbox_driver import UNHURRIED, Api
from tools.sandbox.faults import LookupLag, Match
from tools.sandbox.settings import Settings


@pytest.fixture(scope="module")
def api() -> Api:
    api = Api()
    days = ("2026-11-01", "2026-11-10", "2026-11-20")
    for position, (day, gross) in enumerate(zip(days, (10, 20.5, 30), strict=True)):
        customer = {"name": f"Ada {position}", "city": "Köln"} if position else None
        payments = [{"type": "card"}] if position == 1 else []
        metadata = {"order": f"o{position}", "day": day}
        api.invoice(gross, date=day, customer=customer, metadata=metadata, payments=payments)
        api.clock.advance(1)
    return api


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"metadata": {"order": {"equals": "o1"}}}, [1]),
        ({"metadata": {"order": "o1"}}, [1]),
        ({"metadata.order": {"equals": "o1"}}, [1]),
        ({"metadata.order": "o1"}, [1]),
        ({"metadata": {"order": {"in": ["o0", "o2"]}}}, [0, 2]),
        ({"metadata": {"order": "o1", "day": "2026-11-01"}}, []),
        ({"metadata.day": "2026-11-01"}, [0]),
        ({"metadata.unknown": {"equals": None}}, [0, 1, 2]),
        ({"number": "2026-00002"}, [1]),
        ({"number": {"not": "2026-00002"}}, [0, 2]),
        ({"number": {"contains": "0003"}}, [2]),
        ({"number": {"startsWith": "2026"}, "paid_in_full": True}, [1]),
        ({"number": {"endsWith": "1"}}, [0]),
        ({"number": {"notIn": ["2026-00001"]}}, [1, 2]),
        ({"total_with_tax": {"gt": 20.5}}, [2]),
        ({"total_with_tax": {"gte": 20.5}}, [1, 2]),
        ({"total_with_tax": {"lt": 20.5}}, [0]),
        ({"total_with_tax": {"lte": 20.5, "gt": 10}}, [1]),
        ({"total_with_tax": {"between": [10, 20.5]}}, [0, 1]),
        ({"total_with_tax": 30.0}, [2]),
        ({"total_with_tax": {"gt": "20"}}, []),
        ({"paid_in_full": {"equals": False}, "voided_at": {"equals": None}}, [0, 2]),
        ({"paid_in_full": 1}, []),
        ({"date": "2026-11-10"}, [1]),
        ({"date": {"between": ["2026-11-01", "2026-11-10"]}}, [0, 1]),
        ({"date": {"lte": "2026-11-10T00:00:00Z"}}, [0, 1]),
        ({"created_at": {"gte": "2026-11-20T12:00:02"}}, [2]),
        ({"customer.name": {"contains": "ADA"}}, [1, 2]),
        ({"items.name": {"equals": "Annual plan"}}, [0, 1, 2]),
        ({}, [0, 1, 2]),
    ],
)
def test_queries(api: Api, query: dict[str, Any], found: list[int]) -> None:
    everything = api.ids("/invoices")
    assert api.ids("/invoices", query=json.dumps(query)) == [everything[position] for position in found]


def test_search_looks_into_all_texts(api: Api) -> None:
    everything = api.ids("/invoices")
    assert api.ids("/invoices", search="KÖLN") == everything[1:]
    assert api.ids("/invoices", search="o2") == everything[2:]
    assert api.ids("/invoices", search="nothing like it") == []


def test_order(api: Api) -> None:
    everything = api.ids("/invoices")
    assert api.ids("/invoices", order_by="-created_at") == everything[::-1]
    assert api.ids("/invoices", order_by="-total_with_tax") == everything[::-1]
    assert api.ids("/invoices", order_by="customer.name") == [everything[1], everything[2], everything[0]]
    both = (("order_by", "-paid_in_full"), ("order_by", "-date"))
    reply = api.call("GET", "/invoices", query=both).json
    assert [record["id"] for record in reply["data"]] == [everything[1], everything[2], everything[0]]


def test_the_count_can_be_left_out(api: Api) -> None:
    assert api.get("/invoices", limit="1")["pagination"]["total"] == 3
    assert api.get("/invoices", limit="1", include_total_count="false")["pagination"]["total"] == -1


@pytest.mark.parametrize(("spelling", "ignored"), [("nested", {"metadata.order": "o"}), ("dotted", {"metadata": {"order": "o"}})])
def test_a_spelling_that_is_switched_off_filters_nothing(spelling: Any, ignored: dict[str, Any]) -> None:
    api = Api(Settings(rate_limits=None, metadata_queries=(spelling,)))
    api.invoice(metadata={"order": "x"})
    assert len(api.ids("/invoices", query=json.dumps(ignored))) == 1
    known = {"metadata": {"order": "o"}} if spelling == "nested" else {"metadata.order": "o"}
    assert api.ids("/invoices", query=json.dumps(known)) == []


def test_a_cursor_belongs_to_its_ordering(api: Api) -> None:
    cursor = api.get("/invoices", limit="1", order_by="date")["pagination"]["next_cursor"]
    assert api.call("GET", "/invoices", query={"next_cursor": cursor, "order_by": "-date"}).status == 400


def test_a_lookup_can_lag_behind() -> None:
    api = Api()
    old = api.invoice()["id"]
    api.clock.advance(10)
    api.invoice()
    api.sandbox.faults.add(LookupLag(kind="lookup_lag", seconds=5, match=Match(path_prefix="/invoices")))
    assert api.ids("/invoices") == [old]
    assert len(api.ids("/invoices")) == 2


_pages = st.tuples(
    st.lists(st.sampled_from([10, 20, 30.5]), max_size=12),
    st.integers(1, 5),
    st.lists(st.sampled_from(["total_with_tax", "-total_with_tax", "-created_at", "customer.name", "-number"]), max_size=2),
)


@UNHURRIED
@given(_pages)
def test_pages_visit_everything_once_in_both_directions(case: tuple[list[float], int, list[str]]) -> None:
    totals, limit, order = case
    api = Api()
    for total in totals:
        api.invoice(total)
    whole = api.call("GET", "/invoices", query=[("limit", "100"), *(("order_by", name) for name in order)]).json
    expected = [record["id"] for record in whole["data"]]
    forwards, cursor = _walk(api, limit, order, "next_cursor", None)
    assert forwards == expected
    if cursor:
        backwards, _ = _walk(api, limit, order, "prev_cursor", cursor)
        assert sorted(backwards) == sorted(expected[: len(backwards)])


def _walk(api: Api, limit: int, order: list[str], direction: str, cursor: str | None) -> tuple[list[str], str | None]:
    """Follows cursors to the end; gives the ids seen, and the cursor that leads back."""
    seen: list[str] = []
    back = "prev_cursor" if direction == "next_cursor" else "next_cursor"
    while True:
        query = [("limit", str(limit)), *(("order_by", name) for name in order)]
        page = api.call("GET", "/invoices", query=[*query, (direction, cursor)] if cursor else query).json
        seen += [record["id"] for record in page["data"]]
        assert len(page["data"]) <= limit
        assert page["pagination"]["has_more"] == (page["pagination"]["next_cursor"] is not None)
        cursor = page["pagination"][direction]
        if cursor is None:
            return seen, page["pagination"][back]


@UNHURRIED
@given(st.integers(1, 4), st.lists(st.booleans(), min_size=1, max_size=6))
def test_what_is_created_or_deleted_between_pages_hides_and_repeats_nothing(limit: int, changes: list[bool]) -> None:
    api = Api()
    drafts = [api.invoice(is_draft=True)["id"] for _ in range(8)]
    seen: list[str] = []
    cursor = None
    while True:
        query = {"limit": str(limit)} | ({"next_cursor": cursor} if cursor else {})
        page = api.get("/invoices", **query)
        seen += [record["id"] for record in page["data"]]
        cursor = page["pagination"]["next_cursor"]
        if cursor is None:
            break
        if not changes:
            continue
        if changes.pop():
            api.call("DELETE", f"/documents/{seen[-1]}", query={"type": "invoice"})
        else:
            api.invoice()
    assert len(seen) == len(set(seen))
    assert set(drafts) <= set(seen)
