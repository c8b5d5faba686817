"""`make bench` measures what it is asked to, writes it down, and says so when a target is missed."""

from __future__ import annotations

import json
import re
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks import __main__ as bench
from benchmarks.charts import Bar, Panel, svg
from benchmarks.figures import Figure, Measured, Unavailable, ratio
from benchmarks.history import FEW
from benchmarks.pages import PAGES, TABLES
from benchmarks.peers import under_faults
from benchmarks.warm_worker import in_a_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


ROOT = bench.ROOT


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "BUILD", tmp_path / "build")
    monkeypatch.setattr(bench, "CHARTS", tmp_path / "charts")
    (tmp_path / "docs").mkdir()
    for page in PAGES:
        (tmp_path / page).write_text("above\n<!-- measured: cost -->\nas it was\n<!-- end -->\nbelow\n")


def _plant(monkeypatch: pytest.MonkeyPatch, name: str, measure: Callable[..., Measured]) -> None:
    part = ModuleType(f"benchmarks.{name}")
    part.measure = measure  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, part.__name__, part)


def _plant_figure(monkeypatch: pytest.MonkeyPatch, name: str, **figure: Any) -> None:
    _plant(monkeypatch, name, lambda **_: Measured([Figure(f"{name} figure", **figure)], {"of": name}))


def _written(tmp_path: Path) -> Any:
    return json.loads((tmp_path / "build" / "bench.json").read_text())


def test_the_counts_of_the_steady_state_meet_their_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--quick", "--only", "events"]) == 0
    [figures] = [
        part["figures"] for part in json.loads((tmp_path / "build/bench-quick/bench.json").read_text())["parts"].values()
    ]
    requests = next(figure for figure in figures if figure["name"] == "invoicing requests per issued document")
    assert requests["value"] == 1
    assert requests["target"] == {"at_most": 1.0, "met": True}
    assert "invoicing requests per issued document" in capsys.readouterr().out
    assert not (tmp_path / "charts").exists(), "what is quick is not shown"


@pytest.mark.parametrize(
    ("figure", "status"),
    [
        ({"value": 1.0, "at_most": 1.0}, 0),
        ({"value": 1.1, "at_most": 1.0}, 1),
        ({"value": 0.95, "at_least": 0.95}, 0),
        ({"value": 0.94, "at_least": 0.95}, 1),
        ({"value": 1e9}, 0),
    ],
)
def test_a_missed_target_makes_it_fail(figure: dict[str, Any], status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _plant_figure(monkeypatch, "events", **figure)
    assert bench.main(["--only", "events"]) == status


def test_what_is_measured_alone_stands_beside_what_was_measured_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _plant_figure(monkeypatch, "events", value=1.0)
    _plant_figure(monkeypatch, "history", value=2.0, at_most=3.0)
    bench.main(["--only", "events"])
    bench.main(["--only", "history"])
    parts = _written(tmp_path)["parts"]
    assert {name: part["figures"][0]["value"] for name, part in parts.items()} == {"events": 1.0, "history": 2.0}
    assert "history figure 2.00 ≤ 3" in (tmp_path / "charts" / "targets.svg").read_text()


def test_pages_show_what_was_measured_and_keep_what_was_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _plant_figure(monkeypatch, "events", value=1.0)
    bench.main(["--only", "events"])
    pages = [tmp_path / page for page in PAGES]
    assert all("as it was" in page.read_text() for page in pages)
    _plant(monkeypatch, "cost", lambda **_: Measured([], {"usd_per_thousand": {"SQS": 0.5, "Lambda": 0.25}}))
    bench.main(["--only", "cost"])
    rows = ["| SQS | 0.5000 |", "| Lambda | 0.2500 |", "| **all** | **0.750** |"]
    shown = [page.read_text().splitlines() for page in pages]
    assert all(lines[0] == "above" and lines[4:7] == rows and lines[7:] == ["<!-- end -->", "below"] for lines in shown), shown


def test_every_table_is_on_a_page() -> None:
    marked = {name for page in PAGES for name in re.findall(r"<!-- measured: (\w+) -->", (ROOT / page).read_text())}
    assert marked == set(TABLES)


def test_a_part_that_cannot_be_measured_here_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(**_: object) -> Measured:
        raise Unavailable("no server")

    _plant(monkeypatch, "peers", measure)
    assert bench.main(["--only", "peers"]) == 0
    assert _written(tmp_path)["parts"]["peers"]["unavailable"] == "no server"


def test_an_event_brings_about_as_much_traffic_after_a_long_history_as_after_a_short_one() -> None:
    measured = in_a_process("benchmarks.history", 2, 3 * FEW)
    assert measured["many_bytes"] == measured["few_bytes"]
    assert measured["payments"] == 3 * FEW


def test_faults_bring_no_duplicates_to_us_and_some_to_the_pattern_without_keys() -> None:
    books = under_faults(60)
    assert {name: book["duplicates"] > 0 for name, book in books.items()} == {
        "Quittance": False,
        "Powertools pattern": True,
        "the same with API keys of idempotency": False,
    }
    assert all(book["faults"] and not book["missing"] for book in books.values())


def test_a_ratio_is_one_of_medians_and_its_spread_one_of_pairs() -> None:
    figure = ratio("r", [2.0, 4.0, 9.0], [1.0, 4.0, 3.0])
    assert figure.value == pytest.approx(4 / 3)
    assert figure.spread == (1.0, 2.0, 3.0)


def test_a_chart_is_xml_that_says_its_figures_as_text() -> None:
    drawn = svg([Panel("A & B", [Bar("one <", 3.0, "3 ms"), Bar("two", 0.0, "0 ms")], mark=4.0)])
    root = ET.fromstring(drawn)  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title") == "A & B: one < 3 ms; two 0 ms"
    assert len(root.findall(f"{space}rect")) == 2
