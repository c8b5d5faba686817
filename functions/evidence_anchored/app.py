"""Evidence anchored: by the clock, the heads of the journal's chains are written where nobody can rewrite them."""

from __future__ import annotations

from typing import Any

from quittance.runtime.journal import anchoring
from quittance.runtime.observability import logger

_anchoring = anchoring()


def handler(_event: dict[str, Any], _context: Any) -> dict[str, int]:  # noqa: ANN401 - Lambda's own
    anchored = _anchoring.run()
    logger.info("chains anchored", extra={"count": anchored})
    return {"anchored": anchored}
