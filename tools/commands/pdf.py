"""`quittance pdf`: a document as its reader sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quittance.ledger import CASE_PREFIX, case_names
from tools.commands.options import Stack
from tools.ledger_view import LedgerView
from tools.target import TargetError, chosen


def pdf(
    document_id: Annotated[str, typer.Argument(help="Id of an invoice or credit note in the invoicing API.")],
    output: Annotated[Path, typer.Option("-o", "--output", dir_okay=False, help="File to write.")],
    stack: Stack = None,
) -> None:
    """Render a document as PDF and save it."""
    with chosen(stack) as target:
        output.write_bytes(target.space_invoices.pdf(document_id, entity_id=_entity_of(document_id, target.ledger)))
    typer.echo(f"{output}")


def _entity_of(document_id: str, ledger: LedgerView) -> str:
    found = [item["pk"] for item in ledger.find(document_id) if item["pk"].startswith(CASE_PREFIX)]
    customer = ledger.customer_of(ledger.case(*case_names(found[0]))) if found else None
    if customer is None or customer.entity_id is None:
        raise TargetError(f"the ledger knows no document {document_id}")
    return customer.entity_id
