"""Child processes that never outlive the one that started them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def free_port() -> int:
    """A port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process_group(  # noqa: PLR0913 - all but the command are options
    command: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str],
    output: IO[str],
    stdin: int = subprocess.DEVNULL,
    cwd: os.PathLike[str] | None = None,
    grace_s: float = 5.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own; at the end the whole group is asked to stop, and killed `grace_s` later."""
    process = subprocess.Popen(  # noqa: S603 - commands of this package only
        command, env=env, stdin=stdin, stdout=output, stderr=subprocess.STDOUT, cwd=cwd, start_new_session=True
    )
    try:
        yield process
    finally:
        _end(process, grace_s)


def _end(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """The group is signalled even when its leader has ended: the leader's children may not have."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(grace_s)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin:
        process.stdin.close()
