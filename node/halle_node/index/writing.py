"""Rows of the index, written many at a time inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.db.schema import index as tables
from halle_node.index.rows import Row, Rows
from halle_protocol.head import Head


def write_head(connection: Connection, head: Head, frame: bytes, peer: str, now: int) -> None:
    """Keep the newest head of a store; what is indexed of it stays noted."""
    values = {
        "seq": head.seq,
        "cid": bytes(head.cid),
        "frame": frame,
        "root": bytes(head.catalog),
        "issued": head.issued,
        "expires": head.expires,
        "peer": peer,
        "received_at": now,
    }
    statement = insert(tables.head).values(store=head.store, **values)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["store"], set_=values, where=tables.head.c.seq < head.seq)
    )


def write_equivocation(connection: Connection, head: Head, frame: bytes, now: int) -> None:
    """Keep both stories of a store; the first proof of each seq is enough."""
    known = connection.execute(select(tables.head.c.frame).where(tables.head.c.store == head.store)).scalar()
    if known is None:
        return
    connection.execute(
        insert(tables.equivocation)
        .values(store=head.store, seq=head.seq, frame_a=known, frame_b=frame, seen_at=now)
        .on_conflict_do_nothing()
    )


def write_rows(connection: Connection, store: bytes, rows: Rows) -> None:
    """Bring one batch of a store's documents in."""
    if rows.profile is not None:
        _write_profile(connection, rows.profile)
    _drop(connection, store, rows.gone)
    if rows.documents:
        _upsert(connection, tables.document, ("store", "key"), rows.documents)
    if rows.reviews:
        _upsert(connection, tables.review, ("author", "key"), [{**row, "verified": False} for row in rows.reviews])
        refresh_ratings(connection, {(row["store"], row["handle"]) for row in rows.reviews})
    if rows.listings:
        _write_listings(connection, store, rows.listings)


def _write_profile(connection: Connection, row: Row) -> None:
    before = connection.execute(select(tables.store.c.country).where(tables.store.c.store == row["store"])).scalar()
    _upsert(connection, tables.store, ("store",), [row])
    if before != row["country"]:
        connection.execute(
            update(tables.listing)
            .where(tables.listing.c.store == row["store"])
            .values(country=row["country"], searchable=False)
        )


def _upsert(connection: Connection, table: Any, keys: Sequence[str], rows: Sequence[Row]) -> None:
    statement = insert(table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=changed), list(rows))


_LISTING_COLUMNS = (
    "cid",
    "seq",
    "issued",
    "title",
    "texts",
    "words",
    "kind",
    "category",
    "vendor",
    "price_minor",
    "price_max_minor",
    "currency",
    "availability",
    "country",
    "thumb",
    "searchable",
)
_NEW_LISTING = insert(tables.listing)
_WRITE_LISTING = _NEW_LISTING.on_conflict_do_update(
    index_elements=["store", "handle"], set_={name: _NEW_LISTING.excluded[name] for name in _LISTING_COLUMNS}
)


def _write_listings(connection: Connection, store: bytes, rows: Sequence[Row]) -> None:
    country = connection.execute(select(tables.store.c.country).where(tables.store.c.store == store)).scalar()
    fixed = {"country": country or "", "searchable": False, "rating_tenths": None, "review_count": 0}
    connection.execute(_WRITE_LISTING, [row | fixed for row in rows])
    reviewed = connection.execute(
        select(tables.review.c.handle).where(tables.review.c.store == store).distinct()
    ).scalars()
    written = {row["handle"] for row in rows}
    refresh_ratings(connection, {(store, handle) for handle in reviewed if handle in written})


def refresh_ratings(connection: Connection, places: Iterable[tuple[bytes, str]]) -> None:
    """Count the verified reviews of these listings anew."""
    review, listing = tables.review, tables.listing
    for store, handle in places:
        count, total = connection.execute(
            select(func.count(), func.coalesce(func.sum(review.c.rating), 0)).where(
                review.c.store == store, review.c.handle == handle, review.c.verified
            )
        ).one()
        tenths = (total * 10 + count // 2) // count if count else None
        connection.execute(
            update(listing)
            .where(listing.c.store == store, listing.c.handle == handle)
            .values(rating_tenths=tenths, review_count=count, searchable=False)
        )


def _drop(connection: Connection, store: bytes, keys: Sequence[str]) -> None:
    """Forget what a store removed. A problem noted in the same batch is written after this."""
    for key in keys:
        connection.execute(
            delete(tables.document).where(tables.document.c.store == store, tables.document.c.key == key)
        )
        kind, _, name = key.partition("/")
        if kind == "listing":
            _unlist(connection, store, name)
        elif kind == "review":
            _unreview(connection, store, key)


def hide_store(store: bytes, connection: Connection) -> None:
    """Forget everything a store publishes but its head; its next sync brings all of it back from the blocks here."""
    listing, document, review = tables.listing, tables.document, tables.review
    handles = connection.execute(select(listing.c.handle).where(listing.c.store == store)).scalars()
    keys = connection.execute(select(document.c.key).where(document.c.store == store)).scalars()
    written = connection.execute(select(review.c.key).where(review.c.author == store)).scalars()
    _drop(connection, store, [*(f"listing/{handle}" for handle in list(handles)), *list(keys), *list(written)])
    connection.execute(delete(tables.store).where(tables.store.c.store == store))
    connection.execute(update(tables.head).where(tables.head.c.store == store).values(indexed_root=None))


def _unlist(connection: Connection, store: bytes, handle: str) -> None:
    listing = tables.listing
    number = connection.execute(
        select(listing.c.id).where(listing.c.store == store, listing.c.handle == handle)
    ).scalar()
    if number is None:
        return
    connection.execute(insert(tables.unlisted).values(id=number).on_conflict_do_nothing())
    connection.execute(delete(listing).where(listing.c.id == number))


def _unreview(connection: Connection, author: bytes, key: str) -> None:
    review = tables.review
    row = connection.execute(
        select(review.c.store, review.c.handle).where(review.c.author == author, review.c.key == key)
    ).first()
    if row is not None:
        connection.execute(delete(review).where(review.c.author == author, review.c.key == key))
        refresh_ratings(connection, [(row.store, row.handle)])


def note_indexed(connection: Connection, store: bytes, root: bytes) -> None:
    """Note that every document of a catalog is in."""
    connection.execute(update(tables.head).where(tables.head.c.store == store).values(indexed_root=root))


_FOUND = (
    update(tables.listing)
    .where(tables.listing.c.id == bindparam("at_id"), tables.listing.c.cid == bindparam("at_cid"))
    .values(searchable=True)
)


def note_searchable(connection: Connection, rows: Sequence[tuple[int, bytes]], gone: Sequence[int]) -> None:
    """Note what the search index has; a row that changed meanwhile stays due."""
    if rows:
        connection.execute(_FOUND, [{"at_id": number, "at_cid": cid} for number, cid in rows])
    if gone:
        connection.execute(delete(tables.unlisted).where(tables.unlisted.c.id.in_(list(gone))))


def mark_all_unsearchable(connection: Connection) -> None:
    """Have every listing put into the search index again."""
    connection.execute(update(tables.listing).values(searchable=False))
    connection.execute(delete(tables.unlisted))
