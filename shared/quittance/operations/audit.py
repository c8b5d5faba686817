"""Who asked for what, and what came of it.

    AUDIT#{month}   {at}#{request id}   at, by, action, asked, outcome, came_of_it, ended_at

An entry is written before anything is done, and completed afterwards. One that still says `begun` belongs to a call that ended
in between: it may have been done or not.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from quittance.errors import Reject
from quittance.storage import Absent, Item, Keys, Page, PagedTable, Put, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BEGUN, DONE, REFUSED, FAILED = "begun", "done", "refused", "failed"


def audit_pk(month: str) -> str:
    """The partition of a month, as in 2026-11."""
    return f"AUDIT#{month}"


class AuditTrail:
    """Writes and reads the entries."""

    def __init__(self, table: Table, pages: PagedTable, timestamp: Callable[[], str]) -> None:
        """`timestamp` is the present as RFC 3339 in UTC, fine enough to tell which of two calls came first."""
        self._table = table
        self._pages = pages
        self._timestamp = timestamp

    @contextmanager
    def entry(self, by: str, request_id: str, action: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """What is done inside is done for `by`; what is put into the dictionary is kept as what came of it.

        Raises as `Table.commit` does, before anything is done: what cannot be audited does not happen.
        """
        at = self._timestamp()
        keys = {"pk": audit_pk(at[:7]), "sk": f"{at}#{request_id}"}
        item: Item = keys | {"at": at, "by": by, "request_id": request_id, "action": action, "asked": asked, "outcome": BEGUN}
        self._table.commit([Put(item, Absent())])
        came_of_it: dict[str, Any] = {}
        outcome = FAILED
        try:
            yield came_of_it
            outcome = DONE
        except Reject as refused:
            outcome = REFUSED
            came_of_it["code"] = refused.code
            raise
        finally:
            ended = {"outcome": outcome, "came_of_it": came_of_it, "ended_at": self._timestamp()}
            self._table.commit([Put(item | ended)])

    def page(self, month: str, after: Keys | None, limit: int) -> Page:
        """Entries of a month, the latest first."""
        return self._pages.page_backwards(audit_pk(month), after, limit)
