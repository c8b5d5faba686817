"""Stripe's payout reconciliation report, itemized: what each automatic payout was made of, one balance transaction a row.

The report tells neither a payout's own amount, which is what its rows come to, nor the platform's fee apart from Stripe's: where
fees are invoiced to business customers, take balance transactions instead (`stripe-balance`). What the rows prove of payments and
refunds is told under the keys that Stripe's events have. Payments and payouts are told at the end of the file: only there is it
known what of a payment was never captured, and what a payout comes to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from quittance.errors import Reject
from quittance.facts import Fact, FactType, PayoutAdjustment
from quittance.money import Money
from quittance.providers.fields import names
from quittance.providers.payload import utc_instant
from tools.history import HistoryError, Reported, refused
from tools.history.payout_shares import Content, signed_minor_units

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tools.history import Row, Settings

NAME = "stripe-payouts"
_COLUMNS = frozenset(
    {"automatic_payout_id", "balance_transaction_id", "reporting_category", "currency", "gross", "fee", "net", "source_id"}
)
_PAID_AT = ("automatic_payout_effective_at_utc", "automatic_payout_effective_at")
_MADE_AT = ("created_utc", "created")
_CHARGED, _NEVER_CAPTURED = "charge", "partial_capture_reversal"
_REFUNDS = {"refund": FactType.REFUND_SUCCEEDED, "refund_failure": FactType.REFUND_FAILED}
_PAYOUT_ITSELF = frozenset({"payout", "payout_reversal"})


def recognises(header: Sequence[str]) -> bool:
    columns = set(header)
    return columns >= _COLUMNS and all(columns & set(either) for either in (_PAID_AT, _MADE_AT))


@dataclass(slots=True)
class _Payout:
    line: int
    id: str
    currency: str
    occurred_at: str
    content: Content = field(default_factory=Content)


@dataclass(slots=True)
class _Report:
    """What the rows said so far."""

    account: str
    payouts: dict[str, _Payout] = field(default_factory=dict)
    payments: dict[str, Reported] = field(default_factory=dict)

    def take(self, line: int, row: Mapping[str, str]) -> Iterator[Reported]:
        """Raises `Reject` or `ValueError` for a row that cannot be read; nothing of it counts then."""
        category = row["reporting_category"]
        if category in _PAYOUT_ITSELF or not row["automatic_payout_id"]:
            return  # the payout itself, or what none holds yet
        stated = _refund(line, row, self.account) if category in _REFUNDS else None
        payment = _payment(line, row, self.account) if category == _CHARGED else None
        self._add_to_payout(line, row)
        if payment:
            self.payments[payment.fact.key] = payment
        if category == _NEVER_CAPTURED:
            self.payments.pop(_payment_id(row), None)  # how much of it was captured in its own currency is not told
        if stated:
            yield stated

    def _add_to_payout(self, line: int, row: Mapping[str, str]) -> None:
        currency, category = row["currency"].upper(), row["reporting_category"]
        gross, net = signed_minor_units(row["gross"], currency), signed_minor_units(row["net"], currency)
        at = _instant(row, _PAID_AT)
        payout = self.payouts.setdefault(row["automatic_payout_id"], _Payout(line, row["automatic_payout_id"], currency, at))
        if payout.currency != currency:
            raise Reject("currencies_differ")
        if category in {_CHARGED, _NEVER_CAPTURED}:
            payout.content.add_payment(_payment_id(row), gross, net)
            return
        payment_id = row.get("payment_intent_id") or row.get("charge_id") or None
        own = row["source_id"] or row["balance_transaction_id"]
        payout.content.adjustments.append(
            PayoutAdjustment(kind=category, id=own, gross=gross, fee=gross - net, net=net, payment_id=payment_id)
        )

    def told_at_the_end(self) -> Iterator[Reported]:
        yield from self.payments.values()
        for one in self.payouts.values():
            payout = Fact(
                type=FactType.PAYOUT_PAID,
                provider="stripe",
                account=self.account,
                key=one.id,
                occurred_at=one.occurred_at,
                amount=Money(one.content.net, one.currency),
            )
            for number, share in enumerate(one.content.shared_out(payout), 1):
                yield Reported(share, f"{NAME}:{one.id}:{number}", one.line)


def facts(
    rows: Iterable[Row],
    account: str | None,
    settings: Settings,  # noqa: ARG001 - Stripe has none
) -> Iterator[Reported | HistoryError]:
    """All of it is money of `account`. Disputes are in payouts only: no row tells how they ended."""
    report = _Report(account or "connection:default")
    for line, row in rows:
        try:
            yield from report.take(line, row)
        except Reject as error:
            yield refused(line, error)
        except ValueError as error:
            yield HistoryError(line, str(error))
    yield from report.told_at_the_end()


# --- rows ----------------------------------------------------------------------------------------------------------------


def _payment(line: int, row: Mapping[str, str], account: str) -> Reported:
    payment_id = _payment_id(row)
    invoice_id = row.get("invoice_id") or None
    paid = Fact(
        type=FactType.PAYMENT_SUCCEEDED,
        provider="stripe",
        account=account,
        key=payment_id,
        payment_id=payment_id,
        occurred_at=_instant(row, _MADE_AT),
        amount=_taken(row),
        also_known_as=names(row.get("charge_id") or row["source_id"], but=payment_id),
        invoice_id=invoice_id,
        # As for an event that does not say what kind of invoice it is: only the invoice can say that it is no renewal.
        awaits_renewal=True if invoice_id else None,
    )
    return Reported(paid, f"{NAME}:{row['balance_transaction_id']}", line)


def _refund(line: int, row: Mapping[str, str], account: str) -> Reported:
    payment_id = _payment_id(row)
    returned = Fact(
        type=_REFUNDS[row["reporting_category"]],
        provider="stripe",
        account=account,
        key=row["source_id"],
        payment_id=payment_id,
        occurred_at=_instant(row, _MADE_AT),
        amount=_taken(row),
        also_known_as=names(row.get("charge_id"), but=payment_id),
    )
    return Reported(returned, f"{NAME}:{row['balance_transaction_id']}", line)


def _payment_id(row: Mapping[str, str]) -> str:
    """The id that Stripe's events use: the PaymentIntent where there is one."""
    is_charge = row["reporting_category"] == _CHARGED
    name = row.get("payment_intent_id") or row.get("charge_id") or (row["source_id"] if is_charge else "")
    if not name or not row["source_id"]:
        raise ValueError("names no payment: add payment_intent_id, charge_id and source_id to the report")
    return name


def _taken(row: Mapping[str, str]) -> Money:
    """What the buyer paid or got back, in the currency they were asked in."""
    currency = (row.get("customer_facing_currency") or row["currency"]).upper()
    written = row.get("customer_facing_amount") or row["gross"]
    return Money(abs(signed_minor_units(written, currency)), currency)


def _instant(row: Mapping[str, str], columns: Sequence[str]) -> str:
    """The columns without `_utc` are in the zone that the report was asked for in, which must have been UTC."""
    written = next((row[name] for name in columns if row.get(name)), "").replace(" ", "T")
    seconds = ":00" if len(written) == len("2026-01-31T10:00") else ""
    time = "T00:00:00" if len(written) == len("2026-01-31") else ""
    try:
        return utc_instant(f"{written}{time}{seconds}Z")
    except ValueError:
        raise ValueError(f"{columns[0]} is no time such as 2026-01-31 10:00:00") from None
