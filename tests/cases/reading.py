"""The table of cases: what happened to a sale, and the documents that an accountant expects for it.

A case is data; `README.md` in this folder says how to read it. What it expects is checked here first, without the product: each
line's net and tax must be what its rate makes of it, and the lines must add up to the total that is written down.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import yaml

from quittance.money import EXPONENTS

FOLDER = Path(__file__).parent
EXPECTED = ("documents", "waiting", "findings", "emails")
_CENT = Decimal("0.01")
_LINE = re.compile(r"(?P<gross>[\d.]+) = (?P<net>[\d.]+) \+ (?P<tax>[\d.]+) at (?P<rate>[\d.]+)%|(?P<all>[\d.]+) no tax")
_TOTAL = re.compile(r"(?P<gross>[\d.]+) = (?P<net>[\d.]+) \+ (?P<tax>[\d.]+)")


class _Loader(yaml.SafeLoader):
    """YAML in which only whole numbers, true and false are more than text: `NO` is Norway, `119.00` has two decimals."""


_Loader.yaml_implicit_resolvers = {}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?\d+$"), list("-0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true$|false$"), list("tf"))


@dataclass(frozen=True)
class Line:
    """One printed line in major units. `rate` is None where no tax is charged or shown."""

    gross: Decimal
    net: Decimal
    tax: Decimal
    rate: Decimal | None


@dataclass(frozen=True)
class Paper:
    """An invoice or a credit note as it stands at the end of a case."""

    kind: str
    date: str
    due: str
    lines: tuple[Line, ...]
    paid: Decimal
    total: tuple[Decimal, Decimal, Decimal]
    """Gross, net, tax."""
    currency: str = "EUR"
    issuer: str = "own"
    draft: bool = False
    sale: str = ""
    """The API's name for the sale by where the parties are; empty where no tax is configured."""
    clause: str = ""
    credits: int = 0
    """Of a credit note: which invoice of the case it credits, counted from 1. Of a corrective invoice: which credit note."""


@dataclass(frozen=True)
class Story:
    """One case as it is written down."""

    name: str
    seller: dict[str, Any]
    policy: dict[str, Any] | None
    platform: dict[str, Any] | None
    registry: dict[str, str]
    taxes: dict[str, str]
    """Taxes that the seller's entity had before it was adopted: the name the policy gives them -> their rate."""
    events: list[tuple[str, str, dict[str, Any]]]
    """Time, type and data of each event, in the order of arrival."""
    papers: list[Paper]
    waiting: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    emails: int = 0
    in_any_order: bool = True
    """Whether the totals are the same in whichever order its events arrive."""


def stories() -> list[Story]:
    """Every case of every file."""
    return [_story(data, file.stem) for file in sorted(FOLDER.glob("*.yaml")) for data in yaml.load(file.read_text(), _Loader)]  # noqa: S506


def _story(data: dict[str, Any], theme: str) -> Story:
    data = dict(data)
    seller = data.pop("seller", "DE")
    story = Story(
        name=f"{theme}: {data.pop('case')}",
        seller=seller if isinstance(seller, dict) else {"country": seller},
        policy=_numbers(data.pop("policy", None)),
        platform=_numbers(data.pop("platform", None)),
        registry=data.pop("registry", {}),
        taxes=data.pop("entity taxes", {}),
        events=[event_data(*event) for event in data.pop("events")],
        papers=[paper_of(one) for one in data.pop("documents", [])],
        waiting=sorted(data.pop("waiting", [])),
        findings=sorted(data.pop("findings", [])),
        emails=data.pop("emails", 0),
        in_any_order=data.pop("in any order", True),
    )
    assert not data, f"{story.name}: not understood: {sorted(data)}"
    return story


def _numbers(value: Any) -> Any:
    """The rates of a policy as the JSON numbers that a platform sends."""
    if isinstance(value, dict):
        return {name: _numbers(one) for name, one in value.items()}
    return float(value) if isinstance(value, str) and re.fullmatch(r"\d+\.\d+", value) else value


# --- events --------------------------------------------------------------------------------------------------------------

_IDS = {
    "payment.captured": {"capture_id": "cap_1"},
    "refund.succeeded": {"refund_id": "re_1"},
    "refund.failed": {"refund_id": "re_1"},
    "dispute.opened": {"dispute_id": "dp_1"},
    "dispute.won": {"dispute_id": "dp_1"},
    "dispute.lost": {"dispute_id": "dp_1"},
    "subscription.renewed": {
        "subscription_id": "sub_1",
        "invoice_id": "in_1",
        "plan": "Pro",
        "period_start": "2026-11-01",
        "period_end": "2026-11-30",
    },
}


