"""PayPal: which deliveries are genuine, and what its events mean, in both generations of its objects."""

from __future__ import annotations

import base64
import copy
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from quittance.errors import Reject, Retry
from quittance.facts import Fact, FactType, Payer
from quittance.money import VALUE_MAX, Money
from quittance.plan import Case, plan
from quittance.providers import SIGNATURE_CODES, paypal
from quittance.providers.published import PUBLICATIONS
from tests.unit.stories import CUSTOMER, issue
from tools.deliveries import signed_delivery
from tools.paypal_authority import URL, authority

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events" / "paypal"
FIXTURES = Path(os.environ.get("QUITTANCE_FIXTURES", ROOT.parent / "shared" / "fixtures")) / "paypal"
SAMPLES: dict[str, dict[str, Any]] = {file.stem: json.loads(file.read_bytes()) for file in EVENTS.glob("*.json")}
RAW = (EVENTS / "PAYMENT.CAPTURE.COMPLETED.json").read_bytes()
WEBHOOK, OTHER = "1JE4291016473214C", "5GP028458E2496506"
NOW_S = int(datetime(2026, 11, 20, 10, 0, 30, tzinfo=UTC).timestamp())
SENT_AT = "2026-11-20T10:00:30Z"


class Asked:
    """The throwaway authority, which remembers where its certificate was looked for."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.is_down = False

    def chain(self, url: str) -> bytes:
        self.urls.append(url)
        if self.is_down:
            raise Retry("certificate_unreachable")
        return authority().certificate

    def roots(self) -> bytes:
        return authority().roots()


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    source = Asked()
    monkeypatch.setattr(PUBLICATIONS, "source", source)
    return source


def headers(raw: bytes = RAW, at_s: int = NOW_S, **changes: str) -> dict[str, str]:
    _, signed = signed_delivery("paypal", raw, WEBHOOK, at_s)
    given = {name.lower(): value for name, value in signed.items()}
    return given | {f"paypal-{name.replace('_', '-')}": value for name, value in changes.items()}


def code_of(given: dict[str, str], secrets: tuple[str, ...] = (WEBHOOK,), raw: bytes = RAW, now_s: int = NOW_S) -> str | None:
    try:
        paypal.verify(raw, given, secrets, now_s)
    except Reject as rejected:
        return rejected.code if rejected.code in SIGNATURE_CODES else f"not a signature code: {rejected.code}"
    return None


def signature(content: str) -> str:
    return base64.b64encode(authority().signature(content.encode())).decode()


# --- verify


def test_the_signature_is_over_id_time_webhook_and_checksum() -> None:
    """CBF43926 is the published check value of CRC-32, for the text 123456789."""
    given = headers(transmission_id="69cd13f0-d67a-11e5-baa3-778b53f4ae55", transmission_time=SENT_AT)
    given["paypal-transmission-sig"] = signature(f"69cd13f0-d67a-11e5-baa3-778b53f4ae55|{SENT_AT}|{WEBHOOK}|{0xCBF43926}")
    assert code_of(given, raw=b"123456789") is None


def test_a_signed_sample_is_accepted() -> None:
    assert code_of(headers()) is None


def test_the_webhook_id_ties_a_signature_to_its_connection() -> None:
    """PayPal signs for everybody. Somebody else's genuine delivery is not ours."""
    assert code_of(headers(), (OTHER,)) == "signature_mismatch"
    assert code_of(headers(), ()) == "signature_mismatch"
    unsigned = headers() | {"paypal-transmission-id": "x", "paypal-transmission-time": SENT_AT}
    unsigned["paypal-transmission-sig"] = signature(f"x|{SENT_AT}||0")
    assert code_of(unsigned, ("",), raw=b"") == "signature_mismatch"


def test_during_a_change_of_webhooks_both_are_accepted() -> None:
    assert code_of(headers(), (OTHER, WEBHOOK)) is None


def test_another_body_is_refused() -> None:
    assert code_of(headers(), raw=RAW + b" ") == "signature_mismatch"
    assert code_of(headers(), raw=b"") == "signature_mismatch"


@pytest.mark.parametrize(
    "changes",
    [{"transmission_id": "another-id"}, {"transmission_time": "2026-11-20T10:00:31Z"}, {"transmission_sig": "AAAA"}],
    ids=["id", "time", "signature"],
)
def test_whatever_is_signed_cannot_be_changed(changes: dict[str, Any]) -> None:
    assert code_of(headers(**changes)) == "signature_mismatch"


