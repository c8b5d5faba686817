"""Every case of the table, with the plan alone and against the model of the invoicing API: documents right to the cent."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

import pytest

from tests.cases.playing import by_plan, expected, in_sandbox, in_sandbox_after_a_loss, planned
from tests.cases.reading import Paper, Story, stories

STORIES = stories()
ENOUGH = 120


def _named(story: Story) -> str:
    return story.name


def test_there_are_enough_cases_and_each_has_a_name_of_its_own() -> None:
    assert len(STORIES) >= ENOUGH
    assert len({story.name for story in STORIES}) == len(STORIES)


@pytest.mark.parametrize("story", STORIES, ids=_named)
def test_the_plan_is_what_an_accountant_expects(story: Story) -> None:
    assert by_plan(story) == expected(story)


@pytest.mark.parametrize("story", STORIES, ids=_named)
def test_the_invoicing_api_holds_what_an_accountant_expects(story: Story) -> None:
    assert in_sandbox(story) == expected(story)


@pytest.mark.parametrize("story", STORIES, ids=_named)
def test_a_lost_ledger_issues_nothing_twice(story: Story) -> None:
    assert in_sandbox_after_a_loss(story, lambda facts: facts) == expected(story)


def _is_authorized_first(story: Story) -> bool:
    """What is captured before its authorization is told has an invoice of its own, so after a loss the order matters."""
    return any(kind == "payment.authorized" for _, kind, _ in story.events)


@pytest.mark.parametrize(
    "story", [story for story in STORIES if story.in_any_order and not _is_authorized_first(story)], ids=_named
)
def test_a_lost_ledger_issues_nothing_twice_when_all_is_told_backwards(story: Story) -> None:
    again = in_sandbox_after_a_loss(story, lambda facts: facts[::-1])
    assert totals(again.papers) == totals(expected(story).papers)


@pytest.mark.parametrize("story", [story for story in STORIES if story.in_any_order], ids=_named)
def test_the_order_of_arrival_does_not_change_the_totals(story: Story) -> None:
    told = totals(planned(story).papers())
    assert totals(planned(story, lambda facts: facts[::-1]).papers()) == told
    assert totals(planned(story, lambda facts: facts[1::2] + facts[::2]).papers()) == told


def totals(papers: list[Paper]) -> dict[tuple[str, str, Decimal | None], tuple[Decimal, Decimal, Decimal]]:
    """What is invoiced less what is credited, by issuer, currency and rate: gross, net and tax."""
    sums: dict[tuple[str, str, Decimal | None], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    for paper in papers:
        sign = 1 if paper.kind == "invoice" else -1
        for line in paper.lines:
            held = sums[paper.issuer, paper.currency, line.rate]
            held[:] = [before + sign * now for before, now in zip(held, (line.gross, line.net, line.tax), strict=True)]
    return {name: (one[0], one[1], one[2]) for name, one in sums.items() if any(one)}
