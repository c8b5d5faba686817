"""Payouts tied out while the cases of a ledger stream by, in any order, with a few numbers kept for each payout.

A payout marks its payments as settled (`payment.settled`), and every such mark lies in the case of its payment. So the case says
by itself whether that line of the payout is explained, and of the payout only the number of marks and a sum of their fingerprints
are kept, to be compared with its list. Where marks and list do not agree, be it that some are still on their way, the payout is
tied out line by line afterwards; what it holds besides payments is looked up always. Reads are as many as there are payouts,
refunds, disputes and such faults.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from quittance.facts import PAYOUT_TYPES, Fact, FactType
from quittance.money import Money
from quittance.reconciliation.payout_evidence import Evidence, settled_gross
from quittance.reconciliation.payouts import PAYMENTS, Payout, TiedLine, TieOut, adjusted, tie_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from quittance.ledger import CaseFile
    from quittance.plan import Plan
    from quittance.reconciliation.payouts import Look

NAMED_MAX = 50
"""Unexplained payments of one payout that are named. The others are counted."""


class Mark(NamedTuple):
    """One payment as one payout holds it."""

    provider: str
    account: str
    payout: str
    """The key of the payout, or of one share of it."""
    payment_id: str
    gross: int
    reason: str
    """Why it is not explained; empty if it is."""

    @property
    def fingerprint(self) -> int:
        return _fingerprint(self.payment_id, self.gross)


@dataclass(slots=True)
class Marks:
    """All the marks of one payout, or of one share of it, in any order."""

    count: int = 0
    fingerprint: int = 0
    """Sum of those of the marks."""
    unexplained: int = 0
    unexplained_gross: int = 0
    named: list[tuple[str, int, str]] = field(default_factory=list)
    """At most `NAMED_MAX` of the unexplained: payment, amount and reason."""

    def add(self, mark: Mark) -> None:
        self.count += 1
        self.fingerprint += mark.fingerprint
        if mark.reason:
            self.unexplained += 1
            self.unexplained_gross += mark.gross
            if len(self.named) < NAMED_MAX:
                self.named.append((mark.payment_id, mark.gross, mark.reason))


def is_payout(case: CaseFile) -> bool:
    return any(fact.type in PAYOUT_TYPES for fact in case.facts.values())


def marks_in(case: CaseFile, planned: Plan | None) -> Iterator[Mark]:
    """The marks that a case holds. `planned` is its plan; None while nobody has registered its account.

    A payment that other payouts held before is left out: only they can say whether they failed.
    """
    settled = [fact for fact in case.facts.values() if fact.type is FactType.PAYMENT_SETTLED]
    evidence = Evidence(case, planned) if settled else None
    for fact in settled:
        if evidence and not _may_be_paid_out_twice(fact, evidence):
            gross, currency = settled_gross(fact), fact.amount.currency if fact.amount else ""
            reason = evidence.of_payment(fact.key, Money(gross, currency)).reason
            yield Mark(fact.provider, fact.account, fact.occurrence, fact.key, gross, reason)


def _may_be_paid_out_twice(settled: Fact, evidence: Evidence) -> bool:
    gross = settled_gross(settled)
    if gross <= 0:
        return False
    before = evidence.paid_out_before(settled.key, (settled.occurred_at, settled.occurrence), {settled.occurrence})
    return bool(before) and sum(before.values()) + gross > evidence.paid(settled.key)


def tie_out_marked(reports: Iterable[Fact], business_customer: str, marks_of: Callable[[Fact], Marks], look: Look) -> TieOut:
    """A payout, by the facts of its case and the marks of each of its shares: as `tie_out`, with its payments summed up."""
    facts = list(reports)
    payout = Payout.of(facts)
    if payout.is_failed:
        return payout.tied(business_customer, ())
    marks = [marks_of(share) for share in payout.shares]
    is_listed_once = sum(len(share.payout_lines) for share in payout.shares) == len(payout.lines)
    if not (payout.has_amount and is_listed_once and all(map(_agree, payout.shares, marks))):
        return tie_out(facts, business_customer, look)
    return payout.tied(
        business_customer, [*_summed_up(payout, marks), *(adjusted(payout, one, look) for one in payout.adjustments)]
    )


def _agree(share: Fact, marks: Marks) -> bool:
    fingerprint = sum(_fingerprint(line.payment_id, line.gross) for line in share.payout_lines)
    return (marks.count, marks.fingerprint) == (len(share.payout_lines), fingerprint)


def _fingerprint(payment_id: str, gross: int) -> int:
    return crc32(f"{gross} {payment_id}".encode())


def _summed_up(payout: Payout, marks: list[Marks]) -> Iterator[TiedLine]:
    """The payments that are explained as one line, some of the others one by one, and the rest of them as one again."""
    lines = payout.lines
    left, left_gross = sum(one.unexplained for one in marks), sum(one.unexplained_gross for one in marks)
    gross, fee = sum(line.gross for line in lines) - left_gross, sum(line.gross - line.net for line in lines)
    yield TiedLine(part=PAYMENTS, kind="payments", id=f"{len(lines) - left} payments", gross=gross, fee=fee)
    for payment_id, amount, reason in (named for one in marks for named in one.named):
        left, left_gross = left - 1, left_gross - amount
        yield TiedLine(part=PAYMENTS, kind="payment", id=payment_id, payment_id=payment_id, gross=amount, reason=reason)
    if left:
        yield TiedLine(part=PAYMENTS, kind="payments", id=f"{left} more", gross=left_gross, reason="several")
