"""Large blocks as files: complete and fsynced under their final name, or not there at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType


class FileShelf:
    """Files named by sha2-256 digest, sharded two levels deep.

    The digest is sharded, not the CID text: every CIDv1 text starts with the same characters.
    """

    def __init__(self, root: Path) -> None:
        self.blocks = root / "blocks"
        self.tmp = root / "tmp"
        self.quarantine = root / "quarantine"
        for folder in (self.blocks, self.tmp, self.quarantine):
            folder.mkdir(parents=True, exist_ok=True)
        # A file in tmp is a write that no index row ever acknowledged.
        for leftover in self.tmp.iterdir():
            leftover.unlink()

    def path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self.blocks / name[:2] / name[2:4] / name

    def read(self, digest: bytes) -> bytes | None:
        try:
            return self.path(digest).read_bytes()
        except FileNotFoundError:
            return None

    def remove(self, digest: bytes) -> None:
        self.path(digest).unlink(missing_ok=True)

    def set_aside(self, digest: bytes, data: bytes | None) -> None:
        """Move a damaged block out of reach; it stays readable for whoever investigates."""
        target = self.quarantine / digest.hex()
        if data is not None:
            target.write_bytes(data)
            return
        try:
            os.replace(self.path(digest), target)
        except FileNotFoundError:
            return

    def digests(self) -> Iterator[bytes]:
        for name in self.blocks.glob("??/??/*"):
            if len(name.name) == 64:
                yield bytes.fromhex(name.name)

    def batch(self) -> FileBatch:
        return FileBatch(self)


class FileBatch:
    """Several files that appear together: `settle` before the index commit, undone on an error."""

    def __init__(self, shelf: FileShelf) -> None:
        self._shelf = shelf
        self._waiting: list[tuple[Path, Path]] = []
        self._settled: list[Path] = []

    def __enter__(self) -> FileBatch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            return
        for tmp, _ in self._waiting:
            tmp.unlink(missing_ok=True)
        for final in self._settled:
            final.unlink(missing_ok=True)

    def write(self, digest: bytes, data: bytes) -> None:
        tmp = self._shelf.tmp / digest.hex()
        self._waiting.append((tmp, self._shelf.path(digest)))
        with open(tmp, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def settle(self) -> None:
        """Rename every file to its final name and make the names durable."""
        folders: set[Path] = set()
        for tmp, final in self._waiting:
            self._make_folder(final.parent, folders)
            if not final.exists():
                self._settled.append(final)
            os.replace(tmp, final)
            folders.add(final.parent)
        self._waiting.clear()
        for folder in folders:
            _sync_folder(folder)

    def _make_folder(self, folder: Path, folders: set[Path]) -> None:
        if folder.is_dir():
            return
        folder.mkdir(parents=True)
        # The new names live in the parents: these must reach the disk too.
        folders.update((folder.parent, self._shelf.blocks))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
