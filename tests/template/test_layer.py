"""The built layer holds everything the functions need, and nothing that would slow their start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.template.conftest import FOLDERS, pascal
from tests.unit.test_imports import NEVER, OF_FUNCTION, WORKERS_NEVER
from tools.local_stack import sam

pytestmark = [pytest.mark.end_to_end, pytest.mark.xdist_group("build")]

# No site-packages and no environment but Lambda's own. What is missing from the layer is missing here.
IMPORT_AS_LAMBDA_DOES = """
import sys
layer, *tasks = sys.argv[1:]
sys.path.insert(0, layer)
for task in tasks:
    sys.path.insert(0, task)
    sys.modules.pop("app", None)
    import app
    assert app.__file__.startswith(task) and callable(app.handler)
    sys.path.remove(task)
print("\\n".join(f"{name} {getattr(module, '__file__', '') or ''}" for name, module in sys.modules.items()))
"""
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_LAMBDA_FUNCTION_NAME": "sample",
    "APP": "quittance",
    "STAGE": "sample",
    "TABLE_NAME": "sample",
    "SPACE_INVOICES_BASE_URL": "http://127.0.0.1:9",
    "SPACE_INVOICES_API_KEY_PARAMETER": "/quittance/sample/space-invoices/api-key",
    "CONNECTIONS_PATH": "/quittance/sample/connections",
    "JOURNAL_TABLE_NAME": "sample-journal",
    "EVIDENCE_KEYS_PARAMETER": "/quittance/sample/evidence/keys",
    "ANCHORS_BUCKET": "sample-anchors",
    "REPORTS_BUCKET": "sample-reports",
    "QUEUE_URLS": json.dumps(dict.fromkeys(FOLDERS, "http://127.0.0.1:9/queue")),
    "POWERTOOLS_SERVICE_NAME": "quittance-sample",
    "POWERTOOLS_METRICS_NAMESPACE": "Quittance",
}


@pytest.fixture(scope="module")
def built() -> Path:
    with sam.build_lock():
        sam.build()
    return sam.BUILT_TEMPLATE.parent


@pytest.fixture(scope="module")
def layer(built: Path) -> Path:
    return built / "QuittanceLayer" / "python"


def test_every_function_starts_from_the_layer_alone(built: Path, layer: Path) -> None:
    modules = _imported(built, layer, *FOLDERS)
    assert Path(modules["quittance"]).is_relative_to(layer)
    assert Path(modules["boto3"]).is_relative_to(layer)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_function_loads_as_little_from_the_layer_as_from_its_sources(folder: str, built: Path, layer: Path) -> None:
    assert sorted(OF_FUNCTION.get(folder, NEVER | WORKERS_NEVER) & set(_imported(built, layer, folder))) == []


def test_what_verifies_certificates_is_only_in_the_layer_that_ingest_has_besides(built: Path, layer: Path) -> None:
    own = built / "CryptographyLayer" / "python"
    code = "import sys; sys.path[:0] = sys.argv[1:]; from quittance.providers import certificates as c; print(c.x509.__file__)"
    command = [sys.executable, "-I", "-S", "-c", code, str(layer)]
    alone = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert "No module named 'cryptography'" in alone.stderr
    both = subprocess.run([*command, str(own)], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
    assert Path(both.stdout.strip()).is_relative_to(own)
    assert not (own / "quittance").exists()


def test_all_of_it_is_compiled_and_needs_no_look_at_its_source(layer: Path) -> None:
    unchecked_hash = (0b01).to_bytes(4, "little")
    sources = list(layer.rglob("*.py"))
    assert sources
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
        assert compiled.read_bytes()[4:8] == unchecked_hash, compiled


def test_only_the_services_that_are_called_are_described(layer: Path) -> None:
    services = {path.name for path in (layer / "botocore" / "data").iterdir() if path.is_dir()}
    assert services == {"dynamodb", "s3", "sqs", "ssm"}


def _imported(built: Path, layer: Path, *folders: str) -> dict[str, str]:
    """The modules that these functions load, with their files."""
    tasks = [str(built / f"{pascal(folder)}Function") for folder in folders]
    command = [sys.executable, "-I", "-S", "-c", IMPORT_AS_LAMBDA_DOES, str(layer), *tasks]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())
