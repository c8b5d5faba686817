"""No event of one business customer touches another's entity, whatever their ids look like and whatever they claim."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from quittance.entities import connection_of
from quittance.errors import InDoubt, Retry
from quittance.facts import Fact
from tests.unit.stories import fact, refund, succeeded
from tests.use_cases.onboarding import Asked, Onboarding

HOSTILE = (
    "a",
    "a#b",
    "a%23b",
    "a/b",
    "a b",
    "../a",
    "ä",
    "a\u0308",
    "A",
    "a-b",
    "b" * 250,
    "PROFILE",
    "connection:default",
    "'\"{}",
)
PAYMENTS = ("pay_1", "b#pay_1", "b", "1", "%23")
SHARED_ACCOUNTS = ("acct_1", "acct#1", "acct%231", "connection:default", "acct_1#", "A", "a")


class Tenants:
    """Business customers that claim accounts at random, some of them another's, and what each may therefore touch."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.world = Onboarding()
        self.ids = random.sample(HOSTILE, 6)
        self.owners: dict[tuple[str, str], str] = {}
        self.entity_of: dict[str, str] = {}
        self.named: set[tuple[str, str]] = set()
        """Customer and entity that one of its registrations named."""
        self.day = 0

    def register(self, customer_id: str) -> None:
        self.day += 1
        accounts = [("stripe", name) for name in self.random.sample(SHARED_ACCOUNTS, 3)]
        accounts += [("platform", self.random.choice(self.ids))]  # never to be had
        profile: dict[str, Any] = {"accounts": [{"provider": provider, "account": name} for provider, name in accounts]}
        profile["policy"] = {"tax": {"domestic": self.random.choice(("19", "20"))}}
        if self.entity_of and customer_id not in self.entity_of and self.random.random() < 0.3:
            profile["entity_id"] = self.random.choice(list(self.entity_of.values()))
            self.named.add((customer_id, profile["entity_id"]))
        self.world.asked.clear()
        self.world.registered(customer_id, day=self.day, **profile)
        for asked in self.world.asked:
            self._check_registration(asked, customer_id)
        entity_id = next((one["id"] for one in self.world.entities() if _owner(one) == customer_id), None)
        if entity_id:
            self.entity_of[customer_id] = entity_id
            for account in (("platform", customer_id), *accounts[:3]):
                self.owners.setdefault(account, customer_id)

    def _check_registration(self, asked: Asked, customer_id: str) -> None:
        """A foreign entity may be looked at, because its id was named, and nothing else."""
        touched = asked.entity_id or (asked.path.split("/")[2] if asked.path.count("/") > 1 else None)
        if touched is None or (asked.method == "GET" and (customer_id, touched) in self.named):
            return
        owner = {_owner(one) for one in self.world.entities() if one["id"] == touched}
        assert owner == {customer_id}, asked

    def pay(self, provider: str, account: str) -> None:
        payment_id = self.random.choice(PAYMENTS)
        money = {"provider": provider, "account": account, "payment_id": payment_id}
        kinds: list[Fact] = [
            succeeded(10000, **money),
            refund(f"re_{payment_id}", 500, **money),
            fact("dispute.lost", f"dp_{payment_id}", 300, minute=30, **money),
        ]
        self.world.asked.clear()
        self.world.take(self.random.choice(kinds))
        self._check_documents(self.owners.get((provider, account)))

    def revisit(self) -> None:
        while self.world.revisits:
            provider, account, payment_id, _ = self.world.revisits.popleft()
            self.world.asked.clear()
            self.world.converger().revisit(provider, account, payment_id)
            self._check_documents(self.owners.get((provider, account)))

    def _check_documents(self, owner: str | None) -> None:
        for asked in self.world.asked:
            assert owner is not None, asked
            assert asked.entity_id == self.entity_of[owner], asked
            assert asked.body.get("metadata", {}).get("business_customer", owner) == owner


def _owner(entity: dict[str, Any]) -> str | None:
    owner: str | None = entity["metadata"].get("business_customer")
    return owner


@pytest.mark.parametrize("seed", range(25))
def test_no_event_of_one_customer_reaches_the_entity_of_another(seed: int) -> None:
    tenants = Tenants(Random(seed))  # noqa: S311 - replayed by its seed
    providers = [("stripe", name) for name in SHARED_ACCOUNTS] + [("platform", name) for name in tenants.ids]
    for _ in range(60):
        if tenants.day < 28 and tenants.random.random() < 0.25:
            tenants.register(tenants.random.choice(tenants.ids))
            tenants.revisit()
        else:
            tenants.pay(*tenants.random.choice(providers))
    assert len(tenants.entity_of) > 1
    documents = [document for entity_id in tenants.entity_of.values() for document in tenants.world.held("invoices", entity_id)]
    assert documents
    for document in documents:
        assert document["entity_id"] == tenants.entity_of[document["metadata"]["business_customer"]]


def test_every_customer_is_told_of_on_a_connection_of_its_own() -> None:
    connections = [connection_of(customer_id) for customer_id in HOSTILE]
    assert len({name.casefold() for name in connections}) == len(HOSTILE)
    assert all(len(name) <= 64 and name.isascii() and name.replace("-", "").isalnum() for name in connections)


def test_a_race_for_one_entity_has_one_winner() -> None:
    """Both customers look at an entity that is nobody's before either has taken it."""
    world = Onboarding()
    made = world.made_by_hand("entities", {"name": "Own", "country": "Germany", "country_code": "DE"})

    def overtake(call: str) -> None:
        if call == "GET entities":
            world.after_call = lambda _: None
            world.registered("bc_2", entity_id=made["id"])

    world.after_call = overtake
    world.registered("bc_1", entity_id=made["id"])
    assert world.findings() == [("entity_taken", made["id"])]
    assert _owner(world.entities()[0]) == "bc_2"
    assert [asked.method for asked in world.asked if asked.path.startswith("/entities/")] == ["GET", "GET", "PATCH"]


def test_two_runs_of_one_registration_make_one_of_each() -> None:
    world = Onboarding()

    def overtake(call: str) -> None:
        if call == "POST entities":
            world.before_call = lambda _: None
            world.registered(policy={"tax": {"domestic": "19"}})

    world.before_call = overtake
    with pytest.raises((Retry, InDoubt)):
        world.registered(policy={"tax": {"domestic": "19"}})
    world.registered(policy={"tax": {"domestic": "19"}})
    assert (len(world.entities()), len(world.taxes()), len(world.webhooks())) == (1, 1, 1)
