"""Platform events: Standard Webhooks signatures and CloudEvents bodies."""

from __future__ import annotations

import base64
import copy
import hmac
import json
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from quittance.errors import Reject
from quittance.facts import FactType, Item, Payer, PayoutAdjustment, PayoutLine
from quittance.money import Money
from quittance.policy import Policy
from quittance.providers import SIGNATURE_CODES, platform
from tools.deliveries import signed_delivery

EVENTS = Path(__file__).parents[2] / "events" / "platform"
SAMPLES = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in EVENTS.glob("*.json")}
SCHEMA = json.loads((Path(platform.__file__).parents[1] / "schemas" / "platform-events.json").read_text(encoding="utf-8"))

SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"o" * 24).decode()
NOW = 1_795_000_000
BODY = json.dumps(SAMPLES["payment.succeeded"]).encode()
ID = SAMPLES["payment.succeeded"]["id"]


def signed(body: bytes = BODY, webhook_id: str = ID, at: int = NOW, secret: str = SECRET) -> dict[str, str]:
    """Headers as the official library signs them."""
    signature = Webhook(secret).sign(webhook_id, datetime.fromtimestamp(at, UTC), body.decode())
    return {"webhook-id": webhook_id, "webhook-timestamp": str(at), "webhook-signature": signature}


def code_of_verification(
    headers: dict[str, str], secrets: list[str] | None = None, body: bytes = BODY, now: int = NOW
) -> str | None:
    try:
        platform.verify(body, headers, [SECRET] if secrets is None else secrets, now)
    except Reject as rejected:
        return rejected.code
    return None


def translated(event: dict[str, Any]) -> Any:
    return platform.translate(json.dumps(event).encode(), "default", {})


def sample(name: str = "payment.succeeded", /, **changes: Any) -> dict[str, Any]:
    """A sample event with `changes` to its data."""
    event: dict[str, Any] = copy.deepcopy(SAMPLES[name])
    event["data"] |= changes
    return event


# --- verify


def test_what_the_official_library_signs_is_accepted() -> None:
    assert code_of_verification(signed()) is None


def test_the_published_vector_is_accepted_as_signed() -> None:
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    code = code_of_verification(headers, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], b'{"test": 2432232314}', 1614265330)
    assert code == platform.ID_MISMATCH  # the signature passed; the vector's body is not one of our events


def test_the_official_library_accepts_what_the_sample_sender_signs() -> None:
    _, headers = signed_delivery("platform", BODY, SECRET, int(datetime.now(UTC).timestamp()))
    Webhook(SECRET).verify(BODY, headers)


@pytest.mark.parametrize("secret", [SECRET, SECRET.rstrip("="), SECRET.removeprefix("whsec_")])
def test_a_secret_may_be_unpadded_or_without_its_prefix(secret: str) -> None:
    assert code_of_verification(signed(), [secret]) is None


def test_both_secrets_of_a_rotation_are_accepted() -> None:
    for secret in (SECRET, OTHER_SECRET):
        assert code_of_verification(signed(secret=secret), [SECRET, OTHER_SECRET]) is None
    assert code_of_verification(signed(secret=OTHER_SECRET), [SECRET]) == "signature_mismatch"


@pytest.mark.parametrize("separator", [" ", ", ", "  "])
def test_one_right_signature_among_several_is_enough(separator: str) -> None:
    headers = signed()
    headers["webhook-signature"] = separator.join(["v1a,AAAA", "v1,AAAA", headers["webhook-signature"], "v2"])
    assert code_of_verification(headers) is None


@pytest.mark.parametrize("scheme", ["v1a", "v2", "", "V1"])
def test_other_schemes_do_not_count(scheme: str) -> None:
    headers = signed()
    headers["webhook-signature"] = scheme + headers["webhook-signature"].removeprefix("v1")
    assert code_of_verification(headers) == "signature_mismatch"


