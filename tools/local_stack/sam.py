"""Building the template for this machine and deploying it into the emulator, with the real SAM command line."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tools.local_stack.process import process_group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "local-stack"
BUILT_TEMPLATE = BUILD / "sam" / "template.yaml"
_SAM = ROOT / ".tools" / "sam" / "bin" / "sam"
_SOURCES = ("template.yaml", "samconfig.toml", "functions", "shared")
_DIGEST = BUILD / "sources.sha256"

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
"""The emulator runs functions on this machine's Python, so they are built for it."""
ARCHITECTURE = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"


class SamError(Exception):
    """A SAM command failed. The message has the end of its output and says where all of it is."""


@contextmanager
def build_lock() -> Iterator[None]:
    """Held while the build is written or read: several stacks may start at once, in several processes."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build() -> bool:
    """Build functions and layer for this machine into `build/`, if a source changed. Returns whether it had to."""
    digest = _digest_of_sources()
    if BUILT_TEMPLATE.exists() and _DIGEST.exists() and _DIGEST.read_text() == digest:
        return False
    _DIGEST.unlink(missing_ok=True)
    command = ["--build-dir", str(BUILD / "sam"), "--cache-dir", str(BUILD / "cache")]
    _sam("build", [*command, "--parameter-overrides", *_overrides(_machine())], {})
    _DIGEST.write_text(digest)
    return True


def deploy(endpoint_url: str, parameters: Mapping[str, str], *, api_id: str, environment: Mapping[str, str]) -> None:
    """Deploy what was built as the stack `quittance-local`. Raises `SamError`."""
    command = ["--template-file", str(BUILT_TEMPLATE), "--tags", f"ms-custom-id={api_id}"]
    overrides = _overrides({**_machine(), **parameters, "AwsEndpointUrl": endpoint_url})
    # Its default of five seconds between looks at the stack is for AWS.
    _sam("deploy", [*command, "--parameter-overrides", *overrides], {**environment, "SAM_CLI_POLL_DELAY": "0.3"})


def local_configuration(variables: Path, endpoint_url: str) -> str:
    """Configuration of `sam local` for what was built: the functions' environment is in the file `variables`."""
    overrides = " ".join(_overrides({**_machine(), "AwsEndpointUrl": endpoint_url}))
    parameters = {"template_file": str(BUILT_TEMPLATE), "parameter_overrides": overrides, "env_vars": str(variables)}
    lines = ["version = 0.1", "[default.global.parameters]", "language_extensions = true"]
    return "\n".join([*lines, *(f"{name} = {json.dumps(value)}" for name, value in parameters.items()), ""])


def _machine() -> dict[str, str]:
    return {"PythonRuntime": RUNTIME, "Architecture": ARCHITECTURE}


def _overrides(parameters: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in parameters.items()]


def _sam(name: str, arguments: list[str], environment: Mapping[str, str]) -> None:
    tools = [str(Path(sys.executable).parent), str(_SAM.parent)]
    env = {
        **os.environ,
        "PATH": os.pathsep.join([*tools, os.environ.get("PATH", "")]),
        "SAM_CLI_TELEMETRY": "0",
        "QUITTANCE_RUNTIME": RUNTIME,
        "QUITTANCE_ARCHITECTURE": ARCHITECTURE,
        **environment,
    }
    log = BUILD / f"sam-{name}.log"
    command = [str(_SAM), name, "--config-file", str(ROOT / "samconfig.toml"), "--config-env", "local", *arguments]
    with log.open("w") as output, process_group(command, env=env, output=output, cwd=ROOT) as process:
        status = process.wait()
    if status:
        raise SamError(f"sam {name} failed; all of its output is in {log.relative_to(ROOT)}. Its end:\n{tail(log)}")


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _digest_of_sources() -> str:
    digest = hashlib.sha256(f"{RUNTIME} {ARCHITECTURE}".encode())
    for path in _source_files():
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _source_files() -> list[Path]:
    found: list[Path] = []
    for source in (ROOT / name for name in _SOURCES):
        found.extend([source] if source.is_file() else source.rglob("*"))
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)
