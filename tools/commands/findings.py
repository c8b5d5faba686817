"""`quittance findings`: what a human should look at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quittance.acknowledgements import acknowledgements
from quittance.explanation import acknowledged_in_words, acknowledgement, in_print
from quittance.explanation.amounts import moment
from quittance.ledger import CASE_PREFIX, case_names
from quittance.operations.pages import opaque
from quittance.storage import Keys
from tools.commands.options import AsJson, Stack
from tools.target import chosen

if TYPE_CHECKING:
    from quittance.acknowledgements import Acknowledgement
    from quittance.storage import Item


def findings(
    *,
    acknowledged: Annotated[
        bool, typer.Option("--acknowledged", help="Those that somebody acknowledged instead, with who, when and why.")
    ] = False,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """List every finding that stands and that nobody acknowledged, oldest first, each with its id at the end."""
    with chosen(stack) as target:
        known = acknowledgements(target.ledger.table)
        given = [(item, known.of(item)) for item in target.ledger.findings()]
    lines = [_line(item, one) for item, one in given if (one is not None) is acknowledged]
    for line in lines:
        typer.echo(json.dumps(line, ensure_ascii=False) if as_json else _as_text(line))
    if not lines and not as_json:
        typer.echo("no acknowledged findings" if acknowledged else "no findings")


def _line(item: Item, given: Acknowledgement | None) -> dict[str, Any]:
    by = {"acknowledged": acknowledgement(given)} if given else {}
    return {"id": opaque(Keys(item["pk"], item["sk"]))} | _said(item) | by


def _said(item: Item) -> dict[str, Any]:
    line: dict[str, Any] = {
        "code": item["code"],
        "subject": item["subject"],
        "amount": item.get("amount"),
        "opened_at": moment(item["opened_at"]),
    }
    if item["pk"].startswith(CASE_PREFIX):
        provider, account, case_id = case_names(item["pk"])
        return line | {"provider": provider, "account": account, "payment_id": case_id}
    named = {name: item[name] for name in ("provider", "account", "payment_id") if item.get("payment_id")}
    return line | {"business_customer": item["pk"].partition("#")[2]} | named


def _as_text(line: dict[str, Any]) -> str:
    where = (
        f"payment {line['payment_id']} ({line['provider']}, {line['account']})"
        if "payment_id" in line
        else line["business_customer"]
    )
    by = f"  {acknowledged_in_words(line['acknowledged'])}" if "acknowledged" in line else ""
    return f"{line['opened_at']}  {line['code']}  {line['subject']}  {in_print(line['amount'])}  {where}{by}  {line['id']}"
