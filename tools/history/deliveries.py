"""Lines that hold what a webhook would have delivered: the provider's own module says what they mean."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quittance.errors import Reject
from quittance.providers import provider
from tools.history import HistoryError, Reported, refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from quittance.facts import Fact
    from quittance.providers import Translation
    from tools.history import Settings

_UNREADABLE = ("amount_", "currency_", "unreadable_")
"""How the reasons begin for which a provider's module keeps a delivery that it must acknowledge, although it cannot be read."""


def delivered(  # noqa: PLR0913, PLR0917 - a delivery, and where it would have come in
    provider_name: str, line: int, body: Mapping[str, Any], account: str | None, settings: Settings, connection: str = "default"
) -> Iterator[Reported | HistoryError]:
    """What a delivery with this body states. Money of an account that it does not name is that of `account`."""
    try:
        translation = provider(provider_name).translate(json.dumps(body).encode(), connection, settings)
    except Reject as error:
        yield refused(line, error)
        return
    for event in translation.events:
        yield from _stated(event, line, account)


def _stated(event: Translation, line: int, account: str | None) -> Iterator[Reported | HistoryError]:
    for fact in event.facts:
        yield Reported(_owned(fact, account), event.event_id, line, event.is_test)
    if event.ignored and event.ignored.startswith(_UNREADABLE):
        yield HistoryError(line, event.ignored)
    elif event.fetch and not event.facts and not all(wanted.optional for wanted in event.fetch):
        yield HistoryError(line, "names an object without its content: export the object itself")


def _owned(fact: Fact, account: str | None) -> Fact:
    return replace(fact, account=account) if account and fact.account.startswith("connection:") else fact
