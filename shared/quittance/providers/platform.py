"""The fintech's own events: CloudEvents 1.0 in structured JSON mode, signed by the Standard Webhooks scheme."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import fastjsonschema

from quittance.countries import iso_country
from quittance.errors import Reject
from quittance.facts import (
    INTERNAL_TYPES,
    PAYOUT_TYPES,
    REGISTRATION_TYPES,
    Fact,
    FactType,
    Item,
    Payer,
    PayoutAdjustment,
    PayoutLine,
)
from quittance.money import EXPONENTS, VALUE_MAX, Money, money_from_minor_units
from quittance.policy import policy_from_json
from quittance.providers import SIGNATURE_MISMATCH, SIGNATURE_MISSING, Acknowledgement, Translation
from quittance.providers.payload import ID_BYTES_MAX, any_equal, json_object, signed_at, utc_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PROVIDER = "platform"
TOLERANCE_S = 300
"""How far the sender's clock may be from ours, in either direction. Standard Webhooks' own libraries allow the same."""

_SCHEMA = Path(__file__).parents[1] / "schemas" / "platform-events.json"
EVENT_TYPES = frozenset(str(kind) for kind in FactType if kind not in INTERNAL_TYPES)

ID_MISMATCH = "event_id_is_not_webhook_id"
DOES_NOT_MATCH_SCHEMA = "event_does_not_match_schema"


# --- verify ------------------------------------------------------------------------------------------------------------


def verify(raw: bytes, headers: Mapping[str, str], secrets: Sequence[str], now_s: int) -> None:
    """Standard Webhooks: an HMAC-SHA256 over `id.timestamp.body` in one of several `v1` signatures, under any live secret.

    The event's own id must be the signed `webhook-id`.

    Raises `Reject` with a signature code, or with `event_id_is_not_webhook_id`.
    """
    webhook_id, timestamp, signatures = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (webhook_id and timestamp and signatures):
        raise Reject(SIGNATURE_MISSING)
    signed = f"{webhook_id}.{signed_at(timestamp, now_s, TOLERANCE_S)}.".encode("utf-8", "replace") + raw
    expected = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()) for key in _keys(secrets)]
    if not any_equal(expected, _v1(signatures)):
        raise Reject(SIGNATURE_MISMATCH)
    if json_object(raw).get("id") != webhook_id:
        raise Reject(ID_MISMATCH)


def _keys(secrets: Sequence[str]) -> Iterator[bytes]:
    for secret in secrets:
        try:
            key = base64.b64decode(secret.removeprefix("whsec_") + "==")
        except (binascii.Error, ValueError):
            continue
        if key:
            yield key


def _v1(signatures: str) -> Iterator[str]:
    for signature in signatures.split():
        version, _, value = signature.strip(",").partition(",")
        if version == "v1":
            yield value


# --- translate -----------------------------------------------------------------------------------------------------------


def translate(raw: bytes, connection: str, settings: Mapping[str, Any]) -> Translation:  # noqa: ARG001
    """The fact a platform event states; an event of an unknown type is ignored.

    Properties of `data` that the schema does not know are tolerated and dropped; a known one of another type is not tolerated.

    Raises `Reject`, whose message names the JSON path that is wrong and never the value there.
    """
    event = json_object(raw)
    kind = event.get("type")
    if not isinstance(kind, str) or kind not in EVENT_TYPES:
        _validate(event, None)
        customer = event["data"].get("business_customer")
        account = customer if isinstance(customer, str) and customer and _is_short(customer) else f"connection:{connection}"
        return Translation(event_id=event["id"], event_type=event["type"], account=account, ignored="unknown_event_type")
    _validate(event, kind)
    fact = _fact(FactType(kind), _known_properties(kind, event["data"]), utc_instant(event["time"]))
    return Translation(event_id=event["id"], event_type=event["type"], account=fact.account, facts=(fact,))


def acknowledge() -> Acknowledgement:
    return Acknowledgement()


def _validate(event: dict[str, Any], kind: str | None) -> None:
    try:
        _validator(kind)(event)
    except fastjsonschema.JsonSchemaValueException as error:
        # The library prefixes every path with the name of its variable.
        raise Reject(DOES_NOT_MATCH_SCHEMA, _what_is_wrong(error).removeprefix("data.")) from None


def _what_is_wrong(error: fastjsonschema.JsonSchemaValueException) -> str:
    """The path and what is allowed there, never what was there: it may be personal data, names of properties included."""
    definition = error.definition
    match error.rule:
        case "additionalProperties":
            if "patternProperties" in definition and "description" in definition:
                return f"{error.name} must not contain other properties. {definition['description']}"
            names = [*definition.get("properties", ()), *(f"names like {one}" for one in definition.get("patternProperties", ()))]
            return f"{error.name} must not contain other properties than {', '.join(names)}"
        case "format" if error.rule_definition == "date-time":
            return f"{error.message}: an instant with its offset such as 2026-11-20T10:00:00Z"
        case "pattern" | "type" if "description" in definition:
            return f"{error.name} must be {' or '.join(_listed(definition['type']))}. {definition['description']}"
        case _:
            return str(error.message)


def _listed(types: str | list[str]) -> list[str]:
    return [types] if isinstance(types, str) else types


@cache
def _validator(kind: str | None) -> Callable[[Any], Any]:
    """A validator for events of one type. Compiling the schema of every type costs much more than the one that is needed."""
    schema = {name: value for name, value in _schema().items() if name != "allOf"}
    if kind is not None:
        schema["properties"] = schema["properties"] | {"data": {"$ref": f"#/definitions/{kind}"}}
    validator: Callable[[Any], Any] = fastjsonschema.compile(schema, formats=_FORMATS, use_default=False)
    return validator


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    return schema


def _known_properties(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    definitions = _schema()["definitions"]
    shape = definitions[definitions[kind]["$ref"].rpartition("/")[2]]
    return {name: value for name, value in data.items() if name in shape["properties"]}


def _is_instant(text: str) -> bool:
    try:
        return bool(utc_instant(text))
    except ValueError:
        return False


def _is_day_or_instant(text: str) -> bool:
    try:
        return bool(_day_or_instant(text))
    except ValueError:
        return False


def _day_or_instant(text: str) -> str:
    is_day = len(text) == len("2026-11-20") and text[4] == text[7] == "-"
    return date.fromisoformat(text).isoformat() if is_day else utc_instant(text)


def _is_short(name: str) -> bool:
    return len(name.encode()) <= ID_BYTES_MAX


def _is_time_zone(name: str) -> bool:
    try:
        return bool(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False


_FORMATS: dict[str, Callable[[str], bool]] = {
    "date-time": _is_instant,
    "day-or-instant": _is_day_or_instant,
    "iana-time-zone": _is_time_zone,
    "business-id": _is_short,
    "iso-4217": lambda code: code.upper() in EXPONENTS,
}


# --- facts ---------------------------------------------------------------------------------------------------------------


_KEY_OF = {
    FactType.PAYMENT_CAPTURED: "capture_id",
    FactType.SUBSCRIPTION_RENEWED: "invoice_id",
    FactType.REFUND_SUCCEEDED: "refund_id",
    FactType.REFUND_FAILED: "refund_id",
    FactType.DISPUTE_OPENED: "dispute_id",
    FactType.DISPUTE_WON: "dispute_id",
    FactType.DISPUTE_LOST: "dispute_id",
    FactType.PAYOUT_PAID: "payout_id",
    FactType.PAYOUT_FAILED: "payout_id",
}
"""The property that holds the business key; a payment's own id for the types not listed."""


