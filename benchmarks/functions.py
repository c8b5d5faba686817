"""Each built function under AWS's runtime interface emulator: how long it takes to be ready, and what it takes under load.

It has the environment that the local stack gives it, whose tables, queues, buckets and stand-ins are all its cloud; the stack's
own functions rest meanwhile. The part fails when a function does not do the work that it is given.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rich.table import Table

from benchmarks import lambda_runtime
from benchmarks.cold_start import PLAIN, built_copy, folders_of, plain_libraries
from benchmarks.figures import Figure, Measured, ratio
from benchmarks.loads import Loads
from quittance.fee_closing import SETTLE_S
from quittance.ledger import WAITING
from tools.invoicing_server import sandbox
from tools.local_stack import LocalStack, free_port
from tools.local_stack.emulator import CREDENTIALS
from tools.target import target_of
from tools.traffic import dead_letters
from tools.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tools.target import Target

ROUNDS, QUICK_ROUNDS = 5, 1
EVENTS, QUICK_EVENTS = 60, 5
"""Of each kind."""
SHARE_MAX = 0.5
"""Of its memory that a function may take under load: the rest is for bodies and answers larger than these."""
_TIMED = {
    "Ingest": "for name in ('sqs', 'ssm'): boto3.client(name)",
    "PaymentSucceeded": "import httpx, pydantic\nfor name in ('dynamodb', 'ssm'): boto3.client(name)",
}
"""Those whose start is compared: with what an empty handler needs that loads their libraries."""
_OPTIONAL = "EventReceived"
"""A stack has it only where it is asked for. Then it has what every worker has, and ingest's queues."""


def measure(*, quick: bool, known: object) -> Measured:  # noqa: ARG001 - every part is asked alike
    """Memory of every function, and the start of those that somebody waits for."""
    lambda_runtime.require()
    plain_libraries()
    with ExitStack() as running:
        built = running.enter_context(built_copy())
        server = running.enter_context(sandbox("--rate-limit", "1000000"))
        local = running.enter_context(
            LocalStack(
                space_invoices_url=server.url,
                space_invoices_api_key=server.api_key,
                requests_per_minute=1_000_000,
                port=free_port(),
            )
        )
        target = running.enter_context(target_of(local))
        _rest(target)
        loads = Loads(local, target, QUICK_EVENTS if quick else EVENTS).of
        if (names := {path.name.removesuffix("Function") for path in built.glob("*Function")}) != loads.keys():
            raise AssertionError(f"without a load, or not built: {names ^ loads.keys()}")
        rows = [_row(name, built, target, load()) for name, load in loads.items()]
        _require_all_done(target)
        folder = Path(running.enter_context(TemporaryDirectory()))
        starts = {name: _start(name, built, folder, target, QUICK_ROUNDS if quick else ROUNDS) for name in _TIMED}
    for row in rows:
        if start := starts.get(row["function"]):
            row["init_ms"] = start.details["ours_median"]  # of several
    figures = [*starts.values()]
    shares = {row["function"]: row["peak_mib"] / row["memory_mb"] for row in rows}
    largest = max(shares, key=shares.__getitem__)
    figures.append(
        Figure("largest share of its memory that a function takes", shares[largest], SHARE_MAX, details={"of": largest})
    )
    return Measured(figures, {"functions": rows}, [_table(rows)])


def _rest(target: Target) -> None:
    """The stack's own functions take nothing any more."""
    functions = target.client("lambda")
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)


def _configuration(name: str, target: Target) -> tuple[int, dict[str, str]]:
    """The function's MemorySize, and its environment as Lambda makes it."""
    known = "PaymentSucceeded" if name == _OPTIONAL else name
    found = target.client("lambda").get_function_configuration(FunctionName=f"{target.stack}-{known}")
    queues = {"QUEUE_URLS": target.output("QueueUrls")} if name == _OPTIONAL else {}
    of_lambda = {"NAME": f"{target.stack}-{name}", "TIMEOUT": found["Timeout"], "MEMORY_SIZE": found["MemorySize"]}
    named = {f"AWS_LAMBDA_FUNCTION_{key}": str(value) for key, value in of_lambda.items()}
    return found["MemorySize"], found["Environment"]["Variables"] | CREDENTIALS | named | queues


def _row(name: str, built: Path, target: Target, load: Iterable[dict[str, Any]]) -> dict[str, Any]:
    memory_mb, environment = _configuration(name, target)
    given_back, handled = [], 0
    with lambda_runtime.ready(folders_of(f"{name}Function", built), environment) as function:

        def is_done(event: dict[str, Any]) -> bool:
            answer = function.invoke(event) or {}
            if _is_idle(answer):
                raise AssertionError(f"{name} did not do its work: {answer}")
            return not answer.get("batchItemFailures")

        for event in load:
            handled += len(event.get("Records", [event]))
            given_back += [] if is_done(event) else [event]
        # As from a queue it comes again: a month of fees is only shut at first, and summed up when that was some seconds ago.
        wait_for(f"{name} to do its work", lambda: all(map(is_done, given_back)), seconds=3 * SETTLE_S, every_s=SETTLE_S)
        return {
            "function": name,
            "memory_mb": memory_mb,
            "init_ms": function.init_ms,
            "init_mib": function.init_mib,
            "peak_mib": function.peak_mib,
            "cpu_ms": (function.spent_ms - function.init_ms) / handled,
            "events": handled,
        }


def _is_idle(answer: Mapping[str, Any]) -> bool:
    """Whether it raised, refused, or found nothing to do."""
    is_refusal = "errorType" in answer or answer.get("statusCode", 200) >= 400  # noqa: PLR2004 - HTTP's errors
    return is_refusal or answer.get("state", "finished") != "finished" or 0 in {answer.get("anchored"), answer.get("asked")}


def _require_all_done(target: Target) -> None:
    """What a worker gives up, or leaves for later, it does not give back."""
    begun = [case.id for case in target.ledger.cases() if case.pending()]
    left = {"given up": dead_letters(target), "begun": begun, "waiting": target.ledger.find(WAITING)}
    if any(left.values()):
        raise AssertionError(f"not all was done: {left}")


def _start(name: str, built: Path, folder: Path, target: Target, rounds: int) -> Figure:
    """The whole start, interpreter and runtime client included, over that of an empty handler with the same libraries."""
    empty = folder / name
    empty.mkdir()
    (empty / "app.py").write_text(f"import boto3\n{_TIMED[name]}\ndef handler(event, context): return {{}}\n")
    _, environment = _configuration(name, target)

    def init_ms(folders: Sequence[str]) -> float:
        with lambda_runtime.ready(folders, environment) as function:
            return function.init_ms

    pairs = [(init_ms(folders_of(f"{name}Function", built)), init_ms([str(empty), str(PLAIN)])) for _ in range(rounds)]
    ours, theirs = zip(*pairs, strict=True)
    title = f"start of {name} under the runtime client, CPU ms ÷ an empty handler with its libraries"
    return ratio(title, ours, theirs)


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("function", title="Functions under the runtime interface emulator", title_justify="left")
    for title in ("MemorySize", "MiB at start", "MiB under load", "start, CPU ms", "CPU ms per event", "events"):
        table.add_column(title, justify="right")
    for row in rows:
        values = (row["memory_mb"], row["init_mib"], row["peak_mib"], row["init_ms"])
        table.add_row(row["function"], *(f"{value:.0f}" for value in values), f"{row['cpu_ms']:.2f}", str(row["events"]))
    return table
