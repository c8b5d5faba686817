"""Webhooks in: answers, queues, logs and metrics of `functions/ingest`."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from quittance.facts import FactType, fact_from_json
from quittance.observation import sighting_from_json
from quittance.providers import provider, provider_names
from quittance.providers.published import PUBLICATIONS
from quittance.runtime.observability import logger
from quittance.runtime.published import HttpsCertificates
from quittance.runtime.queues import FUNCTION_OF, Queues, delivery_messages
from quittance.runtime.secrets import Connections
from tools.deliveries import api_gateway_event, signed_delivery, sqs_event
from tools.paypal_authority import authority

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.handlers.conftest import Cloud

ROOT = Path(__file__).parents[2]
PLATFORM_SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode()
SECRETS = dict.fromkeys(provider_names(), "5ec2e7" * 10) | {"platform": PLATFORM_SECRET, "stripe": "whsec_of_stripe"}


class Context:
    """The little of Lambda's context that is used."""

    aws_request_id = "lambda-request"


@pytest.fixture(scope="module")
def started(load_function: Callable[[str], ModuleType]) -> ModuleType:
    return load_function("ingest")


@pytest.fixture
def ingest(started: ModuleType, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The function with the sample connections configured and nothing cached."""
    for name, secret in SECRETS.items():
        cloud.configure(name, secret=secret)
    monkeypatch.setattr(started, "_connections", Connections(cloud.ssm, os.environ["CONNECTIONS_PATH"]))
    monkeypatch.setattr(PUBLICATIONS, "source", authority())
    return started


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    stream = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)
    return stream


def body_of(name: str, file: str) -> bytes:
    return (ROOT / "events" / name / f"{file}.json").read_bytes()


def request(
    name: str, sent: bytes, *, connection: str = "default", secret: str | None = None, at: float = 0, **changes: Any
) -> dict[str, Any]:
    """A delivery of `sent`, signed as many seconds from now as `at` says; `changes` are made to the request afterwards."""
    signed, headers = signed_delivery(name, sent, secret or SECRETS[name], int(time.time() + at))
    return api_gateway_event(name, connection, signed, headers) | changes


def answer(ingest: ModuleType, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    response = ingest.handler(event, Context())
    assert response["headers"]["Content-Type"] == "application/json"
    return response["statusCode"], json.loads(response["body"])


PAYMENT = body_of("platform", "payment.succeeded")
INTENT = body_of("stripe", "payment_intent.succeeded")


# --- what is accepted


SAMPLES = sorted(
    str(path.relative_to(ROOT / "events")) for name in provider_names() for path in (ROOT / "events" / name).glob("*.*")
)


@pytest.mark.parametrize("file", SAMPLES)
def test_every_sample_reaches_the_queue_of_its_function(ingest: ModuleType, cloud: Cloud, file: str) -> None:
    name, body = Path(file).parent.name, (ROOT / "events" / file).read_bytes()
    response, told = ingest.handler(request(name, body), Context()), provider(name).acknowledge()
    assert (response["statusCode"], response["body"]) == (200, told.body)
    assert response["headers"] == {"Content-Type": told.content_type}
    expected = provider(name).translate(body, "default", {})
    found = cloud.all_received()
    wanted = [message["fetch"] for message in found.pop("object_fetched", ())]
    assert {(one["object"], one["id"], "optional" in one) for one in wanted} == {
        (reference.object, reference.id, reference.optional) for reference in expected.fetch
    }
    if expected.facts:
        assert set(found) == {FUNCTION_OF[fact.type] for fact in expected.facts}
        facts = [fact_from_json(message["fact"]) for messages in found.values() for message in messages]
        assert sorted(facts, key=repr) == sorted(expected.facts, key=repr)
    elif expected.sighting:
        [message] = found.pop("document_changed")
        assert sighting_from_json(message["sighting"]) == expected.sighting
        assert not found
    else:
        assert set(found) == {"event_ignored" for one in expected.events if not one.fetch}
    for messages in found.values():
        for message in messages:
            assert (message["event_id"], message["event_type"]) in {(one.event_id, one.event_type) for one in expected.events}
            assert message["received_at"].endswith("Z")


def test_messages_of_one_payment_share_a_group_and_repeats_a_deduplication_id(ingest: ModuleType, cloud: Cloud) -> None:
    for _ in range(2):
        assert answer(ingest, request("stripe", INTENT))[0] == 200
    assert answer(ingest, request("stripe", body_of("stripe", "refund.updated")))[0] == 200
    payments, refunds = cloud.received("payment_succeeded"), cloud.received("refund_processed")
    assert len(payments) == 1  # the emulated queue honours the deduplication id
    group = hashlib.sha256(b"stripe|connection:default|pi_3Harbour0001").hexdigest()
    assert {message["Attributes"]["MessageGroupId"] for message in (*payments, *refunds)} == {group}


def test_an_ignored_event_is_kept_with_its_reason(ingest: ModuleType, cloud: Cloud) -> None:
    assert answer(ingest, request("stripe", body_of("stripe", "customer.created")))[0] == 200
    (kept,) = cloud.all_received()["event_ignored"]
    assert (kept["provider"], kept["account"], kept["reason"]) == ("stripe", "connection:default", "no_new_fact")
    assert set(kept) == {"provider", "account", "event_id", "event_type", "reason", "received_at"}


def test_an_object_that_is_only_named_is_to_be_fetched(ingest: ModuleType, cloud: Cloud) -> None:
    assert answer(ingest, request("stripe", body_of("stripe", "thin.v1.payment_intent.succeeded")))[0] == 200
    (wanted,) = cloud.all_received()["object_fetched"]
    assert wanted["fetch"]["object"] == "payment_intent"
    assert wanted["fetch"]["connection"] == "default"


def test_a_base64_body_is_verified_over_its_own_bytes(ingest: ModuleType, cloud: Cloud) -> None:
    event = request("platform", PAYMENT, body=base64.b64encode(PAYMENT).decode(), isBase64Encoded=True)
    assert answer(ingest, event)[0] == 200
    assert "payment_succeeded" in cloud.all_received()


@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title])
def test_header_names_have_any_case(ingest: ModuleType, spelling: Callable[[str], str]) -> None:
    event = request("platform", PAYMENT, multiValueHeaders=None)
    event["headers"] = {spelling(name): value for name, value in event["headers"].items()}
    assert answer(ingest, event)[0] == 200


def test_a_repeated_header_counts_with_all_its_values(ingest: ModuleType) -> None:
    event = request("platform", PAYMENT)
    event["multiValueHeaders"]["webhook-signature"].insert(0, "v1,AAAA")
    event["headers"]["webhook-signature"] = "v1,AAAA"
    assert answer(ingest, event)[0] == 200


@pytest.mark.parametrize("path", ["/webhooks/platform/default", "/webhooks/platform/default/", "/base/webhooks/platform/default"])
def test_the_path_alone_is_enough(ingest: ModuleType, path: str) -> None:
    assert answer(ingest, request("platform", PAYMENT, path=path, pathParameters=None))[0] == 200


def test_a_connection_has_its_own_secret_and_name(ingest: ModuleType, cloud: Cloud) -> None:
    cloud.configure("stripe", "shop-2", secret="whsec_of_shop_2")
    assert answer(ingest, request("stripe", INTENT, connection="shop-2"))[0] == 401
    assert answer(ingest, request("stripe", INTENT, connection="shop-2", secret="whsec_of_shop_2"))[0] == 200
    assert cloud.all_received()["payment_succeeded"][0]["fact"]["account"] == "connection:shop-2"


def test_health(ingest: ModuleType) -> None:
    assert answer(ingest, {"path": "/health", "httpMethod": "GET", "headers": None, "body": None}) == (200, {"status": "ok"})


# --- what is refused


def changed(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda event: event | changes


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], int, str]] = {
    "other route": (changed(path="/webhooks/platform"), 404, "route_unknown"),
    "no path": (changed(path=None), 404, "route_unknown"),
    "other method": (changed(httpMethod="PUT"), 404, "route_unknown"),
    "unknown provider": (changed(path="/webhooks/cowrie/default"), 404, "provider_unknown"),
    "a module is no provider": (changed(path="/webhooks/payload/default"), 404, "provider_unknown"),
    "unknown connection": (changed(path="/webhooks/platform/nowhere"), 404, "connection_unknown"),
    "impossible connection": (changed(path="/webhooks/platform/%2e%2e"), 404, "connection_unknown"),
    "no headers": (changed(headers=None, multiValueHeaders=None), 401, "signature_missing"),
    "no body": (changed(body=None), 401, "signature_mismatch"),
    "other body": (changed(body="{}"), 401, "signature_mismatch"),
    "surrogate in body": (changed(body="\ud800"), 400, "unreadable_body"),
    "broken base64": (changed(body="%%%", isBase64Encoded=True), 400, "unreadable_body"),
    "too large": (changed(body="x" * 1_000_001), 413, "body_too_large"),
    "too large in bytes": (changed(body="é" * 500_001), 413, "body_too_large"),
    "too large in base64": (
        changed(body=base64.b64encode(b"x" * 1_000_001).decode(), isBase64Encoded=True),
        413,
        "body_too_large",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_answered_once_and_for_all(ingest: ModuleType, cloud: Cloud, case: str) -> None:
    change, status, code = REFUSED[case]
    assert answer(ingest, change(request("platform", PAYMENT))) == (status, {"error": code})
    assert cloud.all_received() == {}


@pytest.mark.parametrize("at", [-400, 400])
def test_a_stale_or_early_signature_is_refused(ingest: ModuleType, cloud: Cloud, at: int) -> None:
    assert answer(ingest, request("stripe", INTENT, at=at)) == (401, {"error": "signature_outside_tolerance"})
    assert cloud.all_received() == {}


def mutated(**amount: Any) -> bytes:
    event = json.loads(PAYMENT)
    event["data"]["amount"] |= amount
    del event["data"]["items"]
    return json.dumps(event).encode()


@pytest.mark.parametrize(
    "body", [b'{"id": "evt_1"}', mutated(value=-1), mutated(value=1.5), mutated(currency="XXX"), mutated(value="12")]
)
def test_a_signed_body_that_cannot_be_read_is_a_bad_request(ingest: ModuleType, cloud: Cloud, body: bytes) -> None:
    assert answer(ingest, request("platform", body))[0] == 400
    assert cloud.all_received() == {}


@pytest.mark.parametrize("amount", [-1, 1.5, "12", None])
def test_a_stripe_amount_that_is_none_is_a_bad_request(ingest: ModuleType, cloud: Cloud, amount: object) -> None:
    event = json.loads(INTENT)
    event["data"]["object"]["amount_received"] = amount
    assert answer(ingest, request("stripe", json.dumps(event).encode()))[0] == 400
    assert cloud.all_received() == {}


def test_a_message_too_large_for_a_queue_is_too_large(ingest: ModuleType, cloud: Cloud) -> None:
    event = json.loads(PAYMENT)
    event["data"]["items"] = [{"name": "é" * 2000, "quantity": 1, "amount": 1} for _ in range(120)]
    event["data"]["amount"]["value"] = 120
    body = json.dumps(event, ensure_ascii=False).encode()
    assert len(body) < 1_000_000
    assert answer(ingest, request("platform", body)) == (413, {"error": "body_too_large"})
    assert cloud.all_received() == {}


# --- what cannot be done now


def test_what_cannot_be_queued_is_not_acknowledged(ingest: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    class Down:
        def send_message_batch(self, **_: Any) -> dict[str, Any]:
            raise ConnectTimeoutError(endpoint_url="sqs")

    monkeypatch.setattr(ingest, "_queues", Queues(Down(), dict.fromkeys(FUNCTION_OF.values(), "url")))
    assert answer(ingest, request("platform", PAYMENT)) == (503, {"error": "queue_unavailable"})


def test_a_message_the_queue_refused_is_not_acknowledged(ingest: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    class Partial:
        def send_message_batch(self, **_: Any) -> dict[str, Any]:
            return {"Successful": [], "Failed": [{"Id": "0", "SenderFault": False, "Code": "InternalError"}]}

    monkeypatch.setattr(ingest, "_queues", Queues(Partial(), dict.fromkeys(FUNCTION_OF.values(), "url")))
    assert answer(ingest, request("platform", PAYMENT)) == (503, {"error": "queue_incomplete"})


def test_a_fault_of_ours_asks_the_sender_to_come_again(
    ingest: ModuleType, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("ap@ada.example paid 123.45")

    monkeypatch.setattr(ingest, "delivery_messages", broken)
    assert answer(ingest, request("platform", PAYMENT)) == (503, {"error": "unavailable"})
    line = json.loads(log.getvalue())
    assert line["exception_name"] == "RuntimeError"
    assert any("app.py" in frame for frame in line["stack_trace"])
    assert "ada" not in log.getvalue()


def test_a_certificate_out_of_reach_asks_the_sender_to_come_again(
    ingest: ModuleType, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PUBLICATIONS, "source", HttpsCertificates("http://127.0.0.1:9"))
    event = request("paypal", body_of("paypal", "PAYMENT.CAPTURE.COMPLETED"))
    assert answer(ingest, event) == (503, {"error": "certificate_unreachable"})
    assert cloud.all_received() == {}


def test_a_certificate_that_nobody_vouches_for_proves_nothing(
    ingest: ModuleType, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stranger = replace(authority(), root=authority(tmp_path / "other.pem").root)
    monkeypatch.setattr(PUBLICATIONS, "source", stranger)
    event = request("paypal", body_of("paypal", "PAYMENT.CAPTURE.COMPLETED"))
    assert answer(ingest, event) == (401, {"error": "certificate_untrusted"})
    assert cloud.all_received() == {}


def test_certificates_are_read_over_https_unless_the_stack_has_a_stand_in(
    load_function: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PUBLICATIONS, "source", None)
    load_function("ingest")
    assert isinstance(PUBLICATIONS.source, HttpsCertificates)
    assert PUBLICATIONS.source._stand_in_url == ""
    monkeypatch.setenv("CERTIFICATES_STAND_IN_URL", "http://127.0.0.1:9/paypal/")
    load_function("ingest")
    assert PUBLICATIONS.source._stand_in_url == "http://127.0.0.1:9/paypal"


# --- rotation


def test_both_secrets_of_a_rotation_are_accepted(ingest: ModuleType, cloud: Cloud) -> None:
    cloud.configure("stripe", "rotated", secret="new", secret_previous="old")
    for secret in ("new", "old"):
        assert answer(ingest, request("stripe", INTENT, connection="rotated", secret=secret))[0] == 200


def test_a_secret_that_was_just_rotated_is_fetched_once(
    ingest: ModuleType, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answer(ingest, request("stripe", INTENT))[0] == 200
    cloud.configure("stripe", secret="rotated")
    assert answer(ingest, request("stripe", INTENT, secret="rotated"))[0] == 401  # the last fetch was only just now
    later = time.monotonic() + 11
    monkeypatch.setattr(ingest._connections, "_clock", lambda: later)
    assert answer(ingest, request("stripe", INTENT, secret="rotated"))[0] == 200
    assert answer(ingest, request("stripe", INTENT))[0] == 401


# --- what is written down


def test_a_log_line_follows_the_event_and_holds_nobodys_data(
    ingest: ModuleType, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    event = request("platform", PAYMENT)
    answer(ingest, event)
    answer(ingest, request("platform", PAYMENT, body="{}"))
    answer(ingest, request("platform", mutated(value=-4711)))
    accepted, forged, unreadable = (json.loads(line) for line in log.getvalue().splitlines())
    assert accepted["correlation_id"] == accepted["event_id"] == json.loads(PAYMENT)["id"]
    assert accepted["request_id"] == event["requestContext"]["requestId"]
    assert (accepted["provider"], accepted["connection"], accepted["facts"]) == (
        "platform",
        "default",
        ["payment.succeeded#pay_1001"],
    )
    assert (forged["status"], forged["code"], forged["provider"]) == (401, "signature_mismatch", "platform")
    assert (unreadable["status"], unreadable["reason"]) == (
        400,
        "event_does_not_match_schema: data.amount.value must be bigger than or equal to 0",
    )
    written = log.getvalue() + capsys.readouterr().out
    for private in ("Ada", "ap@ada", "DE123456789", "4711", PLATFORM_SECRET, event["headers"]["webhook-signature"]):
        assert private not in written


@pytest.mark.parametrize(
    ("body", "changes", "metric", "event_type"),
    [
        (PAYMENT, {}, "FactsAccepted", "payment.succeeded"),
        (PAYMENT.replace(b'"payment.succeeded"', b'"payment.admired"'), {}, "EventsNotUnderstood", "unknown_event_type"),
        (PAYMENT, {"body": "{}"}, "SignatureFailures", "other"),
        (mutated(value=-1), {}, "BadInput", "other"),
    ],
)
def test_every_delivery_is_counted_under_bounded_dimensions(
    ingest: ModuleType, capsys: pytest.CaptureFixture[str], body: bytes, changes: dict[str, Any], metric: str, event_type: str
) -> None:
    answer(ingest, request("platform", body, **changes))
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert line[metric] == [1.0]
    assert (line["provider"], line["event_type"]) == ("platform", event_type)
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Quittance"


def test_a_sighting_is_counted_as_what_it_is(ingest: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(ingest, request("space-invoices", body_of("space-invoices", "invoice.voided")))[0] == 200
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert (line["SightingsAccepted"], line["provider"], line["event_type"]) == ([1.0], "space-invoices", "invoice.voided")


# --- documents coming back


VOIDED = body_of("space-invoices", "invoice.voided")


def test_a_document_delivery_needs_a_signature_of_its_own_connection(ingest: ModuleType, cloud: Cloud) -> None:
    cloud.configure("space-invoices", "bc-1", secret="of bc_1", secret_previous="before")
    assert answer(ingest, request("space-invoices", VOIDED, connection="bc-1")) == (401, {"error": "signature_mismatch"})
    assert answer(ingest, request("space-invoices", VOIDED, connection="bc-2")) == (404, {"error": "connection_unknown"})
    assert answer(ingest, request("space-invoices", VOIDED[:-1], body=VOIDED.decode()))[0] == 401
    assert cloud.all_received() == {}
    for secret in ("of bc_1", "before"):
        assert answer(ingest, request("space-invoices", VOIDED, connection="bc-1", secret=secret))[0] == 200
    [message] = cloud.all_received()["document_changed"]
    assert message["sighting"]["connection"] == "bc-1"


def test_a_document_delivery_repeated_by_the_vendor_is_queued_once(ingest: ModuleType, cloud: Cloud) -> None:
    for attempt in ("whd_1", "whd_2"):
        event = request("space-invoices", VOIDED)
        event["multiValueHeaders"]["X-Webhook-Delivery"] = [attempt]
        assert answer(ingest, event)[0] == 200
    assert len(cloud.received("document_changed")) == 1


@pytest.mark.parametrize(
    "sent", [b"[]", b"{}", VOIDED.replace(b'"EUR"', b'"XXX"'), VOIDED.replace(b'"is_draft": false', b'"is_draft": 0')]
)
def test_a_document_delivery_that_cannot_be_read_is_a_bad_request(ingest: ModuleType, cloud: Cloud, sent: bytes) -> None:
    assert answer(ingest, request("space-invoices", sent))[0] == 400
    assert cloud.all_received() == {}


# --- what it costs to start


def test_ingest_imports_neither_the_ledger_nor_the_invoicing_api() -> None:
    code = "import sys; import app; print('\\n'.join(sys.modules))"
    environment = {
        "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT / 'functions' / 'ingest'}",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "CONNECTIONS_PATH": "/a/b",
        "QUEUE_URLS": "{}",
        "PATH": "",
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True)  # noqa: S603 - fixed code
    modules = set(done.stdout.split())
    names = {module.partition(".")[0] for module in modules}
    assert names.isdisjoint(
        {"cryptography", "httpx", "pydantic", "fastjsonschema", "stripe", "standardwebhooks", "requests", "tools"}
    )
    ours = {module for module in modules if module.startswith("quittance.")}
    assert ours == {f"quittance.{name}" for name in (
        "errors", "facts", "money", "providers", "runtime", "runtime.observability", "runtime.queues", "runtime.secrets",
        "providers.published", "runtime.accepted", "runtime.play_money", "runtime.published", "runtime.sdk"
    )}  # fmt: skip


# --- the samples for workers


def test_a_sample_is_wrapped_as_its_worker_receives_it() -> None:
    translation = provider("stripe").translate(INTENT, "default", {})
    (record,) = sqs_event(delivery_messages("stripe", "default", translation, "2026-11-20T10:00:00Z"))["Records"]
    assert fact_from_json(json.loads(record["body"])["fact"]).type is FactType.PAYMENT_SUCCEEDED
    assert record["md5OfBody"] == hashlib.md5(record["body"].encode(), usedforsecurity=False).hexdigest()
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
