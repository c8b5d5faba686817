"""What one would build today after the documentation of Powertools: the baseline that the product is compared with.

A handler behind API Gateway verifies the webhook and queues it. A batch processor takes it from the FIFO queue, and an idempotent
function documents the payment: find the customer or create it, create the invoice, create the payment. It is written with care:
the payment's own id is the idempotency key, secrets are cached, clients are reused, a failed record fails alone, and the key of
the API request can be sent along (`SENDS_KEYS`), which the documentation of the utilities does not talk about.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import stripe
from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit
from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor, process_partial_response
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.parameters import SSMProvider

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

QUEUE_URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/payments.fifo"
SECRET_PARAMETER, KEY_PARAMETER = "/pattern/stripe/secret", "/pattern/space-invoices/api-key"
logger = Logger(service="pattern")
metrics = Metrics(namespace="Pattern", service="pattern")


class Pattern:
    """Both functions. `entity` is the issuer, `transport` the way to the API."""

    def __init__(self, entity: str, transport: httpx.BaseTransport, *, sends_keys: bool = False) -> None:
        self._sqs = boto3.client("sqs")
        self._http = httpx.Client(base_url=os.environ["SPACE_INVOICES_BASE_URL"], transport=transport, trust_env=False)
        self._entity = entity
        self._sends_keys = sends_keys
        self._config = IdempotencyConfig(event_key_jmespath="id", expires_after_seconds=86_400)
        store = DynamoDBPersistenceLayer(table_name="idempotency", boto3_client=boto3.client("dynamodb"))
        self._parameters = SSMProvider(boto3_client=boto3.client("ssm"))
        idempotent = idempotent_function(data_keyword_argument="payment", config=self._config, persistence_store=store)
        self._documented = idempotent(self._document)
        self._processor = SqsFifoPartialProcessor()

    def entrance(self, event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
        """Behind API Gateway."""
        secret = str(self._parameters.get(SECRET_PARAMETER, decrypt=True, max_age=300))
        try:
            told = stripe.Webhook.construct_event(event["body"], event["headers"]["Stripe-Signature"], secret)
        except (ValueError, stripe.SignatureVerificationError):
            return {"statusCode": 400, "body": ""}
        payment = json.loads(event["body"])["data"]["object"]
        self._sqs.send_message(
            QueueUrl=QUEUE_URL,
            MessageBody=json.dumps(payment),
            MessageGroupId=payment["id"],
            MessageDeduplicationId=told["id"],
        )
        logger.info("queued", extra={"event_id": told["id"]})
        return {"statusCode": 200, "body": ""}

    def worker(self, event: dict[str, Any], context: LambdaContext) -> Any:  # noqa: ANN401 - Powertools' own type
        """Behind the queue."""
        self._config.register_lambda_context(context)
        try:
            return process_partial_response(event, self._take, self._processor, context)
        except BatchProcessingError:  # all of the batch failed
            return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event["Records"]]}
        finally:
            if metrics.metric_set:
                metrics.flush_metrics()

    def _take(self, record: SQSRecord) -> None:
        self._documented(payment=json.loads(record.body))
        metrics.add_metric(name="PaymentsDocumented", unit=MetricUnit.Count, value=1)
        logger.info("documented", extra={"message_id": record.message_id})

    def _document(self, *, payment: dict[str, Any]) -> dict[str, str]:
        amount, reference = payment["amount_received"] / 100, payment["id"]
        customer = self._customer(payment["receipt_email"], reference)
        line = {"name": payment["description"], "quantity": 1, "price": amount, "taxes": []}
        body = {"customer_id": customer, "currency_code": payment["currency"].upper(), "items": [line]}
        invoice = self._create("invoices", body | {"metadata": {"payment_id": reference}}, f"invoice-{reference}")
        paid = {"invoice_id": invoice, "amount": amount, "type": "card", "reference": reference}
        self._create("payments", paid, f"payment-{reference}")
        return {"invoice": invoice}

    def _customer(self, email: str, reference: str) -> str:
        query = json.dumps({"email": {"equals": email}})
        answer = self._http.get("/customers", params={"query": query, "limit": 1}, headers=self._headers())
        found = answer.raise_for_status().json()["data"]
        return (
            str(found[0]["id"]) if found else self._create("customers", {"name": email, "email": email}, f"customer-{reference}")
        )

    def _create(self, collection: str, body: dict[str, Any], key: str) -> str:
        headers = self._headers() | ({"idempotency-key": key, "x-request-id": key} if self._sends_keys else {})
        return str(self._http.post(f"/{collection}", json=body, headers=headers).raise_for_status().json()["id"])

    def _headers(self) -> dict[str, str]:
        key = str(self._parameters.get(KEY_PARAMETER, decrypt=True, max_age=300))
        return {"authorization": f"Bearer {key}", "x-entity-id": self._entity}
