"""The same figures for spreadsheets and programs: complete, however long.

CSV is made for finance's Excel. It begins with a byte order mark, because without one Excel reads UTF-8 as the machine's old code
page and mangles every name that is not English; other readers skip the mark. Amounts are plain decimals in major units with a
point, and their currency has a column of its own.
"""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from quittance.reconciliation.finding_classes import finding_class
from quittance.reconciliation.report.wording import day_of, plain
from quittance.reconciliation.results import Reconciliation, Totals

if TYPE_CHECKING:
    from quittance.acknowledgements import Acknowledgement
    from quittance.reconciliation.results import Found, PayoutLine

_CSV_ENCODING = "utf-8-sig"
FINDING_COLUMNS = (
    "severity code business_customer provider account payment_id document number amount currency since detail repair proposal"
    " acknowledged acknowledged_by acknowledged_because"
)
CUSTOMER_COLUMNS = (
    "business_customer entity_id currency payments documents waiting findings"
    " invoices credit_notes invoiced credited tax planned residual acknowledged"
)
PAYOUT_COLUMNS = (
    "payout_id provider account business_customer occurred_at state currency amount payments refunds disputes fees other residual"
    " documents unexplained acknowledged"
)

_RUNS = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""What a cell begins with that spreadsheets take for a formula. OWASP, "CSV Injection"; the last four are full-width."""
_CONVERTED = re.compile(r"0\d+|\d{16,}|\d+[eE]\d+|\d{1,4}[-/.]\d{1,2}(?:[-/.]\d{1,4})?", re.ASCII)
"""An id that spreadsheets would take for a number, and shorten (they keep 15 digits, and no leading zeros), or for a date."""


class Sheet:
    """A CSV file that grows row by row."""

    def __init__(self, columns: str) -> None:
        # Encoded at once: text takes four times the memory.
        self._bytes = io.BytesIO()
        self._text = io.TextIOWrapper(self._bytes, encoding=_CSV_ENCODING, newline="")
        self._writer = csv.writer(self._text)
        self._writer.writerow(columns.split())

    def add(self, *cells: object) -> None:
        """Text is made harmless to spreadsheets; `Plain` and whole numbers are written as they are."""
        self._writer.writerow(map(_cell, cells))

    def content(self) -> bytes:
        self._text.flush()
        return self._bytes.getvalue()


def _cell(value: object) -> object:
    return text_cell(value) if isinstance(value, str) and not isinstance(value, Plain) else value


class Plain(str):
    """Of our own making and meant as it looks: a decimal, which may begin with a minus, or a date."""

    __slots__ = ()


def text_cell(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would run it, or make something else of it."""
    return f"'{text}" if _RUNS.match(text) or _CONVERTED.fullmatch(text) else text


def number(value: int, currency: str) -> Plain:
    return Plain(plain(value, currency))


def finding_row(found: Found) -> tuple[object, ...]:
    return (
        found.severity,
        found.code,
        found.business_customer,
        found.provider,
        found.account,
        found.payment_id,
        found.document,
        found.number,
        "" if found.amount is None else number(found.amount.value, found.amount.currency),
        "" if found.amount is None else found.amount.currency,
        Plain(day_of(found.since)) if found.since else "",
        found.detail,
        found.repair,
        finding_class(found.code).proposal,
        *_acknowledged(found.acknowledged),
    )


def _acknowledged(given: Acknowledgement | None) -> tuple[object, ...]:
    return (Plain(day_of(given.at)), given.by, given.reason) if given else ("", "", "")


def customers(reconciliation: Reconciliation) -> bytes:
    """A row for each business customer and currency. The counts of a customer are on the first of its rows, to add up right."""
    sheet = Sheet(CUSTOMER_COLUMNS)
    for one in reconciliation.customers:
        counts: tuple[object, ...] = (one.payments, one.documents, one.waiting, sum(one.found_by_code.values()))
        for own in one.totals or (None,):
            sheet.add(one.business_customer, one.entity_id, own.currency if own else "", *counts, *_of_totals(own))
            counts = ("",) * len(counts)
    return sheet.content()


def _of_totals(own: Totals | None) -> tuple[object, ...]:
    if own is None:
        return ("",) * 8
    amounts = (own.invoiced, own.credited, own.tax, own.planned, own.residual, own.acknowledged)
    return (own.invoices, own.credit_notes, *(number(value, own.currency) for value in amounts))


def payout_row(one: PayoutLine) -> tuple[object, ...]:
    amounts = (one.amount.value, one.payments, one.refunds, one.disputes, one.fees, one.other, one.residual)
    return (
        one.payout_id,
        one.provider,
        one.account,
        one.business_customer,
        one.occurred_at,
        one.state,
        one.amount.currency,
        *(number(value, one.amount.currency) for value in amounts),
        " ".join(one.documents),
        " ".join(one.unexplained),
        "yes" if one.is_acknowledged else "",
    )


class Record:
    """The whole reconciliation as JSON, payouts and findings one a line. Amounts are integer minor units."""

    def __init__(self, reconciliation: Reconciliation) -> None:
        self._bytes = io.BytesIO()
        self._write(json.dumps(reconciliation, default=_members, ensure_ascii=False, indent=1).removesuffix("\n}"))
        self._end = "\n}\n"
        self._separator = ""

    def begin(self, name: str) -> None:
        """A list: what is added from here on."""
        self._write(self._end.removesuffix("\n}\n") + f',\n "{name}": [')
        self._end = "\n ]\n}\n"
        self._separator = "\n  "

    def add(self, one: Found | PayoutLine) -> None:
        self._write(self._separator + json.dumps(one, default=_members, ensure_ascii=False))
        self._separator = ",\n  "

    def content(self) -> bytes:
        self._write(self._end)
        return self._bytes.getvalue()

    def _write(self, text: str) -> None:
        self._bytes.write(text.encode())


def _members(value: object) -> dict[str, Any]:
    if not is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"{type(value).__name__} has no place in a report")
    members = {one.name: getattr(value, one.name) for one in fields(value)}
    if isinstance(value, Totals):
        members["residual"] = value.residual
    return members
