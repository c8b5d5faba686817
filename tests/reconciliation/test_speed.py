"""What takes memory or time does not grow faster than the ledger. `make bench` measures a million payments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks.reconciliation import MEMORY_RATIO, in_a_process, template

if TYPE_CHECKING:
    from pathlib import Path

FEW, MANY = 5_000, 40_000


@pytest.mark.timeout(180)
def test_many_payments_take_no_more_memory_and_each_no_more_time(tmp_path: Path) -> None:
    file = tmp_path / "template.json"
    file.write_text(json.dumps(template()), encoding="utf-8")
    few, many = in_a_process(FEW, file), in_a_process(MANY, file)
    assert many["peak_rss_mib"] <= MEMORY_RATIO * few["peak_rss_mib"]
    assert many["per_second"] >= few["per_second"] / 2, "half: other processes share the machine"
