"""What is counted and written of all that was taken in, whichever way it came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.runtime.observability import count, logger

if TYPE_CHECKING:
    from quittance.providers import Provider, Translation


def accepted(name: str, chosen: Provider, translation: Translation) -> None:
    """Count and log one event of the provider called `name`, once all it means is queued."""
    taken_in(name, translation.event_type if translation.event_type in chosen.EVENT_TYPES else "other", translation)


def taken_in(name: str, counted_as: str, translation: Translation) -> None:
    """The same of one event, or of what was fetched for its sake. `counted_as` is out of a closed set."""
    _count(name, counted_as, translation)
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


def _count(name: str, event_type: str, translation: Translation) -> None:
    """Under what became of it."""
    if translation.is_not_understood:
        count("EventsNotUnderstood", provider=name, event_type=translation.ignored or "")
    elif translation.ignored:
        count("EventsIgnored", provider=name, event_type=event_type)
    elif translation.sighting:
        count("SightingsAccepted", provider=name, event_type=event_type)
    elif translation.facts:
        count("FactsAccepted", provider=name, event_type=event_type, value=len(translation.facts))
    else:
        count("FetchesAsked", provider=name, event_type=event_type)