def test_another_padding_is_refused() -> None:
    given = headers()
    content = "|".join((given["paypal-transmission-id"], given["paypal-transmission-time"], WEBHOOK, "0"))
    other = authority().key.sign(content.encode(), padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    given["paypal-transmission-sig"] = base64.b64encode(other).decode()
    assert code_of(given, raw=b"") == "signature_mismatch"


@pytest.mark.parametrize("name", ["transmission-id", "transmission-time", "transmission-sig", "cert-url", "auth-algo"])
def test_without_one_of_the_headers_it_is_not_signed(name: str, asked: Asked) -> None:
    given = headers()
    del given[f"paypal-{name}"]
    assert code_of(given) == "signature_missing"
    assert code_of(given | {f"paypal-{name}": ""}) == "signature_missing"
    assert asked.urls == []


@pytest.mark.parametrize("algorithm", ["SHA1withRSA", "sha256withrsa", "none", "SHA256withRSA, SHA256withRSA", "SHA256withECDSA"])
def test_only_one_algorithm_is_known(algorithm: str, asked: Asked) -> None:
    assert code_of(headers(auth_algo=algorithm)) == "signature_malformed"
    assert asked.urls == []


@pytest.mark.parametrize("text", ["****", "é", "a", "AAAA AAAA", "\ud800"])
def test_a_signature_is_base64(text: str, asked: Asked) -> None:
    assert code_of(headers(transmission_sig=text)) == "signature_malformed"
    assert asked.urls == []


@pytest.mark.parametrize("name", ["a|b", "x" * 65, "é", "a b"])
def test_a_transmission_id_is_one(name: str, asked: Asked) -> None:
    assert code_of(headers(transmission_id=name)) == "signature_malformed"
    assert asked.urls == []


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [
        (0, None),
        (3 * 86_400 + 3600, None),
        (4 * 86_400, None),
        (4 * 86_400 + 1, "signature_outside_tolerance"),
        (-300, None),
        (-301, "signature_outside_tolerance"),
    ],
)
def test_a_transmission_is_repeated_for_days_and_not_for_ever(age_s: int, expected: str | None, asked: Asked) -> None:
    assert code_of(headers(at_s=NOW_S - age_s)) == expected
    assert len(asked.urls) == (0 if expected else 1)


@pytest.mark.parametrize("time", ["1795168830", "2026-11-20", "2026-11-20T10:00:30", "now", "2026-13-20T10:00:30Z"])
def test_a_time_is_an_instant(time: str, asked: Asked) -> None:
    assert code_of(headers(transmission_time=time)) == "signature_malformed"
    assert asked.urls == []


# --- where the certificate is


@pytest.mark.parametrize(
    "url",
    [
        "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1d93a270",
        "https://api-m.paypal.com/v1/notifications/certs/CERT-360caa42",
        "https://paypal.com/certs/1",
        "https://a.b.paypal.com/certs/1.pem",
        URL,
    ],
)
def test_a_certificate_is_read_from_paypal(url: str, asked: Asked) -> None:
    assert code_of(headers(cert_url=url)) is None
    assert asked.urls == [url]


@pytest.mark.parametrize(
    "url",
    [
        "http://api.paypal.com/certs/1",
        "https://paypal.com.evil.test/certs/1",
        "https://evilpaypal.com/certs/1",
        "https://paypal-com/certs/1",
        "https://evil.test/paypal.com/certs/1",
        "https://evil.test/.paypal.com/",
        "https://evil.test#.paypal.com/certs/1",
        "https://evil.test?.paypal.com/certs/1",
        "https://evil.test\\.paypal.com/certs/1",
        "https://evil.test%2f.paypal.com/certs/1",
        "https://api.paypal.com@evil.test/certs/1",
        "https://user@api.paypal.com/certs/1",
        "https://user:password@api.paypal.com/certs/1",
        "https://api.paypal.com:8443/certs/1",
        "https://api.paypal.com:443/certs/1",
        "https://api.paypal.com./certs/1",
        "https://api..paypal.com/certs/1",
        "https://.paypal.com/certs/1",
        "https://api.paypal.com",
        "https://api.paypal.com/",
        "https://api.paypal.com/certs/1?next=https://evil.test",
        "https://api.paypal.com/certs/1#2",
        "https://api.paypal.com/certs//1",
        "https://api.paypal.com/certs/%2e%2e/1",
        "https://API.PAYPAL.COM/certs/1",
        "HTTPS://api.paypal.com/certs/1",
        "https://api.paypаl.com/certs/1",  # noqa: RUF001 - a Cyrillic letter
        "https://127.0.0.1/certs/1",
        "https://[::1]/certs/1",
        "//api.paypal.com/certs/1",
        "ftp://api.paypal.com/certs/1",
        "file:///api.paypal.com/certs/1",
        " https://api.paypal.com/certs/1",
        "https://api.paypal.com/certs/1\n",
        "https://api.paypal.com/certs/1, https://api.paypal.com/certs/1",
        "https://api.paypal.com/" + "a/" * 400,
    ],
)
def test_nothing_is_read_from_anybody_else(url: str, asked: Asked) -> None:
    assert code_of(headers(cert_url=url)) == "signature_malformed"
    assert asked.urls == []


def test_a_certificate_out_of_reach_is_a_reason_to_try_again(asked: Asked) -> None:
    asked.is_down = True
    with pytest.raises(Retry, match="certificate_unreachable"):
        paypal.verify(RAW, headers(), (WEBHOOK,), NOW_S)


