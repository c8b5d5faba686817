"""SQS FIFO queues in simulated time: groups, visibility, deduplication, receive counts, dead letters, redrive."""

from __future__ import annotations

from dataclasses import dataclass, field

VISIBILITY_S = 120
BATCH_MAX = 10
DEDUPLICATION_S = 300


@dataclass(slots=True)
class Queued:
    """One message on a queue."""

    id: str
    body: str
    group: str
    sent_at: float = 0.0
    is_poison: bool = False
    receives: int = 0
    first_received_at: float = 0.0
    visible_at: float = 0.0

    @property
    def handle(self) -> str:
        """The handle of its latest receive; earlier ones are void."""
        return f"{self.id}:{self.receives}"


@dataclass(slots=True)
class Queue:
    """One FIFO queue with the deduplication scope of a message group, as the template declares them."""

    name: str
    receives_max: int
    groups: dict[str, list[Queued]] = field(default_factory=dict)
    dead: list[Queued] = field(default_factory=list)
    _seen: dict[tuple[str, str], float] = field(default_factory=dict)

    def send(self, message: Queued, deduplication_id: str, now: float) -> None:
        name = (message.group, deduplication_id)
        if now - self._seen.get(name, -DEDUPLICATION_S) < DEDUPLICATION_S:
            return
        self._seen[name] = now
        self.groups.setdefault(message.group, []).append(message)

    def next_at(self) -> float | None:
        """When the next message may be received; a group waits for its first message."""
        if not self.groups:
            return None
        return min([messages[0].visible_at for messages in self.groups.values()])

    def receive(self, now: float) -> list[Queued]:
        """Up to ten messages, of a group only in order. One received too often becomes a dead letter instead."""
        received: list[Queued] = []
        for group in sorted(self.groups, key=lambda name: (self.groups[name][0].visible_at, name)):
            for message in list(self.groups[group]):
                if message.visible_at > now or len(received) == BATCH_MAX:
                    break
                if message.receives >= self.receives_max:
                    self.delete(message)
                    self._bury(message)
                    continue
                message.receives += 1
                message.first_received_at = message.first_received_at or now
                message.visible_at = now + VISIBILITY_S
                received.append(message)
        return received

    def delete(self, message: Queued) -> None:
        held = self.groups.get(message.group, [])
        if message in held:
            held.remove(message)
            if not held:
                del self.groups[message.group]

    def hide(self, handle: str, until: float) -> bool:
        """Sets when a message in flight is seen again; False for a handle that is void."""
        message = next((m for messages in self.groups.values() for m in messages if m.handle == handle), None)
        if message is None:
            return False
        message.visible_at = until
        return True

    def give_up(self, group: str, message_id: str) -> None:
        """The message in flight becomes a dead letter; it stays on the queue as well until it is deleted."""
        self._bury(next(one for one in self.groups[group] if one.id == message_id))

    def _bury(self, message: Queued) -> None:
        """Given up by the worker and by SQS it is still one letter: both carry the same."""
        if message not in self.dead:
            self.dead.append(message)

    def redrive(self) -> None:
        """Every dead letter back to the end of its group, as if never received."""
        for message in self.dead:
            self.delete(message)
            message.receives, message.first_received_at, message.visible_at = 0, 0.0, 0.0
            self.groups.setdefault(message.group, []).append(message)
        self.dead = []
