"""A finding that stands, as JSON and in words: of a payment, or of a business customer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quittance.explanation.amounts import moment

if TYPE_CHECKING:
    from quittance.acknowledgements import Acknowledgement, Acknowledgements
    from quittance.storage import Item


def finding(item: Item, acknowledged: Acknowledgements) -> dict[str, Any]:
    """What it says, and who acknowledged it; `acknowledged` is None while it is open."""
    given = acknowledged.of(item)
    return {
        "code": item["code"],
        "subject": item["subject"],
        "opened_at": int(item["opened_at"]),
        "acknowledged": acknowledgement(given) if given else None,
    }


def acknowledgement(given: Acknowledgement) -> dict[str, Any]:
    return {"at": moment(given.at), "by": given.by, "reason": given.reason}


def finding_in_words(explained: dict[str, Any]) -> str:
    """One line about what `finding` returned."""
    given = explained["acknowledged"]
    return f"finding: {explained['code']} ({explained['subject']})" + (f", {acknowledged_in_words(given)}" if given else "")


def acknowledged_in_words(given: dict[str, Any]) -> str:
    """One line about what `acknowledgement` returned, whatever somebody typed: nothing that moves a terminal's cursor."""
    reason = " ".join("".join(one if one.isprintable() else " " for one in given["reason"]).split())
    return f"acknowledged by {given['by']} at {given['at']}: {reason}"
