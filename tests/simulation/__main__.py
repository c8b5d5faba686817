# ruff: noqa: T201 - it talks to a person at a terminal
"""`python -m tests.simulation --seeds N --first K`: N histories; a failing one is printed, shortened and traced."""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import sys
import time
from collections import Counter
from typing import NamedTuple

from tests.simulation import faults, scenarios
from tests.simulation.generate import history
from tests.simulation.shrink import shortest
from tests.simulation.simulate import calls_of, simulate

SHOWN_MAX = 3
CHUNK = 100
PAIRED_BELOW = 4
"""Stories of so many facts have too many pairs of calls to try all of them."""


class Tally(NamedTuple):
    """What a range of seeds came to."""

    failures: list[tuple[int, str]]
    injected: Counter[str]
    totals: Counter[str]
    """Events, calls, documents."""


def main() -> int:
    options = _options()
    if options.exhaustive:
        return _exhaustive(options.jobs)
    enabled = _enabled(options.faults)
    began = time.monotonic()
    chunks = [
        (range(first, min(first + CHUNK, options.first + options.seeds)), enabled)
        for first in range(options.first, options.first + options.seeds, CHUNK)
    ]
    failures: list[tuple[int, str]] = []
    injected: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for tally in _tallies(chunks, options.jobs):
        failures += tally.failures
        injected.update(tally.injected)
        totals.update(tally.totals)
    for seed, violation in failures[:SHOWN_MAX]:
        _explain(seed, violation, enabled)
    for seed, violation in failures[SHOWN_MAX:]:
        print(f"seed {seed}: {violation}")
    took = time.monotonic() - began
    for kind, count in sorted(injected.items()):
        print(f"{count:>9,} x {kind}")
    print(f"{sum(injected.values()):>9,} faults injected")
    print(f"{totals['events']:>9,} events delivered")
    print(f"{totals['calls']:>9,} calls, each a point at which a function may die")
    print(f"{totals['documents']:>9,} documents issued")
    print(f"{options.seeds / max(took, 0.001):>9,.0f} histories/s in {min(options.jobs, len(chunks))} processes")
    print(f"{options.seeds} histories, {len(failures)} violations")
    return 1 if failures else 0


def _exhaustive(jobs: int) -> int:
    """Every small case, completely; the pairs of deaths of every story that has few calls."""
    total = 0
    failures: list[str] = []
    with multiprocessing.Pool(jobs) as pool:
        for story, count, found in pool.imap_unordered(_exhaust, scenarios.STORIES, chunksize=1):
            print(f"{count:>9,} x {story}", flush=True)
            total, failures = total + count, failures + found
    for failure in failures[:SHOWN_MAX]:
        print(failure, end="\n\n")
    print(f"{total} histories, {len(failures)} violations")
    return 1 if failures else 0


def _exhaust(story: str) -> tuple[str, int, list[str]]:
    count, failures = 0, []
    plain = next(iter(scenarios.variants(story).values()))
    paired = scenarios.pairs_of_deaths(plain, calls_of) if len(scenarios.STORIES[story]) < PAIRED_BELOW else ()
    for one in itertools.chain(scenarios.everything(story, calls_of), paired):
        count += 1
        if violation := simulate(one).violation:
            failures.append(f"{story}: {violation}\n  {one}")
    return story, count, failures


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many histories")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument(
        "--faults",
        default="all",
        help=f"'all', 'none', names, or names to leave out as -name, with commas: {', '.join(sorted(faults.ALL))}",
    )
    parser.add_argument("--exhaustive", action="store_true", help="instead of seeds: every small case, completely")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--trace", action="store_true", help="print the trace of the first seed and stop")
    options = parser.parse_args()
    if options.trace:
        chosen = history(options.first, _enabled(options.faults))
        verdict = simulate(chosen, trace=True)
        print(chosen, *verdict.trace, verdict.violation or "no violation", sep="\n")
        sys.exit(1 if verdict.violation else 0)
    return options


def _enabled(text: str) -> frozenset[str]:
    if text in {"all", "none"}:
        return faults.ALL if text == "all" else frozenset()
    names = [name.strip() for name in text.split(",")]
    if unknown := {name.removeprefix("-") for name in names} - faults.ALL:
        sys.exit(f"unknown faults: {', '.join(sorted(unknown))}")
    wanted = frozenset(name for name in names if not name.startswith("-"))
    return (wanted or faults.ALL) - {name.removeprefix("-") for name in names if name.startswith("-")}


def _tallies(chunks: list[tuple[range, frozenset[str]]], jobs: int) -> list[Tally]:
    if jobs == 1 or len(chunks) == 1:
        return [tally(chunk) for chunk in chunks]
    with multiprocessing.Pool(jobs) as pool:
        return list(pool.imap_unordered(tally, chunks))


def tally(chunk: tuple[range, frozenset[str]]) -> Tally:
    """Run a range of seeds."""
    seeds, enabled = chunk
    result = Tally([], Counter(), Counter())
    for seed in seeds:
        chosen = history(seed, enabled)
        verdict = simulate(chosen)
        result.injected.update(verdict.injected)
        result.totals.update(events=verdict.events, calls=verdict.calls, documents=verdict.documents)
        if verdict.violation:
            result.failures.append((seed, verdict.violation))
    return result


def _explain(seed: int, violation: str, enabled: frozenset[str]) -> None:
    shown = shortest(history(seed, enabled))
    verdict = simulate(shown, trace=True)
    print(f"seed {seed} violates: {violation}\n\nshortened:\n  {shown}\n")
    print(*verdict.trace, f"violated: {verdict.violation}", "", sep="\n")


if __name__ == "__main__":
    sys.exit(main())
