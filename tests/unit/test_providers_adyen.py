"""Adyen deliveries: signatures item by item, what each event code means, and the balance platform."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import json
import os
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from Adyen import util as official
from hypothesis import given
from hypothesis import strategies as st

from quittance.errors import Reject, Retry
from quittance.facts import Fact, FactType, Payer
from quittance.money import Money
from quittance.plan import Case, plan
from quittance.providers import SIGNATURE_CODES, Translation, adyen
from quittance.runtime.queues import delivery_messages
from tests.unit.stories import CUSTOMER
from tests.use_cases.world import World
from tools.deliveries import signed_delivery

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
FIXTURES = Path(os.environ.get("QUITTANCE_FIXTURES", ROOT.parent / "shared" / "fixtures")) / "adyen"
SAMPLES = {file.stem: file.read_bytes() for file in (ROOT / "events" / "adyen").glob("*.json")}
SECRET, OTHER_SECRET = "5ec2e7" * 10 + "5ec2", "01d5ec" * 10 + "01d5"
PUBLISHED_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
VECTORS_KEY = "74F490DD33F7327BAECC88B2947C011FC02D014A473AAA33A8EC93E4DC069174"
NOW = 1_795_000_000


def item(code: str, **more: Any) -> dict[str, Any]:
    """A minimal item about payment PAY or, if it says so, about what was done to it."""
    return {
        "amount": {"currency": "EUR", "value": 1000},
        "eventCode": code,
        "eventDate": "2026-11-19T09:00:00+01:00",
        "merchantAccountCode": "Shop",
        "merchantReference": "order-1",
        "paymentMethod": "visa",
        "pspReference": "PAY",
        "reason": "",
        "success": "true",
    } | more


def modification(code: str, reference: str = "MOD", **more: Any) -> dict[str, Any]:
    return item(code, pspReference=reference, originalReference="PAY", **more)


def delivery(*items: dict[str, Any], live: str = "true") -> bytes:
    return json.dumps({"live": live, "notificationItems": [{"NotificationRequestItem": one} for one in items]}).encode()


def translation(*items: dict[str, Any], **settings: Any) -> Translation:
    return adyen.translate(delivery(*items), "default", settings)


def one(told: dict[str, Any], **settings: Any) -> Fact:
    (fact,) = translation(told, **settings).facts
    return fact


def ignored(told: dict[str, Any], **settings: Any) -> str | None:
    found = translation(told, **settings)
    assert found.facts == ()
    return found.ignored


def code_of_verification(raw: bytes, secrets: Sequence[str] = (SECRET,), **headers: str) -> str | None:
    try:
        adyen.verify(raw, headers, secrets, NOW)
    except Reject as rejected:
        return rejected.code
    return None


def signed(raw: bytes, secret: str = SECRET) -> bytes:
    return signed_delivery("adyen", raw, secret, NOW)[0]


# --- verify: items


def test_a_published_vector_is_accepted() -> None:
    vector = {
        "additionalData": {"hmacSignature": "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="},
        "amount": {"value": 1130, "currency": "EUR"},
        "eventCode": "AUTHORISATION",
        "merchantAccountCode": "TestMerchant",
        "merchantReference": "TestPayment-1407325143704",
        "pspReference": "7914073381342284",
        "success": "true",
    }
    assert code_of_verification(delivery(vector), [PUBLISHED_KEY]) is None
    assert code_of_verification(delivery(vector | {"success": "false"}), [PUBLISHED_KEY]) == "signature_mismatch"


@pytest.mark.skipif(not FIXTURES.is_dir(), reason=f"no payloads in {FIXTURES}")
@pytest.mark.parametrize("name", ["backslash", "forwardslash"])
def test_published_vectors_with_special_characters_are_not_escaped(name: str) -> None:
    vector = json.loads((FIXTURES / f"hmac-vector-{name}_notification.json").read_bytes())
    assert code_of_verification(delivery(vector), [VECTORS_KEY]) is None


@pytest.mark.parametrize("reference", ["order-1", "a:b", "a\\b", "a\\:b", "//a", "é 😀", ""])
def test_what_the_sample_sender_signs_convinces_the_official_library_and_us(reference: str) -> None:
    raw = signed(delivery(item("AUTHORISATION", merchantReference=reference)))
    assert official.is_valid_hmac_notification(json.loads(raw), SECRET)
    assert code_of_verification(raw) is None


@pytest.mark.parametrize("name", sorted(name for name in SAMPLES if not name.startswith("balancePlatform")))
def test_the_official_library_agrees_on_every_sample(name: str) -> None:
    raw = signed(SAMPLES[name])
    assert official.is_valid_hmac_notification(json.loads(raw), SECRET)
    assert code_of_verification(raw) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pspReference", "PAZ"),
        ("originalReference", "PAZ"),
        ("merchantAccountCode", "Shop2"),
        ("merchantReference", "order-2"),
        ("amount", {"currency": "EUR", "value": 1001}),
        ("amount", {"currency": "USD", "value": 1000}),
        ("amount", {"currency": "EUR", "value": 1000.0}),
        ("amount", None),
        ("eventCode", "REFUND"),
        ("success", "false"),
        ("success", True),
    ],
)
def test_every_signed_field_is_checked(name: str, value: object) -> None:
    body = json.loads(signed(delivery(modification("CAPTURE"))))
    body["notificationItems"][0]["NotificationRequestItem"][name] = value
    assert code_of_verification(json.dumps(body).encode()) == "signature_mismatch"


def test_a_signature_over_what_is_no_text_and_no_number_is_refused() -> None:
    told = item("AUTHORISATION", success=True)
    told["additionalData"] = {"hmacSignature": official.generate_notification_sig(told, SECRET).decode()}
    assert code_of_verification(delivery(told)) == "signature_mismatch"


@pytest.mark.parametrize("forged", [0, 1, 2])
def test_one_bad_item_refuses_the_delivery(forged: int) -> None:
    """The official helper looks at the first item only."""
    body = json.loads(signed(delivery(*(item("AUTHORISATION", pspReference=f"P{n}") for n in range(3)))))
    assert code_of_verification(json.dumps(body).encode()) is None
    body["notificationItems"][forged]["NotificationRequestItem"]["amount"]["value"] = 9
    assert code_of_verification(json.dumps(body).encode()) == "signature_mismatch"
    del body["notificationItems"][forged]["NotificationRequestItem"]["additionalData"]
    assert code_of_verification(json.dumps(body).encode()) == "signature_missing"


def test_both_secrets_of_a_rotation_are_accepted_even_in_one_delivery() -> None:
    old, new = (
        json.loads(signed(delivery(item("AUTHORISATION", pspReference=secret[:4])), secret))["notificationItems"][0]
        for secret in (OTHER_SECRET, SECRET)
    )
    raw = json.dumps({"live": "true", "notificationItems": [old, new]}).encode()
    assert code_of_verification(raw, (SECRET, OTHER_SECRET)) is None
    assert code_of_verification(raw) == "signature_mismatch"


@pytest.mark.parametrize("secrets", [(), ("",), ("not hexadecimal",), ("5ec",)])
def test_without_a_usable_secret_nothing_is_accepted(secrets: tuple[str, ...]) -> None:
    raw = delivery(item("AUTHORISATION"))
    text = b"PAY::Shop:order-1:1000:EUR:AUTHORISATION:true"
    empty = base64.b64encode(hmac.new(b"", text, hashlib.sha256).digest()).decode()
    body = json.loads(raw)
    body["notificationItems"][0]["NotificationRequestItem"]["additionalData"] = {"hmacSignature": empty}
    assert code_of_verification(json.dumps(body).encode(), secrets) == "signature_mismatch"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff",
        b'{"notificationItems": []}',
        b'{"notificationItems": {}}',
        b'{"notificationItems": [1]}',
        b'{"notificationItems": [{"NotificationRequestItem": 1}]}',
        b'{"notificationItems": [{"NotificationRequestItem": {"additionalData": 1}}]}',
        b'{"notificationItems": [{"NotificationRequestItem": {"additionalData": {"hmacSignature": 1}}}]}',
        b'{"notificationItems": [{"NotificationRequestItem": {"additionalData": {"hmacSignature": ""}}}]}',
        delivery(item("AUTHORISATION")),
    ],
)
def test_a_body_without_a_signature_is_a_signature_failure(raw: bytes) -> None:
    assert code_of_verification(raw) == "signature_missing"


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.integers(), max_size=2)
NAMES = st.sampled_from(["pspReference", "amount", "success", "additionalData", "value", "hmacSignature"])


@given(st.dictionaries(NAMES, VALUES | st.dictionaries(NAMES, VALUES, max_size=2), max_size=3))
def test_no_item_gets_in_or_breaks_the_check(more: dict[str, Any]) -> None:
    assert code_of_verification(delivery(item("AUTHORISATION") | more)) in SIGNATURE_CODES


# --- verify: the header of the balance platform

TRANSFER = SAMPLES["balancePlatform.transfer.updated.booked"]


def header(raw: bytes = TRANSFER, secret: str = SECRET) -> str:
    signature: str = official.generate_payload_sig(raw, secret).decode()
    return signature


def test_a_body_signed_in_the_header_is_accepted() -> None:
    assert signed_delivery("adyen", TRANSFER, SECRET, NOW)[1]["HmacSignature"] == header()
    assert code_of_verification(TRANSFER, hmacsignature=header()) is None
    assert code_of_verification(TRANSFER, (OTHER_SECRET, SECRET), hmacsignature=f"AAAA, {header()}") is None


def test_a_header_that_signs_something_else_is_refused() -> None:
    assert code_of_verification(TRANSFER + b" ", hmacsignature=header()) == "signature_mismatch"
    assert code_of_verification(TRANSFER, hmacsignature=header(secret=OTHER_SECRET)) == "signature_mismatch"
    assert code_of_verification(TRANSFER, hmacsignature="é") == "signature_mismatch"
    assert code_of_verification(TRANSFER) == "signature_missing"


def test_it_is_acknowledged_as_the_older_contract_asks() -> None:
    told = adyen.acknowledge()
    assert (told.status, told.body, told.content_type) == (200, "[accepted]", "text/plain")


# --- the table of event codes

CHARGEBACK = {"chargebackReasonCode": "10.4"}
ROWS: dict[str, tuple[dict[str, Any], str, str, str | None]] = {
    "captured at once": (item("AUTHORISATION"), "payment.succeeded", "PAY", "PAY"),
    "refused": (item("AUTHORISATION", success="false"), "payment.failed", "PAY", "PAY"),
    "captured": (modification("CAPTURE"), "payment.captured", "MOD", "PAY"),
    "capture refused": (modification("CAPTURE", success="false"), "payment.failed", "MOD", "PAY"),
    "capture failed later": (modification("CAPTURE_FAILED"), "payment.failed", "MOD", "PAY"),
    "refunded": (modification("REFUND"), "refund.succeeded", "MOD", "PAY"),
    "refund refused": (modification("REFUND", success="false"), "refund.failed", "MOD", "PAY"),
    "refund failed later": (modification("REFUND_FAILED"), "refund.failed", "MOD", "PAY"),
    "refund reversed": (modification("REFUNDED_REVERSED"), "refund.failed", "MOD", "PAY"),
    "refund with data": (modification("REFUND_WITH_DATA"), "refund.succeeded", "MOD", "PAY"),
    "refund with data of no payment": (item("REFUND_WITH_DATA", pspReference="MOD"), "refund.succeeded", "MOD", None),
    "refund with data refused": (modification("REFUND_WITH_DATA", success="false"), "refund.failed", "MOD", "PAY"),
    "cancel or refund: refund": (
        modification("CANCEL_OR_REFUND", additionalData={"modification.action": "refund"}),
        "refund.succeeded",
        "MOD",
        "PAY",
    ),
    "cancel or refund: refund refused": (
        modification("CANCEL_OR_REFUND", success="false", additionalData={"modification.action": "refund"}),
        "refund.failed",
        "MOD",
        "PAY",
    ),
} | {
    f"{code}{' ' + status if status else ''}": (
        modification(code, additionalData=CHARGEBACK | ({"disputeStatus": status} if status else {})),
        f"dispute.{outcome}",
        "MOD",
        "PAY",
    )
    for code, status, outcome in (
        ("NOTIFICATION_OF_CHARGEBACK", "", "opened"),
        ("NOTIFICATION_OF_CHARGEBACK", "Undefended", "opened"),
        ("CHARGEBACK", "", "opened"),
        ("CHARGEBACK", "Pending", "opened"),
        ("CHARGEBACK", "Lost", "lost"),
        ("CHARGEBACK", "Won", "won"),
        ("CHARGEBACK_REVERSED", "", "won"),
        ("CHARGEBACK_REVERSED", "Pending", "won"),
        ("CHARGEBACK_REVERSED", "Lost", "lost"),
        ("PREARBITRATION_WON", "", "won"),
        ("PREARBITRATION_ISSUER_WITHDRAWN", "", "won"),
        ("SCHEME_ARBITRATION_WON", "", "won"),
        ("ISSUER_RESPONSE_TIMEFRAME_EXPIRED", "Won", "won"),
        ("SECOND_CHARGEBACK", "", "lost"),
        ("SECOND_CHARGEBACK", "Pending", "lost"),
        ("PREARBITRATION_LOST", "Lost", "lost"),
        ("SCHEME_ARBITRATION_LOST", "", "lost"),
        ("DISPUTE_DEFENSE_PERIOD_ENDED", "", "lost"),
        ("DISPUTE_DEFENSE_PERIOD_ENDED", "Lost", "lost"),
        ("DISPUTE_DEFENSE_PERIOD_ENDED", "Undefended", "lost"),
        ("DISPUTE_DEFENSE_PERIOD_ENDED", "Won", "won"),
        ("INFORMATION_SUPPLIED", "Lost", "lost"),
        ("ISSUER_COMMENTS", "won", "won"),
    )
}


@pytest.mark.parametrize("name", ROWS)
def test_an_event_code_means(name: str) -> None:
    told, kind, key, payment_id = ROWS[name]
    fact = one(told)
    assert (str(fact.type), fact.key, fact.payment_id, fact.amount) == (kind, key, payment_id, Money(1000, "EUR"))
    assert (fact.provider, fact.account, fact.occurred_at) == ("adyen", "Shop", "2026-11-19T08:00:00Z")


IGNORED = {
    "AUTHORISATION_ADJUSTMENT": "capture_events_report_it",
    "CANCELLATION": "authorization_released",
    "TECHNICAL_CANCEL": "authorization_released",
    "EXPIRE": "authorization_released",
    "OFFER_CLOSED": "not_paid",
    "POSTPONED_REFUND": "refund_pending",
    "VOID_PENDING_REFUND": "refund_pending",
    "ORDER_OPENED": "no_new_fact",
    "REQUEST_FOR_INFORMATION": "inquiry",
    "NOTIFICATION_OF_FRAUD": "inquiry",
    "INFORMATION_SUPPLIED": "dispute_open",
    "ISSUER_COMMENTS": "dispute_open",
    "PAYOUT_THIRDPARTY": "not_a_sale",
    "PAYOUT_DECLINE": "not_a_sale",
    "PAYOUT_EXPIRE": "not_a_sale",
    "PAIDOUT_REVERSED": "not_a_sale",
    "REPORT_AVAILABLE": "report_not_read",
    "RECURRING_CONTRACT": "no_new_fact",
    "SOMETHING_NEW": "unknown_event_type",
}


@pytest.mark.parametrize("code", IGNORED)
@pytest.mark.parametrize("success", ["true", "false"])
def test_what_makes_no_document_is_ignored_with_its_reason(code: str, success: str) -> None:
    assert ignored(modification(code, success=success)) == IGNORED[code]


# --- the traps, by what goes wrong


@pytest.mark.parametrize("code", ["REFUND_FAILED", "REFUNDED_REVERSED", "CAPTURE_FAILED"])
@pytest.mark.trap(6)
def test_success_true_on_a_failure_means_that_the_failure_is_real(code: str) -> None:
    assert one(modification(code, success="true")).type in {FactType.REFUND_FAILED, FactType.PAYMENT_FAILED}
    assert ignored(modification(code, success="false")) == "did_not_happen"


@pytest.mark.parametrize("success", [True, False, "True", "1", "", None, 1, [], {}])
@pytest.mark.trap(7)
def test_success_is_a_text_and_any_other_is_not_guessed(success: object) -> None:
    assert ignored(item("AUTHORISATION", success=success)) == "unknown_status"


@pytest.mark.parametrize(("live", "is_test"), [("true", False), ("false", True), ("False", None), ("", None)])
@pytest.mark.trap(7)
def test_live_is_a_text(live: str, is_test: bool | None) -> None:
    assert adyen.translate(delivery(item("AUTHORISATION"), live=live), "default", {}).is_test is is_test


@pytest.mark.trap(8)
def test_all_stages_of_a_dispute_are_facts_of_their_own_under_one_key() -> None:
    codes = ("NOTIFICATION_OF_CHARGEBACK", "CHARGEBACK", "CHARGEBACK_REVERSED", "SECOND_CHARGEBACK")
    identities = [one(modification(code, "DISPUTE")).identity for code in codes]
    assert identities == ["dispute.opened#DISPUTE", "dispute.opened#DISPUTE", "dispute.won#DISPUTE", "dispute.lost#DISPUTE"]


@pytest.mark.trap(9)
def test_cancel_or_refund_with_a_cancel_makes_no_credit_note() -> None:
    cancel = modification("CANCEL_OR_REFUND", additionalData={"modification.action": "cancel"})
    assert ignored(cancel) == "authorization_released"
    assert ignored(modification("CANCEL_OR_REFUND")) == "unknown_status"


@pytest.mark.trap(10)
def test_an_order_that_is_closed_is_no_sale_beside_its_payments() -> None:
    assert ignored(item("ORDER_CLOSED")) == "payments_of_order_report_it"


@pytest.mark.trap(11)
def test_a_provisional_win_can_still_be_lost() -> None:
    world = registered_world()
    world.take(
        one(item("AUTHORISATION")),
        one(modification("CHARGEBACK", "DISPUTE", eventDate="2026-11-19T10:00:00+01:00")),
        one(modification("CHARGEBACK_REVERSED", "DISPUTE", eventDate="2026-11-19T11:00:00+01:00")),
    )
    assert world.totals() == {"invoices": ["10"], "credit-notes": []}
    world.take(one(modification("SECOND_CHARGEBACK", "DISPUTE", eventDate="2026-11-19T12:00:00+01:00")))
    assert world.totals() == {"invoices": ["10"], "credit-notes": ["10"]}


def test_an_inquiry_never_moves_money_whatever_its_status() -> None:
    for code in ("REQUEST_FOR_INFORMATION", "NOTIFICATION_OF_FRAUD"):
        assert ignored(modification(code, additionalData={"disputeStatus": "Lost"})) == "inquiry"


def test_a_defense_that_is_being_considered_is_not_lost() -> None:
    pending = modification("DISPUTE_DEFENSE_PERIOD_ENDED", additionalData={"disputeStatus": "Pending"})
    assert ignored(pending) == "dispute_open"


STAGES = [
    item("AUTHORISATION"),
    modification("CHARGEBACK", "DISPUTE", eventDate="2026-11-19T10:00:00+01:00"),
    item("PREARBITRATION_LOST", pspReference="DISPUTE", eventDate="2026-11-19T12:00:00+01:00"),
]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_stage_that_does_not_name_the_payment_finds_it_by_the_dispute(order: tuple[int, ...]) -> None:
    world = registered_world()
    world.take(*(one(STAGES[place]) for place in order))
    world.drain_revisits()
    assert world.totals() == {"invoices": ["10"], "credit-notes": ["10"]}


def registered_world() -> World:
    world = World()
    world.register(accounts=[{"provider": "adyen", "account": "Shop"}])
    return world


# --- capture modes


def test_the_capture_mode_is_a_setting_of_the_connection() -> None:
    told = item("AUTHORISATION")
    assert one(told).type is FactType.PAYMENT_SUCCEEDED
    assert one(told, capture_mode="immediate").type is FactType.PAYMENT_SUCCEEDED
    assert one(told, capture_mode="manual").type is FactType.PAYMENT_AUTHORIZED


def test_the_capture_mode_may_differ_between_merchant_accounts() -> None:
    modes = {"Shop": "manual", "Other": "immediate"}
    kinds = [one(item("AUTHORISATION", merchantAccountCode=name), capture_mode=modes).type for name in ("Shop", "Other", "New")]
    assert kinds == [FactType.PAYMENT_AUTHORIZED, FactType.PAYMENT_SUCCEEDED, FactType.PAYMENT_SUCCEEDED]


@pytest.mark.parametrize("mode", ["Manual", "", 1, None, [], {"Shop": "later"}])
def test_a_capture_mode_that_is_none_is_not_guessed(mode: object) -> None:
    with pytest.raises(Retry, match="settings_unreadable"):
        translation(item("AUTHORISATION"), capture_mode=mode)


@pytest.mark.parametrize(
    ("operations", "kind"),
    [
        (["CANCEL", "CAPTURE", "REFUND"], FactType.PAYMENT_AUTHORIZED),
        (["REFUND"], FactType.PAYMENT_SUCCEEDED),
        ([], FactType.PAYMENT_AUTHORIZED),
        ("REFUND", FactType.PAYMENT_AUTHORIZED),
    ],
)
def test_a_method_that_knows_no_capture_is_paid_at_once_in_any_mode(operations: object, kind: FactType) -> None:
    assert one(item("AUTHORISATION", operations=operations), capture_mode="manual").type is kind
    assert one(item("AUTHORISATION", operations=operations)).type is FactType.PAYMENT_SUCCEEDED


def test_partial_captures_are_invoiced_one_by_one_and_a_failed_one_is_due_again() -> None:
    world = registered_world()
    mode = {"capture_mode": "manual"}
    world.take(
        one(item("AUTHORISATION"), **mode),
        one(modification("CAPTURE", "CAP1", amount={"currency": "EUR", "value": 600}), **mode),
        one(modification("CAPTURE", "CAP2", amount={"currency": "EUR", "value": 300}), **mode),
    )
    assert world.totals() == {"invoices": ["6", "3"], "credit-notes": []}
    late = {"amount": {"currency": "EUR", "value": 300}, "eventDate": "2026-11-20T09:00:00+01:00"}
    world.take(one(modification("CAPTURE_FAILED", "CAP2", **late), **mode))
    assert [invoice["total_paid"] for invoice in world.held("invoices")] == [6, 0]


def test_a_capture_that_followed_by_itself_and_failed_undoes_the_payment() -> None:
    world = registered_world()
    late = {"eventDate": "2026-11-20T09:00:00+01:00"}
    world.take(one(item("AUTHORISATION")), one(modification("CAPTURE_FAILED", "UNSEEN", **late)))
    assert [invoice["total_paid"] for invoice in world.held("invoices")] == [0]


def test_a_capture_that_failed_undoes_no_other_capture_in_any_mode() -> None:
    for mode in ("immediate", "manual"):
        first, second = ({"amount": {"currency": "EUR", "value": value}} for value in (600, 300))
        captures = [
            one(modification("CAPTURE", "CAP1", **first), capture_mode=mode),
            one(modification("CAPTURE", "CAP2", **second), capture_mode=mode),
        ]
        late: dict[str, Any] = second | {"eventDate": "2026-11-20T09:00:00+01:00"}
        failed = one(modification("CAPTURE_FAILED", "CAP2", **late), capture_mode=mode)
        authorized = one(item("AUTHORISATION"), capture_mode=mode)
        findings = plan(Case(facts=(authorized, *captures, failed)), CUSTOMER).findings
        assert [(finding.code, finding.amount) for finding in findings] == [("payment_failed_after_success", Money(300, "EUR"))]


def test_a_capture_that_was_refused_undoes_nothing() -> None:
    facts = one(item("AUTHORISATION")), one(modification("CAPTURE", "CAP1", success="false", eventDate="2026-11-20T09:00:00Z"))
    planned = plan(Case(facts=facts), CUSTOMER)
    assert ([len(document.payments) for document in planned.documents], planned.findings) == ([1], ())


def test_a_refused_authorisation_that_is_corrected_is_paid() -> None:
    refused = one(item("AUTHORISATION", success="false"))
    corrected = one(item("AUTHORISATION", eventDate="2026-11-19T09:05:00+01:00"))
    for facts in permutations((refused, corrected)):
        planned = plan(Case(facts=facts), CUSTOMER)
        assert ([len(document.payments) for document in planned.documents], planned.findings) == ([1], ())


# --- what is never refused, lest it holds back what comes after it


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"amount": {"currency": "XTS", "value": 1}}, "unknown_currency"),
        ({"amount": {"currency": "CNH", "value": 1}}, "unknown_currency"),
        ({"amount": {"currency": "EUR", "value": -1}}, "amount_negative"),
        ({"amount": {"currency": "EUR", "value": "10"}}, "amount_not_integer"),
        ({"amount": {"currency": "EUR", "value": 10**16}}, "amount_too_large"),
        ({"amount": {"currency": "CVE", "value": 10**14}}, "amount_too_large"),
        ({"amount": {"currency": "CLP", "value": 1050}}, "amount_not_expressible"),
        ({"amount": {"currency": "EUR", "value": 0}}, "zero_amount"),
        ({"amount": None}, "unknown_currency"),
        ({"amount": 10}, "unreadable_body"),
        ({"eventDate": "yesterday"}, "unreadable_body"),
        ({"eventDate": None}, "unreadable_body"),
        ({"additionalData": []}, "unreadable_body"),
        ({"merchantReference": "x" * 251}, "unreadable_body"),
    ],
)
def test_an_item_that_cannot_be_read_is_acknowledged_and_kept(change: dict[str, Any], reason: str) -> None:
    assert ignored(item("AUTHORISATION", **change)) == reason


@pytest.mark.parametrize("code", ["CAPTURE", "CAPTURE_FAILED", "REFUND", "REFUND_FAILED"])
def test_a_modification_of_no_payment_is_kept(code: str) -> None:
    assert ignored(item(code)) == "names_no_payment"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"type": "x"}',
        b'{"type": 1, "data": {"id": "1"}}',
        delivery(),
        delivery(*[item("AUTHORISATION")] * 51),
        delivery(item("AUTHORISATION", pspReference="")),
        delivery(item("AUTHORISATION", eventCode=None)),
        delivery(item("AUTHORISATION", pspReference="x" * 251)),
    ],
)
def test_a_body_that_is_no_delivery_is_refused(raw: bytes) -> None:
    with pytest.raises(Reject, match="unreadable_body"):
        adyen.translate(raw, "default", {})


# --- several items


def test_the_items_of_a_delivery_are_events_of_their_own() -> None:
    told = translation(
        item("AUTHORISATION"), item("AUTHORISATION", pspReference="P2", merchantAccountCode="Other"), item("SOMETHING_NEW")
    )
    assert [(fact.account, fact.key) for fact in told.facts] == [("Shop", "PAY"), ("Other", "P2")]
    assert [(event.account, event.ignored) for event in told.events] == [
        ("Shop", None),
        ("Other", None),
        ("Shop", "unknown_event_type"),
    ]
    messages = delivery_messages("adyen", "default", told, "2026-11-20T10:00:00Z")
    assert [(m.function, json.loads(m.body)["event_id"]) for m in messages] == [
        ("payment_succeeded", "PAY:AUTHORISATION:true:2026-11-19T09:00:00+01:00"),
        ("payment_succeeded", "P2:AUTHORISATION:true:2026-11-19T09:00:00+01:00"),
        ("event_ignored", "PAY:SOMETHING_NEW:true:2026-11-19T09:00:00+01:00"),
    ]


def test_a_delivery_of_ignored_items_is_ignored() -> None:
    told = translation(item("SOMETHING_NEW"), item("ORDER_OPENED"))
    assert (told.facts, told.ignored) == ((), "unknown_event_type")
    assert translation(item("SOMETHING_NEW"), item("AUTHORISATION")).ignored is None


def test_a_delivery_key_tells_corrections_from_repetitions() -> None:
    def event_id(**more: Any) -> str:
        return translation(item("AUTHORISATION", **more)).event_id

    assert event_id() == event_id(additionalData={"x": "y"})
    changes: list[dict[str, Any]] = [
        {"pspReference": "P2"},
        {"eventCode": "CAPTURE"},
        {"success": "false"},
        {"eventDate": "2026-11-19T09:00:01+01:00"},
    ]
    assert len({event_id(), *(event_id(**change) for change in changes)}) == 5
    long = event_id(pspReference="x" * 250)
    assert len(long) == 64
    assert long != event_id(pspReference="y" * 250)


def test_money_of_an_unnamed_merchant_account_belongs_to_the_connection() -> None:
    assert one(item("AUTHORISATION", merchantAccountCode=None)).account == "connection:default"


# --- details


def test_what_is_printed_of_a_payment() -> None:
    raw = SAMPLES["AUTHORISATION"]
    (fact,) = adyen.translate(raw, "default", {}).facts
    assert fact.payer == Payer(
        name="Ines Duarte",
        email="ines@duarte.example",
        country="PT",
        line1="Rua do Salitre 12",
        city="Lisboa",
        postal_code="1250-198",
    )
    assert (fact.method, fact.order_id) == ("card", "HB-2301")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("[first name=Ada, infix=null, last name=Lovelace, gender=UNKNOWN]", "Ada Lovelace"),
        ("[first name=null, infix=null, last name=Lovelace]", "Lovelace"),
        ("[]", None),
    ],
)
def test_a_name_is_written_out(said: str, name: str | None) -> None:
    payer = one(item("AUTHORISATION", additionalData={"shopperName": said, "shopperEmail": "a@b.example"})).payer
    assert payer
    assert payer.name == name


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("visa", "card"),
        ("mc_applepay", "card"),
        ("ideal", "bank_transfer"),
        ("bankTransfer_IBAN", "bank_transfer"),
        ("sepadirectdebit", "direct_debit"),
        ("paypal", "paypal"),
        ("klarna", "other"),
        ("", None),
    ],
)
def test_a_method_is_known_by_its_brand(method: str, kind: str | None) -> None:
    assert one(item("AUTHORISATION", paymentMethod=method)).method == kind


def test_card_data_in_free_texts_is_left_out() -> None:
    fact = one(item("AUTHORISATION", success="false", reason="076181:1111:03/2030"))
    assert fact.reason is None
    assert "1111" not in repr(fact)
    assert one(item("AUTHORISATION", success="false", reason="Refused")).reason == "Refused"


def test_a_dispute_names_the_capture_and_the_scheme_s_reason() -> None:
    extra = {"chargebackReasonCode": " 4853", "capturePspReference": "CAP1"}
    fact = one(modification("CHARGEBACK", additionalData=extra))
    assert (fact.reason, fact.capture_id, fact.also_known_as) == ("4853", "CAP1", ("MOD",))


# --- the balance platform


def transfer(event_type: str = "balancePlatform.transfer.updated", **more: Any) -> Translation:
    body = json.loads(TRANSFER)
    body["type"] = event_type
    body["data"] |= more
    return adyen.translate(json.dumps(body).encode(), "default", {})


@pytest.mark.parametrize(
    ("status", "kind"),
    [("booked", FactType.PAYOUT_PAID)] + [(status, FactType.PAYOUT_FAILED) for status in ("failed", "returned", "refused")],
)
def test_money_that_leaves_for_a_bank_is_a_payout(status: str, kind: FactType) -> None:
    (fact,) = transfer(status=status).facts
    assert (fact.type, fact.key, fact.payment_id) == (kind, "3HB8PAY5OUT2WEEK47", None)
    assert (fact.amount, fact.account) == (Money(48210, "EUR"), "AH32HB5B6C7D8E9F0G1H2J3K4")


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"status": "received"}, "payout_pending"),
        ({"status": "authorised"}, "payout_pending"),
        ({"status": "astonished"}, "unknown_status"),
        ({"status": None}, "unknown_status"),
        ({"direction": "incoming"}, "not_a_payout"),
        ({"category": "internal"}, "not_a_payout"),
        ({"category": "platformPayment"}, "not_a_payout"),
        ({"type": "bankDirectDebit"}, "not_a_payout"),
        ({"amount": {"value": 1, "currency": "XTS"}}, "unknown_currency"),
        ({"amount": {"value": -1, "currency": "EUR"}}, "amount_negative"),
    ],
)
def test_any_other_transfer_is_none(more: dict[str, Any], reason: str) -> None:
    assert (transfer(**more).facts, transfer(**more).ignored) == ((), reason)


@pytest.mark.parametrize(
    ("event_type", "reason"),
    [
        ("balancePlatform.dispute.created", "not_a_sale"),
        ("balancePlatform.dispute.updated", "not_a_sale"),
        ("balancePlatform.report.created", "report_not_read"),
        ("balancePlatform.transaction.created", "no_new_fact"),
        ("balancePlatform.outgoingTransfer.updated", "unknown_version"),
        ("balancePlatform.balanceAccountSweep.updated", "no_new_fact"),
        ("balancePlatform.surprise.created", "unknown_event_type"),
        ("balancePlatform.balanceAccount.balance.updated", "no_new_fact"),
        ("balancePlatform.authorisation.relayed", "not_a_sale"),
        ("merchant.created", "no_new_fact"),
        ("recurring.token.created", "no_new_fact"),
        ("surprise.created", "unknown_event_type"),
    ],
)
def test_any_other_webhook_of_a_platform_is_ignored(event_type: str, reason: str) -> None:
    assert (transfer(event_type).facts, transfer(event_type).ignored) == ((), reason)


@pytest.mark.parametrize(
    ("event_type", "reason"),
    [("ACCOUNT_HOLDER_PAYOUT", "unknown_version"), ("ACCOUNT_UPDATED", "no_new_fact"), ("SURPRISE", "unknown_event_type")],
)
def test_a_platform_of_the_first_generation_is_acknowledged_and_only_its_money_is_alarmed(event_type: str, reason: str) -> None:
    body = {"eventType": event_type, "eventDate": "2026-11-20T01:00:00+01:00", "live": False, "content": {"accountCode": "AC1"}}
    found = adyen.translate(json.dumps(body).encode(), "default", {})
    assert (found.facts, found.ignored, found.event_type) == ((), reason, event_type)


@pytest.mark.parametrize(
    ("code", "status", "meaning"),
    [
        ("PREARBITRATION_OPEN", "Pending", "dispute_open"),
        ("PREARBITRATION_OPEN", "Lost", "dispute.lost"),
        ("PREARBITRATION_ACCEPTED", "Lost", "dispute.lost"),
        ("PREARBITRATION_ACCEPTED", "", "unknown_outcome"),
        ("PREARBITRATION_DECLINED", "", "dispute_open"),
        ("SCHEME_ARBITRATION", "", "dispute_open"),
    ],
)
def test_who_gave_in_before_arbitration_is_not_guessed(code: str, status: str, meaning: str) -> None:
    found = translation(modification(code, additionalData={"disputeStatus": status}))
    assert meaning in {found.ignored, *(str(fact.type) for fact in found.facts)}


def test_a_platform_webhook_has_a_key_and_says_whether_it_is_a_test() -> None:
    told = transfer()
    assert told.event_id == "3HB8PAY5OUT2WEEK47:balancePlatform.transfer.updated:3"
    assert told.is_test is True
    live = copy.deepcopy(json.loads(TRANSFER)) | {"environment": "live"}
    assert adyen.translate(json.dumps(live).encode(), "default", {}).is_test is False


# --- money


@pytest.mark.parametrize(
    ("currency", "value", "minor_units"),
    [("CVE", 1000, 100000), ("IDR", 10000, 1000000), ("CLP", 100000, 1000), ("ISK", 500, 5), ("JPY", 7, 7), ("KWD", 1234, 1234)],
)
def test_decimals_are_adyen_s_own(currency: str, value: int, minor_units: int) -> None:
    assert one(item("AUTHORISATION", amount={"currency": currency, "value": value})).amount == Money(minor_units, currency)


def test_every_known_code_is_named_for_the_metrics() -> None:
    assert {"AUTHORISATION", "REPORT_AVAILABLE", "balancePlatform.transfer.updated"} <= adyen.EVENT_TYPES
