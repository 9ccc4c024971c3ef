"""Bring one store's documents in by difference: only changed pages and new documents are fetched.

Rule: nothing is believed for who sent it. Every block is hashed, every document's signature checked, and a catalog
counts as indexed only when all of it is in, so that a broken connection is continued and not skipped.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, func, select

from halle_node.blocks import BlockStore
from halle_node.db import Database
from halle_node.db.schema import index as tables
from halle_node.index import writing
from halle_node.index.rows import Reader, Rows
from halle_node.p2p.keepers import keepers
from halle_protocol.catalog import Diff, walk_changes
from halle_protocol.cid import CID
from halle_protocol.errors import HalleError, Refused, RemoteProtocolError, Unavailable
from halle_protocol.head import Announcement
from halle_protocol.unixfs import MAX_TREE_DEPTH, links, read_file

Fetcher = Callable[[str, list[str], list[CID]], Awaitable[dict[CID, bytes]]]

FETCH_CIDS = 200
WRITE_DOCUMENTS = 400
MIN_CHUNK_BYTES = 4_096
ABSENT_AFTER = 3
ABSENT_S = 30.0
MAX_ABSENT = 4_096
# What a store says of itself comes before what it sells.
FIRST = ("profile/", "shipping/", "policy/", "review/")


@dataclass(frozen=True, slots=True)
class Target:
    """The catalog to reach, where the last sync stopped, and whom to ask."""

    store: bytes
    frame: bytes
    root: CID
    indexed_root: CID | None
    sources: tuple[tuple[str, tuple[str, ...]], ...]
    room: int | None


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """How far one store's sync is, in documents; `total` is 0 until its catalog has been read."""

    done: int
    total: int


