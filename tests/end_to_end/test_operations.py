"""The operators' API on the running stack, whose emulator checks signatures and IAM policies as AWS does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from botocore.credentials import Credentials

from quittance.facts import Fact, FactType
from quittance.money import Money
from quittance.runtime.dead_letters import CAUSE
from quittance.runtime.queues import fact_message
from tests.end_to_end.conftest import CUSTOMER, ON_THE_STACK, PATIENCE_S, Stack, payment_data
from tests.end_to_end.operators import Operator
from tools.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = ON_THE_STACK


def test_only_whom_iam_lets_in_gets_in(stack: Stack, finance: Operator, operator: Callable[..., Operator]) -> None:
    assert finance.call("GET", "findings").status_code == 200
    assert finance.credentials
    forged = Operator(finance.base, "forged", Credentials(finance.credentials.access_key, "guessed"))
    for nobody in (Operator(finance.base, "nobody", None), forged, operator("stranger", "GET/health")):
        assert nobody.call("GET", "findings").status_code == 403, nobody.name
    reader = operator("reader", "GET/operations/*")
    assert reader.call("GET", "findings").status_code == 200
    assert reader.call("POST", "redrive", {}).status_code == 403
    assert httpx.get(f"{stack.target.webhooks}/health", trust_env=False).status_code == 200


def test_a_payment_is_explained_printed_and_replayed(stack: Stack, finance: Operator) -> None:
    stack.payment("pay_operations")
    stack.wait_for_documents("pay_operations", "invoice:payment:pay_operations")
    name = {"provider": "platform", "account": CUSTOMER, "payment_id": "pay_operations"}
    [explained] = finance.get("payments/pay_operations", provider="platform", account=CUSTOMER)["explanations"]
    [document] = explained["documents"]
    assert finance.get(f"documents/{document['id']}")["number"] == document["number"]
    assert finance.call("GET", f"documents/{document['id']}/pdf").content.startswith(b"%PDF-")
    assert finance.post("replay", {"payments": [name]}) == {"queued": 1}
    stack.wait_until_done()
    assert stack.held("pay_operations") == {"invoice 50.00": 1}
    entries = finance.get("audit")["entries"]
    assert [(one["action"], one["outcome"]) for one in entries[:2]] == [("replay", "done"), ("print", "done")]
    assert entries[0]["by"].endswith(":user/finance")


def test_dead_letters_are_counted_and_redriven_by_cause(stack: Stack, finance: Operator) -> None:
    pair = stack.target.queues["payment_succeeded"]
    data = payment_data("pay_redriven", 7000)
    fact = Fact(
        type=FactType.PAYMENT_SUCCEEDED,
        provider="platform",
        account=CUSTOMER,
        key="pay_redriven",
        payment_id="pay_redriven",
        occurred_at="2026-11-20T10:00:00Z",
        amount=Money(data["amount"]["value"], data["amount"]["currency"]),
    )
    message = fact_message(fact, "evt_redriven", "payment.succeeded", "2026-11-20T10:00:01Z")
    stack.target.client("sqs").send_message(
        QueueUrl=pair.dead_letters_url,
        MessageBody=message.body,
        MessageGroupId=message.group,
        MessageDeduplicationId="evt_redriven",
        MessageAttributes={CAUSE: {"DataType": "String", "StringValue": "api_refused_key"}},
    )
    kind = {"function": "payment_succeeded", "cause": "api_refused_key", "business_customer": CUSTOMER, "letters": 1}
    wait_for("the letter", lambda: kind in finance.get("dead-letters")["kinds"], seconds=PATIENCE_S)
    assert finance.post("redrive", {"cause": "table_busy"})["letters"] == 0
    done = finance.post("redrive", {"cause": "api_refused_key", "business_customer": CUSTOMER})
    assert (done["letters"], done["complete"]) == (1, True)
    stack.wait_for_documents("pay_redriven", "invoice:payment:pay_redriven")
    assert stack.held("pay_redriven") == {"invoice 70.00": 1}


def test_reports_can_be_fetched_by_whoever_has_the_address(stack: Stack, finance: Operator) -> None:
    key = "reconciliations/2026-01-01T00-00-00Z/report.html"
    bucket = stack.target.output("ReportsBucketName")
    stack.target.client("s3").put_object(Bucket=bucket, Key=key, Body=b"<html>")
    assert "2026-01-01T00-00-00Z" in finance.get("reports")["reports"]
    [file] = finance.get("reports/2026-01-01T00-00-00Z")["files"]
    assert httpx.get(file["url"], trust_env=False).raise_for_status().content == b"<html>"
