"""Rows of a CSV file whatever program saved it, one at a time, with bad rows named instead of swallowing the rest.

Rule: memory does not grow with the file; a row that is broken costs that row only, and reading goes on at the next
line; the same bytes always give the same rows.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from halle_protocol.errors import Refused

SAMPLE_BYTES = 1 << 16
MAX_FIELD_CHARS = 200_000
MAX_LINES_A_ROW = 2_000
MAX_COLUMNS = 1_000
DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One record. `line` counts the file's lines from 1; `problem` says why `cells` cannot be used."""

    line: int
    cells: tuple[str, ...]
    problem: str = ""


class Sheet:
    """A CSV file. Reading it twice gives the same rows.

    Raises: Refused("file-unreadable" | "file-empty").
    """

    def __init__(self, source: bytes | Path) -> None:
        self._source = source
        self.encoding = self._find_encoding()
        self.header, self.delimiter, self.first_line = self._find_header()

    def rows(self) -> Iterator[SheetRow]:
        """Every record after the header, empty ones left out."""
        with self._text() as text:
            for row in _records(text, self.delimiter, len(self.header)):
                if row.line > self.first_line and (row.problem or any(cell.strip() for cell in row.cells)):
                    yield row

    def _open(self) -> BinaryIO:
        if isinstance(self._source, bytes):
            return io.BytesIO(self._source)
        try:
            return self._source.open("rb")
        except OSError as exc:
            raise Refused(
                f"{self._source} cannot be read.",
                code="file-unreadable",
                hint="Check the path and its permissions.",
            ) from exc

    def _text(self) -> IO[str]:
        # Undefined bytes of cp1252 become U+FFFD; every other encoding was proved to fit.
        errors = "replace" if self.encoding == "cp1252" else "strict"
        return io.TextIOWrapper(self._open(), encoding=self.encoding, errors=errors, newline="")

    def _find_encoding(self) -> str:
        with self._open() as file:
            sample = file.read(SAMPLE_BYTES)
            if not sample.strip():
                raise Refused("The file is empty.", code="file-empty", hint="Export the products again.")
            marked = _marked_encoding(sample)
            if marked:
                return marked
            file.seek(0)
            return "utf-8" if _is_utf8(file) else "cp1252"

    def _find_header(self) -> tuple[tuple[str, ...], str, int]:
        with self._text() as text:
            try:
                sample = text.read(SAMPLE_BYTES)
            except UnicodeError as exc:
                raise Refused(
                    f"The file is not {self.encoding} text.", code="file-unreadable", hint="Save it as UTF-8."
                ) from exc
        first = next((line for line in sample.splitlines() if line.strip()), "")
        delimiter = max(DELIMITERS, key=first.count)
        for row in _records(io.StringIO(sample, newline=""), delimiter, None):
            if any(cell.strip() for cell in row.cells):
                # The header may itself span lines; rows begin after its last one.
                header = tuple(" ".join(cell.replace("\ufeff", "").split()) for cell in row.cells[:MAX_COLUMNS])
                return header, delimiter, row.line
        raise Refused("The file has no header.", code="file-empty", hint="Export the products again.")


def _marked_encoding(sample: bytes) -> str:
    if sample.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # UTF-16 without a mark: every second byte of plain letters is zero.
    head = sample[:512]
    if len(head) >= 4 and head.count(0) > len(head) // 4:
        return "utf-16-le" if head[1::2].count(0) >= head[0::2].count(0) else "utf-16-be"
    return ""


def _is_utf8(file: BinaryIO) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while chunk := file.read(1 << 20):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


class _Lines:
    """Lines that can be put back, so that a runaway quote costs one line."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self._returned: deque[str] = deque()
        self.used: list[str] = []
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.used) >= MAX_LINES_A_ROW:
            raise _TooLong
        line = self._returned.popleft() if self._returned else self._text.readline(4 * MAX_FIELD_CHARS)
        if not line:
            raise StopIteration
        self.used.append(line)
        self.number += 1
        if "\0" in line:
            line = line.replace("\0", "")
        return line

    def give_back_after_first(self) -> None:
        rest = self.used[1:]
        self._returned.extendleft(reversed(rest))
        self.number -= len(rest)


class _TooLong(Exception):
    """A record has more lines than any honest one."""


def _records(text: IO[str], delimiter: str, width: int | None) -> Iterator[SheetRow]:
    lines = _Lines(text)
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD_CHARS))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        start = lines.number + 1
        lines.used = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _TooLong, UnicodeError) as exc:
            yield SheetRow(start, (), _quoting_problem(exc))
            if isinstance(exc, UnicodeError):
                return
            lines.give_back_after_first()
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            continue
        if width is not None and len(lines.used) > 1 and len(cells) != width:
            # A quote that closes rows later joins them into one of the wrong width.
            yield SheetRow(start, (), "A quotation mark is missing or too many.")
            lines.give_back_after_first()
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            continue
        if width is not None and len(cells) > width and any(cell.strip() for cell in cells[width:]):
            yield SheetRow(start, (), f"The row has {len(cells)} columns; the header has {width}.")
            continue
        yield SheetRow(start, tuple(cells))


def _quoting_problem(exc: Exception) -> str:
    if isinstance(exc, UnicodeError):
        return "The file ends in the middle of a character, or holds bytes that are no text."
    return "A quotation mark is missing or too many."