class StoreSync:
    """Syncs stores, one at a time each."""

    def __init__(
        self,
        db: Database,
        blocks: BlockStore,
        fetcher: Fetcher,
        *,
        is_trusted: Callable[[bytes], bool],
        max_listings: int,
        min_grant_sequence: Callable[[bytes], int],
        own_store: bytes = b"",
    ) -> None:
        self._db = db
        self._blocks = blocks
        self._fetcher = fetcher
        self._own_store = own_store
        self._is_trusted = is_trusted
        self._max_listings = max_listings
        self._min_grant_sequence = min_grant_sequence
        self._busy: dict[bytes, asyncio.Lock] = {}
        self._progress: dict[bytes, SyncProgress] = {}
        self._absent: dict[str, tuple[int, float]] = {}
        # Checking documents is all computing: several threads at it would only pass the interpreter's lock around.
        self._checking = asyncio.Lock()

    def progress(self) -> dict[bytes, SyncProgress]:
        """The syncs under way."""
        return dict(self._progress)

    async def bring_in(self, store: bytes) -> bool:
        """True when every document of the store's newest head is in; True at once when it was.

        Raises: Unavailable("block-missing"…) when nobody had the blocks, RemoteProtocolError("catalog-…").
        """
        lock = self._busy.setdefault(store, asyncio.Lock())
        try:
            async with lock:
                return await self._bring_in(store)
        finally:
            if not lock.locked():
                self._busy.pop(store, None)
                self._progress.pop(store, None)

    async def _bring_in(self, store: bytes) -> bool:
        while True:
            target = self._db.read(lambda connection: self._target(connection, store))
            if target is None:
                return False
            if target.root == target.indexed_root:
                return True
            self._progress[store] = SyncProgress(0, 0)
            await self._advance(target)

    async def bring_file(self, store: bytes, root: CID, max_bytes: int) -> bytes:
        """A file of a store: read from here, else fetched level by level from where its documents came from.

        Raises: Unavailable("block-missing"), Refused("file-too-large").
        """
        if not self._blocks.has(root):
            target = self._db.read(lambda connection: self._target(connection, store))
            if target is not None:
                await self._fetch_file(target, root, max_bytes)
        return await asyncio.to_thread(read_file, root, self._blocks.get, max_bytes=max_bytes)

    async def _fetch_file(self, target: Target, root: CID, max_bytes: int) -> None:
        level, size, depth = [root], 0, 0
        while level:
            depth += 1
            if depth > MAX_TREE_DEPTH:
                raise RemoteProtocolError("The file is nested too deep.", code="unixfs-too-deep")
            await self._need(target, level)
            blocks = await asyncio.to_thread(lambda cids: [(cid, self._blocks.get(cid)) for cid in cids], level)
            size += sum(len(block) for _, block in blocks)
            level = list(dict.fromkeys(child for cid, block in blocks for child in links(cid, block)))
            if size > max_bytes or len(level) * MIN_CHUNK_BYTES > max_bytes:
                raise Refused("The file is too large.", code="file-too-large", hint="Ask its store for a smaller one.")

    def _target(self, connection: Connection, store: bytes) -> Target | None:
        row = connection.execute(select(tables.head).where(tables.head.c.store == store)).first()
        if row is None:
            return None
        card = connection.execute(
            select(tables.store.c.peer_id, tables.store.c.addrs).where(tables.store.c.store == store)
        ).first()
        sources: list[tuple[str, tuple[str, ...]]] = [(row.peer, ())] if row.peer else []
        if card is not None and card.peer_id:
            addrs = json.loads(card.addrs)
            sources.append((card.peer_id, tuple(addrs)))
            sources += [(peer, (addr,)) for peer, addr in keepers(card.peer_id, addrs)]
        room = None if self._is_trusted(store) else self._max_listings - _listing_count(connection, store)
        indexed = CID.from_bytes(row.indexed_root) if row.indexed_root else None
        return Target(store, row.frame, CID.from_bytes(row.root), indexed, tuple(sources), room)

    async def _advance(self, target: Target) -> None:
        try:
            diff = await self._walk(target, target.indexed_root)
        except Unavailable:
            if target.indexed_root is None:
                raise
            diff = await self._walk(target, None)  # old pages were cleaned up: compare with the rows instead
            diff = await asyncio.to_thread(self._with_vanished, target.store, diff)
        wanted = _in_room(diff, target.room, self._handles_here(target))
        head, grant = Announcement.decode(target.frame).open()
        grant = None if grant is None else grant.confirm()  # a head is only kept once its grant was checked
        reader = Reader(target.store, grant, self._min_grant_sequence(target.store))
        gone = [key for key, (_, after) in diff.changed.items() if after is None]
        batches = list(_batches(wanted, WRITE_DOCUMENTS))
        self._progress[target.store] = SyncProgress(0, len(wanted))
        fetched = await self._need_of(target, batches[:1])
        for place, batch in enumerate(batches):
            # The network and the processor work side by side; what is here is taken in even if the rest fails.
            taken, coming = await asyncio.gather(
                self._take_in(target, reader, batch, fetched, gone),
                self._need_of(target, batches[place + 1 : place + 2]),
                return_exceptions=True,
            )
            if isinstance(taken, BaseException):
                raise taken
            if isinstance(coming, BaseException):
                raise coming
            fetched, gone = coming, []
            self._progress[target.store] = SyncProgress(min((place + 1) * WRITE_DOCUMENTS, len(wanted)), len(wanted))
        await self._db.write(lambda connection: self._finish(connection, target, gone))
        await asyncio.to_thread(self._blocks.pin, f"store/{target.store.hex()}", head.catalog)

    def _handles_here(self, target: Target) -> set[str]:
        """What a sync that was cut has brought already: it takes no room a second time."""
        if target.room is None:
            return set()
        listing = tables.listing
        query = select(listing.c.handle).where(listing.c.store == target.store)
        return {f"listing/{handle}" for handle in self._db.read(lambda conn: list(conn.execute(query).scalars()))}

    async def _take_in(
        self,
        target: Target,
        reader: Reader,
        batch: Sequence[tuple[str, CID]],
        fetched: Mapping[CID, bytes],
        gone: Sequence[str],
    ) -> None:
        async with self._checking:
            rows = await asyncio.to_thread(self._read, reader, batch, fetched)
        rows.gone += gone
        await self._db.write(partial(_write, target.store, rows))

    async def _need_of(self, target: Target, batches: Sequence[Sequence[tuple[str, CID]]]) -> dict[CID, bytes]:
        return await self._need(target, [cid for batch in batches for _, cid in batch])

    def _finish(self, connection: Connection, target: Target, gone: list[str]) -> None:
        writing.write_rows(connection, target.store, Rows(gone=gone))
        writing.note_indexed(connection, target.store, bytes(target.root))

    async def _walk(self, target: Target, old_root: CID | None) -> Diff:
        walk = walk_changes(old_root, target.root, self._blocks.get, self._blocks.has)

        def step() -> list[CID] | Diff:
            try:
                return next(walk)
            except StopIteration as stop:
                diff: Diff = stop.value
                return diff

        while True:
            reached = await asyncio.to_thread(step)
            if isinstance(reached, Diff):
                return reached
            await self._need(target, reached)

    def _with_vanished(self, store: bytes, diff: Diff) -> Diff:
        """A difference from nothing, plus what the rows have and the catalog has no more."""
        known = self._db.read(lambda connection: _known_keys(connection, store))
        vanished = {key: (None, None) for key in known if key not in diff.changed}
        return Diff({**diff.changed, **vanished})

    async def _need(self, target: Target, cids: Sequence[CID]) -> dict[CID, bytes]:
        """Have these blocks in the store; return those that had to be fetched, so that they need not be read again.

        Raises: Unavailable("block-missing").
        """
        missing = await asyncio.to_thread(self._blocks.missing, cids)
        fetched: dict[CID, bytes] = {}
        for start in range(0, len(missing), FETCH_CIDS):
            fetched.update(await self._fetch(target, missing[start : start + FETCH_CIDS]))
        return fetched

    async def _fetch(self, target: Target, cids: list[CID]) -> dict[CID, bytes]:
        stored: dict[CID, bytes] = {}
        left, last_error = cids, None
        if target.store != self._own_store:
            await asyncio.to_thread(self._blocks.check_room)  # before anybody is asked for what would not fit
        for peer_id, addrs in target.sources:
            if target.room is not None and self._is_absent(peer_id):
                continue
            try:
                found = await self._fetcher(peer_id, list(addrs), left)
            except (Unavailable, RemoteProtocolError) as exc:
                last_error = exc
                self._note_absent(peer_id)
                continue
            self._absent.pop(peer_id, None)
            wanted = [(cid, found[cid]) for cid in left if cid in found]
            foreign = target.store != self._own_store
            await asyncio.to_thread(partial(self._blocks.put_many, foreign=foreign), wanted)  # hashes every block again
            stored.update(wanted)
            left = [cid for cid in left if cid not in found]
            if not left:
                return stored
        raise Unavailable(
            f"{len(left)} blocks of store 0x{target.store.hex()} are not to be had now.",
            code="block-missing",
            hint="They are asked for again later.",
        ) from last_error

    def _is_absent(self, peer_id: str) -> bool:
        failures, at = self._absent.get(peer_id, (0, 0.0))
        return failures >= ABSENT_AFTER and time.monotonic() - at < ABSENT_S

    def _note_absent(self, peer_id: str) -> None:
        """Ask a peer that gives nothing no more for a while about strangers: a thousand of them may name it."""
        failures, _ = self._absent.pop(peer_id, (0, 0.0))
        self._absent[peer_id] = (failures + 1, time.monotonic())
        if len(self._absent) > MAX_ABSENT:
            del self._absent[next(iter(self._absent))]

    def _read(self, reader: Reader, batch: Sequence[tuple[str, CID]], fetched: Mapping[CID, bytes]) -> Rows:
        rows = Rows()
        for key, cid in batch:
            try:
                reader.take(rows, key, cid, fetched.get(cid) or self._blocks.get(cid))
            except Unavailable:
                raise
            except HalleError as exc:
                raise RemoteProtocolError(exc.message, code=exc.code) from exc
        return rows


