"""The ledger's table with its failures: slow, throttled, contended, and answers that get lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from quittance.errors import Retry
from quittance.storage import AnyState, ConditionFailedError, Delete, Item, Put, Write, check_writes
from tests.fakes.memory_table import MemoryTable, _holds, _stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.world import World


class SimulatedTable(MemoryTable):
    """A `MemoryTable` with its items grouped by partition, whose every call passes through the world."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._partitions: dict[str, dict[str, str]] = {}

    def read(self, pk: str, sk: str) -> Item | None:
        fault = self._world.enter("table.read", pk)
        _refuse_if_busy(fault)
        item = self._load(pk, sk)
        self._world.leave("table.read", fault)
        return item

    def read_partition(self, pk: str, sk_prefix: str = "") -> list[Item]:
        fault = self._world.enter("table.read", pk)
        _refuse_if_busy(fault)
        found = self.partition(pk, sk_prefix)
        self._world.leave("table.read", fault)
        return found

    def commit(self, writes: Sequence[Write]) -> None:
        check_writes(writes)
        stored = [(write.pk, write.sk, _stored(write.item)) for write in writes if isinstance(write, Put)]
        fault = self._world.enter("table.commit", " ".join(write.sk for write in writes))
        _refuse_if_busy(fault)
        if not self._hold(writes):
            self._world.leave("table.commit", fault, "condition failed")
            raise ConditionFailedError
        for pk, sk, text in stored:
            self._partitions.setdefault(pk, {})[sk] = text
        for write in writes:
            if isinstance(write, Delete):
                self._partitions.get(write.pk, {}).pop(write.sk, None)
        self._world.leave("table.commit", fault)
        if fault == "lost-commit":
            raise Retry("table_busy")
        if fault == "repeated-commit" and not self._hold(writes):
            raise ConditionFailedError  # the SDK repeated a commit whose answer it had lost, and met what that commit had done

    def _hold(self, writes: Sequence[Write]) -> bool:
        conditioned = [write for write in writes if not isinstance(write.condition, AnyState)]
        return all(_holds(write.condition, self._load(write.pk, write.sk)) for write in conditioned)

    def find(self, reference: str) -> list[Item]:
        fault = self._world.enter("table.read", reference)
        _refuse_if_busy(fault)
        found = [item for item in self.items() if item.get("reference") == reference]
        self._world.leave("table.read", fault)
        return found

    def partition(self, pk: str, sk_prefix: str = "") -> list[Item]:
        """What a partition holds, without passing through the world."""
        held = self._partitions.get(pk, {})
        texts = [held[sk] for sk in sorted(held) if sk.startswith(sk_prefix)]
        found: list[Item] = json.loads(f"[{','.join(texts)}]")
        return found

    def items(self) -> list[Item]:
        return [item for pk in sorted(self._partitions) for item in self.partition(pk)]

    def _load(self, pk: str, sk: str) -> Item | None:
        text = self._partitions.get(pk, {}).get(sk)
        return json.loads(text) if text is not None else None


class QuietTable(MemoryTable):
    """The same items for the checks, which nothing disturbs."""

    def __init__(self, table: SimulatedTable) -> None:
        super().__init__()
        self._table = table

    def read(self, pk: str, sk: str) -> Item | None:
        return self._table._load(pk, sk)

    def read_partition(self, pk: str, sk_prefix: str = "") -> list[Item]:
        return self._table.partition(pk, sk_prefix)

    def items(self) -> list[Item]:
        return self._table.items()


def _refuse_if_busy(fault: str) -> None:
    if fault in {"throttled", "conflict"}:
        raise Retry("table_busy")
