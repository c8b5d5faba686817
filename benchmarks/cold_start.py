"""What a cold start costs: importing each function as it was built, over importing the libraries it cannot do without.

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
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Figure, Measured, ratio
from quittance.providers import provider_modules
from tools.local_stack import sam

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

RUNS, QUICK_RUNS = 9, 1
_TARGET = 0.5
PROVIDER_MS = 15
_PROBE = Path(__file__).with_name("probe.py")
_LOCK = sam.ROOT / "requirements" / "dev.txt"
_BASELINE_LIBRARIES = ("boto3", "httpx", "pydantic")
PLAIN = sam.ROOT / "build" / "bench" / "plain"
_LAYER, _CRYPTOGRAPHY = "QuittanceLayer/python", "CryptographyLayer/python"
_INGEST, _WORKER = "IngestFunction", "PaymentSucceededFunction"
"""The one that senders wait for, and one of those that documents wait for."""
_NOBODY_WAITS_FOR = {"EvidenceAnchoredFunction", "EvidenceRecordedFunction", "OperationsFunction", "ReconcileFunction"}
"""Called by the clock, by a stream or by an operator: reported without a target."""

_CENSUS = """
import json, sys
from botocore.session import Session
made, create = [], Session.create_client
Session.create_client = lambda self, name, *rest, **options: (made.append(name), create(self, name, *rest, **options))[1]
import app
sys.stdout.write(json.dumps({"clients": sorted(set(made)), "modules": sorted(sys.modules)}))
"""

ENVIRONMENT = {
    "APP": "quittance",
    "STAGE": "bench",
    "TABLE_NAME": "quittance-bench",
    "SPACE_INVOICES_BASE_URL": "http://space-invoices.invalid",
    "SPACE_INVOICES_API_KEY_PARAMETER": "/quittance/bench/space-invoices/api-key",
    "CONNECTIONS_PATH": "/quittance/bench/connections",
    "JOURNAL_TABLE_NAME": "quittance-bench-journal",
    "EVIDENCE_KEYS_PARAMETER": "/quittance/bench/evidence/keys",
    "ANCHORS_BUCKET": "quittance-bench-anchors",
    "REPORTS_BUCKET": "quittance-bench-reports",
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


_HEADLINES = {
    (_INGEST, "CPU"): "cold start of `ingest` from the built artefacts ÷ its libraries built plainly",
    (_WORKER, "CPU"): "cold start of a worker likewise",
}


def measure(*, quick: bool, known: object) -> Measured:  # noqa: ARG001 - every part is asked alike
    """Processor time decides, because other work on the machine blurs the clock on the wall, which is shown beside it."""
    runs = QUICK_RUNS if quick else RUNS
    with built_copy() as built:
        plain_libraries()
        before = _files(built), _files(PLAIN)
        probes = _probes(built)
        series = _in_turns({name: code for pair in probes.values() for name, code in pair.items()}, runs)
        figures = [figure for function, pair in probes.items() for figure in _ratios(function, [series[name] for name in pair])]
        figures += [*_sizes(built), *_providers(built, runs)]
        if (_files(built), _files(PLAIN)) != before:
            raise AssertionError("an import wrote into what it was imported from")
    rows = [_row(function, [series[name] for name in pair]) for function, pair in probes.items()]
    return Measured(figures, {"functions": rows})


def _row(function: str, series: Sequence[Sequence[dict[str, float]]]) -> dict[str, Any]:
    ours, theirs = (median(measured["CPU"] for measured in one) for one in series)
    is_target = function in {_INGEST, _WORKER}
    return {"function": function.removesuffix("Function"), "ours_ms": ours, "plain_ms": theirs, "is_target": is_target}


def folders_of(function: str, built: Path) -> list[str]:
    """What the function's code is imported from: itself and its layers."""
    layers = (_LAYER, _CRYPTOGRAPHY) if function == _INGEST else (_LAYER,)
    return [str(built / folder) for folder in (function, *layers)]


class built_copy(TemporaryDirectory[str]):  # noqa: N801 - used as a function
    """A copy of the build that nothing can write into, and nobody builds anew under the measurement."""

    def __enter__(self) -> Path:  # type: ignore[override]
        copy = Path(super().__enter__()) / "built"
        with sam.build_lock():
            sam.build()
            shutil.copytree(sam.BUILT_TEMPLATE.parent, copy)
        for path in copy.rglob("*"):
            path.chmod(path.stat().st_mode & ~0o222)
        return copy


