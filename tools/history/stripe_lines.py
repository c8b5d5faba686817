"""Stripe's JSON, one a line: events as they were delivered, or the objects themselves as its API lists them.

An object is read as the event that would have told of its present state. It does not say when it came into that state, so what
it states happened when the object was made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.history import HistoryError
from tools.history.deliveries import delivered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tools.history import Reported, Row, Settings

NAME = "stripe"
_EVENTS = frozenset({"event", "v2.core.event"})


def recognises(header: Sequence[str]) -> bool:
    """Balance transactions have a reader of their own: `stripe_balance`."""
    return ({"object", "id"} <= set(header) and "fee_details" not in header) or {"object", "data"} <= set(header)


def facts(rows: Iterable[Row], account: str | None, settings: Settings) -> Iterator[Reported | HistoryError]:
    """Objects name no account: theirs is `account`, or else that of the deliveries on the connection `default`."""
    refunds = _Refunds()
    for line, row in rows:
        for found in _objects(row):
            refunds.note(line, found)
            for event in [found] if found.get("object") in _EVENTS else _events(found):
                yield from delivered("stripe", line, event, account, settings)
    yield from refunds.missing()


def _objects(row: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The object of a line, or those of a page that the API listed."""
    listed = row.get("data") if row.get("object") == "list" else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else [row]


def _events(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The events that would have told of an object; none for what states nothing about money."""
    kind, at = _told_by(found)
    if kind:
        yield _event(kind, found, at)
    if listed := _listed_refunds(found):
        times = [one["created"] for one in listed if isinstance(one.get("created"), int)]
        yield _event("charge.refunded", found, max(times, default=at))


def _event(kind: str, found: Mapping[str, Any], at: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    event = {"id": f"{found.get('id')}:{kind}", "object": "event", "type": kind, "created": at, "data": {"object": dict(found)}}
    return event | ({"livemode": found["livemode"]} if isinstance(found.get("livemode"), bool) else {})


def _listed_refunds(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The refunds that a charge of an older API version, or an expanded one, lists."""
    refunds = found.get("refunds") if found.get("object") == "charge" else None
    listed = refunds.get("data") if isinstance(refunds, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _told_by(found: Mapping[str, Any]) -> tuple[str, Any]:
    """The type of event that an object's state calls for, and when it happened. An empty type: none."""
    created, status, kind = found.get("created"), found.get("status"), ""
    match found.get("object"):
        case "payment_intent":
            kind = _INTENT.get(str(status), "")
            if status in {"requires_payment_method", "canceled"} and found.get("last_payment_error"):
                kind = "payment_intent.payment_failed"
        case "charge":
            kind = {"failed": "charge.failed", "succeeded": "charge.succeeded"}.get(str(status), "")
        case "refund":
            kind = "refund.updated"
        case "dispute":
            kind = "charge.dispute.closed" if status in {"won", "lost"} else "charge.dispute.created"
        case "invoice" if status == "paid" or found.get("paid") is True:
            moved = found.get("status_transitions")
            kind, created = "invoice.paid", (moved.get("paid_at") if isinstance(moved, dict) else None) or created
        case "invoice_payment" if status == "paid":
            kind = "invoice_payment.paid"
        case "checkout.session" if found.get("payment_status") == "paid":
            kind = "checkout.session.completed"
        case "payout":
            kind, created = "payout.updated", (found.get("arrival_date") if status == "paid" else None) or created
        case _:
            pass
    return kind, created


_INTENT = {"succeeded": "payment_intent.succeeded", "requires_capture": "payment_intent.amount_capturable_updated"}


class _Refunds:
    """What charges say was refunded of them, against the refunds that the file holds: a charge alone does not date or name them.

    Holds one entry for each refunded charge that does not list its refunds.
    """

    def __init__(self) -> None:
        self._said: dict[str, tuple[int, int]] = {}
        self._held: dict[str, int] = {}

    def note(self, line: int, found: Mapping[str, Any]) -> None:
        match found:
            case {"object": "charge", "id": str(name), "amount": int(amount), "amount_refunded": int(refunded)} if (
                refunded and not _listed_refunds(found)
            ):
                captured = found.get("amount_captured")
                released = amount - captured if isinstance(captured, int) else 0
                self._said[name] = line, refunded - (released if released <= refunded else 0)
            case {"object": "refund", "charge": str(name), "amount": int(amount), "status": str(status)}:
                is_gone = status in {"failed", "canceled"}
                self._held[name] = self._held.get(name, 0) + (0 if is_gone else amount)
            case _:
                pass

    def missing(self) -> Iterator[HistoryError]:
        for name, (line, refunded) in self._said.items():
            if refunded > self._held.get(name, 0):
                yield HistoryError(line, "a refunded charge whose refunds are not in the file: add Stripe's refunds to it")
