# ruff: noqa: T201 - it talks to a person at a terminal
"""The ingress under fire: `python -m tests.fuzz --inputs N --first K`, or `make fuzz INPUTS=n FIRST=k`.

Every input is a request made from one seed: a sample delivery or a real payload of one of the providers that have a route, in
most cases changed (structure, values, bytes of the text) and signed as it then is, so that it gets past the signature; else
forged, stale, without headers, misrouted, too large, wrongly encoded, or sent while the queues are down. The real function
`ingest` answers it in this process, with fakes only in place of SSM, SQS and the clock.

Each answer is held against what must be true of all of them:

- a well-formed response with a status that is right for the input; nothing raised; 503 only while the queues cannot be reached;
- what is accepted is queued, all of it, in messages that SQS takes, and nothing of what is refused;
- each fact survives its message and is sound, and the real ledger, plan and mapping take it;
- no secret, no signature and nothing a payload says of people in a log line, a metric or an answer;
- the same input twice gives the same messages (every twentieth is sent twice);
- no memory growth: objects and bytes per process, from the warm-up on.

A provider that is added to the registry is tried from then on, with what `events/` holds of it and what
`tools/deliveries.py` signs for it. A failing input is named by its seed: `--first SEED --inputs 1` shows it whole.
"""

from __future__ import annotations

import argparse
import json
import os

from tests.fuzz.deliveries import request
from tests.fuzz.ingress import Ingress
from tests.fuzz.oracle import violations
from tests.fuzz.run import Result, run
from tests.fuzz.workers import Workers

SHOWN_MAX = 30
_SHOWN_CHARACTERS = 4000


def main() -> int:
    options = _options()
    seeds = range(options.first, options.first + options.inputs)
    if options.inputs == 1:
        _show(options.first)
    result = run(seeds, options.jobs)
    _report(result)
    print(f"{result.inputs} inputs, {len(result.failures) + len(result.memory)} violations")
    return 1 if result.failures or result.memory else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="mutated deliveries against the real ingress")
    parser.add_argument("--inputs", type=int, default=100_000, metavar="N", help="how many inputs (default: %(default)s)")
    parser.add_argument("--first", type=int, default=1, metavar="K", help="the seed of the first input (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="J", help="processes (default: %(default)s)")
    return parser.parse_args()


def _show(seed: int) -> None:
    asked = request(seed)
    outcome, faults = violations(seed, asked, Ingress(), Workers())
    print(f"seed {seed}: {asked.kind}, {asked.provider}, answers allowed: {sorted(asked.answers)}")
    print(json.dumps(asked.event, indent=2)[:_SHOWN_CHARACTERS])
    print("->", outcome.response or repr(outcome.error))
    for sent in outcome.sent:
        print(f"queued for {sent.queue}: {sent.body[:_SHOWN_CHARACTERS]}")
    print(outcome.written[:_SHOWN_CHARACTERS])
    for fault in faults:
        print("violation:", fault)


def _report(result: Result) -> None:
    seeds_of: dict[str, list[int]] = {}
    for failure in result.failures:
        seeds_of.setdefault(failure.fault, []).append(failure.seed)
    for fault, seeds in list(seeds_of.items())[:SHOWN_MAX]:
        print(f"{len(seeds)} x {fault}\n    python -m tests.fuzz --inputs 1 --first {seeds[0]}")
    if len(seeds_of) > SHOWN_MAX:
        print(f"and {len(seeds_of) - SHOWN_MAX} other faults")
    for fault in result.memory:
        print(fault)
    for (kind, status), count in sorted(result.answers.items()):
        print(f"{count:>9} x {status} {kind}")
    queued = ", ".join(f"{count} {queue}" for queue, count in sorted(result.messages.items()))
    print(f"queued: {queued or 'nothing'}")
    grown = f"{result.growth.blocks} objects, {result.growth.resident // 1024} KiB"
    print(f"{result.inputs / max(result.took_s, 0.001):.0f} inputs/s; memory grew by {grown} in a process")


if __name__ == "__main__":
    raise SystemExit(main())
