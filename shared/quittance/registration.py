"""Business customers in the ledger: registering one, creating its entity, and finding whose money a payment is.

    BUSINESS_CUSTOMER#{id}   PROFILE           the customer as all its registrations describe it, and its entity
                             FACT#{at}#{event} each registration as it was reported

An account belongs to a customer only once the customer's entity exists: until then its payments wait (`ledger`).
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from quittance.customers import Account, BusinessCustomer, registered
from quittance.errors import Park, Retry
from quittance.facts import Fact, fact_from_json
from quittance.ledger import OPEN_FINDING, Ledger
from quittance.mapping import ENTITIES, entity_body, idempotency_key
from quittance.metrics import Count, count_nothing
from quittance.storage import Absent, ConditionFailedError, Delete, Equals, Item, Put, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from quittance.ledger import CaseFile
    from quittance.space_invoices import SpaceInvoices

PROFILE = "PROFILE"
_KEPT = ("body", "idempotency_key", "entity_timezone")
KNOWN_FOR_S = 60
"""How long a customer's profile may be used without reading it again; one that is not known is always read again."""


def customer_pk(customer_id: str) -> str:
    return f"BUSINESS_CUSTOMER#{customer_id}"


class CustomerDirectory:
    """Finds the business customer a case belongs to, remembering what it found for a minute."""

    def __init__(self, ledger: Ledger, now: Callable[[], int]) -> None:
        self._ledger = ledger
        self._now = now
        self._owners: dict[tuple[str, str], str] = {}
        self._customers: dict[str, tuple[int, BusinessCustomer]] = {}

    def owner_of(self, case: CaseFile) -> BusinessCustomer | None:
        """The customer, with its entity; None while it is not registered. A case keeps the customer it was first given."""
        account = (case.provider, case.account)
        customer_id = case.business_customer or self._owners.get(account) or self._ledger.owner(*account)
        if customer_id is None:
            return None
        self._owners[account] = customer_id
        return self._customer(customer_id)

    def _customer(self, customer_id: str) -> BusinessCustomer | None:
        read_at, customer = self._customers.get(customer_id, (0, None))
        if customer is None or self._now() - read_at >= KNOWN_FOR_S:
            customer = read_customer(self._ledger.table, customer_id)
            if customer is not None:
                self._customers[customer_id] = (self._now(), customer)
        return customer


def read_customer(table: Table, customer_id: str) -> BusinessCustomer | None:
    """The customer as the ledger holds it; None before its entity exists."""
    item = table.read(customer_pk(customer_id), PROFILE)
    if item is None or not item["entity_id"]:
        return None
    return BusinessCustomer(
        id=customer_id, profile=item["profile"], entity_id=item["entity_id"], entity_timezone=item.get("entity_timezone")
    )


class RevisitLater(Protocol):
    """Asks for a payment to be converged again, soon and at least once. Raises `Retry` when it cannot ask."""

    def __call__(self, provider: str, account: str, payment_id: str, reason: str) -> None: ...


