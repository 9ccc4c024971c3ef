"""Append-only lines on disk: the chain is whatever its journal replays to.

Rule: a line is on the disk before anyone hears of it; a torn last line was never promised to anyone, so it
is cut off; any other damage stops the chain instead of changing its history.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from halle_protocol.errors import Refused, Unavailable

Entry = dict[str, Any]
FILE_NAME = "chain.jsonl"


class Journal:
    """The one writer of a journal file, held under an exclusive lock."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE_NAME
        self._file: BinaryIO = open(self.path, "a+b", buffering=0)  # noqa: SIM115 held for the process's life
        try:
            self._lock()
            self.entries = list(self._recover())
        except BaseException:
            self._file.close()
            raise

    def append(self, entry: Entry) -> None:
        """Put one line on the disk. On failure nothing of it remains.

        Raises: Unavailable disk-full.
        """
        end = self._file.seek(0, os.SEEK_END)
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        try:
            if self._file.write(line) != len(line):
                raise OSError("short write")
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(end)
            raise Unavailable(
                "The chain's journal could not be written.", code="disk-full", hint="Free some space."
            ) from error

    def close(self) -> None:
        self._file.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Refused(
                f"Another chain process uses {self.path}.",
                code="chain-in-use",
                hint="Stop it, or give this one another folder.",
            ) from error

    def _recover(self) -> Iterator[Entry]:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            self._file.truncate(whole)
            os.fsync(self._file.fileno())
        lines = content[:whole].splitlines()
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
            except ValueError as error:
                if number == len(lines):
                    self._file.truncate(whole - len(line) - 1)
                    return
                raise Refused(
                    f"Line {number} of {self.path} is damaged.",
                    code="chain-journal-corrupt",
                    hint="Restore the file from a backup, or start a new chain in another folder.",
                ) from error
            yield entry
