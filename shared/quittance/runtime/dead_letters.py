"""Dead letters: the queue they lie on, and the cause that a worker writes on each."""

from __future__ import annotations

CAUSE = "cause"
"""The message attribute that says why a letter was given up: the code of its last failure."""
RECEIVES_MAX = 300
"""How often a message is tried before SQS gives it up by itself. Every queue of the template says the same."""
_FIFO = ".fifo"


def dead_letters_of(queue: str) -> str:
    """The queue of a queue's dead letters, of a name or an address: the template names them so."""
    ending = _FIFO if queue.endswith(_FIFO) else ""
    return f"{queue.removesuffix(ending)}-DeadLetters{ending}"
