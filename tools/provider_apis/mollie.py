"""The part of Mollie's API that is read: single objects, and what a settlement holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_NO_MORE = {"_links": {"next": None}}


class Mollie:
    """Answers from the objects in `objects/`, each in a file of its own."""

    def __init__(self, samples: Path) -> None:
        """`samples` is the folder of Mollie's sample deliveries."""
        objects = [json.loads(file.read_bytes()) for file in sorted((samples / "objects").glob("*.json"))]
        self._objects: dict[str, dict[str, Any]] = {f"{found['resource']}s/{found['id']}": found for found in objects}

    def refusal(self, headers: Mapping[str, str]) -> int | None:  # noqa: ARG002 - the key is all that Mollie asks for
        return None

    def answer(self, path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        """Related objects come along only where `embed` asks for them."""
        match path.split("/"):
            case ["settlements", settlement_id, kind] if f"settlements/{settlement_id}" in self._objects:
                return {"_embedded": {kind: [*self._settled(settlement_id, kind)]}} | _NO_MORE
            case _:
                found = self._objects.get(path)
                return _embedding(found, query.get("embed", "").split(",")) if found else None

    def _settled(self, settlement_id: str, kind: str) -> Iterator[dict[str, Any]]:
        payments = [found for found in self._objects.values() if found.get("settlementId") == settlement_id]
        for payment in payments:
            if kind == "payments":
                yield _embedding(payment, [])
            for part in payment.get("_embedded", {}).get(kind, ()):
                if part.get("status") in {None, "succeeded", "refunded"}:
                    yield part | {"_embedded": {"payment": _embedding(payment, [])}}


def _embedding(found: dict[str, Any], asked: list[str]) -> dict[str, Any]:
    embedded = {name: parts for name, parts in found.get("_embedded", {}).items() if name in asked}
    return {name: value for name, value in found.items() if name != "_embedded"} | ({"_embedded": embedded} if embedded else {})
