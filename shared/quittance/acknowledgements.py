"""Findings that a person has dealt with or accepted, though they stand.

    ACKNOWLEDGED#{partition of the finding}   {its sort key}   what it said, and who acknowledged it, when, and why

Apart from the findings, so that nothing which works on a payment waits for a person or can lose what a person said. What was
acknowledged is what the finding said then: one that says something else, or that was gone in between, is open without anybody
having to open it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quittance.errors import Reject
from quittance.ledger import OPEN_FINDING
from quittance.storage import Keys, Put

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quittance.storage import Item, Table

ACKNOWLEDGED = "finding:acknowledged"
"""`Table.find` reference of every acknowledgement that nobody took back."""
REASON_MAX = 500
"""Characters of a reason; it has at least one."""
_SAYS = ("opened_at", "amount", "detail", "number")
"""What makes a finding another one than before."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Who acknowledged a finding, and why."""

    at: int
    """Seconds since 1970."""
    by: str
    reason: str
    """Free text of a person, which may be about persons: for people's eyes only, never for logs and metrics."""


class Acknowledgements:
    """What is acknowledged, as it was a moment ago."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._items = {(item["pk"], item["sk"]): item for item in items}

    def of(self, finding: Item) -> Acknowledgement | None:
        """Of a finding's item; None if it is open, or gone."""
        item = self._items.get(_keys(finding["pk"], finding["sk"]))
        if item is None or item["said"] != _said(finding) or "reference" not in finding:
            return None
        return Acknowledgement(item["at"], item["by"], item["because"])

    def __contains__(self, finding: Keys) -> bool:
        """Whether a finding under these keys was acknowledged once, whatever it says now."""
        return _keys(*finding) in self._items


NOTHING_ACKNOWLEDGED = Acknowledgements()


def acknowledgements(table: Table) -> Acknowledgements:
    """Read them all, with one query. Raises `Retry`."""
    return Acknowledgements(table.find(ACKNOWLEDGED))


def acknowledge(table: Table, finding: Keys, given: Acknowledgement) -> Item:
    """Acknowledge a finding as it stands, in place of what was acknowledged of it before. Returns the finding.

    Changed by somebody else at the same moment, it is open. Raises `Reject("finding_unknown")` if it does not stand, and as
    `Table.commit` does.
    """
    item = table.read(*finding)
    if item is None or item.get("reference") != OPEN_FINDING:
        raise Reject("finding_unknown")
    pk, sk = _keys(*finding)
    keys = {"pk": pk, "sk": sk, "reference": ACKNOWLEDGED, "code": item["code"], "subject": item["subject"]}
    table.commit([Put(keys | {"said": _said(item), "at": given.at, "by": given.by, "because": given.reason})])
    return item


def take_back(table: Table, finding: Keys, by: str, now: int) -> None:
    """Let a finding be open again. Who acknowledged it, and why, is kept.

    Raises `Reject("acknowledgement_unknown")` if nobody acknowledged it, and as `Table.commit` does.
    """
    item = table.read(*_keys(*finding))
    if item is None or "reference" not in item:
        raise Reject("acknowledgement_unknown")
    kept = {name: value for name, value in item.items() if name != "reference"}
    table.commit([Put(kept | {"taken_back": {"at": now, "by": by}})])


def acknowledged_pk(pk: str) -> str:
    """The partition of what is acknowledged of the findings of a partition."""
    return f"ACKNOWLEDGED#{pk}"


def _keys(pk: str, sk: str) -> Keys:
    return Keys(acknowledged_pk(pk), sk)


def _said(finding: Item) -> Item:
    """Empty values are left out: an item may have them or not."""
    return {name: finding[name] for name in _SAYS if finding.get(name)}
