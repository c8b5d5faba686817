"""Our own archive: the facts of a ledger, as `quittance replay --to` writes them, one a line with its event."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from quittance.errors import Reject
from quittance.facts import Fact, FactType, fact_from_json
from quittance.money import money_from_minor_units
from quittance.providers import provider_names
from quittance.providers.payload import utc_instant
from tools.history import HistoryError, Reported

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tools.history import Row, Settings

NAME = "archive"
CONCLUDED = frozenset({FactType.PAYMENT_SETTLED, FactType.FEES_CLOSED, FactType.FEES_RETURNED})
"""What follows from other facts: a payout settles its payments again, and the fees of a month are closed again."""


def line_of(fact: Fact, event_id: str) -> str:
    """One line of an archive, without its end."""
    return json.dumps({"fact": fact.to_json(), "event_id": event_id}, ensure_ascii=False, separators=(",", ":"))


def recognises(header: Sequence[str]) -> bool:
    return {"fact", "event_id"} <= set(header)


def facts(
    rows: Iterable[Row],
    account: str | None,  # noqa: ARG001 - every fact names its account
    settings: Settings,  # noqa: ARG001 - these are facts already
) -> Iterator[Reported | HistoryError]:
    for line, row in rows:
        try:
            fact, event_id = _checked(fact_from_json(row["fact"])), "" + row["event_id"]
        except Reject as error:
            yield HistoryError(line, str(error))
        except (AttributeError, KeyError, TypeError, ValueError):
            yield HistoryError(line, "not a fact as `quittance replay --to` writes it")
        else:
            if fact.type not in CONCLUDED:
                yield Reported(fact, event_id, line)


def _checked(fact: Fact) -> Fact:
    """The fact, once what the ledger relies on is so. Raises `Reject` or `ValueError`."""
    names: list[Any] = [fact.account, fact.key, *fact.case_ids]
    if fact.provider not in provider_names() or not all(isinstance(name, str) and name for name in names):
        raise ValueError("names")
    if utc_instant(fact.occurred_at) != fact.occurred_at:
        raise ValueError("occurred_at")
    for amount in filter(None, (fact.amount, fact.fee)):
        money_from_minor_units(amount.value, amount.currency)
    return fact