def _fact(kind: FactType, data: dict[str, Any], occurred_at: str) -> Fact:
    customer = data["business_customer"]
    if kind in REGISTRATION_TYPES:
        return Fact(
            type=kind,
            provider=PROVIDER,
            account=customer,
            key=customer,
            occurred_at=occurred_at,
            registration=_registration(data, kind, occurred_at),
        )
    amount = _amount(data["amount"])
    period_start, period_end = _period(data)
    return Fact(
        type=kind,
        provider=PROVIDER,
        account=customer,
        key=data[_KEY_OF.get(kind, "payment_id")],
        occurred_at=occurred_at,
        # Of several captures each can fail once; a payment as a whole fails under its own id.
        occurrence=data.get("capture_id", "") if kind is FactType.PAYMENT_FAILED else "",
        amount=amount,
        payout_lines=_payout_lines(data, amount.currency) if kind in PAYOUT_TYPES else (),
        payout_adjustments=tuple(_payout_adjustments(data, amount.currency)) if kind in PAYOUT_TYPES else (),
        items=_items(data, amount),
        payer=_payer(data.get("customer")),
        fee=_amount(data["fee"]) if "fee" in data else None,
        # The only billing invoices the platform speaks of are those of its `subscription.renewed` events.
        awaits_renewal=True if "invoice_id" in data and kind is not FactType.SUBSCRIPTION_RENEWED else None,
        payment_id=data.get("payment_id"),
        invoice_id=data.get("invoice_id"),
        capture_id=data.get("capture_id"),
        subscription_id=data.get("subscription_id"),
        subscription_plan=data.get("plan"),
        method=data.get("method"),
        order_id=data.get("order_id"),
        description=data.get("description") or None,
        period_start=period_start,
        period_end=period_end,
        reason=data.get("reason") or None,
    )


def _amount(amount: dict[str, Any]) -> Money:
    return money_from_minor_units(amount["value"], amount["currency"])


def _registration(data: dict[str, Any], kind: FactType, occurred_at: str) -> dict[str, Any]:
    accounts = [{"provider": account["provider"], "account": account["account"]} for account in data.get("accounts", ())]
    codes = {"country": iso_country(data["country"])} | ({"currency": data["currency"].upper()} if "currency" in data else {})
    address = {"address": _address(data["address"])} if "address" in data else {}
    policy = {"policy": _policy(data["policy"], kind, occurred_at)} if "policy" in data else {}
    return data | codes | address | policy | ({"accounts": accounts} if "accounts" in data else {})


