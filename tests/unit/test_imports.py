"""Who may import whom, and what a function must not load before its first event."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SHARED = ROOT / "shared"
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))

LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(layer.split())
    for layer in (
        "functions",
        "runtime",
        "operations",
        "document_changes journal reconciliation",
        "converge registration provisioning fetching fee_closing explanation",
        "acknowledgements fee_months fee_totals derivation",
        "ledger space_invoices mapping entities provider_api",
        "plan",
        "tax disagreements",
        "customers documents providers",
        "observation fees settlements",
        "facts",
        "personal_data policy",
        "money storage countries tax_numbers",
        "errors metrics",
    )
)
"""Arrows point down, to any lower layer, or stay within one part. Nothing points up or sideways."""
SIDEWAYS = {("converge", "registration"), ("registration", "provisioning"), ("entities", "mapping")}
"""A payment is converged for the customer that the directory finds, and a registration provides for it; JSON is written once."""
FUNCTIONS_MAY_USE = {
    *("errors", "facts", "money", "observation", "operations", "providers"),
    *("reconciliation", "runtime", "settlements", "storage"),
}
"""Functions reach the use cases through `runtime.composition` only."""
PLAN = next(number for number, layer in enumerate(LAYERS) if "plan" in layer)
PURE = frozenset().union(*LAYERS[PLAN:])
"""`plan` and below: no AWS, no HTTP, no clock, no environment."""

LIBRARIES = {
    "aws_lambda_powertools": {"functions", "runtime"},
    "boto3": {"functions", "runtime"},
    "botocore": {"functions", "runtime"},
    "certifi": {"runtime"},
    "cryptography": {"providers"},
    "fastjsonschema": {"providers"},
    "httpx": {"provider_api", "space_invoices"},
    "mypy_boto3_dynamodb": {"runtime"},
    "mypy_boto3_sqs": {"runtime"},
    "stdnum": {"tax_numbers"},
    "urllib3": {"runtime"},
}
"""Every library -> the parts that may import it."""
IMPURE = {
    "asyncio",
    "http",
    "os",
    "random",
    "secrets",
    "socket",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib",
    "uuid",
}
"""What of the standard library would let the world in."""


def part_of(module: str) -> str:
    """The part of the product a module belongs to: `quittance.runtime.table` -> `runtime`."""
    return module.split(".")[1]


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in [*(SHARED / "quittance").rglob("*.py"), *(ROOT / "functions").glob("*/app.py")]:
        name = ".".join(path.relative_to(SHARED if SHARED in path.parents else ROOT).with_suffix("").parts)
        name = name.removesuffix(".__init__")
        if name != "quittance":
            yield name, ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules that are imported anywhere in a source, for types only too: those are arrows as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import of {node.module}"
            if node.module == "quittance":
                yield from (f"quittance.{alias.name}" for alias in node.names)
            else:
                yield str(node.module)


def imported_at_run_time(tree: ast.Module) -> set[str]:
    return {name for node in tree.body if not _is_for_types(node) for name in imported(node)}


def _is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def layer_of(part: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if part in layer)


def test_every_part_has_its_layer() -> None:
    parts = {part_of(name) if name.startswith("quittance.") else "functions" for name, _ in sources()}
    assert parts == frozenset().union(*LAYERS)


def test_every_arrow_points_down() -> None:
    others = [
        f"{name} -> {other}"
        for name, tree in sources()
        for other in imported(tree)
        if other.startswith(("quittance.", "functions", "tools", "tests", "benchmarks")) and not is_allowed(_part(name), other)
    ]
    assert not others


def is_allowed(part: str, imported_module: str) -> bool:
    if not imported_module.startswith("quittance."):
        return False
    other = part_of(imported_module)
    if part == "functions":
        return other in FUNCTIONS_MAY_USE
    return layer_of(other) > layer_of(part) or other == part or (part, other) in SIDEWAYS


def test_modules_do_not_import_each_other_in_circles() -> None:
    graph = {name: {other for other in imported_at_run_time(tree) if other != name} for name, tree in sources()}
    finished: set[str] = set()

    def walk(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way, name))
        for other in sorted(graph.get(name, set()) - finished):
            walk(other, (*way, name))
        finished.add(name)

    for name in sorted(graph):
        walk(name, ())


def test_libraries_are_imported_only_where_they_belong() -> None:
    misplaced = [
        f"{name} -> {library}"
        for name, tree in sources()
        for library in {other.partition(".")[0] for other in imported(tree)} - {"quittance"} - sys.stdlib_module_names
        if _part(name) not in LIBRARIES.get(library, set())
    ]
    assert not misplaced


def test_what_decides_about_documents_is_pure() -> None:
    impure = [
        f"{name} -> {other}"
        for name, tree in sources()
        if _part(name) in PURE
        for other in imported(tree)
        if other.partition(".")[0] in IMPURE
    ]
    assert not impure


def _part(name: str) -> str:
    return part_of(name) if name.startswith("quittance.") else "functions"


NEVER = {
    "anyio",
    "asyncio",
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.utilities.parser",
    "aws_xray_sdk",
    "boto3.dynamodb.conditions",
    "cryptography",
    "ddtrace",
    "mypy_boto3_dynamodb",
    "mypy_boto3_sqs",
    "opentelemetry",
    "pydantic",
    "requests",
    "sqlite3",
    "stdnum",
    "stripe",
    "tests",
    "tools",
}
"""What no function may load before its first event: it costs every cold start, or is not in the layer."""
INGEST_NEVER = {
    "httpx",
    *(f"quittance.{part}" for layer in LAYERS[2 : PLAN + 1] for part in layer),
    "quittance.customers",
    "quittance.policy",
    "quittance.runtime.composition",
    "quittance.runtime.table",
    "quittance.storage",
}
"""What only workers need."""
OPERATORS_ONLY = {"quittance.explanation", "quittance.journal", "quittance.operations", "quittance.reconciliation"}
"""What people ask for, or the clock does."""
INGEST_ONLY = {"fastjsonschema", "quittance.providers", "quittance.runtime.secrets"}
WORKERS_NEVER = INGEST_ONLY | OPERATORS_ONLY
"""What no payment needs."""
EVIDENCE_NEVER = INGEST_ONLY | {"httpx", "quittance.converge", "quittance.registration", "quittance.space_invoices"}
"""What it takes to issue documents: the journal is only told of them."""
FETCHING_NEVER = (INGEST_NEVER | {"fastjsonschema"}) - {"httpx", "quittance.fetching", "quittance.provider_api"}
"""What it takes to document a payment: who fetches objects only reads them."""

OF_FUNCTION = {
    "event_received": NEVER | INGEST_NEVER,
    "evidence_anchored": NEVER | EVIDENCE_NEVER,
    "evidence_recorded": NEVER | EVIDENCE_NEVER,
    "ingest": NEVER | INGEST_NEVER,
    "object_fetched": NEVER | FETCHING_NEVER,
    # Answers are documented and checked by types.
    "operations": (NEVER | INGEST_ONLY) - {"aws_lambda_powertools.event_handler", "asyncio"},
    # Its workbook.
    "reconcile": (NEVER | INGEST_ONLY) - {"sqlite3"},
}
"""What a function may not load before its first event. All others are workers."""

ENVIRONMENT = {
    "APP": "quittance",
    "STAGE": "test",
    "TABLE_NAME": "quittance-test",
    "SPACE_INVOICES_BASE_URL": "http://space-invoices.invalid",
    "SPACE_INVOICES_API_KEY_PARAMETER": "/quittance/test/space-invoices/api-key",
    "CONNECTIONS_PATH": "/quittance/test/connections",
    "JOURNAL_TABLE_NAME": "quittance-test-journal",
    "EVIDENCE_KEYS_PARAMETER": "/quittance/test/evidence/keys",
    "ANCHORS_BUCKET": "quittance-test-anchors",
    "REPORTS_BUCKET": "quittance-test-reports",
    "QUEUE_URLS": "{}",
    "POWERTOOLS_SERVICE_NAME": "quittance-test",
    "POWERTOOLS_METRICS_NAMESPACE": "Quittance",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_loads_only_what_it_needs(function: str) -> None:
    code = "import sys, json, app; assert callable(app.handler); print(json.dumps(sorted(sys.modules)))"
    folders = os.pathsep.join([str(ROOT / "functions" / function), str(SHARED)])
    environment = ENVIRONMENT | {"PYTHONPATH": folders, "PATH": os.environ.get("PATH", "")}
    answer = subprocess.run(  # noqa: S603 - this interpreter, with constants
        [sys.executable, "-B", "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr
    loaded = set(json.loads(answer.stdout))
    forbidden = OF_FUNCTION.get(function, NEVER | WORKERS_NEVER)
    assert sorted(loaded & forbidden) == []
