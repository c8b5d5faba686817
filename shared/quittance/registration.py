"""Business customers in the ledger: registering one, providing for it, and finding whose money a payment is.

    BUSINESS_CUSTOMER#{id}   PROFILE           the customer as all its registrations describe it, and what the API holds for it
                             FACT#{at}#{event} each registration as it was reported
                             FINDING#{code}#{subject}
    ENTITY#{id}              OWNER             the business customer whose documents the entity issues
    AWAITED#{id}             CASE#...          a case that waits for a tax or a policy of this customer, or for the PLATFORM
    PLATFORM                 OWNER             the business customer that is the platform itself

An account belongs to a customer only once the customer's entity exists: until then its payments wait (`ledger`).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from quittance.customers import Account, BusinessCustomer, policies_after, registered
from quittance.errors import Reject
from quittance.facts import Fact, fact_from_json
from quittance.ledger import OPEN_FINDING, OWNER, Ledger
from quittance.metrics import Count, count_nothing
from quittance.policy import DEFAULT_POLICY
from quittance.provisioning import PROFILE, ProfileFile, Provisioner, Webhooks, customer_pk, policies_of, taxes_of
from quittance.storage import Absent, AbsentOrEquals, Check, ConditionFailedError, Delete, Equals, Item, Put, Table, Write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quittance.ledger import CaseFile
    from quittance.provisioning import Say
    from quittance.space_invoices import SpaceInvoices

__all__ = ["PROFILE", "CustomerDirectory", "Registrar", "RevisitLater", "Webhooks", "customer_pk", "read_customer"]

PLATFORM = "PLATFORM"
KNOWN_FOR_S = 60
"""How long a customer's profile may be used without reading it again; one that is not known is always read again."""
AWAITS_TAX = "tax "
"""What a case awaits begins so when a new policy or tax of a business customer may provide it."""
AWAITS_PLATFORM = "platform entity"
"""What a case awaits until the platform is registered."""
_SUBJECT_MAX = 250


class CustomerDirectory:
    """Finds the business customer a case belongs to, remembering what it found for a minute."""

    def __init__(self, ledger: Ledger, now: Callable[[], int]) -> None:
        self._ledger = ledger
        self._now = now
        self._owners: dict[tuple[str, str], str] = {}
        self._customers: dict[str, tuple[int, BusinessCustomer]] = {}
        self._platform: str | None = None

    def owner_of(self, case: CaseFile) -> BusinessCustomer | None:
        """The customer, with its entity; None while it is not registered. A case keeps the customer it was first given."""
        account = (case.provider, case.account)
        customer_id = case.business_customer or self._owners.get(account) or self._ledger.owner(*account)
        if customer_id is None:
            return None
        self._owners[account] = customer_id
        return self._customer(customer_id)

    def platform(self) -> BusinessCustomer | None:
        """The business customer that is the platform itself, with its entity; None while none is registered as that."""
        if self._platform is None:
            item = self._ledger.table.read(PLATFORM, OWNER)
            if item is None:
                return None
            self._platform = str(item["business_customer"])
        return self._customer(self._platform)

    def forget(self) -> None:
        """Read everything again when it is next needed: what was remembered turned out to be old."""
        self._customers.clear()
        self._platform = None

    def entries_of_waiting(self, case: CaseFile, customer: BusinessCustomer) -> Iterator[Write]:
        """What to commit with a case that waits for a tax or for the platform, so that whoever registers it finds the case.

        They hold only if nothing was registered since the customer was read: a case is either woken, or planned again.
        """
        awaited = [text.rpartition(" waits for ")[2] for text in case.waiting]
        sellers = [customer, *((self.platform(),) if customer.is_charged_fees else ())]
        if any(text.startswith(AWAITS_TAX) for text in awaited):
            for seller in filter(None, sellers):
                yield Check(customer_pk(seller.id), PROFILE, Equals("version", seller.version))
                yield _entry(seller.id, case)
        if AWAITS_PLATFORM in awaited:
            yield Check(PLATFORM, OWNER, Absent())
            yield _entry(PLATFORM, case)

    def _customer(self, customer_id: str) -> BusinessCustomer | None:
        read_at, customer = self._customers.get(customer_id, (0, None))
        if customer is None or self._now() - read_at >= KNOWN_FOR_S:
            customer = read_customer(self._ledger.table, customer_id)
            if customer is not None:
                self._customers[customer_id] = (self._now(), customer)
        return customer


