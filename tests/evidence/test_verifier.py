"""The verifier names what was done to an archive, and nothing where nothing was."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quittance.journal.entries import canonical, sealed
from tests.evidence.journal_world import KEY_LINES, RING, JournalWorld, lines_of, problems, put_lines
from tools import verify_evidence
from tools.evidence.export import Period

if TYPE_CHECKING:
    from collections.abc import Callable

ONE, OTHER = "customer:bc_1", "customer:bc_2"
COUNT = 24
ERASURE = 15
MORNING = Period("2026-11-20T10:00:05Z", "2026-11-20T10:00:07Z")
"""When the fifth and the sixth entry of the first chain were made."""
LATER = Period("2026-11-20T10:00:29Z", "2026-11-20T10:00:31Z")
"""The eleventh and the twelfth."""


def made_world() -> JournalWorld:
    """Two chains of 24 entries, anchored after every eighth; two entries of the first were erased."""
    world = JournalWorld()
    for start in range(0, COUNT, 8):
        for chain in (ONE, OTHER):
            world.enter(chain, 7 if chain == ONE and start == 8 else 8, start=start)
        if start == 8:
            world.journal.erase(ONE, [3, 11], by="dpo", reason="request 7")
        world.clock.seconds += 10
        world.anchor()
    return world


@pytest.fixture(scope="module")
def world() -> JournalWorld:
    return made_world()


@pytest.fixture(scope="module")
def pristine(world: JournalWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(world.export(tmp_path_factory.mktemp("archive")))


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "copy"))


def unpacked(archive: Path) -> Path:
    folder = archive.with_suffix("")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder


def edited(line: str, edit: Callable[[dict[str, Any]], None]) -> str:
    record = json.loads(line)
    edit(record)
    return canonical(record)


def redigested(record: dict[str, Any]) -> None:
    """As a forger without the key would leave it: the content's and the entry's own digests fit again."""
    record["entry"]["content"] = hashlib.sha256(canonical(record["content"]).encode()).hexdigest()
    record["digest"] = hashlib.sha256(canonical(record["entry"]).encode()).hexdigest()


def forged(record: dict[str, Any]) -> None:
    record["content"]["fact"]["amount"] = 1
    redigested(record)


# --- what holds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [True, False])
def test_an_archive_as_it_was_exported_holds(world: JournalWorld, pristine: Path, keys: bool, tmp_path: Path) -> None:
    assert problems(pristine, keys=keys) == []
    assert problems(world.export(tmp_path), keys=keys) == []


def test_it_runs_alone_and_says_what_it_verified(pristine: Path, tmp_path: Path) -> None:
    """The copy in the archive, in a fresh interpreter without this project or its libraries."""
    (tmp_path / "keys").write_text(KEY_LINES)
    command = [
        sys.executable,
        "-I",
        "-S",
        str(pristine / "verify_evidence.py"),
        str(pristine),
        "--key-file",
        str(tmp_path / "keys"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert (done.returncode, done.stderr) == (0, "")
    assert "all of it holds: 48 entries in 2 chains" in done.stdout
    assert "in 2 chains, everybody's, 2026-01-01" in done.stdout
    assert "erased by dpo (entry 16)" in done.stdout


def test_it_is_written_for_python_3_9() -> None:
    ast.parse((Path(verify_evidence.__file__)).read_text(), feature_version=(3, 9))


def test_erased_data_are_gone_and_the_archive_still_holds(pristine: Path) -> None:
    records = [json.loads(line) for line in lines_of(pristine)]
    erased = [one["entry"]["sequence"] for one in records if "erased_by" in one]
    assert erased == [3, 11]
    assert all("personal" not in one and "salt" not in one for one in records if "erased_by" in one)


@pytest.mark.parametrize(
    ("period", "first", "shown", "last", "anchors"),
    [(MORNING, 5, [5, 6], 8, 1), (LATER, 8, [11, 12], 16, 2)],
)
def test_a_period_begins_and_ends_at_anchors_and_shows_only_what_was_asked_for(
    world: JournalWorld, tmp_path: Path, period: Period, first: int, shown: list[int], last: int, anchors: int
) -> None:
    folder = unpacked(world.export(tmp_path, period=period))
    records = [json.loads(line) for line in lines_of(folder)]
    assert [one["entry"]["sequence"] for one in records] == list(range(first, last + 1))
    assert [one["entry"]["sequence"] for one in records if "content" in one and one["entry"]["item"]] == shown
    assert len(lines_of(folder, name="anchors")) == anchors
    assert not any("personal" in one for one in records if "content" not in one)
    assert problems(folder) == []


def test_personal_data_erased_after_the_period_are_explained(tmp_path: Path) -> None:
    world = made_world()
    world.journal.erase(ONE, [6], by="dpo", reason="request 8")
    folder = unpacked(world.export(tmp_path, period=MORNING))
    assert len(lines_of(folder, name="later-erasures")) == 1
    assert problems(folder) == []
    put_lines(folder, [], name="later-erasures")
    assert any("entry 25 does not say so" in text for text in problems(folder))


def test_chains_without_an_entry_in_the_period_are_left_out(world: JournalWorld, tmp_path: Path) -> None:
    assert world.exported(tmp_path, period=Period("2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z")) == []


def test_what_is_not_anchored_yet_is_said(tmp_path: Path) -> None:
    world = made_world()
    world.enter(ONE, 2, start=90)
    (chain,) = [one for one in verified(world.export(tmp_path)) if one.name == ONE]
    assert chain.problems == []
    assert chain.notes[-1] == "entries 25-26: not anchored yet, vouched for by the key alone"


def verified(archive: Path) -> list[verify_evidence.Chain]:
    return list(verify_evidence.verify(verify_evidence.Archive(str(archive)), {}, None))


# --- what does not -------------------------------------------------------------------------------------------------------


@given(data=st.data())
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_other_byte_is_named(pristine: Path, tmp_path: Path, data: st.DataObject) -> None:
    folder = copied(pristine, tmp_path)
    name = data.draw(st.sampled_from(["entries", "anchors"]))
    path = folder / f"chains/00001/{name}.jsonl"
    written = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(written) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != written[place]))
    written[place] = byte
    path.write_bytes(written)
    keys = name == "anchors" or data.draw(st.booleans())
    assert problems(folder, keys=keys)


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_edited_entry_is_named_whatever_the_forger_puts_right(pristine: Path, tmp_path: Path, data: st.DataObject) -> None:
    folder = copied(pristine, tmp_path)
    lines = lines_of(folder)
    place = data.draw(st.integers(0, len(lines) - 1).filter(lambda place: place != ERASURE))
    edit = data.draw(st.sampled_from([forged, redate, lambda record: record["entry"].update(mac="0" * 64)]))
    lines[place] = edited(lines[place], edit)
    put_lines(folder, lines)
    for keys in (True, False):
        named = problems(folder, keys=keys)
        assert [text for text in named if f"entry {place + 1}: " in text], named
        others = {int(text.split("entry ")[1].split(":")[0]) for text in named}
        assert others == {place + 1}, named


def redate(record: dict[str, Any]) -> None:
    record["entry"]["at"] = "2020-01-01T00:00:00Z"
    redigested(record)


@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_forger_with_the_key_is_stopped_by_the_next_anchor(pristine: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Everything from an entry on is made anew and fits; only the anchors are out of reach."""
    folder = copied(pristine, tmp_path)
    records = [json.loads(line) for line in lines_of(folder)]
    place = data.draw(st.integers(0, len(records) - 1).filter(lambda place: place != ERASURE))
    records[place]["content"]["fact"]["amount"] = 1
    for number in range(place, len(records)):
        fields = {name: value for name, value in records[number]["entry"].items() if name not in {"mac", "key_id"}}
        fields["content"] = hashlib.sha256(canonical(records[number]["content"]).encode()).hexdigest()
        if number > place:
            fields["previous"] = records[number - 1]["digest"]
        records[number]["entry"] = sealed(fields, RING.current)
        redigested(records[number])
    put_lines(folder, [canonical(one) for one in records])
    first_anchor = next(sequence for sequence in (8, 16, 24) if sequence > place)
    assert any(f"entry {first_anchor}: replaced, or the anchor" in text for text in problems(folder))


