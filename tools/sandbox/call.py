"""One call of an operation: its checked input, and what it may touch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from tools.sandbox.books import Book, World
from tools.sandbox.contract import Operation
from tools.sandbox.dates import timestamp, today
from tools.sandbox.faults import Fault, RegistryDown, RegistrySlow
from tools.sandbox.registry import Registry
from tools.sandbox.settings import Settings
from tools.sandbox.sources import Identifiers
from tools.sandbox.wire import Problem, Record

Render = Callable[[Record, Sequence[Record], Record], bytes]
"""Makes the PDF of a document (as the API returns it) from its payments and the query parameters."""

Meet = Callable[..., Fault | None]
"""Takes the fault of one of the given kinds that is in force for the request, now that its occasion has come."""


@dataclass(slots=True)
class Call:
    """Input and surroundings of one operation. `events` collects the webhook events that the call causes, `emails` its mail."""

    operation: Operation
    params: Mapping[str, str]
    query: Record
    body: Record
    world: World
    selected: Book | None
    now: datetime
    settings: Settings
    ids: Identifiers
    render: Render
    registry: Registry
    meet: Meet
    emails: list[Record]
    hidden_since: datetime | None = None
    """Lists leave out what was created after this moment."""
    events: list[tuple[str, Record]] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.params["id"]

    @property
    def book(self) -> Book:
        """The selected entity's book. Raises `Problem` 400 when none is selected: the document has no 422 for reads."""
        if self.selected is None:
            raise Problem(400, "x-entity-id is required: this key reaches no entity or several")
        return self.selected

    @property
    def today(self) -> date:
        """The calendar date where the selected entity is."""
        return today(self.now, self.book.entity["timezone"])

    def with_body(self, body: Record) -> Call:
        """The same call with another body; events still go to this one."""
        return replace(self, body=body, events=self.events)

    def is_registered(self, tax_number: str) -> bool | None:
        """Whether the EU's register has a tax number; None when the register does not answer."""
        down = isinstance(self.meet(RegistryDown, RegistrySlow), RegistryDown)
        return None if down else self.registry.has(tax_number)

    def tell(self, resource: str, record: Record, action: str, *, event: str | None = None) -> None:
        """Notes what was done to an object: in the audit trail, and as a webhook event where there is one for it."""
        self.log(self.book, resource, record["id"], action)
        if event:
            self.emit(event, dict(record))

    def log(self, book: Book, resource: str, identifier: str, action: str) -> None:
        """Adds to an entity's audit trail."""
        activity = {
            "id": self.ids.new("act"),
            "entity_id": book.entity["id"],
            "resource_type": resource,
            "resource_id": identifier,
            "action": action,
            "actor_type": "user",
            "created_at": timestamp(self.now),
        }
        book.activities[activity["id"]] = activity

    def emit(self, event: str, data: Record) -> None:
        """Notes a webhook event about an object as the API returns it."""
        self.events.append((event, data))

    def stamp(self, record: Record) -> Record:
        """The record with fresh `created_at` and `updated_at`."""
        moment = timestamp(self.now)
        return {**record, "created_at": moment, "updated_at": moment}

    def touch(self, record: Record) -> None:
        record["updated_at"] = timestamp(self.now)


Reply = Record | bytes | None
"""What an operation answers: a JSON object, a PDF, or nothing (204)."""

Handler = Callable[[Call], Reply]
