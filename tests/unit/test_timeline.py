"""The picture of a payment: everything is on it, in the order of time, and nothing personal."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from quittance.errors import QuittanceError
from quittance.explanation import explain_case
from quittance.facts import Payer
from quittance.ledger import Ledger
from quittance.plan import plan
from quittance.registration import read_customer
from tests.unit.stories import fact, refund, succeeded
from tests.use_cases.world import World
from tools.timeline import save_timeline, timeline_svg
from tools.timeline.scene import Scene, between, scene_of

if TYPE_CHECKING:
    from pathlib import Path

SVG = "{http://www.w3.org/2000/svg}"
BUYER = Payer(name="Wilhelmina Murray", email="mina@example.com", country="DE")


@pytest.fixture(scope="module")
def explained() -> dict[str, Any]:
    """A payment whose first request failed, settled, refunded weeks later, and told about by several events."""
    world = World()
    world.register(policy={"send_email": True})
    world.sandbox.faults.add_json({"kind": "status", "status": 503, "match": {"method": "POST"}})
    paid = succeeded(11900, payer=BUYER)
    with pytest.raises(QuittanceError):
        world.take(paid)
    world.seconds += 30
    world.take(paid)
    world.converger().take(succeeded(9900), "evt_other")
    world.take(fact("payment.settled", "pay_1", 11690, occurrence="po_1", occurred_at="2026-11-23T06:00:00Z"))
    world.seconds += 30 * 86400
    world.take(refund("re_1", 2500, occurred_at="2026-12-20T09:00:00Z"))
    case = Ledger(world.table).open("stripe", "acct_1", ["pay_1"], join=False)
    customer = read_customer(world.table, "bc_1")
    assert customer
    return explain_case(case, customer, plan(case.as_case(), customer), Ledger(world.table).reports(case))


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ET.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314 - our own drawing


def boxes(scene: Scene) -> dict[str, Any]:
    return {box.key: box for row in scene.rows for lane in row.boxes.values() for box in lane}


def test_everything_has_its_lane(explained: dict[str, Any]) -> None:
    lanes = {key: box.lane for key, box in boxes(scene_of(explained)).items()}
    assert lanes["payment.succeeded#pay_1"] == lanes["refund.succeeded#re_1"] == "facts"
    assert lanes["payment.settled#pay_1#po_1"] == "payouts"
    assert lanes["document invoice:payment:pay_1"] == lanes["document credit_note:refund:re_1"] == "documents"
    assert sum(lane == "calls" for lane in lanes.values()) == sum(
        len({call["at"] for call in one["calls"]}) for one in explained["documents"]
    )


def test_what_was_acknowledged_is_drawn_as_that(explained: dict[str, Any]) -> None:
    [finding] = explained["findings"]
    assert any(text.startswith("Finding: conflict") for text in texts(timeline_svg(explained)))
    given = {"at": "2026-12-21T09:00:00Z", "by": "finance", "reason": "the second report was wrong"}
    drawn = texts(timeline_svg(explained | {"findings": [finding | {"acknowledged": given}]}))
    assert any(text.startswith("Acknowledged: conflict") for text in drawn)
    assert not any(text.startswith("Finding") for text in drawn)


def test_rows_run_with_time(explained: dict[str, Any]) -> None:
    moments = [row.at for row in scene_of(explained).rows]
    assert moments == sorted(set(moments), key=lambda at: at or 0)
    assert len(moments) > 5


def test_arrows_lead_from_a_fact_to_its_document_and_on_to_what_corrects_it(explained: dict[str, Any]) -> None:
    arrows = {(arrow.source, arrow.target) for arrow in scene_of(explained).arrows if arrow.has_head}
    invoice, note = "document invoice:payment:pay_1", "document credit_note:refund:re_1"
    assert {("payment.succeeded#pay_1", invoice), ("refund.succeeded#re_1", note), (invoice, note)} <= arrows


def test_amounts_numbers_times_and_failures_are_readable(explained: dict[str, Any]) -> None:
    shown = " ".join(texts(timeline_svg(explained)))
    for words in (
        "119.00 EUR",
        "25.00 EUR",
        "2026-12-20",
        "POST /invoices 503",
        "contradicted (amount 99.00 EUR) by evt_other",
        "in po_1",
    ):
        assert words in shown
    for document in explained["documents"]:
        assert (document["number"] or "Email") in shown


def test_nothing_personal_is_drawn(explained: dict[str, Any]) -> None:
    svg = timeline_svg(explained)
    assert "Murray" not in svg
    assert "mina" not in svg


def test_boxes_of_a_lane_never_overlap(explained: dict[str, Any]) -> None:
    placed = [
        tuple(float(one.attrib[name]) for name in ("x", "y", "height"))
        for one in ET.fromstring(timeline_svg(explained)).iter(f"{SVG}rect")  # noqa: S314 - our own drawing
        if one.attrib.get("rx") == "5"
    ]
    assert len(placed) == len(boxes(scene_of(explained)))
    for x in {one[0] for one in placed}:
        lane = sorted(one[1:] for one in placed if one[0] == x)
        assert all(y + height < next_y for (y, height), (next_y, _) in pairwise(lane))


def test_what_is_too_long_for_the_picture_is_cut_in_its_middle(explained: dict[str, Any]) -> None:
    narrow = explained | {"documents": [one | {"calls": []} for one in explained["documents"]]}
    (short,) = [words for words in texts(timeline_svg(narrow)) if words.startswith("stripe acct_1")]
    waits = [{"fact": f"refund.succeeded#{'r' * 240}", "for": "payment"}]
    shown = texts(timeline_svg(narrow | {"also_known_as": [f"ch_{'x' * 60}"] * 4, "waiting": waits, "payment_id": "p" * 250}))
    assert short.endswith("documents stand at 94.00 EUR")
    (subtitle,) = [words for words in shown if words.startswith("stripe acct_1")]
    assert subtitle.endswith("documents stand at 94.00 EUR")
    assert sum("\N{HORIZONTAL ELLIPSIS}" in words for words in shown) == 3


def test_what_is_missing_is_last_and_dashed(explained: dict[str, Any]) -> None:
    (note,) = [one for one in explained["documents"] if one["kind"] == "credit_note"]
    others = [one for one in explained["documents"] if one["refers_to"] != note["key"] and one is not note]
    scene = scene_of(explained | {"documents": others, "missing": [note]})
    last = scene.rows[-1]
    assert last.at is None
    assert [(box.key, box.is_dashed) for box in last.boxes["documents"]] == [(f"document {note['key']}", True)]
    assert "not yet" in texts(timeline_svg(explained | {"documents": others, "missing": [note]}))


def test_markup_in_an_id_is_shown_and_not_obeyed(explained: dict[str, Any]) -> None:
    svg = timeline_svg(explained | {"payment_id": '<script>"&'})
    assert "<script>" not in svg
    assert 'Payment <script>"&' in texts(svg)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (4, "4 s"),
        (90, "1 min 30 s"),
        (7800, "2 h 10 min"),
        (86400, "1 d"),
        (12 * 86400 + 3 * 3600 + 5, "12 d 3 h"),
        (86405, "1 d"),
    ],
)
def test_time_between(seconds: int, words: str) -> None:
    assert between(1000, 1000 + seconds) == words


def test_it_is_saved_as_svg_or_png(explained: dict[str, Any], tmp_path: Path) -> None:
    save_timeline(explained, tmp_path / "payment.svg")
    save_timeline(explained, tmp_path / "payment.png")
    assert (tmp_path / "payment.svg").read_text(encoding="utf-8") == timeline_svg(explained)
    assert (tmp_path / "payment.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"not as \.pdf"):
        save_timeline(explained, tmp_path / "payment.pdf")
