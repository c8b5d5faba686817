"""Runs a built function as Lambda does: AWS's runtime interface emulator and AWS's runtime client for Python, nothing of our own.

The emulator comes with the SAM command line. It starts the function at the first invocation, and takes one at a time.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.figures import Unavailable
from benchmarks.memory import peak_mib
from tools.local_stack import sam
from tools.local_stack.process import process_group
from tools.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

REQUIREMENTS = Path(__file__).with_name("awslambdaric.txt")
CLIENT = sam.ROOT / "build" / "bench" / "awslambdaric"
LOGS = sam.ROOT / "build" / "bench" / "functions"
"""What each function wrote when it ran last."""
_EMULATOR = f"lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-{sam.ARCHITECTURE}"
_INVOCATIONS = "/2015-03-31/functions/function/invocations"
_NO_EVENT = b"not JSON"
"""The runtime client refuses it, so that the function has started and has done nothing yet."""
_START_TIMEOUT_S = 20
_INSTALL_TIMEOUT_S = 180
_INVOCATION_TIMEOUT_S = 180


@dataclass(slots=True)
class Function:
    """A function that is ready. Processor time is of its whole process, memory its peak so far."""

    _api: httpx.Client = field(repr=False)
    _process: int
    init_ms: float = field(init=False)
    init_mib: float = field(init=False)

    def __post_init__(self) -> None:
        self.init_ms, self.init_mib = self.spent_ms, self.peak_mib

    def invoke(self, event: object) -> Any:  # noqa: ANN401 - any JSON
        """What it answers; of one that raised, what Lambda tells of that, with an `errorType`."""
        return self._api.post(_INVOCATIONS, json=event).json()

    @property
    def spent_ms(self) -> float:
        """All of its threads."""
        tasks = Path(f"/proc/{self._process}/task").glob("*/schedstat")
        return sum(int(task.read_text(encoding="ascii").split()[0]) for task in tasks) / 1e6

    @property
    def peak_mib(self) -> float:
        return peak_mib(self._process)


def require() -> None:
    """Install AWS's runtime client. Raises `Unavailable` where that fails, or processes cannot be looked at."""
    if not Path("/proc/self/schedstat").exists():
        raise Unavailable("memory and processor time of a process are read from Linux's /proc")
    stamp = CLIENT / ".installed"
    if stamp.exists() and stamp.read_text() == REQUIREMENTS.read_text():
        return
    shutil.rmtree(CLIENT, ignore_errors=True)
    options = ["--quiet", "--python", sys.executable, "--require-hashes", "-r", str(REQUIREMENTS), "--target", str(CLIENT)]
    command = [str(Path(sys.executable).with_name("uv")), "pip", "install", *options]
    if subprocess.run(command, timeout=_INSTALL_TIMEOUT_S, check=False).returncode:  # noqa: S603 - the locked installer
        raise Unavailable("awslambdaric could not be installed")
    stamp.write_text(REQUIREMENTS.read_text())


@contextmanager
def ready(folders: Sequence[str], variables: Mapping[str, str]) -> Iterator[Function]:
    """The function in the first of these folders, whose layers are the others, with these variables in its environment.

    Raises `AssertionError` if it does not start.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    [emulator] = (sam.ROOT / ".tools" / "sam").glob(_EMULATOR)
    runtime = [sys.executable, "-S", "-m", "awslambdaric", "app.handler"]
    environment = {
        **variables,
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": os.pathsep.join([*folders, str(CLIENT)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LAMBDA_TASK_ROOT": folders[0],
    }
    with (
        _kept_address() as address,
        _kept_address() as runtime_api,
        (LOGS / f"{Path(folders[0]).name}.log").open("w") as log,
        process_group(
            [emulator, "--runtime-interface-emulator-address", address, "--runtime-api-address", runtime_api, *runtime],
            env=environment,
            output=log,
            cwd=Path(folders[0]),
        ) as process,
        httpx.Client(base_url=f"http://{address}", timeout=_INVOCATION_TIMEOUT_S, trust_env=False) as api,
    ):
        wait_for("the runtime interface emulator", lambda: _listens(process, address), seconds=_START_TIMEOUT_S, every_s=0.02)
        refused = api.post(_INVOCATIONS, content=_NO_EVENT).text
        if "Runtime.UnmarshalError" not in refused:
            raise AssertionError(f"{folders[0]} did not start: {refused}")
        yield Function(api, _child_of(process.pid))


def _child_of(process: int) -> int:
    """The one child of a process."""
    [child] = "".join(task.read_text() for task in Path(f"/proc/{process}/task").glob("*/children")).split()
    return int(child)


@contextmanager
def _kept_address() -> Iterator[str]:
    """A free address at which nobody else can listen meanwhile but whoever is told of it."""
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{keeper.getsockname()[1]}"


def _listens(process: subprocess.Popen[bytes], address: str) -> bool:
    if process.poll() is not None:
        raise AssertionError(f"the runtime interface emulator ended at once: see {LOGS}")
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
