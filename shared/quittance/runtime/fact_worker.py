"""What most worker functions are: record facts of certain types and bring their payments' documents up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.errors import Reject
from quittance.runtime.composition import allowance, converger
from quittance.runtime.worker import Handler, Message, worker_handler

if TYPE_CHECKING:
    from quittance.facts import Fact, FactType


def fact_worker(*types: FactType) -> Handler:
    """The handler of a function whose queue carries facts of these types only."""
    take = converger().take

    def use_case(message: Message) -> None:
        take(fact_of(message, *types), message.event_id)

    return worker_handler(use_case, allowance=allowance())


def fact_of(message: Message, *types: FactType) -> Fact:
    """The fact a message carries. Raises `Reject` when it carries none, or one that belongs to another function."""
    if message.fact is None or message.fact.type not in types:
        raise Reject("message_misrouted")
    return message.fact
