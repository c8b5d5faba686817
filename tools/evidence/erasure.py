"""Erasing the personal data of one payment's payer: from the ledger first, then from the journal.

What stays: amounts, dates, taxes, ids, the country (the tax follows from it), and in the journal that something was erased, when,
by whom and why. The documents themselves are in the invoicing API and are kept there as the law asks.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quittance.acknowledgements import acknowledged_pk
from quittance.errors import Reject, Retry
from quittance.ledger import HEAD, Ledger, case_pk, reports_pk
from quittance.storage import MAX_WRITES, ConditionFailedError, Delete, Equals, Put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quittance.journal.chains import Journal
    from quittance.ledger import CaseFile
    from quittance.storage import Item, Write
    from tools.evidence.comparison import Comparison

_KEPT_OF_PAYER = frozenset({"country", "state"})
_OF_BODY = frozenset({"customer", "to"})
"""What names the payer in a request to the invoicing API."""
_TAX_ANSWER = "EVIDENCE#"
_REASON = "because"
"""Why somebody acknowledged a finding: in their own words, which may name anybody."""


@dataclass(frozen=True, slots=True)
class Erased:
    """How much there was to erase. All zero: it was done already."""

    items: int
    """Of the ledger."""
    entries: int
    """Of the journal."""


class Erasure:
    """Erases one payment's payer. It may be repeated, and goes on where it was stopped."""

    def __init__(self, ledger: Ledger, journal: Journal, comparison: Comparison) -> None:
        self._ledger = ledger
        self._journal = journal
        self._comparison = comparison

    def erase(self, case: CaseFile, *, by: str, reason: str, wait: Callable[[], bool]) -> Erased:
        """Erase; `by` and `reason` are kept for ever.

        Raises `Reject("payment_unfinished")` while a request about the payment may be under way or is still to come, and
        `Retry("journal_behind")` when `wait`, which waits a little, says that it was long enough and the journal has not caught
        up: an entry of what was known before would still bring the personal data back.
        """
        if case.lease_owner or case.pending() or case.waiting:
            raise Reject("payment_unfinished", "a document of this payment is under way or waits")
        cases = [case_pk(case.provider, case.account, name) for name in (case.id, *case.members)]
        partitions = [*cases, *map(acknowledged_pk, cases)]
        items = self._erase_in_ledger(case)
        self._await_journal(partitions, wait)
        return Erased(items, self._erase_in_journal(partitions, by, reason))

    def _erase_in_ledger(self, case: CaseFile) -> int:
        names = (case.id, *case.members)
        beside = [reports_pk(case.provider, case.account, name) for name in names]
        beside += [acknowledged_pk(case_pk(case.provider, case.account, name)) for name in names]
        held = self._ledger.table.read_partition(case.pk)
        head = next(item for item in held if item["sk"] == HEAD)
        items = [*held, *(item for pk in beside for item in self._ledger.table.read_partition(pk))]
        writes = [write for item in items if (write := _erasing(item))]
        try:
            for start in range(0, len(writes), MAX_WRITES - 1):
                some = writes[start : start + MAX_WRITES - 1]
                next_head = head | {"version": head["version"] + 1}
                self._ledger.table.commit([Put(next_head, Equals("version", head["version"])), *some])
                head = next_head
        except ConditionFailedError:
            raise Retry("case_contended", "the payment was just changed: try again") from None
        return len(writes)

    def _await_journal(self, partitions: list[str], wait: Callable[[], bool]) -> None:
        while not self._is_caught_up(partitions):
            if not wait():
                raise Retry("journal_behind", "the journal has not taken in the latest changes: try again, see its runbook")

    def _is_caught_up(self, partitions: list[str]) -> bool:
        items = [item for pk in partitions for item in self._ledger.table.read_partition(pk)]
        there = {(item["pk"], item["sk"]) for item in items}
        known = [(one.pk, one.name) for pk in partitions for one in self._journal.items_of(pk)]
        gone = [(pk, name, None) for pk, name in known if (pk, name) not in there and not name.startswith(_TAX_ANSWER)]
        held = [(item["pk"], item["sk"], item) for item in items]
        return not any(self._comparison.of_item(*one) for one in [*held, *gone]) and self._are_tax_answers_gone(partitions)

    def _are_tax_answers_gone(self, partitions: list[str]) -> bool:
        """What the registry said is called by a tax number, so the journal alone says whether its removal was entered."""
        answers = [one for pk in partitions for one in self._journal.items_of(pk) if one.name.startswith(_TAX_ANSWER)]
        last = [self._journal.entry(*one.entries[-1]) for one in answers]
        return all(entry and str(entry.header["kind"]).endswith(".removed") for entry in last)

    def _erase_in_journal(self, partitions: list[str], by: str, reason: str) -> int:
        by_chain: dict[str, list[int]] = defaultdict(list)
        for pk in partitions:
            for item in self._journal.items_of(pk):
                for chain, sequence in item.entries:
                    by_chain[chain].append(sequence)
        return sum(
            self._journal.erase(chain, sorted(entries), by=by, reason=reason) for chain, entries in sorted(by_chain.items())
        )


def _erasing(item: Item) -> Write | None:
    """The write that takes personal data out of an item of a case; None if there are none."""
    if item["sk"].startswith(_TAX_ANSWER):
        return Delete(item["pk"], item["sk"])
    erased = without_payer(item)
    return Put(erased) if erased != item else None


def without_payer(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Anything of a case without what says who paid."""
    if isinstance(value, list):
        return [without_payer(element) for element in value]
    if not isinstance(value, dict):
        return value
    return dict(_parts_without_payer(value))


def _parts_without_payer(value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if name == "payer" and isinstance(inner, dict):
            if kept := {part: said for part, said in inner.items() if part in _KEPT_OF_PAYER}:
                yield name, kept
        elif name == "body" and isinstance(inner, str):
            yield name, _body_without_payer(inner)
        elif name == _REASON:
            yield name, ""
        else:
            yield name, without_payer(inner)


def _body_without_payer(body: str) -> str:
    """A stored request, which is never sent again, without the one it names. Byte for byte what it was if it names nobody."""
    said = json.loads(body) if body else {}
    kept = {name: part for name, part in said.items() if name not in _OF_BODY}
    return body if kept == said else json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
