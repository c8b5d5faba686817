"""What a timeline shows, before it is drawn: boxes in lanes, in the order of time, and the arrows between them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from quittance.explanation import in_print

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Lane = Literal["facts", "documents", "payouts", "calls"]
Tone = Literal["arrived", "returned", "neutral", "invoice", "credit", "record", "payout", "good", "bad"]

LANES: dict[Lane, str] = {
    "facts": "What happened",
    "documents": "Documents",
    "payouts": "Payouts",
    "calls": "Asked of the invoicing API",
}
"""Each lane with its title, from left to right."""
LATE_S = 60
"""From when on a fact is said to have been received late."""

_ARRIVED = ("payment.succeeded", "payment.captured", "payment.authorized", "subscription.renewed", "fees.closed")
_RETURNED = ("refund.succeeded", "dispute.opened", "dispute.lost", "payment.failed", "fees.returned")
_PAYOUTS = ("payment.settled", "payout.paid", "payout.failed")
_DOCUMENTS: dict[str, Tone] = {"invoice": "invoice", "credit_note": "credit"}
_RELATIONS = {
    "credit_note": "credits",
    "invoice": "takes back",
    "payment": "records money on",
    "payment_removal": "removes money from",
    "credit_application": "applies",
    "finalization": "makes final",
    "draft_removal": "takes away",
    "email": "sends",
}
_OUTCOMES = {"ok": "done", "found": "found, was made before"}
_GOOD = frozenset(_OUTCOMES)
_SECONDS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
_SHOWN_UNITS = 2


@dataclass(frozen=True, slots=True)
class Text:
    """One line in a box."""

    words: str
    tone: Tone = "neutral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """One thing in one lane. `at` is in seconds since 1970, None for what has not happened yet."""

    key: str
    lane: Lane
    at: int | None
    title: str
    amount: str = ""
    tone: Tone = "neutral"
    lines: tuple[Text, ...] = ()
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one box to another; without a head it only says that they belong together."""

    source: str
    target: str
    tone: Tone = "neutral"
    has_head: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """What happened at one second. `at` is None for the last row, of what has not happened yet."""

    at: int | None
    boxes: dict[Lane, list[Box]]


@dataclass(frozen=True, slots=True)
class Scene:
    """A whole timeline."""

    title: str
    subtitle: str
    lanes: tuple[Lane, ...]
    rows: tuple[Row, ...]
    arrows: tuple[Arrow, ...]
    notes: tuple[Text, ...] = field(default=())


def scene_of(explained: Mapping[str, Any]) -> Scene:
    """The timeline of a payment or a payout as `explain_case` explains it."""
    boxes = [*_facts(explained), *_documents(explained), *_missing(explained), *_calls(explained)]
    known = {box.key for box in boxes}
    used = {box.lane for box in boxes} | ({"facts", "documents"} if explained["kind"] == "payment" else set())
    return Scene(
        title=f"{explained['kind'].capitalize()} {explained['payment_id']}",
        subtitle="  \u00b7  ".join(part for part in _about(explained) if part),
        lanes=tuple(lane for lane in LANES if lane in used),
        rows=tuple(_rows(boxes)),
        arrows=tuple(arrow for arrow in _arrows(explained) if {arrow.source, arrow.target} <= known),
        notes=tuple(_notes(explained)),
    )


def _about(explained: Mapping[str, Any]) -> Iterator[str]:
    yield f"{explained['provider']} {explained['account']}"
    yield f"business customer {explained['business_customer'] or '(none registered yet)'}"
    yield f"also known as {', '.join(explained['also_known_as'])}" if explained["also_known_as"] else ""
    yield _standing(explained["documents"])


def between(earlier: int, later: int) -> str:
    """The time between two moments in its two largest units: `4 s`, `2 h 10 min`, `12 d 3 h`."""
    rest, parts = later - earlier, []
    for unit, seconds in _SECONDS:
        count, rest = divmod(rest, seconds)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:_SHOWN_UNITS])


def _seconds(moment: str) -> int:
    parsed = datetime.fromisoformat(moment)
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())


def _rows(boxes: Sequence[Box]) -> Iterator[Row]:
    in_order = sorted(boxes, key=lambda box: (box.at is None, box.at or 0))
    for at, together in groupby(in_order, key=lambda box: box.at):
        lanes: dict[Lane, list[Box]] = defaultdict(list)
        for box in together:
            lanes[box.lane].append(box)
        yield Row(at, lanes)


def _facts(explained: Mapping[str, Any]) -> Iterator[Box]:
    for fact in explained["facts"]:
        kind, _, key = fact["fact"].partition("#")
        is_payout = kind in _PAYOUTS
        tone: Tone = "arrived" if kind in _ARRIVED else "returned" if kind in _RETURNED else "payout" if is_payout else "neutral"
        yield Box(
            key=fact["fact"],
            lane="payouts" if is_payout else "facts",
            at=_seconds(fact["occurred_at"]),
            title=kind.replace(".", " ").replace("_", " "),
            amount=in_print(fact["amount"]),
            tone=tone,
            lines=(Text(f"in {fact['payout']}" if fact["payout"] else key), *_reports(fact), *_why_no_document(fact, is_payout)),
        )


