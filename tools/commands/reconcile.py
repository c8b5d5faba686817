"""`quittance reconcile`: what the plan says should exist against what the invoicing API really holds."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from quittance.explanation import acknowledged_in_words, acknowledgement, amount, in_print
from quittance.explanation.amounts import moment
from quittance.reconciliation.finding_classes import CLASSES, finding_class
from quittance.reconciliation.results import RepairMode
from quittance.reconciliation.run import Scope
from quittance.runtime.queues import Queues
from quittance.runtime.repairs import repair_message
from tools.commands.options import AsJson, Stack
from tools.reconciliation import reconciliation
from tools.reports import write_report
from tools.target import chosen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from decimal import Decimal

    from quittance.reconciliation.results import Found
    from quittance.reconciliation.run import Progress
    from quittance.runtime.queues import Message
    from tools.reconciliation import CustomerBooks
    from tools.target import Target

_WIDTH = 180
"""Of a table that no terminal cuts."""
_TELL_EVERY_S = 10
_WHAT = {"listing": "pages of documents listed", "comparing": "payments compared"}


def reconcile(
    repair: Annotated[
        bool, typer.Option("--repair", help="Put right what certainly can be, and list the rest. Payments are converged again.")
    ] = False,
    approve: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE[:PAYMENT]", help="Repair these findings too, which otherwise need approval. Repeatable."),
    ] = None,
    business_customer: Annotated[str | None, typer.Option(metavar="ID", help="Only this business customer.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", file_okay=False, help="Write the report to this folder: a page for people, sheets, JSON."),
    ] = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Compare every business customer's payments with the documents its entity holds. Fails if they differ.

    What differs is kept until it is gone: see `quittance findings`. A repair never edits or deletes: it runs a payment through
    the normal pipeline again.
    """
    approved = [_approval(text) for text in approve or ()]
    with chosen(stack) as target, _progress() as progress:
        scope = Scope(business_customer=business_customer, counts_at_once=True)
        with reconciliation(target, scope, progress) as finished:
            if business_customer and not finished.result.customers:
                raise typer.BadParameter(f"there is no business customer {business_customer} with an entity")
            disagreeing = sum(not _show(result, as_json=as_json) for result in finished.books())
            if report:
                book = finished.workbook
                typer.echo(f"report: {write_report(report, finished.result, book.found(), book.payouts())}", err=True)
            if repair or approved:
                _repair(target, list(finished.found()), approved, automatic=repair)
    raise typer.Exit(1 if disagreeing else 0)


def _approval(text: str) -> tuple[str, str]:
    code, _, payment = text.partition(":")
    if code not in CLASSES:
        raise typer.BadParameter(f"there is no finding {code}", param_hint="--approve")
    if CLASSES[code].repair is RepairMode.NEVER:
        raise typer.BadParameter(f"{code} cannot be repaired from here: {CLASSES[code].proposal}", param_hint="--approve")
    return code, payment


