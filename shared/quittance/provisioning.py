"""What the invoicing API must hold for a business customer before documents can be issued: its entity, taxes and webhook.

Every step first finds what an earlier run made, stores its intent (exact body and idempotency key) before it creates anything,
and stores what came of it. So a run may be killed between any two requests: the next one goes on, and makes nothing twice.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from quittance.customers import EntityTax
from quittance.entities import (
    ENTITIES,
    OWNER_KEY,
    TAXES,
    WEBHOOKS,
    as_entity_tax,
    connection_of,
    current_percent,
    entity_body,
    entity_changes,
    entity_fields,
    fiscal_duties,
    malformed_tax_number,
    missing_fields,
    oldest,
    owned_metadata,
    owner_of,
    tax_body,
    tax_called,
    tax_of_rate,
    webhook_body,
    webhook_url,
)
from quittance.errors import InDoubt, Park, QuittanceError, Retry
from quittance.mapping import idempotency_key, to_json
from quittance.policy import Policy, Rate, policy_from_json
from quittance.storage import Absent, AbsentOrEquals, ConditionFailedError, Equals, Item, Put, Table, Write

if TYPE_CHECKING:
    from quittance.space_invoices import SpaceInvoices

PROFILE = "PROFILE"
NEW_KEY_AFTER_S = 6 * 3600
"""When an intent is this old and the API still shows nothing of it, it gets a new key: the old one may replay a failure."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

Say: TypeAlias = Callable[[str, str], None]
"""Takes a finding: its code and its subject."""


def customer_pk(customer_id: str) -> str:
    return f"BUSINESS_CUSTOMER#{customer_id}"


def entity_pk(entity_id: str) -> str:
    """Who uses an entity: an entity serves one business customer, whatever its metadata came to say."""
    return f"ENTITY#{entity_id}"


