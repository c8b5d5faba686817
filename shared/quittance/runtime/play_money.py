"""What the provider's test mode may bring about: nothing, where documents are real."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quittance.providers import Translation

TEST_EVENT = "test_event_on_live_stack"


def on_this_stack(translation: Translation, environment: str) -> Translation:
    """What a delivery or a fetched object means here: in the `live` environment, money that never moved makes no document."""
    if translation.is_test and environment == "live":
        parts = tuple(on_this_stack(event, environment) for event in translation.parts)
        return replace(translation, facts=(), fetch=(), ignored=TEST_EVENT, parts=parts)
    return translation