@given(first=st.integers(0, COUNT - 1), count=st.integers(1, 5))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_entries_cut_out_anywhere_are_named(pristine: Path, tmp_path: Path, first: int, count: int) -> None:
    folder = copied(pristine, tmp_path)
    lines = lines_of(folder)
    gone = range(first, min(first + count, len(lines)))
    put_lines(folder, [line for place, line in enumerate(lines) if place not in gone])
    name = f"entry {gone[0] + 1}" if len(gone) == 1 else f"entries {gone[0] + 1}-{gone[-1] + 1}"
    named = problems(folder)
    assert [text for text in named if text.startswith(f"{ONE}: {name}: ") and ("missing" in text or "cut off at the end" in text)]


@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_entries_that_changed_places_are_named(pristine: Path, tmp_path: Path, data: st.DataObject) -> None:
    folder = copied(pristine, tmp_path)
    lines = lines_of(folder)
    one, other = sorted(data.draw(st.lists(st.integers(0, COUNT - 1), min_size=2, max_size=2, unique=True)))
    lines[one], lines[other] = lines[other], lines[one]
    put_lines(folder, lines)
    named = problems(folder)
    assert any(f"entry {one + 1}: reordered" in text for text in named), named
    assert not any("missing: the entries" in text or "cut off" in text for text in named), named


