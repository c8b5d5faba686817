"""`quittance payouts`: what each payout was made of, down to the documents, and what is left unexplained."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from quittance.explanation import in_print
from quittance.ledger import CASE_PREFIX, case_names
from quittance.money import Money
from quittance.reconciliation.payout_marks import is_payout
from quittance.reconciliation.payouts import PARTS
from tools.commands.options import AsJson, Stack
from tools.payouts import Payouts
from tools.target import TargetError, chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quittance.ledger import CaseFile
    from quittance.reconciliation.payouts import TiedLine, TieOut
    from tools.ledger_view import LedgerView

_WIDTH = 180
"""Of a table that no terminal cuts."""


def payouts(
    payout_id: Annotated[str | None, typer.Argument(metavar="[PAYOUT_ID]", help="Show every line of this payout.")] = None,
    *,
    provider: Annotated[str | None, typer.Option(help="Only payouts of this provider.")] = None,
    account: Annotated[
        str | None, typer.Option(help="Only payouts to this account; with --provider one payout is found without a search.")
    ] = None,
    unexplained: Annotated[bool, typer.Option("--unexplained", help="Only payouts that leave something unexplained.")] = False,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """List payouts with what explains them and what does not, or show one line by line.

    For each payout, amount = payments + fees + refunds + disputes + other + residual. A payment counts when the ledger knows
    money of just this amount, and every document that its policy calls for is issued; refunds and disputes likewise.
    """
    with chosen(stack) as target:
        view = target.ledger
        tie_outs = _one(view, payout_id, provider, account) if payout_id else _all(view)
        wanted = [
            one
            for one in tie_outs
            if provider in {None, one.provider} and account in {None, one.account}
            if not unexplained or one.residual or one.unexplained
        ]
    if payout_id and not wanted:
        raise TargetError(f"the ledger knows no payout {payout_id}")
    in_order = sorted(wanted, key=lambda one: (one.occurred_at, one.provider, one.account, one.payout_id))
    if as_json:
        for one in in_order:
            typer.echo(json.dumps(one.to_json() if payout_id else asdict(one.summary()), ensure_ascii=False))
    elif payout_id:
        for one in in_order:
            _print_lines(one)
    else:
        _print_list(in_order)


def _one(view: LedgerView, payout_id: str, provider: str | None, account: str | None) -> Iterator[TieOut]:
    """Those of this name: two accounts may each have one."""
    known = Payouts(view.table)
    for case in _cases(view, payout_id, provider, account):
        if is_payout(case):
            yield known.tied(case)


def _cases(view: LedgerView, payout_id: str, provider: str | None, account: str | None) -> Iterator[CaseFile]:
    if provider and account:
        yield view.case(provider, account, payout_id)
        return
    found = dict.fromkeys(item["pk"] for item in view.search(payout_id) if item["pk"].startswith(CASE_PREFIX))
    for pk in found:
        if case_names(pk)[2] == payout_id:
            yield view.case(*case_names(pk))


def _all(view: LedgerView) -> Iterator[TieOut]:
    with _progress() as progress:
        yield from Payouts(view.table).all_of(view.cases(), progress)


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("reading the ledger") as status:
        yield lambda done: status.update(f"{done:,} payments read") if done % 100 == 0 else None


# --- in print ------------------------------------------------------------------------------------------------------------


def _print_list(tie_outs: list[TieOut]) -> None:
    if not tie_outs:
        typer.echo("no payouts")
        return
    table = _table("paid", "payout", "account", "amount", *PARTS, "residual", numbers=range(3, 5 + len(PARTS)))
    for one in tie_outs:
        parts = [_plain(one, one.parts[part]) for part in PARTS]
        name = f"{one.payout_id} (failed)" if one.state == "failed" else one.payout_id
        where = f"{one.provider} {one.account}"
        table.add_row(one.occurred_at[:10], name, where, in_print(one.amount), *parts, _plain(one, one.residual))
    _print(table)
    left = [one for one in tie_outs if one.residual or one.unexplained]
    typer.echo(f"payouts: {len(tie_outs)}, not explained to the last line: {len(left)}")


def _print_lines(one: TieOut) -> None:
    owner = one.business_customer or "(nobody who is registered)"
    typer.echo(
        f"payout {one.payout_id} ({one.provider} {one.account}) of business customer {owner}, {one.state} {one.occurred_at}"
    )
    table = _table("part", "kind", "id", "gross", "kept", "payment", "documents", "", numbers=(3, 4))
    for line in one.lines:
        documents = ", ".join(f"{document.number or document.id} {in_print(document.amount)}" for document in line.documents)
        kept = _plain(one, line.fee) if line.fee else ""
        reason = line.reason.replace("_", " ")
        table.add_row(line.part, line.kind, line.id, _plain(one, line.gross), kept, _payment(line), documents, reason)
    _print(table)
    explained = ", ".join(f"{part} {_plain(one, one.parts[part])}" for part in PARTS)
    typer.echo(f"amount {in_print(one.amount)}: {explained}; residual {in_print(Money(one.residual, one.amount.currency))}")


def _payment(line: TiedLine) -> str:
    return "" if line.payment_id == line.id else line.payment_id


def _plain(one: TieOut, value: int) -> str:
    return f"{Money(value, one.amount.currency).decimal:,}"


def _table(*heads: str, numbers: Any) -> Table:  # noqa: ANN401 - places of columns
    table = Table(box=None, padding=(0, 2, 0, 0))
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place in numbers else "left", overflow="fold")
    return table


def _print(table: Table) -> None:
    console = Console()
    (console if console.is_terminal else Console(width=_WIDTH)).print(table)
