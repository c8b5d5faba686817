"""Every invoice and credit note of every entity, a hundred a request, into the workbook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.entities import ENTITIES
from quittance.mapping import COLLECTIONS
from quittance.reconciliation.books import PRINTED, held_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from quittance.customers import BusinessCustomer
    from quittance.ledger import Ledger
    from quittance.reconciliation.workbook import Entity, Workbook
    from quittance.space_invoices import SpaceInvoices


class Listing:
    """Goes on wherever the workbook says it stopped. Raises as the API's client does."""

    def __init__(  # noqa: PLR0913 - all that a run has
        self,
        *,
        api: SpaceInvoices,
        ledger: Ledger,
        workbook: Workbook,
        now: Callable[[], int],
        pace: Callable[[], None],
        wants: Callable[[str], bool],
        is_time_up: Callable[[], bool],
        page_listed: Callable[[], None],
    ) -> None:
        """`wants` says whether a business customer is part of the run; `page_listed` is called when a page is in the workbook."""
        self._api = api
        self._ledger = ledger
        self._book = workbook
        self._now = now
        self._pace = pace
        self._wants = wants
        self._is_time_up = is_time_up
        self._page_listed = page_listed
        self.began_at = self._beginnings()
        """Entity -> when the listing of its documents began, in seconds since 1970."""

    def go_on(self) -> bool:
        """List what is not listed yet. Returns whether everything is."""
        if not self._book.state("entities_known"):
            self._learn_entities()
            self._book.set_state("entities_known", "yes")
        finished = all(self._list(entity) for entity in self._book.entities())
        self.began_at = self._beginnings()
        return finished

    def includes(self, customers: Iterable[BusinessCustomer]) -> bool:
        """Whether the documents of these are listed; those that are not are listed now, unless time is up."""
        unlisted = [one for one in customers if one.entity_id and one.entity_id not in self.began_at]
        for customer in unlisted:
            self._book.add_entity(str(customer.entity_id), customer.id)
        return not unlisted or self.go_on()

    def _beginnings(self) -> dict[str, int]:
        return {entity.id: entity.listed_at for entity in self._book.entities() if entity.listed_at}

    def _learn_entities(self) -> None:
        """The entities of the ledger's business customers. Others may share the API's account with this stack."""
        cursor = None
        while True:
            self._pace()
            entities, cursor = self._api.page(ENTITIES, entity_id=None, cursor=cursor)
            for entity in entities:
                owner = self._ledger.table.read(f"ENTITY#{entity['id']}", "OWNER")
                if owner and self._wants(str(owner["business_customer"])):
                    self._book.add_entity(str(entity["id"]), str(owner["business_customer"]))
            if cursor is None:
                return

    def _list(self, entity: Entity) -> bool:
        """List what is not listed yet of an entity's documents. False: time is up."""
        if not entity.listed_at:
            entity = entity._replace(listed_at=self._now())
        while entity.kind < len(PRINTED):
            if self._is_time_up():
                return False
            kind = PRINTED[entity.kind]
            self._pace()
            page, cursor = self._api.page(COLLECTIONS[kind], entity_id=entity.id, cursor=entity.cursor)
            self._book.hold(held_document(kind, entity.id, shown) for shown in page)
            entity = entity._replace(cursor=cursor, kind=entity.kind + (cursor is None))
            self._book.set_listing(entity)
            self._page_listed()
        return True
