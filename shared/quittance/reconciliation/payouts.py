"""Payouts tied out: what each was made of, down to the documents, and what is left unexplained.

    amount = payments + fees + refunds + disputes + other + residual

holds for every payout, exactly, in minor units. A line counts in full or not at all: a payment when money of just this amount is
known to have arrived and every document that its policy calls for stands; a refund, a dispute or a late failure likewise. Fees,
and what has to do with no payment, are explained by being named. Whatever counts for nothing is in the residual, and listed.

Pure. `tie_out` looks every line up; `payout_marks` does the same while the cases of a ledger stream by.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from quittance.facts import PAYOUT_TYPES, Fact, FactType, PayoutAdjustment
from quittance.facts import PayoutLine as ListedLine
from quittance.money import Money
from quittance.reconciliation.finding_classes import finding_class
from quittance.reconciliation.payout_evidence import CURRENCY_DIFFERS, PAID_OUT_BEFORE, Evidence, Shown, TiedDocument
from quittance.reconciliation.results import Found, PayoutLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from quittance.ledger import CaseFile
    from quittance.plan import Plan

    Look: TypeAlias = Callable[[str, str, str], tuple[CaseFile, Plan | None]]
    """Provider, account and an id -> the case that the id leads to, one without facts if nothing is known, and its plan; no plan
    while nobody has registered the account."""

PAYMENTS, FEES, REFUNDS, DISPUTES, OTHER = "payments", "fees", "refunds", "disputes", "other"
PARTS = (PAYMENTS, FEES, REFUNDS, DISPUTES, OTHER)
PAID, FAILED = "paid", "failed"
KIND_UNKNOWN = "kind_unknown"
ADJUSTMENT_UNKNOWN = "adjustment_unknown"
AMOUNT_UNKNOWN = "amount_unknown"

_REFUNDS = "refund paymentrefund paymentrefunded refunded refundfailure refundedreversed refundfundsreturned"
_DISPUTES = "dispute disputereversal chargeback chargebackreversed secondchargeback paymentchargedback"
_FEES = (
    "fee stripefee stripefxfee taxfee networkcost applicationfee applicationfeerefund gocardlessfee appfee revenueshare"
    " surchargefee invoicededuction misccosts paymentcost"
)
_PART_OF = (
    dict.fromkeys(_REFUNDS.split(), REFUNDS)
    | dict.fromkeys(_DISPUTES.split(), DISPUTES)
    | dict.fromkeys(["paymentfailed", "paymentfailurerefund"], PAYMENTS)
    | dict.fromkeys(_FEES.split(), FEES)
)
"""The providers' own codes for what is no payment, in lower case and without `_`. What is not here has to do with no payment."""
_ADJUSTMENT = "adjustment"
"""Stripe's code for several things. The facts tell which it is."""
_NAMED_IN_FINDING = 5
_UNKNOWN = "unknown"
"""What providers' modules call a code that is none."""


_Entry = TypeVar("_Entry", ListedLine, PayoutAdjustment)


