"""A backlog of 5,000 payments against an API that allows 600 requests a minute: how much of the allowance is used, and who waits.

The real worker, ledger, client and sandbox in ten functions at once, in virtual time: exact, and the same on every machine.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table

from benchmarks.figures import Figure, Measured
from tests.use_cases.backlog import Backlog, Drained

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PER_MINUTE = 600
PAYMENTS = 5000
OUTAGE_S = 7200
SMALL_CUSTOMERS = 20
PAYMENTS_OF_A_SMALL_ONE = 5
_USED_AT_LEAST = 0.95
_BACKLOG = f"backlog of {PAYMENTS:,} payments at {PER_MINUTE} requests a minute (one large customer, many, after an outage)"
_USED, _WRONG = f"{_BACKLOG}: share of the allowance used", "the same: lost, doubled or dead"


def measure(*, quick: bool, known: Mapping[str, Any]) -> Measured:  # noqa: ARG001 - as every part has it
    scale = 50 if quick else 1
    logging.disable(logging.WARNING)
    try:
        drained = {name: _backlog(name, scale).drain() for name in ("one large customer", "many customers", "after an outage")}
    finally:
        logging.disable(logging.NOTSET)
    figures = [figure for name, result in drained.items() for figure in _figures(name, result, PAYMENTS // scale)]
    return Measured(figures, {name: asdict(result) for name, result in drained.items()}, [_table(drained)])


def _backlog(name: str, scale: int) -> Backlog:
    per_minute, payments = PER_MINUTE // scale, PAYMENTS // scale
    if name == "many customers":
        each = PAYMENTS_OF_A_SMALL_ONE
        return Backlog({f"bc_{number}": (each, 0) for number in range(payments // each)}, per_minute=per_minute)
    small = {f"bc_small_{number}": (PAYMENTS_OF_A_SMALL_ONE, 90) for number in range(SMALL_CUSTOMERS // scale)}
    large = payments - PAYMENTS_OF_A_SMALL_ONE * len(small)
    outage_s = OUTAGE_S if name == "after an outage" else 0
    return Backlog({"bc_large": (large, 0)} | small, per_minute=per_minute, outage_s=outage_s)


def _figures(name: str, drained: Drained, payments: int) -> Iterator[Figure]:
    yield Figure(f"backlog, {name}: share of the allowance used", drained.used, at_least=_USED_AT_LEAST).under(_USED)
    wrong = abs(drained.documents - payments) + drained.dead_letters
    yield Figure(f"backlog, {name}: lost, doubled or dead", wrong, at_most=0).under(_WRONG)
    yield Figure(f"backlog, {name}: requests refused ÷ documents", drained.refused / payments, at_most=0.05)
    small = [wait for customer, wait in drained.worst_wait_s.items() if customer.startswith("bc_small")]
    if small:
        yield Figure(f"backlog, {name}: worst wait of a small customer, seconds", max(small))


def _table(drained: Mapping[str, Drained]) -> Table:
    title = f"{PAYMENTS:,} payments at {PER_MINUTE} requests a minute"
    table = Table("backlog", title=title, title_justify="left")
    for column in ("seconds", "used", "429s", "receives", "most", "asked together", "worst wait", "of a small one"):
        table.add_column(column, justify="right")
    for name, result in drained.items():
        waits = result.worst_wait_s
        small = max((wait for customer, wait in waits.items() if customer.startswith("bc_small")), default=None)
        table.add_row(
            name,
            f"{result.seconds:.0f}",
            f"{result.used:.1%}",
            str(result.refused),
            f"{result.receives:.1f}",
            str(result.receives_max),
            f"{result.asked_together:,}",
            f"{max(waits.values()):.0f} s",
            "" if small is None else f"{small:.0f} s",
        )
    return table
