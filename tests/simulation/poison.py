"""Messages that no function can read: what a good message would look like if something had gone wrong with it.

Each stands in the group of a real payment, where it is most in the way.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from quittance.facts import FactType
from quittance.runtime.queues import FUNCTION_OF, fact_message
from tests.simulation.history import Delivery, Poison

if TYPE_CHECKING:
    from collections.abc import Callable

DEEP = 3000


def _with_fact(content: dict[str, Any], **changes: Any) -> str:
    fact = content["fact"] | changes
    return json.dumps(content | {"fact": {name: value for name, value in fact.items() if value is not None}})


def _misrouted(content: dict[str, Any]) -> str:
    """A good message on another function's queue."""
    function = FUNCTION_OF[FactType(content["fact"]["type"])]
    return _with_fact(content, type=next(str(kind) for kind, name in FUNCTION_OF.items() if name != function))


SHAPES: dict[str, Callable[[dict[str, Any]], str]] = {
    "torn": lambda content: json.dumps(content)[:-20],
    "nothing": lambda _: "null",
    "no object": lambda _: "[]",
    "empty object": lambda _: "{}",
    "no fact": lambda content: json.dumps({name: value for name, value in content.items() if name != "fact"}),
    "too deep": lambda _: "[" * DEEP,
    "of a type to come": lambda content: _with_fact(content, type="payment.teleported"),
    "with a field to come": lambda content: _with_fact(content, colour="red"),
    "without its key": lambda content: _with_fact(content, key=None),
    "amount without currency": lambda content: _with_fact(content, amount={"value": 1}),
    "payer of another shape": lambda content: _with_fact(content, payer={"iban": "DE00"}),
    "misrouted": _misrouted,
}


def beside(delivery: Delivery, shape: str, at: int) -> Poison:
    """A message of this shape that arrives in the group, and on the queue, of the first fact of `delivery`."""
    message = fact_message(delivery.facts[0], delivery.event_id, delivery.event_type, "")
    return Poison(at, message.function, message.group, shape, SHAPES[shape](json.loads(message.body)))
