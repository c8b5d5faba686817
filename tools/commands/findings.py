"""`quittance findings`: what a human should look at."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from quittance.explanation import in_print
from quittance.ledger import CASE_PREFIX, case_names
from tools.commands.options import AsJson, Stack
from tools.target import chosen

if TYPE_CHECKING:
    from quittance.storage import Item


def findings(stack: Stack = None, as_json: AsJson = False) -> None:
    """List every finding that stands, oldest first."""
    with chosen(stack) as target:
        lines = [_line(item) for item in target.ledger.findings()]
    for line in lines:
        typer.echo(json.dumps(line, ensure_ascii=False) if as_json else _as_text(line))
    if not lines and not as_json:
        typer.echo("no findings")


def _line(item: Item) -> dict[str, Any]:
    line: dict[str, Any] = {
        "code": item["code"],
        "subject": item["subject"],
        "amount": item.get("amount"),
        "opened_at": datetime.fromtimestamp(item["opened_at"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
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
    return f"{line['opened_at']}  {line['code']}  {line['subject']}  {in_print(line['amount'])}  {where}"
