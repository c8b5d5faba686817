"""Runs a built function as Lambda does: AWS's own runtime client asks a local runtime API for events and answers them.

That is what AWS's runtime interface emulator offers as well, which is a program for containers; the client is the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.cold_start import ENVIRONMENT
from benchmarks.figures import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.warm_worker import Services

ROOT = Path(__file__).parents[1]
REQUIREMENTS = Path(__file__).with_name("awslambdaric.txt")
CLIENT = ROOT / "build" / "bench" / "awslambdaric"
_INVOCATION = "/2018-06-01/runtime/invocation/"
_DEADLINE_MS = 60_000
_TRACE = "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0"
_QUEUES = [path.parent.name for path in (ROOT / "functions").glob("*/app.py")]
LOAD_S = 8
"""A function that waits for what is not there is given no more events after this."""
_TIMEOUT_S = 180
_POLL_S = 0.5


@dataclass(slots=True)
class Run:
    """What a function took. Processor time is of the whole process, memory its peak so far."""

    init_ms: float = 0.0
    init_mib: float = 0.0
    loaded_ms: float = 0.0
    """All invocations together."""
    loaded_mib: float = 0.0
    answers: list[Any] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def client() -> Path:
    """The folder of AWS's runtime client. Raises `Unavailable` where it cannot be installed, or processes not be looked at."""
    if not Path("/proc/self/schedstat").exists():
        raise Unavailable("memory and processor time of a process are read from Linux's /proc")
    stamp = CLIENT / ".installed"
    if stamp.exists() and stamp.read_text() == REQUIREMENTS.read_text():
        return CLIENT
    shutil.rmtree(CLIENT, ignore_errors=True)
    uv = Path(sys.executable).with_name("uv")
    options: list[str | Path] = [
        "--quiet",
        "--python",
        sys.executable,
        "--require-hashes",
        "-r",
        REQUIREMENTS,
        "--target",
        CLIENT,
    ]
    if subprocess.run([uv, "pip", "install", *options], timeout=_TIMEOUT_S, check=False).returncode:  # noqa: S603 - the locked installer
        raise Unavailable("awslambdaric could not be installed")
    stamp.write_text(REQUIREMENTS.read_text())
    return CLIENT


def run(folders: Sequence[str], events: Sequence[Any], services: Services) -> Run:
    """Start the function in the first of these folders, whose layers are the others, and let it take the events."""
    api = _RuntimeApi(events)
    with _served(api.handler()) as port, _served(_answering(services)) as services_port:
        environment = {
            **ENVIRONMENT,
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": os.pathsep.join([*folders, str(CLIENT)]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": Path(folders[0]).name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "LAMBDA_TASK_ROOT": folders[0],
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{services_port}",
            "QUEUE_URLS": json.dumps(dict.fromkeys(_QUEUES, f"http://127.0.0.1:{services_port}/queue.fifo")),
            "SPACE_INVOICES_BASE_URL": f"http://127.0.0.1:{services_port}",
        }
        command = [sys.executable, "-S", "-m", "awslambdaric", "app.handler"]
        with subprocess.Popen(  # noqa: S603 - this interpreter, with what was built
            command, env=environment, cwd=folders[0], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            api.process = process.pid
            api.started.set()
            try:
                until = time.monotonic() + _TIMEOUT_S
                while not api.finished.wait(_POLL_S):
                    if process.poll() is not None or time.monotonic() > until:
                        raise AssertionError(f"{Path(folders[0]).name} did not take its events in time")
            finally:
                process.kill()
    if api.failure:
        raise AssertionError(f"{Path(folders[0]).name}: {api.failure}")
    return api.run


class _RuntimeApi:
    """https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html, for one function."""

    def __init__(self, events: Sequence[Any]) -> None:
        self.run = Run()
        self.process = 0
        self.started, self.finished = threading.Event(), threading.Event()
        self.failure = ""
        self._events = list(events)[::-1]
        self._is_ready = False
        self._until = 0.0

    def next(self) -> bytes | None:
        self.started.wait()
        spent, peak = _spent_ms(self.process), _peak_mib(self.process)
        if not self._is_ready:
            self._until = time.monotonic() + LOAD_S
            self._is_ready, self.run.init_ms, self.run.init_mib = True, spent, peak
        self.run.loaded_ms, self.run.loaded_mib = spent - self.run.init_ms, peak
        if not self._events or time.monotonic() > self._until:
            self.finished.set()
            return None
        return json.dumps(self._events.pop()).encode()

    def told(self, path: str, body: bytes) -> None:
        if path.endswith("/init/error"):
            self.failure = body.decode()[:500]
            self.finished.set()
        elif path.endswith("/error"):
            self.run.errors.append(json.loads(body).get("errorType", ""))
        else:
            self.run.answers.append(json.loads(body))

    def handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(_Quiet):
            def do_GET(self) -> None:
                event = api.next()
                if event is None:
                    threading.Event().wait(_TIMEOUT_S)  # the process is killed meanwhile
                    return
                name, deadline = str(len(api.run.answers)), str(int(time.time() * 1000) + _DEADLINE_MS)
                arn = "arn:aws:lambda:eu-central-1:123456789012:function:bench"
                headers = {"Aws-Request-Id": name, "Deadline-Ms": deadline, "Invoked-Function-Arn": arn, "Trace-Id": _TRACE}
                named = {f"Lambda-Runtime-{key}": value for key, value in headers.items()}
                self.answer(200, event, {"Content-Type": "application/json", **named})

            def do_POST(self) -> None:
                api.told(self.path, self.body())
                self.answer(202, b"{}", {})

        return Handler


def _answering(services: Services) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(_Quiet):
        def do_POST(self) -> None:
            body, target = self.body(), self.headers.get("X-Amz-Target", "")
            with lock:
                if target:
                    status, answer = services.told(target.rpartition(".")[2], json.loads(body))
                    self.answer(status, json.dumps(answer).encode(), {"Content-Type": "application/x-amz-json-1.0"})
                    return
                made = services.answer_http(httpx.Request("POST", f"http://api{self.path}", content=body))
            self.answer(made.status_code, made.content, {"Content-Type": "application/json"})

        def do_GET(self) -> None:
            # S3's buckets are empty, and so are the API's lists.
            is_api = "x-entity-id" in self.headers or "Bearer" in self.headers.get("Authorization", "")
            self.answer(200, b'{"data": []}' if is_api else b"<ListBucketResult/>", {})

        def do_PUT(self) -> None:
            self.body()
            self.answer(200, b"", {})

    return Handler


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _served(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.socket.close()


def _spent_ms(process: int) -> float:
    """All of its threads."""
    tasks = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(task.read_text(encoding="ascii").split()[0]) for task in tasks) / 1e6


def _peak_mib(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024
