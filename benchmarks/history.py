"""What a payment costs with a thousand payments in the ledger, and with a million: it must be the same.

A payment is processed by the real worker, and whatever it left anywhere in the table is copied for every other payment of the
history. Run as `python -m benchmarks.history RESULT ROUNDS` with its standard output thrown away.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Measured, ratio
from benchmarks.warm_worker import Services, answered_by, in_a_process, message_of, real_handler, record, register
from quittance.facts import Fact, FactType
from quittance.money import Money

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.warm_worker import Record

FEW, MANY, QUICK_MANY = 1_000, 1_000_000, 10_000
TARGET = 1.1
ROUNDS, QUICK_ROUNDS = 41, 2
EVENTS = 20
"""New payments in a round, and as many refunds of old ones."""
_OLD = 10_000_000
"""The number of the payment that is copied: no other holds its digits."""
_COPIES = _OLD + 1


class LongLedger(Services):
    """Services that remember so many payments. What one of them left in partitions of its own is made when it is asked for."""

    def __init__(self, payments: int) -> None:
        super().__init__()
        self._owned: dict[str, int] = {}
        self._templates: dict[str, dict[str, Any]] = {}
        answered_by(self)
        register(self)
        self.handle = real_handler(self, FactType.PAYMENT_SUCCEEDED, FactType.REFUND_SUCCEEDED)
        self.handle(record(0))  # what a warm worker has behind it
        before = {(pk, sk) for pk, items in self._partitions.items() for sk in items}
        self.handle(record(_OLD))
        self._copy({(pk, sk) for pk, items in self._partitions.items() for sk in items} - before, payments)

    def _copy(self, left: set[tuple[str, str]], payments: int) -> None:
        for pk, sk in left:
            if str(_OLD) in pk:
                self._templates.setdefault(pk, {})[sk] = self._partitions[pk][sk]
                continue
            for number in range(_COPIES, _COPIES + payments):
                self._partitions[pk][_named(sk, number)] = self._partitions[pk][sk]
        for pk in self._templates:
            self._owned |= {_named(pk, number): number for number in range(_COPIES, _COPIES + payments)}

    def _Query(self, parameters: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        pk = parameters["ExpressionAttributeValues"][":pk"]["S"]
        if (number := self._owned.pop(pk, None)) is not None:
            template = self._templates[pk.replace(str(number), str(_OLD))]
            self._partitions[pk] = json.loads(_named(json.dumps(template), number))
        return super()._Query(parameters)


def _named(text: str, number: int) -> str:
    return text.replace(str(_OLD), str(number))


def measure(*, quick: bool, known: object) -> Measured:  # noqa: ARG001 - every part is asked alike
    """Processor time with many payments over that with few, and the calls of both, which must be the same."""
    measured = in_a_process("benchmarks.history", QUICK_ROUNDS if quick else ROUNDS, QUICK_MANY if quick else MANY)
    name = f"one event, CPU with {measured['payments']:,} payments in the ledger ÷ with {FEW:,}"
    sent = ratio("the same, bytes to and from the services", measured["many_bytes"], measured["few_bytes"], 1.01)
    figures = [ratio(name, measured["many_ms"], measured["few_ms"], TARGET).under(name), sent]
    return Measured(figures, {name: median(measured[name]) for name in ("many_ms", "few_ms", "many_bytes", "few_bytes")})


def compare(rounds: int, payments: int) -> dict[str, Any]:
    """So many rounds with a long ledger and a short one in turns."""
    ledgers = {"few": LongLedger(FEW), "many": LongLedger(payments)}
    gc.collect()
    gc.freeze()  # else the collector walks the longer history, which in life is in DynamoDB
    result: dict[str, list[float]] = {f"{name}_{unit}": [] for name in ledgers for unit in ("ms", "bytes")}
    chosen = random.Random(1)  # noqa: S311 - nothing is secret
    old = {"few": chosen.sample(range(FEW), FEW), "many": chosen.sample(range(payments), FEW)}
    for turn in range(min(rounds, FEW // EVENTS - 1) + 1):
        for name, ledger in ledgers.items():
            mine = slice(turn * EVENTS, (turn + 1) * EVENTS)
            events = [*map(_new, range(mine.start, mine.stop)), *(_refund(_COPIES + number) for number in old[name][mine])]
            spent, sent = _spent(ledger.handle, ledger, events)
            if turn:  # the first one only warms up
                result[f"{name}_ms"].append(spent)
                result[f"{name}_bytes"].append(sent)
    return {"payments": payments, **result}


def _new(number: int) -> Record:
    return record(40_000_000 + number)


def _refund(number: int) -> Record:
    payment = f"pay_{number}"
    fact = Fact(
        type=FactType.REFUND_SUCCEEDED,
        provider="stripe",
        account="acct_1",
        key=f"re_{number}",
        payment_id=payment,
        occurred_at="2026-11-21T10:00:00Z",
        amount=Money(345, "EUR"),
    )
    return message_of(fact)


def _spent(handle: Callable[[Record], None], services: Services, events: list[Record]) -> tuple[float, float]:
    """Milliseconds of processor time and bytes, for one event."""
    before = services.bytes, services.invoices
    started = time.process_time()
    for one in events:
        handle(one)
    spent = time.process_time() - started
    if services.invoices - before[1] != len(events):
        raise AssertionError(f"{services.invoices - before[1]} documents for {len(events)} events")
    return 1000 * spent / len(events), (services.bytes - before[0]) / len(events)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(compare(int(sys.argv[2]), int(sys.argv[3]))))
