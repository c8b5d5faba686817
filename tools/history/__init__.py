"""History: what a provider's export says happened, as the facts that its webhooks would have reported.

A format is a module of this package that fulfils `Reader`; it is listed in `_TABLES` (CSV) or `_LINES` (one JSON object a line).
Which one a file needs is told by its header, or by the names in its first object, never by the name of the file. Everything
streams: a file is read line by line and never held. A file that ends in `.gz`, or only begins like one, is unpacked on the way.
"""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol, TypeAlias, cast

from quittance.errors import Reject
from quittance.facts import Fact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

Row: TypeAlias = "tuple[int, Mapping[str, Any]]"
"""The number of a line, counted from 1 with the header, and what it holds by column or member. The cells of a table are text,
stripped."""

Settings: TypeAlias = "Mapping[str, Any]"
"""Of a configured endpoint, as `Provider.translate` takes them."""

_TABLES = (
    "adyen_accounting",
    "adyen_settlement",
    "stripe_payments",
    "stripe_payouts",
)
_LINES = (
    "adyen_lines",
    "archive",
    "platform_lines",
    "stripe_balance",
    "stripe_lines",
)
_LOOKED_AT = 20
"""How many lines of JSON may be unreadable before the first that tells the format."""
_GZIP = b"\x1f\x8b"
_FIELD_MAX = 1_048_576
_LINE_MAX = 4 * 1_048_576
"""Bytes. More is no line of any format, and would be held in memory."""


class HistoryError(Exception):
    """A line, or a whole file, that cannot be used. The message is one line for a person and holds nothing of the content."""

    def __init__(self, line: int, reason: str) -> None:
        """`line` is counted from 1; 0: the reason concerns the whole file."""
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.line = line
        self.reason = reason


class Reported(NamedTuple):
    """One fact that a file states."""

    fact: Fact
    event_id: str
    """Of the provider's event if the file has it; else one made of the row's own id, the same whenever the file is read."""
    line: int
    is_test: bool | None = None
    """Whether the file says that no real money moved. None: it does not say."""


class Reader(Protocol):
    """How one format is read. A module of this package fulfils it."""

    NAME: str
    """What `--format` calls it."""

    def recognises(self, header: Sequence[str]) -> bool:
        """Whether a file with these columns, or whose first object has these members, is of this format."""

    def facts(self, rows: Iterable[Row], account: str | None, settings: Settings) -> Iterator[Reported | HistoryError]:
        """What the rows state, in their order; a row may state nothing, or only together with later ones.

        `account` is whose money it is (`Fact.account`) where the file itself does not say. `settings` are those of the connection
        on which the same would have been delivered, such as Adyen's capture mode.
        A line that cannot be used is *yielded* as an error, so that reading goes on. An error that is raised ends the file.
        """


def readers() -> dict[str, Reader]:
    """Every format by its name."""
    return {reader.NAME: reader for reader in map(_reader, (*_TABLES, *_LINES))}


def _reader(module: str) -> Reader:
    return cast("Reader", import_module(f"{__name__}.{module}"))


def reader_of(path: Path) -> Reader:
    """The format of a file, recognised by its content. Raises `HistoryError` if it is empty, of no format, or of several."""
    is_table, header = _header(path)
    found = [reader for reader in map(_reader, _TABLES if is_table else _LINES) if reader.recognises(header)]
    if len(found) == 1:
        return found[0]
    several = " or ".join(reader.NAME for reader in found)
    reason = f"this may be {several}" if found else "the format is not known: JSON lines, or CSV with commas, in UTF-8"
    raise HistoryError(0, f"{reason}; choose one with --format: {', '.join(sorted(readers()))}")


def _header(path: Path) -> tuple[bool, Sequence[str]]:
    """Whether the file is a table, and its columns, or else the members of its first object."""
    lines = _Lines(path)
    if not lines.is_table:
        return False, tuple(next((row for _, row in lines.objects(_LOOKED_AT)), ()))
    return True, lines.columns()