class Registrar:
    """Takes registrations in: one entity per business customer, whatever is repeated, reordered or killed half way."""

    def __init__(  # noqa: PLR0913 - the composition root names every part
        self,
        *,
        ledger: Ledger,
        api: SpaceInvoices,
        stage: str,
        now: Callable[[], int],
        revisit_later: RevisitLater,
        count: Count = count_nothing,
    ) -> None:
        self._ledger = ledger
        self._table = ledger.table
        self._api = api
        self._stage = stage
        self._now = now
        self._revisit_later = revisit_later
        self._count = count

    def take(self, fact: Fact, event_id: str) -> None:
        """Record a registration, see to the entity, and wake the payments that waited for it.

        An entity that the API refuses is a finding; a later registration that mends it tries again.
        Raises `Retry` or `InDoubt` when the message must come again.
        """
        customer = self._record(fact, event_id)
        if customer.entity_id is None:
            try:
                customer = self._with_entity(customer)
            except Park as refusal:
                self._give_up_entity(customer, refusal)
                return
        for account in customer.accounts:
            self._claim(account, customer)
            self._wake(account)

    def _record(self, fact: Fact, event_id: str) -> BusinessCustomer:
        pk = customer_pk(fact.key)
        items = {item["sk"]: item for item in self._table.read_partition(pk)}
        name = f"FACT#{fact.occurred_at}#{event_id}"
        items[name] = {"pk": pk, "sk": name, "fact": fact.to_json(), "event_id": event_id, "recorded_at": self._now()}
        profile = items.get(PROFILE)
        facts = [fact_from_json(item["fact"]) for sk, item in items.items() if sk.startswith("FACT#")]
        customer = registered(fact.key, facts, profile["entity_id"] if profile else None)
        reference = {"reference": event_id} if event_id else {}
        self._commit_profile(customer, profile, Put(items[name] | reference))
        return customer

    def _commit_profile(self, customer: BusinessCustomer, known: Item | None, *others: Put, **details: str | None) -> Item:
        """Store the profile, with a request under way kept unless `details` replace it.

        Raises `Retry` if another run changed the profile meanwhile.
        """
        kept = {name: known[name] for name in _KEPT if known.get(name)} if known else {}
        item: Item = {
            "pk": customer_pk(customer.id),
            "sk": PROFILE,
            "version": (known["version"] if known else 0) + 1,
            "profile": customer.profile,
            "entity_id": customer.entity_id,
        }
        item |= kept | details
        try:
            self._table.commit([Put(item, Equals("version", known["version"]) if known else Absent()), *others])
        except ConditionFailedError:
            raise Retry("customer_contended", delay_s=1) from None
        return item

    def _with_entity(self, customer: BusinessCustomer) -> BusinessCustomer:
        """Create the entity, or find the one that an earlier run created. The intent is stored before the first request."""
        known = self._table.read(customer_pk(customer.id), PROFILE)
        if known and known.get("body"):
            found = self._api.find_by_metadata(ENTITIES, {"business_customer": customer.id}, entity_id=None)
            if found:
                return self._adopt(customer, known, found[0])
        else:
            key = idempotency_key(self._stage, f"entity\n{customer.id}\n{uuid.uuid4().hex}")
            body = entity_body(customer).decode()
            known = self._commit_profile(customer, known, body=body, idempotency_key=key)
        answer = self._api.create(
            f"/{ENTITIES}", known["body"].encode(), entity_id=None, idempotency_key=known["idempotency_key"]
        )
        return self._adopt(customer, known, answer)

    def _adopt(self, customer: BusinessCustomer, known: Item, entity: dict[str, Any]) -> BusinessCustomer:
        customer = replace(customer, entity_id=entity["id"], entity_timezone=entity.get("timezone"))
        self._commit_profile(customer, known, entity_timezone=customer.entity_timezone)
        return customer

    def _give_up_entity(self, customer: BusinessCustomer, refusal: Park) -> None:
        """Forget the refused request, so that a mended registration makes a new one, and show it to a human."""
        known = self._table.read(customer_pk(customer.id), PROFILE)
        self._commit_profile(customer, known, self._finding(customer, "entity_refused", str(refusal)), body="")

    def _finding(self, customer: BusinessCustomer, code: str, subject: str) -> Put:
        self._count("Findings", provider="platform", event_type=code)
        details = {"code": code, "subject": subject, "opened_at": self._now(), "reference": OPEN_FINDING}
        return Put({"pk": customer_pk(customer.id), "sk": f"FINDING#{code}#{subject}"} | details)

    def _claim(self, account: Account, customer: BusinessCustomer) -> None:
        try:
            self._ledger.claim_account(account.provider, account.account, customer.id)
        except ConditionFailedError:
            subject = f"account:{account.provider}:{account.account}"
            self._table.commit([self._finding(customer, "account_taken", subject)])

    def _wake(self, account: Account) -> None:
        """Ask for every waiting case first, forget that it waited afterwards: asked twice is better than never."""
        for item in self._ledger.cases_waiting_for(account.provider, account.account):
            self._revisit_later(account.provider, account.account, item["case_id"], "business customer registered")
            with suppress(ConditionFailedError):
                self._table.commit([Delete(item["pk"], item["sk"])])
