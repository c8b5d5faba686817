"""A PostgreSQL server of our own for as long as it is needed, where the machine has one to start."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.figures import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "bench"
_PORT = 5432
_PLACES = ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt")
_START_S = 120


@contextmanager
def server() -> Iterator[Path]:
    """The folder of its socket; any user is let in. Raises `Unavailable` where no server is installed."""
    binaries = _binaries()
    with TemporaryDirectory(prefix="pg") as folder:
        data = Path(folder) / "data"
        owner = _prepare(Path(folder))
        _run([binaries / "initdb", "-D", data, "-U", USER, "--auth=trust", "--no-sync"], owner)
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -p {_PORT}"
        _run([binaries / "pg_ctl", "-D", data, "-o", options, "-l", Path(folder) / "log", "-w", "start"], owner)
        try:
            yield Path(folder)
        finally:
            _run([binaries / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], owner)


def create_database(folder: Path, name: str) -> str:
    """A new database, as `host,port,name`."""
    command: list[str | Path] = [_binaries() / "createdb", "-h", folder, "-p", str(_PORT), "-U", USER, name]
    subprocess.run(command, check=True, timeout=_START_S)  # noqa: S603 - what is installed
    return f"{folder},{_PORT},{name}"


def _binaries() -> Path:
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted((path.parent for place in _PLACES for path in Path(place).glob("*/bin/initdb")), reverse=True)
    for candidate in candidates:
        if (candidate / "pg_ctl").exists() and (candidate / "createdb").exists():
            return candidate
    raise Unavailable("no PostgreSQL server is installed")


def _prepare(folder: Path) -> str | None:
    """The server refuses to run as root: then somebody else owns the folder and the server."""
    if os.geteuid() != 0:
        return None
    shutil.chown(folder, "nobody")
    return "nobody"


def _run(command: list[str | Path], owner: str | None) -> None:
    subprocess.run(  # noqa: S603 - what is installed
        command, user=owner, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        check=True, timeout=_START_S, cwd="/",
    )  # fmt: skip
