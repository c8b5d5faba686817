"""What a run shows and what it leaves behind: one table for people, `run.json` for programs."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.table import Table

from quittance.documents import DocumentKind
from quittance.explanation import in_print, total_in_print
from tools.milestone.proof import printed_kind, tax_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from tools.milestone.proof import Check, Outcome, Row
    from tools.reconciliation import CustomerBooks


def print_table(console: Console, rows: Iterable[Row], waited: dict[str, str]) -> None:
    """Event -> document, story by story."""
    table = Table(title="event → document", title_justify="left", header_style="bold", pad_edge=False)
    table.add_column("event", no_wrap=True)
    table.add_column("document", no_wrap=True)
    table.add_column("number", no_wrap=True)
    table.add_column("total", justify="right", no_wrap=True)
    table.add_column("of it tax", justify="right", no_wrap=True)
    table.add_column("status")
    for of_story in _by_story(rows):
        table.add_row(f"[bold]{of_story[0].played.story.title}[/bold]")
        for row in of_story:
            _add(table, row, waited)
    console.print(table)


def _by_story(rows: Iterable[Row]) -> list[list[Row]]:
    stories: dict[str, list[Row]] = {}
    for row in rows:
        stories.setdefault(row.played.story.title, []).append(row)
    return list(stories.values())


def _add(table: Table, row: Row, waited: dict[str, str]) -> None:
    event = f"  {row.played.provider} {row.played.translation.event_type}"
    if row.none_because:
        table.add_row(event, "-", "", "", "", f"[dim]{row.none_because}[/dim]")
    for document in row.documents:
        after = waited.get(document["metadata"]["fact"])
        status = (
            _status(document)
            + (", reverse charge" if document.get("tax_clause") else "")
            + (f", waited for: {after}" if after else "")
        )
        tax = f"{tax:,.2f}" if (tax := tax_of(document)) else ""
        table.add_row(event, printed_kind(document), document["number"], _total(document), tax, status)
        event = ""
    for record in row.records:
        table.add_row(event, record.kind, record.number, in_print(record.amount), "", record.status)
        event = ""


def _status(document: dict[str, Any]) -> str:
    if document["voided_at"]:
        return "voided"
    if document["paid_in_full"]:
        return "paid out" if document["kind"] is DocumentKind.CREDIT_NOTE else "paid"
    return f"due {total_in_print(document['total_due'], document['currency_code'])}"


def _total(document: dict[str, Any]) -> str:
    return total_in_print(document["total_with_tax"], document["currency_code"])


def print_reconciliation(console: Console, found: Outcome, checks: Sequence[Check], seconds: float | None) -> None:
    """The comparison of ledger and API, every check that failed, and the verdict."""
    for result in found.reconciliations:
        console.print(_line(result, found.taxes(result.business_customer)), soft_wrap=True)
    console.print(f"payments recorded on invoices: {_totals(found.received)}")
    if seconds is not None:
        console.print(f"a payment becomes a document in {seconds * 1000:.0f} ms (median, one at a time)")
    failed = [check for check in checks if not check.passed]
    for check in failed:
        console.print(f"[red]✗[/red] {check.name}: {check.detail}", soft_wrap=True)
    passed = len(checks) - len(failed)
    verdict = "[bold red]NOT PROVEN[/bold red]" if failed else "[bold green]PROVEN[/bold green]"
    console.print(f"{verdict}: {passed} of {len(checks)} checks passed")


def _line(result: CustomerBooks, taxes: Mapping[str, Decimal]) -> str:
    verdict = "[green]agree[/green]" if result.agrees else f"[red]differ ({len(result.differences)})[/red]"
    tax = f", of it tax {_totals(taxes)}" if any(taxes.values()) else ""
    return (
        f"{result.business_customer}: {result.documents_checked} documents planned and held {verdict};"
        f" invoiced less credited {_totals(result.invoiced)}{tax}; residual {_totals(result.residual)}"
    )


def _totals(totals: Mapping[str, Decimal]) -> str:
    return ", ".join(total_in_print(total, currency) for currency, total in sorted(totals.items())) or "none"


def write_run(path: Path, rows: Iterable[Row], found: Outcome, checks: Sequence[Check], details: dict[str, Any]) -> None:
    """Everything a program may want to know about the run, without personal data."""
    content = {
        **details,
        "verdict": "pass" if all(check.passed for check in checks) else "fail",
        "events": [_event(row) for row in rows],
        "documents": [_document(row, document) for row in rows for document in row.documents],
        "business_customers": [_reconciled(result, found) for result in found.reconciliations],
        "checks": [{"name": check.name, "passed": check.passed, "detail": check.detail} for check in checks],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _reconciled(result: CustomerBooks, found: Outcome) -> dict[str, Any]:
    return {
        "business_customer": result.business_customer,
        "documents": result.documents_checked,
        "agrees": result.agrees,
        "invoiced_less_credited": _plain(result.invoiced),
        "tax": _plain(found.taxes(result.business_customer)),
        "residual": _plain(result.residual),
    }


def _plain(totals: Mapping[str, Decimal]) -> dict[str, str]:
    return {currency: f"{total:.2f}" for currency, total in sorted(totals.items())}


def _event(row: Row) -> dict[str, Any]:
    translation = row.played.translation
    return {
        "story": row.played.story.title,
        "round": row.played.round + 1,
        "provider": row.played.provider,
        "sample": row.played.sample,
        "event_id": translation.event_id,
        "event_type": translation.event_type,
        "answer": row.played.status,
        "facts": [fact.identity for fact in row.facts],
        "documents": [document["number"] for document in row.documents],
        "payment_records": [f"{record.kind} {record.status}: {record.number}" for record in row.records],
        "none_because": row.none_because or None,
    }


def _document(row: Row, document: dict[str, Any]) -> dict[str, Any]:
    metadata = document["metadata"]
    return {
        "story": row.played.story.title,
        "event_id": metadata["event_id"],
        "fact": metadata["fact"],
        "payment_id": metadata["payment_id"],
        "document_key": metadata["document_key"],
        "business_customer": metadata["business_customer"],
        "issuer": document["issuer"],
        "kind": str(document["kind"]),
        "id": document["id"],
        "number": document["number"],
        "total": f"{Decimal(document['total_with_tax']):.2f}",
        "tax": f"{tax_of(document):.2f}",
        "tax_clause": document.get("tax_clause") or None,
        "tax_evidence": metadata.get("tax_evidence"),
        "paid": f"{Decimal(document['total_paid']):.2f}",
        "currency": document["currency_code"],
        "status": _status(document),
    }
