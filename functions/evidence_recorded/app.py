"""Evidence recorded: what changed in the ledger is entered in the journal, in the chain of whose money it is.

Fed by the ledger's stream. A batch that fails comes again as a whole, which enters nothing twice.
"""

from __future__ import annotations

from typing import Any

from quittance.runtime.journal import item_change, recorder
from quittance.runtime.observability import logger

_recorder = recorder()


def handler(event: dict[str, Any], _context: Any) -> None:  # noqa: ANN401 - Lambda's own
    entered = _recorder.record(map(item_change, event["Records"]))
    logger.info("changes entered in the journal", extra={"count": entered})
