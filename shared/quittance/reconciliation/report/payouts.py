"""Every payout tied out: what explains it, and what is left."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from quittance.money import Money
from quittance.reconciliation.report.charts import Bar, Part, bars
from quittance.reconciliation.report.markup import BARS, charts, figure, money_cell, more_in, residual_cell, swatches, table
from quittance.reconciliation.report.wording import amount, counted, digits, seconds_of, short_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quittance.reconciliation.results import PayoutLine
    from quittance.reconciliation.tally import Tally

_HEADS = "Payout Paid_out #Payments #Refunds #Disputes #Fees #Other #Payout_amount #Residual"


def payouts_section(tally: Tally) -> str:
    if not tally.payouts:
        return "<p>No payouts were tied out.</p>"
    shown = tally.first_payouts
    about = (
        "Residual = payout amount less payments, refunds, disputes, fees and other lines to which documents are known."
        " Those that are not explained to the last line come first, unless that was acknowledged, then the latest."
    )
    more = more_in("payouts.csv", tally.payouts - len(shown), "payout")
    return _payout_chart(shown[:BARS], tally.payouts) + table(about, _HEADS, map(_payout_row, shown)) + more


def _payout_row(one: PayoutLine) -> str:
    currency = one.amount.currency
    lines = f"; {counted(len(one.unexplained), 'line')} unexplained" if one.unexplained else ""
    known = f"{counted(len(one.documents), 'document')}{lines}"
    failed = "<small>failed: nothing arrived</small>" if one.state == "failed" else ""
    failed += "<small>acknowledged: see the findings</small>" if one.is_acknowledged else ""
    of = " &middot; ".join(escape(part) for part in (one.business_customer, one.provider) if part)
    return (
        f'<tr><th scope="row"><code>{escape(one.payout_id)}</code><small>{of}</small><small>{known}</small>{failed}</th>'
        f"<td>{short_day(seconds_of(one.occurred_at))}</td>"
        f"{''.join(money_cell(value, currency) for value in (one.payments, one.refunds, one.disputes, one.fees, one.other))}"
        f'<td class="n"><strong>{digits(one.amount.value, currency)}</strong> {escape(currency)}</td>'
        f"{residual_cell(one.residual, currency)}</tr>"
    )


def _payout_chart(first: Sequence[PayoutLine], of: int) -> str:
    rows = [_payout_bar(one) for one in first]
    left_out = f"; the first {len(rows)} of {of:,}" if of > len(rows) else ""
    chart = bars("explained", "Share of each payout that is explained", rows)
    key = swatches({"explained": "explained", "residual": "residual"})
    return charts(figure("How much of each payout is explained", f"beside it the residual{left_out}", chart, key))


def _payout_bar(one: PayoutLine) -> Bar:
    """Shares, because payouts come in many currencies and sizes."""
    explained = abs(one.amount.value - one.residual)
    whole = (explained + abs(one.residual)) or 1
    parts = (Part("explained", explained / whole), Part("residual", abs(one.residual) / whole))
    residual = amount(Money(one.residual, one.amount.currency))
    return Bar(one.payout_id, parts, residual, f"residual {residual}")
