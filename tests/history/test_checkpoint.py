"""How far a run has come, kept beside its file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tools.backfill.checkpoint import Checkpoint, fingerprint

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_is_taken_up_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.quittance-progress"
    first = Checkpoint.of(path, "history")
    replace(first, position=7).write(path)
    assert Checkpoint.of(path, "history") == replace(first, position=7)


def test_another_history_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.quittance-progress"
    first = Checkpoint.of(path, "history")
    replace(first, position=7).write(path)
    other = Checkpoint.of(path, "another")
    assert (other.position, other.run == first.run) == (0, False)


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"history": "history"}', '{"more": 1}'])
def test_what_is_no_checkpoint_begins_anew(content: str, tmp_path: Path) -> None:
    path = tmp_path / "a.quittance-progress"
    path.write_text(content, encoding="utf-8")
    assert Checkpoint.of(path, "history").position == 0


def test_a_history_is_another_once_a_byte_or_the_way_of_reading_it_differs(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    first = fingerprint(path, "stack", "acct_1")
    assert fingerprint(path, "stack", "acct_1") == first
    assert fingerprint(path, "stack", "acct_2") != first
    path.write_bytes(b"two")
    assert fingerprint(path, "stack", "acct_1") != first