def test_a_certificate_that_nobody_vouches_for_is_refused(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    import certifi  # noqa: PLC0415 - the roots that are trusted in AWS

    monkeypatch.setattr(asked, "roots", lambda: certifi.contents().encode())
    assert code_of(headers()) == "certificate_untrusted"


def test_a_certificate_that_is_over_is_refused() -> None:
    in_2101 = int(datetime(2101, 1, 1, tzinfo=UTC).timestamp())
    assert code_of(headers(at_s=in_2101), now_s=in_2101) == "certificate_untrusted"


def test_the_certificate_must_be_the_one_that_signs_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paypal, "CERTIFICATE_NAMES", frozenset({"messageverificationcerts.paypal.com"}))
    assert code_of(headers()) == "certificate_untrusted"
    assert all(name.endswith(".paypal.com") for name in paypal.CERTIFICATE_NAMES)


def test_what_an_event_means_is_found_out_without_cryptography() -> None:
    code = "import sys, quittance.providers.paypal as p; p.translate(open(sys.argv[1], 'rb').read(), 'default', {})"
    code += "; assert not {'cryptography', 'urllib3', 'certifi', 'ssl'} & set(sys.modules)"
    sample = str(EVENTS / "PAYMENT.CAPTURE.COMPLETED.json")
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, sample], check=True, timeout=60, cwd=ROOT)  # noqa: S603


def test_the_answer_is_a_plain_200() -> None:
    assert paypal.acknowledge().status == 200


# --- translate


def sample(name: str, **changes: Any) -> dict[str, Any]:
    """A sample event with `changes` to its object; what is changed to None is left out."""
    event = copy.deepcopy(SAMPLES[name])
    event["resource"] = {field: value for field, value in (event["resource"] | changes).items() if value is not None}
    return event


def translated(event: dict[str, Any]) -> Any:
    return paypal.translate(json.dumps(event).encode(), "default", {})


def facts(name: str, *, event_type: str | None = None, **changes: Any) -> tuple[Fact, ...]:
    event = sample(name, **changes)
    if event_type:
        event["event_type"] = event_type
    found: tuple[Fact, ...] = translated(event).facts
    return found


def fact(name: str, *, event_type: str | None = None, **changes: Any) -> Fact:
    (found,) = facts(name, event_type=event_type, **changes)
    return found


def ignored(name: str, *, event_type: str | None = None, **changes: Any) -> str | None:
    event = sample(name, **changes)
    if event_type:
        event["event_type"] = event_type
    translation = translated(event)
    assert translation.facts == ()
    reason: str | None = translation.ignored
    return reason


def eur(value: str) -> dict[str, str]:
    return {"currency_code": "EUR", "value": value}


def first(value: str, currency: str = "EUR") -> dict[str, str]:
    return {"total": value, "currency": currency}


CAPTURE, SALE, REFUND = "PAYMENT.CAPTURE.COMPLETED", "PAYMENT.SALE.COMPLETED.renewal", "PAYMENT.CAPTURE.REFUNDED.partial"
OF_AUTHORIZATION, FIRST_REFUND = "PAYMENT.CAPTURE.COMPLETED.of-authorization", "PAYMENT.SALE.REFUNDED"
RESOLVED = "CUSTOMER.DISPUTE.RESOLVED.lost"


def test_a_capture_is_a_payment() -> None:
    assert fact(CAPTURE) == Fact(
        type=FactType.PAYMENT_SUCCEEDED,
        provider="paypal",
        account="connection:default",
        key="6HB00001CAPTURE01",
        payment_id="6HB00001CAPTURE01",
        occurred_at="2026-11-20T10:00:02Z",
        amount=Money(8000, "EUR"),
        method="paypal",
        order_id="order-4711",
    )


def test_an_authorization_and_its_captures_are_one_payment() -> None:
    authorized, captured = fact("PAYMENT.AUTHORIZATION.CREATED"), fact(OF_AUTHORIZATION)
    assert authorized.type == FactType.PAYMENT_AUTHORIZED
    assert (authorized.key, authorized.payment_id, authorized.amount) == (
        "4HB00001AUTHORI01",
        "4HB00001AUTHORI01",
        Money(12000, "EUR"),
    )
    assert captured.type == FactType.PAYMENT_CAPTURED
    assert (captured.key, captured.capture_id, captured.payment_id) == (
        "6HB00004CAPTURE04",
        "6HB00004CAPTURE04",
        "4HB00001AUTHORI01",
    )
    assert captured.also_known_as == ("6HB00004CAPTURE04",)
    assert not captured.running_total


def test_the_authorization_of_a_capture_is_linked_or_named() -> None:
    links = SAMPLES[OF_AUTHORIZATION]["resource"]["links"]
    assert fact(OF_AUTHORIZATION, supplementary_data=None).payment_id == "4HB00001AUTHORI01"
    assert fact(OF_AUTHORIZATION, links=None).payment_id == "4HB00001AUTHORI01"
    elsewhere = [link | {"href": link["href"].replace("authorizations", "orders")} for link in links]
    assert fact(OF_AUTHORIZATION, supplementary_data=None, links=elsewhere).type == FactType.PAYMENT_SUCCEEDED