def _entry(awaited: str, case: CaseFile) -> Put:
    names = {"provider": case.provider, "account": case.account, "case_id": case.id}
    return Put({"pk": f"AWAITED#{awaited}", "sk": case.pk} | names)


def read_customer(table: Table, customer_id: str) -> BusinessCustomer | None:
    """The customer as the ledger holds it; None before its entity exists."""
    item = table.read(customer_pk(customer_id), PROFILE)
    if item is None or not item["entity_id"]:
        return None
    return _customer_of(customer_id, item)


def _customer_of(customer_id: str, profile: Item) -> BusinessCustomer:
    return BusinessCustomer(
        id=customer_id,
        profile=profile["profile"],
        entity_id=profile["entity_id"],
        entity_timezone=profile.get("entity_timezone"),
        policies=policies_of(profile) or (DEFAULT_POLICY,),
        taxes=taxes_of(profile),
        version=profile["version"],
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
        environment: str = "sandbox",
        webhooks: Webhooks | None = None,
    ) -> None:
        """`environment` is that of the API key, `sandbox` or `live`. Without `webhooks` the API is asked to report nothing."""
        self._ledger = ledger
        self._table = ledger.table
        self._provisioner = Provisioner(api=api, stage=stage, environment=environment, now=now, webhooks=webhooks)
        self._now = now
        self._revisit_later = revisit_later
        self._count = count

    def take(self, fact: Fact, event_id: str) -> None:
        """Record a registration, see to all that the API must hold for it, and wake the payments that waited for it.

        What the API refuses, or what contradicts an earlier registration, is a finding, which stands until a later registration
        mends it. A registration that changes nothing asks nothing of the API.
        Raises `Retry` or `InDoubt` when the message must come again.
        """
        found: set[tuple[str, str]] = set()

        def say(code: str, subject: str) -> None:
            found.add((code, subject[:_SUBJECT_MAX]))

        file = self._record(fact, event_id, say)
        if self._provisioner.entity(file, say):
            self._provisioner.taxes(file, say)
            self._provisioner.webhook(file, say)
            self._take_role(file, say)
            self._claim_all(file, say)
            self._wake_served(file)
        self._align_findings(file.id, found)

    # what was reported

    def _record(self, fact: Fact, event_id: str, say: Say) -> ProfileFile:
        """Store the registration, and the customer as all of them describe it. One that is known already changes nothing."""
        pk = customer_pk(fact.key)
        items = {item["sk"]: item for item in self._table.read_partition(pk)}
        file = ProfileFile(self._table, fact.key, items.get(PROFILE))
        name = f"FACT#{fact.occurred_at}#{event_id}"
        is_new = name not in items
        policies = file.policies
        if is_new:
            item: Item = {"pk": pk, "sk": name, "fact": fact.to_json(), "event_id": event_id, "recorded_at": self._now()}
            item |= {"version": file.item["version"] + 1}  # in which order they came: it decides how policies are numbered
            try:
                policies = policies_after(policies, fact)
            except Reject as refusal:
                item |= {"policy_refused": refusal.code}
            items[name] = item | ({"reference": event_id} if event_id else {})
        reports = [item for sk, item in sorted(items.items()) if sk.startswith("FACT#")]
        profile = registered(fact.key, [fact_from_json(item["fact"]) for item in reports], None).profile
        said_country = profile["country"]
        profile["country"] = file.item.get("entity_country", said_country)
        if said_country != profile["country"]:
            say("entity_country_fixed", said_country)
        _say_refused_policy(reports, say)
        if is_new:
            to_wake = {"to_wake": True} if file.policies and policies != file.policies else {}
            stored = [policy.to_json() for policy in policies]
            file.commit(Put(items[name]), profile=profile, policies=stored, **to_wake)
        return file

    # what is this customer's

    def _take_role(self, file: ProfileFile, say: Say) -> None:
        if file.profile.get("role") != "platform" or file.is_platform:
            return
        claim = {"pk": PLATFORM, "sk": OWNER, "business_customer": file.id}
        try:
            file.commit(Put(claim, AbsentOrEquals("business_customer", file.id)), is_platform=True, to_wake=True)
        except ConditionFailedError:
            say("platform_taken", file.id)

    def _claim_all(self, file: ProfileFile, say: Say) -> None:
        for account in _own_accounts(file, say):
            self._claim(account, file, say)
            self._wake(account)

    def _claim(self, account: Account, file: ProfileFile, say: Say) -> None:
        try:
            self._ledger.claim_account(account.provider, account.account, file.id)
        except ConditionFailedError:
            say("account_taken", f"account:{account.provider}:{account.account}")

    # who waited for it

    def _wake(self, account: Account) -> None:
        """Ask for every waiting case first, forget that it waited afterwards: asked twice is better than never."""
        for item in self._ledger.cases_waiting_for(account.provider, account.account):
            self._revisit_later(account.provider, account.account, item["case_id"], "business customer registered")
            with suppress(ConditionFailedError):
                self._table.commit([Delete(item["pk"], item["sk"])])

    def _wake_served(self, file: ProfileFile) -> None:
        """Ask for the cases that waited for what this registration brought: a policy, a tax, the platform.

        The version makes the request another one than the last, which the queue would drop as a repetition.
        """
        if not file.item.get("to_wake"):
            return
        for awaited in (file.id, *((PLATFORM,) if file.is_platform else ())):
            for item in self._table.read_partition(f"AWAITED#{awaited}"):
                names = (item["provider"], item["account"], item["case_id"])
                self._revisit_later(*names, f"business customer changed {file.item['version']}")
                self._table.commit([Delete(item["pk"], item["sk"])])
        file.commit(to_wake=None)

    # findings

    def _align_findings(self, customer_id: str, found: set[tuple[str, str]]) -> None:
        """Let the findings that stand be those of this run."""
        pk = customer_pk(customer_id)
        known = {(item["code"], item["subject"]): item for item in self._table.read_partition(pk, "FINDING#")}
        for code, subject in sorted(found):
            if (code, subject) not in known or known[code, subject].get("resolved_at"):
                self._count("Findings", provider="platform", event_type=code)
                details = {"code": code, "subject": subject, "opened_at": self._now(), "reference": OPEN_FINDING}
                self._table.commit([Put({"pk": pk, "sk": f"FINDING#{code}#{subject}"} | details)])
        for name, item in known.items():
            if name not in found and not item.get("resolved_at"):
                closed = {key: value for key, value in item.items() if key != "reference"}
                self._table.commit([Put(closed | {"resolved_at": self._now()})])


def _own_accounts(file: ProfileFile, say: Say) -> Iterator[Account]:
    """The accounts a customer may claim: the platform's own events name their customer, so those of another are not to be had."""
    for account in _customer_of(file.id, file.item).accounts:
        if account.provider == "platform" and account.account != file.id:
            say("account_taken", f"account:{account.provider}:{account.account}")
        else:
            yield account


def _say_refused_policy(reports: list[Item], say: Say) -> None:
    """The latest policy that was reported, if it was not taken in."""
    with_policy = [item for item in reports if (item["fact"].get("registration") or {}).get("policy")]
    if with_policy and (code := with_policy[-1].get("policy_refused")):
        say(code, with_policy[-1]["event_id"])