@pytest.mark.parametrize(("distance", "code"), [(300, None), (-300, None), (301, "outside"), (-301, "outside")])
def test_the_tolerance_holds_in_both_directions(distance: int, code: str | None) -> None:
    found = code_of_verification(signed(at=NOW + distance))
    assert found == (f"signature_{code}_tolerance" if code else None)


@pytest.mark.parametrize("secrets", [[], [""], ["whsec_"], ["not base64 \u00e9"]])
def test_without_a_usable_secret_nothing_is_accepted(secrets: list[str]) -> None:
    signed_with_nothing = hmac.new(b"", f"{ID}.{NOW}.".encode() + BODY, "sha256").digest()
    headers = signed() | {"webhook-signature": "v1," + base64.b64encode(signed_with_nothing).decode()}
    assert code_of_verification(headers, secrets) == "signature_mismatch"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize(
    "value", [None, "", " ", ",", "v1", "v1,", "v1,\u00e9", "é", "\ud800", "NaN", "1e9", "-1", "9" * 400, "٣", "v1," * 99]
)
def test_malformed_headers_are_a_signature_failure_and_nothing_else(name: str, value: str | None) -> None:
    headers = {key: text for key, text in (signed() | {name: value}).items() if text is not None}
    assert code_of_verification(headers) in SIGNATURE_CODES


@given(st.fixed_dictionaries({f"webhook-{name}": st.text(max_size=40) for name in ("id", "timestamp", "signature")}))
def test_no_header_gets_in_or_breaks_the_check(headers: dict[str, str]) -> None:
    assert code_of_verification(headers) in SIGNATURE_CODES


def test_a_changed_body_is_refused() -> None:
    assert code_of_verification(signed(), body=BODY + b" ") == "signature_mismatch"


def test_the_event_id_is_the_signed_webhook_id() -> None:
    assert code_of_verification(signed(webhook_id="evt_other")) == platform.ID_MISMATCH


def test_a_signed_body_that_is_no_json_is_unreadable() -> None:
    assert code_of_verification(signed(b"{", ID), body=b"{") == "unreadable_body"


# --- translate


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_sample_states_one_fact_under_its_business_key(name: str) -> None:
    event = SAMPLES[name]
    translation = translated(event)
    (fact,) = translation.facts
    assert (fact.type, fact.provider, fact.account) == (event["type"], "platform", event["data"]["business_customer"])
    assert fact.key in event["data"].values()
    assert fact.occurred_at == event["time"]
    if "amount" in event["data"]:
        assert fact.amount == Money(**event["data"]["amount"])
    assert (translation.event_id, translation.event_type, translation.account) == (event["id"], event["type"], fact.account)


def test_the_schema_describes_every_type() -> None:
    types = {str(kind) for kind in FactType} - {"payment.settled", "fees.closed", "fees.returned"}
    assert types == platform.EVENT_TYPES
    assert types <= set(SCHEMA["definitions"])
    assert {rule["if"]["properties"]["type"]["const"] for rule in SCHEMA["allOf"]} == types


def test_a_payment_carries_everything_the_event_says() -> None:
    (fact,) = translated(SAMPLES["payment.succeeded"]).facts
    assert fact.payment_id == fact.key == "pay_1001"
    assert fact.payer == Payer(name="Ada Ltd", email="ap@ada.example", country="DE", tax_number="DE123456789")
    assert fact.items == (
        Item(name="Atlas of the Adriatic", quantity=1, amount=9900),
        Item(name="Shipping", quantity=1, amount=2445),
    )
    assert (fact.fee, fact.method, fact.order_id, fact.description) == (Money(210, "EUR"), "card", "ord_9001", "Order 9001")
    assert fact.awaits_renewal is None


