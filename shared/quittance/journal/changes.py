"""Which changes of the ledger are entered in the journal, and as what.

    CASE#...               HEAD      only what joins a case to another or gives it to a business customer
                           FACT#     fact.recorded, fact.changed
                           DOC#      document.intended, .attempted, .issued, .refused, .observed
                           FEE# EVIDENCE# FINDING#
    BUSINESS_CUSTOMER#...  PROFILE FACT# FINDING#
    RECONCILIATION#...     FINDING#
    ACKNOWLEDGED#...       FINDING#  who acknowledged one of the above, of whom only the reason is personal data
    OWNER#...              OWNER
    AUDIT#...              whatever is there

What is not here is not evidence: leases, indexes, entries of months of fees (their cases hold them too), ignored events.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quittance.personal_data import parted

if TYPE_CHECKING:
    from quittance.storage import Item

CASE = "CASE"
CUSTOMER = "BUSINESS_CUSTOMER"
OWNER = "OWNER"
RECONCILIATION = "RECONCILIATION"
ACKNOWLEDGED = "ACKNOWLEDGED"
AUDIT = "AUDIT"
BY_CUSTOMER = frozenset({CUSTOMER, RECONCILIATION})
"""Partitions that are called `{this}#{business customer}`."""

_ENTERED = {
    CASE: frozenset({"HEAD", "FACT", "DOC", "FEE", "EVIDENCE", "FINDING"}),
    CUSTOMER: frozenset({"PROFILE", "FACT", "FINDING"}),
    RECONCILIATION: frozenset({"FINDING"}),
    ACKNOWLEDGED: frozenset({"FINDING"}),
    OWNER: frozenset({OWNER}),
}
_OF_HEAD = ("business_customer", "members", "part_of")
_NO_EVIDENCE = frozenset({"pk", "sk", "reference", "version", "to_wake", "expires_at"})
"""What says where an item is and how it is found, but nothing of what happened."""
_KINDS = {
    "FACT": "fact",
    "DOC": "document",
    "FEE": "fee",
    "EVIDENCE": "tax_answer",
    "FINDING": "finding",
    "HEAD": "case",
    "PROFILE": "registration",
    "OWNER": "account",
}

CAUGHT_UP = "caught_up"
"""How a state of an item is entered that should have been before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemChange:
    """One change of one item of the ledger, as the table reports it."""

    pk: str
    sk: str
    old: Item | None
    new: Item | None
    at: str
    """When it was committed: RFC 3339 in UTC."""
    source: str = ""
    """Later changes of the same item have a greater one. Empty for what was not reported but found: it is entered as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A change as the journal has it."""

    kind: str
    content: dict[str, Any] = field(default_factory=dict)
    """What remains readable for ever."""
    personal: dict[str, Any] = field(default_factory=dict)
    """JSON pointer into the content -> what belongs there, until it is erased."""


def event_of(change: ItemChange) -> Event | None:
    """What a change means; None if it is no evidence."""
    old, new = _evidence(change.pk, change.sk, change.old), _evidence(change.pk, change.sk, change.new)
    if new is None:
        return Event(kind=f"{_noun(change.pk, change.sk)}.removed") if old else None
    if new == old:
        return None
    content, personal = parted(new)
    if change.sk.startswith("EVIDENCE#"):
        personal["/sk"] = change.sk  # it ends in a tax number
    verb = _verb(change.pk, change.sk, old, new) if change.source else CAUGHT_UP
    return Event(kind=f"{_noun(change.pk, change.sk)}.{verb}", content=content, personal=personal)


def is_evidence(pk: str, sk: str) -> bool:
    """Whether items under these keys are entered."""
    partition, kind = pk.partition("#")[0], sk.partition("#")[0]
    return kind in _ENTERED.get(partition, ()) or partition == AUDIT


def _evidence(pk: str, sk: str, item: Item | None) -> Item | None:
    """The part of an item that is evidence; None if there is none."""
    if item is None or not is_evidence(pk, sk):
        return None
    if sk == "HEAD":
        return {name: item[name] for name in _OF_HEAD if item.get(name)} or None
    return {name: value for name, value in item.items() if name not in _NO_EVIDENCE}


def _noun(pk: str, sk: str) -> str:
    partition, kind = pk.partition("#")[0], sk.partition("#")[0]
    if partition == CUSTOMER and kind == "FACT":
        return "registration"
    if partition == ACKNOWLEDGED:
        return "acknowledgement"
    return _KINDS.get(kind, partition.lower())


def _verb(pk: str, sk: str, old: Item | None, new: Item) -> str:
    partition, kind = pk.partition("#")[0], sk.partition("#")[0]
    if partition == ACKNOWLEDGED:
        return "taken_back" if new.get("taken_back") else "given"
    if kind == "DOC":
        return _step_of(old, new)
    if kind == "FINDING":
        return "resolved" if new.get("resolved_at") else "changed" if old and not old.get("resolved_at") else "opened"
    return "changed" if old else "recorded"


def _step_of(old: Item | None, new: Item) -> str:
    """How far a document has come by a change."""
    if old is None or old["state"] != new["state"]:
        return str(new["state"])
    return "observed" if old.get("observed") != new.get("observed") else "attempted"
