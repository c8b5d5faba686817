"""The events for `sam local invoke` are what the functions get."""

from __future__ import annotations

import pytest

from tests.template.conftest import FOLDERS
from tools.lambda_events import FOLDER, lambda_events, rendered


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_function_has_a_current_event(folder: str) -> None:
    assert (FOLDER / f"{folder}.json").read_text() == rendered(lambda_events()[folder]), "run `python -m tools.lambda_events`"
