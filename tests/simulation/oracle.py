"""What must be true at the end, worked out from the deliveries alone.

This is a second reading of the mission's table, on purpose unlike `quittance.plan`: it knows no documents and no order of
arrival, only how much of each payment must stand invoiced, credited and recorded as received once everything has arrived.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from quittance.facts import Fact, FactType
from tests.simulation.policies import DEFAULT, Policies

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.simulation.history import Delivery, History

REGISTRATIONS = frozenset({FactType.BUSINESS_CUSTOMER_CREATED, FactType.BUSINESS_CUSTOMER_UPDATED})
_THREE_DECIMALS = frozenset({"KWD", "BHD"})


@dataclass(slots=True)
class Known:
    """One fact, as all its reports together tell it. Where they contradict each other, `amount` is the one that was believed."""

    type: FactType
    key: str
    amount: int
    reports: list[Fact] = field(default_factory=list)
    """Those that agree with the amount that was believed: the others change nothing."""
    all_reports: list[Fact] = field(default_factory=list)

    def add(self, report: Fact) -> None:
        self.all_reports.append(report)
        if report.amount is None or report.amount.value == self.amount:
            self.reports.append(report)

    @property
    def first_at(self) -> str:
        return min(report.occurred_at for report in self.reports)

    @property
    def last_at(self) -> str:
        return max(report.occurred_at for report in self.reports)

    @property
    def names(self) -> set[str]:
        """Every id by which a report calls the payment."""
        return {name for r in self.all_reports for name in (r.payment_id, r.invoice_id, *r.also_known_as) if name} or {self.key}

    def said(self, attribute: str) -> object:
        """What any report says of this, if one does."""
        return next((value for report in self.reports if (value := getattr(report, attribute)) not in (None, "", ())), None)

    @property
    def payment(self) -> str:
        return str(self.said("payment_id") or self.key)

    @property
    def awaits_renewal(self) -> bool:
        words = [report.awaits_renewal for report in self.reports if report.awaits_renewal is not None]
        return bool(words) and all(words)

    @property
    def is_sure_to_wait(self) -> bool:
        """Whether every report says that it pays a billing invoice: one that does not may be invoiced before another says so."""
        return self.awaits_renewal and all(report.awaits_renewal for report in self.reports)

    @property
    def is_contradicted(self) -> bool:
        return len({report.amount for report in self.all_reports if report.amount}) > 1


@dataclass(slots=True)
class Expected:
    """How one payment must stand at the end. Amounts are minor units."""

    names: frozenset[str]
    provider: str
    account: str
    currency: str
    sales: frozenset[int] = frozenset({0})
    """What the sale invoices may add up to; more than one value only where facts that were withheld make it undecidable."""
    levels: dict[str, int] = field(default_factory=dict)
    """Refund or dispute -> what of it must stand credited, if the invoices are large enough."""
    may_double: bool = False
    """A payment that was reported without its renewal may have been invoiced beside it; then one of the two is taken back."""
    is_pooled: bool = False
    """Running totals of refunds mix with single ones: only the sum is defined."""
    received: frozenset[int] | None = None
    """What may stand recorded as received on the sale invoices; None where it is not defined."""
    sale_waits: bool = False
    """Whether the sale cannot be invoiced yet, so far as nothing was."""
    findings: frozenset[str] = frozenset()
    """Findings about the sale."""
    identities: frozenset[str] = frozenset()
    contradicted: frozenset[str] = frozenset()

    def credited(self, sold: int) -> int:
        """What must stand credited of so much that was invoiced."""
        return min(sold, sum(self.levels.values()))

    def waits(self, sold: int) -> bool:
        """Whether something must wait: the sale for what releases it, or money returned for its sale."""
        return not sold and (self.sale_waits or bool(sum(self.levels.values())))

    def findings_given(self, sold: int) -> set[str]:
        """The findings that must stand."""
        excess = sold and sum(self.levels.values()) > sold
        return {*self.findings, *(["returned_more_than_paid"] if excess else [])}


@dataclass(slots=True)
class Owner:
    """A business customer as it registered."""

    id: str
    zone: str
    policies: Policies


class Oracle:
    """Expectations for one history. `believed` gives the amount that was taken for a fact whose reports contradict each other."""

    def __init__(self, history: History, believed: Mapping[tuple[str, str, str], int]) -> None:
        self.owners = _owners(history.deliveries)
        self.reports = [fact for one in history.deliveries for fact in one.facts if fact.type not in REGISTRATIONS]
        self.reports += list(_settlements(self.reports))
        self._believed = believed

    def owner_of(self, provider: str, account: str) -> Owner | None:
        return self.owners.get((provider, account))

    def expectations(self) -> list[Expected]:
        by_account: dict[tuple[str, str], list[Fact]] = defaultdict(list)
        for report in self.reports:
            by_account[report.provider, report.account].append(report)
        return [
            self._expect(provider, account, group)
            for (provider, account), reports in by_account.items()
            for group in _same_payment(reports)
        ]

    def _expect(self, provider: str, account: str, reports: list[Fact]) -> Expected:
        known = self._known(provider, account, reports)
        currency = next((report.amount.currency for report in reports if report.amount), "EUR")
        expected = Expected(
            names=frozenset(name for one in known for name in one.names),
            provider=provider,
            account=account,
            currency=currency,
            identities=frozenset(report.identity for report in reports),
            contradicted=frozenset(_identity(one) for one in known if one.is_contradicted),
        )
        owner = self.owner_of(provider, account)
        if owner is None:
            expected.sale_waits = True
            return expected
        _expect_sale(expected, known)
        _expect_payouts(expected, known)
        _expect_returns(expected, known, owner.policies)
        return expected

    def _known(self, provider: str, account: str, reports: list[Fact]) -> list[Known]:
        known: dict[str, Known] = {}
        for report in reports:
            amount = self._believed.get((provider, account, report.identity), report.amount.value if report.amount else 0)
            known.setdefault(report.identity, Known(report.type, report.key, amount)).add(report)
        return list(known.values())


def _identity(known: Known) -> str:
    return known.reports[0].identity


def _owners(deliveries: Iterable[Delivery]) -> dict[tuple[str, str], Owner]:
    owners: dict[tuple[str, str], Owner] = {}
    for fact in (fact for one in deliveries for fact in one.facts if fact.type in REGISTRATIONS):
        profile = fact.registration or {}
        owner = owners.setdefault(("platform", fact.key), Owner(fact.key, profile.get("timezone", "UTC"), Policies()))
        owner.policies.add(fact.occurred_at, profile.get("policy", DEFAULT))
        for account in profile.get("accounts", ()):
            owners[account["provider"], account["account"]] = owner
    return owners


def _settlements(reports: Iterable[Fact]) -> Iterable[Fact]:
    for payout in reports:
        for line in payout.payout_lines if payout.type is FactType.PAYOUT_PAID else ():
            yield Fact(
                type=FactType.PAYMENT_SETTLED, provider=payout.provider, account=payout.account, key=line.payment_id,
                occurrence=payout.key, payment_id=line.payment_id, occurred_at=payout.occurred_at,
            )  # fmt: skip


def _same_payment(reports: list[Fact]) -> list[list[Fact]]:
    """Reports grouped by payment: two belong together when they share any name of it."""
    groups: list[tuple[set[str], list[Fact]]] = []
    for report in reports:
        names, members = set(report.case_ids), [report]
        for group in [group for group in groups if group[0] & names]:
            groups.remove(group)
            names |= group[0]
            members = group[1] + members
        groups.append((names, members))
    return [members for _, members in groups]


# --- the sale --------------------------------------------------------------------------------------------------------------


def _expect_sale(expected: Expected, known: list[Known]) -> None:
    succeeded = {one.payment: one for one in known if one.type is FactType.PAYMENT_SUCCEEDED}
    captures = [one for one in known if one.type is FactType.PAYMENT_CAPTURED]
    renewals = [one for one in known if one.type is FactType.SUBSCRIPTION_RENEWED]
    failures = [one for one in known if one.type is FactType.PAYMENT_FAILED]
    named = {payment: one for payment, one in succeeded.items() if one.said("invoice_id") != payment}
    for renewal in renewals:
        paid_by = str(renewal.said("payment_id") or "")
        if paid_by and paid_by not in named:
            named[paid_by] = renewal
    unnamed = [one for payment, one in succeeded.items() if payment not in named]
    if captures:
        _expect_captures(expected, captures, named, failures)
        return
    expected.may_double = any(not report.invoice_id for one in succeeded.values() for report in one.all_reports)
    is_said_paid = bool(unnamed) or any(one.said("is_paid") for one in renewals)
    if any(one.amount for one in renewals):
        if is_said_paid and not named:
            expected.sale_waits = True
        else:
            _expect_invoiced(expected, sum(one.amount for one in renewals), named, failures)
    elif named and (renewals or not any(one.awaits_renewal for one in named.values())):
        _expect_invoiced(expected, sum(one.amount for one in named.values()), named, failures)
    else:
        expected.sale_waits = bool(named or unnamed)
        if any(not one.is_sure_to_wait for one in named.values()):
            expected.sales = frozenset({0, sum(one.amount for one in named.values())})


def _expect_invoiced(expected: Expected, total: int, named: Mapping[str, Known], failures: list[Known]) -> None:
    if not _fits(total, expected.currency):
        expected.findings |= {"amount_not_representable"}
        return
    expected.sales = frozenset({total})
    undone = {payment for payment, one in named.items() if _is_undone(one, failures, payment)}
    standing = sum(one.amount for payment, one in named.items() if payment not in undone)
    expected.findings |= {"payment_failed_after_success"} if undone else set()
    expected.received = frozenset({min(total, standing)})


def _expect_captures(expected: Expected, captures: list[Known], named: Mapping[str, Known], failures: list[Known]) -> None:
    running: dict[str, int] = {}
    total = undone = 0
    for capture in captures:
        if capture.said("running_total"):
            running[capture.key] = max(running.get(capture.key, 0), capture.amount)
            continue
        total += capture.amount
        if any(one.said("capture_id") == capture.key and one.last_at > capture.last_at for one in failures):
            undone += capture.amount
            expected.findings |= {"payment_failed_after_success"}
    total += sum(running.values())
    # A success whose captures were partly withheld: whichever came first decided, and both are right.
    expected.sales = frozenset({total, *(one.amount for one in named.values())})
    expected.received = frozenset({total - undone}) if len(expected.sales) == 1 else None


def _is_undone(arrival: Known, failures: Iterable[Known], payment: str) -> bool:
    """Whether the payment failed after it had last succeeded, in the same attempt."""
    charges = {name for report in arrival.reports for name in report.also_known_as} - {arrival.said("invoice_id")}
    for failure in failures:
        attempt = str(failure.said("occurrence") or "")
        if (
            failure.payment == payment
            and failure.last_at > arrival.last_at
            and (not attempt or not charges or attempt in charges)
        ):
            return True
    return False


def _fits(amount: int, currency: str) -> bool:
    return currency not in _THREE_DECIMALS or amount % 10 == 0


def _expect_payouts(expected: Expected, known: list[Known]) -> None:
    paid = {one.key: one.last_at for one in known if one.type is FactType.PAYOUT_PAID}
    failed = [one for one in known if one.type is FactType.PAYOUT_FAILED]
    if any(one.last_at >= paid.get(one.key, "") for one in failed):
        expected.findings |= {"payout_failed"}


# --- what was returned -----------------------------------------------------------------------------------------------------


def _expect_returns(expected: Expected, known: list[Known], policies: Policies) -> None:
    levels = _refunds(expected, known) | _disputes(known, policies)
    expected.levels = {subject: level for subject, level in levels.items() if level}


def _refunds(expected: Expected, known: list[Known]) -> dict[str, int]:
    reported = [one for one in known if one.type is FactType.REFUND_SUCCEEDED]
    failed = {one.key for one in known if one.type is FactType.REFUND_FAILED}
    single = [one for one in reported if not one.said("running_total")]
    levels = {f"refund:{one.key}": 0 if one.key in failed else one.amount for one in single}
    totals: dict[str, int] = {}
    for one in reported:
        if one.said("running_total"):
            totals[one.key] = max(totals.get(one.key, 0), one.amount)
    expected.is_pooled = bool(totals) and bool(single)
    for key, total in totals.items():
        levels[f"refund:{key}"] = max(0, total - sum(one.amount for one in single))
    return levels


def _disputes(known: list[Known], policies: Policies) -> dict[str, int]:
    outcomes: dict[str, list[Known]] = defaultdict(list)
    for one in known:
        if one.type in {FactType.DISPUTE_OPENED, FactType.DISPUTE_WON, FactType.DISPUTE_LOST}:
            outcomes[one.key].append(one)
    levels = {}
    for key, told in outcomes.items():
        level = 0
        for one in sorted(told, key=_course_of_dispute):
            credit_on = policies.say("dispute_credit_on", one.first_at)
            if one.type is FactType.DISPUTE_WON:
                level = 0
            elif credit_on == "opened" or (credit_on == "lost" and one.type is FactType.DISPUTE_LOST):
                level = one.amount
        levels[f"dispute:{key}"] = level
    return levels


def _course_of_dispute(one: Known) -> tuple[bool, str, bool]:
    """A dispute is opened first, whatever the clocks say; of two outcomes at the same second the loss counts."""
    return one.type is not FactType.DISPUTE_OPENED, one.last_at, one.type is FactType.DISPUTE_LOST


def local_day(instant: str, zone: str) -> str:
    """The calendar day of an instant in a time zone."""
    return datetime.fromisoformat(instant).replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date().isoformat()
