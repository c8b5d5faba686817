"""What is counted and written of every delivery that was taken in, whichever way it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.runtime.observability import count, logger

if TYPE_CHECKING:
    from quittance.providers import Provider, Translation


def accepted(name: str, chosen: Provider, translation: Translation) -> None:
    """Count and log one event of the provider called `name`, once all it means is queued."""
    known_type = translation.event_type if translation.event_type in chosen.EVENT_TYPES else "other"
    metric = "FactsAccepted" if translation.facts else "SightingsAccepted" if translation.sighting else "EventsIgnored"
    count(metric, provider=name, event_type=known_type, value=max(1, len(translation.facts)))
    logger.info(
        "delivery accepted",
        extra={
            "correlation_id": translation.event_id,
            "event_id": translation.event_id,
            "event_type": translation.event_type,
            "account": translation.account,
            "facts": [fact.identity for fact in translation.facts],
            "reason": translation.ignored,
        },
    )
