"""The AWS emulator as a child process: REST API, Lambda with queue mappings, SQS, DynamoDB, SSM, KMS, IAM, CloudFormation."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tools.local_stack.process import process_group
from tools.local_stack.sam import BUILD, ROOT, RUNTIME, tail

VERSION = "1.5.33"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}
"""Of the emulated account's root user. Functions get those of their own roles."""

_PYTHON = ROOT / ".tools" / "ministack" / "bin" / "python"
_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 15.0
_POLL_S = 0.05
_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder made in it is one of our own
_ROOM_BYTES = 4 * 2**30
"""More than three stacks have taken at once."""
# What the emulator is given reaches the functions, which must see no more than Lambda would give them.
_NOT_FOR_FUNCTIONS = ("AWS_", "PYTHON", "POWERTOOLS_", "QUITTANCE_", "LOG_LEVEL", "VIRTUAL_ENV", "SPACE_INVOICES_")


class EmulatorError(Exception):
    """The emulator is not the one that is expected, or did not start. The message says why."""


@dataclass(slots=True)
class Emulator:
    """The emulator while it runs."""

    url: str
    _env: Mapping[str, str] = field(repr=False)
    log: Path
    _run: ExitStack = field(default_factory=ExitStack)
    _process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start it and wait until it answers. Raises `EmulatorError`."""
        output = self._run.enter_context(self.log.open("a"))
        command = [_PYTHON, Path(__file__).with_name("gateway.py")]
        # At the very end it keeps nothing that would be worth waiting for.
        self._process = self._run.enter_context(
            process_group(command, env=self._env, output=output, stdin=subprocess.PIPE, grace_s=0)
        )
        _wait_until_it_answers(self.url, self._process, self.log)

    def stop(self) -> None:
        """End it and all of its functions at once."""
        self._run.close()

    def restart(self) -> None:
        """Have it stop in order, which stores its state, and start it again with that; its functions die wherever they are.

        What it was asked until it stopped is not lost. It does not answer meanwhile. Raises `EmulatorError`.
        """
        state = Path(self._env["STATE_DIR"])
        (state / "sqs.json").unlink(missing_ok=True)
        os.killpg(self._process.pid, signal.SIGTERM)
        # It may hang on functions that died after all is stored, so that is no reason to give up.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_TIMEOUT_S)
        if not (state / "sqs.json").exists():
            raise EmulatorError(f"the emulator did not store its state within {_STOP_TIMEOUT_S:.0f} s: {tail(self.log)}")
        self.stop()
        self.start()


@contextmanager
def emulator(host: str, port: int, api_path: str) -> Iterator[Emulator]:
    """Run the emulator and give it once it answers; with it end its functions and their temporary files.

    Permissions are enforced. The routes of the API at `api_path`, such as `id/stage`, are also at the root of the address.
    """
    _check_version()
    log = BUILD / f"emulator-{port}.log"
    log.unlink(missing_ok=True)
    with ExitStack() as cleanup:
        temporary = cleanup.enter_context(
            tempfile.TemporaryDirectory(prefix="quittance-", dir=_in_memory(), ignore_cleanup_errors=True)
        )
        place = {"TMPDIR": temporary, "STATE_DIR": str(Path(temporary) / "state")}
        address = {"BIND_HOST": host, "MINISTACK_HOST": host, "GATEWAY_PORT": str(port), "QUITTANCE_API": api_path}
        running = Emulator(f"http://{host}:{port}", {**_environment(), **place, **address}, log)
        cleanup.callback(running.stop)
        running.start()
        yield running


def _in_memory() -> Path | None:
    """Where the functions are unpacked: each of their processes gets tens of megabytes in thousands of small files of its own.

    Some disks take minutes to remove them all. None, the usual place, where memory has no room or may not be executed from.
    """
    if not (_MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)):
        return None
    may_execute = not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
    return _MEMORY if may_execute and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES else None


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_FOR_FUNCTIONS)}
    return {**inherited, "AUTH": "true", "PERSIST_STATE": "1", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}


def _check_version() -> None:
    """An older one ignores `AUTH`, so that permissions would go untested without a word."""
    script = "import sys, importlib.metadata as m; print(m.version('ministack'), 'python%d.%d' % sys.version_info[:2])"
    try:
        found = subprocess.run([_PYTHON, "-c", script], check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603
    except FileNotFoundError:
        raise EmulatorError("the emulator is not installed: run `make setup`") from None
    if found != f"{VERSION} {RUNTIME}":
        raise EmulatorError(f"the emulator is {found} instead of {VERSION} {RUNTIME}: run `make clean setup`")


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not _answers(url):
        if process.poll() is not None:
            raise EmulatorError(f"the emulator ended at once: {tail(log)}")
        if time.monotonic() > deadline:
            raise EmulatorError(f"the emulator did not answer within {_START_TIMEOUT_S:.0f} s: {tail(log)}")
        time.sleep(_POLL_S)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/_ministack/health", timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False