def test_the_first_generation_names_the_payment_that_authorization_and_capture_share() -> None:
    payment: dict[str, Any] = {"parent_payment": "PAYID-HARBOUR10000000000000000", "amount": first("70.00"), "links": None}
    authorized = fact("PAYMENT.AUTHORIZATION.CREATED", status=None, state="authorized", **payment)
    captured = fact(CAPTURE, status=None, state="completed", supplementary_data=None, **payment)
    assert authorized.payment_id == captured.payment_id == "PAYID-HARBOUR10000000000000000"
    assert (authorized.key, authorized.also_known_as) == ("4HB00001AUTHORI01", ("4HB00001AUTHORI01",))
    assert (captured.type, captured.also_known_as) == (FactType.PAYMENT_CAPTURED, ("6HB00001CAPTURE01",))
    case = issue(Case(facts=(authorized, captured)), plan(Case(facts=(authorized, captured)), CUSTOMER).documents)
    assert [document.document.amount for document in case.documents] == [Money(7000, "EUR")]


@pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"no payloads in {FIXTURES}")
def test_the_authorization_in_paypals_own_example() -> None:
    request = json.loads((FIXTURES / "verify-webhook-signature.request.json").read_bytes())
    (found,) = translated(request["webhook_event"]).facts
    assert (found.type, found.key, found.amount) == (FactType.PAYMENT_AUTHORIZED, "2DC87612EK520411B", Money(747, "USD"))
    assert found.payment_id == "PAY-36246664YD343335CKHFA4AY"


@pytest.mark.parametrize("status", ["PENDING", "DECLINED", "FAILED"])
def test_a_capture_that_has_not_arrived_is_no_payment(status: str) -> None:
    assert ignored(CAPTURE, status=status) == "not_paid"


@pytest.mark.parametrize("status", ["PARTIALLY_REFUNDED", "REFUNDED"])
def test_a_capture_that_was_refunded_before_its_event_came_is_a_payment(status: str) -> None:
    assert fact(CAPTURE, status=status).amount == Money(8000, "EUR")


def test_a_status_that_nobody_knows_is_not_guessed() -> None:
    assert ignored(CAPTURE, status="SETTLED") == "unknown_status"
    assert ignored("PAYMENT.AUTHORIZATION.CREATED", status="HELD") == "unknown_status"
    assert ignored(REFUND, status="HELD") == "unknown_status"


def test_nothing_is_made_of_nothing() -> None:
    assert ignored(CAPTURE, amount=eur("0.00")) == "zero_amount"
    assert ignored(REFUND, amount=eur("0.00")) == "zero_amount"


@pytest.mark.parametrize("kind", ["PAYMENT.CAPTURE.DENIED", "PAYMENT.CAPTURE.DECLINED"])
def test_a_denied_capture_is_a_failed_payment(kind: str) -> None:
    failed = fact("PAYMENT.CAPTURE.DENIED", event_type=kind)
    assert (failed.type, failed.key, failed.payment_id) == (FactType.PAYMENT_FAILED, "6HB00003CAPTURE03", "6HB00003CAPTURE03")
    assert (failed.amount, failed.reason, failed.capture_id) == (Money(1990, "EUR"), "ECHECK", None)


def test_a_capture_that_is_denied_leaves_the_rest_of_its_authorization() -> None:
    failed = fact(OF_AUTHORIZATION, event_type="PAYMENT.CAPTURE.DENIED", status="DECLINED")
    assert (failed.payment_id, failed.capture_id) == ("4HB00001AUTHORI01", "6HB00004CAPTURE04")


def test_a_capture_denied_after_it_was_completed_undoes_it() -> None:
    succeeded = fact(CAPTURE)
    event = sample(CAPTURE, status="DECLINED") | {"event_type": "PAYMENT.CAPTURE.DENIED", "create_time": "2026-11-24T10:00:00Z"}
    (failed,) = translated(event).facts
    case = issue(Case(facts=(succeeded,)), plan(Case(facts=(succeeded,)), CUSTOMER).documents)
    after = plan(Case(facts=(succeeded, failed), documents=case.documents), CUSTOMER)
    assert [document.kind for document in after.documents] == ["payment_removal"]


def test_who_pays_is_read_where_it_is_said() -> None:
    payer = {"name": {"given_name": "Ines", "surname": "Falk"}, "email_address": "i@example.com"}
    named = fact(CAPTURE, payer=payer | {"address": {"country_code": "de"}}).payer
    assert named == Payer(name="Ines Falk", email="i@example.com", country="DE")
    info = {"payer_info": {"first_name": "Ines", "last_name": "Falk", "email": "i@example.com"}}
    assert fact(SALE, billing_agreement_id=None, payer=info).payer == Payer(name="Ines Falk", email="i@example.com")
    assert fact(CAPTURE, payer={"payer_id": "X"}).payer is None


def test_the_merchants_own_key_is_the_order() -> None:
    assert fact(CAPTURE, invoice_id="inv-1").order_id == "order-4711"
    assert fact(CAPTURE, custom_id=None, invoice_id="inv-1").order_id == "inv-1"
    assert fact(CAPTURE, custom_id=None, invoice_number="inv-2").order_id == "inv-2"
    assert fact(CAPTURE).invoice_id is None


