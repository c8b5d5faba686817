"""What was found: charts of the whole, and the gravest one by one."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from quittance.reconciliation.finding_classes import finding_class
from quittance.reconciliation.report.charts import Bar, Part, bars
from quittance.reconciliation.report.markup import BARS, charts, figure, more_in, swatches, table
from quittance.reconciliation.report.wording import amount, counted, owner, phrase, short_day
from quittance.reconciliation.results import RepairMode, Severity
from quittance.reconciliation.tally import AGE_UNKNOWN, AGES, OVERDUE_AFTER_DAYS

if TYPE_CHECKING:
    from quittance.acknowledgements import Acknowledgement
    from quittance.reconciliation.results import Found
    from quittance.reconciliation.tally import Tally

_HEADS = "Severity What,_and_what_to_do Where Since #Amount Who_may_repair"
_ACKNOWLEDGED_HEADS = "Severity What Where #Amount Acknowledged By Why"
_REPAIR = {
    RepairMode.AUTOMATIC: "anybody, by <code>quittance reconcile --repair</code>",
    RepairMode.WITH_APPROVAL: "finance, once it approves",
    RepairMode.NEVER: "a person, by hand",
}


def finding_charts(tally: Tally) -> str:
    return charts(_class_chart(tally), _age_chart(tally)) if tally.total else ""


def _class_chart(tally: Tally) -> str:
    order = list(Severity)
    ranked = sorted(tally.by_class.items(), key=lambda one: (order.index(one[0][0]), -one[1], one[0][1]))
    rows = [
        Bar(phrase(code), (Part(severity, number),), f"{number:,}", f"{number:,} {severity}")
        for (severity, code), number in ranked[:BARS]
    ]
    left_out = len(ranked) - len(rows)
    more = f"and {counted(left_out, 'more kind')} below" if left_out else ""
    return figure("What was found", more, bars("kinds", "Findings by kind and severity", rows), _key(tally))


def _age_chart(tally: Tally) -> str:
    rows = []
    for age in [name for _, name in AGES] + [AGE_UNKNOWN] * any(name == AGE_UNKNOWN for name, _ in tally.by_age):
        parts = {severity: tally.by_age[age, severity] for severity in Severity}
        spoken = ", ".join(f"{number:,} {severity}" for severity, number in parts.items() if number) or "none"
        bar = tuple(Part(severity, number) for severity, number in parts.items())
        rows.append(Bar(age, bar, f"{sum(parts.values()):,}", spoken))
    limits = ", ".join(f"{severity} {counted(days, 'day')}" for severity, days in OVERDUE_AFTER_DAYS.items())
    chart = bars("ages", "Findings by age and severity", rows)
    return figure("For how long", f"overdue after: {limits}", chart, _key(tally))


def _key(tally: Tally) -> str:
    return swatches({severity: severity for severity in Severity if tally.by_severity[severity]})


def acknowledged_section(tally: Tally) -> str:
    if not tally.acknowledged:
        return ""
    shown = tally.first_acknowledged
    more = more_in("findings.csv", tally.acknowledged - len(shown), "acknowledged finding")
    about = "Acknowledged: found as before, and in no figure above. One is open again once it says something else or comes back."
    rows = [_acknowledged_row(one, one.acknowledged) for one in shown if one.acknowledged]
    return table(about, _ACKNOWLEDGED_HEADS, rows) + more


def _acknowledged_row(found: Found, given: Acknowledgement) -> str:
    detail = f"<small>{escape(found.detail)}</small>" if found.detail else ""
    stake = "" if found.amount is None else amount(found.amount)
    return (
        f"<tr><td>{found.severity}</td><td><strong>{escape(phrase(found.code))}</strong>{detail}</td>"
        f'<td class="where">{_place(found)}</td><td class="n">{escape(stake)}</td>'
        f"<td>{short_day(given.at)}</td><td>{escape(given.by)}</td><td>{escape(given.reason)}</td></tr>"
    )


def findings_section(tally: Tally) -> str:
    if not tally.total:
        return "<p>Nothing is open.</p>" if tally.acknowledged else "<p>Nothing was found.</p>"
    shown = tally.first
    more = more_in("findings.csv", tally.total - len(shown), "finding")
    about = (
        "The most severe first, of those the largest amounts. A repair runs a payment through the normal pipeline again;"
        " it never edits a document."
    )
    return table(about, _HEADS, [_finding_row(one, tally.days(one)) for one in shown]) + more


def _finding_row(found: Found, days: int | None) -> str:
    detail = f"<small>{escape(found.detail)}</small>" if found.detail else ""
    proposal = f"<p>{escape(finding_class(found.code).proposal)}</p>"
    since = f"{short_day(found.since)}<small>{_age(days)}</small>" if found.since else '<span class="soft">not known</span>'
    stake = "" if found.amount is None else amount(found.amount)
    return (
        f'<tr><td><span class="severity {found.severity}">{found.severity}</span></td>'
        f'<td><strong>{escape(phrase(found.code))}</strong>{detail}{proposal}</td><td class="where">{_place(found)}</td>'
        f'<td>{since}</td><td class="n">{escape(stake)}</td><td>{_REPAIR[found.repair]}</td></tr>'
    )


def _age(days: int | None) -> str:
    return counted(days, "day") if days else AGES[0][1]


def _place(found: Found) -> str:
    document = found.number or found.document
    lines = [
        f"document <code>{escape(document)}</code>" if document else "",
        f"{_named(found)} <code>{escape(found.payment_id)}</code>" if found.payment_id else "",
        " ".join(escape(part) for part in (found.provider, found.account) if part),
    ]
    return escape(owner(found.business_customer)) + "".join(f"<small>{line}</small>" for line in lines if line)


def _named(found: Found) -> str:
    """What its `payment_id` is the id of: a case may be a payout's."""
    return "payout" if found.code.startswith("payout_") else "payment"
