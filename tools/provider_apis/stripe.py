"""The part of Stripe's API that is read: single objects, the payments of invoices, and what a payout holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_COLLECTION_OF = {"checkout.session": "checkout/sessions"}
_BALANCE_TRANSACTIONS = "balance_transactions"


class Stripe:
    """Answers from the latest snapshot of each object in the sample deliveries, and from the objects and lists in `objects/`."""

    def __init__(self, samples: Path) -> None:
        """`samples` is the folder of Stripe's sample deliveries."""
        self._objects: dict[str, dict[str, Any]] = {}
        events = [json.loads(file.read_bytes()) for file in sorted(samples.glob("*.json"))]
        for event in sorted((event for event in events if "data" in event), key=lambda event: int(event["created"])):
            found = event["data"]["object"]
            self._keep(found)
        for file in (samples / "objects").glob("charge.*.json"):
            self._keep(json.loads(file.read_bytes()))
        self._paid_out: dict[str, list[dict[str, Any]]] = {
            file.stem.partition(".")[2]: json.loads(file.read_bytes())
            for file in sorted((samples / "objects").glob(f"{_BALANCE_TRANSACTIONS}.*.json"))
        }

    def _keep(self, found: dict[str, Any]) -> None:
        self._objects[f"{_collection(found['object'])}/{found['id']}"] = found

    def refusal(self, headers: Mapping[str, str]) -> int | None:
        """A request must say which version of the API it means."""
        return None if headers.get("stripe-version") else 400

    def answer(self, path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        match path.removeprefix("v1/"):
            case "balance_transactions":
                return _page(self._paid_out.get(query.get("payout", ""), []))
            case "invoice_payments":
                paid = self._payments(query.get("invoice"), query.get("payment[payment_intent]"))
                return _page([self._with_invoice(link) for link in paid] if "expand[0]" in query else paid)
            case place:
                return self._single(place)

    def _single(self, place: str) -> dict[str, Any] | None:
        found = self._objects.get(place)
        if found and found["object"] == "invoice":
            return found | {"payments": _page(self._payments(found["id"], None))}
        return found

    def _payments(self, invoice: str | None, intent: str | None) -> list[dict[str, Any]]:
        links = [found for found in self._objects.values() if found["object"] == "invoice_payment"]
        of_invoice = [link for link in links if invoice in {None, link["invoice"]}]
        return [link for link in of_invoice if intent in {None, link["payment"]["payment_intent"]}]

    def _with_invoice(self, link: dict[str, Any]) -> dict[str, Any]:
        return link | {"invoice": self._objects.get(f"invoices/{link['invoice']}", link["invoice"])}


def _collection(kind: str) -> str:
    return _COLLECTION_OF.get(kind, f"{kind}s")


def _page(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """All there is: the samples need no second page."""
    return {"object": "list", "data": objects, "has_more": False}