def test_a_renewal_and_the_payment_of_its_billing_invoice_name_each_other() -> None:
    (renewal,) = translated(SAMPLES["subscription.renewed"]).facts
    (payment,) = translated(SAMPLES["payment.succeeded.of-renewal"]).facts
    assert renewal.key == renewal.invoice_id == payment.invoice_id
    assert renewal.payment_id is None
    assert (payment.awaits_renewal, renewal.awaits_renewal) == (True, None)
    assert (renewal.subscription_plan, renewal.period_start, renewal.period_end) == ("Reading Circle", "2026-11-20", "2026-12-19")


def test_a_failed_capture_is_told_apart_from_the_failed_payment() -> None:
    (whole,) = translated(sample("payment.failed")).facts
    (part,) = translated(sample("payment.failed", capture_id="cap_1")).facts
    assert whole.key == part.key
    assert whole.identity != part.identity
    assert part.capture_id == "cap_1"


def test_a_payout_lists_what_each_payment_contributed() -> None:
    plain = [{"payment_id": "pay_1", "gross": 100, "fee": -5, "net": 105}]
    (fact,) = translated(sample("payout.paid", payments=plain)).facts
    assert fact.payout_lines == (PayoutLine(payment_id="pay_1", gross=100, fee=-5, net=105),)
    (fact,) = translated(SAMPLES["payout.paid"]).facts
    assert fact.payout_lines == (PayoutLine(payment_id="pay_1001", gross=12345, fee=210, net=12135),)


def test_a_payout_lists_what_else_it_holds() -> None:
    euros = {"value": 40, "currency": "eur"}
    listed = {
        "refunds": [{"refund_id": "re_1", "payment_id": "pay_1", "amount": euros}],
        "disputes": [{"dispute_id": "dp_1", "payment_id": "pay_1", "amount": 100, "fee": 15}, {"id": "dp_2", "amount": -7}],
        "other": [{"kind": "reserve", "id": "r_1", "amount": -20}, {"amount": 3}],
    }
    (fact,) = translated(sample("payout.paid", **listed)).facts
    assert fact.payout_adjustments == (
        PayoutAdjustment(kind="refund", id="re_1", payment_id="pay_1", gross=-40, fee=0, net=-40),
        PayoutAdjustment(kind="dispute", id="dp_1", payment_id="pay_1", gross=-100, fee=15, net=-115),
        PayoutAdjustment(kind="dispute", id="dp_2", payment_id=None, gross=7, fee=0, net=7),
        PayoutAdjustment(kind="reserve", id="r_1", payment_id=None, gross=-20, fee=0, net=-20),
        PayoutAdjustment(kind="other", id="other", payment_id=None, gross=3, fee=0, net=3),
    )


@pytest.mark.parametrize(
    "entry",
    ["re_1", None, {}, {"amount": 1.5}, {"amount": True}, {"amount": {"value": 1, "currency": "USD"}}, {"amount": 10**15}],
)
def test_what_a_payout_says_too_little_of_is_not_lost(entry: object) -> None:
    (fact,) = translated(sample("payout.paid", refunds=[entry])).facts
    assert fact.payout_adjustments == (PayoutAdjustment(kind="unknown", id="refunds[0]", gross=0, fee=0, net=0),)


def test_a_registration_keeps_what_is_known_of_the_business_customer() -> None:
    accounts = [{"provider": "stripe", "account": "acct_1", "label": "main"}]
    (fact,) = translated(sample("business_customer.created", country="si", accounts=accounts, favourite_colour="blue")).facts
    assert fact.key == fact.account == "bc_harbour_books"
    assert fact.registration
    assert fact.registration["country"] == "SI"
    assert fact.registration["accounts"] == [{"provider": "stripe", "account": "acct_1"}]
    assert "favourite_colour" not in fact.registration


