"""What of a home goes into a back-up, and how it comes out again.

Rule: the database is read in one snapshot before the blocks, which only ever grow under it; so nothing a row names is
missing. Left out are the phrase (who opens the file has it), the prekeys (their destruction would otherwise be undone),
pictures of others that nothing needs, the search index and logs.
"""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from halle_node.blocks import BlockStore
from halle_node.config import FILE_NAME
from halle_node.db.errors import translated
from halle_node.notify.settings import PASSWORD_FILE
from halle_protocol.cid import CID
from halle_protocol.errors import Refused, Unavailable

DATABASE = "halle.db"
PINS = "pins.json"
BLOCKS = "blocks/"
FOLLOWED = "store/"
"""Pins of other stores' catalogs: their pictures are fetched again after a restore."""
COPIED = (
    FILE_NAME,
    "keys/operator.key",
    "keys/peer.key",
    "keys/grant.cbor",
    f"keys/{PASSWORD_FILE}",
    "peers.json",
    "chain/chain.jsonl",
)
SNAPSHOT = "run/backup-snapshot.db"
BATCH_BYTES = 8 << 20

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Contents:
    """A home as it is packed. Units: `total` bytes, for the progress."""

    home: Path
    blocks: BlockStore
    snapshot: Path
    digests: list[tuple[int, bytes]]
    total: int


def prepare(home: Path, database: Path, blocks: BlockStore) -> Contents:
    """Take the snapshot and count what will be packed.

    Raises: Unavailable disk-full, …; Refused database-corrupt.
    """
    snapshot = home / SNAPSHOT
    snapshot.parent.mkdir(mode=0o700, exist_ok=True)
    with translated():
        snapshot.unlink(missing_ok=True)
        snapshot.touch(mode=0o600)
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as source:
            source.execute("VACUUM INTO ?", (str(snapshot),))
        _check_database(snapshot)
    own_pins = [cid for name, cid in blocks.pins().items() if not name.startswith(FOLLOWED)]
    digests = blocks.worth_keeping(own_pins)
    sizes = blocks.bytes_of([digest for _, digest in digests])
    copied = sum((home / name).stat().st_size for name in COPIED if (home / name).is_file())
    return Contents(home, blocks, snapshot, digests, snapshot.stat().st_size + sizes + copied)


def pack(contents: Contents, sink: io.RawIOBase, progress: Progress) -> None:
    """Write everything into `sink`; `progress` hears of each piece's bytes."""
    with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name in COPIED:
            path = contents.home / name
            if path.is_file():
                _add_file(tar, name, path, progress)
        _add_file(tar, DATABASE, contents.snapshot, progress)
        pins = {name: cid.hex() for name, cid in contents.blocks.pins().items()}
        _add_bytes(tar, PINS, json.dumps(pins).encode())
        for kind, digest in contents.digests:
            data = contents.blocks.read_digest(digest)
            if data is not None:
                _add_bytes(tar, f"{BLOCKS}{kind}/{digest.hex()}", data)
                progress(len(data))


def unpack(source: io.RawIOBase, home: Path, progress: Progress) -> None:
    """Write everything below `home`, a folder of our own that nobody uses yet.

    Raises: Refused backup-damaged, database-corrupt; Unavailable disk-full, ….
    """
    with tarfile.open(fileobj=source, mode="r|") as tar, _blocks_of(home) as blocks:
        waiting: list[tuple[int, bytes, bytes]] = []
        for member in tar:
            data = tar.extractfile(member)
            if not member.isreg() or data is None:
                raise _unknown(member.name)
            if member.name.startswith(BLOCKS):
                waiting.append(_block(member.name, data.read()))
                if sum(len(each[2]) for each in waiting) > BATCH_BYTES:
                    blocks.put_back(waiting)
                    waiting = []
            elif member.name == PINS:
                for name, cid in json.loads(data.read()).items():
                    blocks.pin(name, CID.from_bytes(bytes.fromhex(cid)))
            elif member.name in (*COPIED, DATABASE):
                _write(home / member.name, data)
            else:
                raise _unknown(member.name)
            progress(member.size)
        blocks.put_back(waiting)
    # The end of the archive is not the end of the file: only the last chunk says that nothing was cut off.
    while source.read(1 << 20):
        pass
    with translated():
        _check_database(home / DATABASE)


def read_through(source: io.RawIOBase, progress: Progress) -> int:
    """Read everything, as a check; return how many files there are."""
    count = 0
    with tarfile.open(fileobj=source, mode="r|") as tar:
        for member in tar:
            data = tar.extractfile(member)
            while data is not None and data.read(1 << 20):
                pass
            count += 1
            progress(member.size)
    while source.read(1 << 20):
        pass
    return count


class _blocks_of:
    """A block store for the time of a restore."""

    def __init__(self, home: Path) -> None:
        self._store = BlockStore(home / "blocks")

    def __enter__(self) -> BlockStore:
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()


def _check_database(path: Path) -> None:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as copy:
        [(verdict,)] = copy.execute("PRAGMA quick_check(1)").fetchall()
    if verdict != "ok":
        raise Refused(
            f"The database is damaged: {str(verdict)[:200]}",
            code="database-corrupt",
            hint="Keep the last good back-up; see halle doctor.",
        )


def _add_file(tar: tarfile.TarFile, name: str, path: Path, progress: Progress) -> None:
    info = tarfile.TarInfo(name)
    with path.open("rb") as file:
        # A journal may grow while it is read: what is there now is whole.
        info.size = path.stat().st_size
        tar.addfile(info, _Counted(file, progress))


class _Counted:
    """A file that tells how much of it was read."""

    def __init__(self, file: io.BufferedReader, progress: Progress) -> None:
        self._file, self._progress = file, progress

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._progress(len(data))
        return data


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _block(name: str, data: bytes) -> tuple[int, bytes, bytes]:
    kind, _, digest = name.removeprefix(BLOCKS).partition("/")
    return int(kind), bytes.fromhex(digest), data


def _write(path: Path, data: Iterator[bytes] | io.IOBase) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with path.open("wb") as file:
        while part := data.read(1 << 20):  # type: ignore[union-attr]
            file.write(part)


def _unknown(name: str) -> Unavailable:
    return Unavailable(
        f"The back-up holds {name[:80]!r}, which this Halle does not know.",
        code="backup-newer",
        hint="Install the Halle that made it, or a newer one.",
    )
