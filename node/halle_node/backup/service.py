"""Make a back-up while the node runs, one at a time, in a thread of its own.

Rule: a file under the name that was asked for is whole and was read back; until then it has another name, and after
any failure there is none. The last good back-up is never touched before the new one is good.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from halle_node.backup import contents
from halle_node.backup.stream import KEY_BYTES, MAGIC, Header, SealedReader, SealedWriter, make_header, read_header
from halle_node.blocks import BlockStore
from halle_node.db import Database, notes
from halle_node.db.errors import translated
from halle_node.keys import Keys
from halle_protocol.errors import HalleError, Refused, Unavailable

NOTE = "backup"
OLD_S = 7 * 86_400
SUFFIX = ".part"
OWNER_ONLY = 0o600


@dataclass(frozen=True)
class LastBackup:
    """The newest good back-up. Units: `at` unix seconds, `bytes` of the file."""

    at: int
    path: str
    bytes: int


@dataclass(frozen=True)
class BackupState:
    """How a back-up goes. state: idle | packing | checking | done | failed. Units: bytes."""

    state: str = "idle"
    path: str = ""
    done: int = 0
    total: int = 0
    error_code: str = ""
    error_text: str = ""
    error_hint: str = ""
    last: LastBackup | None = None


class BackupService:
    """The node's back-ups."""

    def __init__(self, home: Path, db: Database, blocks: BlockStore, keys: Keys, clock: Callable[[], int]) -> None:
        self._home, self._db, self._blocks, self._keys, self._clock = home, db, blocks, keys, clock
        self._state = BackupState()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    def state(self) -> BackupState:
        """Return how the running back-up goes or the last one ended, and what the last good one was."""
        return replace(self._state, last=self.last())

    def last(self) -> LastBackup | None:
        """Return the newest good back-up; None when there never was one."""
        form = self._db.read(lambda conn: notes.read(conn, NOTE))
        return None if form is None else LastBackup(**json.loads(form))

    def is_due(self) -> bool:
        """Say whether the last back-up is older than a week, or there never was one."""
        last = self.last()
        return last is None or self._clock() - last.at > OLD_S

    def start(self, path: Path) -> BackupState:
        """Begin a back-up into a file.

        Raises: Refused backup-running, file-exists, backup-path, keys-locked.
        """
        if self._task is not None and not self._task.done():
            raise Refused("A back-up is being made.", code="backup-running", hint="Wait until it has ended.")
        _check_target(path, self._home)
        prekey = self._keys.recovery.prekey
        key = secrets.token_bytes(KEY_BYTES)
        header = make_header(key, prekey, self._keys.store_address, self._clock())
        self._state, self._stopping = BackupState("packing", str(path)), False
        self._task = asyncio.create_task(self._run(path, key, header), name="backup")
        return self.state()

    async def close(self) -> None:
        """Stop the back-up that runs; its file goes."""
        self._stopping = True
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _run(self, path: Path, key: bytes, header: Header) -> None:
        try:
            size = await asyncio.to_thread(self._make, path, key, header)
            made = LastBackup(header.made, str(path), size)
            form = json.dumps(vars(made))
            await self._db.write(lambda conn: notes.write(conn, NOTE, form, header.made))
        except HalleError as error:
            self._state = replace(
                self._state, state="failed", error_code=error.code, error_text=error.message, error_hint=error.hint
            )
        else:
            self._state = replace(self._state, state="done", done=self._state.total)

    def _make(self, path: Path, key: bytes, header: Header) -> int:
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}{SUFFIX}")
        try:
            with _told_plainly(path):
                packed = contents.prepare(self._home, self._db.path, self._blocks)
                self._state = replace(self._state, total=packed.total)
                self._write(draft, key, header, packed)
                self._check(draft, key)
                size = draft.stat().st_size
                os.replace(draft, path)
                _sync_folder(path.parent)
                return size
        finally:
            draft.unlink(missing_ok=True)
            (self._home / contents.SNAPSHOT).unlink(missing_ok=True)

    def _write(self, draft: Path, key: bytes, header: Header, packed: contents.Contents) -> None:
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, OWNER_ONLY)
        with os.fdopen(handle, "wb") as file:
            writer = SealedWriter(file, key, header)
            contents.pack(packed, writer, self._progress)
            writer.finish()
            file.flush()
            os.fsync(file.fileno())
            # Read back from the disk, not from memory.
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def _check(self, draft: Path, key: bytes) -> None:
        self._state = replace(self._state, state="checking", done=0)
        with draft.open("rb") as file:
            header = read_header(file)
            contents.read_through(SealedReader(file, key, header), self._progress)

    def _progress(self, count: int) -> None:
        if self._stopping:
            raise Unavailable("The back-up was stopped.", code="backup-stopped", hint="Start it again.")
        self._state = replace(self._state, done=self._state.done + count)


@contextmanager
def _told_plainly(path: Path) -> Iterator[None]:
    """Say what the disk refuses: the file's disk as such, everything else as the database says it."""
    try:
        with translated():
            yield
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be written: {error.strerror or error}.",
            code="backup-unwritable",
            hint="Check the disk, or choose another place.",
        ) from error


def _check_target(path: Path, home: Path) -> None:
    """Refuse a place where a back-up would destroy something, or be lost together with the home."""
    if not path.is_absolute() or path.is_dir() or path.name in ("", ".", ".."):
        raise Refused(
            f"{path} is not the full path of a file.", code="backup-path", hint="Such as /media/usb/shop.halle"
        )
    if path.resolve().is_relative_to(home.resolve()):
        raise Refused(
            "A back-up inside the home is lost together with it.",
            code="backup-path",
            hint="Choose another disk, or at least another folder.",
        )
    if not path.parent.is_dir():
        raise Refused(
            f"The folder {path.parent} does not exist.", code="backup-path", hint="Make it, or choose another."
        )
    try:
        with path.open("rb") as file:
            known = file.read(len(MAGIC)) == MAGIC
    except FileNotFoundError:
        return
    except OSError:
        known = False
    if not known:
        raise Refused(f"{path} is something else than a back-up.", code="file-exists", hint="Choose another name.")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
