"""`quittance backfill`: what a provider's export, or our own archive, says happened, through the live pipeline."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quittance.reconciliation.report.wording import counted
from quittance.runtime.queues import Queues
from tools.backfill.checkpoint import SUFFIX, Checkpoint, fingerprint
from tools.backfill.delivery import AT_ONCE, Delivery, StalledError, Throttle, in_batches
from tools.backfill.index import Index
from tools.backfill.rehearsal import Outcome, Rehearsal, partitions_of
from tools.backfill.report import issued, line_of, show_totals, text_of
from tools.backfill.totals import Totals
from tools.commands.options import AsJson, Stack
from tools.commands.progress import counting, ticked
from tools.history import History, HistoryError, reader_of, readers
from tools.target import TargetError, chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tools.backfill.delivery import Progress as Delivered
    from tools.backfill.index import Story
    from tools.backfill.rehearsal import Judgement
    from tools.target import Target

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Source:
    """What to read, and how."""

    file: Path
    account: str | None
    form: str | None
    connection: str
    skip_bad: bool


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a history is sent."""

    per_minute: float | None
    """Messages; None: half of what the invoicing API takes."""
    in_flight: int
    waits: bool


def backfill(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The export; may be packed with gzip.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would happen. Nothing is sent or written.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Send what is new through the live pipeline.")] = False,
    account: Annotated[
        str | None,
        typer.Option(help="Whose money it is, where the file does not say: acct_..., or connection:NAME."),
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help=f"Format of the file, if it is not recognised: {', '.join(sorted(readers()))}.")
    ] = None,
    connection: Annotated[str, typer.Option(help="Endpoint whose settings count, such as Adyen's capture mode.")] = "default",
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out the lines that cannot be used, instead of doing nothing.")
    ] = False,
    per_minute: Annotated[
        float | None, typer.Option(min=1, help="Most messages a minute; half of what the invoicing API takes if not given.")
    ] = None,
    in_flight: Annotated[int, typer.Option(min=1, max=1000, help="Most payments under way at once.")] = 20,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not check at the end that everything is right.")] = False,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Bring a history into the books: exports of Stripe and Adyen, the platform's events, archives of `quittance replay --to`.

    Look first: with --dry-run, what would be created, would be credited, is right already, or contradicts what is known is
    counted, with totals per business customer, currency and tax rate. Then use --apply. It may be killed and run again at any
    time, and sends nothing that the ledger knows: a second run is empty.

    Fails if a line cannot be used, or something contradicts what is known.
    """
    if dry_run is apply:
        raise typer.BadParameter("choose one: --dry-run shows what would happen, --apply does it")
    source = Source(file, account, form, connection, skip_bad)
    with chosen(stack) as target:
        if dry_run:
            is_right = rehearsed(target, source, as_json=as_json)
        else:
            is_right = applied(target, source, Speed(per_minute, in_flight, waits=not no_wait), as_json=as_json)
    raise typer.Exit(0 if is_right else 1)


def rehearsed(target: Target, source: Source, *, as_json: bool) -> bool:
    """Show what a history would bring about. Returns whether all of it could be used and nothing contradicts what is known."""
    index = _index(target, source)
    totals = _judged(target, index, shown(as_json=as_json))
    show_totals(totals, bad_lines=index.refused, as_json=as_json)
    return not totals.payments[Outcome.CONFLICT] and not index.refused


def applied(target: Target, source: Source, speed: Speed, *, as_json: bool) -> bool:
    """Send what is new of a history. Returns as `rehearsed` does, and only once everything is right, if `speed` says to wait."""
    index = _index(target, source)
    sent = _send(target, source, index, speed)
    if not speed.waits:
        show_totals(sent, bad_lines=index.refused, as_json=as_json)
        return not sent.payments[Outcome.CONFLICT] and not index.refused
    totals = _judged(target, index, shown(as_json=as_json))
    show_totals(totals, bad_lines=index.refused, as_json=as_json)
    _say(issued(sent))
    _checkpoint_path(source).unlink(missing_ok=True)
    return not (totals.needed or totals.payments[Outcome.CONFLICT] or index.refused)


# --- reading -------------------------------------------------------------------------------------------------------------


def _index(target: Target, source: Source) -> Index:
    """The history, sorted. Raises `TargetError` if it cannot be used."""
    if not source.file.is_file():
        raise TargetError(f"{source.file}: no file, which can be read more than once")
    try:
        reader = readers()[source.form] if source.form else reader_of(source.file)
    except KeyError:
        raise typer.BadParameter(f"there is no format {source.form}; there are {', '.join(sorted(readers()))}") from None
    except HistoryError as error:
        raise TargetError(f"{source.file}: {error}") from None
    settings = target.connection_settings("adyen", source.connection) if reader.NAME.startswith("adyen") else {}
    history = History(source.file, reader, source.account, settings)
    try:
        with counting(f"reading {source.file.name} as {reader.NAME}", None) as tick:
            index = Index.of(ticked(history, tick), is_live=target.environment == "live", until=_timestamp())
    except HistoryError as error:
        raise TargetError(f"{source.file}: {error}") from None
    _say_refused(index, source)
    _say(f"{counted(index.reports, 'report')} of {counted(index.stories, 'payment or payout', 'payments and payouts')}")
    return index


def _say_refused(index: Index, source: Source) -> None:
    """List what cannot be used. Raises `TargetError` unless that is to be left out."""
    for number, error in enumerate(index.refusals()):
        if number == _SHOWN and not source.skip_bad:
            _say(f"  ... and {counted(index.refused - _SHOWN, 'more line')}")
            break
        _say(f"{source.file}: {error}")
    if index.left_out:
        _say(f"left out, because this stack invoices for real: {counted(index.left_out, 'report')} of test money")
    if index.refused and not source.skip_bad:
        raise TargetError(f"nothing was done: {counted(index.refused, 'line')} cannot be used; --skip-bad leaves such lines out")


# --- judging -------------------------------------------------------------------------------------------------------------


def rehearsal_of(target: Target) -> Rehearsal:
    return Rehearsal(
        table=target.ledger.table,
        api=target.rehearsed_space_invoices,
        stage=target.stage,
        environment=target.environment,
        now=lambda: int(time.time()),
    )


def _judged(target: Target, index: Index, show: Callable[[Judgement], None]) -> Totals:
    """Every story of the history, judged and added up."""
    rehearsal = rehearsal_of(target)
    new = rehearsal.register(index.registrations())
    totals = judged(target, rehearsal, index.told(), show, index.stories)
    totals.needed += len(new)
    return totals


def judged(
    target: Target,
    rehearsal: Rehearsal,
    stories: Iterator[Story],
    show: Callable[[Judgement], None],
    total: int | None = None,
) -> Totals:
    """These stories, of which there are `total`, judged and added up. Nothing is sent or written."""
    totals = Totals()
    with counting("comparing with the ledger", total) as tick:
        for some in in_batches(stories, AT_ONCE):
            absent = _absent(target, some)
            for story in some:
                judgement = rehearsal.judge(story, absent)
                totals.add(judgement)
                show(judgement)
                tick(1)
    return totals


def _absent(target: Target, stories: Sequence[Story]) -> frozenset[str]:
    return target.ledger.absent(pk for story in stories for pk in partitions_of(story))


# --- sending -------------------------------------------------------------------------------------------------------------


def _send(target: Target, source: Source, index: Index, speed: Speed) -> Totals:
    """Returns what was sent, added up. Raises `TargetError` when the pipeline takes nothing in any more."""
    path = _checkpoint_path(source)
    kept = Checkpoint.of(path, fingerprint(source.file, target.stack, str(source.account), str(source.form), source.connection))
    if kept.position:
        _say(f"going on after {kept.position} of {index.stories}")
    _keep(kept, path)
    totals = Totals()
    with counting("sending", index.stories, done=kept.position) as tick:
        delivery = _delivery(target, speed, kept.run, totals)
        delivery.on_progress = _follow(kept, path, tick)
        delivery.progress.position = delivery.progress.judged = kept.position
        with _stalled_in_one_line():
            registrations = delivery.rehearsal.register(index.registrations())
            totals.needed += len(registrations)
            delivery.register(registrations)
            delivery.rehearsal = rehearsal_of(target)  # one that sees the entities that were made
            delivery.run_through(index.told(kept.position))
    return totals


def judged_and_sent(target: Target, stories: Iterator[Story], speed: Speed) -> Totals:
    """Have the pipeline do what these stories call for. Raises `TargetError` when it takes nothing in any more."""
    totals = Totals()
    with counting("working out again", None) as tick, _stalled_in_one_line():
        delivery = _delivery(target, speed, uuid.uuid4().hex, totals)
        delivery.on_progress = _follow(None, None, tick)
        delivery.run_through(stories)
    return totals


def _delivery(target: Target, speed: Speed, run: str, totals: Totals) -> Delivery:
    return Delivery(
        rehearsal=rehearsal_of(target),
        send=Queues(target.client("sqs"), {name: pair.url for name, pair in target.queues.items()}).send,
        run=run,
        pace=Throttle(speed.per_minute or target.pace.per_minute),
        in_flight=speed.in_flight,
        clock=time,
        timestamp=_timestamp,
        absent=lambda stories: _absent(target, stories),
        on_judged=totals.add,
    )


@contextmanager
def _stalled_in_one_line() -> Iterator[None]:
    try:
        yield
    except StalledError as error:
        raise TargetError(str(error)) from None


def _timestamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _checkpoint_path(source: Source) -> Path:
    return source.file.with_name(source.file.name + SUFFIX)


def _keep(checkpoint: Checkpoint, path: Path) -> None:
    try:
        checkpoint.write(path)
    except OSError as error:
        raise TargetError(f"{path} cannot be written, where the progress is kept: {error.strerror}") from None


def _follow(kept: Checkpoint | None, path: Path | None, tick: Callable[..., None]) -> Callable[[Delivered], None]:
    """Keeps the checkpoint, if there is one, and the display up with the delivery."""
    reached, began = kept.position if kept else 0, time.monotonic()

    def follow(progress: Delivered) -> None:
        nonlocal reached
        minutes = max(time.monotonic() - began, 1) / 60
        tick(progress.position - reached, f"{progress.documents / minutes:.0f} documents a minute")
        if kept and path and progress.position > reached:
            _keep(replace(kept, position=progress.position), path)
        reached = progress.position

    return follow


# --- showing -------------------------------------------------------------------------------------------------------------


def shown(*, as_json: bool) -> Callable[[Judgement], None]:
    """Prints a line for every payment, or for the first of those that somebody should look at."""
    left = {Outcome.CONFLICT: _SHOWN, Outcome.WAITING: _SHOWN}

    def show(judgement: Judgement) -> None:
        if as_json:
            typer.echo(json.dumps(line_of(judgement), ensure_ascii=False))
        elif left.get(judgement.outcome, 0) > 0:
            left[judgement.outcome] -= 1
            _say(text_of(judgement))

    return show


def _say(text: str) -> None:
    typer.echo(text, err=True)
