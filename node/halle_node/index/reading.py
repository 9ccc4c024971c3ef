"""The market's questions, answered from the index's rows and the signed documents behind them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from halle_node.blocks import BlockStore
from halle_node.db.schema import index as tables
from halle_node.index.views import ListingHit, ListingView, ReviewView, StoreView
from halle_protocol.cid import CID
from halle_protocol.documents import Listing, Model, Profile, SignedDocument, decode_document, parse_body
from halle_protocol.errors import HalleError
from halle_protocol.money import Money

MAX_REVIEWS = 200
CACHED_DOCUMENTS = 2_048


class Shelf:
    """Reads views. Documents are immutable by CID, so the last ones read are kept parsed."""

    def __init__(self, blocks: BlockStore) -> None:
        self._blocks = blocks
        self.parsed = lru_cache(CACHED_DOCUMENTS)(self._parse)

    def _parse(self, cid: CID) -> tuple[SignedDocument, Model | None]:
        doc = decode_document(self._blocks.get(cid))
        return doc, parse_body(doc)

    def listing(self, connection: Connection, store: bytes, handle: str) -> ListingView | None:
        """One listing with its store and reviews; None when it is not known."""
        row = connection.execute(
            select(
                tables.listing.c.cid,
                tables.listing.c.rating_tenths,
                tables.listing.c.review_count,
                tables.store.c.name,
                tables.store.c.profile,
            )
            .select_from(tables.listing.outerjoin(tables.store, tables.store.c.store == tables.listing.c.store))
            .where(tables.listing.c.store == store, tables.listing.c.handle == handle)
        ).first()
        if row is None:
            return None
        cid = CID.from_bytes(row.cid)
        doc, body = self.parsed(cid)
        if not isinstance(body, Listing):
            return None
        return ListingView(
            store=store,
            handle=handle,
            cid=cid,
            listing=body,
            doc=doc,
            store_name=row.name or "",
            store_profile=profile_of(row.profile),
            reviews=tuple(reviews(connection, store, handle)),
            rating_tenths=row.rating_tenths,
            review_count=row.review_count,
        )

    def document(self, connection: Connection, store: bytes, key: str) -> SignedDocument | None:
        """The signed document a store publishes under a key; None when there is none here."""
        kind, _, name = key.partition("/")
        table: Any = tables.document
        query = select(table.c.cid).where(table.c.store == store, table.c.key == key, table.c.problem.is_(None))
        if kind == "listing":
            table = tables.listing
            query = select(table.c.cid).where(table.c.store == store, table.c.handle == name)
        cid = connection.execute(query).scalar()
        try:
            return self.parsed(CID.from_bytes(cid))[0] if cid else None
        except HalleError:
            return None  # the block was lost; the next sync of the store brings it back


@lru_cache(512)
def profile_of(block: bytes | None) -> Profile | None:
    """The profile in a signed document that was verified when it was stored."""
    if not block:
        return None
    body = parse_body(decode_document(block))
    return body if isinstance(body, Profile) else None


def hits(connection: Connection, ids: Sequence[int], locale: str) -> list[ListingHit]:
    """Result cards in the order of `ids`."""
    if not ids:
        return []
    listing, store = tables.listing, tables.store
    rows = connection.execute(
        select(listing, store.c.name.label("store_name"))
        .select_from(listing.outerjoin(store, store.c.store == listing.c.store))
        .where(listing.c.id.in_(list(ids)))
    )
    by_id = {row.id: _hit(row, locale) for row in rows}
    return [by_id[number] for number in ids if number in by_id]


def _hit(row: Row[Any], locale: str) -> ListingHit:
    texts = json.loads(row.texts)
    return ListingHit(
        store=row.store,
        store_name=row.store_name or "",
        handle=row.handle,
        cid=CID.from_bytes(row.cid),
        title=_in_language(texts["title"], texts["fallback"], locale) or row.title,
        summary=_in_language(texts["summary"], texts["fallback"], locale),
        price=Money(row.price_minor, row.currency),
        price_max=Money(row.price_max_minor, row.currency),
        availability=row.availability,
        kind=row.kind,
        thumb=CID.from_bytes(row.thumb) if row.thumb else None,
        country=row.country,
        rating_tenths=row.rating_tenths,
        review_count=row.review_count,
        updated_at=row.issued,
    )


def _in_language(texts: dict[str, str], fallback: str, locale: str) -> str:
    for wanted in (locale, locale.split("-")[0], fallback):
        if wanted in texts:
            return texts[wanted]
    return next(iter(texts.values()), "")


def reviews(connection: Connection, store: bytes, handle: str | None) -> list[ReviewView]:
    """Reviews of a store or of one listing: verified ones first, then the newest."""
    review = tables.review
    query = (
        select(review, tables.store.c.name.label("author_name"))
        .select_from(review.outerjoin(tables.store, tables.store.c.store == review.c.author))
        .where(review.c.store == store)
        .order_by(review.c.verified.desc(), review.c.issued.desc())
        .limit(MAX_REVIEWS)
    )
    if handle is not None:
        query = query.where(review.c.handle == handle)
    return [_review(row) for row in connection.execute(query)]


def _review(row: Row[Any]) -> ReviewView:
    return ReviewView(
        author=row.author,
        author_name=row.author_name or "",
        store=row.store,
        handle=row.handle,
        rating=row.rating,
        texts=json.loads(row.texts),
        fallback=row.fallback,
        verified=row.verified,
        order_id=row.order_id,
        chain_id=row.chain_id,
        issued=row.issued,
        cid=CID.from_bytes(row.cid),
        tx=row.tx,
    )


def stores(
    connection: Connection, own: bytes, wanted: Sequence[ColumnElement[bool]], offset: int, limit: int
) -> list[StoreView]:
    """Stores by name."""
    head, store, follow = tables.head, tables.store, tables.follow
    rows = connection.execute(
        select(
            head.c.store,
            head.c.seq,
            head.c.root,
            head.c.issued,
            store.c.name,
            store.c.country,
            store.c.currency,
            store.c.peer_id,
            store.c.addrs,
            store.c.profile,
            follow.c.since,
        )
        .select_from(
            head.outerjoin(store, store.c.store == head.c.store).outerjoin(follow, follow.c.store == head.c.store)
        )
        .where(*wanted)
        .order_by(store.c.name, head.c.store)
        .limit(limit)
        .offset(offset)
    ).all()
    return [_store(connection, row, own) for row in rows]


def _store(connection: Connection, row: Any, own: bytes) -> StoreView:
    listing, review, lies = tables.listing, tables.review, tables.equivocation
    count = select(func.count()).select_from(listing).where(listing.c.store == row.store)
    rated = select(func.count(), func.coalesce(func.sum(review.c.rating), 0)).where(
        review.c.store == row.store, review.c.verified
    )
    review_count, total = connection.execute(rated).one()
    lied = connection.execute(select(lies.c.seq).where(lies.c.store == row.store).limit(1)).first()
    return StoreView(
        store=row.store,
        name=row.name or "",
        seq=row.seq,
        catalog=CID.from_bytes(row.root),
        listing_count=connection.execute(count).scalar_one(),
        followed=row.since is not None,
        equivocates=lied is not None,
        updated_at=row.issued,
        country=row.country or "",
        currency=row.currency or "",
        profile=profile_of(row.profile),
        peer_id=row.peer_id or "",
        addrs=tuple(json.loads(row.addrs)) if row.addrs else (),
        rating_tenths=(total * 10 + review_count // 2) // review_count if review_count else None,
        review_count=review_count,
        own=row.store == own,
    )
