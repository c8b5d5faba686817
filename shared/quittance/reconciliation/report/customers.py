"""Totals by currency, and every business customer compared."""

from __future__ import annotations

from collections import defaultdict
from html import escape
from typing import TYPE_CHECKING

from quittance.money import Money
from quittance.reconciliation.report.charts import Bar, Part, bars
from quittance.reconciliation.report.markup import (
    BARS,
    ROWS,
    charts,
    figure,
    money_cell,
    more_in,
    number_cell,
    residual_cell,
    table,
)
from quittance.reconciliation.report.wording import amount, digits, owner, phrase
from quittance.reconciliation.results import Totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from quittance.reconciliation.results import CustomerResult

_CHARTED_CURRENCIES = 4
_TOTALS_HEADS = (
    "Currency #Invoices #Invoiced #Credit_notes #Credited #Invoiced_less_credited #Of_it_tax #Planned #Acknowledged #Residual"
)
_CUSTOMER_HEADS = "Business_customer #Payments #Documents #Findings Currency #Invoiced #Credited #Of_it_tax #Residual"
_SUMMED = ("invoices", "credit_notes", "invoiced", "credited", "tax", "planned", "acknowledged")


def by_currency(customers: Iterable[CustomerResult]) -> dict[str, list[Totals]]:
    """Currency -> the totals of each business customer, beginning with the currency that has the most documents."""
    found: dict[str, list[Totals]] = defaultdict(list)
    for customer in customers:
        for totals in customer.totals:
            found[totals.currency].append(totals)
    return dict(sorted(found.items(), key=lambda item: (-sum(one.invoices + one.credit_notes for one in item[1]), item[0])))


def unsigned_residual(totals: Iterable[Totals]) -> int:
    """Added up without their signs, so that two residuals never cancel out."""
    return sum(abs(one.residual) for one in totals)


def totals_section(customers: Sequence[CustomerResult]) -> str:
    sums = [(_sum(currency, of), unsigned_residual(of)) for currency, of in by_currency(customers).items()]
    if not sums:
        return "<p>No documents are planned or held.</p>"
    about = (
        "What the invoicing API holds against what the ledger plans, with tax. Residual = held less planned less acknowledged."
    )
    notes = (_hidden(one.currency, unsigned) for one, unsigned in sums if unsigned != abs(one.residual))
    return table(about, _TOTALS_HEADS, [_sum_row(one) for one, _ in sums]) + "".join(notes)


def _sum(currency: str, of: Sequence[Totals]) -> Totals:
    return Totals(currency=currency, **{name: sum(getattr(one, name) for one in of) for name in _SUMMED})


def _sum_row(one: Totals) -> str:
    held = (
        number_cell(one.invoices),
        money_cell(one.invoiced, one.currency),
        number_cell(one.credit_notes),
        money_cell(one.credited, one.currency),
        money_cell(one.invoiced - one.credited, one.currency),
        money_cell(one.tax, one.currency),
    )
    against = (
        money_cell(one.planned, one.currency),
        money_cell(one.acknowledged, one.currency),
        residual_cell(one.residual, one.currency),
    )
    return f'<tr><th scope="row">{escape(one.currency)}</th>{"".join(held + against)}</tr>'


def _hidden(currency: str, unsigned: int) -> str:
    return (
        f'<p class="note">Residuals in {escape(currency)} offset each other: without their signs they come to'
        f" {escape(amount(Money(unsigned, currency)))}.</p>"
    )


def customers_section(customers: Sequence[CustomerResult]) -> str:
    if not customers:
        return "<p>No business customer is registered.</p>"
    about = "Those with a residual first, then those with the most findings. Tax is that on invoices less that on credit notes."
    rows = [_customer_rows(one) for one in sorted(customers, key=_urgency)[:ROWS]]
    more = more_in("customers.csv", len(customers) - ROWS, "business customer")
    return _customer_charts(customers) + table(about, _CUSTOMER_HEADS, rows) + more


def _urgency(customer: CustomerResult) -> tuple[int, int, str]:
    return -sum(bool(totals.residual) for totals in customer.totals), -_found(customer), customer.business_customer


def _found(customer: CustomerResult) -> int:
    return sum(customer.found_by_code.values())


def _customer_rows(customer: CustomerResult) -> str:
    """A row for each currency; what is about the whole customer spans them."""
    over = f' rowspan="{len(customer.totals)}"' if len(customer.totals) > 1 else ""
    numbers = (customer.payments, customer.documents, _found(customer))
    remarks = f"<small>{escape(text)}</small>" if (text := _remarks(customer)) else ""
    head = f'<th scope="row"{over}>{escape(owner(customer.business_customer))}{remarks}</th>'
    head += "".join(f'<td class="n"{over}>{number:,}</td>' for number in numbers)
    rows = [_customer_totals(totals) for totals in customer.totals] or ['<td colspan="5" class="soft">no documents</td>']
    return f"<tr>{head}{'</tr><tr>'.join(rows)}</tr>"


def _remarks(customer: CustomerResult) -> str:
    """`duplicate 1, orphan 2; 3 waiting`."""
    kinds = ", ".join(f"{phrase(code)} {number:,}" for code, number in sorted(customer.found_by_code.items()) if number)
    waiting = f"{customer.waiting:,} waiting" if customer.waiting else ""
    return "; ".join(part for part in (kinds, waiting) if part)


def _customer_totals(own: Totals) -> str:
    amounts = (own.invoiced, own.credited, own.tax)
    shown = "".join(money_cell(value, own.currency) for value in amounts)
    return f'<td class="in">{escape(own.currency)}</td>{shown}{residual_cell(own.residual, own.currency)}'


def _customer_charts(customers: Sequence[CustomerResult]) -> str:
    """Of each currency the largest amounts, and only where there are some to compare."""
    amounts: dict[str, list[tuple[int, str]]] = {currency: [] for currency in by_currency(customers)}
    for customer in customers:
        for totals in customer.totals:
            amounts[totals.currency].append((totals.invoiced - totals.credited, customer.business_customer))
    compared = [(currency, values) for currency, values in amounts.items() if len(values) > 1][:_CHARTED_CURRENCIES]
    return charts(*(_customer_chart(currency, sorted(values, key=_size)) for currency, values in compared))


def _size(value: tuple[int, str]) -> tuple[int, str]:
    return -abs(value[0]), value[1]


def _customer_chart(currency: str, ranked: Sequence[tuple[int, str]]) -> str:
    rows = [Bar(name, (Part("amount", value),), digits(value, currency)) for value, name in ranked[:BARS]]
    left_out = len(ranked) - len(rows)
    more = f"the largest {len(rows)} of {len(ranked):,}" if left_out else ""
    title = f"Invoiced less credited, {currency}"
    return figure(escape(title), more, bars(f"net-{escape(currency)}", title, rows))
