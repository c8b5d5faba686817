"""What a cold start costs: importing a function as it was built, over importing the libraries it cannot do without.

The build is the real one, `sam build` for this machine. Nothing is written beside it, as nothing can be in Lambda, so what was
built without bytecode is compiled at every start.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.figures import Figure, ratio
from tools.local_stack import sam

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RUNS = 9
_TARGET = 0.5
_PROBE = Path(__file__).with_name("probe.py")
_LOCK = sam.ROOT / "requirements" / "dev.txt"
_BASELINE_LIBRARIES = ("boto3", "httpx", "pydantic")
_PLAIN = sam.ROOT / "build" / "bench" / "plain"
_LAYER = "QuittanceLayer/python"

_CLIENTS = "import boto3\nfor name in {}: boto3.client(name)\n"
_BASELINES = {
    "IngestFunction": _CLIENTS.format(("sqs", "ssm")),
    "PaymentSucceededFunction": _CLIENTS.format(("dynamodb", "ssm")) + "import httpx, pydantic",
}
"""The function as it is built -> what it is held against."""

ENVIRONMENT = {
    "APP": "quittance",
    "STAGE": "bench",
    "TABLE_NAME": "quittance-bench",
    "SPACE_INVOICES_BASE_URL": "http://space-invoices.invalid",
    "SPACE_INVOICES_API_KEY_PARAMETER": "/quittance/bench/space-invoices/api-key",
    "CONNECTIONS_PATH": "/quittance/bench/connections",
    "QUEUE_URLS": "{}",
    "POWERTOOLS_SERVICE_NAME": "quittance-bench",
    "POWERTOOLS_METRICS_NAMESPACE": "Quittance",
    "POWERTOOLS_LOG_LEVEL": "INFO",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
}
"""What a function finds in its environment; it calls nobody."""


def measure() -> list[Figure]:
    """Processor time decides, because other work on the machine blurs the clock on the wall, which is shown beside it."""
    with _built_copy() as built:
        _build_plainly()
        before = _files(built), _files(_PLAIN)
        series = _in_turns({**dict(_ours(built)), **dict(_theirs())})
        if (_files(built), _files(_PLAIN)) != before:
            raise AssertionError("an import wrote into what it was imported from")
        return [figure for function in _BASELINES for figure in _ratios(function, series)] + _sizes(built)


class _built_copy(TemporaryDirectory[str]):  # noqa: N801 - used as a function
    """A copy of the build, so that nobody builds anew under the measurement."""

    def __enter__(self) -> Path:  # type: ignore[override]
        copy = Path(super().__enter__()) / "built"
        with sam.build_lock():
            sam.build()
            shutil.copytree(sam.BUILT_TEMPLATE.parent, copy)
        return copy


def _build_plainly() -> None:
    """The same versions of the same libraries, as an installer leaves them: no bytecode, nothing left out."""
    stamp = _PLAIN.with_suffix(".requirements.txt")
    wanted = f"# {sam.RUNTIME} {sam.ARCHITECTURE}\n{_LOCK.read_text()}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(_PLAIN, ignore_errors=True)
    uv = Path(sys.executable).with_name("uv")
    options: list[str | Path] = [
        "--quiet",
        "--python",
        sys.executable,
        "--only-binary",
        ":all:",
        "--link-mode",
        "copy",
        "--constraint",
        _LOCK,
    ]
    command = [uv, "pip", "install", *options, "--target", _PLAIN, *_BASELINE_LIBRARIES]
    subprocess.run(command, check=True)  # noqa: S603 - the locked installer, with constants
    stamp.write_text(wanted)


def _ours(built: Path) -> Iterator[tuple[str, list[str]]]:
    for function in _BASELINES:
        yield function, [str(built / function), str(built / _LAYER), "import app"]


def _theirs() -> Iterator[tuple[str, list[str]]]:
    for function, code in _BASELINES.items():
        yield f"{function} baseline", [str(_PLAIN), code]


def _in_turns(probes: Mapping[str, list[str]]) -> dict[str, list[dict[str, float]]]:
    """Each probe once per round, after one round that only warms the disk's cache."""
    rounds = [{name: _probe(arguments) for name, arguments in probes.items()} for _ in range(RUNS + 1)]
    return {name: [measured[name] for measured in rounds[1:]] for name in probes}


def _probe(arguments: Sequence[str]) -> dict[str, float]:
    command: list[str | Path] = [sys.executable, "-I", "-S", "-B", _PROBE, *arguments]
    environment = ENVIRONMENT | {"PATH": os.environ.get("PATH", "")}
    answer = subprocess.run(  # noqa: S603 - this interpreter, with constants
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    if answer.returncode:
        raise RuntimeError(f"{arguments[-1]!r} failed:\n{answer.stderr}")
    measured: dict[str, float] = json.loads(answer.stdout)
    return measured


def _ratios(function: str, series: Mapping[str, list[dict[str, float]]]) -> Iterator[Figure]:
    def column(name: str, unit: str) -> list[float]:
        return [measured[unit] for measured in series[name]]

    for unit, target in (("CPU", _TARGET), ("wall", None)):
        name = f"cold start of {function.removesuffix('Function')}, {unit} ms ÷ its libraries built plainly"
        yield ratio(name, column(function, unit), column(f"{function} baseline", unit), target)


def _sizes(built: Path) -> list[Figure]:
    layer = built / _LAYER
    bytecode = sum(size for path, size in _files(layer).items() if path.suffix == ".pyc")
    functions = {path.name: _mb(path) for path in sorted(built.glob("*Function"))}
    return [
        Figure("layer, MB unpacked", _mb(layer), details={"bytecode_mb": round(bytecode / 1e6, 2), "plain_mb": _mb(_PLAIN)}),
        Figure("all functions, MB unpacked", round(sum(functions.values()), 4), details={"each_mb": functions}),
    ]


def _mb(folder: Path) -> float:
    return round(sum(_files(folder).values()) / 1e6, 4)


def _files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