@contextmanager
def _progress() -> Iterator[Progress]:
    """One line that changes on a terminal, a line now and then elsewhere."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("reconciling") as status:
            yield lambda step, done: status.update(f"{done:,} {_WHAT[step]}")
        return
    told_at = time.monotonic()

    def tell(step: str, done: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= _TELL_EVERY_S:
            told_at = time.monotonic()
            typer.echo(f"{done:,} {_WHAT[step]}", err=True)

    yield tell


# --- what was found ------------------------------------------------------------------------------------------------------


def _show(result: CustomerBooks, *, as_json: bool) -> bool:
    """Returns whether it agrees."""
    if as_json:
        typer.echo(json.dumps(_line(result), ensure_ascii=False))
    else:
        _print(result)
    return result.agrees


def _line(result: CustomerBooks) -> dict[str, Any]:
    return {
        "business_customer": result.business_customer,
        "documents_checked": result.documents_checked,
        "agrees": result.agrees,
        "differences": [_finding(one) for one in result.differences],
        "standing": [_finding(one) for one in result.standing],
        "acknowledged": [
            _finding(one) | {"acknowledged": acknowledgement(one.acknowledged)} for one in result.acknowledged if one.acknowledged
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


def _finding(one: Found) -> dict[str, Any]:
    return {
        "code": one.code,
        "payment_id": one.payment_id,
        "document": one.document,
        "detail": one.detail,
        "severity": str(one.severity),
        "provider": one.provider,
        "account": one.account,
        "number": one.number,
        "amount": amount(one.amount),
        "since": moment(one.since),
        "repair": str(one.repair),
        "proposal": finding_class(one.code).proposal,
    }


def _print(result: CustomerBooks) -> None:
    verdict = "agrees" if result.agrees else f"{len(result.differences)} differences"
    name = result.business_customer or "of nobody who is registered"
    typer.echo(f"{name}: {result.documents_checked} documents, {_totals(result.invoiced)}, {verdict}")
    if result.differences or result.standing:
        _print_table([*result.differences, *result.standing])
    for one in result.acknowledged:
        if one.acknowledged:
            what = f"{one.code}  {one.number or one.document or one.payment_id}  {in_print(one.amount)}"
            typer.echo(f"  {what}  {acknowledged_in_words(acknowledgement(one.acknowledged))}")
    for waiting in result.waiting:
        typer.echo(f"  {waiting}")
    for fee in result.fees:
        documents, kept = ({fee.kept.currency: money.decimal} for money in (fee.documents, fee.kept))
        verdict = "" if not fee.residual else ", not the same (yet)"
        typer.echo(f"  fees of {fee.month}: documents {_totals(documents)}, kept {_totals(kept)}{verdict}")
    if any(result.residual.values()):
        typer.echo(f"  the totals differ by {_totals(result.residual)}")


def _print_table(found: Iterable[Found]) -> None:
    table = Table("severity", "finding", "payment", "document", box=None, padding=(0, 2, 0, 2))
    table.add_column("amount", justify="right")
    table.add_column("")
    for one in found:
        table.add_row(one.severity, one.code, one.payment_id, one.number or one.document, in_print(one.amount), one.detail)
    console = Console()
    (console if console.is_terminal else Console(width=_WIDTH)).print(table)


def _totals(totals: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{total:,} {currency}" for currency, total in totals.items()) or "nothing invoiced"


# --- putting it right ----------------------------------------------------------------------------------------------------


def _repair(target: Target, found: list[Found], approved: list[tuple[str, str]], *, automatic: bool) -> None:
    """Send what is to be converged again, once for each payment, and say of the rest what it needs."""
    chosen_ones = [one for one in found if _is_chosen(one, approved, automatic=automatic)]
    messages = {message.group: message for one in chosen_ones if (message := repair_message(one))}
    _send(target, messages.values())
    typer.echo(f"{len(messages)} payments are converged again; reconcile once more to see the result", err=True)
    for one in found:
        if one not in chosen_ones and not one.acknowledged:
            needs = "by hand" if one.repair is RepairMode.NEVER else f"--approve {one.code}:{one.payment_id}"
            typer.echo(f"  {one.code}  {one.payment_id or one.number}  {needs}: {finding_class(one.code).proposal}", err=True)


def _is_chosen(found: Found, approved: list[tuple[str, str]], *, automatic: bool) -> bool:
    if found.repair is RepairMode.AUTOMATIC:
        return automatic or _is_approved(found, approved)
    return found.repair is RepairMode.WITH_APPROVAL and _is_approved(found, approved)


def _is_approved(found: Found, approved: list[tuple[str, str]]) -> bool:
    return any(found.code == code and payment in {"", found.payment_id} for code, payment in approved)


def _send(target: Target, messages: Iterable[Message]) -> None:
    queues = Queues(target.client("sqs"), {name: pair.url for name, pair in target.queues.items()})
    queues.send(messages)
