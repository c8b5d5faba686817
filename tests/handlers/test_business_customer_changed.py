"""The function that takes registrations in, from its message to the table, the invoicing API and the secret it keeps."""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from quittance.entities import connection_of
from quittance.errors import Retry
from quittance.facts import Fact, FactType
from quittance.registration import read_customer
from quittance.runtime import composition
from quittance.runtime.parameter import ConnectionSecrets
from quittance.runtime.table import INDEX_NAME, DynamoTable
from quittance.space_invoices import SpaceInvoices
from tools.sandbox.model import Sandbox
from tools.sandbox.settings import Settings
from tools.sandbox.transport import mounted

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tests.handlers.conftest import Cloud

TABLE = "quittance-test"
KEY = "/quittance/test/space-invoices/api-key"


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The invoicing API, which every client of the functions under test reaches."""
    sandbox = Sandbox(clock=lambda: datetime.now(UTC), settings=Settings(rate_limits=None))

    def client(base_url: str, api_key: Callable[[], str], **options: Any) -> SpaceInvoices:
        return SpaceInvoices(base_url, api_key, transport=mounted(sandbox), **options)

    monkeypatch.setattr(composition, "SpaceInvoices", client)
    return sandbox


@pytest.fixture
def start(cloud: Cloud, load_function: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Callable[[], ModuleType]:
    """Start the function in the stack's environment."""
    boto3.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "reference")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": INDEX_NAME,
                "KeySchema": [{"AttributeName": "reference", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    cloud.ssm.put_parameter(Name=KEY, Value="sk_sandbox_test", Type="SecureString")
    environment = {
        "APP": "quittance",
        "STAGE": "test",
        "TABLE_NAME": TABLE,
        "SPACE_INVOICES_BASE_URL": "http://sandbox",
        "SPACE_INVOICES_API_KEY_PARAMETER": KEY,
        "PUBLIC_WEBHOOKS_URL": "https://quittance.example",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return lambda: load_function("business_customer_changed")


def registration() -> dict[str, Any]:
    """The function's event with one registration."""
    data: dict[str, Any] = {"name": "Acme", "country": "DE", "policy": {"tax": {"domestic": "9.5"}}}
    fact = Fact(
        type=FactType.BUSINESS_CUSTOMER_CREATED,
        provider="platform",
        account="bc_1",
        key="bc_1",
        occurred_at="2026-11-20T09:00:00Z",
        registration=data | {"starting_capital": {"value": 2500050, "currency": "EUR"}},
    )
    body = {"fact": fact.to_json(), "event_id": "evt_1", "event_type": fact.type, "received_at": "2026-11-20T09:00:01Z"}
    record = {
        "messageId": "message",
        "receiptHandle": "receipt",
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": "group"},
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:business_customer_changed.fifo",
    }
    return {"Records": [record]}


CONTEXT = SimpleNamespace(aws_request_id="request", get_remaining_time_in_millis=lambda: 20_000)


def test_a_registration_ends_in_the_table_the_api_and_the_parameter_store(
    start: Callable[[], ModuleType], cloud: Cloud, sandbox: Sandbox
) -> None:
    assert start().handler(registration(), CONTEXT) == {"batchItemFailures": []}
    customer = read_customer(DynamoTable(TABLE), "bc_1")
    assert customer
    assert customer.taxes["9.5%"].percent == "9.5"
    (book,) = sandbox._worlds["sandbox"].books.values()
    assert str(book.entity["starting_capital"]) == "25000.5"
    (webhook,) = book.webhooks.values()
    name = f"/quittance/test/connections/space-invoices/{connection_of('bc_1')}/secret"
    parameter = cloud.ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    assert (parameter["Value"], parameter["Type"]) == (webhook["secret"], "SecureString")
    (description,) = cloud.ssm.describe_parameters(Filters=[{"Key": "Name", "Values": [name]}])["Parameters"]
    assert description["KeyId"] == "alias/quittance-test"


def test_with_a_key_of_the_other_environment_the_message_waits_and_nothing_is_asked(
    start: Callable[[], ModuleType], cloud: Cloud, sandbox: Sandbox
) -> None:
    cloud.ssm.put_parameter(Name=KEY, Value="sk_live_test", Type="SecureString", Overwrite=True)
    answer = start().handler(registration(), CONTEXT)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message"}]}
    assert sandbox.seen == deque()


def test_a_secret_that_is_not_stored_is_said_without_being_shown() -> None:
    class Broken:
        def put_parameter(self, **request: Any) -> None:
            raise EndpointConnectionError(endpoint_url=request["Value"])

    with pytest.raises(Retry) as raised:
        ConnectionSecrets(Broken(), "/path", "alias/key")("connection", "geheim")
    assert raised.value.code == "secret_not_stored"
    assert "geheim" not in str(raised.value)
    assert raised.value.__suppress_context__
