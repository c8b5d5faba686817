"""What a provider's module does not know is acknowledged and told apart from what is known to make no document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from quittance.providers import Translation, mollie, platform, provider_names
from tests.unit import test_providers_adyen as adyen
from tests.unit import test_providers_checkout as checkout
from tests.unit import test_providers_gocardless as gocardless
from tests.unit import test_providers_mollie as at_mollie
from tests.unit import test_providers_paypal as paypal
from tests.unit import test_providers_space_invoices as space_invoices
from tests.unit import test_providers_stripe as at_stripe
from tests.unit.provider_api import Canned, fetched
from tests.unit.stripe_payloads import charge, event, intent, refund, translation

if TYPE_CHECKING:
    from collections.abc import Callable


EVENTS = Path(__file__).parents[2] / "events"


def at_paypal(kind: str, **changes: Any) -> Translation:
    found: Translation = paypal.translated(paypal.sample(paypal.CAPTURE, **changes) | {"event_type": kind})
    return found


def at_gocardless(action: str, **changes: Any) -> Translation:
    (found,) = gocardless.look(f"payments.{action}", {"payments/PM1": gocardless.payment(**changes)})
    return found


def of_mollie(kind: str) -> Translation:
    return mollie.translate(json.dumps(at_mollie.event(kind)).encode(), "default", {})


def of_platform(kind: str) -> Translation:
    told = json.loads((EVENTS / "platform" / "payment.succeeded.json").read_bytes())
    return platform.translate(json.dumps(told | {"type": kind}).encode(), "default", {})


def of_space_invoices(kind: str) -> Translation:
    found: Translation = space_invoices.translated(space_invoices.SAMPLES["invoice.updated"] | {"event": kind})
    return found


def of_version(version: str) -> dict[str, Any]:
    return event("payment_intent.succeeded", **intent()) | {"api_version": version}


THIN = at_stripe.SAMPLES["thin.v1.payment_intent.succeeded"]
UNKNOWN: dict[str, tuple[str, Callable[[], Translation]]] = {
    "stripe, type": ("unknown_event_type", lambda: translation(event("charge.dreamt", **charge()))),
    "stripe, thin type": ("unknown_event_type", lambda: translation(THIN | {"type": "v1.charge.dreamt"})),
    "stripe, status": ("unknown_status", lambda: translation(event("refund.updated", **refund(status="dreamt")))),
    "stripe, currency": ("unknown_currency", lambda: translation(event("payment_intent.succeeded", **intent(currency="xts")))),
    "stripe, version": ("unknown_version", lambda: translation(of_version("2031-01-01.zinnia"))),
    "adyen, type": ("unknown_event_type", lambda: adyen.translation(adyen.item("DREAMT"))),
    "adyen, status": ("unknown_status", lambda: adyen.translation(adyen.item("AUTHORISATION", success="maybe"))),
    "adyen, currency": (
        "unknown_currency",
        lambda: adyen.translation(adyen.item("AUTHORISATION", amount={"value": 1, "currency": "XTS"})),
    ),
    "adyen, unreadable": ("unreadable_body", lambda: adyen.translation(adyen.item("AUTHORISATION", eventDate="never"))),
    "adyen, platform type": ("unknown_event_type", lambda: adyen.transfer("balancePlatform.dream.created")),
    "adyen, platform status": ("unknown_status", lambda: adyen.transfer(status="dreamt")),
    "adyen, platform version": ("unknown_version", lambda: adyen.transfer("balancePlatform.outgoingTransfer.updated")),
    "checkout, type": ("unknown_event_type", lambda: checkout.translation(checkout.event("payment_dreamt"))),
    "checkout, currency": (
        "unknown_currency",
        lambda: checkout.translation(checkout.event("payment_captured", currency="XTS")),
    ),
    "checkout, version": (
        "unknown_version",
        lambda: checkout.translation(checkout.event("payment_captured") | {"version": "2.0.0"}),
    ),
    "paypal, type": ("unknown_event_type", lambda: at_paypal("PAYMENT.CAPTURE.DREAMT")),
    "paypal, status": ("unknown_status", lambda: at_paypal(paypal.CAPTURE, status="DREAMT")),
    "paypal, currency": (
        "unknown_currency",
        lambda: at_paypal(paypal.CAPTURE, amount={"currency_code": "XTS", "value": "1.00"}),
    ),
    "paypal, version": (
        "unknown_version",
        lambda: paypal.translated(paypal.sample(paypal.CAPTURE) | {"resource_version": "7.0"}),
    ),
    "mollie, type": ("unknown_event_type", lambda: of_mollie("payment.dreamt")),
    "mollie, status": ("unknown_status", lambda: at_mollie.look(at_mollie.payment("dreamt"))),
    "mollie, currency": ("unknown_currency", lambda: at_mollie.look(at_mollie.payment(amount=at_mollie.amount("1.00", "XTS")))),
    "gocardless, type": ("unknown_event_type", lambda: gocardless.translation(gocardless.event("payments.dreamt"))),
    "gocardless, status": ("unknown_status", lambda: at_gocardless("confirmed", status="dreamt")),
    "gocardless, currency": ("unknown_currency", lambda: at_gocardless("confirmed", currency="XTS")),
    "platform, type": ("unknown_event_type", lambda: of_platform("payment.dreamt")),
    "space-invoices, type": ("unknown_event_type", lambda: of_space_invoices("invoice.dreamt")),
}


@pytest.mark.parametrize("row", UNKNOWN)
def test_what_is_not_known_is_acknowledged_with_its_reason_and_counts_as_not_understood(row: str) -> None:
    reason, told = UNKNOWN[row]
    found = told()
    assert (found.facts, found.fetch, found.ignored, found.is_not_understood) == ((), (), reason, True)


def test_every_provider_is_tried() -> None:
    assert {row.partition(",")[0] for row in UNKNOWN} == set(provider_names())


@pytest.mark.parametrize("status", ["dreamt"])
def test_settlements_and_payouts_of_mollie_in_a_state_that_nobody_knows(status: str) -> None:
    payout = {"id": "po_1", "status": status, "amount": at_mollie.amount("9.00"), "createdAt": "2026-11-18T00:00:00Z"}
    answers = {"payouts/po_1": payout, "settlements/stl_1": at_mollie.settlement(status)}
    for kind, name in (("payout", "po_1"), ("settlement", "stl_1")):
        (found,) = fetched("mollie", Canned("mollie", answers).api, kind, name)
        assert (found.facts, found.ignored) == ((), "unknown_status")


KNOWN: dict[str, Callable[[], Translation]] = {
    "stripe": lambda: translation(event("customer.created", id="cus_1")),
    "stripe, version of what makes no document": lambda: translation(event("plan.created", id="x") | {"api_version": "future"}),
    "adyen": lambda: adyen.translation(adyen.item("RECURRING_CONTRACT")),
    "checkout": lambda: checkout.translation(checkout.event("payment_voided")),
    "paypal": lambda: at_paypal("CHECKOUT.ORDER.APPROVED"),
    "paypal, version of what makes no document": lambda: paypal.translated(
        paypal.sample(paypal.CAPTURE) | {"event_type": "VAULT.PAYMENT-TOKEN.CREATED", "resource_version": "3"}
    ),
    "mollie": lambda: of_mollie("payment.pending"),
    "mollie, called by nobody knows whom": lambda: mollie.translate(b"id=dream_1", "default", {}),
    "gocardless": lambda: gocardless.translation(gocardless.event("mandates.active")),
}


@pytest.mark.parametrize("row", KNOWN)
def test_what_is_known_to_make_no_document_alarms_nobody(row: str) -> None:
    found = KNOWN[row]()
    assert found.ignored
    assert not found.is_not_understood


def test_a_fact_or_something_to_fetch_is_understood() -> None:
    assert not translation(event("payment_intent.succeeded", **intent())).is_not_understood
    assert not translation(THIN).is_not_understood
