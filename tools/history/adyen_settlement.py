"""Adyen's settlement details report: what a batch paid out, and what it was made of, row by row.

A batch is a payout for each currency that it settles in; Adyen sends no notification of it. What its rows say of payments,
refunds and disputes is read as the notifications of these, so that both make the same facts. A batch without a `MerchantPayout`
paid nothing out: what was carried forward is one of its rows. What payouts hold is told at the end of the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quittance.errors import Reject
from quittance.facts import Fact, FactType, PayoutAdjustment
from quittance.money import Money
from tools.history import HistoryError, Reported, refused
from tools.history.adyen_rows import captured_by_hand, instant, minor_units
from tools.history.deliveries import delivered
from tools.history.payout_shares import Content, signed_minor_units

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tools.history import Row, Settings

NAME = "adyen-settlement"
_COLUMNS = frozenset(
    {
        *("Merchant Account", "Psp Reference", "Creation Date", "TimeZone", "Type", "Modification Reference", "Batch Number"),
        *("Gross Currency", "Gross Debit (GC)", "Gross Credit (GC)", "Net Currency", "Net Debit (NC)", "Net Credit (NC)"),
    }
)
_KEPT = ("Commission (NC)", "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)")
_PAID_OUT = "MerchantPayout"
_PAYMENTS = frozenset({"Settled", "SettledBulk", "SettledInInstallments"})
_EVENT_OF = {
    "Refunded": "REFUND",
    "RefundedReversed": "REFUNDED_REVERSED",
    "Chargeback": "CHARGEBACK",
    "ChargebackReversed": "CHARGEBACK_REVERSED",
    "SecondChargeback": "SECOND_CHARGEBACK",
}
"""Types of rows about something done to a payment, and the notification that told of it."""


def recognises(header: Sequence[str]) -> bool:
    return set(header) >= _COLUMNS


@dataclass(slots=True)
class _Batch:
    """A batch in one currency, up to the present row."""

    account: str
    number: str
    currency: str
    line: int
    """Of the row that tells of the payout; until that comes, of the last row."""
    occurred_at: str = ""
    paid_out: int = 0
    is_told: bool = False
    content: Content = field(default_factory=Content)

    def reported(self) -> Iterator[Reported]:
        payout = Fact(
            type=FactType.PAYOUT_PAID,
            provider="adyen",
            account=self.account,
            key=f"batch:{self.number}:{self.currency}",
            occurred_at=self.occurred_at,
            amount=Money(self.paid_out, self.currency),
        )
        for number, share in enumerate(self.content.shared_out(payout), 1):
            yield Reported(share, f"adyen-settlement:{self.account}:{self.number}:{self.currency}:{number}", self.line)


def facts(rows: Iterable[Row], account: str | None, settings: Settings) -> Iterator[Reported | HistoryError]:
    """Payments, refunds and disputes in the order of the rows, then the payouts. Accounts are those that the file names.

    A batch with a row that cannot be read is told all the same: what is missing of it shows when it is tied out.
    """
    batches: dict[tuple[str, str, str], _Batch] = {}
    for line, row in rows:
        try:
            _take(line, row, batches)
            item = _item(row, settings)
        except Reject as error:
            yield refused(line, error)
            continue
        except ValueError as error:
            yield HistoryError(line, str(error))
            continue
        if item:
            yield from delivered("adyen", line, {"notificationItems": [{"NotificationRequestItem": item}]}, account, settings)
    for batch in batches.values():
        yield from batch.reported()


# --- payouts -------------------------------------------------------------------------------------------------------------


def _take(line: int, row: Mapping[str, str], batches: dict[tuple[str, str, str], _Batch]) -> None:
    """Raises `Reject` or `ValueError` for a row that cannot be read; nothing of it counts then."""
    names = row["Merchant Account"], row["Batch Number"], row["Net Currency"].upper()
    if not all(names):
        raise ValueError("Merchant Account, Batch Number or Net Currency is missing")
    at = instant(row, "Creation Date", "TimeZone")
    net = _difference(row, "Net Credit (NC)", "Net Debit (NC)", row["Net Currency"])
    entry = _entry(row, net)
    batch = batches.setdefault(names, _Batch(*names, line))
    if row["Type"] == _PAID_OUT:
        batch.paid_out -= net
        batch.line, batch.occurred_at, batch.is_told = line, max(batch.occurred_at if batch.is_told else "", at), True
        return
    if not batch.is_told:
        batch.line, batch.occurred_at = line, max(batch.occurred_at, at)
    if isinstance(entry, PayoutAdjustment):
        batch.content.adjustments.append(entry)
    else:
        batch.content.add_payment(row["Psp Reference"], entry, net)


def _entry(row: Mapping[str, str], net: int) -> PayoutAdjustment | int:
    """What a row adds: a payment's gross amount, or anything else."""
    gross = net
    kind, psp_reference = row["Type"], row["Psp Reference"]
    if kind in _PAYMENTS or kind in _EVENT_OF:
        if not psp_reference:
            raise ValueError("Psp Reference is missing")
        gross = _gross(row, net)
    if kind in _PAYMENTS:
        return gross
    own = row["Modification Reference"] or kind
    return PayoutAdjustment(kind=kind, id=own, gross=gross, fee=gross - net, net=net, payment_id=psp_reference or None)


def _gross(row: Mapping[str, str], net: int) -> int:
    """In the currency of the payout. Of a sale in another one it is what was paid out and kept together."""
    currency = row["Net Currency"]
    if row["Gross Currency"].upper() == currency.upper():
        return _difference(row, "Gross Credit (GC)", "Gross Debit (GC)", currency)
    return net + sum(signed_minor_units(row.get(column, ""), currency) for column in _KEPT)


def _difference(row: Mapping[str, str], credit: str, debit: str, currency: str) -> int:
    return signed_minor_units(row[credit], currency) - signed_minor_units(row[debit], currency)


# --- payments, refunds, disputes -----------------------------------------------------------------------------------------


def _item(row: Mapping[str, str], settings: Settings) -> dict[str, Any] | None:
    """The item of the notification that a row stands for; None if there was none. Raises `ValueError`.

    With immediate capture, which no notification reports, a settled payment is one that was authorised.
    """
    kind, payment = row["Type"], row["Psp Reference"]
    if kind in _EVENT_OF:
        own = {"eventCode": _EVENT_OF[kind], "pspReference": _modification(row), "originalReference": payment}
    elif kind in _PAYMENTS and captured_by_hand(settings, row["Merchant Account"]):
        own = {"eventCode": "CAPTURE", "pspReference": _modification(row), "originalReference": payment}
    elif kind in _PAYMENTS:
        own = {"eventCode": "AUTHORISATION", "pspReference": payment}
    else:
        return None
    return own | {
        "success": "true",
        "merchantAccountCode": row["Merchant Account"],
        "merchantReference": row.get("Merchant Reference"),
        "paymentMethod": row.get("Payment Method"),
        "eventDate": instant(row, "Creation Date", "TimeZone"),
        "amount": minor_units(row["Gross Credit (GC)"] or row["Gross Debit (GC)"], row["Gross Currency"]),
    }


def _modification(row: Mapping[str, str]) -> str:
    if not (reference := row["Modification Reference"]):
        raise ValueError("Modification Reference is missing")
    return reference