@dataclass(frozen=True, slots=True, kw_only=True)
class TiedLine:
    """One line of a payout, in minor units of its currency."""

    part: str
    """One of `PARTS`."""
    kind: str
    """`payment`, or the provider's own code."""
    id: str
    payment_id: str = ""
    gross: int = 0
    fee: int = 0
    """What was kept of it, by the platform or by the payment provider: gross less net."""
    documents: tuple[TiedDocument, ...] = ()
    reason: str = ""
    """Why it explains nothing, as a code; empty if it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TieOut:
    """A payout with everything that explains it."""

    provider: str
    account: str
    payout_id: str
    business_customer: str
    occurred_at: str
    state: str
    """`paid`; or `failed`: nothing arrived then, so nothing is to be explained, and the lines come again with another payout."""
    amount: Money
    """What arrived."""
    lines: tuple[TiedLine, ...]

    @property
    def parts(self) -> Counter[str]:
        """What is explained, by part, in minor units."""
        sums = Counter(dict.fromkeys(PARTS, 0))
        for line in self.lines if self.state == PAID else ():
            sums[line.part] += 0 if line.reason else line.gross
            sums[FEES] -= line.fee
        return sums

    @property
    def residual(self) -> int:
        """What arrived less everything explained, in minor units."""
        return self.amount.value - sum(self.parts.values())

    @property
    def unexplained(self) -> tuple[TiedLine, ...]:
        return tuple(line for line in self.lines if line.reason and self.state == PAID)

    def summary(self) -> PayoutLine:
        """The payout as reports show it."""
        sales = (document.id for line in self.lines for document in line.documents if not document.is_fee)
        return PayoutLine(
            payout_id=self.payout_id,
            provider=self.provider,
            account=self.account,
            business_customer=self.business_customer,
            occurred_at=self.occurred_at,
            amount=self.amount,
            state=self.state,
            **self.parts,
            residual=self.residual,
            documents=tuple(dict.fromkeys(sales)),
            unexplained=tuple(line.id for line in self.unexplained),
            is_acknowledged=False,
        )

    def to_json(self) -> dict[str, Any]:
        """Ready for JSON. Amounts are minor units."""
        summary = {name: value for name, value in asdict(self.summary()).items() if name != "is_acknowledged"}
        return {"kind": "payout"} | summary | {"lines": [asdict(line) for line in self.lines]}


def residual_found(tied: TieOut) -> Found | None:
    """What a person should know of a payout; None if all of it is explained. Lines that cancel each other out are told too."""
    if not tied.residual and not tied.unexplained:
        return None
    is_other_currency = {line.reason for line in tied.unexplained} == {CURRENCY_DIFFERS}
    is_other_currency &= tied.residual == sum(line.gross for line in tied.unexplained)
    code = "payout_currency_differs" if is_other_currency else "payout_residual"
    named = [f"{line.id} {line.reason}" for line in tied.unexplained[:_NAMED_IN_FINDING]]
    left = len(tied.unexplained) - len(named)
    known = finding_class(code)
    return Found(
        code=code,
        severity=known.severity,
        business_customer=tied.business_customer,
        provider=tied.provider,
        account=tied.account,
        payment_id=tied.payout_id,
        amount=Money(tied.residual, tied.amount.currency),
        detail=", ".join(named + ([f"{left} more"] if left else [])) or "the lines do not come to the amount",
        since=int(datetime.fromisoformat(tied.occurred_at).timestamp()),
        repair=known.repair,
    )


def tie_out(reports: Iterable[Fact], business_customer: str, look: Look) -> TieOut:
    """A payout tied out, line by line. `reports` are the facts of its case; a large payout has several, with a share each.

    The lines are in the payout's own order. One read, at most two, for each line that names a payment; none for the others.
    Raises `ValueError` if there is no payout among the facts.
    """
    payout = Payout.of(reports)
    if not payout.has_amount:
        return payout.tied(business_customer, [TiedLine(part=OTHER, kind="payout", id=payout.id, reason=AMOUNT_UNKNOWN)])
    payments = [_payment(payout, line, look) for line in payout.lines]
    others = [adjusted(payout, one, look) for one in payout.adjustments]
    return payout.tied(business_customer, payments + others)


@dataclass(frozen=True, slots=True)
class Payout:
    """A payout as it was reported, the shares of a large one together."""

    report: Fact
    shares: tuple[Fact, ...]
    is_failed: bool

    @classmethod
    def of(cls, reports: Iterable[Fact]) -> Payout:
        """Raises `ValueError` if none of the facts is of a payout."""
        told = sorted((one for one in reports if one.type in PAYOUT_TYPES), key=lambda one: (one.key, one.identity))
        shares = tuple(one for one in told if one.type is FactType.PAYOUT_PAID)
        failures = [one for one in told if one.type is FactType.PAYOUT_FAILED]
        if not told:
            raise ValueError("no payout among the facts")
        paid_at = max((one.latest_at for one in shares), default="")
        is_failed = bool(failures) and max(one.latest_at for one in failures) >= paid_at
        return cls((shares or failures)[0], shares or tuple(failures), is_failed)

    @property
    def id(self) -> str:
        return self.report.case_ids[0]

    @property
    def keys(self) -> frozenset[str]:
        """Under which its payments are marked as settled."""
        return frozenset(one.key for one in self.shares)

    @property
    def amount(self) -> Money:
        """What arrived: nothing of a payout that failed. One that nobody said the amount of is listed as such by `tie_out`."""
        told = next((one.amount for one in self.shares if one.amount is not None), None)
        return Money(0, told.currency if told else "EUR") if self.is_failed or told is None else told

    @property
    def has_amount(self) -> bool:
        return self.is_failed or any(one.amount is not None for one in self.shares)

    @property
    def lines(self) -> list[ListedLine]:
        """One for each payment, however often it is listed: so a payment that is listed twice is not explained twice."""
        lists = [share.payout_lines for share in self.shares]
        return _together(lists, lambda one: one.payment_id, lambda one: (one.payment_id, one.gross, one.net))

    @property
    def adjustments(self) -> list[PayoutAdjustment]:
        """One for each refund, dispute and so on, likewise."""
        lists = [share.payout_adjustments for share in self.shares]
        # A report may call it otherwise than the API does.
        return _together(lists, lambda one: (one.kind, one.id), lambda one: (one.id, one.gross, one.net))

    def money(self, value: int) -> Money:
        return Money(value, self.amount.currency)

    def tied(self, business_customer: str, lines: Sequence[TiedLine]) -> TieOut:
        return TieOut(
            provider=self.report.provider,
            account=self.report.account,
            payout_id=self.id,
            business_customer=business_customer,
            occurred_at=self.report.occurred_at,
            state=FAILED if self.is_failed else PAID,
            amount=self.amount,
            lines=tuple(lines),
        )


def _together(
    shares: Iterable[Iterable[_Entry]], name: Callable[[_Entry], object], same: Callable[[_Entry], object]
) -> list[_Entry]:
    """Entries of one name are one.

    Shares as a provider's API and as its report have them may overlap: what is the same in another share is not added.
    """
    together: dict[object, _Entry] = {}
    told: set[object] = set()
    for share in shares:
        own: dict[object, _Entry] = {}
        for one in share:
            own[name(one)] = _sum(own[name(one)], one) if name(one) in own else one
        for key, one in own.items():
            if same(one) not in told:
                together[key] = _sum(together[key], one) if key in together else one
        told |= {same(one) for one in own.values()}
    return list(together.values())


def _sum(one: _Entry, other: _Entry) -> _Entry:
    return replace(one, gross=one.gross + other.gross, fee=one.fee + other.fee, net=one.net + other.net)


# --- lines ---------------------------------------------------------------------------------------------------------------


def _payment(payout: Payout, line: ListedLine, look: Look) -> TiedLine:
    evidence = Evidence(*look(payout.report.provider, payout.report.account, line.payment_id))
    shown = evidence.of_payment(line.payment_id, payout.money(line.gross))
    if not shown.reason and line.gross > 0 and _is_paid_out_before(payout, line, evidence, look):
        shown = replace(shown, reason=PAID_OUT_BEFORE)
    return TiedLine(
        part=PAYMENTS,
        kind="payment",
        id=line.payment_id,
        payment_id=line.payment_id,
        gross=line.gross,
        fee=line.gross - line.net,
        documents=shown.documents,
        reason=shown.reason,
    )


def _is_paid_out_before(payout: Payout, line: ListedLine, evidence: Evidence, look: Look) -> bool:
    """Whether earlier payouts hold so much of the payment that this one holds it again. Those that failed hold nothing."""
    moment = payout.report.occurred_at, payout.report.key
    before = evidence.paid_out_before(line.payment_id, moment, payout.keys)
    paid = evidence.paid(line.payment_id)
    if sum(before.values()) + line.gross <= paid:
        return False
    held = sum(gross for key, gross in before.items() if not _has_failed(payout.report, key, look))
    return held + line.gross > paid


def _has_failed(payout: Fact, key: str, look: Look) -> bool:
    """Whether another payout of the account failed. The key of a share of a large one begins with the payout's own."""
    for name in dict.fromkeys((key, key.rpartition("/")[0])):
        facts = look(payout.provider, payout.account, name)[0].facts.values() if name else ()
        if any(one.type in PAYOUT_TYPES for one in facts):
            return Payout.of(facts).is_failed
    return False


