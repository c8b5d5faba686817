#!/usr/bin/env python3
"""Verify an archive made by `quittance evidence export`.

    python3 verify_evidence.py ARCHIVE [--key-file FILE] [--anchors FOLDER] [--json]

This file needs nothing but Python 3.9 or newer, and is the same in every archive. It reads the archive, a ZIP file or a folder
unpacked from one, line by line, so memory does not grow with the number of entries.

Without a key it verifies that every entry is as its successor and its anchors know it. With the key file, that entries and
anchors were made by the holder of the key. With --anchors, a folder of files that you took from the bucket of anchors yourself,
that the archive agrees with them too, whatever anchors it holds itself.

Exit code 0: all of it holds. 1: something does not, and what is said. 2: the archive cannot be read.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import pathlib
import sys
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Json = dict[str, Any]
Keys = dict[str, bytes]

FORMAT = 1
GENESIS = "0" * 64
ERASED = "personal_data.erased"
MOST_SHOWN = 100
PARTS = {"content", "digest", "entry", "erased_by", "personal", "salt"}
TEXTS = ("at", "chain", "chained_at", "content", "key_id", "kind", "mac", "personal", "previous")


class UnreadableError(Exception):
    """The archive is none, or not one that this version knows. The message is for the person at the terminal."""


# --- how things are written; see docs/evidence.md -------------------------------------------------------------------------


def canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def salted_digest(salt: str, text: str) -> str:
    return hmac.new(bytes.fromhex(salt), text.encode(), hashlib.sha256).hexdigest()


def keyed_digest(header: Json, keys: Keys) -> str:
    """The digest that the holder of the key makes; empty for a key that is not known."""
    secret = keys.get(str(header.get("key_id")))
    signed = {name: value for name, value in header.items() if name != "mac"}
    return hmac.new(secret, canonical(signed).encode(), hashlib.sha256).hexdigest() if secret else ""


def parsed(line: bytes) -> Json | None:
    """The object on a line; None unless it is written in the one canonical way, so that no byte can be changed unnoticed."""
    try:
        text = line.decode()
        value = json.loads(text)
        return value if isinstance(value, dict) and canonical(value) == text else None
    except (ValueError, RecursionError):
        return None


def record_on(line: bytes) -> Json | None:
    """The exported entry on a line; None if it is none."""
    record = parsed(line) or {}
    header = record.get("entry")
    is_whole = (
        isinstance(header, dict)
        and set(record) <= PARTS
        and ("salt" in record) == ("personal" in record)
        and isinstance(record.get("erased_by", 0), int)
        and type(header.get("sequence")) is int
        and all(isinstance(header.get(name), str) for name in TEXTS)
    )
    return record if is_whole else None


# --- the archive ----------------------------------------------------------------------------------------------------------


class Archive:
    """A ZIP file, or the folder that was unpacked from one."""

    def __init__(self, path: str) -> None:
        self._path = pathlib.Path(path)
        self._zip: zipfile.ZipFile | None = None
        if not self._path.is_dir():
            try:
                self._zip = zipfile.ZipFile(self._path)
            except (OSError, zipfile.BadZipFile) as error:
                raise UnreadableError(f"{path} cannot be read: {error}") from None
        self.manifest = self._read_manifest()

    def _open(self, name: str) -> IO[bytes]:
        return self._zip.open(name) if self._zip else (self._path / name).open("rb")

    def _read_manifest(self) -> Json:
        try:
            with self._open("manifest.json") as file:
                manifest = json.load(file)
            if manifest["format"] != FORMAT:
                raise UnreadableError(f"format {manifest['format']} is not known to this version of the verifier")
            told = {name: manifest[name] for name in ("from", "to", "business_customer", "chains")}
            kinds = {"chain": str, "folder": str, "first": int, "last": int}
            if not all(isinstance(one[name], kind) for one in told["chains"] for name, kind in kinds.items()):
                raise UnreadableError("manifest.json does not describe chains")
            return {**told, "from": str(told["from"]), "to": str(told["to"])}
        except (KeyError, TypeError, ValueError, OSError, zipfile.BadZipFile) as error:
            raise UnreadableError(f"the archive has no usable manifest.json: {error}") from None

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a file, without what ends them. Raises `UnreadableError` where the file is missing or damaged."""
        try:
            with self._open(name) as file:
                for line in file:
                    yield line.rstrip(b"\n")
        except (KeyError, OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise UnreadableError(f"{name} is missing or damaged: {error}") from None


# --- one chain ------------------------------------------------------------------------------------------------------------


class Chain:
    """One chain as it is read, entry by entry."""

    def __init__(self, told: Json, period: tuple[str, str], anchors: list[Json], keys: Keys) -> None:
        self.name, self.first, self.last = told["chain"], told["first"], told["last"]
        self._period = period
        self._keys = keys
        self._anchors = sorted(anchors, key=lambda anchor: (anchor["sequence"], anchor["anchored_at"]))
        self._next_anchor = 0
        self._expected = self.first
        self._gaps: list[tuple[int, int]] = []
        self._before: tuple[str, str, bool] | None = None
        self._suspect: int | None = None
        self._erased: dict[int, set[int]] = {}
        self._last_anchor = 0
        self.count = self.anchored = self.erased = self.with_person = 0
        self.problems: list[str] = []
        self.notes: list[str] = []

    def fault(self, text: str) -> None:
        self.problems.append(text)

    # entries

    def take(self, number: int, line: bytes) -> None:
        """The entry on a line of the file, which is counted from one."""
        self.count += 1
        record = record_on(line)
        if record is None:
            self._unreadable(number)
            return
        header = record["entry"]
        sequence = header["sequence"]
        if header.get("chain") != self.name:
            self.fault(f"line {number}: entry {sequence} of {header.get('chain')} does not belong here: inserted")
            return
        digest = digest_of(canonical(header))
        is_known_edited = self._verify_itself(record, header, sequence, digest)
        if self._is_in_its_place(sequence):
            self._verify_link(header, sequence, is_known_edited=is_known_edited)
            self._verify_anchors(header, sequence, digest)
            self._before = (digest, header["chained_at"], is_known_edited)
            self._expected = sequence + 1
        self._verify_content(record, header, sequence)
        self._verify_person(record, header, sequence)

    def _unreadable(self, number: int) -> None:
        self.fault(f"line {number}: edited: it is not an entry as it was exported (entry {self._expected} was expected here)")
        self._settle_suspect(fits=None)
        self._before = None
        self._expected += 1

    def _is_in_its_place(self, sequence: int) -> bool:
        if sequence > self._expected:
            self._gaps.append((self._expected, sequence - 1))
            self._before = None
        elif sequence < self._expected:
            self._out_of_place(sequence)
        return bool(sequence >= self._expected)

    def _out_of_place(self, sequence: int) -> None:
        for gap in self._gaps:
            if gap[0] <= sequence <= gap[1]:
                self.fault(f"entry {sequence}: reordered: it stands after entry {self._expected - 1}")
                self._gaps.remove(gap)
                parts = ((gap[0], sequence - 1), (sequence + 1, gap[1]))
                self._gaps.extend(part for part in parts if part[0] <= part[1])
                return
        what = "repeated" if self.first <= sequence else f"inserted before the first one, {self.first}"
        self.fault(f"entry {sequence}: {what}: it stands after entry {self._expected - 1}")

    def _verify_itself(self, record: Json, header: Json, sequence: int, digest: str) -> bool:
        """Whether the entry shows by itself that it was edited."""
        if self._keys and header.get("key_id") not in self._keys:
            self.fault(f"entry {sequence}: forged, or the key file is incomplete: it names key {header.get('key_id')}")
            return True
        if self._keys and not hmac.compare_digest(keyed_digest(header, self._keys), str(header.get("mac"))):
            self.fault(f"entry {sequence}: edited: its keyed digest is not the one that the holder of the key made")
            return True
        if record.get("digest") != digest:
            self.fault(
                f"entry {sequence}: edited: it does not have the digest {str(record.get('digest'))[:16]}... it was exported with"
            )
            return True
        return False

    def _verify_link(self, header: Json, sequence: int, *, is_known_edited: bool) -> None:
        """A reference that does not fit is the predecessor's fault, unless the entry's successor does not know it either."""
        expected = self._before[0] if self._before else (GENESIS if sequence == 1 else None)
        fits = expected is None or header["previous"] == expected
        is_explained = self._settle_suspect(fits=fits)
        if self._before and header["chained_at"] < self._before[1]:
            self.fault(f"entry {sequence}: edited or moved: it is dated before its predecessor")
        if fits or is_explained or is_known_edited or (self._before and self._before[2]):
            return
        if self._before is None:
            self.fault("entry 1: edited: it does not begin the chain")
        else:
            self._suspect = sequence

    def _settle_suspect(self, *, fits: bool | None) -> bool:
        """Name the entry that was edited, now that the successor's reference is known; None: there is none.

        Returns whether that explains why the successor's reference does not fit.
        """
        if self._suspect is None:
            return False
        sequence, self._suspect = self._suspect, None
        edited = sequence if fits is False else sequence - 1
        refers = f"entry {sequence} refers to another content of entry {sequence - 1}"
        self.fault(f"entry {edited}: edited or replaced: {refers}")
        return fits is False

    def _verify_anchors(self, header: Json, sequence: int, digest: str) -> None:
        while self._next_anchor < len(self._anchors) and self._anchors[self._next_anchor]["sequence"] <= sequence:
            anchor = self._anchors[self._next_anchor]
            self._next_anchor += 1
            if anchor["sequence"] < sequence:
                continue  # that entry is missing, or lies before this archive: said elsewhere
            self.anchored += 1
            self._last_anchor = sequence
            if anchor["digest"] != digest or anchor["chained_at"] != header["chained_at"]:
                self.fault(
                    f"entry {sequence}: replaced, or the anchor of {anchor['anchored_at']} is forged: it holds another digest"
                )

    def _verify_content(self, record: Json, header: Json, sequence: int) -> None:
        is_wanted = self._period[0] <= header["chained_at"] < self._period[1]
        if "content" in record:
            if digest_of(canonical(record["content"])) != header["content"]:
                self.fault(f"entry {sequence}: edited: its content is not the one that was entered")
        elif is_wanted:
            self.fault(f"entry {sequence}: cut: its content is missing")

    def _verify_person(self, record: Json, header: Json, sequence: int) -> None:
        if header["kind"] == ERASED and isinstance(record.get("content"), dict):
            self._explain(sequence, record["content"])
        if not header["personal"]:
            if record.get("personal") or record.get("erased_by"):
                self.fault(f"entry {sequence}: edited: personal data were put to an entry that never had any")
        elif "personal" in record:
            self.with_person += 1
            if not self._is_committed(record, header):
                self.fault(f"entry {sequence}: edited: its personal data are not those that were entered")
        elif record.get("erased_by"):
            self.erased += 1
            self._erased.setdefault(record["erased_by"], set()).add(sequence)
        elif "content" in record:
            self.fault(f"entry {sequence}: cut: its personal data are missing, and no entry says that they were erased")

    @staticmethod
    def _is_committed(record: Json, header: Json) -> bool:
        try:
            return bool(salted_digest(record["salt"], canonical(record["personal"])) == header["personal"])
        except (KeyError, TypeError, ValueError):
            return False

    # erasures

    def _explain(self, sequence: int, content: Json) -> None:
        """What an entry says of erased personal data."""
        waiting = self._erased.pop(sequence, None)
        if waiting is None:
            return
        entries = content.get("entries")
        named = {one for one in entries if isinstance(one, int)} if isinstance(entries, list) else set()
        for unnamed in sorted(waiting - named):
            self.fault(f"entry {unnamed}: cut: its personal data are missing, and entry {sequence} does not name it as erased")
        self.notes.append(f"personal data of {len(waiting)} entries were erased by {content.get('by')} (entry {sequence})")

    def take_later(self, line: bytes) -> None:
        """An entry after the end of this archive that says who erased personal data within."""
        record = record_on(line)
        if record is None or not self._is_erasure(record):
            self.fault("later-erasures.jsonl: a line was edited or forged")
            return
        self._explain(record["entry"]["sequence"], record["content"])

    def _is_erasure(self, record: Json) -> bool:
        header, content = record["entry"], record.get("content")
        is_one = (header["chain"], header["kind"]) == (self.name, ERASED)
        return (
            is_one
            and isinstance(content, dict)
            and digest_of(canonical(content)) == str(header["content"])
            and digest_of(canonical(header)) == str(record.get("digest"))
            and (not self._keys or keyed_digest(header, self._keys) == str(header["mac"]))
        )

    # the end

    def close(self) -> None:
        """What can be said only when all lines are read."""
        self._settle_suspect(fits=None)
        for gap in sorted(self._gaps):
            self.fault(f"{_entries(*gap)}: missing: the entries around are there")
        reached = self._expected - 1
        if reached > self.last:
            self.fault(f"{_entries(self.last + 1, reached)}: added after the end that manifest.json names")
        anchored = max((anchor["sequence"] for anchor in self._anchors), default=0)
        if reached < max(self.last, anchored):
            witness = f"the anchor of {_time_of(self._anchors)} knows" if anchored > reached else "manifest.json names"
            self.fault(f"{_entries(reached + 1, max(self.last, anchored))}: cut off at the end: {witness} more")
        for erasure, entries in sorted(self._erased.items()):
            named = ", ".join(map(str, sorted(entries)[:10]))
            self.fault(f"{len(entries)} entries ({named}): cut: personal data are missing, and entry {erasure} does not say so")
        if not self.problems and self.count:
            self._describe_ends(reached)

    def _describe_ends(self, reached: int) -> None:
        if self.first > 1 and not any(anchor["sequence"] == self.first for anchor in self._anchors):
            self.notes.append(f"begins with entry {self.first}, which no anchor confirms")
        if self._last_anchor < reached:
            self.notes.append(f"{_entries(self._last_anchor + 1, reached)}: not anchored yet, vouched for by the key alone")


def _entries(first: int, last: int) -> str:
    return f"entry {first}" if first == last else f"entries {first}-{last}"


def _time_of(anchors: list[Json]) -> str:
    return str(anchors[-1]["anchored_at"])


# --- anchors and keys -----------------------------------------------------------------------------------------------------


def read_keys(path: str) -> Keys:
    try:
        with pathlib.Path(path).open(encoding="utf-8") as file:
            return {name: bytes.fromhex(digits) for name, digits in (line.split() for line in file if line.strip())}
    except (OSError, ValueError) as error:
        raise UnreadableError(f"the key file cannot be read: {type(error).__name__}") from None


def anchor_on(line: bytes) -> Json | None:
    """The anchor on a line; None if it is none."""
    anchor = parsed(line)
    texts = ("chain", "digest", "chained_at", "anchored_at")
    is_whole = anchor and isinstance(anchor.get("sequence"), int) and all(isinstance(anchor.get(name), str) for name in texts)
    return anchor if is_whole else None


def good_anchors(lines: Iterable[bytes], keys: Keys) -> tuple[list[Json], list[str]]:
    """The anchors that are not known to be forged, and what is wrong with the others."""
    found, faults = [], []
    for number, line in enumerate(lines, 1):
        anchor = anchor_on(line)
        if anchor is None:
            faults.append(f"anchor on line {number}: edited")
        elif keys and keyed_digest(anchor, keys) != anchor.get("mac"):
            what = f"anchor of {anchor['anchored_at']} for entry {anchor['sequence']} of {anchor['chain']}"
            faults.append(f"{what}: forged: not made with the key")
        else:
            found.append(anchor)
    return found, faults


def own_anchors(folder: str, keys: Keys) -> tuple[dict[str, list[Json]], list[str]]:
    """The anchors that the auditor brought along, by chain, and what is wrong with others."""
    by_chain: dict[str, list[Json]] = {}
    faults: list[str] = []
    files = sorted(path for path in pathlib.Path(folder).rglob("*.jsonl") if path.is_file())
    if not files:
        raise UnreadableError(f"{folder} holds no files of anchors (*.jsonl)")
    for path in files:
        anchors, wrong = good_anchors(path.read_bytes().splitlines(), keys)
        faults += [f"{path.name}: {text}" for text in wrong]
        for anchor in anchors:
            by_chain.setdefault(anchor["chain"], []).append(anchor)
    return by_chain, faults


# --- all of it ------------------------------------------------------------------------------------------------------------


def verify(archive: Archive, keys: Keys, brought: dict[str, list[Json]] | None) -> Iterator[Chain]:
    """Yield each chain once it is read. `brought` are the auditor's own anchors by chain, or None."""
    period = (archive.manifest["from"], archive.manifest["to"])
    for told in archive.manifest["chains"]:
        try:
            anchors, faults = good_anchors(archive.lines(f"{told['folder']}/anchors.jsonl"), keys)
        except UnreadableError as error:
            anchors, faults = [], [str(error)]
        faults += [f"anchor for {one['chain']}: it does not belong here" for one in anchors if one["chain"] != told["chain"]]
        anchors = [one for one in anchors if one["chain"] == told["chain"]]
        if brought is not None:
            # Those after the period may know of entries that were made since; those before it, of entries that are not here.
            own = brought.get(told["chain"], ())
            anchors += [one for one in own if one["sequence"] >= told["first"] and one["chained_at"] < period[1]]
        chain = Chain(told, period, anchors, keys)
        chain.problems += faults
        try:
            for number, line in enumerate(archive.lines(f"{told['folder']}/entries.jsonl"), 1):
                chain.take(number, line)
            for line in archive.lines(f"{told['folder']}/later-erasures.jsonl"):
                chain.take_later(line)
        except UnreadableError as error:
            chain.fault(str(error))
        chain.close()
        yield chain


def missing_chains(archive: Archive, brought: dict[str, list[Json]] | None) -> list[str]:
    """Chains that the auditor's own anchors know in the period and the archive does not hold."""
    if brought is None:
        return []
    held = {told["chain"] for told in archive.manifest["chains"]}
    start, end = archive.manifest["from"], archive.manifest["to"]
    customer = archive.manifest["business_customer"]
    return sorted(
        name
        for name, anchors in brought.items()
        if name not in held
        and (customer is None or name == f"customer:{customer}")
        and any(start <= anchor["chained_at"] < end for anchor in anchors)
    )


def as_json(chain: Chain) -> Json:
    counts = {name: getattr(chain, name) for name in ("count", "anchored", "with_person", "erased")}
    return {
        "chain": chain.name,
        "first": chain.first,
        "last": chain.last,
        **counts,
        "problems": chain.problems,
        "notes": chain.notes,
    }


def as_text(chain: Chain) -> str:
    verdict = "PROBLEMS" if chain.problems else "ok"
    lines = [f"{verdict:8}  {chain.name}: {chain.count:,} entries ({chain.first}-{chain.last}), {chain.anchored:,} anchors"]
    shown = chain.problems[:MOST_SHOWN]
    lines += [f"          {text}" for text in shown]
    if len(chain.problems) > len(shown):
        lines.append(f"          and {len(chain.problems) - len(shown):,} problems more")
    return "\n".join([*lines, *(f"          note: {text}" for text in chain.notes)])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Verify an archive made by `quittance evidence export`.")
    parser.add_argument("archive", help="ZIP file, or the folder it was unpacked to")
    parser.add_argument("--key-file", help="lines of `id hexadecimal-digits`, from the owner of the system")
    parser.add_argument("--anchors", help="folder with files that you took from the bucket of anchors yourself")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each chain")
    chosen = parser.parse_args(arguments)
    try:
        return _run(chosen)
    except UnreadableError as error:
        print(f"cannot verify: {error}", file=sys.stderr)
        return 2


def _run(chosen: argparse.Namespace) -> int:
    keys = read_keys(chosen.key_file) if chosen.key_file else {}
    brought, faults = own_anchors(chosen.anchors, keys) if chosen.anchors else (None, [])
    for text in faults:
        print(json.dumps({"chain": None, "problems": [text]}) if chosen.json else f"PROBLEMS  {text}")
    archive = Archive(chosen.archive)
    chains = entries = 0
    for chain in verify(archive, keys, brought):
        chains, entries = chains + 1, entries + chain.count
        faults += chain.problems
        print(json.dumps(as_json(chain), ensure_ascii=False) if chosen.json else as_text(chain))
    for name in missing_chains(archive, brought):
        faults.append(f"{name}: missing: your anchors know it, the archive does not")
        print(json.dumps({"chain": name, "problems": faults[-1:]}) if chosen.json else f"PROBLEMS  {faults[-1]}")
    if not chosen.json:
        print(_summary(archive, (chains, entries), len(faults), keys))
    return 1 if faults else 0


def _summary(archive: Archive, counts: tuple[int, int], problems: int, keys: Keys) -> str:
    """It names whose archive this is: one that claims to be of a single business customer need not hold the chains of others."""
    customer = archive.manifest["business_customer"]
    whose = "everybody's" if customer is None else f"only those of {customer}"
    period = f"{archive.manifest['from']} to {archive.manifest['to']}"
    how = "with the key" if keys else "without the key: who made the entries is not verified"
    outcome = f"{problems:,} PROBLEMS" if problems else "all of it holds"
    return f"{outcome}: {counts[1]:,} entries in {counts[0]:,} chains, {whose}, {period}, {how}"


if __name__ == "__main__":
    sys.exit(main())
