"""A platform that charges a business customer fees, and months that can be closed, over the table in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx

from quittance.errors import InDoubt, Retry
from quittance.facts import Fact, FactType, PayoutLine
from quittance.fee_closing import FeeClosing
from quittance.fee_months import FeeMonth
from quittance.fee_totals import FeeTotal, fee_totals
from quittance.ledger import HEAD, CaseFile, Ledger, case_names
from quittance.money import Money
from quittance.registration import Registrar, read_customer
from quittance.space_invoices import SpaceInvoices
from tests.unit.stories import fact, refund, succeeded
from tests.use_cases.world import World
from tools.sandbox.transport import mounted

if TYPE_CHECKING:
    from collections.abc import Callable

MONTHLY = {"invoices": "both", "fee_invoices": "monthly", "effective_from": "2026-01-01T00:00:00Z"}
ATTEMPTS = 40
"""More than any month takes."""


def euros(cents: int) -> Money:
    return Money(cents, "EUR")


def charged(payment: str = "pay_1", fee: int = 210, at: str = "2026-11-20T12:00:00Z", **details: Any) -> Fact:
    """A payment of 100.00 of which the platform keeps a fee."""
    amount = details.pop("amount", 10000)
    currency = details.get("currency", "EUR")
    return succeeded(amount, payment_id=payment, fee=Money(fee, currency), occurred_at=at, **details)


def given_back(payment: str = "pay_1", fee: int = 210, key: str = "re_1", at: str = "2026-11-21T12:00:00Z") -> Fact:
    return refund(key, 10000, payment_id=payment, fee=euros(fee), occurred_at=at)


def paid_out(payment: str = "pay_1", fee: int = 210, gross: int = 10000, **details: Any) -> Fact:
    """What one payout says of a payment."""
    values = {"occurrence": "po_1", "occurred_at": "2026-11-23T12:00:00Z"} | details
    return fact("payment.settled", payment, gross - fee, payment_id=payment, fee=euros(fee), **values)


def payout(key: str = "po_1", at: str = "2026-11-23T12:00:00Z", **lines: tuple[int, int]) -> list[Fact]:
    """A payout of payments, each with what it brought and what was kept of it; with what it says of each of them."""
    listed = tuple(PayoutLine(payment_id=name, gross=gross, fee=fee, net=gross - fee) for name, (gross, fee) in lines.items())
    net = sum(line.net for line in listed)
    whole = fact("payout.paid", key, max(0, net), payment_id=None, payout_lines=listed, occurred_at=at)
    parts = [paid_out(name, fee, gross, occurrence=key, occurred_at=at) for name, (gross, fee) in lines.items()]
    return [whole, *parts]


def disputed(outcome: str, fee: int | None, at: str, payment: str = "pay_1") -> Fact:
    money: dict[str, Any] = {"fee": euros(fee)} if fee else {}
    return fact(f"dispute.{outcome}", "dp_1", 10000, payment_id=payment, occurred_at=at, **money)


class FeeWorld(World):
    """bc_1 owns acct_1 at stripe; the platform's own entity invoices its fees, by the month unless the policy says otherwise."""

    def __init__(self, policy: dict[str, Any] | None = None, *, has_platform: bool = True, **profile: Any) -> None:
        super().__init__()
        self.before_call: Callable[[str], None] = lambda _: None
        self.after_call: Callable[[str], None] = lambda _: None
        self.api = SpaceInvoices("http://sandbox", lambda: "sk_sandbox_test", transport=httpx.MockTransport(self._answer))
        self.restart()
        if has_platform:
            self.register_platform()
        self.register(policy={**MONTHLY, **(policy or {})}, **profile)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        name = f"{request.method} {request.url.path}"
        self.before_call(name)
        response = mounted(self.sandbox).handle_request(request)
        self.after_call(name)
        return response

    def restart(self) -> None:
        """A worker for registrations with nothing in memory."""
        self.registrar = Registrar(
            ledger=Ledger(self.table),
            api=self.api,
            stage="test",
            now=lambda: self.seconds,
            revisit_later=self._revisit_later,
            count=self._count,
        )

    def at_each_boundary(self, visit: Callable[[object], None]) -> None:
        """Have `visit` called right before and right after every commit and every request."""
        self.before_call = self.after_call = visit
        self.table.before_commit = self.table.after_commit = visit

    def register_platform(self, **profile: Any) -> None:
        self.register("platform", role="platform", accounts=[], **profile)

    def charge_by(self, policy: dict[str, Any], since: str, customer_id: str = "bc_1") -> None:
        registration = {"name": "Acme", "country": "DE", "policy": {"effective_from": since, **policy}}
        kind = FactType.BUSINESS_CUSTOMER_UPDATED
        changed: dict[str, Any] = {"provider": "platform", "account": customer_id, "key": customer_id, "occurred_at": since}
        self.registrar.take(Fact(type=kind, registration=registration, **changed), f"evt_{customer_id}_{since}")

    def at(self, moment: str) -> None:
        self.seconds = int(datetime.fromisoformat(moment).timestamp())

    @property
    def moment(self) -> str:
        return datetime.fromtimestamp(self.seconds, UTC).isoformat()

    def closing(self) -> FeeClosing:
        return FeeClosing(table=self.table, take=self.converger().take, now=lambda: self.seconds, count=self._count)

    def close(self, month: FeeMonth) -> None:
        """One message, repeated until it is done with, as its queue would."""
        for _ in range(ATTEMPTS):
            try:
                self.closing().close(month.business_customer, month.currency, month.month)
            except (Retry, InDoubt) as later:
                self.seconds += later.delay_s or 60
            else:
                return
        raise AssertionError(f"{month} was never closed")

    def close_due(self, through: str | None = None) -> list[FeeMonth]:
        """One night: every month that is due is closed."""
        due = self.closing().due(through)
        for month in due:
            self.close(month)
        return due

    def issued_by_platform(self, collection: str) -> list[dict[str, Any]]:
        platform = read_customer(self.table, "platform")
        assert platform
        return self.held(collection, platform.entity_id)

    def papers(self, of: str = "bc_1") -> list[tuple[str, str, str, str]]:
        """Kind, date, total and month of everything that the platform's entity issued to a business customer."""
        papers = [
            (one["date"][:10], name, f"{one['total_with_tax']:.2f} {one['currency_code']}", one["metadata"]["payment_id"])
            for name in ("invoices", "credit-notes")
            for one in self.issued_by_platform(name)
            if one["metadata"]["business_customer"] == of
        ]
        return sorted(papers)

    def sum_of_papers(self, currency: str = "EUR") -> str:
        signs = {"invoices": 1, "credit-notes": -1}
        totals = [(signs[name], total) for _, name, total, _ in self.papers()]
        cents = sum(sign * round(float(total.split()[0]) * 100) for sign, total in totals if total.endswith(currency))
        return f"{cents / 100:.2f}"

    def cases(self) -> list[CaseFile]:
        heads = [item for item in self.table.items() if item["sk"] == HEAD and not item.get("part_of")]
        names = (case_names(item["pk"]) for item in heads if item["pk"].startswith("CASE#"))
        return [Ledger(self.table).open(provider, account, (case_id,), join=False) for provider, account, case_id in names]

    def fee_totals(self) -> dict[str, str]:
        """Month and currency -> documents, what was kept, and their difference."""
        customer = read_customer(self.table, "bc_1")
        assert customer
        own = [case for case in self.cases() if case.account in {"acct_1", "bc_1"}]
        return {f"{one.month} {one.kept.currency}": _shown(one) for one in fee_totals(customer, own)}

    def states(self) -> dict[str, str]:
        """Month -> how far its closing is."""
        return {item["month"]: item["state"] for item in self.table.items() if item["sk"] == "MONTH"}


def _shown(total: FeeTotal) -> str:
    return f"{total.documents.decimal} - {total.kept.decimal} = {total.residual.decimal}"
