"""From changes of the ledger to entries in the chains of those whose money it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.journal.changes import ACKNOWLEDGED, AUDIT, BY_CUSTOMER, CASE
from quittance.ledger import HEAD, OWNER, case_names, case_pk, owner_pk

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quittance.journal.chains import Journal
    from quittance.journal.changes import ItemChange
    from quittance.storage import Table

OF_CUSTOMER = "customer:"
"""A business customer's chain is called this and its id."""
OF_ACCOUNT = "account:"
"""The chain of what came in before somebody registered the account: this, the provider, `:` and the account."""
OPERATORS = "operators"
"""The chain of what operators did, which may concern any business customer."""
_MAX_JOINS = 8


def account_chain(provider: str, account: str) -> str:
    """The chain of a provider account that belongs to nobody yet. The platform's own accounts are its business customers."""
    return f"{OF_CUSTOMER}{account}" if provider == "platform" else f"{OF_ACCOUNT}{provider}:{account}"


class Recorder:
    """Enters changes of the ledger. It only reads the ledger, and may be given a change any number of times."""

    def __init__(self, ledger: Table, journal: Journal) -> None:
        self._ledger = ledger
        self._journal = journal

    def record(self, changes: Iterable[ItemChange]) -> int:
        """Enter what is evidence, each partition's changes in the order given. Returns how many entries were made.

        Raises `Retry` when the changes must be given again; none is lost or entered twice by that.
        """
        chains: dict[str, str] = {}
        by_chain: dict[str, list[ItemChange]] = {}
        for change in changes:
            if change.pk not in chains:
                chains[change.pk] = self.chain_of(change.pk)
            by_chain.setdefault(chains[change.pk], []).append(change)
        return sum(self._journal.append(chain, some) for chain, some in by_chain.items() if chain)

    def chain_of(self, pk: str) -> str:
        """The chain in which a partition of the ledger is entered now; empty for one that holds no evidence."""
        partition, _, name = pk.partition("#")
        if partition in BY_CUSTOMER:
            return OF_CUSTOMER + name
        if partition == ACKNOWLEDGED:
            return self.chain_of(name)
        if partition == AUDIT:
            return OPERATORS
        if partition == CASE:
            return self._chain_of_case(*case_names(pk))
        if partition == OWNER:
            provider, account, _ = case_names(f"{pk}#")
            return self._chain_of_account(provider, account)
        return ""

    def _chain_of_case(self, provider: str, account: str, case_id: str) -> str:
        for _ in range(_MAX_JOINS):
            head = self._ledger.read(case_pk(provider, account, case_id), HEAD) or {}
            if customer := head.get("business_customer"):
                return f"{OF_CUSTOMER}{customer}"
            if not head.get("part_of"):
                break
            case_id = head["part_of"]
        return self._chain_of_account(provider, account)

    def _chain_of_account(self, provider: str, account: str) -> str:
        owner = self._ledger.read(owner_pk(provider, account), OWNER)
        return f"{OF_CUSTOMER}{owner['business_customer']}" if owner else account_chain(provider, account)
