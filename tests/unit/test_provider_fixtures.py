"""Real payloads of every provider against a reviewed table of what each means."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from quittance.errors import Reject
from quittance.providers import provider, provider_names
from tools.translate import translated

FIXTURES = Path(os.environ.get("QUITTANCE_FIXTURES", Path(__file__).parents[3] / "shared" / "fixtures"))
EXPECTED: dict[str, dict[str, Any]] = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))
    for file in sorted((Path(__file__).parent / "expectations").glob("*.json"))
}
REVIEWED = [(name, file) for name, files in EXPECTED.items() for file in sorted(files)]

pytestmark = pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"no payloads in {FIXTURES}")


def payloads(name: str) -> list[Path]:
    return [file for file in sorted((FIXTURES / name).glob("*")) if not file.name.endswith(".source.txt")]


def meaning(line: dict[str, Any]) -> dict[str, Any]:
    """The part of a line that is reviewed."""
    kept = ("type", "key", "payment_id", "account", "amount", "occurrence", "also_known_as", "invoice_id", "awaits_renewal")
    facts = [{name: fact[name] for name in kept if fact[name] not in (None, [])} for fact in line["facts"]]
    told = {"facts": facts, "fetch": line["fetch"], "ignored": line["ignored"], "error": line["error"]}
    return {name: value for name, value in told.items() if value}


@pytest.mark.parametrize(("name", "file"), REVIEWED)
def test_a_real_payload_means_what_was_reviewed(name: str, file: str) -> None:
    assert meaning(translated(name, FIXTURES / name / file)) == EXPECTED[name][file]


@pytest.mark.parametrize("name", provider_names())
def test_every_real_payload_was_reviewed(name: str) -> None:
    assert {file.name for file in payloads(name)} == set(EXPECTED.get(name, {}))


@pytest.mark.parametrize("name", provider_names())
def test_what_another_provider_sent_is_refused_or_ignored(name: str) -> None:
    for other in sorted(folder.name for folder in FIXTURES.iterdir() if folder.is_dir() and folder.name != name):
        for file in payloads(other):
            try:
                translation = provider(name).translate(file.read_bytes(), "default", {})
            except Reject:
                continue
            assert not translation.facts, f"{other}/{file.name}"
