"""What a history comes to, as people and programs read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table

from quittance.reconciliation.report.wording import counted
from tools.backfill.rehearsal import Outcome
from tools.backfill.totals import COUNTED

if TYPE_CHECKING:
    from tools.backfill.rehearsal import Judgement
    from tools.backfill.totals import Totals

_WORDS = {
    Outcome.WOULD_CREATE: "would create an invoice",
    Outcome.WOULD_CREDIT: "would credit",
    Outcome.WOULD_RECORD: "would only be recorded",
    Outcome.WAITING: "waiting for something",
    Outcome.CONFLICT: "in conflict with what is known",
    Outcome.ALREADY_RIGHT: "already right",
}


def line_of(judgement: Judgement) -> dict[str, Any]:
    """One payment for a program. Nothing of it is about the person who paid."""
    return {
        "outcome": judgement.outcome,
        "provider": judgement.provider,
        "account": judgement.account,
        "payment_id": judgement.payment_id,
        "business_customer": judgement.business_customer or None,
        "lines": list(judgement.lines),
        "new_facts": [entry.fact.identity for entry in judgement.needed],
        "documents": [
            {
                "kind": one.document.kind,
                "business_customer": one.business_customer,
                "date": one.document.date,
                "amount": {"value": one.document.amount.value, "currency": one.document.amount.currency},
                "tax_rates": sorted(rate for rate in one.rates if rate),
                "policy": one.document.policy,
                "reason": one.document.reason,
                "draft": one.document.draft,
            }
            for one in judgement.made
        ],
        "conflicts": [{"line": line, "what": what} for line, what in judgement.conflicts],
        "waiting": list(judgement.waiting),
        "findings": list(judgement.findings),
    }


def text_of(judgement: Judgement) -> str:
    """One payment that somebody should look at."""
    where = f"payment {judgement.payment_id} ({judgement.provider}, {judgement.account})"
    if judgement.conflicts:
        return f"conflict  {where}  " + "; ".join(f"line {line}: {what}" for line, what in judgement.conflicts)
    return f"waiting  {where}  {'; '.join(judgement.waiting) or 'another run works on it'}"


def show_totals(totals: Totals, *, bad_lines: int = 0, as_json: bool) -> None:
    """What a history comes to: a table for a person, one line for a program."""
    if as_json:
        typer.echo(json.dumps({"summary": totals.as_json() | {"bad_lines": bad_lines}}, ensure_ascii=False))
        return
    console = Console(highlight=False)
    if totals.sums:
        console.print(_table(totals))
    console.print("payments and payouts:")
    for outcome, words in _WORDS.items():
        if totals.payments[outcome]:
            console.print(f"{totals.payments[outcome]:>9,} {words}")
    kinds = ", ".join(counted(count, kind.replace("_", " ")) for kind, count in sorted(totals.made.items()))
    console.print(f"to be made: {kinds or 'nothing'}; facts that are new: {totals.needed}")
    if totals.made["email"]:
        console.print(f"note: {counted(totals.made['email'], 'document')} would be sent to payers by e-mail, as the policy says")
    if totals.findings:
        console.print("findings: " + ", ".join(f"{count} {code}" for code, count in sorted(totals.findings.items())))


def _table(totals: Totals) -> Table:
    table = Table("business customer", "tax rate", "documents", "dated")
    for name in ("net", "tax", "total"):
        table.add_column(name, justify="right", no_wrap=True)
    for place in sorted(totals.sums):
        for kind, name in COUNTED.items():
            entry = totals.sums[place][name].as_json()
            if entry["documents"]:
                rate = f"{place.rate} %" if place.rate else "no tax"
                documents = counted(entry["documents"], kind.replace("_", " "))
                days = " to ".join(dict.fromkeys((entry["first_date"], entry["last_date"])))
                total = f"{entry['total']} {place.currency}"
                table.add_row(place.business_customer, rate, documents, days, entry["net"], entry["tax"], total)
    return table


def issued(totals: Totals) -> str:
    """What was sent of a history, and came of it."""
    made = " and ".join(counted(totals.made[kind], kind.replace("_", " ")) for kind in COUNTED)
    return f"this run sent {counted(totals.needed, 'fact')}; issued {made}"
