"""Every invoice and credit note of every entity, a hundred a request, into the workbook."""

from __future__ import annotations

from dataclasses import dataclass, field
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


@dataclass(kw_only=True)
class Listing:
    """Goes on wherever the workbook says it stopped. Raises as the API's client does."""

    api: SpaceInvoices
    ledger: Ledger
    book: Workbook
    now: Callable[[], int]
    pace: Callable[[], None]
    wants: Callable[[str], bool]
    """Whether a business customer is part of the run."""
    is_time_up: Callable[[], bool]
    page_listed: Callable[[], None]
    """Called when a page is in the workbook."""
    began_at: dict[str, int] = field(init=False)
    """Entity whose documents are listed -> when that began, in seconds since 1970."""

    def __post_init__(self) -> None:
        self.began_at = self._beginnings()

    def go_on(self) -> bool:
        """List what is not listed yet. Returns whether everything is."""
        if not self.book.state("entities_known"):
            self._learn_entities()
            self.book.set_state("entities_known", "yes")
        finished = all(self._list(entity) for entity in self.book.entities())
        self.began_at = self._beginnings()
        return finished

    def includes(self, customers: Iterable[BusinessCustomer]) -> bool:
        """Whether the documents of these are listed; those that are not are listed now, unless time is up."""
        unlisted = [one for one in customers if one.entity_id and one.entity_id not in self.began_at]
        for customer in unlisted:
            self.book.add_entity(str(customer.entity_id), customer.id)
        return not unlisted or self.go_on()

    def _beginnings(self) -> dict[str, int]:
        return {entity.id: entity.listed_at for entity in self.book.entities() if entity.kind == len(PRINTED)}

    def _learn_entities(self) -> None:
        """The entities of the ledger's business customers. Others may share the API's account with this stack."""
        cursor = None
        while True:
            self.pace()
            entities, cursor = self.api.page(ENTITIES, entity_id=None, cursor=cursor)
            for entity in entities:
                owner = self.ledger.table.read(f"ENTITY#{entity['id']}", "OWNER")
                if owner and self.wants(str(owner["business_customer"])):
                    self.book.add_entity(str(entity["id"]), str(owner["business_customer"]))
            if cursor is None:
                return

    def _list(self, entity: Entity) -> bool:
        """List what is not listed yet of an entity's documents. False: time is up."""
        if not entity.listed_at:
            entity = entity._replace(listed_at=self.now())
        while entity.kind < len(PRINTED):
            if self.is_time_up():
                return False
            kind = PRINTED[entity.kind]
            self.pace()
            page, cursor = self.api.page(COLLECTIONS[kind], entity_id=entity.id, cursor=entity.cursor)
            self.book.hold(held_document(kind, entity.id, shown) for shown in page)
            entity = entity._replace(cursor=cursor, kind=entity.kind + (cursor is None))
            self.book.set_listing(entity)
            self.page_listed()
        return True