def plain_libraries() -> None:
    """The same versions of the same libraries, as an installer leaves them: no bytecode, nothing left out."""
    stamp = PLAIN.with_suffix(".requirements.txt")
    wanted = f"# {sam.RUNTIME} {sam.ARCHITECTURE}\n{_LOCK.read_text()}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(PLAIN, ignore_errors=True)
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
    command = [uv, "pip", "install", *options, "--target", PLAIN, *_BASELINE_LIBRARIES]
    subprocess.run(command, check=True)  # noqa: S603 - the locked installer, with constants
    stamp.write_text(wanted)


def _probes(built: Path) -> dict[str, dict[str, list[str]]]:
    """Of each function what imports it, and what imports the libraries it cannot do without, as an installer leaves them."""
    pairs = {}
    for function in sorted(path.name for path in built.glob("*Function")):
        plain = _baseline(function, built)
        pairs[function] = {function: [*folders_of(function, built), "", "import app"], plain: [str(PLAIN), "", plain]}
    return pairs


def _baseline(function: str, built: Path) -> str:
    """The clients that the function makes when it is imported, and the libraries for its requests if it asks the API."""
    census = run_alone("-c", f"import sys; sys.path[:0] = {folders_of(function, built)!r}\n{_CENSUS}")
    clients = "".join(f"boto3.client({name!r})\n" for name in census["clients"])
    return f"import boto3\n{clients}" + ("import httpx, pydantic" if "httpx" in census["modules"] else "")


def _in_turns(probes: Mapping[str, list[str]], runs: int) -> dict[str, list[dict[str, float]]]:
    """Each probe once per round, after one round that only warms the disk's cache."""
    rounds = [{name: run_alone(_PROBE, *arguments) for name, arguments in probes.items()} for _ in range(runs + 1)]
    return {name: [measured[name] for measured in rounds[1:]] for name in probes}


def run_alone(*arguments: str | Path) -> dict[str, Any]:
    """What a program prints in an interpreter of its own that knows nothing but the standard library."""
    command: list[str | Path] = [sys.executable, "-I", "-S", "-B", *arguments]
    environment = ENVIRONMENT | {"PATH": os.environ.get("PATH", "")}
    answer = subprocess.run(  # noqa: S603 - this interpreter, with constants
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    if answer.returncode:
        raise RuntimeError(f"{arguments[-1]!r} failed:\n{answer.stderr}")
    measured: dict[str, Any] = json.loads(answer.stdout)
    return measured


def _ratios(function: str, series: Sequence[Sequence[dict[str, float]]]) -> Iterator[Figure]:
    target = None if function in _NOBODY_WAITS_FOR else _TARGET
    units = {"CPU": target} | ({"wall": None} if function in {_INGEST, _WORKER} else {})
    for unit, at_most in units.items():
        ours, theirs = ([measured[unit] for measured in one] for one in series)
        name = f"cold start of {function.removesuffix('Function')}, {unit} ms ÷ its libraries built plainly"
        yield ratio(name, ours, theirs, at_most).under(_HEADLINES.get((function, unit), ""))


def _sizes(built: Path) -> list[Figure]:
    layer = built / _LAYER
    bytecode = sum(size for path, size in _files(layer).items() if path.suffix == ".pyc")
    functions = {path.name: _mb(path) for path in sorted(built.glob("*Function"))}
    return [
        Figure("layer, MB unpacked", _mb(layer), details={"bytecode_mb": round(bytecode / 1e6, 2), "plain_mb": _mb(PLAIN)}),
        Figure("all functions, MB unpacked", round(sum(functions.values()), 4), details={"each_mb": functions}),
    ]


def _providers(built: Path, runs: int) -> list[Figure]:
    """What the first delivery of each provider costs beside the cold start: its module is imported when its route is hit."""
    folders = folders_of(_INGEST, built)
    probes = {name: [*folders, "import app", f"import {module}"] for name, module in sorted(provider_modules().items())}
    series = _in_turns(probes, runs).items()
    imported = [_least(f"first delivery of {name}, CPU ms", measured, PROVIDER_MS) for name, measured in series]
    # Reported without a gate: PayPal signs with certificates, and nothing that checks them is cheaper.
    signature = {"certificates": [*folders, "import app", "import quittance.providers.certificates"]}
    return [*imported, _least("first signature of paypal, CPU ms", _in_turns(signature, runs)["certificates"], None)]


def _least(name: str, series: Sequence[dict[str, float]], at_most: float | None) -> Figure:
    """The least of several counts: other work on the machine only adds to one."""
    costs = sorted(measured["CPU"] for measured in series)
    return Figure(name, costs[0], at_most, (costs[0], median(costs), costs[-1]))


def _mb(folder: Path) -> float:
    return round(sum(_files(folder).values()) / 1e6, 4)


def _files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
