"""`python -m tools.milestone`: bring everything up, play the scenario, prove the documents, take everything down."""

from __future__ import annotations

import secrets
import shutil
import statistics
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from quittance.errors import QuittanceError
from tools.invoicing_server import LOGS, InvoicingServer, InvoicingServerError, invoicing_server
from tools.local_stack import LocalStack, LocalStackError, free_port
from tools.local_stack.sam import BUILD as STACK_LOGS
from tools.local_stack.sam import ROOT
from tools.milestone import report
from tools.milestone.play import Player, RefusedError
from tools.milestone.proof import Check, Outcome, checks, outcome, printed_kind, rows, tax_of
from tools.milestone.scenario import FORGED, ONE_BY_ONE, REGISTERING, STORIES
from tools.signals import unwind_when_stopped
from tools.target import TargetError, target_of
from tools.waiting import WaitedTooLongError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

from tools.target import Target

RUN = ROOT / "build" / "run.json"
DOCUMENTS = ROOT / "build" / "documents"
FUNCTION_LOGS = LOGS / "functions.log"
_PATIENCE_S = 90.0
_PATIENCE_WITH_A_REAL_API_S = 900.0
"""A real sandbox allows 60 requests a minute."""
_FAILURES = (
    LocalStackError,
    InvoicingServerError,
    WaitedTooLongError,
    TargetError,
    QuittanceError,
    httpx.HTTPError,
    BotoCoreError,
    ClientError,
)
_RENDERED = {"invoice", "invoice with tax", "credit note", "credit note with tax"}
_INTERRUPTED = 130


def main() -> int:
    """Run the milestone. Returns 0 only if everything is proven right."""
    unwind_when_stopped()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    RUN.unlink(missing_ok=True)
    started = time.monotonic()

    def progress(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:6.1f} s[/dim]  {line}")

    try:
        return _bring_up_and_run(console, progress)
    except _FAILURES as error:
        console.print(f"[bold red]FAILED[/bold red]: {error}", soft_wrap=True)
        console.print(f"logs: {LOGS.relative_to(ROOT)}, {STACK_LOGS.relative_to(ROOT)}")
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; everything that was started is stopped")
        return _INTERRUPTED


def _bring_up_and_run(console: Console, progress: Callable[[str], None]) -> int:
    with invoicing_server() as server:
        progress(f"invoicing API: {'embedded sandbox at ' if server.is_embedded else ''}{server.url}")
        stack = LocalStack(
            space_invoices_url=server.url,
            space_invoices_api_key=server.api_key,
            requests_per_minute=server.requests_per_minute,
            port=free_port(),
            progress=progress,
        )
        with console.status("setting up"), stack, target_of(stack) as target:
            is_proven = _run(console, progress, target, server)
            progress("saving the functions' logs")
            _keep_function_logs(target)
            progress("stopping")
    progress("stopped")
    console.print(f"logs: {LOGS.relative_to(ROOT)}, {STACK_LOGS.relative_to(ROOT)}; the run in full: {RUN.relative_to(ROOT)}")
    return 0 if is_proven else 1


def _run(console: Console, progress: Callable[[str], None], target: Target, server: InvoicingServer) -> bool:
    """Play, prove and report. Returns whether everything is proven."""
    at, run = datetime.now(UTC), secrets.token_hex(4)
    player = Player(target, run, _PATIENCE_S if server.is_embedded else _PATIENCE_WITH_A_REAL_API_S)
    seconds, stuck, forged = _play(progress, player)
    progress("comparing what exists with what should")
    found = outcome(target)
    results = [*stuck, *checks(target, found, player.played, player.waits, forged)]
    progress("rendering documents")
    saved = _save_pdfs(target, found)
    results.append(
        Check("invoices and credit notes, with and without tax, are rendered as PDF", saved.keys() >= _RENDERED, str([*saved]))
    )
    table = rows(target, found, player.played, player.waited)
    median = statistics.median(seconds) if seconds else None
    details: dict[str, Any] = {
        "run": run,
        "started_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": round((datetime.now(UTC) - at).total_seconds(), 1),
        "space_invoices_url": server.url,
        "embedded_sandbox": server.is_embedded,
        "timings": {"event_to_document_median_s": median, "event_to_document_s": seconds},
        "pdfs": [str(path.relative_to(ROOT)) for path in saved.values()],
    }
    report.write_run(RUN, table, found, results, details)
    report.print_table(console, table, player.waited)
    report.print_reconciliation(console, found, results, median)
    console.print(f"documents to look at: {', '.join(details['pdfs'])}", soft_wrap=True)
    return all(result.passed for result in results)


def _play(progress: Callable[[str], None], player: Player) -> tuple[list[float], list[Check], int]:
    """Play everything. Getting stuck ends the playing, not the report."""
    forged = 0
    try:
        progress(f"registering {len(REGISTERING.rounds[0])} business customers")
        player.play([REGISTERING])
        forged = player.send_forged(FORGED)
        count = sum(len(deliveries) for story in STORIES for deliveries in story.rounds)
        progress(f"playing {len(STORIES)} stories in {count} deliveries")
        player.play(STORIES)
        progress(f"playing {len(ONE_BY_ONE.documents)} payments one at a time")
        return player.time_one_by_one(ONE_BY_ONE), [], forged
    except (RefusedError, WaitedTooLongError) as error:
        return [], [Check("everything is accepted and worked off in time", passed=False, detail=str(error))], forged


def _save_pdfs(target: Target, found: Outcome) -> dict[str, Path]:
    """The first document of each kind, and the first of each that has taxes."""
    shutil.rmtree(DOCUMENTS, ignore_errors=True)
    DOCUMENTS.mkdir(parents=True)
    saved: dict[str, Path] = {}
    for document in found.documents:
        kind = printed_kind(document) + (" with tax" if tax_of(document) else "")
        if kind not in saved:
            path = DOCUMENTS / f"{kind.replace(' ', '-')}-{document['number'].replace('/', '-')}.pdf"
            path.write_bytes(target.space_invoices.pdf(document["id"], entity_id=document["entity_id"]))
            saved[kind] = path
    return saved


def _keep_function_logs(target: Target) -> None:
    """What the functions logged is gone with the emulator, so it is saved first."""
    logs = target.client("logs")
    groups = [
        group["logGroupName"] for page in logs.get_paginator("describe_log_groups").paginate() for group in page["logGroups"]
    ]
    with FUNCTION_LOGS.open("w", encoding="utf-8") as output:
        for group in groups:
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
                output.writelines(f"{group} {event['message'].rstrip()}\n" for event in page["events"])


if __name__ == "__main__":
    sys.exit(main())
