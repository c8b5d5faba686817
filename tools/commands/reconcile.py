"""`quittance reconcile`: what the plan says should exist against what the invoicing API really holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quittance.runtime.queues import Queues, revisit_message
from tools.commands.options import AsJson, Stack
from tools.explain import total_in_print
from tools.reconciliation import held, reconciled, unfinished
from tools.target import chosen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from quittance.reconcile import Reconciliation
    from tools.target import Target


def reconcile(
    repair: Annotated[bool, typer.Option("--repair", help="Have payments that lack a document converged again.")] = False,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Compare every business customer's payments with the documents its entity holds. Fails if they differ.

    A repair never edits or deletes: it runs a payment through the normal pipeline again.
    """
    with chosen(stack) as target:
        results = reconciled(target.ledger, partial(held, target.space_invoices))
        for result in results:
            typer.echo(json.dumps(_line(result), ensure_ascii=False) if as_json else _as_text(result))
        if repair:
            _repair(target)
    raise typer.Exit(0 if all(result.agrees for result in results) else 1)


def _repair(target: Target) -> None:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    cases = unfinished(target.ledger)
    queues = Queues(target.client("sqs"), {name: pair.url for name, pair in target.queues.items()})
    queues.send(revisit_message(case.provider, case.account, case.id, "reconciliation", at) for case in cases)
    typer.echo(f"{len(cases)} payments are converged again; reconcile once more to see the result", err=True)


def _line(result: Reconciliation) -> dict[str, Any]:
    return {
        "business_customer": result.business_customer,
        "documents_checked": result.documents_checked,
        "agrees": result.agrees,
        "differences": [
            {"code": one.code, "payment_id": one.payment_id, "document": one.document, "detail": one.detail}
            for one in result.differences
        ],
        "waiting": list(result.waiting),
        "invoiced": {currency: str(total) for currency, total in result.invoiced.items()},
        "residual": {currency: str(total) for currency, total in result.residual.items()},
        "fees": [
            {
                "month": one.month,
                "currency": one.kept.currency,
                "documents": str(one.documents.decimal),
                "kept": str(one.kept.decimal),
            }
            for one in result.fees
        ],
    }


def _as_text(result: Reconciliation) -> str:
    verdict = "agrees" if result.agrees else f"{len(result.differences)} differences"
    lines = [
        f"{result.business_customer}: {result.documents_checked} documents, {_totals(result.invoiced)}, {verdict}",
        *(f"  {one.code}  payment {one.payment_id}  {one.document}  {one.detail}" for one in result.differences),
        *(f"  {waiting}" for waiting in result.waiting),
    ]
    lines += [
        f"  fees of {one.month}: documents {_totals({one.kept.currency: one.documents.decimal})},"
        f" kept {_totals({one.kept.currency: one.kept.decimal})}{'' if not one.residual else ', not the same (yet)'}"
        for one in result.fees
    ]
    if any(result.residual.values()):
        lines.append(f"  the totals differ by {_totals(result.residual)}")
    return "\n".join(lines)


def _totals(totals: Mapping[str, Decimal]) -> str:
    return ", ".join(total_in_print(total, currency) for currency, total in totals.items()) or "nothing invoiced"
