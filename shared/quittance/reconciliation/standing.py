"""What a reconciliation found, kept where operators see it until it is gone.

    RECONCILIATION#{business customer}   FINDING#{identity}   the finding, since when it is known, and when it was gone

Running again changes nothing: what is found again and is the same is not written.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from quittance.acknowledgements import acknowledgements
from quittance.ledger import OPEN_FINDING, case_pk
from quittance.reconciliation.finding_classes import finding_class
from quittance.reconciliation.workbook import found_to_json, identity_of
from quittance.storage import Keys, Put

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quittance.reconciliation.results import Found
    from quittance.reconciliation.workbook import Workbook
    from quittance.storage import Item, Table


def reconciliation_pk(business_customer: str) -> str:
    """The partition of what was found of a business customer."""
    return f"RECONCILIATION#{business_customer}"


def keep_findings(table: Table, workbook: Workbook, business_customers: Iterable[str], now: int) -> None:
    """Let what stands of these business customers be what the workbook found.

    What the ledger keeps with its payments anyway is not kept here as well. Raises as `Table.commit` does.
    """
    for name in business_customers:
        pk = reconciliation_pk(name)
        for item in table.walk(pk, "FINDING#"):
            if "reference" in item and not workbook.has_found(item["identity"]):
                closed = {key: value for key, value in item.items() if key != "reference"}
                table.commit([Put(closed | {"resolved_at": now})])
        for found in workbook.found(name):
            if not finding_class(found.code).is_kept_elsewhere:
                _keep(table, found, now)


def note_acknowledged(table: Table, workbook: Workbook) -> None:
    """Let the workbook know which of what it found is acknowledged, by what the findings say now. Raises as `Table.find` does."""
    known = acknowledgements(table)
    once = [found for counts in (True, False) for found in workbook.found(counts=counts) if _keys(found) in known]
    given = [(found, known.of(as_found)) for found in once if (as_found := _as_found(table, found))]
    workbook.set_acknowledged((found, one) for found, one in given if one)


def _as_found(table: Table, found: Found) -> Item | None:
    """The finding that is kept, saying what was found now."""
    item = table.read(*_keys(found))
    return item and item | {name: value for name, value in found_to_json(found).items() if name in item}


def _keep(table: Table, found: Found, now: int) -> None:
    item = _item(found)
    known = table.read(item["pk"], item["sk"])
    stood = known is not None and "reference" in known
    if known is None or not stood or any(known.get(name) != value for name, value in item.items()):
        opened_at = known["opened_at"] if known and stood else now
        table.commit([Put(item | {"opened_at": opened_at, "reference": OPEN_FINDING})])


def _keys(found: Found) -> Keys:
    """Under which the ledger keeps what was found."""
    if finding_class(found.code).is_kept_elsewhere:
        return Keys(case_pk(found.provider, found.account, found.payment_id), f"FINDING#{found.code}#{found.document}")
    name = sha256(identity_of(found).encode()).hexdigest()[:32]
    return Keys(reconciliation_pk(found.business_customer), f"FINDING#{found.code}#{name}")


def _item(found: Found) -> Item:
    keys = _keys(found)._asdict() | {"identity": identity_of(found)}
    subject = found.number or found.document or found.payment_id
    said = found_to_json(found) | {"severity": str(found.severity), "repair": str(found.repair)}
    return said | keys | {"subject": subject}