@pytest.mark.parametrize(
    "rewritten",
    [
        lambda line: line.replace('","', '", "', 1),
        lambda line: line.replace('{"content"', '{"content":{},"content"', 1),
        lambda line: edited(line, lambda record: record.update(note="paid in cash")),
    ],
)
def test_what_is_written_otherwise_or_added_beside_the_entry_is_named(folder: Path, rewritten: Callable[[str], str]) -> None:
    """Digests would still fit, but a reader might be fooled."""
    lines = lines_of(folder)
    put_lines(folder, [*lines[:4], rewritten(lines[4]), *lines[5:]])
    (named,) = problems(folder)
    assert "line 5: edited: it is not an entry as it was exported" in named


def test_an_entry_that_is_repeated_is_named(folder: Path) -> None:
    lines = lines_of(folder)
    put_lines(folder, [*lines[:10], lines[4], *lines[10:]])
    assert problems(folder) == [f"{ONE}: entry 5: repeated: it stands after entry 10"]


def test_an_entry_of_another_customer_is_named(folder: Path) -> None:
    lines = lines_of(folder)
    lines[6] = lines_of(folder, 2)[6]
    put_lines(folder, lines)
    assert problems(folder) == [
        f"{ONE}: line 7: entry 7 of {OTHER} does not belong here: inserted",
        f"{ONE}: entry 7: missing: the entries around are there",
    ]


def test_entries_put_to_the_end_are_named_with_the_key_and_without(folder: Path) -> None:
    lines = lines_of(folder)
    last = json.loads(lines[-1])
    last["entry"] |= {"sequence": COUNT + 1, "previous": last["digest"]}
    redigested(last)
    put_lines(folder, [*lines, canonical(last)])
    assert f"{ONE}: entry 25: added after the end that manifest.json names" in problems(folder, keys=False)
    assert any("entry 25: edited: its keyed digest" in text for text in problems(folder))


def test_an_end_that_was_cut_is_known_to_the_anchors_even_if_the_manifest_was_put_right(folder: Path) -> None:
    put_lines(folder, lines_of(folder)[:20])
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["chains"][0]["last"] = 20
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (named,) = problems(folder, keys=False)
    assert "entries 21-24: cut off at the end: the anchor of 2026-11-20T" in named


