"""The world that a rehearsal acts in."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import httpx

from tools.backfill import overlay

if TYPE_CHECKING:
    import pytest


def test_what_the_registry_said_lately_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what it said long ago takes no memory."""
    monkeypatch.setattr(overlay, "_REMEMBERED", 2)
    asked: Counter[str] = Counter()

    def registry(request: httpx.Request) -> httpx.Response:
        asked.update([request.content.decode()])
        return httpx.Response(200, json={"vies_valid": request.content == b"DE1"})

    with httpx.Client(transport=overlay.ReadOnlyTransport(httpx.MockTransport(registry))) as client:
        for number in ("DE1", "DE1", "DE2", "DE1", "DE3", "DE3", "DE1"):
            answer = client.post("http://api/transaction-type/check", content=number).json()
            assert answer == {"vies_valid": number == "DE1"}
    assert asked == {"DE1": 2, "DE2": 1, "DE3": 1}
