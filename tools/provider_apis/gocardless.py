"""The part of GoCardless's API that is read: single objects, what a payout holds, and the events of an object."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LAST_PAGE = {"meta": {"cursors": {"before": None, "after": None}, "limit": 500}}


class GoCardless:
    """Answers from the envelopes in `objects/`. The events that it remembers are those of the sample deliveries."""

    def __init__(self, samples: Path) -> None:
        """`samples` is the folder of GoCardless's sample deliveries."""
        self._objects: dict[str, dict[str, Any]] = {}
        self._items: dict[str, list[dict[str, Any]]] = {}
        for file in sorted((samples / "objects").glob("*.json")):
            envelope = json.loads(file.read_bytes())
            items = envelope.pop("payout_items", [])
            ((resource, found),) = envelope.items()
            self._objects[f"{resource}/{found['id']}"] = envelope
            self._items[found["id"]] = items
        deliveries = [json.loads(file.read_bytes()) for file in sorted(samples.glob("*.json"))]
        self._events: list[dict[str, Any]] = [event for delivery in deliveries for event in delivery["events"]]

    def refusal(self, headers: Mapping[str, str]) -> int | None:
        """A request must say which version of the API it means."""
        return None if headers.get("gocardless-version") == "2015-07-06" else 400

    def answer(self, path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        match path:
            case "payout_items":
                items = self._items.get(query.get("payout", ""))
                return None if items is None else {"payout_items": items} | _LAST_PAGE
            case "events":
                return {"events": [event for event in self._events if _is_asked_for(event, query)]} | _LAST_PAGE
            case _:
                return self._objects.get(path)


def _is_asked_for(event: dict[str, Any], query: Mapping[str, str]) -> bool:
    described = event["links"] | {"resource_type": event["resource_type"], "action": event["action"]}
    return all(described.get(name) == value for name, value in query.items() if name not in {"limit", "after"})
