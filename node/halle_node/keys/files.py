"""Secret files: mode 0600 from the first byte on, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from halle_protocol.errors import Unavailable

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def make_folder(path: Path) -> None:
    """Create a folder only its owner can enter."""
    path.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    path.chmod(FOLDER_MODE)


def write_secret(path: Path, data: bytes) -> None:
    """Put `data` at `path`, on the disk before this returns; a crash leaves the old file.

    Raises: Unavailable("key-file-unwritable").
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as exc:
        temporary.unlink(missing_ok=True)
        raise Unavailable(
            f"The key file {path} cannot be written.",
            code="key-file-unwritable",
            hint="Check the disk's free space and the folder's permissions.",
        ) from exc


def read_secret(path: Path) -> bytes:
    """The bytes of a key file.

    Raises: Unavailable("key-file-missing").
    """
    try:
        return path.read_bytes()
    except OSError as exc:
        raise Unavailable(
            f"The key file {path} cannot be read.",
            code="key-file-missing",
            hint="Restore the keys folder from a backup, or the store from its phrase.",
        ) from exc


def destroy_secret(path: Path) -> None:
    """Overwrite a key file, then remove it: a sealed message without its key is erased.

    Journalling disks may keep an old copy of the block; full-disk encryption covers that.
    """
    with contextlib.suppress(FileNotFoundError):
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(secrets.token_bytes(size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
