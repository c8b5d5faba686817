"""Payouts out of the rows of a report: each as one fact, or in shares where one would be more than the ledger keeps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from quittance.facts import Fact, PayoutAdjustment, PayoutLine
from quittance.money import money_from_decimal

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARE = 1_500
"""Lines of one share: with the longest ids that providers use, half of what a message and the ledger take."""


@dataclass(slots=True)
class Content:
    """What one payout holds. Several rows of one payment are one line."""

    lines: dict[str, PayoutLine] = field(default_factory=dict)
    adjustments: list[PayoutAdjustment] = field(default_factory=list)

    def add_payment(self, payment_id: str, gross: int, net: int) -> None:
        """Reports do not tell the platform's own fee apart: all that was kept is the provider's."""
        known = self.lines.get(payment_id)
        gross, net = gross + (known.gross if known else 0), net + (known.net if known else 0)
        self.lines[payment_id] = PayoutLine(payment_id=payment_id, gross=gross, fee=0, net=net)

    @property
    def net(self) -> int:
        return sum(line.net for line in self.lines.values()) + sum(one.net for one in self.adjustments)

    def shared_out(self, payout: Fact) -> Iterator[Fact]:
        """The payout with all of this, in shares that lead to one case."""
        entries = (*self.lines.values(), *self.adjustments)
        for number, start in enumerate(range(0, max(len(entries), 1), SHARE)):
            part = entries[start : start + SHARE]
            yield replace(
                payout,
                key=f"{payout.key}/{number + 1}" if number else payout.key,
                also_known_as=(payout.key,) if number else (),
                payout_lines=tuple(one for one in part if isinstance(one, PayoutLine)),
                payout_adjustments=tuple(one for one in part if isinstance(one, PayoutAdjustment)),
            )


def signed_minor_units(written: str, currency: str) -> int:
    """Minor units of a decimal amount that may be negative; nothing is written for zero. Raises `Reject`."""
    if not written:
        return 0
    value = money_from_decimal(written.removeprefix("-"), currency).value
    return -value if written.startswith("-") else value
