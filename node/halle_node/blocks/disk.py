"""Foreign storage errors become one Halle error here; a full disk is always `disk-full`."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from halle_protocol.errors import Unavailable

# EFBIG: a file-size limit (quota, ulimit) is a full disk to whoever has to act on it.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def disk_full(cause: BaseException) -> Unavailable:
    return Unavailable(
        f"No room to store blocks: {cause}.",
        code="disk-full",
        hint="Free some space or run the block clean-up, then retry.",
    )


@contextmanager
def translated() -> Iterator[None]:
    """Run a storage step; raise `Unavailable` for what the disk or SQLite refuses.

    Raises: Unavailable "disk-full", "block-store-failed".
    """
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise disk_full(exc) from exc
        raise _failed(exc) from exc
    except sqlite3.Error as exc:
        if getattr(exc, "sqlite_errorname", "") == "SQLITE_FULL":
            raise disk_full(exc) from exc
        raise _failed(exc) from exc


def _failed(cause: BaseException) -> Unavailable:
    return Unavailable(
        f"The block store failed: {cause}.",
        code="block-store-failed",
        hint="Check the disk, then restart the node; stored blocks are verified on every read.",
    )
