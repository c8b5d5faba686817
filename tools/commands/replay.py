"""`quittance replay`: recorded payments worked out again, or their facts written into an archive."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quittance.errors import Reject
from quittance.facts import fact_from_json
from quittance.ledger import CASE_PREFIX, case_names
from quittance.providers.payload import utc_instant
from quittance.reconciliation.report.wording import counted
from quittance.registration import customer_pk
from tools.backfill.index import Entry, Story
from tools.backfill.rehearsal import Outcome
from tools.backfill.report import show_totals
from tools.commands.backfill import Source, Speed, applied, judged, judged_and_sent, rehearsal_of, rehearsed, shown
from tools.commands.options import AsJson, Stack
from tools.history.archive import CONCLUDED, line_of
from tools.target import Target, TargetError, chosen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from quittance.facts import Fact
    from quittance.ledger import CaseFile
    from tools.ledger_view import LedgerView


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which part of the ledger."""

    ids: tuple[str, ...]
    business_customer: str | None
    since: str | None


def replay(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID|FILE]...", help="Payments, or anything that leads to them; or one archive.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All payments of the ledger.")] = False,
    business_customer: Annotated[str | None, typer.Option(help="The payments of this business customer.")] = None,
    since: Annotated[str | None, typer.Option(help="Payments to which something happened since, such as 2026-11-01.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would happen. Nothing is sent or written.")] = False,
    to: Annotated[Path | None, typer.Option("--to", dir_okay=False, help="Write their facts into this archive instead.")] = None,
    per_minute: Annotated[float | None, typer.Option(min=1, help="Most messages a minute, as of `quittance backfill`.")] = None,
    in_flight: Annotated[int, typer.Option(min=1, max=1000, help="Most payments under way at once.")] = 20,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Have payments worked out again from the facts that the ledger holds of them, through the live pipeline.

    Harmless at any time: what is right already is not touched, and says so. Of use when what a payment waited for has come, or
    when messages were lost. After the ledger was set back to a backup run `quittance reconcile` first: of documents that were
    issued since, it knows nothing.

    With --to FILE nothing is sent. The facts, all of them unless some are chosen, are written into an archive, registrations
    first, from which `quittance replay FILE` or `quittance backfill FILE --apply` feeds another stack. Its invoicing account must
    be another one too, or still have none of these documents. An archive holds what the payments say about people.
    """
    source = _archive(ids or [])
    part = Chosen(tuple(ids or ()), business_customer, _instant(since))
    ways = sum(map(bool, (part.ids, part.business_customer or part.since, every)))
    if ways > 1 or not (ways or to):
        raise typer.BadParameter("say which payments: ID..., --business-customer, --since; or --all for the whole ledger")
    if to and dry_run:
        raise typer.BadParameter("--to sends nothing anyhow; leave out --dry-run")
    speed = Speed(per_minute, in_flight, waits=True)
    with chosen(stack) as target:
        if to:
            typer.echo(f"{to}: {counted(_write(target.ledger, part, to), 'fact')}", err=True)
            return
        if source and dry_run:
            is_right = rehearsed(target, source, as_json=as_json)
        elif source:
            is_right = applied(target, source, speed, as_json=as_json)
        else:
            _work_out(target, part, None if dry_run else speed, as_json=as_json)
            is_right = True
    raise typer.Exit(0 if is_right else 1)


def _archive(ids: list[str]) -> Source | None:
    """The archive, if a file is named. Raises `typer.BadParameter` for a file among other things."""
    files = [name for name in ids if Path(name).is_file()]
    if files and len(ids) > 1:
        raise typer.BadParameter("name one archive, or payments")
    return Source(Path(files[0]), None, None, "default", skip_bad=False) if files else None


def _instant(day: str | None) -> str | None:
    if day is None:
        return None
    try:
        return utc_instant(day if "T" in day else f"{day}T00:00:00Z")
    except (Reject, ValueError):
        raise typer.BadParameter(f"{day} is no day such as 2026-11-01", param_hint="--since") from None


# --- working out again ---------------------------------------------------------------------------------------------------


def _work_out(target: Target, part: Chosen, speed: Speed | None, *, as_json: bool) -> None:
    """Without a `speed` it is only rehearsed."""
    cases = _of_ids(target.ledger, part.ids) if part.ids else _all(target.ledger, part)
    stories = (_story(position, case) for position, case in enumerate(cases, 1))
    if speed:
        totals = judged_and_sent(target, stories, speed)
    else:
        totals = judged(target, rehearsal_of(target), stories, shown(as_json=as_json))
    show_totals(totals, as_json=as_json)
    count = totals.payments.total()
    if count == totals.payments[Outcome.ALREADY_RIGHT] and not as_json:
        outcome = "nothing changed" if speed else "nothing would change"
        typer.echo(f"{outcome}: {counted(count, 'payment')} looked at, all as it should be")


def _story(position: int, case: CaseFile) -> Story:
    facts = sorted(case.facts.values(), key=lambda fact: (fact.occurred_at, fact.identity))
    return Story(position, tuple(Entry(fact, case.event_ids[fact.identity], 0) for fact in facts))


def _of_ids(view: LedgerView, ids: Iterable[str]) -> Iterator[CaseFile]:
    """Every payment that one of these ids leads to, once. Raises `TargetError` for an id that leads nowhere."""
    told: set[str] = set()
    for some_id in ids:
        items = view.find(some_id) or view.search(some_id)
        cases = [view.case(*case_names(item["pk"])) for item in items if item["pk"].startswith(CASE_PREFIX)]
        if not any(case.facts for case in cases):
            raise TargetError(f"the ledger knows no payment {some_id}")
        for case in cases:
            if case.facts and case.pk not in told:
                told.add(case.pk)
                yield case


def _all(view: LedgerView, part: Chosen) -> Iterator[CaseFile]:
    for case in view.cases():
        customer = view.customer_of(case)
        is_theirs = part.business_customer in {None, customer.id if customer else None}
        if case.facts and is_theirs and any(part.since is None or fact.latest_at >= part.since for fact in case.facts.values()):
            yield case


# --- writing an archive --------------------------------------------------------------------------------------------------


def _write(view: LedgerView, part: Chosen, path: Path) -> int:
    """Write the facts of a part of the ledger, all or nothing. Returns how many there are."""
    beside = path.with_name(f"{path.name}.new")
    beside.touch(mode=0o600)
    count = 0
    with gzip.open(beside, "wt", encoding="utf-8") if path.suffix == ".gz" else beside.open("w", encoding="utf-8") as file:
        for fact, event_id in _facts(view, part):
            file.write(f"{line_of(fact, event_id)}\n")
            count += 1
    beside.replace(path)
    return count


def _facts(view: LedgerView, part: Chosen) -> Iterator[tuple[Fact, str]]:
    """Registrations first, then everything else, in the order in which the table is read."""
    if not part.ids:
        yield from _registrations(view, part)
    cases = _of_ids(view, part.ids) if part.ids else _all(view, part)
    for case in cases:
        for identity, fact in case.facts.items():
            if fact.type not in CONCLUDED:
                yield fact, case.event_ids[identity]


def _registrations(view: LedgerView, part: Chosen) -> Iterator[tuple[Fact, str]]:
    for customer_id in sorted(view.entities()) if part.business_customer is None else [part.business_customer]:
        for item in view.table.read_partition(customer_pk(customer_id), "FACT#"):
            yield fact_from_json(item["fact"]), item["event_id"]
