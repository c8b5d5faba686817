from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.evidence.payments import played_payment

if TYPE_CHECKING:
    from tests.evidence.journal_world import JournalWorld
    from tests.use_cases.world import World


@pytest.fixture
def played() -> tuple[World, JournalWorld]:
    """A payment that was documented, with its changes on the stream."""
    return played_payment()
