"""Stripe's payments export of the Dashboard: one row per charge, with what was refunded of it so far.

A row names no refund and no dispute. Refunds are therefore known by their total, as the event `charge.refunded` reports it; what
a dispute took away cannot be told from the row at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.errors import Reject
from quittance.facts import Fact, FactType, Payer
from quittance.money import Money, money_from_decimal
from quittance.providers.payload import utc_instant
from tools.history import HistoryError, Reported, refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tools.history import Row, Settings

NAME = "stripe-payments"
_CREATED = ("Created date (UTC)", "Created (UTC)")
_REFUNDED_AT = "Refunded date (UTC)"
_PAID = frozenset({"paid", "succeeded", "refunded", "partially refunded", "partial refund", "disputed", "dispute won"})
_ADDRESS = {
    "line1": "Card Address Line1",
    "line2": "Card Address Line2",
    "city": "Card Address City",
    "state": "Card Address State",
    "postal_code": "Card Address Zip",
}
_COUNTRY_LETTERS = 2


def recognises(header: Sequence[str]) -> bool:
    return {"id", "Amount", "Amount Refunded", "Currency", "Status"} <= set(header) and any(name in header for name in _CREATED)


def facts(
    rows: Iterable[Row],
    account: str | None,
    settings: Settings,  # noqa: ARG001 - Stripe has none
) -> Iterator[Reported | HistoryError]:
    """The payment, or the failed attempt, of each row, and the total refunded of it."""
    for line, row in rows:
        if not row["id"]:
            continue  # a payment that was never attempted
        try:
            yield from _stated(line, row, account or "connection:default")
        except Reject as error:
            yield refused(line, error)
        except ValueError as error:
            yield HistoryError(line, str(error))


def _stated(line: int, row: Mapping[str, str], account: str) -> Iterator[Reported | HistoryError]:
    is_test = {"test": True, "live": False}.get(row.get("Mode", "").lower())
    status = row["Status"].lower()
    if status == "failed":
        yield Reported(_failure(row, account), f"{row['id']}:failed", line, is_test)
    elif _is_paid(row, status):
        payment, refund = _payment(row, account), _refund(row, account)
        yield Reported(payment, row["id"], line, is_test)
        if refund:
            yield Reported(refund, f"{row['id']}:refunded:{refund.occurrence}", line, is_test)
        if row.get("Dispute Status", "").lower() == "lost":
            yield HistoryError(line, "a lost dispute, which this export does not name: add Stripe's disputes as JSON lines")


def _is_paid(row: Mapping[str, str], status: str) -> bool:
    return row["Captured"].lower() == "true" if row.get("Captured") else status in _PAID


def _payment(row: Mapping[str, str], account: str) -> Fact:
    invoice_id = row.get("Invoice ID") or None
    return _fact(
        FactType.PAYMENT_SUCCEEDED,
        row,
        account,
        amount=_money(row, "Amount"),
        invoice_id=invoice_id,
        # As for an event that does not say what kind of invoice it is: only the invoice can say that it is no renewal.
        awaits_renewal=True if invoice_id else None,
        description=row.get("Description") or None,
        payer=_payer(row),
    )


def _failure(row: Mapping[str, str], account: str) -> Fact:
    return _fact(FactType.PAYMENT_FAILED, row, account, amount=_money(row, "Amount"), occurrence=row["id"])


def _refund(row: Mapping[str, str], account: str) -> Fact | None:
    total = _money(row, "Amount Refunded") if row["Amount Refunded"] else None
    if not total:
        return None
    refund = {"key": row["id"], "running_total": True, "occurrence": str(total.value), "occurred_at": _instant(row, _REFUNDED_AT)}
    return _fact(FactType.REFUND_SUCCEEDED, row, account, amount=total, **refund)


def _fact(kind: FactType, row: Mapping[str, str], account: str, **more: object) -> Fact:
    """Under the id that Stripe's events use: the PaymentIntent where there is one."""
    payment_id = row.get("PaymentIntent ID") or row["id"]
    values: dict[str, object] = {
        "key": payment_id,
        "occurred_at": _instant(row, next(name for name in _CREATED if name in row)),
        "also_known_as": (row["id"],) if row["id"] != payment_id else (),
    }
    return Fact(type=kind, provider="stripe", account=account, payment_id=payment_id, **(values | more))  # type: ignore[arg-type]


def _money(row: Mapping[str, str], column: str) -> Money:
    return money_from_decimal(row[column], row["Currency"])


def _instant(row: Mapping[str, str], column: str) -> str:
    """`2026-01-31 10:00` or `2026-01-31 10:00:00`, in UTC. Raises `ValueError`."""
    written = row.get(column, "").replace(" ", "T")
    seconds = ":00" if len(written) == len("2026-01-31T10:00") else ""
    try:
        return utc_instant(f"{written}{seconds}Z")
    except ValueError:
        raise ValueError(f"{column} is no time such as 2026-01-31 10:00:00") from None


def _payer(row: Mapping[str, str]) -> Payer | None:
    name, email = row.get("Card Name") or None, row.get("Customer Email") or None
    if not (name or email):
        return None
    country = row.get("Card Address Country", "").upper()
    address = {part: row[column] for part, column in _ADDRESS.items() if row.get(column)}
    is_code = len(country) == _COUNTRY_LETTERS and country.isascii() and country.isalpha()
    return Payer(name=name, email=email, country=country if is_code else None, **address)