def test_the_policy_that_is_let_in_is_the_policy_that_is_understood() -> None:
    definition = SCHEMA["definitions"]["policy"]
    assert set(definition["properties"]) == {field.name for field in fields(Policy)}
    policy = {"version": 2, "due_days": 30, "dispute_credit_on": "opened"}
    (fact,) = translated(sample("business_customer.created", policy=policy)).facts
    assert fact.registration
    assert Policy(**fact.registration["policy"]).due_days == 30
    for refused in ({"due_days": -1}, {"dispute_credit_on": "never ever"}, {"invoice_on": "captured"}):
        with pytest.raises(Reject, match=r"data\.policy"):
            translated(sample("business_customer.created", policy=refused))


@pytest.mark.parametrize(
    ("amounts", "lines"),
    [
        ([(1, 9900), (1, 2445)], [(1, 9900), (1, 2445)]),
        ([(2, 9900), (3, 2445)], [(2, 9900), (3, 2445)]),  # the totals of the lines
        ([(1, 2345), (4, 2500)], [(1, 2345), (4, 10000)]),  # the price of one unit
        ([(None, 12345)], [(1, 12345)]),
    ],
)
def test_items_hold_the_amount_of_the_whole_line(amounts: list[tuple[int | None, int]], lines: list[tuple[int, int]]) -> None:
    items = [{"name": "x", "quantity": quantity, "amount": amount} for quantity, amount in amounts]
    (fact,) = translated(sample(items=items)).facts
    assert [(item.quantity, item.amount) for item in fact.items] == lines


@pytest.mark.parametrize("amount", [12346, {"value": 12346, "currency": "EUR"}, {"value": 12345, "currency": "USD"}, 12345.0])
def test_items_that_do_not_add_up_are_refused(amount: object) -> None:
    with pytest.raises(Reject, match=r"items_do_not_add_up|currencies_differ|amount_not_integer"):
        translated(sample(items=[{"name": "x", "quantity": 1, "amount": amount}]))


def test_an_unknown_type_is_ignored() -> None:
    translation = translated(sample() | {"type": "payment.admired", "data": {"amount": "much"}})
    assert (translation.facts, translation.ignored, translation.account) == ((), "unknown_event_type", "connection:default")


def test_unknown_properties_are_tolerated_whatever_they_are() -> None:
    event = sample("refund.succeeded.partial", items=5, customer=[1], description={}, period_start=1, plan=[], method=2)
    assert translated(event).facts == translated(SAMPLES["refund.succeeded.partial"]).facts


def test_null_is_the_same_as_absent() -> None:
    nothing: dict[str, Any] = dict.fromkeys(("fee", "order_id", "customer", "description", "items", "method", "invoice_id"))
    (fact,) = translated(sample(**nothing)).facts
    assert (fact.fee, fact.payer, fact.items, fact.method, fact.awaits_renewal) == (None, None, (), None, None)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-20T10:00:00.999Z", "2026-11-20T10:00:00Z"),
        ("2026-11-20t10:00:00z", "2026-11-20T10:00:00Z"),
        ("2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00Z"),
        ("1970-01-01T01:00:00+01:00", "1970-01-01T00:00:00Z"),
    ],
)
def test_instants_are_kept_in_utc(written: str, meant: str) -> None:
    assert translated(sample() | {"time": written}).facts[0].occurred_at == meant


