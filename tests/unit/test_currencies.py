"""Every currency from each provider's way of writing it to the number on the document, held against independent tables."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from quittance.errors import Reject
from quittance.facts import Fact
from quittance.mapping import Origin, request_body
from quittance.money import EXPONENTS
from quittance.plan import Case, plan
from quittance.providers import adyen, checkout, paypal, platform, stripe
from tests.unit.provider_api import Canned, fetched
from tests.unit.stories import CUSTOMER

EVENTS = Path(__file__).parents[2] / "events"

# ISO 4217 list one: decimals of the minor unit where there are not two.
ISO_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
ISO_THREE = "BHD IQD JOD KWD LYD OMR TND"
ISO_FOUR = "CLF UYW"
ISO = dict.fromkeys(EXPONENTS, 2) | dict.fromkeys(ISO_NONE.split(), 0) | dict.fromkeys(ISO_THREE.split(), 3)
ISO |= dict.fromkeys(ISO_FOUR.split(), 4)

# Stripe's own page on currencies.
STRIPE_NONE = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
STRIPE_THREE = "BHD JOD KWD OMR TND"
STRIPE = {code: 2 for code, decimals in ISO.items() if decimals == 2} | dict.fromkeys(("ISK", "UGX"), 2)
STRIPE |= dict.fromkeys(STRIPE_NONE.split(), 0) | dict.fromkeys(STRIPE_THREE.split(), 3)

# Adyen's page on currency codes: as ISO 4217 but for the four that it marks as different.
ADYEN_NONE = "BIF CVE DJF GNF IDR JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
ADYEN = dict.fromkeys(EXPONENTS, 2) | dict.fromkeys(ADYEN_NONE.split(), 0) | dict.fromkeys(ISO_THREE.split(), 3)

# Checkout.com's page on formatting amounts.
CHECKOUT_NONE = "BIF DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
CHECKOUT = dict.fromkeys(EXPONENTS, 2) | dict.fromkeys(CHECKOUT_NONE.split(), 0) | dict.fromkeys(ISO_THREE.split(), 3)


def from_platform(value: int, currency: str) -> Fact:
    event = json.loads((EVENTS / "platform" / "payment.succeeded.json").read_bytes())
    event["data"] |= {"amount": {"value": value, "currency": currency}}
    event["data"].pop("fee", None)
    event["data"].pop("items", None)
    (fact,) = platform.translate(json.dumps(event).encode(), "default", {}).facts
    return fact


def from_stripe(value: int, currency: str) -> Fact:
    event = json.loads((EVENTS / "stripe" / "payment_intent.succeeded.json").read_bytes())
    event["data"]["object"] |= {"amount": value, "amount_received": value, "currency": currency.lower()}
    (fact,) = stripe.translate(json.dumps(event).encode(), "default", {}).facts
    return fact


def from_adyen(value: int, currency: str) -> Fact:
    body = json.loads((EVENTS / "adyen" / "AUTHORISATION.json").read_bytes())
    body["notificationItems"][0]["NotificationRequestItem"]["amount"] = {"value": value, "currency": currency}
    (fact,) = adyen.translate(json.dumps(body).encode(), "default", {}).facts
    return fact


def from_checkout(value: int, currency: str) -> Fact:
    event = json.loads((EVENTS / "checkout" / "payment_captured.first.json").read_bytes())
    event["data"] |= {"amount": value, "currency": currency}
    (fact,) = checkout.translate(json.dumps(event).encode(), "default", {}).facts
    return fact


def from_paypal(value: str, currency: str) -> Fact:
    event = json.loads((EVENTS / "paypal" / "PAYMENT.CAPTURE.COMPLETED.json").read_bytes())
    event["resource"] |= {"amount": {"currency_code": currency, "value": value}, "seller_receivable_breakdown": None}
    (fact,) = paypal.translate(json.dumps(event).encode(), "default", {}).facts
    return fact


def from_mollie(amount: str, currency: str) -> Fact:
    payment = json.loads((EVENTS / "mollie" / "objects" / "payment.paid.json").read_bytes())
    payment |= {"amount": {"value": amount, "currency": currency}}
    api = Canned("mollie", {f"payments/{payment['id']}": payment}).api
    (found,) = fetched("mollie", api, "payment", payment["id"])
    return found.facts[0]


def from_gocardless(value: int, currency: str) -> Fact | None:
    envelope = json.loads((EVENTS / "gocardless" / "objects" / "payment.paid-out.json").read_bytes())
    payment = envelope["payments"] | {"amount": value, "currency": currency, "links": {}, "app_fee": None}
    api = Canned("gocardless", {f"payments/{payment['id']}": {"payments": payment}}).api
    (found,) = fetched("gocardless", api, "payments.confirmed", payment["id"])
    assert bool(found.facts) == (found.ignored != "unknown_currency")
    return found.facts[0] if found.facts else None


def total_on_document(fact: Fact) -> Decimal | str:
    """The total that is asked for on the wire, or the finding that stands in place of a document."""
    planned = plan(Case(facts=(fact,)), CUSTOMER)
    if not planned.documents:
        return planned.findings[0].code
    body = json.loads(request_body(planned.documents[0], Origin(CUSTOMER, fact, "evt_1"), {}), parse_float=Decimal)
    assert body["currency_code"] == fact.amount.currency if fact.amount else False
    return Decimal(body["expected_total_with_tax"])


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_a_platform_writes_every_currency_by_iso_4217(currency: str) -> None:
    decimals = ISO[currency]
    assert total_on_document(from_platform(7 * 10**decimals, currency)) == 7
    smallest = total_on_document(from_platform(10**decimals + 1, currency))
    assert smallest == (1 + Decimal(1).scaleb(-decimals) if decimals <= 2 else "amount_not_representable")


@pytest.mark.parametrize("currency", sorted(STRIPE))
def test_stripe_writes_every_currency_by_its_own_table(currency: str) -> None:
    assert total_on_document(from_stripe(7 * 10 ** STRIPE[currency], currency)) == 7


@pytest.mark.parametrize("currency", sorted(set(STRIPE) - {"ISK", "UGX"}))
def test_the_smallest_part_at_stripe_is_kept_or_is_a_finding(currency: str) -> None:
    decimals = STRIPE[currency]
    if decimals == 0 and ISO[currency] == 2:
        expected: Decimal | str = Decimal(8)  # MGA has a minor unit of a fifth, which Stripe does not use
    else:
        expected = 7 + Decimal(1).scaleb(-decimals) if decimals <= 2 else "amount_not_representable"
    assert total_on_document(from_stripe(7 * 10**decimals + 1, currency)) == expected


@pytest.mark.parametrize("currency", ["ISK", "UGX"])
def test_a_part_that_a_currency_does_not_have_is_refused(currency: str) -> None:
    with pytest.raises(Reject, match="amount_not_expressible"):
        from_stripe(701, currency)


@pytest.mark.parametrize("currency", sorted(ADYEN))
def test_adyen_writes_every_currency_by_its_own_table(currency: str) -> None:
    decimals = ADYEN[currency]
    assert total_on_document(from_adyen(7 * 10**decimals, currency)) == 7
    if ISO[currency] >= decimals:
        smallest = total_on_document(from_adyen(7 * 10**decimals + 1, currency))
        assert smallest == (7 + Decimal(1).scaleb(-decimals) if decimals <= 2 else "amount_not_representable")


@pytest.mark.parametrize("currency", sorted(CHECKOUT))
def test_checkout_writes_every_currency_by_its_own_table(currency: str) -> None:
    decimals = CHECKOUT[currency]
    assert total_on_document(from_checkout(7 * 10**decimals, currency)) == 7
    if ISO[currency] >= decimals:
        smallest = total_on_document(from_checkout(7 * 10**decimals + 1, currency))
        assert smallest == (7 + Decimal(1).scaleb(-decimals) if decimals <= 2 else "amount_not_representable")


# PayPal's page on currency codes: texts with the decimals that ISO 4217 has, and none in these three.
PAYPAL_NONE = "HUF JPY TWD"


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_paypal_writes_every_currency_as_it_is_spoken(currency: str) -> None:
    decimals = 0 if currency in PAYPAL_NONE.split() else ISO[currency]
    smallest = 1 + Decimal(1).scaleb(-decimals)
    assert total_on_document(from_paypal("7", currency)) == 7
    assert total_on_document(from_paypal("7.000", currency)) == 7
    assert total_on_document(from_paypal(str(smallest), currency)) == (smallest if decimals <= 2 else "amount_not_representable")
    with pytest.raises(Reject, match="amount_not_expressible"):
        from_paypal(f"7.{'0' * decimals}1", currency)


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_mollie_writes_every_currency_as_it_is_said(currency: str) -> None:
    """As a decimal text: however many decimals it has, it is one number."""
    decimals = ISO[currency]
    smallest = Decimal(1).scaleb(-decimals)
    assert total_on_document(from_mollie("7", currency)) == total_on_document(from_mollie("7.00", currency)) == 7
    expected: Decimal | str = 7 + smallest if decimals <= 2 else "amount_not_representable"
    assert total_on_document(from_mollie(str(7 + smallest), currency)) == expected
    with pytest.raises(Reject, match="amount_not_expressible"):
        from_mollie(str(7 + smallest / 10), currency)


@pytest.mark.parametrize("currency", sorted(EXPONENTS))
def test_gocardless_collects_in_hundredths_of_eight_currencies(currency: str) -> None:
    fact = from_gocardless(701, currency)
    if currency in {"AUD", "CAD", "DKK", "EUR", "GBP", "NZD", "SEK", "USD"}:
        assert fact
        assert total_on_document(fact) == Decimal("7.01")
    else:
        assert fact is None
