"""The report of a reconciliation on the developer's machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quittance.reconciliation.report import rendered
from quittance.reconciliation.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from quittance.reconciliation.results import Found, PayoutLine, Reconciliation


def write_report(folder: Path, reconciliation: Reconciliation, found: Iterable[Found], payouts: Iterable[PayoutLine]) -> Path:
    """Write all files of a report to `folder`, over those of an earlier one. Returns the page for people."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, _, content in rendered(reconciliation, found, payouts, Tally(reconciliation.finished_at)):
        (folder / name).write_bytes(content)
    return folder / "index.html"