SENTINEL = "PRIVATE-4711"
WRONG: list[tuple[str, tuple[str, ...], object]] = [
    ("payment.succeeded", ("specversion",), "0.3"),
    ("payment.succeeded", ("id",), 7),
    ("payment.succeeded", ("id",), ""),
    ("payment.succeeded", ("id",), f"\n{SENTINEL}"),
    ("payment.succeeded", ("type",), 5),
    ("payment.succeeded", ("time",), SENTINEL),
    ("payment.succeeded", ("time",), "2026-11-20"),
    ("payment.succeeded", ("time",), "2026-11-20T10:00:00"),
    ("payment.succeeded", ("time",), "2026-02-30T10:00:00Z"),
    ("payment.succeeded", ("time",), "0001-01-01T00:00:00+02:00"),
    ("payment.succeeded", ("datacontenttype",), f"text/{SENTINEL}"),
    ("payment.succeeded", ("data",), [SENTINEL]),
    ("payment.succeeded", ("data", "business_customer"), None),
    ("payment.succeeded", ("data", "business_customer"), {"name": SENTINEL}),
    ("payment.succeeded", ("data", "payment_id"), SENTINEL * 50),
    ("payment.succeeded", ("data", "amount"), None),
    ("payment.succeeded", ("data", "amount"), 12345),
    ("payment.succeeded", ("data", "amount", "value"), -1),
    ("payment.succeeded", ("data", "amount", "value"), 1.5),
    ("payment.succeeded", ("data", "amount", "value"), True),
    ("payment.succeeded", ("data", "amount", "value"), SENTINEL),
    ("payment.succeeded", ("data", "amount", "value"), 10**15),
    ("payment.succeeded", ("data", "amount", "currency"), "XXX"),
    ("payment.succeeded", ("data", "amount", "currency"), 978),
    ("payment.succeeded", ("data", "method"), SENTINEL),
    ("payment.succeeded", ("data", "customer"), SENTINEL),
    ("payment.succeeded", ("data", "customer", "name"), [SENTINEL]),
    ("payment.succeeded", ("data", "customer", "country"), SENTINEL),
    ("payment.succeeded", ("data", "items"), SENTINEL),
    ("payment.succeeded", ("data", "description"), 5),
    ("payment.captured.first", ("data", "capture_id"), None),
    ("refund.succeeded.partial", ("data", "refund_id"), None),
    ("dispute.lost", ("data", "dispute_id"), 5),
    ("subscription.renewed", ("data", "period_start"), SENTINEL),
    ("subscription.renewed", ("data", "period_end"), "2026-13-01"),
    ("subscription.renewed", ("data", "plan"), None),
    ("payout.paid", ("data", "payments"), None),
    ("payout.paid", ("data", "payments"), [{"payment_id": SENTINEL}]),
    ("business_customer.created", ("data", "name"), None),
    ("business_customer.created", ("data", "country"), SENTINEL),
    ("business_customer.created", ("data", "timezone"), f"Europe/{SENTINEL}"),
    ("business_customer.created", ("data", "timezone"), "../../etc/passwd"),
    ("business_customer.created", ("data", "is_tax_subject"), SENTINEL),
    ("business_customer.created", ("data", "accounts"), [{"provider": "stripe"}]),
    ("business_customer.created", ("data", "role"), SENTINEL),
]


@pytest.mark.parametrize(("name", "path", "value"), WRONG)
def test_wrong_values_are_refused_by_their_path_and_never_quoted(name: str, path: tuple[str, ...], value: object) -> None:
    event = sample(name)
    holder = event
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    with pytest.raises(Reject) as rejected:
        translated(event)
    assert rejected.value.code == platform.DOES_NOT_MATCH_SCHEMA
    assert path[-1] in str(rejected.value)
    assert SENTINEL not in str(rejected.value)
    assert rejected.value.__cause__ is None
    assert rejected.value.__suppress_context__


def test_a_float_that_is_whole_is_still_no_integer() -> None:
    with pytest.raises(Reject, match="amount_not_integer"):
        translated(sample(amount={"value": 5.0, "currency": "EUR"}))


def test_a_period_does_not_end_before_it_starts() -> None:
    with pytest.raises(Reject, match="period_ends_before_it_starts"):
        translated(sample("subscription.renewed", period_end="2026-11-19"))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b'{"id":NaN}',
        b'{"id":1e999}',
        b'{"id":"\\ud800"}',
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"i":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_json_object_is_unreadable(raw: bytes) -> None:
    with pytest.raises(Reject, match="unreadable_body"):
        platform.translate(raw, "default", {})


# --- the schema as others read it


