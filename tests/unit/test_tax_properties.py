"""What holds for every sale, whatever its lines, rates, currency and policy: amounts are those the invoicing API computes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from quittance.customers import BusinessCustomer, EntityTax
from quittance.documents import Document, DocumentKind
from quittance.facts import Fact, Item
from quittance.money import EXPONENTS, Money
from quittance.plan import Case
from quittance.policy import Policy, Rate, TaxPolicy, policy_from_json
from quittance.tax import totals_by_tax
from tests.cases.playing import Planner
from tests.unit.stories import CUSTOMER, balance, dispute, fact, received, refund, succeeded
from tools.sandbox.calculation import Line, Tax, Totals, calculate

RATES = ("0", "2.1", "5", "5.5", "7", "8.1", "9.5", "10", "19", "20", "21.5", "22", "25", "27", "33.3")
CURRENCIES = ("EUR", "EUR", "JPY", "KWD", "HUF")
Shares = dict[Decimal, list[Decimal]]


def seller(policy: Policy) -> BusinessCustomer:
    """A business customer under one policy, with every tax of it in its entity."""
    names = policy.tax.named_rates() if policy.tax else {}
    taxes = {name: EntityTax(tax_id=f"tax:{name}", percent=rate.percent) for name, rate in names.items()}
    return replace(CUSTOMER, policies=(policy,), taxes=taxes)


def as_the_api(document: Document) -> Totals:
    """The document's amounts by the sandbox's own arithmetic."""
    lines = [
        Line(
            quantity=Decimal(1),
            unit_price=Money(line.amount, document.amount.currency).decimal,
            gross=not document.prices_exclude_tax,
            tax=Tax(Decimal(line.tax.percent)) if line.tax else None,
        )
        for line in document.lines
    ]
    return calculate(lines, "b2b_standard" if document.prices_exclude_tax else "b2c_gross_discount")


def by_rate(documents: list[Document]) -> Shares:
    """Gross, net and tax of the documents together, rate by rate."""
    sums: Shares = defaultdict(lambda: [Decimal(0)] * 3)
    for document in documents:
        for row in as_the_api(document).taxes:
            held = sums[row.tax.rate]
            held[:] = [held[0] + row.base + row.amount, held[1] + row.base, held[2] + row.amount]
    return dict(sums)


def of_kind(planner: Planner, kind: DocumentKind) -> list[Document]:
    return [known.document for known in planner.case.documents if known.document.kind is kind]


@st.composite
def carts(draw: st.DrawFn) -> tuple[Policy, str, tuple[Item, ...]]:
    """A policy of up to four rates, and up to five lines at them."""
    rates = draw(st.lists(st.sampled_from(RATES), min_size=1, max_size=4, unique=True))
    classes = ["standard", *(f"class{place}" for place in range(1, len(rates)))]
    tax = TaxPolicy(domestic={name: Rate(percent=rate) for name, rate in zip(classes, rates, strict=True)})
    policy = Policy(prices=draw(st.sampled_from(("inclusive", "exclusive"))), tax=tax)
    currency = draw(st.sampled_from(CURRENCIES))
    step = 10 ** max(0, EXPONENTS[currency] - 2)
    # From five major units on: of a few cents no part has the net amount that its rate asks for.
    lines = draw(st.lists(st.tuples(st.integers(500, 10**6), st.sampled_from(classes)), min_size=1, max_size=5))
    items = (Item(name=f"Line {n}", quantity=1, amount=amount * step, tax_class=c) for n, (amount, c) in enumerate(lines))
    return policy, currency, tuple(items)


def paid(policy: Policy, currency: str, items: tuple[Item, ...]) -> Planner:
    """A sale of these items whose whole price was paid."""
    planner = Planner(seller(policy), None, {})
    total = sum(item.amount for item in items)
    if policy.prices == "exclusive":
        planner.take(succeeded(total, currency=currency, items=items))
        invoices = of_kind(planner, DocumentKind.INVOICE)
        assume(invoices)  # a tax that the currency cannot express has no invoice
        total = invoices[0].amount.value
        planner = Planner(seller(policy), None, {})
    planner.take(succeeded(total, currency=currency, items=items))
    return planner


@given(carts())
def test_an_invoice_comes_to_what_the_api_computes_and_to_the_money_that_moved(cart: Any) -> None:
    planner = paid(*cart)
    (invoice,) = of_kind(planner, DocumentKind.INVOICE)
    api = as_the_api(invoice)
    assert api.gross == invoice.amount.decimal
    assert Money(invoice.payments[0].amount, invoice.amount.currency) == invoice.amount
    ours = {tax: (total.net, total.tax) for tax, total in totals_by_tax(invoice).items() if tax}
    assert {tax.percent: amounts for tax, amounts in ours.items()} == {
        format(row.tax.rate, "f"): (int(row.base * 100), int(row.amount * 100)) for row in api.taxes
    }
    assert not planner.plan.findings


@given(cart=carts(), cuts=st.sets(st.integers(1, 9), max_size=6))
def test_credit_notes_together_are_the_invoice_rate_by_rate_to_the_cent(cart: Any, cuts: set[int]) -> None:
    planner = paid(*cart)
    (invoice,) = of_kind(planner, DocumentKind.INVOICE)
    currency = invoice.amount.currency
    step = 10 ** max(0, EXPONENTS[currency] - 2)
    whole = invoice.amount.value // step
    ends = [*(cut * whole // 10 for cut in sorted(cuts)), whole]
    refunds = [(end - start) * step for start, end in zip([0, *ends], ends, strict=False)]
    for number, amount in enumerate(refunds):
        planner.take(refund(f"re_{number}", amount, minute=10 + number, currency=currency))
        note = of_kind(planner, DocumentKind.CREDIT_NOTE)[-1]
        assert as_the_api(note).gross == Money(amount, currency).decimal == note.amount.decimal
    assert by_rate(of_kind(planner, DocumentKind.CREDIT_NOTE)) == by_rate([invoice])
    assert not planner.plan.findings


@given(cart=carts(), share=st.floats(0.01, 1))
def test_a_refund_that_fails_leaves_nothing_credited_at_any_rate(cart: Any, share: float) -> None:
    planner = paid(*cart)
    (invoice,) = of_kind(planner, DocumentKind.INVOICE)
    step = 10 ** max(0, EXPONENTS[invoice.amount.currency] - 2)
    amount = max(1, round(share * (invoice.amount.value // step))) * step
    planner.take(refund("re_1", amount, currency=invoice.amount.currency))
    planner.take(fact("refund.failed", "re_1", amount, minute=30, currency=invoice.amount.currency))
    _, corrective = of_kind(planner, DocumentKind.INVOICE)
    assert by_rate([corrective]) == by_rate(of_kind(planner, DocumentKind.CREDIT_NOTE))


# --- any policy, any order -----------------------------------------------------------------------------------------------

TAXED = TaxPolicy(domestic={"standard": Rate(percent="19")})


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    said: dict[str, Any] = {
        "issue_on": draw(st.sampled_from(("authorized", "captured", "settled"))),
        "issue_as": draw(st.sampled_from(("final", "draft"))),
        "dispute_credit_on": draw(st.sampled_from(("lost", "opened", "never"))),
    }
    if said["issue_as"] == "draft" and (said["issue_on"] == "settled" or draw(st.booleans())):
        said["finalize_on"] = "manual"
    return replace(policy_from_json(said), tax=draw(st.sampled_from((None, TAXED))))


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """One payment from its authorization to its payout, captured at once, in parts, too much, or never."""
    facts = [fact("payment.authorized", "pay_1", 10000)]
    way = draw(st.sampled_from(("whole", "part", "more", "captures", "expired", "failed")))
    if way == "captures":
        facts += [fact("payment.captured", f"cap_{n}", 5000, minute=n, capture_id=f"cap_{n}") for n in (1, 2)]
    elif way == "expired":
        facts += [fact("payment.failed", "pay_1", 10000, minute=5)]
    else:
        amount = {"part": 6000, "more": 13000}.get(way, 10000)
        facts += [succeeded(amount, minute=2)]
    if way in {"more", "captures"} and draw(st.booleans()):
        failed = {"occurrence": "cap_2", "capture_id": "cap_2"} if way == "captures" else {}
        facts += [fact("payment.failed", "pay_1", 5000, minute=50, **failed)]
    if way == "failed":
        facts += [fact("payment.failed", "pay_1", 10000, minute=50)]
    elif way != "expired":
        facts += [fact("payment.settled", "pay_1", 9700, occurrence="po_1", minute=40)] * draw(st.integers(0, 1))
    if way != "expired":
        facts += [refund("re_1", 1999)] * draw(st.integers(0, 1))
        facts += [refund("re_2", 2001, minute=11)] * draw(st.integers(0, 1))
        outcomes = draw(st.lists(st.sampled_from(("opened", "won", "lost")), unique=True))
        facts += [dispute(one, 3000, minute=20 + n) for n, one in enumerate(outcomes)]
    return facts


@given(policy=policies(), facts=histories(), data=st.data())
def test_the_order_of_facts_does_not_change_totals_under_any_policy(policy: Policy, facts: list[Fact], data: Any) -> None:
    outcomes = []
    for order in (facts, data.draw(st.permutations(facts))):
        planner = Planner(seller(policy), None, {})  # which also plans each step again, to see nothing planned twice
        for one in order:
            planner.take(one)
        final = replace(planner.case, documents=_kept(planner))
        codes = sorted((finding.code, finding.amount) for finding in planner.plan.findings)
        outcomes.append((balance(final), received_and_stayed(final), codes))
    assert outcomes[0] == outcomes[1]


def _kept(planner: Planner) -> Any:
    """What was issued: a draft counts once it is final."""
    recorded = planner.case.documents
    final = {known.document.refers_to for known in recorded if known.document.kind is DocumentKind.FINALIZATION}
    kinds = {DocumentKind.INVOICE, DocumentKind.CREDIT_NOTE, DocumentKind.PAYMENT, DocumentKind.PAYMENT_REMOVAL}
    documents = [(known, known.document) for known in recorded if known.document.kind in kinds]
    return tuple(known for known, document in documents if not document.draft or document.key in final)


def received_and_stayed(case: Case) -> int:
    """Received on invoices less paid out on credit notes, in minor units."""
    notes = (known.document for known in case.documents if known.document.kind is DocumentKind.CREDIT_NOTE)
    return received(case) - sum(payment.amount for note in notes for payment in note.payments)
