"""Runs in an interpreter of its own: what importing costs it.

Arguments: the folders to import from, the code that comes before, then the code to time.

It is started without the site module, so that nothing is importable but the standard library and those folders.
"""

import sys
import time

*folders, before, code = sys.argv[1:]
sys.path[:0] = folders
exec(before, {})  # noqa: S102 - as below
wall, cpu = time.perf_counter(), time.process_time()
exec(code, {})  # noqa: S102 - the code is a constant of benchmarks/cold_start.py
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu

import json  # noqa: E402 - not before: what is measured must find the interpreter as empty as Lambda's

print(json.dumps({"wall": 1000 * wall, "CPU": 1000 * cpu}))  # noqa: T201 - the answer