def _write(store: bytes, rows: Rows, connection: Connection) -> None:
    writing.write_rows(connection, store, rows)


def _in_room(diff: Diff, room: int | None, here: Collection[str]) -> list[tuple[str, CID]]:
    """What to fetch, the store's card first; a stranger's listings only as far as there is room."""
    wanted = [(key, after) for key, (_, after) in diff.changed.items() if after is not None]
    wanted.sort(key=lambda entry: (not entry[0].startswith(FIRST), entry[0]))
    if room is None:
        return wanted
    fresh = {
        key
        for key, (before, _) in diff.changed.items()
        if before is None and key.startswith("listing/") and key not in here
    }
    kept = []
    for key, cid in wanted:
        if key in fresh:
            if room <= 0:
                continue
            room -= 1
        kept.append((key, cid))
    return kept


def _batches(entries: Sequence[tuple[str, CID]], size: int) -> Iterator[list[tuple[str, CID]]]:
    for start in range(0, len(entries), size):
        yield list(entries[start : start + size])


def _listing_count(connection: Connection, store: bytes) -> int:
    query = select(func.count()).select_from(tables.listing).where(tables.listing.c.store == store)
    return connection.execute(query).scalar_one()


def _known_keys(connection: Connection, store: bytes) -> list[str]:
    handles = connection.execute(select(tables.listing.c.handle).where(tables.listing.c.store == store)).scalars()
    keys = connection.execute(select(tables.document.c.key).where(tables.document.c.store == store)).scalars()
    return [f"listing/{handle}" for handle in handles] + list(keys)
