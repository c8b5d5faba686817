"""`quittance pdf`: a document as its reader sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tools.commands.options import Stack
from tools.ledger_view import case_of
from tools.target import TargetError, chosen


def pdf(
    document_id: Annotated[str, typer.Argument(help="Id of an invoice or credit note in the invoicing API.")],
    output: Annotated[Path, typer.Option("-o", "--output", dir_okay=False, help="File to write.")],
    stack: Stack = None,
) -> None:
    """Render a document as PDF and save it."""
    target = chosen(stack)
    found = target.ledger.find(document_id)
    if not found:
        raise TargetError(f"the ledger knows no document {document_id}")
    customer = target.ledger.customer_of(target.ledger.case(*case_of(found[0]["pk"])))
    if customer is None or customer.entity_id is None:
        raise TargetError(f"document {document_id} belongs to nobody with an entity")
    output.write_bytes(target.space_invoices.pdf(document_id, entity_id=customer.entity_id))
    typer.echo(f"{output}")
