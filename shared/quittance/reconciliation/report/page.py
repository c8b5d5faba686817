"""The report as one HTML file: no script, nothing loaded from elsewhere, for screens by day and by night, and for paper."""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from quittance.money import Money
from quittance.reconciliation.report.customers import by_currency, customers_section, totals_section, unsigned_residual
from quittance.reconciliation.report.findings import acknowledged_section, finding_charts, findings_section
from quittance.reconciliation.report.payouts import payouts_section
from quittance.reconciliation.report.wording import amount, counted, lasting, long_day, moment
from quittance.reconciliation.results import Severity

if TYPE_CHECKING:
    from quittance.reconciliation.results import Reconciliation
    from quittance.reconciliation.tally import Tally

_PAGE = Path(__file__).with_name("page.html")
_URGENCY = {
    Severity.CRITICAL: "money and documents contradict each other: today",
    Severity.ERROR: "a document is missing or wrong: this week",
    Severity.WARNING: "something waits, or was changed by hand: before the books are closed",
}
_CHECK = '<path d="M13 23l7 7 12-14"/>'
_EXCLAMATION = '<path d="M22 12v13M22 31.5v.5"/>'


def page(reconciliation: Reconciliation, tally: Tally) -> str:
    """The whole file. `tally` is of the reconciliation's findings."""
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        id=escape(reconciliation.id),
        day=long_day(reconciliation.started_at),
        verdict=_verdict(reconciliation, tally),
        overview=_overview(reconciliation, tally),
        totals=totals_section(reconciliation.customers),
        customers=customers_section(reconciliation.customers),
        payouts=payouts_section(tally),
        findings=findings_section(tally) + acknowledged_section(tally),
        made=_made(reconciliation, tally),
    )


def _verdict(reconciliation: Reconciliation, tally: Tally) -> str:
    agrees = reconciliation.agrees and not tally.total and not tally.payouts_open
    mood = "agrees" if agrees else "urgent" if tally.by_severity[Severity.CRITICAL] else "differs"
    told = [
        f'<li><span class="severity {severity}">{_of_severity(severity, tally)}</span>'
        f' <span class="soft">&ndash; {meaning}</span></li>'
        for severity, meaning in _URGENCY.items()
        if tally.by_severity[severity]
    ]
    below = f"<ul>{''.join(told)}</ul>" if told else f"<p>{_without_findings(tally, agrees=agrees)}</p>"
    return (
        f'<section class="verdict {mood}" aria-label="Verdict">'
        f'<svg class="mark" viewBox="0 0 44 44" aria-hidden="true"><circle cx="22" cy="22" r="21"/>'
        f"{_CHECK if agrees else _EXCLAMATION}</svg>"
        f"<div><strong>{_headline(reconciliation, tally)}</strong>{below}</div></section>"
    )


def _of_severity(severity: Severity, tally: Tally) -> str:
    """`2 critical`, `1 error`, `5 warnings`."""
    return counted(tally.by_severity[severity], severity, severity if severity is Severity.CRITICAL else f"{severity}s")


def _headline(reconciliation: Reconciliation, tally: Tally) -> str:
    payments = counted(sum(one.payments for one in reconciliation.customers), "payment")
    documents = counted(sum(one.documents for one in reconciliation.customers), "document")
    things = counted(tally.total, "thing") if tally.total else "nothing"
    headline = f"{payments}, {documents}, {things} to look at; residual {_residuals(reconciliation)}"
    if tally.payouts_open:
        headline += f"; {counted(tally.payouts_open, 'payout')} not explained"
    if tally.acknowledged:
        headline += f"; {counted(tally.acknowledged, 'finding')} acknowledged"
    return escape(headline)


def _without_findings(tally: Tally, *, agrees: bool) -> str:
    if agrees and tally.acknowledged:
        return "Whatever does not agree was acknowledged: see below."
    if agrees:
        return "Every payment has exactly the documents that it should have, and every amount is explained."
    return "Nothing was found, yet totals leave a residual, or payouts lines without an explanation: see below."


def _residuals(reconciliation: Reconciliation) -> str:
    """Of every currency that has one; else zero in the currency with the most documents."""
    currencies = by_currency(reconciliation.customers)
    sums = [Money(unsigned_residual(of), currency) for currency, of in currencies.items()]
    return ", ".join(amount(one) for one in sums if one) or "".join(amount(one) for one in sums[:1]) or "none"


def _overview(reconciliation: Reconciliation, tally: Tally) -> str:
    figures = [
        ("Business customers", f"{len(reconciliation.customers):,}"),
        ("Payments", f"{sum(one.payments for one in reconciliation.customers):,}"),
        ("Documents", f"{sum(one.documents for one in reconciliation.customers):,}"),
        ("Still waiting", f"{sum(one.waiting for one in reconciliation.customers):,}"),
        ("Payouts explained", _of(tally.payouts_explained, tally.payouts)),
        ("Findings overdue", _of(tally.overdue, tally.total)),
    ]
    shown = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures)
    return f'<dl class="figures">{shown}</dl>' + finding_charts(tally)


def _of(part: int, whole: int) -> str:
    return f"{part:,} <small>of {whole:,}</small>" if whole else "&ndash;"


def _made(reconciliation: Reconciliation, tally: Tally) -> str:
    took = lasting(max(0, reconciliation.finished_at - reconciliation.started_at))
    lines = [
        ("Reconciliation", f"<code>{escape(reconciliation.id)}</code>"),
        ("Began", moment(reconciliation.started_at)),
        ("Finished", f"{moment(reconciliation.finished_at)}, after {took}"),
        ("Compared", "what the ledger plans with what the invoicing API holds, in both directions"),
        ("Findings", f"{tally.total:,}, each of which counts once it is older than its kind may take"),
        ("Complete figures", "<code>findings.csv</code>, <code>customers.csv</code>, <code>payouts.csv</code>"),
        ("For programs", "<code>reconciliation.json</code>"),
    ]
    return f'<dl class="made">{"".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in lines)}</dl>'