# --- trap 17: two generations of shapes, and orders that repeat their captures


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("CHECKOUT.ORDER.COMPLETED", "capture_reports_it"),
        ("CHECKOUT.ORDER.PROCESSED", "capture_reports_it"),
        ("INVOICING.INVOICE.PAID", "capture_reports_it"),
        ("CHECKOUT.ORDER.APPROVED", "not_paid"),
        ("CHECKOUT.ORDER.SAVED", "not_paid"),
        ("CHECKOUT.PAYMENT-APPROVAL.REVERSED", "not_paid"),
        ("PAYMENT.CAPTURE.PENDING", "not_paid"),
        ("PAYMENT.SALE.PENDING", "not_paid"),
        ("PAYMENT.ORDER.CREATED", "not_paid"),
        ("PAYMENTS.PAYMENT.CREATED", "not_paid"),
        ("PAYMENT.AUTHORIZATION.VOIDED", "authorization_released"),
        ("BILLING.SUBSCRIPTION.ACTIVATED", "no_new_fact"),
        ("BILLING.PLAN.PRICING-CHANGE.ACTIVATED", "no_new_fact"),
        ("PAYMENT.PAYOUTSBATCH.SUCCESS", "not_a_sale"),
        ("PAYMENT.PAYOUTS-ITEM.SUCCEEDED", "not_a_sale"),
        ("PAYMENT.PAYOUTS-ITEM.FAILED", "not_a_sale"),
        ("PAYMENT.REFERENCED-PAYOUT-ITEM.COMPLETED", "not_a_sale"),
        ("PAYMENT.REFUND.PENDING", "refund_pending"),
        ("PAYMENT.CAPTURE.SOMETHING", "unknown_event_type"),
        ("SOMETHING", "unknown_event_type"),
    ],
)
def test_what_makes_no_document_says_why(kind: str, reason: str) -> None:
    assert ignored(CAPTURE, event_type=kind) == reason


@pytest.mark.trap(17)
def test_an_order_does_not_repeat_its_capture() -> None:
    order = {"id": "5HB00001ORDER0001", "purchase_units": [{"payments": {"captures": [SAMPLES[CAPTURE]["resource"]]}}]}
    event = SAMPLES[CAPTURE] | {"resource": order, "resource_type": "checkout-order", "event_type": "CHECKOUT.ORDER.COMPLETED"}
    assert translated(event).facts == ()


@pytest.mark.trap(17)
def test_the_old_shape_of_a_sale_is_read_like_the_new_one() -> None:
    old, new = facts(SALE), facts(SALE, amount=eur("24.00"))
    assert [one.amount for one in old] == [one.amount for one in new] == [Money(2400, "EUR")] * 2


@pytest.mark.parametrize("version", ["3.0", "2.0-beta", "", "latest"])
def test_a_version_that_nobody_knows_is_not_guessed(version: str) -> None:
    expected = "unknown_version" if version else None
    assert translated(SAMPLES[CAPTURE] | {"resource_version": version}).ignored == expected
    assert translated(SAMPLES[CAPTURE] | {"event_version": version}).ignored == expected


# --- subscriptions


def test_a_sale_of_a_subscription_renews_it_with_one_document() -> None:
    paid, renewed = facts(SALE)
    assert (paid.type, paid.key, paid.awaits_renewal) == (FactType.PAYMENT_SUCCEEDED, "8HB00001SALE00001", True)
    assert (renewed.type, renewed.key, renewed.payment_id) == (
        FactType.SUBSCRIPTION_RENEWED,
        "8HB00001SALE00001",
        "8HB00001SALE00001",
    )
    assert renewed.subscription_id == paid.subscription_id == "I-HARBOUR00001"
    for told in ((paid, renewed), (renewed, paid)):
        case = Case(facts=told[:1])
        case = issue(case, plan(case, CUSTOMER).documents)
        case = Case(facts=told, documents=case.documents)
        case = issue(case, plan(case, CUSTOMER).documents)
        assert [(one.document.kind, one.document.amount) for one in case.documents if one.document.kind == "invoice"] == [
            ("invoice", Money(2400, "EUR"))
        ]
        assert plan(case, CUSTOMER).documents == ()


def test_a_sale_on_its_own_is_a_plain_payment() -> None:
    paid = fact(SALE, billing_agreement_id=None, parent_payment="PAYID-HARBOUR10000000000000000")
    assert (paid.payment_id, paid.also_known_as) == ("8HB00001SALE00001", ("PAYID-HARBOUR10000000000000000",))
    assert paid.awaits_renewal is None


def test_a_denied_sale_is_a_failed_payment() -> None:
    failed = fact(SALE, event_type="PAYMENT.SALE.DENIED", state="denied", reason_code="PAYMENT_REVIEW")
    assert (failed.type, failed.payment_id, failed.reason) == (FactType.PAYMENT_FAILED, "8HB00001SALE00001", "PAYMENT_REVIEW")


