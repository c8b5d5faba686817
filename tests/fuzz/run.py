"""Many inputs over all processors, and what they came to."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.fuzz.corpus import without_samples
from tests.fuzz.deliveries import request
from tests.fuzz.ingress import Ingress
from tests.fuzz.oracle import violations
from tests.fuzz.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHUNK = 250
WARM_UP = 500
"""Inputs of one process after which what it keeps is kept for good: compiled schemas, connections, modules."""
BLOCKS_MAX = 20_000
"""How many small objects more there may be at the end than after the warm-up, per process: a thousand unknown connections, which
are remembered for half a minute, are some of them. One object kept per input is more than that in a run of CI's size."""
BYTES_MAX = 48 * 1024 * 1024
"""The same for its memory as the operating system sees it, which the largest bodies move by some megabytes."""


class Failure(NamedTuple):
    """An input that was not answered as it must be."""

    seed: int
    fault: str


class Memory(NamedTuple):
    """What a process holds, in small objects and in bytes."""

    blocks: int
    resident: int


@dataclass(slots=True)
class Tally:
    """What a range of inputs came to."""

    process: int
    inputs: int = 0
    failures: list[Failure] = field(default_factory=list)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    facts: Counter[str] = field(default_factory=Counter)
    held: Memory = field(default_factory=lambda: Memory(0, 0))


def fuzzed(seeds: range, ingress: Ingress, workers: Workers) -> Tally:
    """Every input of `seeds`, in this process."""
    tally = Tally(os.getpid(), len(seeds))
    for seed in seeds:
        asked = request(seed)
        outcome, faults = violations(seed, asked, ingress, workers)
        status = outcome.response.get("statusCode", 0) if isinstance(outcome.response, dict) else 0
        tally.answers[asked.kind, status] += 1
        tally.facts.update(sent.queue for sent in outcome.sent)
        tally.failures += [Failure(seed, f"{asked.kind} {asked.provider}: {fault}") for fault in faults[:1]]
    tally.held = _held()
    return tally


@cache
def _instance() -> tuple[Ingress, Workers]:
    return Ingress(), Workers()


def _fuzzed(seeds: range) -> Tally:
    return fuzzed(seeds, *_instance())


def chunks(seeds: range) -> list[range]:
    return [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]


def tallies(seeds: range, jobs: int) -> Iterator[Tally]:
    """Over `jobs` processes, each with a function of its own."""
    if jobs == 1:
        yield from map(_fuzzed, chunks(seeds))
        return
    with multiprocessing.Pool(jobs) as pool:
        yield from pool.imap_unordered(_fuzzed, chunks(seeds))


def grown(found: Sequence[Tally]) -> Memory:
    """By how much the memory of the process that grew most has grown since its warm-up."""
    growth = Memory(0, 0)
    for process in {tally.process for tally in found}:
        held, inputs, warm = Memory(0, 0), 0, None
        for tally in found:
            if tally.process == process:
                held, inputs = tally.held, inputs + tally.inputs
                warm = warm or (held if inputs >= WARM_UP else None)
        if warm:
            growth = Memory(max(growth.blocks, held.blocks - warm.blocks), max(growth.resident, held.resident - warm.resident))
    return growth


def memory_faults(growth: Memory) -> list[str]:
    faults = []
    if growth.blocks > BLOCKS_MAX:
        faults.append(f"{growth.blocks} objects were kept, more than {BLOCKS_MAX}")
    if growth.resident > BYTES_MAX:
        faults.append(f"memory grew by {growth.resident // 1024} KiB, more than {BYTES_MAX // 1024}")
    return faults


def _held() -> Memory:
    gc.collect()
    return Memory(sys.getallocatedblocks(), _resident())


def _resident() -> int:
    """Bytes of memory in use; 0 where the system does not tell, and then only objects are counted."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


class Result(NamedTuple):
    """What a run came to."""

    inputs: int
    failures: list[Failure]
    memory: list[str]
    growth: Memory
    answers: Counter[tuple[str, int]]
    messages: Counter[str]
    took_s: float


def run(seeds: range, jobs: int) -> Result:
    """Every input of `seeds`."""
    began = time.monotonic()
    found = list(tallies(seeds, jobs))
    answers: Counter[tuple[str, int]] = Counter()
    messages: Counter[str] = Counter()
    for tally in found:
        answers.update(tally.answers)
        messages.update(tally.facts)
    failures = sorted(failure for tally in found for failure in tally.failures)
    failures += [Failure(0, f"{name} is not tried: events/{name} has no sample") for name in without_samples()]
    growth = grown(found)
    return Result(len(seeds), failures, memory_faults(growth), growth, answers, messages, time.monotonic() - began)
