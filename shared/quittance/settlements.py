"""What a payout says about each payment in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.facts import Fact, FactType
from quittance.money import Money

if TYPE_CHECKING:
    from collections.abc import Iterator


def settlements(payout: Fact) -> Iterator[Fact]:
    """The settlement of every payment that a payout contains; none of a payout that failed."""
    if payout.type is not FactType.PAYOUT_PAID or payout.amount is None:
        return
    for line in payout.payout_lines:
        yield Fact(
            type=FactType.PAYMENT_SETTLED,
            provider=payout.provider,
            account=payout.account,
            key=line.payment_id,
            occurrence=payout.key,
            payment_id=line.payment_id,
            occurred_at=payout.occurred_at,
            # Without what the payment provider kept, so that amount and fee always come to the gross.
            amount=Money(line.gross - line.fee, payout.amount.currency),
            fee=Money(line.fee, payout.amount.currency),
        )