def test_failed_attempts_of_a_subscription_differ_by_their_time() -> None:
    attempt = {"amount": eur("24.00"), "time": "2026-12-20T15:00:00Z", "reason_code": "PAYMENT_DENIED"}
    changes = {"id": "I-HARBOUR00001", "status": "ACTIVE", "amount": None, "billing_info": {"last_failed_payment": attempt}}
    failed = fact(SALE, event_type="BILLING.SUBSCRIPTION.PAYMENT.FAILED", **changes)
    assert (failed.type, failed.key, failed.occurrence) == (FactType.PAYMENT_FAILED, "I-HARBOUR00001", "2026-12-20T15:00:00Z")
    assert (failed.amount, failed.payment_id, failed.reason) == (Money(2400, "EUR"), None, "PAYMENT_DENIED")
    bare = fact(SALE, event_type="BILLING.SUBSCRIPTION.PAYMENT.FAILED", **changes | {"billing_info": None})
    assert (bare.occurrence, bare.amount) == ("2026-11-20T15:00:04Z", None)


# --- trap 18: refunds of both generations


@pytest.mark.trap(18)
def test_a_refund_is_its_own_amount_and_not_the_running_total() -> None:
    refund = fact(REFUND)
    assert (refund.type, refund.key, refund.payment_id) == (
        FactType.REFUND_SUCCEEDED,
        "2HB00001REFUND001",
        "6HB00001CAPTURE01",
    )
    assert (refund.amount, refund.running_total) == (Money(3000, "EUR"), False)
    assert refund.capture_id == "6HB00001CAPTURE01"


@pytest.mark.trap(18)
def test_a_refund_of_the_first_generation_is_counted_below_zero() -> None:
    refund = fact(FIRST_REFUND)
    assert (refund.key, refund.payment_id, refund.amount) == ("9HB00001REFUND002", "8HB00001SALE00001", Money(2400, "EUR"))
    assert fact(FIRST_REFUND, amount=first("24.00")).amount == Money(2400, "EUR")


@pytest.mark.trap(18)
def test_a_refund_that_calls_itself_a_capture() -> None:
    changes = {"amount": first("-0.99", "USD"), "capture_id": "6HB00001CAPTURE01", "links": None, "status": None}
    event = sample(REFUND, seller_payable_breakdown=None, state="completed", **changes) | {"resource_type": "capture"}
    (refund,) = translated(event).facts
    assert (refund.key, refund.payment_id, refund.amount) == ("2HB00001REFUND001", "6HB00001CAPTURE01", Money(99, "USD"))


def test_a_fee_is_what_the_platform_kept_and_not_what_paypal_did() -> None:
    assert sample(CAPTURE)["resource"]["seller_receivable_breakdown"]["paypal_fee"]
    assert fact(CAPTURE).fee is None
    kept = {"platform_fees": [{"amount": eur("1.20"), "payee": {"merchant_id": "M1"}}, {"amount": eur("0.30")}]}
    assert fact(CAPTURE, seller_receivable_breakdown=kept | {"paypal_fee": eur("2.00")}).fee == Money(150, "EUR")
    assert fact(REFUND, seller_payable_breakdown=kept).fee == Money(150, "EUR")
    mixed = {"platform_fees": [{"amount": eur("1.20")}, {"amount": {"currency_code": "USD", "value": "1.00"}}]}
    assert fact(CAPTURE, seller_receivable_breakdown=mixed).fee is None


@pytest.mark.trap(18)
def test_only_money_that_goes_back_is_counted_below_zero() -> None:
    for name, amount in ((CAPTURE, eur("-80.00")), (REFUND, eur("-30.00")), (SALE, first("-24.00"))):
        with pytest.raises(Reject, match="amount_not_decimal"):
            facts(name, amount=amount)


@pytest.mark.parametrize(
    ("where", "href"),
    [
        ("up", "https://api.paypal.com/v2/payments/captures/ABC1"),
        ("up", "https://api-m.sandbox.paypal.com/v2/payments/captures/ABC1"),
        ("sale", "https://api.paypal.com/v1/payments/sale/ABC1"),
        ("capture", "https://api.paypal.com/v1/payments/capture/ABC1"),
    ],
)
@pytest.mark.trap(18)
def test_what_was_refunded_may_only_be_linked(where: str, href: str) -> None:
    links = [{"rel": "self", "href": "https://api.paypal.com/v2/payments/refunds/X1"}, {"rel": where, "href": href}]
    assert fact(REFUND, links=links).payment_id == "ABC1"


def test_a_refund_of_nothing_that_is_named_is_not_guessed() -> None:
    assert ignored(REFUND, links=None) == "names_no_payment"
    assert ignored(REFUND, links=[{"rel": "up", "href": "https://api.paypal.com/v2/checkout/orders/ABC1"}]) == "names_no_payment"


