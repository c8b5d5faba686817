"""Stripe's balance transactions, one a line as its API lists them for a payout: the payout first, then what it held.

    stripe balance_transactions list --payout po_... --expand data.source     (its `data`, one object a line)

The lists of several payouts may follow each other. With `source` expanded its objects tell of payments, refunds and disputes
too; without it Stripe's list does not say to which payment a refund belongs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from quittance.errors import Reject
from quittance.facts import Fact, FactType
from quittance.money import Money
from quittance.providers.payload import utc_instant_from_epoch
from quittance.providers.stripe.objects import PAGE, PAGES_AT_ONCE, content
from quittance.providers.stripe.reading import stripe_money, whole_number
from tools.history import HistoryError, Reported, refused, stripe_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tools.history import Row, Settings

NAME = "stripe-balance"
_SHARE = PAGE * PAGES_AT_ONCE
"""As many as are read from the API at once, so that shares have the same keys."""


def recognises(header: Sequence[str]) -> bool:
    return {"object", "id", "fee_details", "net"} <= set(header)


@dataclass(slots=True)
class _Payout:
    """One payout, up to the present line."""

    line: int
    report: Fact
    transactions: list[dict[str, Any]] = field(default_factory=list)

    def shares(self) -> Iterator[Reported | HistoryError]:
        """In the shares, and under the keys, that the API's pages have."""
        after = ""
        for start in range(0, len(self.transactions), _SHARE):
            part = self.transactions[start : start + _SHARE]
            key = f"{self.report.key}/{after}" if after else self.report.key
            try:
                lines, adjustments = content(part, self.report)
            except Reject as error:
                yield refused(self.line, error)
                return
            share = replace(self.report, key=key, payout_lines=lines, payout_adjustments=adjustments)
            yield Reported(replace(share, also_known_as=(self.report.key,) if after else ()), f"{NAME}:{key}", self.line)
            after = str(part[-1]["id"])


@dataclass(slots=True)
class _Lists:
    """The payouts of a file, and the objects behind their transactions."""

    account: str
    present: _Payout | None = None
    told: list[Reported | HistoryError] = field(default_factory=list)

    def sources(self, rows: Iterable[Row]) -> Iterator[Row]:
        for line, row in rows:
            try:
                self._take(line, row)
            except Reject as error:
                self.told.append(refused(line, error))
                continue
            if isinstance(row.get("source"), dict):
                yield line, row["source"]
        self._finish()

    def _take(self, line: int, row: Mapping[str, Any]) -> None:
        transaction = {name: value for name, value in row.items() if value is not None}
        if row.get("type") == "payout":
            self._finish()
            self.present = _Payout(line, _payout(transaction, self.account))
        elif self.present is None:
            raise Reject("unreadable_body", "a balance transaction before its payout")
        self.present.transactions.append(transaction)

    def _finish(self) -> None:
        if self.present:
            self.told += self.present.shares()
        self.present = None

    def taken(self) -> list[Reported | HistoryError]:
        told, self.told = self.told, []
        return told


def facts(rows: Iterable[Row], account: str | None, settings: Settings) -> Iterator[Reported | HistoryError]:
    """What the objects tell, and each payout after its last transaction. All of it is money of `account`."""
    lists = _Lists(account or "connection:default")
    for stated in stripe_lines.facts(lists.sources(rows), account, settings):
        yield from lists.taken()
        yield stated
    yield from lists.taken()


def _payout(transaction: dict[str, Any], account: str) -> Fact:
    source = transaction.get("source")
    name = source.get("id") if isinstance(source, dict) else source
    if not isinstance(name, str) or not name:
        raise Reject("unreadable_body", "a payout without its id")
    value = whole_number(transaction, "amount")
    money = stripe_money(abs(value), transaction.get("currency"))
    return Fact(
        type=FactType.PAYOUT_PAID,
        provider="stripe",
        account=account,
        key=name,
        occurred_at=utc_instant_from_epoch(transaction.get("created")),
        amount=Money(money.value if value <= 0 else -money.value, money.currency),
    )