def event_data(at: str, kind: str, *said: Any) -> tuple[str, str, dict[str, Any]]:
    """An event as the platform would send it: the ids it needs are filled in, amounts are `11900 EUR`."""
    instant = at.replace(" ", "T") + ":00Z"
    details: dict[str, Any] = {}
    for one in said:
        details |= one if isinstance(one, dict) else {"amount": one}
    if kind == "policy":
        return instant, kind, _numbers(details)
    if kind == "payout.paid":
        return instant, kind, _payout(details)
    ids: dict[str, Any] = _IDS.get(kind, {}) | ({} if kind == "subscription.renewed" else {"payment_id": "pay_1"})
    for name in ("amount", "fee"):
        if name in details:
            details[name] = _amount(details[name])
    if "buyer" in details:
        details["customer"] = _buyer(details.pop("buyer"))
    if "items" in details:
        details["items"] = [_item(*item) for item in details["items"]]
    return instant, kind, ids | details


def _amount(text: str) -> dict[str, Any]:
    value, currency = text.split()
    return {"value": int(value), "currency": currency}


def _buyer(text: str) -> dict[str, Any]:
    country, _, number = text.partition(" ")
    buyer = {"name": "Buyer", "email": "buyer@example.com", "country": country}
    return buyer | ({"tax_number": number} if number else {})


def _item(name: str, amount: int, tax_class: str = "") -> dict[str, Any]:
    return {"name": name, "amount": amount} | ({"tax_class": tax_class} if tax_class else {})


def _payout(details: dict[str, Any]) -> dict[str, Any]:
    """`{currency: EUR, payments: [[pay_1, gross, fee, net]]}`."""
    lines = [dict(zip(("payment_id", "gross", "fee", "net"), line, strict=True)) for line in details["payments"]]
    total = {"value": sum(line["net"] for line in lines), "currency": details.get("currency", "EUR")}
    return {"payout_id": details.get("payout_id", "po_1"), "amount": total, "payments": lines}


# --- documents -----------------------------------------------------------------------------------------------------------


def paper_of(said: dict[str, Any]) -> Paper:
    """A document as a case writes it down."""
    data = dict(said)
    kind = "invoice" if "invoice" in data else "credit note"
    date = data.pop(kind)
    lines = tuple(_line(text) for text in data.pop("lines"))
    paper = Paper(
        kind=kind,
        date=date,
        due=data.pop("due", date if kind == "invoice" else ""),
        lines=lines,
        paid=Decimal(data.pop("paid", "0.00")),
        total=_total(data.pop("total", None), lines),
        currency=data.pop("currency", "EUR"),
        issuer=data.pop("issuer", "own"),
        draft=data.pop("draft", False),
        sale=data.pop("sale", ""),
        clause=data.pop("clause", ""),
        credits=data.pop("credits", 0),
    )
    assert not data, f"not understood of a document: {sorted(data)}"
    assert paper.currency in EXPONENTS
    return paper


def _line(text: str) -> Line:
    match = _LINE.fullmatch(text)
    assert match, f"not a line: {text}"
    if match["all"]:
        return Line(Decimal(match["all"]), Decimal(match["all"]), Decimal("0.00"), None)
    line = Line(*(Decimal(match[name]) for name in ("gross", "net", "tax", "rate")))
    assert line.gross == line.net + line.tax, f"does not add up: {text}"
    assert line.rate is not None
    from_gross = (line.gross * 100 / (100 + line.rate)).quantize(_CENT, ROUND_HALF_UP)
    from_net = (line.net * line.rate / 100).quantize(_CENT, ROUND_HALF_UP)
    assert line.net == from_gross or line.tax == from_net, f"not the tax of this rate: {text}"
    return line


def _total(text: str | None, lines: tuple[Line, ...]) -> tuple[Decimal, Decimal, Decimal]:
    """The total as it is written down; a document of one line needs none of its own."""
    sums = tuple(sum((getattr(line, name) for line in lines), Decimal(0)) for name in ("gross", "net", "tax"))
    if text is None:
        assert len(lines) == 1, "a document of several lines needs its total"
        return sums[0], sums[1], sums[2]
    match = _TOTAL.fullmatch(text)
    assert match, f"not a total: {text}"
    total = (Decimal(match["gross"]), Decimal(match["net"]), Decimal(match["tax"]))
    assert total == sums, f"the lines come to {sums}, not to {text}"
    return total