class StoreSecret(Protocol):
    """Keeps the signing secret of a connection with Space Invoices. Raises `Retry` when it is not known to be kept."""

    def __call__(self, connection: str, secret: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Where the API is to report changes to, and who keeps the secrets that it signs them with."""

    base_url: str
    """The stack's public HTTPS address, to which `/webhooks/{provider}/{connection}` is added."""
    store_secret: StoreSecret


class ProfileFile:
    """A business customer's PROFILE item: what was registered, what the API holds for it, and the creation under way."""

    def __init__(self, table: Table, customer_id: str, item: Item | None) -> None:
        self._table = table
        self.id = customer_id
        self.item: Item = item or {"pk": customer_pk(customer_id), "sk": PROFILE, "version": 0, "profile": {}, "entity_id": None}

    @property
    def profile(self) -> dict[str, Any]:
        profile: dict[str, Any] = self.item["profile"]
        return profile

    @property
    def entity_id(self) -> str | None:
        entity_id: str | None = self.item["entity_id"]
        return entity_id

    @property
    def policies(self) -> tuple[Policy, ...]:
        """Empty before the first registration."""
        return policies_of(self.item)

    @property
    def taxes(self) -> dict[str, EntityTax]:
        return taxes_of(self.item)

    @property
    def is_platform(self) -> bool:
        return bool(self.item.get("is_platform"))

    def commit(self, *others: Write, **changes: Any) -> None:  # noqa: ANN401 - attributes of the item
        """Store the profile with these changes, and the other writes with it. A change to None removes the attribute.

        Raises `Retry` if another run changed the profile meanwhile, and `storage.ConditionFailedError` if only a condition of the
        other writes was false.
        """
        version = self.item["version"]
        kept = {name: value for name, value in (self.item | changes).items() if value is not None or name == "entity_id"}
        item = kept | {"version": version + 1}
        try:
            self._table.commit([Put(item, Equals("version", version) if version else Absent()), *others])
        except ConditionFailedError:
            stored = self._table.read(item["pk"], PROFILE)
            if (stored["version"] if stored else 0) == version:
                raise
            raise Retry("customer_contended", delay_s=1) from None
        self.item = item


def policies_of(profile: Item) -> tuple[Policy, ...]:
    return tuple(policy_from_json(policy) for policy in profile.get("policies", ()))


def taxes_of(profile: Item) -> dict[str, EntityTax]:
    return {name: EntityTax(**tax) for name, tax in profile.get("taxes", {}).items()}


class Provisioner:
    """Brings what the API holds for one business customer to what is registered; asks nothing where it is there already."""

    def __init__(
        self, *, api: SpaceInvoices, stage: str, environment: str, now: Callable[[], int], webhooks: Webhooks | None
    ) -> None:
        self._api = api
        self._stage = stage
        self._environment = environment
        self._now = now
        self._webhooks = webhooks

    # entity

    def entity(self, file: ProfileFile, say: Say) -> bool:
        """See to the entity. False: there is none to use, and a finding says why."""
        if fault := malformed_tax_number(file.profile):
            say("tax_number_malformed", fault)
        wanted = file.profile.get("entity_id")
        if file.entity_id is None and not (self._adopted(file, wanted, say) if wanted else self._made(file, say)):
            return False
        if wanted and wanted != file.entity_id:
            say("entity_fixed", wanted)
        for duty in file.item.get("fiscal", ()):
            say("fiscal_data_not_sent", duty)
        self._change(file, say)
        return True

    def _made(self, file: ProfileFile, say: Say) -> bool:
        """The entity that is this customer's by its metadata, or else a new one."""
        found = self._api.find_by_metadata(ENTITIES, {OWNER_KEY: file.id}, entity_id=None)
        if len(found) > 1:
            say("entity_duplicate", file.id)
        entity = oldest(found)
        if entity is None:
            entity = self._new_entity(file, say)
        if entity is None:
            return False
        return self._use(file, entity, _held(entity, entity_fields(file.profile)), say)

    def _new_entity(self, file: ProfileFile, say: Say) -> dict[str, Any] | None:
        missing = missing_fields(file.profile["country"], entity_fields(file.profile))
        if missing:
            say("entity_incomplete", " ".join(missing))
            return None
        try:
            return self._create(file, ENTITIES, f"/{ENTITIES}", entity_body(file.id, file.profile, self._environment))
        except Park as refusal:
            say("entity_refused", str(refusal))
            return None

    def _adopted(self, file: ProfileFile, wanted: str, say: Say) -> bool:
        """The entity that the platform chose, unless it is somebody else's. It is claimed before it is touched."""
        entity = self._look_at(wanted)
        if entity is None:
            say("entity_unknown", wanted)
            return False
        owner = owner_of(entity)
        if owner not in {"", file.id}:
            say("entity_taken", wanted)
            return False
        if not self._is_of_this_environment(entity, say) or not self._claim(file, wanted, say):
            return False
        if not owner:
            try:
                self._patch(wanted, owned_metadata(entity, file.id))
            except Park as refusal:
                say("entity_refused", str(refusal))
                return False
        return self._use(file, entity, _plain(entity_fields(file.profile)), say)

    def _look_at(self, entity_id: str) -> dict[str, Any] | None:
        if not _ID.fullmatch(entity_id):
            return None
        try:
            entity = self._api.get(f"/{ENTITIES}/{entity_id}", entity_id=None)
        except (Park, Retry) as failure:
            if not _says_unknown(failure):
                raise
            return None
        return entity if entity.get("id") == entity_id else None

    def _is_of_this_environment(self, entity: dict[str, Any], say: Say) -> bool:
        if entity.get("environment") in {None, self._environment}:
            return True
        say("entity_of_other_environment", str(entity["id"]))
        return False

    def _claim(self, file: ProfileFile, chosen: str, say: Say, **changes: Any) -> bool:  # noqa: ANN401 - of the profile
        """Note whose entity this is from now on, and with it what changes in the profile. False: it is another one's already."""
        claim = {"pk": entity_pk(chosen), "sk": "OWNER", OWNER_KEY: file.id}
        try:
            file.commit(Put(claim, AbsentOrEquals(OWNER_KEY, file.id)), **changes)
        except ConditionFailedError:
            say("entity_taken", chosen)
            return False
        return True

    def _use(self, file: ProfileFile, entity: dict[str, Any], sent: dict[str, Any], say: Say) -> bool:
        """Take the entity as this customer's, for good. `sent` is what it is taken to have been told."""
        country = str(entity.get("country_code") or file.profile["country"]).upper()
        if country != file.profile["country"]:
            say("entity_country_fixed", file.profile["country"])
        return self._is_of_this_environment(entity, say) and self._claim(
            file,
            str(entity["id"]),
            say,
            entity_id=str(entity["id"]),
            entity_timezone=entity.get("timezone"),
            entity_country=country,
            profile=file.profile | {"country": country},
            sent=json.dumps(sent),
            fiscal=fiscal_duties(country, entity),
            intent=None,
        )

    def _change(self, file: ProfileFile, say: Say) -> None:
        """Tell the entity what was registered since it was last told."""
        fields = _plain(entity_fields(file.profile))
        sent = json.loads(file.item.get("sent") or json.dumps(fields))
        changes = entity_changes(fields, sent)
        if not changes:
            return
        try:
            self._patch(str(file.entity_id), to_json(changes))
        except Park as refusal:
            say("entity_refused", str(refusal))
            return
        zone = {"entity_timezone": changes["timezone"]} if "timezone" in changes else {}
        file.commit(sent=json.dumps({**sent, **changes}), **zone)

    def _patch(self, entity_id: str, body: bytes) -> None:
        """A change that may be repeated without harm, so each attempt has a key of its own."""
        self._api.patch(f"/{ENTITIES}/{entity_id}", body, entity_id=None, idempotency_key=self._new_key(ENTITIES))

    # taxes

    def taxes(self, file: ProfileFile, say: Say) -> None:
        """See to the taxes of every policy. What cannot be had is a finding, and what needs it waits."""
        wanted: dict[str, Rate] = {}
        for policy in file.policies:
            wanted |= policy.tax.named_rates() if policy.tax else {}
        missing = {name: rate for name, rate in wanted.items() if name not in file.taxes}
        held = self._held_taxes(file) if any(rate.percent for rate in missing.values()) else []
        for name, rate in missing.items():
            tax = self._percentage(file, name, rate, held, say) if rate.percent else self._own_tax(file, rate.tax_id, say)
            if tax is not None:
                taxes = {known: asdict(one) for known, one in (file.taxes | {name: tax}).items()}
                file.commit(taxes=taxes, to_wake=True, intent=None)

    def _held_taxes(self, file: ProfileFile) -> list[dict[str, Any]]:
        return list(self._api.pages(TAXES, entity_id=file.entity_id))

    def _percentage(self, file: ProfileFile, name: str, rate: Rate, held: list[dict[str, Any]], say: Say) -> EntityTax | None:
        tax = tax_called(name, held)
        if tax is None and name == rate.name():
            tax = tax_of_rate(rate.percent, held, self._today())
        if tax is None:
            try:
                tax = self._create(file, f"tax {name}", f"/{TAXES}", tax_body(name, rate.percent), entity_id=file.entity_id)
            except Park as refusal:
                say("tax_refused", f"{name} {refusal}")
                return None
        if current_percent(tax, self._today()) != rate.percent:
            say("tax_rate_differs", name)
            return None
        return as_entity_tax(tax, self._today())

    def _own_tax(self, file: ProfileFile, tax_id: str, say: Say) -> EntityTax | None:
        """A tax that the entity has already, as it is now."""
        try:
            tax = self._api.get(f"/{TAXES}/{tax_id}", entity_id=file.entity_id) if _ID.fullmatch(tax_id) else {}
        except (Park, Retry) as failure:
            if not _says_unknown(failure):
                raise
            tax = {}
        if tax.get("id") != tax_id or tax.get("deleted_at") or not current_percent(tax, self._today()):
            say("tax_unknown", tax_id)
            return None
        return as_entity_tax(tax, self._today())

    # webhook

    def webhook(self, file: ProfileFile, say: Say) -> None:
        """See to the webhook, if the stack has a public address, and to its secret, which the API tells only once."""
        if self._webhooks is None:
            return
        connection = connection_of(file.id)
        url = webhook_url(self._webhooks.base_url, connection)
        known = file.item.get("webhook") or {}
        if known.get("url") == url:
            return
        try:
            made = self._new_webhook(file, url, known)
        except Park as refusal:
            say("webhook_refused", str(refusal))
            return
        self._webhooks.store_secret(connection, made["secret"])
        file.commit(webhook={"id": made["id"], "url": url}, intent=None)

    def _new_webhook(self, file: ProfileFile, url: str, known: dict[str, str]) -> dict[str, Any]:
        """A webhook in place of every earlier one: the secret of those is lost, or they report to where the stack was before.

        What is replaced is removed only after the new one has its own key stored: under the old key the API would answer with
        the one that was removed.
        """
        found = self._api.find_by_metadata(WEBHOOKS, {OWNER_KEY: file.id}, entity_id=file.entity_id)
        replaced = {str(one["id"]) for one in found if one.get("url") == url} | ({known["id"]} if known else set())
        body = webhook_body(url, file.id)
        if replaced or (file.item.get("intent") or {}).get("body") != body.decode():
            self._new_intent(file, WEBHOOKS, body)
        for webhook_id in sorted(replaced):
            self._remove(f"/{WEBHOOKS}/{webhook_id}", str(file.entity_id))
        made = self._create(file, WEBHOOKS, f"/{WEBHOOKS}", body, entity_id=file.entity_id)
        if not made.get("secret"):
            raise Park("webhook_without_secret")
        return made

    def _remove(self, path: str, entity_id: str) -> None:
        try:
            self._api.delete(path, entity_id=entity_id, idempotency_key=self._new_key(path))
        except Park as refusal:
            if not _says_unknown(refusal):
                raise

    # requests that create

    def _create(self, file: ProfileFile, step: str, path: str, body: bytes, *, entity_id: str | None = None) -> dict[str, Any]:
        """Create under a stored intent: the one that an earlier run of this step left, or a new one.

        After a refusal the intent is forgotten, so that a mended registration makes a new one. Raises as the client does.
        """
        intent = file.item.get("intent")
        if intent is None or intent["step"] != step:
            intent = self._new_intent(file, step, body)
        elif self._now() - intent["at"] >= NEW_KEY_AFTER_S:
            intent = self._new_intent(file, step, intent["body"].encode())
        try:
            answer = self._api.create(path, intent["body"].encode(), entity_id=entity_id, idempotency_key=intent["key"])
        except Park:
            file.commit(intent=None)
            raise
        if not answer.get("id"):
            raise InDoubt("api_unreadable_answer", "no id")
        return answer

    def _new_intent(self, file: ProfileFile, step: str, body: bytes) -> Item:
        intent = {"step": step, "body": body.decode(), "key": self._new_key(f"{step}\n{file.id}"), "at": self._now()}
        file.commit(intent=intent)
        return intent

    def _new_key(self, name: str) -> str:
        return idempotency_key(self._stage, f"{name}\n{uuid.uuid4().hex}")

    def _today(self) -> date:
        return datetime.fromtimestamp(self._now(), UTC).date()


def _says_unknown(failure: QuittanceError) -> bool:
    """Whether the API says that there is no such object, or none that this key may see."""
    return failure.code == "api_not_found" or str(failure).startswith("api_refused_key: 403")


def _held(entity: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    """What an entity holds of the fields that it may be told."""
    return _plain({name: entity.get(name) for name in fields})


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as JSON has them, so that what is to be sent can be held against what was."""
    plain: dict[str, Any] = json.loads(to_json(fields))
    return plain
