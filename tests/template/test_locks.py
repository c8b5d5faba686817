"""The lock files are what `pyproject.toml` asks for, and hold nothing of the machine that made them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.template.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = {path.stem: path for path in (ROOT / "requirements").glob("*.txt")}
LAYER = ROOT / "shared" / "requirements.txt"


def _asked() -> dict[Path, list[str]]:
    runtime = PROJECT["project"]["dependencies"]
    groups = PROJECT["dependency-groups"]
    return {LAYER: runtime, **{LOCKS[name]: asked + (runtime if name == "dev" else []) for name, asked in groups.items()}}


@pytest.mark.parametrize("lock", _asked(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_lock_has_a_fitting_version_of_everything_asked_for(lock: Path) -> None:
    pinned = _pinned(lock)
    for requirement in map(Requirement, _asked()[lock]):
        assert requirement.specifier.contains(pinned[_normalised(requirement.name)]), f"run `make lock`: {requirement}"


def test_every_group_has_a_lock_and_every_lock_a_group() -> None:
    assert set(LOCKS) == set(PROJECT["dependency-groups"])


@pytest.mark.parametrize("lock", [*LOCKS.values(), LAYER], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_package_is_pinned_with_hashes_and_without_addresses(lock: Path) -> None:
    text = lock.read_text()
    entries = re.findall(r"^[a-z0-9][^ ]*==\S+ .*\\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", text, re.MULTILINE)
    assert "".join(entries) == text
    assert "://" not in text


def test_what_is_tested_is_what_is_shipped() -> None:
    development = _pinned(LOCKS["dev"])
    assert {name: development[name] for name in _pinned(LAYER)} == _pinned(LAYER)


def _pinned(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9][a-z0-9-]*)==(\S+)", lock.read_text(), re.MULTILINE))


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
