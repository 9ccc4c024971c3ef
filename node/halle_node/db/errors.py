"""Translate what SQLite says into Halle's errors, once, here."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from halle_protocol.errors import HalleError, Refused, Unavailable

# EFBIG: a limit on the size of files is a full disk to whoever has to act on it.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FAILING = {errno.EROFS: sqlite3.SQLITE_READONLY, errno.EIO: sqlite3.SQLITE_IOERR}
_PRIMARY_CODE_MASK = 0xFF
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
# A full quota, RLIMIT_FSIZE or a disk gone read-only reaches SQLite as a failed write, not as SQLITE_FULL.
_NO_ROOM_IO = {
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
}


def translate(error: BaseException) -> HalleError | None:
    """Return the Halle error for a storage failure, None when the error is not about storage."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, OSError) and cause.errno in _NO_ROOM:
        return _disk_full()
    if isinstance(cause, OSError) and cause.errno in _FAILING:
        return _translate_damage(_FAILING[cause.errno])
    if not isinstance(cause, sqlite3.Error):
        return None
    extended = getattr(cause, "sqlite_errorcode", None)
    if extended is None:
        return None
    primary = extended & _PRIMARY_CODE_MASK
    if primary == sqlite3.SQLITE_FULL or extended in _NO_ROOM_IO:
        return _disk_full()
    if primary in _LOCKED:
        return Unavailable(
            "Another program holds the database.",
            code="database-locked",
            hint="Close other tools that have it open, then try again.",
        )
    return _translate_damage(primary)


def _disk_full() -> Unavailable:
    return Unavailable(
        "The disk is full or takes no writes; nothing was changed.",
        code="disk-full",
        hint="Free some space, or see why the disk cannot be written; then try again.",
    )


def _translate_damage(primary: int) -> HalleError | None:
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        return Unavailable(
            "The database cannot be written: its file or disk is read-only.",
            code="database-read-only",
            hint="Check the permissions of the home folder and how its disk is mounted.",
        )
    if primary in _CORRUPT:
        return Refused(
            "The database file is damaged.",
            code="database-corrupt",
            hint="Restore the home folder from a backup; keep the damaged file.",
        )
    if primary in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
        return Unavailable(
            "The disk did not answer the database.",
            code="database-io",
            hint="Check that the home folder exists and its disk is healthy.",
        )
    return None


@contextmanager
def translated() -> Iterator[None]:
    """Raise storage failures of the block as Halle errors; let every other error through."""
    try:
        yield
    except (DBAPIError, sqlite3.Error, OSError) as error:
        known = translate(error)
        if known is None:
            raise
        raise known from error
