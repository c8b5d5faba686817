"""What the fuzzer starts from: every sample and every real payload of every provider that has a route."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from quittance.providers import provider, provider_names

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "events"
OTHERS = Path(__file__).parent / "payloads"
"""What has properties that no sample has."""
FIXTURES = Path(os.environ.get("QUITTANCE_FIXTURES", ROOT.parent / "shared" / "fixtures"))

MARKER = "Zq7Confidential"
"""Stands in every text of a payload that could name a person. It must not come out of the function anywhere."""

_PERSONAL_NAMES = """
    name email phone line1 line2 city postal_code tax_number tax_id description nickname last4 statement_descriptor
    customer_name customer_email customer_phone receipt_email billing_email shopperEmail shopperName cardHolderName
    full_name given_name surname email_address address_line_1 address_line_2 consumerName
"""
_PERSONAL = frozenset(_PERSONAL_NAMES.split())


class Sample(NamedTuple):
    """One body as a provider sends it."""

    provider: str
    name: str
    body: bytes
    is_own: bool
    """Of the project's samples, which are deliveries and must be accepted. Collected payloads may be objects or templates."""


class Pools(NamedTuple):
    """What the payloads are made of, to put into other payloads: by property name the values seen there, and every id."""

    values: dict[str, list[Any]]
    names: list[str]
    ids: list[str]
    types: list[str]


@cache
def corpus() -> tuple[Sample, ...]:
    """Every sample, by provider and name."""
    return tuple(sample for name in provider_names() for sample in _samples_of(name))


def without_samples() -> list[str]:
    """The providers that are not tried at all, because `events/` has nothing of them."""
    return sorted(set(provider_names()) - {sample.provider for sample in corpus() if sample.is_own})


def _samples_of(name: str) -> list[Sample]:
    own = sorted(path for path in (SAMPLES / name).glob("*") if path.is_file())
    others = sorted((OTHERS / name).glob("*"))
    collected = sorted(path for path in (FIXTURES / name).glob("*") if not path.name.endswith(".source.txt"))
    return [Sample(name, path.name, _marked(path.read_bytes()), path in own) for path in [*own, *others, *collected]]


def _marked(body: bytes) -> bytes:
    try:
        document = json.loads(body)
    except ValueError:
        return body
    return json.dumps(_with_markers(document, "")).encode()


def _with_markers(node: Any, name: str) -> Any:
    match node:
        case dict():
            return {key: _with_markers(inner, key) for key, inner in node.items()}
        case list():
            return [_with_markers(inner, name) for inner in node]
        case str() if node and (name in _PERSONAL or "@" in node):
            return f"{MARKER} {node}"
        case _:
            return node


@cache
def samples_by_name(provider_name: str) -> dict[str, list[Sample]]:
    """The provider's samples by the properties they have: what few of them have is found as easily as what all of them have."""
    found: dict[str, list[Sample]] = {}
    for sample in corpus():
        if sample.provider == provider_name:
            for name in _names_in(sample.body):
                found.setdefault(name, []).append(sample)
    return found


def _names_in(body: bytes) -> list[str]:
    values: dict[str, list[Any]] = {}
    try:
        _collect(json.loads(body), values)
    except ValueError:
        return []
    return sorted(values)


@cache
def pools() -> Pools:
    """Out of the whole corpus and of the event types that the providers know by name."""
    values: dict[str, list[Any]] = {}
    for sample in corpus():
        try:
            _collect(json.loads(sample.body), values)
        except ValueError:
            continue
    texts = [value for name in values for value in values[name] if isinstance(value, str)]
    types = sorted({kind for name in provider_names() for kind in provider(name).EVENT_TYPES})
    ids = sorted({text for text in texts if "_" in text and " " not in text and MARKER not in text and len(text) < 100})
    return Pools(values, sorted(values), ids, types)


def _collect(node: Any, values: dict[str, list[Any]]) -> None:
    for name, inner in node.items() if isinstance(node, dict) else ():
        known = values.setdefault(name, [])
        if inner not in known:
            known.append(inner)
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _collect(inner, values)