@dataclass
class History:
    """One file, and how to read it. It may be read any number of times, with the same result."""

    path: Path
    reader: Reader
    account: str | None = None
    settings: Settings = field(default_factory=dict)

    def __iter__(self) -> Iterator[Reported | HistoryError]:
        """Everything the file states and every line that cannot be used, in the order of the file. Raises `HistoryError`."""
        lines = _Lines(self.path)
        is_table = lines.is_table
        self._require_fit(is_table=is_table)
        rows = lines.rows() if is_table else lines.objects()
        for reported in self.reader.facts(rows, self.account, self.settings):
            yield from lines.taken_errors()
            yield reported
        yield from lines.taken_errors()

    def _require_fit(self, *, is_table: bool) -> None:
        """Whether a chosen reader can read this at all: a table by its columns. The first object need not tell a format."""
        fits = self.reader.recognises(_Lines(self.path).columns()) if is_table else self.reader not in map(_reader, _TABLES)
        if not fits:
            raise HistoryError(0, f"this is no file of the format {self.reader.NAME}")


def refused(line: int, error: Reject) -> HistoryError:
    """A line that the product refuses for the reason that `error` names."""
    return HistoryError(line, str(error))


@dataclass
class _Lines:
    """The lines of a file as rows. One that is none is an error, set aside until the reader has said what came before it."""

    path: Path
    errors: list[HistoryError] = field(default_factory=list)

    def taken_errors(self) -> list[HistoryError]:
        taken, self.errors = self.errors, []
        return taken

    @property
    def is_table(self) -> bool:
        """Whether the first line that is not blank does not begin as JSON does. Raises `HistoryError` if there is none."""
        for _, line in self._texts():
            if line.strip():
                return not line.lstrip().startswith(("{", "["))
        raise HistoryError(0, "the file is empty")

    def columns(self) -> list[str]:
        """Raises `HistoryError` if there are none."""
        for _, cells in self._records():
            return cells
        raise next(iter(self.errors), HistoryError(0, "the file is empty"))

    def rows(self) -> Iterator[Row]:
        """The rows of a table."""
        records = self._records()
        _, columns = next(records)
        if len(set(columns)) < len(columns):
            raise HistoryError(1, "two columns have one name")
        for number, cells in records:
            if len(cells) != len(columns):
                self.errors.append(HistoryError(number, f"{len(cells)} columns where the header has {len(columns)}"))
            elif not _is_text(cells):
                self.errors.append(HistoryError(number, "not UTF-8"))
            else:
                yield number, dict(zip(columns, cells, strict=True))

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """The records of a table with the number of the line in which each begins, blank ones left out."""
        csv.field_size_limit(_FIELD_MAX)
        records = csv.reader((text for _, text in self._texts()), strict=True)
        while True:
            begins = records.line_num + 1
            try:
                cells = next(records)
            except StopIteration:
                return
            except csv.Error as error:
                self.errors.append(HistoryError(begins, f"not CSV: {error}"))
                continue
            if any(cells):
                yield begins, [cell.strip() for cell in cells]

    def objects(self, most: int | None = None) -> Iterator[Row]:
        """The objects of a file of JSON lines, of at most the first so many lines."""
        for number, text in self._texts():
            if most is not None and number > most:
                return
            if text.strip():
                try:
                    yield number, _object(text)
                except ValueError as error:
                    self.errors.append(HistoryError(number, str(error)))

    def _texts(self) -> Iterator[tuple[int, str]]:
        """Every line with its number; bytes that are not UTF-8 stay in it as surrogates, which no text of a file can hold."""
        with self.path.open("rb") as file:
            is_packed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            source = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if is_packed else file
            number = 0
            try:
                while line := source.readline(_LINE_MAX):
                    number += 1
                    if len(line) == _LINE_MAX:
                        raise HistoryError(number, "the line has no end")
                    text = line.decode("utf-8", "surrogateescape")
                    yield number, text.removeprefix("\ufeff") if number == 1 else text
            except (EOFError, gzip.BadGzipFile, zlib.error):
                raise HistoryError(number + 1, "the packed file is cut off or damaged") from None


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ValueError("not one JSON object") from None
    if not isinstance(value, dict):
        raise ValueError("not one JSON object")  # noqa: TRY004 - a line that cannot be read, whatever it is
    if not text.isascii() and not _is_text((text,)):
        raise ValueError("not UTF-8")
    return value


def _refuse_constant(name: str) -> Any:  # noqa: ANN401 - as the parser has it
    raise ValueError(name)


def _is_text(cells: Iterable[str]) -> bool:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return False
    return True
