"""Reading the ledger from outside: finding the payment behind any id a person may hold, and walking over all of them.

Nothing here writes. One id leads to its payment at once where the ledger has an index for it (events, documents); for the
others the table is searched, which takes as long as the table is large, unless the account is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quittance.ledger import (
    CASE_PREFIX,
    HEAD,
    OPEN_FINDING,
    CaseFile,
    Ledger,
    case_from_partition,
    case_names,
    partitions,
)
from quittance.plan import Plan, plan
from quittance.registration import PROFILE, CustomerDirectory, customer_pk, read_customer
from quittance.runtime.table import DynamoTable, plain_item

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from quittance.customers import BusinessCustomer
    from quittance.storage import Item

_KEYS_AT_ONCE = 100
"""What DynamoDB reads in one request."""
_SEARCHED = "contains(pk, :id) OR contains(sk, :id) OR #number = :id"


class LedgerView:
    """The ledger of one stack, read only."""

    def __init__(self, table_name: str, client: DynamoDBClient) -> None:
        self._name = table_name
        self._client = client
        self.table = DynamoTable(table_name, client)
        self._ledger = Ledger(self.table)

    def case(self, provider: str, account: str, case_id: str) -> CaseFile:
        """The payment that this id leads to; one without facts if nothing is known."""
        return self._ledger.open(provider, account, (case_id,), join=False)

    def absent(self, pks: Iterable[str]) -> frozenset[str]:
        """Those of these partitions of cases that are not there, found out a hundred at a time: every case has a head."""
        wanted = list(dict.fromkeys(pks))
        present: set[str] = set()
        for start in range(0, len(wanted), _KEYS_AT_ONCE):
            keys: Any = [{"pk": {"S": pk}, "sk": {"S": HEAD}} for pk in wanted[start : start + _KEYS_AT_ONCE]]
            request: Any = {self._name: {"Keys": keys, "ProjectionExpression": "pk", "ConsistentRead": True}}
            while request:
                answer = self._client.batch_get_item(RequestItems=request)
                present |= {item["pk"]["S"] for item in answer["Responses"].get(self._name, ())}
                request = answer.get("UnprocessedKeys")
        return frozenset(wanted) - present

    def scan(self, after: tuple[str, str] | None = None) -> Iterator[Item]:
        """Every item of every payment, in the table's own order, after these keys."""
        return self.table.scan(after, prefix=CASE_PREFIX)

    def cases(self) -> Iterator[CaseFile]:
        """Every payment, in no particular order, with one pass over the table."""
        yield from filter(None, map(case_from_partition, partitions(self.scan())))

    def find(self, reference: str) -> list[Item]:
        """What an event id or a document id leads to, without searching."""
        return self.table.find(reference)

    def search(self, some_id: str) -> list[Item]:
        """Every item that carries this id in its keys, or this document number. Reads the whole table."""
        found = self._scan(_SEARCHED, {":id": some_id}, ExpressionAttributeNames={"#number": "number"})
        return [item for item in found if item.get("number") == some_id or _names(item, some_id)]

    def findings(self) -> list[Item]:
        """Every finding that stands, oldest first."""
        return sorted(self.table.find(OPEN_FINDING), key=lambda item: (item["opened_at"], item["pk"], item["sk"]))

    def owner(self, provider: str, account: str) -> str | None:
        """The business customer that registered a provider's account."""
        return self._ledger.owner(provider, account)

    def customer_of(self, case: CaseFile) -> BusinessCustomer | None:
        """Whose payment it is; None while nobody has registered its account."""
        customer_id = case.business_customer or self._ledger.owner(case.provider, case.account)
        return read_customer(self.table, customer_id) if customer_id else None

    def platform(self) -> BusinessCustomer | None:
        """The business customer that is the platform itself; None while none is registered as that."""
        return CustomerDirectory(self._ledger, lambda: 0).platform()

    def planned(self, case: CaseFile, customer: BusinessCustomer | None) -> Plan:
        """What is missing of a payment; nothing is planned while nobody has registered its account."""
        if customer is None:
            return Plan()
        return plan(case.as_case(), customer, self.platform() if customer.is_charged_fees else None)

    def entities(self) -> dict[str, str]:
        """Business customer -> the invoicing entity that issues its documents, for all that have one."""
        profiles = self._scan("sk = :profile", {":profile": PROFILE})
        prefix = customer_pk("")
        return {item["pk"].removeprefix(prefix): item["entity_id"] for item in profiles if item["entity_id"]}

    def _scan(self, condition: str, values: dict[str, str], **names: Any) -> Iterator[Item]:  # noqa: ANN401 - handed on as they are
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._name,
            ConsistentRead=True,
            FilterExpression=condition,
            ExpressionAttributeValues={name: {"S": value} for name, value in values.items()},
            **names,
        )
        for page in pages:
            yield from map(plain_item, page["Items"])


def _names(item: Item, some_id: str) -> bool:
    """Whether one of the ids in an item's keys is exactly this one."""
    if item["pk"].startswith(CASE_PREFIX) and case_names(item["pk"])[2] == some_id:
        return True
    return some_id in item["sk"].split("#")[1:] or item["pk"] == customer_pk(some_id)
