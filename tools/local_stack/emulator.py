"""The AWS emulator as a child process: REST API, Lambda with queue mappings, SQS, DynamoDB, SSM, KMS, IAM, CloudFormation."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tools.local_stack.process import process_group
from tools.local_stack.sam import BUILD, ROOT, RUNTIME, tail

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "1.5.33"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}
"""Of the emulated account's root user. Functions get those of their own roles."""

_PYTHON = ROOT / ".tools" / "ministack" / "bin" / "python"
_START_TIMEOUT_S = 30.0
_POLL_S = 0.05
_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder made in it is one of our own
_ROOM_BYTES = 4 * 2**30
"""More than three stacks have taken at once."""
# What the emulator is given reaches the functions, which must see no more than Lambda would give them.
_NOT_FOR_FUNCTIONS = ("AWS_", "PYTHON", "POWERTOOLS_", "QUITTANCE_", "LOG_LEVEL", "VIRTUAL_ENV", "SPACE_INVOICES_")


class EmulatorError(Exception):
    """The emulator is not the one that is expected, or did not start. The message says why."""


@contextmanager
def emulator(host: str, port: int, api_path: str) -> Iterator[str]:
    """Run the emulator and give its base URL once it answers; with it end its functions and their temporary files.

    Permissions are enforced. The routes of the API at `api_path`, such as `id/stage`, are also at the root of the address.
    """
    _check_version()
    log = BUILD / f"emulator-{port}.log"
    with ExitStack() as cleanup:
        temporary = cleanup.enter_context(
            tempfile.TemporaryDirectory(prefix="quittance-", dir=_in_memory(), ignore_cleanup_errors=True)
        )
        output = cleanup.enter_context(log.open("w"))
        env = {**_environment(), "TMPDIR": temporary, "BIND_HOST": host, "MINISTACK_HOST": host, "GATEWAY_PORT": str(port)}
        command = [_PYTHON, Path(__file__).with_name("gateway.py")]
        # It keeps nothing that would be worth waiting for.
        process = cleanup.enter_context(
            process_group(command, env={**env, "QUITTANCE_API": api_path}, output=output, stdin=subprocess.PIPE, grace_s=0)
        )
        url = f"http://{host}:{port}"
        _wait_until_it_answers(url, process, log)
        yield url


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
    return {**inherited, "AUTH": "true", "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"}


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
