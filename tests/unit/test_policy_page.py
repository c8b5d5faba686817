"""The page on policies: every example on it is played, with the plan alone and against the sandbox."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from quittance.policy import Policy, TaxPolicy
from tests.cases.playing import by_plan, expected, in_sandbox
from tests.cases.reading import Story, paper_of

PAGE = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
_EXAMPLE = re.compile(r"```json\n(?P<events>.*?)```(?P<after>.*?)(?=```json|\Z)", re.DOTALL)


def _examples() -> list[Story]:
    return [_story(match, number) for number, match in enumerate(_EXAMPLE.finditer(PAGE), 1)]


def _story(match: re.Match[str], number: int) -> Story:
    before = PAGE[: match.start()]
    section = before.rpartition("\n#")[2]
    events = list(_objects(match["events"]))
    registrations = [one["data"] for one in events if one["type"] == "business_customer.created"]
    own = next(one for one in registrations if "role" not in one)
    platform = next((one for one in registrations if "role" in one), None)
    after = match["after"].partition("\n#")[0]
    return Story(
        name=f"{number} {section.splitlines()[0].strip('# ')}",
        seller={"country": own["country"]},
        policy=own["policy"],
        platform=platform and {"country": platform["country"], "policy": platform["policy"]},
        registry=dict(re.findall(r"^Registry: (\S+) (.+)$", section, re.MULTILINE)),
        taxes={},
        events=[_event(one) for one in events if one["type"] != "business_customer.created"],
        papers=[paper_of(row) for row in _rows(after)],
        waiting=re.findall(r"^Waiting: (.+)$", after, re.MULTILINE),
        findings=re.findall(r"^Findings: (.+)$", after, re.MULTILINE),
        emails=int((re.findall(r"^E-mails: (\d+)$", after, re.MULTILINE) or ["0"])[0]),
    )


def _objects(text: str) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder()
    place = 0
    while place < len(text.rstrip()):
        one, place = decoder.raw_decode(text, place)
        yield one
        place += len(text[place:]) - len(text[place:].lstrip())


def _event(event: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    if event["type"] == "business_customer.updated":
        return event["time"], "policy", event["data"]["policy"]
    return event["time"], event["type"], event["data"]


def _rows(text: str) -> Iterator[dict[str, Any]]:
    """The rows of the table, in the words of a case."""
    table = [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines() if row.startswith("|")]
    for cells in table[2:]:
        row: dict[str, Any] = {name: cell for name, cell in zip(table[0], cells, strict=True) if cell}
        row[row.pop("document")] = row.pop("date")
        row["lines"] = row["lines"].split(", ")
        row |= {"credits": int(row["credits"])} if "credits" in row else {}
        row |= {"draft": True} if "draft" in row else {}
        yield row


EXAMPLES = _examples()


@pytest.mark.parametrize("story", EXAMPLES, ids=lambda story: story.name)
def test_an_example_gives_the_documents_beside_it(story: Story) -> None:
    assert by_plan(story) == expected(story)
    assert in_sandbox(story) == expected(story)


def test_the_page_has_an_example_for_every_rule() -> None:
    used = {name for story in EXAMPLES for name in (story.policy or {})}
    used |= {name for story in EXAMPLES for name in (story.policy or {}).get("tax", {})}
    told = set(re.findall(r"`([a-z_]+)`", PAGE))
    without_example = {"version", "effective_from", "finalize_on", "fee_invoices", "eu_business"}  # told, or in an update
    for policy in (Policy, TaxPolicy):
        assert {one.name for one in fields(policy)} <= used | without_example
        assert {one.name for one in fields(policy)} <= told
