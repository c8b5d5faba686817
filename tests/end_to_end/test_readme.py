"""Every command of the README is run, here or by .ci/run, or is named below with the reason why it cannot be."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.end_to_end.conftest import ON_THE_STACK, Stack
from tools import local_stack
from tools.target import LOCAL_DESCRIPTION
from tools.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = ON_THE_STACK

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL) for line in block.strip().splitlines()]
QUITTANCE = [line for line in COMMANDS if line.startswith(".venv/bin/quittance ")]
RUN_ELSEWHERE = {
    "make run": "by .ci/run, before the tests",
    "make test": "it is what runs this test",
    "make check": "it is what .ci/run calls",
    "make simulate SEEDS=1000": "by .ci/run, with more seeds",
    "make fuzz INPUTS=10000": "by .ci/run, with more inputs",
    "make prove": "by .ci/run",
    "make bench": "its parts are tests of benchmarks; its figures need a quiet machine",
    "make build": "the local stack builds the same way for this machine",
}
NOT_HERE = {
    "SPACE_INVOICES_API_KEY=sk_sandbox_... SPACE_INVOICES_BASE_URL=https://eu.spaceinvoices.com make run": "needs a real key",
    "QUITTANCE_HOST=172.17.0.1 make local": "needs a container engine's bridge",
    "export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1 PATH=$PWD/.tools/sam/bin:$PATH": "",
    "sam local invoke PaymentSucceededFunction --config-file build/sam-local.toml --event events/lambda/payment_succeeded.json": (
        "needs a container engine"
    ),
    "sam local start-api --config-file build/sam-local.toml --port 3001": "needs a container engine",
    ".tools/sam/bin/sam deploy --guided": "needs an AWS account",
}


@pytest.fixture
def checkout(stack: Stack, tmp_path: Path) -> Path:
    """A folder that looks like the checkout of somebody who runs `make local`, with this stack as the local one."""
    for name in ("events", ".venv"):
        (tmp_path / name).symlink_to(ROOT / name)
    stack.local.write_local_json(tmp_path / LOCAL_DESCRIPTION.parent)
    return tmp_path


def test_every_command_is_accounted_for() -> None:
    assert COMMANDS, "the README shows commands"
    accounted = {*QUITTANCE, *RUN_ELSEWHERE, *NOT_HERE, "make help"}
    assert set(COMMANDS) <= accounted
    assert {*RUN_ELSEWHERE, *NOT_HERE} <= set(COMMANDS), "nothing is excused that the README no longer shows"


def test_what_ci_is_said_to_run_it_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    targets = {line.split()[1] for line in script if line.startswith("make ")}
    said = {command.split()[1] for command, reason in RUN_ELSEWHERE.items() if reason.startswith("by .ci/run")}
    assert said
    assert said <= targets


def test_make_knows_every_target_that_is_named() -> None:
    targets = {word for line in COMMANDS for word in re.findall(r"\bmake ([a-z]+)", line)} | {"local", "run", "test"}
    for target in sorted(targets):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True, timeout=60)  # noqa: S603, S607


def test_the_quittance_commands_do_what_is_said(checkout: Path) -> None:
    assert QUITTANCE
    for line in QUITTANCE:
        _, command, *arguments = shlex.split(line)
        if command == "explain":
            _wait_for_the_invoice(checkout, arguments)
        done = _quittance(checkout, command, *arguments)
        if command == "reconcile":
            # Other tests leave differences behind on purpose, which the exit code then says.
            assert "residual" in done.stdout or "agrees" in done.stdout or "differences" in done.stdout, done.stderr
        else:
            assert done.returncode == 0, done.stderr
        assert done.stdout.strip() or command == "findings"


def _wait_for_the_invoice(folder: Path, arguments: list[str]) -> None:
    wait_for("the invoice", lambda: "issued" in _quittance(folder, "explain", *arguments).stdout, seconds=60)


def _quittance(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.cli", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=60)  # noqa: S603


def test_the_python_sample_sends_an_event_that_is_accepted(checkout: Path) -> None:
    [sample] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", sample], cwd=checkout, check=True, capture_output=True, text=True, timeout=60)  # noqa: S603
    assert done.stdout.strip() == "200"


@pytest.fixture
def free_port() -> int:
    return local_stack.free_port()


@pytest.fixture
def make_local(free_port: int) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"QUITTANCE_PORT": str(free_port)}
    command = ["make", "--no-print-directory", "local"]
    with subprocess.Popen(  # noqa: S603
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        yield process
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def test_make_local_serves_until_it_is_interrupted(make_local: subprocess.Popen[str], free_port: int) -> None:
    described = ROOT / LOCAL_DESCRIPTION

    def ready() -> bool:
        assert make_local.poll() is None, "make local ended by itself"
        return described.exists() and json.loads(described.read_text())["webhooks"].endswith(f":{free_port}")

    wait_for("make local to be ready", ready, seconds=150)
    assert httpx.get(f"http://127.0.0.1:{free_port}/health", trust_env=False).json() == {"status": "ok"}
    os.killpg(make_local.pid, signal.SIGINT)
    output, _ = make_local.communicate(timeout=60)
    assert "stopped" in output
    assert not described.exists()