@pytest.mark.parametrize(
    ("status", "expected"), [("COMPLETED", "refund.succeeded"), ("FAILED", "refund.failed"), ("CANCELLED", "refund.failed")]
)
def test_a_refund_goes_by_its_status(status: str, expected: str) -> None:
    assert fact(REFUND, status=status).type == expected
    assert fact(FIRST_REFUND, state=status.lower()).type == expected
    assert fact(REFUND, event_type="PAYMENT.REFUND.FAILED", status=status).type == "refund.failed"


def test_a_pending_refund_has_given_nothing_back_yet() -> None:
    assert ignored(REFUND, status="PENDING") == "refund_pending"


# --- reversals and disputes


def test_a_reversal_goes_under_its_own_id_or_that_of_the_payment() -> None:
    own = fact(REFUND, event_type="PAYMENT.CAPTURE.REVERSED")
    assert (own.type, own.key, own.payment_id) == (FactType.REFUND_SUCCEEDED, "2HB00001REFUND001", "6HB00001CAPTURE01")
    assert own.reason == "reversed"
    of_sale = fact(SALE, event_type="PAYMENT.SALE.REVERSED", state="reversed", amount=first("-24.00"))
    assert (of_sale.key, of_sale.payment_id, of_sale.amount) == ("8HB00001SALE00001", "8HB00001SALE00001", Money(2400, "EUR"))


def outcome(code: str | None, amount: str | None = None, movements: list[dict[str, Any]] | None = None) -> tuple[str, int]:
    stated = {"outcome_code": code, "amount_refunded": eur(amount) if amount else None}
    resolved = {name: value for name, value in stated.items() if value is not None}
    found = fact(RESOLVED, dispute_outcome=resolved, money_movements=movements)
    assert found.amount
    return found.type, found.amount.value


def moved(party: str, kind: str, amount: str, reason: str | None = "DISPUTE_SETTLEMENT") -> dict[str, Any]:
    return {"affected_party": party, "type": kind, "amount": eur(amount)} | ({"reason": reason} if reason else {})


def test_a_dispute_is_opened() -> None:
    opened = fact("CUSTOMER.DISPUTE.CREATED")
    assert (opened.type, opened.key, opened.payment_id) == (FactType.DISPUTE_OPENED, "PP-R-HBR-10000001", "6HB00002CAPTURE02")
    assert (opened.amount, opened.reason) == (Money(6000, "EUR"), "MERCHANDISE_OR_SERVICE_NOT_RECEIVED")
    assert fact("CUSTOMER.DISPUTE.CREATED", event_type="RISK.DISPUTE.CREATED").identity == opened.identity


@pytest.mark.parametrize("code", ["RESOLVED_SELLER_FAVOUR", "CANCELED_BY_BUYER", "DENIED"])
def test_a_dispute_is_won_for_the_disputed_amount(code: str) -> None:
    assert outcome(code, "0.00") == ("dispute.won", 6000)


@pytest.mark.parametrize("code", ["RESOLVED_BUYER_FAVOUR", "ACCEPTED"])
def test_a_dispute_is_lost_for_what_was_refunded(code: str) -> None:
    assert outcome(code, "45.00") == ("dispute.lost", 4500)
    assert outcome(code) == ("dispute.lost", 6000)
    movements = [moved("SELLER", "DEBIT", "40.00"), moved("BUYER", "CREDIT", "45.00")]
    assert outcome(code, "45.00", movements) == ("dispute.lost", 4000)


def test_a_dispute_that_cost_nothing_is_not_lost() -> None:
    assert outcome("RESOLVED_BUYER_FAVOUR", "0.00") == ("dispute.won", 6000)


@pytest.mark.parametrize("code", ["RESOLVED_WITH_PAYOUT", "NONE"])
def test_other_outcomes_are_told_by_the_money(code: str) -> None:
    movements = [moved("SELLER", "DEBIT", "60.00"), moved("SELLER", "CREDIT", "45.00")]
    assert outcome(code, "60.00", movements) == ("dispute.lost", 1500)
    assert outcome(code, "60.00", [moved("BUYER", "CREDIT", "60.00")]) == ("dispute.won", 6000)
    assert outcome(code, None, [moved("SELLER", "DEBIT", "14.00", "DISPUTE_FEE")]) == ("dispute.won", 6000)
    assert ignored(RESOLVED, dispute_outcome={"outcome_code": code}, money_movements=None) == "unknown_outcome"


def test_an_outcome_that_nobody_knows_is_not_guessed() -> None:
    assert ignored(RESOLVED, dispute_outcome={"outcome_code": "SETTLED"}) == "unknown_status"
    assert ignored(RESOLVED, dispute_outcome=None) == "unknown_outcome"


def test_an_update_tells_an_outcome_only_when_there_is_one() -> None:
    kind = "CUSTOMER.DISPUTE.UPDATED"
    assert ignored(RESOLVED, event_type=kind, status="UNDER_REVIEW") == "dispute_open"
    assert fact(RESOLVED, event_type=kind).type == FactType.DISPUTE_LOST


