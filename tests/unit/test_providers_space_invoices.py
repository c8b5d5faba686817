"""Space Invoices webhooks: which deliveries are genuine, and what they show of a document."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from quittance.errors import Reject
from quittance.money import Money
from quittance.observation import Observation, ObservedDocument, ObservedPayment, Sighting, reference_digest, sighting_from_json
from quittance.providers import space_invoices
from quittance.runtime.queues import delivery_messages
from tools.deliveries import signed_delivery

EVENTS = Path(__file__).parents[2] / "events" / "space-invoices"
SAMPLES: dict[str, dict[str, Any]] = {file.stem: json.loads(file.read_bytes()) for file in EVENTS.glob("*.json")}
SECRET, OTHER = "5ec2e7" * 10, "07e1" * 16
NOW_S = 1_795_168_800
RAW = (EVENTS / "invoice.voided.json").read_bytes()
PEOPLE = ("Ada", "ap@ada", "Harbour Books")


def headers(**changes: str) -> dict[str, str]:
    signed = {name.lower(): value for name, value in signed_delivery("space-invoices", RAW, SECRET, NOW_S)[1].items()}
    return {name: value for name, value in (signed | changes).items() if value}


def digest(message: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def code_of(given: dict[str, str], secrets: tuple[str, ...] = (SECRET,), raw: bytes = RAW) -> str | None:
    try:
        space_invoices.verify(raw, given, secrets, NOW_S)
    except Reject as rejected:
        return rejected.code
    return None


def translated(event: dict[str, Any], connection: str = "default") -> Any:
    return space_invoices.translate(json.dumps(event).encode(), connection, {})


def sample(name: str, **changes: Any) -> dict[str, Any]:
    """A sample event with `changes` to its object; what is changed to None is left out."""
    event = copy.deepcopy(SAMPLES[name])
    event["data"] = {field: value for field, value in (event["data"] | changes).items() if value is not None}
    return event


def seen(name: str, **changes: Any) -> Sighting:
    sighting = translated(sample(name, **changes)).sighting
    assert isinstance(sighting, Sighting)
    return sighting


def document(name: str, **changes: Any) -> ObservedDocument:
    observed = seen(name, **changes).observed.document
    assert observed
    return observed


def payment(name: str, **changes: Any) -> ObservedPayment:
    [observed] = seen(name, **changes).observed.payments
    return observed


# --- verify


def test_the_signature_of_the_raw_body_is_accepted() -> None:
    assert code_of(headers()) is None
    assert code_of(headers(**{"x-webhook-timestamp": ""})) is None


def test_age_does_not_matter_because_nothing_vouches_for_it() -> None:
    assert code_of(headers(**{"x-webhook-timestamp": "1"})) is None


def test_the_previous_secret_is_accepted_too() -> None:
    assert code_of(headers(), (OTHER, SECRET)) is None
    assert code_of(headers(), (OTHER,)) == "signature_mismatch"


def test_a_signature_over_timestamp_and_body_is_accepted() -> None:
    signed = digest(str(NOW_S).encode() + b"." + RAW)
    assert code_of(headers(**{"x-webhook-signature": signed})) is None
    for timestamp in ("", str(NOW_S + 1), "soon", "٣"):
        assert code_of(headers(**{"x-webhook-signature": signed, "x-webhook-timestamp": timestamp})) == "signature_mismatch"


@pytest.mark.parametrize("given", ["", " , "])
def test_a_missing_signature_is_called_missing(given: str) -> None:
    assert code_of(headers(**{"x-webhook-signature": given})) == "signature_missing"


@pytest.mark.parametrize(
    "given",
    [digest(RAW).upper(), digest(RAW).replace("sha256=", ""), digest(RAW)[:-1], digest(RAW) + "0", "sha1=" + "0" * 64, "é"],
)
def test_a_malformed_signature_is_called_malformed(given: str) -> None:
    assert code_of(headers(**{"x-webhook-signature": given})) == "signature_malformed"


def test_another_body_or_key_is_a_mismatch() -> None:
    assert code_of(headers(), raw=RAW + b" ") == "signature_mismatch"
    assert code_of(headers(**{"x-webhook-signature": digest(RAW, "")})) == "signature_mismatch"
    assert code_of(headers(), ()) == "signature_mismatch"


def test_one_of_several_signatures_is_enough() -> None:
    assert code_of(headers(**{"x-webhook-signature": f"{digest(RAW, OTHER)}, {digest(RAW)}"})) is None


# --- translate


def test_a_document_is_shown_as_it_stood() -> None:
    sighting = seen("invoice.updated")
    data = SAMPLES["invoice.updated"]["data"]
    assert sighting == Sighting(
        document_id=data["id"],
        event_type="invoice.updated",
        observed=Observation(
            document=ObservedDocument(
                at="2026-11-20T10:00:29.000000Z", is_draft=False, total=Money(5500, "EUR"), number=data["number"]
            )
        ),
        business_customer="bc_harbour_books",
        connection="default",
    )
    assert translated(SAMPLES["invoice.updated"], "bc-1-abc").sighting.connection == "bc-1-abc"


def test_voided_and_deleted_are_read_from_the_object_or_the_event() -> None:
    assert document("invoice.voided").is_voided
    assert document("invoice.voided", voided_at=None).is_voided
    assert document("invoice.updated", voided_at="2026-11-20T10:00:32.000Z").is_voided
    assert not document("invoice.updated").is_voided
    assert document("invoice.deleted.draft").is_deleted
    assert document("invoice.updated", deleted_at="2026-11-20T10:00:32.000Z").is_deleted
    assert not document("invoice.updated").is_deleted


def test_what_was_restored_is_not_deleted_whatever_the_object_shows() -> None:
    for name, restored in (("invoice.updated", "invoice.restored"), ("payment.deleted", "payment.restored")):
        event = sample(name, deleted_at="2026-11-20T10:00:32.000Z") | {"event": restored}
        observed = translated(event).sighting.observed
        assert not (observed.document or observed.payments[0]).is_deleted


def test_a_draft_has_no_number() -> None:
    draft = document("invoice.deleted.draft")
    assert (draft.is_draft, draft.number) == (True, "")


def test_a_payment_leads_to_its_document() -> None:
    data = SAMPLES["payment.deleted"]["data"]
    sighting = seen("payment.deleted")
    assert (sighting.document_id, sighting.business_customer) == (data["invoice_id"], "")
    assert payment("payment.deleted") == ObservedPayment(
        id=data["id"],
        at="2026-11-20T10:00:20.000000Z",
        amount=Money(12345, "EUR"),
        reference=reference_digest("pay_1001"),
        is_deleted=True,
    )
    assert seen("payment.deleted", invoice_id=None, credit_note_id="cre_1").document_id == "cre_1"
    assert payment("payment.received.by-hand", type="credit_note").is_application
    assert not payment("payment.received.by-hand").is_application


@pytest.mark.parametrize(
    ("currency", "total", "minor"),
    [
        ("EUR", 0.1, 10),
        ("EUR", 9999999999999.99, 999999999999999),
        ("JPY", 500, 500),
        ("KWD", 1.23, 1230),
        ("EUR", 55.10, 5510),
        ("EUR", 0, 0),
    ],
)
def test_amounts_become_minor_units_exactly(currency: str, total: float, minor: int) -> None:
    assert document("invoice.updated", currency_code=currency, total_with_tax=total).total == Money(minor, currency)


def test_an_instant_is_kept_as_precise_as_it_is() -> None:
    for written, kept in (
        ("2026-11-20T12:00:29.1234567+02:00", "2026-11-20T10:00:29.123456Z"),
        ("2026-11-20T10:00:29Z", "2026-11-20T10:00:29.000000Z"),
    ):
        assert translated(SAMPLES["invoice.updated"] | {"timestamp": written}).sighting.observed.document.at == kept


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (SAMPLES["customer.created"], "not_about_a_document"),
        (SAMPLES["invoice.updated"] | {"event": "invoice.admired"}, "unknown_event_type"),
        (SAMPLES["payment.deleted"] | {"event": "payment.failed"}, "unknown_event_type"),
        (sample("payment.deleted", invoice_id=None, advance_invoice_id="adv_1"), "not_about_a_document"),
        (sample("invoice.updated", currency_code="JPY", total_with_tax=500.5), "amount_not_expressible"),
        (sample("payment.deleted", amount=0.001), "amount_not_expressible"),
    ],
)
def test_everything_else_is_ignored_with_a_reason(event: dict[str, Any], reason: str) -> None:
    translation = translated(event)
    assert (translation.sighting, translation.facts, translation.ignored) == (None, (), reason)
    assert [message.function for message in delivery_messages("space-invoices", "default", translation, "")] == ["event_ignored"]


@pytest.mark.parametrize(
    "event",
    [
        *(
            {name: value for name, value in SAMPLES["invoice.voided"].items() if name != gone}
            for gone in ("event", "data", "timestamp")
        ),
        SAMPLES["invoice.voided"] | {"timestamp": "yesterday"},
        SAMPLES["invoice.voided"] | {"data": [1]},
        *(sample("invoice.updated", total_with_tax=total) for total in ("55", True, 10**16, -1, -(10**16), [1], "")),
        *(sample("invoice.updated", id=given) for given in ("", "inv 1", "inv_1#2", "i" * 65, 7)),
        *(sample("payment.deleted", invoice_id=given) for given in ("", 7)),
        sample("invoice.updated", is_draft="no"),
        sample("invoice.updated", is_draft=None),
        sample("invoice.updated", number=7),
        sample("invoice.updated", number="n" * 251),
        sample("invoice.updated", currency_code="XXX"),
        sample("invoice.updated", currency_code=["EUR"]),
        sample("payment.deleted", reference=["pay_1"]),
        sample("payment.deleted", type=["card"]),
    ],
)
def test_what_cannot_be_read_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(Reject) as caught:
        translated(event)
    assert "pay_1" not in str(caught.value)


@pytest.mark.parametrize("claimed", [7, ["bc_1"], "b" * 251, {}])
def test_metadata_that_names_nobody_is_no_claim(claimed: object) -> None:
    assert seen("invoice.updated", metadata={"business_customer": claimed}).business_customer == ""
    assert seen("invoice.updated", metadata=claimed).business_customer == ""


def test_an_event_is_its_content() -> None:
    first, again = (space_invoices.translate(RAW, "default", {}).event_id for _ in range(2))
    assert first == again == hashlib.sha256(RAW).hexdigest()
    assert space_invoices.translate(RAW + b"\n", "default", {}).event_id != first


# --- what is queued


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_about_people_is_queued(name: str) -> None:
    translation = translated(SAMPLES[name])
    [message] = delivery_messages("space-invoices", "default", translation, "2026-11-20T10:00:35Z")
    assert not [person for person in PEOPLE if person in message.body]
    if translation.sighting:
        body = json.loads(message.body)
        assert sighting_from_json(body["sighting"]) == translation.sighting
        assert (body["event_id"], body["event_type"]) == (translation.event_id, SAMPLES[name]["event"])


def test_a_document_and_its_payments_share_a_group_on_every_connection() -> None:
    names = ("invoice.finalized", "payment.received.ours", "payment.deleted")
    found = [
        delivery_messages("space-invoices", connection, translated(SAMPLES[name], connection), "")[0]
        for name in names
        for connection in ("default", "bc-1")
    ]
    assert len({message.group for message in found}) == 1
    assert {message.function for message in found} == {"document_changed"}