def test_own_anchors_show_what_was_cut_out_of_everything_in_the_archive(
    world: JournalWorld, folder: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for number, text in enumerate(world.anchors.files.values()):
        (own / f"{number}.jsonl").write_text(text)
    assert problems(folder, anchors=own) == []
    put_lines(folder, lines_of(folder)[:20])
    put_lines(folder, lines_of(folder, name="anchors")[:2], name="anchors")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["chains"][0]["last"] = 20
    del manifest["chains"][1]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert problems(folder) == []
    named = problems(folder, anchors=own)
    assert any(f"{ONE}: entries 21-24: cut off at the end" in text for text in named)
    assert f"{OTHER}: missing" in named


def test_an_archive_that_was_cut_down_to_one_customer_says_so_and_must_hold_the_chain_of_that_one(
    world: JournalWorld, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "all.jsonl").write_text("".join(world.anchors.files.values()))
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["chains"][1]
    for customer, named in (("bc_1", []), ("bc_2", [f"{OTHER}: missing"])):
        (folder / "manifest.json").write_text(json.dumps(manifest | {"business_customer": customer}))
        assert problems(folder, anchors=own) == named
        verify_evidence.main([str(folder)])
        assert f"in 1 chains, only those of {customer}, " in capsys.readouterr().out


def test_a_forged_anchor_is_named(folder: Path) -> None:
    lines = lines_of(folder, name="anchors")
    put_lines(folder, [edited(lines[0], lambda anchor: anchor.update(digest="0" * 64)), *lines[1:]], name="anchors")
    assert any("forged: not made with the key" in text for text in problems(folder))
    (named,) = problems(folder, keys=False)
    assert "entry 8: replaced, or the anchor of" in named


def test_personal_data_cut_without_an_erasure_are_named(folder: Path) -> None:
    lines = lines_of(folder)

    def cut(record: dict[str, Any]) -> None:
        del record["personal"], record["salt"]

    put_lines(folder, [*lines[:4], edited(lines[4], cut), *lines[5:]])
    (named,) = problems(folder, keys=False)
    assert "entry 5: cut: its personal data are missing, and no entry says that they were erased" in named
    put_lines(folder, [*lines[:4], edited(edited(lines[4], cut), lambda one: one.update(erased_by=16)), *lines[5:]])
    (named,) = problems(folder, keys=False)
    assert "entry 5: cut: its personal data are missing, and entry 16 does not name it as erased" in named


@pytest.mark.parametrize("what", ["personal", "content"])
def test_other_personal_data_or_content_under_the_same_digest_are_named(folder: Path, what: str) -> None:
    lines = lines_of(folder)
    lines[4] = edited(lines[4], lambda record: record.update({what: {"/fact/payer": {"name": "Bob"}}}))
    put_lines(folder, lines)
    (named,) = problems(folder, keys=False)
    assert named.startswith(f"{ONE}: entry 5: edited: ")


def test_content_that_was_left_out_is_named(folder: Path) -> None:
    lines = lines_of(folder)
    lines[4] = edited(lines[4], lambda record: record.pop("content"))
    put_lines(folder, lines)
    assert f"{ONE}: entry 5: cut: its content is missing" in problems(folder, keys=False)


def test_a_file_that_is_gone_or_damaged_is_named(world: JournalWorld, folder: Path, tmp_path: Path) -> None:
    (folder / "chains/00002/entries.jsonl").unlink()
    assert any("chains/00002/entries.jsonl is missing" in text for text in problems(folder))
    archive = world.export(tmp_path)
    written = bytearray(archive.read_bytes())
    written[200:210] = b"0123456789"
    archive.write_bytes(written)
    assert problems(archive)


@pytest.mark.parametrize(
    "manifest", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "from": "", "to": "", "business_customer": 1, "chains": [{}]}']
)
def test_what_is_no_archive_is_told_in_one_line(tmp_path: Path, manifest: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    assert verify_evidence.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_problems_end_in_exit_code_one_and_in_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_lines(folder, lines_of(folder)[1:])
    assert verify_evidence.main([str(folder)]) == 1
    assert "1 PROBLEMS" in capsys.readouterr().out
    assert verify_evidence.main([str(folder), "--json"]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["chain"] for one in told] == [ONE, OTHER]
    assert told[0]["problems"] == ["entry 1: missing: the entries around are there"]


def test_memory_does_not_grow_with_the_number_of_entries(pristine: Path, tmp_path: Path) -> None:
    """The same few entries over and over are not a chain, but cost what one would."""
    folder = copied(pristine, tmp_path)
    records = [json.loads(line) for line in lines_of(folder, 2)]
    peaks = []
    for count in (200, 4000):
        written = []
        previous = "0" * 64
        for number in range(count):
            record = records[number % len(records)]
            record["entry"] |= {"sequence": number + 1, "previous": previous, "chained_at": "2026-11-20T10:00:00Z"}
            redigested(record)
            previous = record["digest"]
            written.append(canonical(record))
        put_lines(folder, written, 2)
        put_lines(folder, [], 2, "anchors")
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["chains"][1]["last"] = count
        (folder / "manifest.json").write_text(json.dumps(manifest))
        tracemalloc.start()
        assert problems(folder, keys=False) == []
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5


def copied(pristine: Path, tmp_path: Path) -> Path:
    target = tmp_path / "copy"
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(pristine, target))
