"""Deriving an issued document again: from what its case knew when it was planned, the same request must come out, byte for byte.

What was known is read off the ledger: every item says since which version of its case it is known, and every report that changed
a fact says what it changed. What is not kept version by version (a business customer, what people did to documents by hand) is
tried as it was at each of its known moments: one that gives the very bytes that were sent is the proof.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from quittance.customers import policies_after, registered
from quittance.errors import Reject
from quittance.facts import fact_from_json
from quittance.mapping import Origin, request_body
from quittance.plan import Case, plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from quittance.customers import BusinessCustomer
    from quittance.documents import RecordedDocument
    from quittance.facts import Fact
    from quittance.ledger import CaseFile, DocumentEntry
    from quittance.storage import Item

NOT_PLANNED = "not planned"
"""What differs when nothing at all was derived under the document's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """What came of planning a document again."""

    differs: tuple[str, ...] = ()
    """Names of what came out differently, of the document and of its request; empty when it is the same to the byte."""

    @property
    def is_same(self) -> bool:
        return not self.differs


def derive(
    case: CaseFile,
    key: str,
    reports: Sequence[Item],
    customers: Sequence[BusinessCustomer],
    platforms: Sequence[BusinessCustomer | None] = (None,),
) -> Derivation:
    """Plan the document of this key once more from what was known when it was.

    `reports` are the case's (`Ledger.reports`). `customers` and `platforms` are the business customer and the issuer of its fees
    as they are, and as they were (`through_time`).
    """
    entry = case.documents[key]
    facts = tuple(_facts_known_to(case, key, reports))
    least: tuple[str, ...] | None = None
    for observed, customer, platform in product((True, False), customers, platforms):
        known = Case(
            facts=facts,
            documents=tuple(_documents_known_to(case, key, observed=observed)),
            evidence=case.evidence,
            fees=tuple(fee for name, fee in case.fees.items() if _is_known(case, f"FEE#{name}", key)),
        )
        differs = _differences(case, entry, known, customer, platform if customer.is_charged_fees else None, reports)
        least = differs if least is None or len(differs) < len(least) else least
        if not least:
            break
    return Derivation(differs=least or ())


def through_time(customer: BusinessCustomer, registrations: Iterable[Item]) -> list[BusinessCustomer]:
    """A business customer as it is, and as it was after each of its registrations but the last, newest first."""
    in_order = sorted(registrations, key=lambda item: (item.get("version", 0), item["recorded_at"]))
    states = []
    known: list[Fact] = []
    policies: tuple[Any, ...] = ()
    for item in in_order:
        fact = fact_from_json(item["fact"])
        known.append(fact)
        with suppress(Reject):  # what was refused then is refused again
            policies = policies_after(policies, fact)
        profile = registered(customer.id, known, None).profile | {"country": customer.profile.get("country")}
        states.append(replace(customer, profile=profile, policies=policies or customer.policies))
    return [customer, *reversed(states)]


# --- what was known ------------------------------------------------------------------------------------------------------


def _planned_in(case: CaseFile, key: str) -> tuple[str, int]:
    """The case in which a document was planned, and as of which version that case has it."""
    return case.since[f"DOC#{key}"].homes(case.id)[0]


def _is_known(case: CaseFile, sk: str, key: str) -> bool:
    """Whether something that is planned too was there before the document was planned, or came in with a case that was joined."""
    home, version = _planned_in(case, key)
    homes = case.since[sk].homes(case.id)
    known_at = dict(homes).get(home)
    return known_at is not None and (known_at < version or (known_at == version and homes[0][0] != home))


def _facts_known_to(case: CaseFile, key: str, reports: Sequence[Item]) -> Iterator[Fact]:
    home, version = _planned_in(case, key)
    for identity, fact in case.facts.items():
        homes = case.since[f"FACT#{identity}"].homes(case.id)
        known_at = dict(homes).get(home)
        if known_at is not None and known_at <= version:
            places = {name: place for place, (name, _) in enumerate(homes)}
            merges = [(places.get(_case_id(one), 0), one["version"], one) for one in reports if _changed(one, identity)]
            later = [one for one in merges if one[:2] > (places[home], version)]
            yield _without(fact, [one["before"] for _, _, one in sorted(later, key=lambda one: one[:2], reverse=True)])


def _case_id(report: Item) -> str:
    return str(report["pk"].split("#", 3)[3])


def _changed(report: Item, identity: str) -> bool:
    return bool(report["fact"] == identity and report.get("before"))


def _without(fact: Fact, changes: Iterable[Item]) -> Fact:
    """The fact before these changes, the newest of which comes first."""
    data = fact.to_json()
    for before in changes:
        data = {name: value for name, value in (data | before).items() if value is not None}
    return fact_from_json(data)


def _documents_known_to(case: CaseFile, key: str, *, observed: bool) -> Iterator[RecordedDocument]:
    for name, entry in case.documents.items():
        if name != key and _is_known(case, f"DOC#{name}", key):
            yield entry.record if observed else replace(entry.record, observed=None)


# --- what comes of it ----------------------------------------------------------------------------------------------------


def _differences(  # noqa: PLR0913, PLR0917 - everything that a request follows from
    case: CaseFile,
    entry: DocumentEntry,
    known: Case,
    customer: BusinessCustomer,
    platform: BusinessCustomer | None,
    reports: Sequence[Item],
) -> tuple[str, ...]:
    document = entry.record.document
    derived = next((one for one in plan(known, customer, platform).documents if one.key == document.key), None)
    if derived is None:
        return (NOT_PLANNED,)
    fact = next(fact for fact in known.facts if fact.identity == derived.fact)
    origin = Origin(customer, fact, _event_of(case, entry, reports))
    body = request_body(derived, origin, {one.document.key: one for one in known.documents}).decode()
    differs = [field.name for field in fields(document) if getattr(document, field.name) != getattr(derived, field.name)]
    return tuple(differs if body == entry.body else [*differs, *_differing_fields(body, entry.body)])


def _event_of(case: CaseFile, entry: DocumentEntry, reports: Sequence[Item]) -> str:
    """The event that the request named: of cases that were joined each may have known another one as the first."""
    fact = entry.record.document.fact
    known = {case.event_ids[fact], *(one["event_id"] for one in reports if one["fact"] == fact)}
    named = _json(entry.body).get("metadata", {}).get("event_id")
    return named if named in known else case.event_ids[fact]


def _differing_fields(one: str, other: str) -> list[str]:
    left, right = _json(one), _json(other)
    return [f"request.{name}" for name in sorted({*left, *right}) if left.get(name) != right.get(name)] or ["request"]


def _json(body: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(body or "{}")
    return data
