"""What must hold for every answer, whatever was asked."""

from __future__ import annotations

import json
import re
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any

from quittance.errors import QuittanceError, Reject
from quittance.facts import Fact, fact_from_json
from quittance.money import EXPONENTS, VALUE_MAX, Money
from quittance.providers import Translation, provider
from quittance.runtime.queues import FUNCTION_OF
from tests.fuzz.corpus import MARKER
from tests.fuzz.ingress import CONNECTIONS, PREVIOUS, SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fuzz.deliveries import Request
    from tests.fuzz.ingress import Ingress, Outcome
    from tests.fuzz.workers import Workers

ACCEPTED = range(200, 300)
UNAVAILABLE = 503
REPEATED_EVERY = 20
"""Every so many inputs one is asked twice: the same must be queued again."""
ID_CHARACTERS_MAX = 250
REQUESTS_MAX = 45
"""Requests to SQS for one delivery: each takes some milliseconds, and the sender waits. A batch may hold 250 events."""

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_DAY_OR_INSTANT = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?", re.ASCII)
_IN_ADDRESS = re.compile(r"[A-Za-z0-9_-]{1,250}", re.ASCII)
_IDS = ("key", "account", "payment_id", "invoice_id", "capture_id", "subscription_id", "order_id")
_STATED = {"fact", "event_id", "event_type", "received_at"}
_SEEN = {"sighting", "event_id", "event_type", "received_at"}
_NAMED = {"fetch", "event_id", "event_type", "received_at"}
_IGNORED = {"provider", "account", "event_id", "event_type", "reason", "received_at"}


def violations(seed: int, asked: Request, ingress: Ingress, workers: Workers) -> tuple[Outcome, list[str]]:
    """The outcome of an input, and everything that is wrong with it."""
    outcome = ingress.asked(asked.event, asked.outage)
    if outcome.error is not None:
        return outcome, [f"raised {type(outcome.error).__name__}"]
    faults = [*_of_response(asked, outcome), *_of_writing(asked, outcome)]
    if not faults:
        faults += _of_queues(asked, outcome)
    if not faults and outcome.sent:
        faults += _of_messages(Random(seed), outcome, workers)  # noqa: S311 - it must repeat itself
    if not faults and seed % REPEATED_EVERY == 0:
        again = ingress.asked(asked.event, asked.outage)
        if again.response != outcome.response or _contents(again) != _contents(outcome):
            faults.append("the same input twice was not the same")
    return outcome, faults


# --- the answer ----------------------------------------------------------------------------------------------------------


def _of_response(asked: Request, outcome: Outcome) -> Iterator[str]:
    response = outcome.response
    if not isinstance(response, dict) or set(response) != {"statusCode", "headers", "body", "isBase64Encoded"}:
        yield "not a proxy response"
        return
    status, body, headers = response["statusCode"], response["body"], response["headers"]
    is_typed = type(status) is int and type(body) is str and response["isBase64Encoded"] is False
    if (
        not is_typed
        or not isinstance(headers, dict)
        or not all(isinstance(text, str) for pair in headers.items() for text in pair)
    ):
        yield "not a proxy response"
    elif status not in asked.answers:
        yield f"answered {status} {body[:100]}, not {sorted(asked.answers)}"
    elif status not in ACCEPTED and set(json.loads(body)) != {"error"}:
        yield "a refusal without its code"
    elif MARKER in body:
        yield "the answer repeats what was sent"


# --- what is written -----------------------------------------------------------------------------------------------------


def _of_writing(asked: Request, outcome: Outcome) -> Iterator[str]:
    for name, secret in (("secret", SECRET), ("secret", PREVIOUS), ("signature", asked.signature)):
        if secret and secret in outcome.written:
            yield f"a {name} was written"
    if MARKER in outcome.written and not _is_an_id(outcome):
        yield "what a payload says of people was written"


def _is_an_id(outcome: Outcome) -> bool:
    """Whether the marker has become an id or a type, which may be logged: payloads are cut up and put together at random."""
    named = [json.loads(sent.body) for sent in outcome.sent]
    facts = [fact_from_json(message["fact"]) for message in named if "fact" in message]
    named += [message["fetch"] for message in named if "fetch" in message]
    texts = [message.get(name) or "" for message in named for name in ("event_id", "event_type", "account", "id")]
    return any(MARKER in text for text in (*texts, *(fact.account for fact in facts), *(fact.identity for fact in facts)))


# --- what is queued ------------------------------------------------------------------------------------------------------


def _of_queues(asked: Request, outcome: Outcome) -> Iterator[str]:
    status = outcome.response["statusCode"]
    if outcome.refused:
        yield f"AWS refused {outcome.refused[0]}"
    if outcome.queue_requests > REQUESTS_MAX:
        yield f"{outcome.queue_requests} requests to SQS"
    if asked.outage and outcome.queue_requests:
        if status != UNAVAILABLE:
            yield f"answered {status} while the queues were {asked.outage}"
    elif status == UNAVAILABLE:
        yield "unavailable although the queues were not asked"
    elif status not in ACCEPTED and outcome.sent:
        yield f"answered {status} and queued"
    elif asked.is_genuine:
        yield from _of_meaning(asked, outcome)


