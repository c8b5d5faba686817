"""`quittance redrive`: dead letters back to their queue."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from quittance.runtime.redrive import DeadLetters, Pace, Redriven, Wanted
from tools.commands.options import AsJson, Stack
from tools.target import chosen

if TYPE_CHECKING:
    from collections import Counter

    from quittance.runtime.letters import Kind

_LOOKS_FOR_S = 120.0
_TOLD_EVERY = 100


def redrive(
    queue: Annotated[
        str | None, typer.Argument(help="Function whose dead letters to send again, e.g. payment_succeeded.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="The dead letters of every function.")] = False,
    cause: Annotated[str | None, typer.Option(help="Only letters given up for this, e.g. api_refused_key.")] = None,
    business_customer: Annotated[str | None, typer.Option(help="Only letters about this business customer.")] = None,
    per_minute: Annotated[
        int | None, typer.Option(min=1, help="Most letters a minute; half of the invoicing API's allowance if not given.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be sent.")] = False,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters to their queue again, each in the order of its payment, the business customers in turns.

    Sent first and deleted afterwards: a letter may be handled twice, which is harmless, but is never lost. New payments go first:
    letters wait while the queues are full. Stopped at any moment, it goes on where it was when it is run again. Fails if letters
    came back at once, because their cause is still there.
    """
    if (queue is not None and every) or not (queue or every or cause or business_customer):
        raise typer.BadParameter("name a queue, or give --all, --cause or --business-customer")
    wanted = Wanted(function=queue, cause=cause, business_customer=business_customer)
    with chosen(stack) as target:
        if queue is not None and queue not in target.queues:
            raise typer.BadParameter(f"there is no queue {queue}; there are {', '.join(sorted(target.queues))}")
        pace = Pace(per_minute=per_minute) if per_minute else target.pace
        letters = DeadLetters(target.client("sqs"), target.queues.values(), target.ledger.owner)
        found = letters.overview(wanted, within_s=_LOOKS_FOR_S).kinds
        _show(found, as_json=as_json)
        if dry_run or not found:
            return
        result = _redriven(letters, wanted, pace, found.total())
    _tell(result, as_json=as_json)
    raise typer.Exit(1 if result.came_back or not result.is_complete else 0)


def _redriven(letters: DeadLetters, wanted: Wanted, pace: Pace, expected: int) -> Redriven:
    if not sys.stderr.isatty():
        return letters.redrive(wanted, pace=pace, told=_by_lines())
    columns = TextColumn("sent again"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=expected)
        # Letters that stood behind others of their payment come into sight on the way.
        return letters.redrive(
            wanted, pace=pace, told=lambda sent: progress.update(task, completed=sent, total=max(sent, expected))
        )


def _by_lines() -> Any:  # noqa: ANN401 - a function
    told = 0

    def tell(sent: int) -> None:
        nonlocal told
        if sent - told >= _TOLD_EVERY:
            told = sent
            typer.echo(f"{sent} sent again", err=True)

    return tell


def _show(kinds: Counter[Kind], *, as_json: bool) -> None:
    if as_json:
        for kind, count in sorted(kinds.items()):
            typer.echo(json.dumps(kind._asdict() | {"letters": count}))
        return
    if not kinds:
        typer.echo("no dead letters")
        return
    table = Table("function", "cause", "business customer", box=None, header_style="bold", pad_edge=False)
    table.add_column("letters", justify="right")
    for kind, count in sorted(kinds.items()):
        table.add_row(kind.function, kind.cause, kind.business_customer or "(unknown)", f"{count:,}")
    Console().print(table)


def _tell(result: Redriven, *, as_json: bool) -> None:
    sent, came_back = result.sent.total(), result.came_back
    if as_json:
        typer.echo(json.dumps({"sent": sent, "came_back": came_back, "complete": result.is_complete}))
        return
    typer.echo(f"{sent:,} sent again" + (f"; {came_back:,} came back: their cause is still there" if came_back else ""))
    if not result.is_complete:
        typer.echo("more are left: run it again")
