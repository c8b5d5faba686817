"""From a signed delivery to its documents, whatever goes wrong on the way."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tests.end_to_end.conftest import ACCOUNT, CUSTOMER, ON_THE_STACK, PATIENCE_S, Stack, payment_data, processes_of
from tools.traffic import dead_letters
from tools.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = ON_THE_STACK


def test_a_payment_reported_again_and_again_is_invoiced_once(stack: Stack, new_id: Callable[[str], str]) -> None:
    payment, event = new_id("pay"), new_id("evt")
    for _ in range(3):
        assert stack.platform("payment.succeeded", payment_data(payment), event).is_success
        assert stack.payment(payment).is_success
    stack.wait_for_documents(payment, f"invoice:payment:{payment}")
    stack.wait_until_done()
    assert stack.held(payment) == {"invoice 50.00": 1}


def test_a_stripe_payment_of_three_event_types_is_invoiced_once(stack: Stack, new_id: Callable[[str], str]) -> None:
    intent, charge = new_id("pi"), new_id("ch")
    paid = {"amount": 4200, "currency": "eur", "status": "succeeded"}
    for _ in range(2):
        assert stack.stripe(
            "charge.succeeded",
            paid | {"id": charge, "object": "charge", "payment_intent": intent, "captured": True, "amount_captured": 4200},
        ).is_success
        assert stack.stripe(
            "payment_intent.succeeded",
            paid
            | {
                "id": intent,
                "object": "payment_intent",
                "amount_received": 4200,
                "latest_charge": charge,
                "capture_method": "automatic",
            },
        ).is_success
    stack.wait_until_done()
    assert stack.held(intent) == {"invoice 42.00": 1}
    assert stack.target.ledger.case("stripe", ACCOUNT, charge).id == stack.target.ledger.case("stripe", ACCOUNT, intent).id


def test_a_refund_waits_for_its_payment(stack: Stack, new_id: Callable[[str], str]) -> None:
    payment, refund = new_id("pay"), new_id("ref")
    data = {
        "business_customer": CUSTOMER,
        "payment_id": payment,
        "refund_id": refund,
        "amount": {"value": 1250, "currency": "EUR"},
    }
    assert stack.platform("refund.succeeded", data).is_success
    wait_for("the refund to wait", lambda: stack.case(payment).waiting, seconds=PATIENCE_S)
    assert stack.held(payment) == {}
    assert stack.payment(payment).is_success
    stack.wait_for_documents(payment, f"invoice:payment:{payment}", f"credit_note:refund:{refund}")
    assert stack.held(payment) == {"invoice 50.00": 1, "credit note 12.50": 1}


def test_an_answer_lost_after_the_invoice_was_made_is_looked_up_once(stack: Stack, new_id: Callable[[str], str]) -> None:
    payment = new_id("pay")
    stack.wait_until_done()
    looked_up, created = stack.requests("GET", "/invoices"), stack.requests("POST", "/invoices")
    stack.arm(
        kind="lose_response_after_commit",
        match={"method": "POST", "path_prefix": "/invoices", "metadata": {"payment_id": payment}},
    )
    assert stack.payment(payment).is_success
    stack.wait_for_documents(payment, f"invoice:payment:{payment}")
    assert stack.requests("GET", "/invoices") == looked_up + 1
    assert stack.requests("POST", "/invoices") == created + 1
    assert stack.held(payment) == {"invoice 50.00": 1}


def test_an_outage_of_the_invoicing_api_is_waited_out(stack: Stack, new_id: Callable[[str], str]) -> None:
    """503 says that the outcome is unknown, 429 that nothing happened."""
    payments = [new_id("pay"), new_id("pay")]
    for payment, status, retry_after in zip(payments, (503, 429), (None, 1), strict=True):
        match = {"method": "POST", "path_prefix": "/invoices", "metadata": {"payment_id": payment}}
        stack.arm(kind="status", status=status, retry_after=retry_after, times=2, match=match)
        assert stack.payment(payment).is_success
    for payment in payments:
        stack.wait_for_documents(payment, f"invoice:payment:{payment}")
    stack.wait_until_done()
    assert [stack.held(payment) for payment in payments] == [{"invoice 50.00": 1}] * 2
    assert dead_letters(stack.target) == {}


def test_a_message_nobody_can_read_holds_up_nobody_else(stack: Stack, new_id: Callable[[str], str]) -> None:
    payment = new_id("pay")
    sqs, queue = stack.target.client("sqs"), stack.target.queues["payment_succeeded"]
    sqs.send_message(QueueUrl=queue.url, MessageBody="poison", MessageGroupId="poison", MessageDeduplicationId=new_id("poison"))
    assert stack.payment(payment).is_success
    stack.wait_for_documents(payment, f"invoice:payment:{payment}")
    wait_for("the dead letter", lambda: dead_letters(stack.target) == {"payment_succeeded": 1}, seconds=PATIENCE_S)
    sqs.purge_queue(QueueUrl=queue.dead_letters_url)


def test_a_worker_killed_while_it_waits_for_the_answer(stack: Stack, new_id: Callable[[str], str]) -> None:
    """Killed for real, with the invoice made and nobody told: the next run finds it instead of making another one."""
    payment = new_id("pay")
    stack.wait_until_done()
    sqs, queue = stack.target.client("sqs"), stack.target.queues["payment_succeeded"]
    hidden = sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"VisibilityTimeout": "21"})  # the message comes back after that
    stack.arm(kind="delay", seconds=9, when="after", match={"method": "POST", "metadata": {"payment_id": payment}})
    assert stack.payment(payment).is_success
    wait_for("the invoice", lambda: stack.held(payment), seconds=PATIENCE_S)
    processes = processes_of("PaymentSucceeded")
    assert processes
    for process in processes:
        os.kill(process, signal.SIGKILL)
    assert stack.case(payment).pending()
    stack.wait_for_documents(payment, f"invoice:payment:{payment}", seconds=2 * PATIENCE_S)
    sqs.set_queue_attributes(QueueUrl=queue.url, Attributes=hidden)
    assert stack.held(payment) == {"invoice 50.00": 1}
    assert stack.case(payment).documents[f"invoice:payment:{payment}"].attempts > 1