def test_the_schema_is_valid_and_accepts_every_sample_as_a_whole() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    for event in SAMPLES.values():
        jsonschema.Draft7Validator(SCHEMA).validate(event)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=12), children, max_size=4),
    max_leaves=12,
)


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, member in members for path in ((*prefix, key), *paths(member, (*prefix, key)))]


@settings(max_examples=300)
@given(st.data())
def test_a_mutated_event_is_translated_or_refused(data: st.DataObject) -> None:
    event = copy.deepcopy(SAMPLES[data.draw(st.sampled_from(sorted(SAMPLES)))])
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(paths(event)))
        holder = event
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = data.draw(json_values)
    try:
        translation = translated(event)
    except Reject:
        return
    assert translation.facts or translation.ignored
    json.dumps([fact.to_json() for fact in translation.facts]).encode()


@given(json_values)
def test_any_json_is_translated_or_refused(value: Any) -> None:
    try:
        platform.translate(json.dumps(value).encode(), "default", {})
    except Reject:
        return
    pytest.fail("random JSON is no event")


# --- what no worker could take


@pytest.mark.parametrize(
    "time",
    ["9999-12-31T23:59:59Z", "9000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+01:00"],
)
def test_an_instant_without_room_for_a_time_zone_and_a_due_date_is_refused(time: str) -> None:
    with pytest.raises(Reject, match="time must be date-time"):
        translated(sample() | {"time": time})
    with pytest.raises(Reject, match="period_end must be day-or-instant"):
        translated(sample("subscription.renewed", period_end=time))


@pytest.mark.parametrize("time", ["1970-01-01T00:00:00Z", "8999-12-31T23:59:59Z"])
def test_the_first_and_the_last_instant_are_taken(time: str) -> None:
    assert translated(sample() | {"time": time}).facts[0].occurred_at == time


@pytest.mark.parametrize("extra", [1.5, 10**60, {"a": [None]}, json.loads("[" * 400 + "]" * 400)])
def test_a_registration_keeps_nothing_of_an_address_that_it_does_not_know(extra: object) -> None:
    event = sample("business_customer.created", address={"line1": "Kai 1", "extra": extra})
    assert translated(event).facts[0].registration["address"] == {"line1": "Kai 1"}


@pytest.mark.parametrize("name", ["version", "due_days"])
def test_a_policy_counts_in_whole_numbers(name: str) -> None:
    with pytest.raises(Reject, match="policy_number_not_whole"):
        translated(sample("business_customer.created", policy={name: 14.0}))
    assert translated(sample("business_customer.created", policy={name: 14})).facts[0].registration["policy"][name] == 14


@pytest.mark.parametrize("zone", ["a/" * 300 + "b", "a/" * 3000, "Europe/" + "x" * 60])
def test_a_time_zone_without_end_is_refused(zone: str) -> None:
    with pytest.raises(Reject, match="timezone must be"):
        translated(sample("business_customer.created", timezone=zone))


def test_an_id_is_short_in_bytes() -> None:
    assert translated(sample(payment_id="é" * 125)).facts[0].key == "é" * 125
    with pytest.raises(Reject, match="payment_id must be business-id"):
        translated(sample(payment_id="é" * 126))


def test_an_unknown_type_with_an_endless_customer_belongs_to_the_connection() -> None:
    assert translated(sample(business_customer="x" * 251) | {"type": "payment.admired"}).account == "connection:default"


def test_an_empty_text_is_none() -> None:
    """A message leaves it out, and the fact must stay equal."""
    fact = translated(sample("payment.failed", description="", reason="")).facts[0]
    assert (fact.description, fact.reason) == (None, None)


def test_a_refusal_does_not_name_properties_that_do_not_belong_there() -> None:
    with pytest.raises(Reject) as refused:
        translated(sample("business_customer.created", policy={"ap@ada.example": 1}))
    beginning = "event_does_not_match_schema: data.policy must not contain other properties than version,"
    assert str(refused.value).startswith(beginning)
