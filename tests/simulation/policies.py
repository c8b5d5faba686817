"""What a business customer's policy may say, one entry for each setting.

To bring another setting into play: an entry here, with what a document that names the policy must then look like; and, if the
setting decides whether a document exists or how large it is, its reading of it in `oracle`, by `Policies.say`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

Document = dict[str, Any]
Policy = dict[str, Any]


def _anything(_document: Document, _value: Any) -> bool:
    return True


def _is_due_as_asked(document: Document, due_days: int) -> bool:
    """A renewal's invoice is due later; one for money that arrived is due at once."""
    key = document["metadata"]["document_key"]
    if not key.startswith("invoice:"):
        return True
    issued, due = (date.fromisoformat(document[name][:10]) for name in ("date", "date_due"))
    return due - issued == timedelta(days=due_days if key.startswith("invoice:renewal:") else 0)


def _is_taxed_as_asked(document: Document, tax: Policy | None) -> bool:
    """A sale carries the policy's rate on every line. A credit note or a correction carries that of its invoice, see `checks`."""
    if not document["metadata"]["document_key"].startswith(("invoice:payment:", "invoice:capture:", "invoice:renewal:")):
        return True
    wanted = [str(tax["domestic"])] if tax else []
    return all([str(one["rate"]) for one in line["taxes"]] == wanted for line in document["items"])


@dataclass(frozen=True, slots=True)
class Setting:
    """The values it is drawn from, its default, and whether a document may look like this under a value of it."""

    values: tuple[Any, ...]
    default: Any
    allows: Callable[[Document, Any], bool] = _anything


SETTINGS: dict[str, Setting] = {
    "dispute_credit_on": Setting(("lost", "lost", "opened", "never"), "lost"),
    "due_days": Setting((14, 14, 0, 31), 14, _is_due_as_asked),
    # Everybody at home and abroad at one rate: which tax is due is proven elsewhere, here that it is always the same one.
    "tax": Setting((None, None, {"domestic": 19, "outside_eu": "domestic"}), None, _is_taxed_as_asked),
    "send_email": Setting((False, True), False),
}
DEFAULT: Policy = {"version": 1}


def drawn(random: Random, version: int) -> Policy:
    """A policy; a setting that has its default is sometimes not named."""
    chosen = {name: random.choice(setting.values) for name, setting in SETTINGS.items()}
    named = {name: value for name, value in chosen.items() if value != SETTINGS[name].default or random.random() < 0.5}
    return {"version": version} | named


@dataclass(slots=True)
class Policies:
    """One business customer's policies through time, whichever of them arrived first."""

    _dated: list[tuple[str, Policy]] = field(default_factory=list)

    def add(self, starts: str, policy: Policy) -> None:
        self._dated = sorted([*self._dated, (starts, policy)], key=lambda dated: dated[0])

    def say(self, name: str, instant: str) -> Any:
        """A setting's value at an instant; the first policy counts for everything before it too."""
        policy = next((policy for starts, policy in reversed(self._dated) if starts <= instant), self._dated[0][1])
        return _value(policy, name)

    def named_by(self, document: Document, name: str) -> Any:
        """A setting's value in the policy that a document names."""
        version = document["metadata"]["policy"]
        return _value(next(policy for _, policy in self._dated if str(policy["version"]) == version), name)

    def broken_by(self, document: Document) -> str:
        """Which setting of the policy that a document names it does not keep; empty if it keeps them all."""
        version = document["metadata"]["policy"]
        named = next((policy for _, policy in self._dated if str(policy["version"]) == version), None)
        if named is None:
            return f"version {version} was never registered"
        return next((name for name, one in SETTINGS.items() if not one.allows(document, _value(named, name))), "")


def _value(policy: Policy, name: str) -> Any:
    return policy.get(name, SETTINGS[name].default)