def test_a_dispute_of_several_payments_joins_them() -> None:
    several = [{"seller_transaction_id": name} for name in ("6HB00002CAPTURE02", "6HB00001CAPTURE01", "6HB00002CAPTURE02")]
    opened = fact("CUSTOMER.DISPUTE.CREATED", disputed_transactions=several)
    assert opened.case_ids == ("6HB00002CAPTURE02", "6HB00001CAPTURE01")
    assert ignored("CUSTOMER.DISPUTE.CREATED", disputed_transactions=[{"buyer_transaction_id": "X1"}]) == "names_no_payment"


@pytest.mark.trap(19)
def test_a_lost_dispute_and_its_reversal_are_of_one_payment_and_credit_it_once() -> None:
    paid = fact("PAYMENT.CAPTURE.COMPLETED.disputed")
    links = [{"rel": "up", "href": "https://api.sandbox.paypal.com/v2/payments/captures/6HB00002CAPTURE02"}]
    taken = fact(REFUND, event_type="PAYMENT.CAPTURE.REVERSED", amount=eur("60.00"), links=links)
    lost = fact(RESOLVED, dispute_outcome={"outcome_code": "RESOLVED_BUYER_FAVOUR"}, money_movements=None)
    assert taken.payment_id == lost.payment_id == paid.payment_id
    for told in ((paid, taken, lost), (paid, lost, taken)):
        case = Case(facts=())
        for number in range(1, 4):
            case = Case(facts=told[:number], documents=case.documents)
            case = issue(case, plan(case, CUSTOMER).documents)
        credited = [one.document.amount for one in case.documents if one.document.kind == "credit_note"]
        assert credited == [Money(6000, "EUR")]


# --- money and bodies


@pytest.mark.parametrize(
    ("currency", "value", "expected"),
    [("EUR", "10.00", 1000), ("EUR", "10", 1000), ("JPY", "100", 100), ("HUF", "100", 10000), ("TWD", "100.00", 10000)],
)
def test_amounts_are_decimal_texts(currency: str, value: str, expected: int) -> None:
    changes = {"seller_receivable_breakdown": None}
    amount = {"currency_code": currency, "value": value}
    assert fact(CAPTURE, amount=amount, **changes).amount == Money(expected, currency)
    assert fact(CAPTURE, amount=first(value, currency), **changes).amount == Money(expected, currency)


@pytest.mark.parametrize(
    ("currency", "value", "code"),
    [
        ("EUR", "10.001", "amount_not_expressible"),
        ("JPY", "10.50", "amount_not_expressible"),
        ("HUF", "10.50", "amount_not_expressible"),
        ("EUR", "1e3", "amount_not_decimal"),
        ("EUR", "1,000.00", "amount_not_decimal"),
        ("EUR", "", "amount_not_decimal"),
        ("EUR", 10.0, "amount_not_decimal"),
        ("EUR", 10, "amount_not_decimal"),
        ("EUR", str(VALUE_MAX), "amount_too_large"),
    ],
)
def test_amounts_that_are_none_are_refused(currency: str, value: object, code: str) -> None:
    with pytest.raises(Reject, match=code):
        facts(CAPTURE, amount={"currency_code": currency, "value": value})


@pytest.mark.parametrize("currency", ["XXX", "eur", "", 978, None])
def test_a_currency_that_nobody_knows_is_not_guessed(currency: object) -> None:
    assert ignored(CAPTURE, amount={"currency_code": currency, "value": "10.00"}) == "unknown_currency"


def test_movements_may_not_add_up_to_more_than_there_is_money() -> None:
    with pytest.raises(Reject, match="amount_too_large"):
        outcome("ACCEPTED", "1.00", [moved("SELLER", "DEBIT", "9999999999999.99")] * 2)


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        ("https://api.sandbox.paypal.com/v1/notifications/webhooks-events/WH-1", True),
        ("https://api-m.sandbox.paypal.com/v1/notifications/webhooks-events/WH-1", True),
        ("https://api.paypal.com/v1/notifications/webhooks-events/WH-1", False),
        ("https://api-m.paypal.com/v1/notifications/webhooks-events/WH-1", False),
        ("https://api.example.com/v1/notifications/webhooks-events/WH-1", None),
    ],
)
def test_the_sandbox_keeps_its_own_events(href: str, expected: bool | None) -> None:
    event = SAMPLES[CAPTURE] | {"links": [{"rel": "self", "href": href}, {"rel": "resend", "href": "https://api.paypal.com/"}]}
    assert translated(event).is_test is expected


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"id": "WH-1"},
        {"id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED"},
        {"id": 1, "event_type": "PAYMENT.CAPTURE.COMPLETED", "create_time": "2026-11-20T10:00:00Z"},
        SAMPLES[CAPTURE] | {"create_time": "yesterday"},
        SAMPLES[CAPTURE] | {"resource": []},
        SAMPLES[CAPTURE] | {"resource": {}},
        sample(CAPTURE, id="x" * 251),
        sample(CAPTURE, links={}),
        sample(REFUND, links=[{"rel": "up", "href": "x"}] * 51),
        sample(RESOLVED, dispute_id=None),
    ],
    ids=range(11),
)
def test_a_body_that_is_no_event_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(Reject):
        translated(event)