def _of_meaning(asked: Request, outcome: Outcome) -> Iterator[str]:
    """A delivery is queued with all it means, or refused because it means nothing."""
    status, translation = outcome.response["statusCode"], _translation(asked)
    if translation is None and status in ACCEPTED:
        yield f"answered {status} to a body that cannot be read"
    if translation is None or status not in ACCEPTED:
        return
    facts = [fact_from_json(message["fact"]) for message in _messages(outcome) if "fact" in message]
    if sorted(map(repr, facts)) != sorted({repr(fact): fact for fact in translation.facts}):
        yield "the facts that were queued are not those of the delivery"
    sighting = getattr(translation, "sighting", None)
    seen = [message["sighting"] for message in _messages(outcome) if "sighting" in message]
    if seen != ([json.loads(json.dumps(sighting.to_json()))] if sighting and not facts else []):
        yield "the sighting that was queued is not that of the delivery"
    named = {(message["fetch"]["object"], message["fetch"]["id"]) for message in _messages(outcome) if "fetch" in message}
    if sorted(named) != sorted({(reference.object, reference.id) for reference in translation.fetch}):
        yield "what is to be fetched is not what the delivery names"
    if not outcome.sent:
        yield "acknowledged and not queued"


def _translation(asked: Request) -> Translation | None:
    settings = json.loads(CONNECTIONS[asked.connection].get("settings", "{}"))
    try:
        return provider(asked.provider).translate(asked.raw, asked.connection, settings)
    except Reject:
        return None


def _messages(outcome: Outcome) -> list[dict[str, Any]]:
    return [json.loads(sent.body) for sent in outcome.sent]


def _contents(outcome: Outcome) -> list[tuple[str, str, dict[str, Any]]]:
    return [(sent.queue, sent.group, _timeless(json.loads(sent.body))) for sent in outcome.sent]


def _timeless(message: dict[str, Any]) -> dict[str, Any]:
    """Without the time at which it came, which also stands in for a time that the delivery does not tell."""
    fetch = message.get("fetch", {})
    told = {"fetch": fetch | {"occurred_at": ""}} if fetch.get("occurred_at") == message["received_at"] else {}
    return message | told | {"received_at": ""}


# --- what the messages say -----------------------------------------------------------------------------------------------


def _of_messages(rng: Random, outcome: Outcome, workers: Workers) -> Iterator[str]:
    for sent in outcome.sent:
        message = json.loads(sent.body)
        if set(message) not in (_STATED, _SEEN, _NAMED, _IGNORED) or not _INSTANT.fullmatch(message["received_at"]):
            yield f"a message of {sorted(message)}"
            continue
        fact = fact_from_json(message["fact"]) if "fact" in message else None
        faults = [*_of_fact(fact, sent.queue)] if fact else []
        if fact and fact_from_json(json.loads(json.dumps(fact.to_json()))) != fact:
            faults.append("a fact does not survive its message")
        yield from faults
        if "fetch" in message:
            yield from _of_wanted(message["fetch"])
            continue
        if "sighting" in message:
            continue
        try:
            workers.take(rng, message, fact)
        except QuittanceError as error:
            yield f"{sent.queue} cannot take it: {error}"
        except Exception as error:  # noqa: BLE001 - whatever a worker raises is a message that should not have been let in
            yield f"{sent.queue} meets a defect: {type(error).__name__} {str(error)[:100]}"


def _of_wanted(wanted: dict[str, Any]) -> Iterator[str]:
    """What is fetched becomes part of an address, whoever named it."""
    if not all(isinstance(value, str) for value in wanted.values()) or not _IN_ADDRESS.fullmatch(wanted["id"]):
        yield f"fetches {str(wanted.get('id'))[:40]}"
    if not _INSTANT.fullmatch(wanted["occurred_at"]):
        yield f"fetches for what occurred at {wanted['occurred_at'][:40]}"


def _of_fact(fact: Fact, queue: str) -> Iterator[str]:
    if FUNCTION_OF.get(fact.type) != queue:
        yield f"{fact.type} on the queue of {queue}"
    if not _INSTANT.fullmatch(fact.occurred_at) or not datetime.fromisoformat(fact.occurred_at):
        yield f"occurred_at is {fact.occurred_at[:40]}"
    for name in _IDS:
        value = getattr(fact, name)
        if value is not None and not (isinstance(value, str) and 0 < len(value) <= ID_CHARACTERS_MAX):
            yield f"{name} is no id"
    for name in ("period_start", "period_end"):
        if (day := getattr(fact, name)) and not _DAY_OR_INSTANT.fullmatch(day):
            yield f"{name} is {day[:40]}"
    for name in ("amount", "fee"):
        if (amount := getattr(fact, name)) and not _is_sound(amount):
            yield f"{name} is {amount}"


def _is_sound(amount: Money) -> bool:
    return type(amount.value) is int and 0 <= amount.value <= VALUE_MAX and amount.currency in EXPONENTS
