"""The market as this node knows it: heads in, documents fetched and checked, searches answered.

Rule: a head is checked in the network's thread, everything behind it in the background; a search never waits for a
sync. What other people publish is never shown without its signed document being here.

Long because it is the room's one door: most methods are a single call into `ledger`, `sync`, `search` or `reading`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.blocks import BlockStore
from halle_node.config import Config, paths
from halle_node.db import Database
from halle_node.db.schema import index as tables
from halle_node.index import reading, writing
from halle_node.index.admission import FIRST, Admission, Lane, Lanes, ties
from halle_node.index.contract_stores import ContractStores, GrantJudge
from halle_node.index.ledger import Ledger, Standing
from halle_node.index.queue import SyncQueue
from halle_node.index.reading import Shelf
from halle_node.index.reviews import ReviewJudging, VerifyReview
from halle_node.index.search import FACETS, SearchIndex
from halle_node.index.searchable import Searchable
from halle_node.index.sync import Fetcher, StoreSync, SyncProgress
from halle_node.index.views import Facet, ListingView, ReviewView, SearchPage, StoreView
from halle_node.p2p.types import Verdict
from halle_protocol.cid import CID
from halle_protocol.documents import Shipping, SignedDocument, parse_body
from halle_protocol.errors import HalleError, ProtocolError
from halle_protocol.grant import Grant
from halle_protocol.head import MAX_FRAME_BYTES, Announcement, Head
from halle_protocol.reconcile import ItemSet

log = logging.getLogger(__name__)

COMMIT_EVERY_S = 0.5
RETRY_EVERY_S = 30.0
MAX_UNFINISHED = 10_000
MAX_LIMIT = 200
MAX_SHOWN = 20_000
MAX_MEDIA_BYTES = 8 << 20
MAX_OFFSET = 10_000


class StoreAccess(Protocol):
    """What the operator decided about stores. `blocks_store` is asked from any thread."""

    def blocks_store(self, store: bytes) -> bool: ...

    def blocked_stores(self) -> set[bytes]: ...

    def allowed_stores(self) -> set[bytes]: ...


class _NoRules:
    def blocks_store(self, store: bytes) -> bool:
        return False

    def blocked_stores(self) -> set[bytes]:
        return set()

    def allowed_stores(self) -> set[bytes]:
        return set()


class IndexService:
    """What others publish, and this store's own listings among them."""

    def __init__(
        self,
        config: Config,
        db: Database,
        blocks: BlockStore,
        fetcher: Fetcher,
        clock: Callable[[], int],
        *,
        own_store: bytes = b"",
        verify_review: VerifyReview | None = None,
        grant_judge: GrantJudge | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        access: StoreAccess | None = None,
        bonded: Callable[[Connection], set[bytes]] = lambda connection: set(),
    ) -> None:
        self._config = config
        self._db = db
        self._clock = clock
        self.own_store = own_store
        self._ledger = Ledger()
        self._contract_stores = ContractStores(grant_judge)
        self._admission = Admission(monotonic, config.unknown_stores)
        self._access = access or _NoRules()
        self._bonded = bonded
        self._lanes = Lanes()
        self._sync = StoreSync(
            db,
            blocks,
            fetcher,
            is_trusted=self._lanes.goes_first,
            max_listings=config.unknown_listings,
            min_grant_sequence=self._ledger.min_grant_sequence,
            own_store=own_store,
        )
        self._shelf = Shelf(blocks)
        self._reviews = ReviewJudging(db, self._shelf, verify_review)
        self._search = Searchable(db, SearchIndex(paths(config)["search"], config.index_heap_mb))
        self._subscribers: list[Callable[[bytes], None]] = []
        self._queue = SyncQueue(self._lanes.goes_first)
        self._shown: OrderedDict[CID, bytes] = OrderedDict()
        self._load()

    # --- life

    def _load(self) -> None:
        frames = self._db.read(lambda connection: connection.execute(select(tables.head.c.frame)).scalars().all())
        self._ledger.load(frames, self._clock())
        self._renew_lanes(self._db.read(self._ties))
        self._search.open()

    def _ties(self, connection: Connection) -> dict[str, set[bytes]]:
        return {**ties(connection), "bonded": self._bonded(connection)}

    def _renew_lanes(self, found: dict[str, set[bytes]]) -> None:
        """Learn who has a lane of their own: our own store and what the operator allowed count as followed."""
        own = {self.own_store} - {b""}
        self._lanes.renew(**{**found, "followed": found["followed"] | own | self._access.allowed_stores()})

    async def run(self) -> None:
        """Fetch, index and retry until cancelled."""
        await self.apply_access()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sync_forever(tasks))
            tasks.create_task(self._commit_forever())
            tasks.create_task(self._retry_forever())
            tasks.create_task(self._contract_stores.run(self.on_head))

    async def close(self) -> None:
        """Let go of the search index; end `run` first."""
        await self._search.close()

    async def _sync_forever(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            store = await self._queue.next()
            tasks.create_task(self._sync_one(store))

    async def _sync_one(self, store: bytes) -> None:
        try:
            if await self._sync.bring_in(store):
                for callback in self._subscribers:
                    callback(store)
        except HalleError as exc:
            # Of strangers there may be any number.
            level = logging.INFO if self._lanes.goes_first(store) else logging.DEBUG
            log.log(level, "Store 0x%s is not in yet: %s", store.hex(), exc.code)
        except Exception:  # the task's top: one store must not end the syncs of all others
            log.warning("A sync failed.", exc_info=True)
        finally:
            self._queue.done(store)

    async def _commit_forever(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_EVERY_S)
            try:
                await self.commit_search()
            except HalleError as exc:
                log.warning("The search index was not brought up to date: %s", exc)

    async def _retry_forever(self) -> None:
        while True:
            await asyncio.sleep(RETRY_EVERY_S)
            self._ledger.drop_expired(self._clock())
            self._renew_lanes(await self._db.read_async(self._ties))
            for store in await self._db.read_async(_unfinished):
                self._enqueue(store)

    def _enqueue(self, store: bytes) -> None:
        if not self._access.blocks_store(store):
            self._queue.put(store)

    def subscribe(self, callback: Callable[[bytes], None]) -> None:
        """Call `callback(store)` when a store's newest documents are in."""
        self._subscribers.append(callback)

    # --- for the network

    def validate(self, frame: bytes, from_peer: str) -> Verdict:
        """What to do with a gossiped frame. Called in the network's thread; never raises."""
        if len(frame) > MAX_FRAME_BYTES:
            return Verdict.REJECT
        try:
            announcement = Announcement.decode(frame)
            head, grant = announcement.open()
            standing = self._ledger.standing(head)
            if standing in (Standing.KNOWN, Standing.OLD):
                return Verdict.IGNORE
            confirmed = self._contract_stores.check(head, grant, self._ledger.min_grant_sequence(head.store))
        except ProtocolError:
            return Verdict.REJECT
        now = self._clock()
        if head.expires < now or head.issued > now + 600:
            return Verdict.IGNORE  # a clock may be wrong, ours too
        if self._access.blocks_store(head.store):
            return Verdict.IGNORE
        lane = self._lanes.of(head.store) or (Lane.KNOWN if self._ledger.knows(head.store) else Lane.STRANGER)
        if not self._admission.admit(head.store, lane, population=len(self._ledger)):
            return Verdict.IGNORE
        if not confirmed:
            self._contract_stores.ask_later(frame, from_peer)  # a chain cannot be waited for here
            return Verdict.IGNORE
        if standing is Standing.NEW:
            standing = self._ledger.note_let_in(head)
        if standing is Standing.EQUIVOCATES and not self._ledger.note_lie(head.store, head.seq):
            return Verdict.IGNORE  # one proof is enough, and everybody has it
        return Verdict.ACCEPT_FIRST if lane in FIRST else Verdict.ACCEPT

    async def on_head(self, frame: bytes, from_peer: str) -> None:
        """Keep a head and have its documents fetched in the background."""
        with contextlib.suppress(ProtocolError), self._contract_stores.keeping(frame, from_peer):
            store = Announcement.decode(frame).open()[0].store
            if not self._access.blocks_store(store) and await self._take_head(frame, from_peer) is Standing.NEW:
                self._enqueue(store)

    def min_grant_sequence(self, store: bytes) -> int:
        """The highest grant sequence seen for a store; earlier grants are revoked."""
        return self._ledger.min_grant_sequence(store)

    def head_items(self) -> ItemSet:
        """The set of heads here, to be compared with another node's."""
        return self._ledger.items()

    def head_frames(self, ids: Sequence[bytes]) -> list[bytes]:
        """The frames of heads by id."""
        stores = self._ledger.stores_of(ids)
        query = select(tables.head.c.frame).where(tables.head.c.store.in_(stores))
        return self._db.read(lambda connection: list(connection.execute(query).scalars()))

    async def ingest_head(self, frame: bytes, from_peer: str = "") -> bool:
        """Take a head and wait for its documents; True when all of them are in.

        Raises: RemoteProtocolError for a bad head or catalog; Unavailable("block-missing"), or of the chain when the
        store is a contract account.
        """
        await self._take_head(frame, from_peer)
        return await self._sync.bring_in(Announcement.decode(frame).open()[0].store)

    async def _take_head(self, frame: bytes, from_peer: str) -> Standing:
        announcement = Announcement.decode(frame)
        head, grant = announcement.open()
        standing = self._ledger.standing(head)
        await self._contract_stores.verify(head, grant, self._clock(), self._ledger.min_grant_sequence(head.store))
        if standing is Standing.NEW:
            await self._db.write(
                lambda connection: writing.write_head(connection, head, frame, from_peer, self._clock())
            )
            standing = self._accept(head, grant)
        if standing is Standing.EQUIVOCATES:
            await self._db.write(lambda connection: writing.write_equivocation(connection, head, frame, self._clock()))
        return standing

    def _accept(self, head: Head, grant: Grant | None) -> Standing:
        return self._ledger.accept(head, grant)

    # --- search

    async def commit_search(self) -> int:
        """Make every listing that is in findable now; return how many changed."""
        return await self._search.commit()

    def search(
        self,
        text: str = "",
        *,
        locale: str = "en",
        facets: Mapping[str, str | Sequence[str]] | None = None,
        sort: str = "relevance",
        offset: int = 0,
        limit: int = 24,
        count_facets: bool = True,
    ) -> SearchPage:
        """One page of listings.

        Shape: `facets` narrows, name → value or values; `sort` is relevance, price, -price, new or rating.
        """
        chosen = {
            name: [values] if isinstance(values, str) else list(values)
            for name, values in (facets or {}).items()
            if name in FACETS and values
        }
        start, size = max(0, min(offset, MAX_OFFSET)), max(1, min(limit, MAX_LIMIT))
        if sort == "relevance" and not text.strip():
            sort = "new"
        found = self._search.find(text, chosen, sort, start, size, count_facets=count_facets)
        hits = self._db.read(lambda connection: reading.hits(connection, found.ids, locale))
        self._remember((hit.thumb, hit.store) for hit in hits if hit.thumb is not None)
        counts = {name: tuple(Facet(*pair) for pair in pairs) for name, pairs in found.facets.items()}
        return SearchPage(tuple(hits), found.total, start, size, counts)

    # --- views

    def listing(self, store: bytes, handle: str) -> ListingView | None:
        """One listing; None when it is not known here."""
        view = self._db.read(lambda connection: self._shelf.listing(connection, store, handle))
        if view is not None:
            self._remember((cid, store) for one in view.listing.media for cid in (one.cid, one.thumb) if cid)
        return view

    def _remember(self, media: Iterable[tuple[CID, bytes]]) -> None:
        """Note whom to ask for a picture that a page is about to show."""
        for cid, store in media:
            self._shown[cid] = store
            self._shown.move_to_end(cid)
        while len(self._shown) > MAX_SHOWN:
            self._shown.popitem(last=False)

    async def media(self, cid: CID, *, max_bytes: int = MAX_MEDIA_BYTES) -> bytes:
        """A picture: from here, else from the store whose listing was shown with it.

        Only pictures of listings that were shown are fetched, so that nobody can make this node fetch anything else.
        Raises: Unavailable("block-missing"), Refused("file-too-large"), RemoteProtocolError("unixfs-…").
        """
        return await self._sync.bring_file(self._shown.get(cid, b""), cid, max_bytes)

    def stores(
        self, query: str = "", *, followed: bool | None = None, offset: int = 0, limit: int = 100
    ) -> list[StoreView]:
        """Stores by name."""
        wanted = [tables.store.c.name.icontains(word, autoescape=True) for word in query.split()[:5]]
        if followed is not None:
            wanted.append(tables.follow.c.since.is_not(None) if followed else tables.follow.c.since.is_(None))
        size = max(1, min(limit, 500))
        wanted.append(tables.head.c.store.not_in(list(self._access.blocked_stores())))
        return self._db.read(
            lambda connection: reading.stores(connection, self.own_store, wanted, max(offset, 0), size)
        )

    def store(self, store: bytes) -> StoreView | None:
        """One store; None when no head of it is known here."""
        if self._access.blocks_store(store):
            return None
        wanted = [tables.head.c.store == store]
        found = self._db.read(lambda connection: reading.stores(connection, self.own_store, wanted, 0, 1))
        return found[0] if found else None

    def reviews(self, store: bytes, handle: str | None = None) -> list[ReviewView]:
        """What buyers say of a store or of one listing."""
        return self._db.read(lambda connection: reading.reviews(connection, store, handle))

    def document(self, store: bytes, key: str) -> SignedDocument | None:
        """The signed document a store publishes under a key, such as `shipping/store`."""
        return self._db.read(lambda connection: self._shelf.document(connection, store, key))

    def profile_document(self, store: bytes) -> SignedDocument | None:
        """The signed profile of a store."""
        return self.document(store, "profile/store")

    def shipping_document(self, store: bytes) -> SignedDocument | None:
        """The signed delivery zones of a store."""
        return self.document(store, "shipping/store")

    def shipping_of(self, store: bytes) -> Shipping | None:
        """The delivery zones of a store."""
        doc = self.shipping_document(store)
        body = None if doc is None else parse_body(doc)
        return body if isinstance(body, Shipping) else None

    def problems(self, store: bytes) -> dict[str, str]:
        """Documents of a store that broke a rule. Shape: key → code."""
        document = tables.document
        query = select(document.c.key, document.c.problem).where(
            document.c.store == store, document.c.problem.is_not(None)
        )
        return self._db.read(lambda connection: {row.key: row.problem for row in connection.execute(query)})

    def equivocation(self, store: bytes) -> tuple[bytes, bytes] | None:
        """Two signed heads of one seq, when the store told two stories."""
        lies = tables.equivocation
        query = select(lies.c.frame_a, lies.c.frame_b).where(lies.c.store == store).order_by(lies.c.seq.desc())
        row = self._db.read(lambda connection: connection.execute(query).first())
        return None if row is None else (row.frame_a, row.frame_b)

    def stats(self) -> dict[str, int]:
        """How much is here. Shape: stores, listings, waiting."""
        listings = self._db.read(
            lambda connection: connection.execute(select(func.count()).select_from(tables.listing)).scalar_one()
        )
        return {"stores": len(self._ledger), "listings": listings, "waiting": len(self._queue)}

    # --- follows and reviews

    async def follow(self, store: bytes) -> None:
        """Have all of a store, whatever its size, before strangers."""
        now = self._clock()

        def note(connection: Connection) -> None:
            connection.execute(insert(tables.follow).values(store=store, since=now).on_conflict_do_nothing())
            # What was left out for lack of room is fetched now.
            connection.execute(update(tables.head).where(tables.head.c.store == store).values(indexed_root=None))

        await self._db.write(note)
        self._renew_lanes(await self._db.read_async(self._ties))
        self._enqueue(store)

    async def unfollow(self, store: bytes) -> None:
        """Treat a store like any other."""
        await self._db.write(
            lambda connection: connection.execute(delete(tables.follow).where(tables.follow.c.store == store)).rowcount
        )
        self._renew_lanes(await self._db.read_async(self._ties))

    async def apply_access(self) -> None:
        """Take what the operator blocked out of the market, and bring back what is blocked no more."""
        self._renew_lanes(await self._db.read_async(self._ties))
        blocked = self._access.blocked_stores()
        for store in blocked:
            await self._db.write(partial(writing.hide_store, store))
        for store in await self._db.read_async(_unfinished):
            self._enqueue(store)
        await self.commit_search()

    def progress(self) -> dict[bytes, SyncProgress]:
        """How far the syncs under way are."""
        return self._sync.progress()

    def use_review_judge(self, verify_review: VerifyReview) -> None:
        """Ask this about each review: did its author buy, and is the order closed?"""
        self._reviews.judge = verify_review

    async def verify_reviews(self) -> int:
        """Judge the reviews that are not verified yet; return how many are now."""
        return await self._reviews.run()


def _unfinished(connection: Connection) -> list[bytes]:
    """Stores whose newest catalog is not all in, followed ones first: there may be more strangers than are taken."""
    head, follow = tables.head, tables.follow
    query = (
        select(head.c.store)
        .select_from(head.outerjoin(follow, follow.c.store == head.c.store))
        .where(head.c.indexed_root.is_(None) | (head.c.indexed_root != head.c.root))
        .order_by(follow.c.since.is_(None))
    )
    return list(connection.execute(query.limit(MAX_UNFINISHED)).scalars())