def _reports(fact: Mapping[str, Any]) -> Iterator[Text]:
    occurred, recorded = _seconds(fact["occurred_at"]), fact["recorded_at"] and _seconds(fact["recorded_at"])
    late = f", {between(occurred, recorded)} later" if recorded and recorded - occurred >= LATE_S else ""
    yield Text(f"told by {fact['event_id'] or 'an event without id'}{late}")
    for event in fact["events"][1:]:
        fields = f"{', '.join(event.get('fields', ()))} {in_print(event.get('amount'))}".rstrip()
        match event["outcome"]:
            case "conflict":
                yield Text(f"contradicted ({fields}) by {event['event_id']}", "bad")
            case "merged":
                yield Text(f"completed ({fields}) by {event['event_id']}")
            case _:
                yield Text(f"again by {event['event_id']}")


def _why_no_document(fact: Mapping[str, Any], is_payout: bool) -> Iterator[Text]:  # noqa: FBT001 - a fact is one or not
    if fact["no_document_because"] and not is_payout:
        yield Text(f"no document: {fact['no_document_because']}")


def _documents(explained: Mapping[str, Any]) -> Iterator[Box]:
    names = {one["key"]: one["number"] or one["key"] for one in explained["documents"]}
    for one in explained["documents"]:
        yield Box(
            key=f"document {one['key']}",
            lane="documents",
            at=_seconds(one["issued_at"] or one["intended_at"]),
            title=_document_title(one),
            amount=in_print(one["amount"]),
            tone=_DOCUMENTS.get(one["kind"], "record"),
            lines=tuple(_document_lines(one, names)),
            is_dashed=one["state"] != "issued",
        )


def _document_title(one: Mapping[str, Any]) -> str:
    kind = f"{'draft ' if one.get('draft') else ''}{one['kind'].replace('_', ' ')}"
    return f"{kind[0].upper()}{kind[1:]} {one.get('number') or ''}".strip()


def _document_lines(one: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[Text]:
    if one["refers_to"]:
        yield Text(f"{_RELATIONS[one['kind']]} {names.get(one['refers_to'], one['refers_to'])}")
    yield Text(one["reason"])
    issuer = ", issued by the platform" if one["issuer"] == "platform" else ""
    yield Text(f"dated {one['date']}, policy {one['policy']}{issuer}")
    if one["state"] != "issued":
        yield Text(f"{one['state']} {one['error'] or ''}".strip(), "bad")
    elif one["error"]:
        yield Text(f"differs: {one['error']}", "bad")
    if one["seen"]:
        yield Text(f"seen {one['seen']['state']} with {in_print(one['seen']['amount'])}", "bad")


def _missing(explained: Mapping[str, Any]) -> Iterator[Box]:
    for one in explained["missing"]:
        yield Box(
            key=f"document {one['key']}",
            lane="documents",
            at=None,
            title=_document_title(one),
            amount=in_print(one["amount"]),
            tone=_DOCUMENTS.get(one["kind"], "record"),
            lines=(Text(one["reason"]), Text("missing: to be issued", "bad")),
            is_dashed=True,
        )


def _calls(explained: Mapping[str, Any]) -> Iterator[Box]:
    """The calls for one document at one second together."""
    for one in explained["documents"]:
        for at, together in groupby(one["calls"], key=lambda call: call["at"]):
            calls = list(together)
            is_good = calls[-1]["outcome"] in _GOOD
            yield Box(
                key=_calls_key(one, at),
                lane="calls",
                at=_seconds(at),
                title=_OUTCOMES.get(calls[-1]["outcome"], calls[-1]["outcome"].replace("_", " ")),
                tone="good" if is_good else "bad",
                lines=tuple(Text(_call_in_words(call), "neutral" if call["outcome"] in _GOOD else "bad") for call in calls),
            )


def _calls_key(document: Mapping[str, Any], at: str) -> str:
    return f"calls {document['key']} {at}"


def _call_in_words(call: Mapping[str, Any]) -> str:
    status = f" {call['status']}" if call["status"] else ", no answer" if call["call"] else ""
    return f"{call['call'] or 'nothing was sent'}{status}"


def _arrows(explained: Mapping[str, Any]) -> Iterator[Arrow]:
    documents = [*explained["documents"], *explained["missing"]]
    facts = {one["key"]: one["fact"] for one in documents}
    for one in documents:
        tone = _DOCUMENTS.get(one["kind"], "record")
        key = f"document {one['key']}"
        if facts.get(one["refers_to"]) != one["fact"]:  # what follows from a document needs no arrow from its fact as well
            yield Arrow(one["fact"], key, tone)
        if one["refers_to"]:
            yield Arrow(f"document {one['refers_to']}", key, tone)
        for call in {call["at"] for call in one.get("calls", ())}:
            yield Arrow(key, _calls_key(one, call), has_head=False)


def _standing(documents: Sequence[Mapping[str, Any]]) -> str:
    """What the issued invoices less the credit notes come to; fees, which are another sale, apart."""
    totals: dict[str, int] = defaultdict(int)
    sign = {"invoice": 1, "credit_note": -1}
    for one in documents:
        if one["number"] and one["issuer"] != "platform":
            totals[one["amount"]["currency"]] += sign.get(one["kind"], 0) * one["amount"]["value"]
    amounts = [in_print({"value": value, "currency": currency}) for currency, value in totals.items()]
    return f"documents stand at {', '.join(amounts)}" if amounts else ""


def _notes(explained: Mapping[str, Any]) -> Iterator[Text]:
    for waits in explained["waiting"]:
        yield Text(f"{waits['fact'] or 'Everything'} waits for {waits['for']}")
    for finding in explained["findings"]:
        what = f"{finding['code'].replace('_', ' ')} ({finding['subject']})"
        yield Text(f"Acknowledged: {what}") if finding["acknowledged"] else Text(f"Finding: {what}", "bad")
