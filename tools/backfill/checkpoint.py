"""How far a history has been sent, kept beside its file, so that a run that was killed is taken up again."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".quittance-progress"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of one history on one stack. It only saves time: what the ledger knows is never sent again anyhow."""

    history: str
    """What was read, and whereto: another file or stack begins anew."""
    run: str
    position: int = 0

    @classmethod
    def of(cls, path: Path, history: str) -> Checkpoint:
        """The one that an earlier run left, or a new one."""
        try:
            kept = cls(**json.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, TypeError, ValueError):
            kept = None
        return kept if kept and kept.history == history else cls(history, uuid.uuid4().hex)

    def write(self, path: Path) -> None:
        """All or nothing. Raises `OSError`."""
        beside = path.with_name(f"{path.name}.new")
        beside.write_text(json.dumps(asdict(self)), encoding="utf-8")
        beside.replace(path)


def fingerprint(path: Path, *more: str) -> str:
    """Changes with any byte of the file, and with how it is read."""
    digest = hashlib.sha256("\n".join(more).encode())
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
