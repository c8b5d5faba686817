"""How far something has come: a bar for a person at a terminal, a line now and then for a log."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_T = TypeVar("_T")
_LINE_EVERY_S = 10
_AT_ONCE = 100


@contextmanager
def counting(what: str, total: int | None, *, done: int = 0) -> Iterator[Callable[..., None]]:
    """Call what it gives with how many more are done, and perhaps a note. Of an unknown `total` there is no end in sight."""
    if sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total, completed=done, note="")
            yield lambda count, note="": bar.update(task, advance=count, note=note)
    else:
        yield _by_lines(what, total, done)


def _by_lines(what: str, total: int | None, done: int) -> Callable[..., None]:
    began = said = time.monotonic()
    reached = done

    def tick(count: int, note: str = "") -> None:
        nonlocal said, reached
        reached += count
        now = time.monotonic()
        if now - said >= _LINE_EVERY_S:
            said = now
            left = f", {_minutes((now - began) / (reached - done) * (total - reached))} left" if total and reached > done else ""
            typer.echo(f"{what}: {reached:,}{f' of {total:,}' if total else ''}{f', {note}' if note else ''}{left}", err=True)

    return tick


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


def ticked(things: Iterable[_T], tick: Callable[..., None]) -> Iterator[_T]:
    """The same things. Of many, a few at a time are counted, because drawing a bar may take longer than a thing does."""
    for number, thing in enumerate(things, 1):
        if not number % _AT_ONCE:
            tick(_AT_ONCE)
        yield thing
