"""The product beside what else there is, in one run on one machine, in turns.

dj-stripe takes webhooks in and stores their objects; it issues no documents. The pattern after Powertools' documentation does
what the product does: see `powertools_pattern`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rich.table import Table

from benchmarks.cold_start import ENVIRONMENT
from benchmarks.figures import Figure, Measured, Unavailable, ratio, shown
from benchmarks.peers import postgresql

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Series = Mapping[str, list[dict[str, float]]]

ROOT = Path(__file__).parents[2]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
VENV = ROOT / "build" / "bench" / "dj-stripe"
ROUNDS, QUICK_ROUNDS = 7, 1
EVENTS, QUICK_EVENTS, WARM_UP = 400, 30, 20
PAYMENTS, QUICK_PAYMENTS = 1_000, 40
"""Under faults."""
_TIMEOUT_S = 600
OURS, PATTERN = "Quittance", "Powertools pattern"


def measure(*, quick: bool, known: object) -> Measured:  # noqa: ARG001 - every part is asked alike
    """CPU per event and events per second in turns; then duplicates under faults, which are counts."""
    python = _python_of_dj_stripe()
    lacking: dict[str, str] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        events = _events(folder / "events.json", QUICK_EVENTS if quick else EVENTS)
        runs = {OURS: _pipeline("quittance", events), PATTERN: _pipeline("powertools", events)}
        runs["dj-stripe, SQLite"] = _dj_stripe(python, events, lambda turn: f"sqlite:{folder / turn}.sqlite3")
        try:
            socket = stack.enter_context(postgresql.server())
            place = lambda turn: f"postgresql:{postgresql.create_database(socket, turn)}"  # noqa: E731 - as the one above
            runs["dj-stripe, PostgreSQL"] = _dj_stripe(python, events, place)
        except Unavailable as lack:
            lacking["dj-stripe, PostgreSQL"] = str(lack)
        rounds = QUICK_ROUNDS if quick else ROUNDS
        series: Series = {name: [] for name in runs}
        for turn in range(rounds):
            for place_in, (name, run) in enumerate(runs.items()):
                series[name].append(run(f"turn_{turn}_{place_in}"))
    books = under_faults(QUICK_PAYMENTS if quick else PAYMENTS)
    rows = _contestants(series, books)
    return Measured(_figures(series, books), {"contestants": rows, "lacking": lacking}, [_table(rows)])


def _python_of_dj_stripe() -> Path:
    """An environment of its own: what it needs is none of the project's business."""
    python, stamp = VENV / "bin" / "python", VENV / ".installed"
    if stamp.exists() and stamp.read_text() == REQUIREMENTS.read_text():
        return python
    shutil.rmtree(VENV, ignore_errors=True)
    uv = Path(sys.executable).with_name("uv")
    install: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", REQUIREMENTS]
    create: list[str | Path] = [uv, "venv", "--quiet", "--python", sys.executable, VENV]
    for command in (create, install):
        if subprocess.run(command, timeout=_TIMEOUT_S, check=False).returncode:  # noqa: S603 - the locked installer
            raise Unavailable("dj-stripe could not be installed")
    stamp.write_text(REQUIREMENTS.read_text())
    return python


def _events(file: Path, number: int) -> Path:
    """Deliveries of Stripe, each of another payment and another buyer."""
    text = (ROOT / "events" / "stripe" / "payment_intent.succeeded.json").read_text()
    events = [json.loads(text.replace("Harbour0001", f"Bench{n:06}")) for n in range(number + WARM_UP)]
    for n, event in enumerate(events):
        event["data"]["object"]["receipt_email"] = f"buyer{n}@example.com"
    file.write_text(json.dumps(events))
    return file


def _pipeline(name: str, events: Path) -> Callable[[str], dict[str, float]]:
    command: list[str | Path] = [sys.executable, "-m", "benchmarks.peers.pipelines", name, events, str(WARM_UP)]
    environment = {**os.environ, **ENVIRONMENT}
    environment.pop("AWS_ENDPOINT_URL", None)
    return lambda _turn: _result(command, environment, events.parent / "result.json")


def _dj_stripe(python: Path, events: Path, place: Callable[[str], str]) -> Callable[[str], dict[str, float]]:
    program = Path(__file__).with_name("dj_stripe.py")
    environment = {"PATH": os.environ.get("PATH", "")}
    return lambda turn: _result([python, program, place(turn), events, str(WARM_UP)], environment, events.parent / "result.json")


def _result(command: list[str | Path], environment: dict[str, str], result: Path) -> dict[str, float]:
    result.unlink(missing_ok=True)
    subprocess.run(  # noqa: S603 - our own programs
        [*command, result], env=environment, stdout=subprocess.DEVNULL, cwd=ROOT, check=True, timeout=_TIMEOUT_S
    )
    measured: dict[str, float] = json.loads(result.read_text())
    return measured


def under_faults(payments: int) -> dict[str, dict[str, Any]]:
    """The books of each contestant after so many payments, made in an environment in which functions find what they need."""
    command = [sys.executable, "-m", "benchmarks.peers.faults", str(payments)]
    with TemporaryDirectory() as folder:
        books: dict[str, Any] = _result([*command], {**os.environ, **ENVIRONMENT}, Path(folder) / "result.json")
    return books


def _figures(series: Series, books: Mapping[str, Mapping[str, Any]]) -> list[Figure]:
    ours = [one["cpu_ms"] for one in series[OURS]]
    figures = [
        ratio(f"CPU from webhook to document ÷ {name}", ours, [one["cpu_ms"] for one in theirs])
        for name, theirs in series.items()
        if name != OURS
    ]
    counts = ("duplicates", "missing", "not_paid")
    return figures + [Figure(f"under faults, documents {name.replace('_', ' ')}", books[OURS][name], 0.0) for name in counts]


def _contestants(series: Series, books: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for name in dict.fromkeys([*series, *books]):
        row: dict[str, Any] = {"name": name}
        for unit in ("cpu_ms", "per_second") if name in series else ():
            row[unit] = median(one[unit] for one in series[name])
        if name in series and "dj-stripe" not in name:
            row["requests_per_document"] = series[name][0]["requests"]
        if name in books:
            row["under_faults"] = books[name]
            row["duplicates_per_thousand"] = 1000 * books[name]["duplicates"] / books[name]["payments"]
        rows.append(row)
    return rows


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("", title="From the webhook on, beside others", title_justify="left")
    columns = {
        "cpu_ms": "CPU ms per event",
        "per_second": "events per second",
        "requests_per_document": "API requests per document",
        "duplicates_per_thousand": "duplicates per 1,000 under faults",
    }
    for title in columns.values():
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(row["name"], *(shown(row[name]) if name in row else "" for name in columns))
    return table
