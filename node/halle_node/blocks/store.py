"""The block store: an acknowledged block survives kill -9, and bytes that do not match their CID never leave.

Small blocks live inside the SQLite index, larger ones are fsynced files written before their row commits.
Blocks are keyed by digest, so the same bytes under two codecs are stored once. Every method may be called
from any thread.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from halle_node.blocks.disk import translated
from halle_node.blocks.files import FileShelf
from halle_node.blocks.index import BlockIndex, Row
from halle_protocol import cid as cids
from halle_protocol import unixfs
from halle_protocol.cid import CID
from halle_protocol.errors import ProtocolError, Unavailable

INLINE_BYTES = 64 * 1024
GC_MIN_AGE_S = 600


@dataclass(frozen=True)
class Report:
    """What a full verification found; `corrupt` blocks are already quarantined."""

    checked: int
    corrupt: tuple[bytes, ...]
    orphan_files: int


@dataclass(frozen=True)
class Stats:
    blocks: int
    bytes: int
    files: int
    pins: int


class BlockStore:
    def __init__(self, root: Path, *, clock: Callable[[], int] = lambda: int(time.time())) -> None:
        self.root = root
        self._clock = clock
        with translated():
            self._shelf = FileShelf(root)
            self._index = BlockIndex(root / "index.db")

    def close(self) -> None:
        self._index.close()

    def put(self, cid: CID, data: bytes) -> None:
        self.put_many([(cid, data)])

    def put_many(self, blocks: Sequence[tuple[CID, bytes]]) -> None:
        """Store all of them durably, or none.

        Raises: RemoteProtocolError "cid-mismatch", Unavailable "disk-full".
        """
        for cid, data in blocks:
            cids.verify(cid, data)
        unique = {cid.digest: data for cid, data in blocks}
        if not unique:
            return
        now = self._clock()
        rows: list[Row] = []
        with translated(), self._index.exclusive(), self._shelf.batch() as batch:
            for digest, data in unique.items():
                inline = len(data) <= INLINE_BYTES
                rows.append((digest, len(data), now, data if inline else None))
                if not inline and not self._index.is_filed(digest):
                    batch.write(digest, data)
            batch.settle()
            self._index.insert(rows)

    def get(self, cid: CID) -> bytes:
        """Read one block and check it against its CID.

        Raises: Unavailable "block-missing", "block-corrupt" (the damaged bytes are quarantined).
        """
        data = self._read(cid.digest)
        if data is None:
            raise Unavailable(
                f"Block {cid} is not here.", code="block-missing", hint="Fetch it from a peer that has it."
            )
        return data

    def _read(self, digest: bytes) -> bytes | None:
        with translated():
            row = self._index.find(digest)
            if row is None:
                return None
            data = row[1] if row[1] is not None else self._shelf.read(digest)
            if data is not None and hashlib.sha256(data).digest() == digest:
                return data
            if data is None and not self._index.has(digest):
                return None  # removed by the clean-up between the row and the file
            self._quarantine(digest, row[1])
        raise Unavailable(
            f"Block {digest.hex()} is damaged on disk and was set aside.",
            code="block-corrupt",
            hint="Fetch it again from a peer or restore it from a backup.",
        )

    def _quarantine(self, digest: bytes, inline: bytes | None) -> None:
        with self._index.exclusive():
            self._shelf.set_aside(digest, inline)
            self._index.remove([digest])

    def has(self, cid: CID) -> bool:
        with translated():
            return self._index.has(cid.digest)

    def missing(self, wanted: Iterable[CID]) -> list[CID]:
        """List those not stored here, in the order asked, each once."""
        asked = list(dict.fromkeys(wanted))
        with translated():
            held = self._index.held([cid.digest for cid in asked])
        return [cid for cid in asked if cid.digest not in held]

    def sizes(self, cids: Sequence[CID]) -> list[tuple[CID, int]]:
        """Return how many bytes each has, without reading them; absent ones are passed over."""
        with translated():
            held = self._index.sizes([cid.digest for cid in cids])
        return [(cid, held[cid.digest]) for cid in cids if cid.digest in held]

    def pin(self, name: str, cid: CID) -> None:
        """Keep everything reachable from `cid` under `name`; the name's earlier pin ends."""
        with translated():
            self._index.pin(name, cid)

    def unpin(self, name: str) -> None:
        with translated():
            self._index.unpin(name)

    def pins(self) -> dict[str, CID]:
        with translated():
            return self._index.pins()

    def walk(self, root: CID) -> Iterator[CID]:
        """Yield every stored block reachable from `root`, each once; holes are passed over."""
        for cid, stored in self._visit(root):
            if stored:
                yield cid

    def holes(self, root: CID) -> list[CID]:
        """List the blocks that `root` needs and this store lacks."""
        return [cid for cid, stored in self._visit(root) if not stored]

    def _visit(self, root: CID) -> Iterator[tuple[CID, bool]]:
        waiting, seen = [root], {root}
        while waiting:
            cid = waiting.pop()
            if cid.codec == cids.RAW:  # a raw block has no links: its presence is enough
                yield cid, self.has(cid)
                continue
            try:
                data = self.get(cid)
            except Unavailable:
                yield cid, False
                continue
            yield cid, True
            for link in links_of(cid, data):
                if link not in seen:
                    seen.add(link)
                    waiting.append(link)

    def gc(self, *, min_age_s: int = GC_MIN_AGE_S) -> int:
        """Remove what no pin reaches and nobody stored lately; return how many blocks went.

        `min_age_s` protects blocks that were stored but not pinned yet.
        """
        limit = self._clock() - min_age_s
        # The lock is held from the walk on: a pin or put that comes later must not lose its blocks.
        with translated(), self._index.exclusive():
            kept = {cid.digest for root in self.pins().values() for cid in self.walk(root)}
            doomed = [d for d in self._index.digests(stored_before=limit) if d not in kept]
            self._index.remove(doomed)
            for digest in doomed:
                self._shelf.remove(digest)
            self._sweep_orphans()
        return len(doomed)

    def _sweep_orphans(self) -> int:
        orphans = [d for d in self._shelf.digests() if not self._index.is_filed(d)]
        for digest in orphans:
            self._shelf.remove(digest)
        return len(orphans)

    def verify_all(self, progress: Callable[[int, int], None] | None = None) -> Report:
        """Re-hash every block; quarantine damaged ones. `progress(done, total)` is called per block."""
        digests = self._index.digests()
        corrupt: list[bytes] = []
        for done, digest in enumerate(digests, start=1):
            try:
                self._read(digest)
            except Unavailable as exc:
                if exc.code != "block-corrupt":
                    raise
                corrupt.append(digest)
            if progress is not None:
                progress(done, len(digests))
        with translated(), self._index.exclusive():
            orphans = self._sweep_orphans()
        return Report(len(digests), tuple(corrupt), orphans)

    def stats(self) -> Stats:
        with translated():
            blocks, size, files, pins = self._index.totals()
        return Stats(blocks, size, files, pins)


def links_of(cid: CID, data: bytes) -> list[CID]:
    """Return what a stored block points to; nothing when it is not valid for its codec."""
    try:
        return unixfs.links(cid, data)
    except ProtocolError:
        return []  # a stored block of a malformed kind is a leaf, not a reason to stop a walk
