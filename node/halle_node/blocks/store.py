"""The block store: an acknowledged block survives kill -9, and bytes that do not match their CID never leave.

Small blocks live inside the SQLite index, larger ones are fsynced files written before their row commits.
Blocks are keyed by digest, so the same bytes under two codecs are stored once. Every method may be called
from any thread.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from halle_node.blocks.disk import translated
from halle_node.blocks.files import FileShelf
from halle_node.blocks.index import BlockIndex, Row
from halle_node.blocks.room import DOCUMENT, MEDIA, OWN, Room, kind_of
from halle_protocol import cid as cids
from halle_protocol import unixfs
from halle_protocol.cid import CID
from halle_protocol.errors import ProtocolError, Unavailable

INLINE_BYTES = 64 * 1024
GC_MIN_AGE_S = 600
USED_AT_ONCE = 4096


@dataclass(frozen=True)
class Report:
    """What a full verification found; `corrupt` blocks are already quarantined."""

    checked: int
    corrupt: tuple[bytes, ...]
    orphan_files: int


@dataclass(frozen=True)
class Stats:
    """What is stored. Units: bytes; `cap` 0 is none; the rest of `bytes` is our own."""

    blocks: int
    bytes: int
    files: int
    pins: int
    cap: int = 0
    foreign_documents: int = 0
    foreign_media: int = 0


@dataclass(frozen=True)
class Sweep:
    """What a clean-up removes or would remove, and what stays. Units: bytes."""

    blocks: int
    bytes: int
    kept_blocks: int
    kept_bytes: int


@dataclass(frozen=True)
class Extent:
    """What some roots reach: blocks and bytes that are here, blocks that are missing."""

    blocks: int
    bytes: int
    missing: int


@dataclass(frozen=True)
class Pinned:
    """One reason to keep content. `missing` are blocks it needs that are not here."""

    name: str
    cid: CID
    blocks: int
    bytes: int
    missing: int


class BlockStore:
    """`max_bytes` caps what is stored, as `room` says; `protect()` names roots that are kept without a pin."""

    def __init__(self, root: Path, *, clock: Callable[[], int] = lambda: int(time.time()), max_bytes: int = 0) -> None:
        self.root = root
        self.max_bytes = max_bytes
        self.protect: Callable[[], Iterable[CID]] = tuple
        self._clock = clock
        self._used: dict[bytes, int] = {}
        with translated():
            self._shelf = FileShelf(root)
            self._index = BlockIndex(root / "index.db")

    def close(self) -> None:
        with translated():
            self._note_used()
        self._index.close()

    def put(self, cid: CID, data: bytes) -> None:
        self.put_many([(cid, data)])

    def put_many(self, blocks: Sequence[tuple[CID, bytes]], *, foreign: bool = False) -> None:
        """Store all of them durably, or none; `foreign` content only as far as the cap leaves room.

        Raises: RemoteProtocolError "cid-mismatch", Unavailable "disk-full", "cache-full".
        """
        for cid, data in blocks:
            cids.verify(cid, data)
        unique = {cid.digest: (kind_of(cid, foreign=foreign), data) for cid, data in blocks}
        if not unique:
            return
        with self._index.exclusive():
            self._make_room(unique)
            self._store(unique)

    def _store(self, unique: Mapping[bytes, tuple[int, bytes]]) -> None:
        now = self._clock()
        rows: list[Row] = []
        with translated(), self._index.exclusive(), self._shelf.batch() as batch:
            for digest, (kind, data) in unique.items():
                inline = len(data) <= INLINE_BYTES
                rows.append((digest, len(data), now, data if inline else None, kind))
                if not inline and not self._index.is_filed(digest):
                    batch.write(digest, data)
            batch.settle()
            self._index.insert(rows)

    def _room(self) -> Room:
        sizes = self._index.bytes_by_kind()
        return Room(self.max_bytes, sizes.get(OWN, 0), sizes.get(DOCUMENT, 0), sizes.get(MEDIA, 0))

    def _make_room(self, unique: Mapping[bytes, tuple[int, bytes]]) -> None:
        if not self.max_bytes:
            return
        with translated():
            held = self._index.held(list(unique))
            sizes = [0, 0, 0]
            for digest, (kind, data) in unique.items():
                sizes[kind] += 0 if digest in held else len(data)
            need = self._room().to_free(own=sizes[OWN], documents=sizes[DOCUMENT], media=sizes[MEDIA])
            if need:
                self._evict(need, unique)

    def _evict(self, need: int, coming: Iterable[bytes]) -> None:
        """Remove pictures of others, those not used for longest first; a little more than needed, to do it seldom."""
        self._note_used()
        kept = {*coming, *self._reached(self.protect())}
        goal, freed = need + self.max_bytes // 50, 0
        doomed: list[bytes] = []
        for digest, size in self._index.coldest(MEDIA):
            if freed >= goal:
                break
            if digest not in kept:
                doomed.append(digest)
                freed += size
        self._remove(doomed)

    def _touch(self, digest: bytes) -> None:
        # Kept in memory for a while: a read must not cost a write.
        self._used[digest] = self._clock()
        if len(self._used) >= USED_AT_ONCE:
            self._note_used()

    def _note_used(self) -> None:
        used, self._used = self._used, {}
        if used:
            self._index.note_used(used)

    def _remove(self, doomed: Sequence[bytes]) -> None:
        self._index.remove(doomed)
        for digest in doomed:
            self._shelf.remove(digest)

    def check_room(self) -> None:
        """Raise Unavailable "cache-full" when not even one more document of others would fit."""
        with translated():
            self._room().to_free(documents=1)

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
                if row[0] == MEDIA:
                    self._touch(digest)
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

    def gc(self, *, min_age_s: int = GC_MIN_AGE_S, dry_run: bool = False) -> Sweep:
        """Remove what no pin and nothing protected reaches and nobody stored lately; say what went and what stays.

        `min_age_s` keeps blocks that were stored but not pinned yet, as while publishing.
        """
        limit = self._clock() - min_age_s
        # The lock is held from the walk on: a pin or put that comes later must not lose its blocks.
        with translated(), self._index.exclusive():
            kept = self._reached([*self.pins().values(), *self.protect()])
            doomed = [d for d in self._index.digests(stored_before=limit) if d not in kept]
            blocks, total, _, _ = self._index.totals()
            freed = self._index.size_of(doomed)
            if not dry_run:
                self._remove(doomed)
                self._sweep_orphans()
        return Sweep(len(doomed), freed, blocks - len(doomed), total - freed)

    def _reached(self, roots: Iterable[CID]) -> set[bytes]:
        return {cid.digest for root in roots for cid in self.walk(root)}

    def pinned(self) -> list[Pinned]:
        """Return every pin with what it keeps. Reads the documents: ask in a worker thread."""
        found = [(name, cid, self.size_under([cid])) for name, cid in self.pins().items()]
        return [Pinned(name, cid, size.blocks, size.bytes, size.missing) for name, cid, size in found]

    def size_under(self, roots: Iterable[CID]) -> Extent:
        """Return what these roots reach."""
        digests: set[bytes] = set()
        missing: set[bytes] = set()
        for root in roots:
            for cid, stored in self._visit(root):
                (digests if stored else missing).add(cid.digest)
        with translated():
            size = self._index.size_of(list(digests))
        return Extent(len(digests), size, len(missing))

    def worth_keeping(self, kept: Iterable[CID] = ()) -> list[tuple[int, bytes]]:
        """Return (kind, digest) of what a back-up needs: all but pictures of others that `kept` do not reach.

        Raises: Unavailable "block-store-failed".
        """
        needed = self._reached([*kept, *self.protect()])
        with translated():
            return [(kind, digest) for kind, digest in self._index.kinds() if kind != MEDIA or digest in needed]

    def bytes_of(self, digests: Sequence[bytes]) -> int:
        """Sum the sizes of those that are stored."""
        with translated():
            return self._index.size_of(digests)

    def read_digest(self, digest: bytes) -> bytes | None:
        """Return a block's bytes, None when it is gone or damaged (then it is quarantined)."""
        try:
            return self._read(digest)
        except Unavailable as error:
            if error.code != "block-corrupt":
                raise
            return None

    def put_back(self, blocks: Sequence[tuple[int, bytes, bytes]]) -> None:
        """Store (kind, digest, bytes) as a back-up kept them.

        Raises: Unavailable "block-corrupt", "disk-full".
        """
        for _, digest, data in blocks:
            if hashlib.sha256(data).digest() != digest:
                raise Unavailable("A block of the back-up is damaged.", code="block-corrupt", hint="Use another copy.")
        if blocks:
            self._store({digest: (kind, data) for kind, digest, data in blocks})

    def erase(self, cids: Iterable[CID]) -> None:
        """Remove these blocks with the pins that name them, and leave nothing of removed rows on the disk.

        Raises: Unavailable "disk-full", "block-store-failed".
        """
        gone = list(cids)
        digests = {cid.digest for cid in gone}
        with translated(), self._index.exclusive():
            for name, cid in self.pins().items():
                if cid.digest in digests:
                    self._index.unpin(name)
            self._remove(list(digests))
            self._index.compact()

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
            room = self._room()
        return Stats(blocks, size, files, pins, self.max_bytes, room.documents, room.media)


def links_of(cid: CID, data: bytes) -> list[CID]:
    """Return what a stored block points to; nothing when it is not valid for its codec."""
    try:
        return unixfs.links(cid, data)
    except ProtocolError:
        return []  # a stored block of a malformed kind is a leaf, not a reason to stop a walk