def _policy(policy: dict[str, Any], kind: FactType, occurred_at: str) -> dict[str, Any]:
    """The policy with its rates as text: a float has no place in a ledger."""
    for name in ("version", "due_days"):
        if isinstance(policy.get(name), float):  # the schema's integers include 14.0
            raise Reject("policy_number_not_whole", f"data.policy.{name} must be written without a decimal point")
    data: dict[str, Any] = json.loads(json.dumps(policy), parse_float=str)
    if "effective_from" in data:
        data["effective_from"] = utc_instant(data["effective_from"])
        if kind is FactType.BUSINESS_CUSTOMER_UPDATED and data["effective_from"] < occurred_at:
            raise Reject("policy_reaches_back", "data.policy.effective_from must not lie before the event's time")
    policy_from_json(data)
    return data


_ADDRESS = ("line1", "line2", "city", "postal_code", "state")


def _address(address: dict[str, Any]) -> dict[str, Any]:
    return {part: address[part] for part in _ADDRESS if part in address}


def _payer(customer: dict[str, Any] | None) -> Payer | None:
    if not customer:
        return None
    address = _address(customer.get("address", {}))
    return Payer(
        name=customer.get("name"),
        email=customer.get("email"),
        country=iso_country(customer["country"]) if "country" in customer else None,
        tax_number=customer.get("tax_number"),
        **address,
    )


def _period(data: dict[str, Any]) -> tuple[str | None, str | None]:
    if "period_start" not in data:
        return None, None
    start, end = _day_or_instant(data["period_start"]), _day_or_instant(data["period_end"])
    if end[: len("2026-11-20")] < start[: len("2026-11-20")]:
        raise Reject("period_ends_before_it_starts")
    return start, end


def _items(data: dict[str, Any], total: Money) -> tuple[Item, ...]:
    """The lines with the amount of each line; the platform may have written the price of one unit instead.

    Lines that come to less than the total are let through: their prices may be before tax, which only the policy knows.
    Raises `Reject` if they come to more.
    """
    items = [
        Item(
            name=item["name"],
            quantity=int(item.get("quantity", 1)),
            amount=_part(item["amount"], total.currency),
            tax_class=item.get("tax_class", ""),
        )
        for item in data.get("items", ())
    ]
    priced = [replace(item, amount=item.quantity * item.amount) for item in items]
    for lines in (items, priced):
        if sum(line.amount for line in lines) == total.value:
            return tuple(lines)
    if sum(line.amount for line in items) > total.value:
        raise Reject("items_do_not_add_up", "the items come to more than the amount")
    return tuple(items)


def _payout_lines(data: dict[str, Any], currency: str) -> tuple[PayoutLine, ...]:
    return tuple(
        PayoutLine(
            payment_id=line["payment_id"],
            gross=_part(line["gross"], currency),
            fee=_part(line["fee"], currency),
            net=_part(line["net"], currency),
        )
        for line in data["payments"]
    )


_ADJUSTMENTS = {"refunds": "refund", "disputes": "dispute", "other": "other"}
"""A list of a payout, and what its entries are."""


def _payout_adjustments(data: dict[str, Any], currency: str) -> Iterator[PayoutAdjustment]:
    """What else a payout holds. An entry that says too little is kept without an amount: it shows when the payout is tied out."""
    for name, kind in _ADJUSTMENTS.items():
        for place, entry in enumerate(data.get(name, ())):
            unread = PayoutAdjustment(kind="unknown", id=f"{name}[{place}]", gross=0, fee=0, net=0)
            yield (_adjustment(entry, kind, currency) if isinstance(entry, dict) else None) or unread


def _adjustment(entry: dict[str, Any], kind: str, currency: str) -> PayoutAdjustment | None:
    """A refund or dispute takes its amount from the payout, and gives it back if that is negative; anything else adds it."""
    amount, fee = (_signed_part(entry.get(name, 0), currency) for name in ("amount", "fee"))
    if not amount or fee is None:
        return None
    gross = amount if kind == "other" else -amount
    payment_id = _id_said(entry, "payment_id")
    return PayoutAdjustment(
        kind=(_id_said(entry, "kind") or kind) if kind == "other" else kind,
        id=_id_said(entry, f"{kind}_id") or _id_said(entry, "id") or payment_id or kind,
        payment_id=payment_id,
        gross=gross,
        fee=fee,
        net=gross - fee,
    )


def _signed_part(said: object, currency: str) -> int | None:
    """Minor units of the payout's currency, which may be named again; None for anything else."""
    value, named = (said.get("value"), said.get("currency")) if isinstance(said, dict) else (said, currency)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > VALUE_MAX:
        return None
    return value if isinstance(named, str) and named.upper() == currency else None


def _id_said(entry: dict[str, Any], name: str) -> str | None:
    value = entry.get(name)
    return value if isinstance(value, str) and _is_short(value) else None


def _part(amount: float | dict[str, Any], currency: str) -> int:
    """The minor units of a part, which may name the currency of the whole again but no other."""
    value = amount
    if isinstance(amount, dict):
        value = amount["value"]
        if amount["currency"].upper() != currency:
            raise Reject("currencies_differ")
    if not isinstance(value, int):  # the schema's integers include 5.0
        raise Reject("amount_not_integer")
    return value
