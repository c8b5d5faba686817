"""The runbook of findings says what the product does with them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quittance.reconciliation.finding_classes import CLASSES, DAYS, HOURS
from quittance.reconciliation.results import RepairMode

RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbooks" / "findings.md").read_text(encoding="utf-8")
REPAIRS = {RepairMode.AUTOMATIC: "auto", RepairMode.WITH_APPROVAL: "ask", RepairMode.NEVER: "no"}
AGES = {0: "at once", 2 * HOURS: "2 hours", 1 * DAYS: "1 day", 7 * DAYS: "7 days"}


def table(heading: str) -> dict[str, list[str]]:
    """Code -> the other cells of its row."""
    section = RUNBOOK.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {code: [cell.strip() for cell in cells] for first, *cells in rows for code in re.findall(r"`(\w+)`", first)}


def test_every_finding_is_in_the_runbook_and_no_other() -> None:
    headings = ("About a business customer", "About a payment", "Found by a reconciliation")
    described = {code for heading in headings for code in table(heading)}
    elsewhere = {code for code in CLASSES if f"`{code}`" in RUNBOOK.partition("\n## ")[0]}
    assert described | elsewhere == set(CLASSES)


@pytest.mark.parametrize("code", [code for code, known in CLASSES.items() if not known.is_kept_elsewhere])
def test_the_runbook_says_when_it_counts_and_who_may_repair_it(code: str) -> None:
    _, age, repair = table("Found by a reconciliation")[code]
    assert (age, repair) == (AGES[CLASSES[code].age_s], REPAIRS[CLASSES[code].repair])