def adjusted(payout: Payout, one: PayoutAdjustment, look: Look) -> TiedLine:
    """What else a payout holds."""
    part = _PART_OF.get(one.kind.replace("_", "").lower(), OTHER)
    shown = Shown(KIND_UNKNOWN if one.kind == _UNKNOWN else "")
    if part in {PAYMENTS, REFUNDS, DISPUTES} or (one.kind == _ADJUSTMENT and one.payment_id):
        evidence = Evidence(*look(payout.report.provider, payout.report.account, one.payment_id or one.id))
        part = _part_by_facts(one, evidence) if one.kind == _ADJUSTMENT else part
        shown = _returned(part, one, evidence, payout.money(one.gross))
    fee = one.gross - one.net
    is_fee = part == FEES
    return TiedLine(
        part=part,
        kind=one.kind,
        id=one.id,
        payment_id=one.payment_id or "",
        gross=one.net if is_fee else one.gross,
        fee=0 if is_fee else fee,
        documents=shown.documents,
        reason=shown.reason,
    )


def _part_by_facts(one: PayoutAdjustment, evidence: Evidence) -> str:
    if evidence.knows_dispute(one.id):
        return DISPUTES
    return REFUNDS if evidence.knows_refund(one.id) else OTHER


def _returned(part: str, one: PayoutAdjustment, evidence: Evidence, gross: Money) -> Shown:
    payment_id = one.payment_id or one.id
    if not gross:
        return Shown()
    if part == REFUNDS:
        return evidence.of_refund(one.id, payment_id, gross)
    if part == DISPUTES:
        return evidence.of_dispute(one.id, payment_id, gross)
    return evidence.of_failure(payment_id, gross) if part == PAYMENTS else Shown(ADJUSTMENT_UNKNOWN)
