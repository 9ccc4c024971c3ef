"""What other stores publish, as far as this node admitted it; the search index is rebuilt from these rows."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Table, Text

from halle_node.db.schema import metadata

head = Table(
    "index_head",
    metadata,
    Column("store", LargeBinary, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("cid", LargeBinary, nullable=False),
    Column("frame", LargeBinary, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("issued", Integer, nullable=False),
    Column("expires", Integer, nullable=False),
    Column("peer", Text, nullable=False),  # who told us, asked first for the blocks
    Column("received_at", Integer, nullable=False),
    Column("indexed_root", LargeBinary),  # the catalog whose documents are all in; NULL before the first sync
)
Index("ix_index_head_issued", head.c.issued)

equivocation = Table(
    "index_equivocation",
    metadata,
    Column("store", LargeBinary, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("frame_a", LargeBinary, nullable=False),
    Column("frame_b", LargeBinary, nullable=False),
    Column("seen_at", Integer, nullable=False),
)

store = Table(
    "index_store",
    metadata,
    Column("store", LargeBinary, primary_key=True),
    Column("name", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("peer_id", Text, nullable=False),
    Column("addrs", Text, nullable=False),  # JSON list
    Column("profile", LargeBinary),  # the signed document
)

follow = Table(
    "index_follow",
    metadata,
    Column("store", LargeBinary, primary_key=True),
    Column("since", Integer, nullable=False),
)

listing = Table(
    "index_listing",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("store", LargeBinary, nullable=False),
    Column("handle", Text, nullable=False),
    Column("cid", LargeBinary, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("issued", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("texts", Text, nullable=False),  # JSON of title and summary by language, cleaned
    Column("words", Text, nullable=False),  # everything searched, cleaned
    Column("kind", Text, nullable=False),
    Column("category", Text, nullable=False),
    Column("vendor", Text, nullable=False),
    Column("price_minor", Integer, nullable=False),
    Column("price_max_minor", Integer, nullable=False),
    Column("currency", Text, nullable=False),
    Column("availability", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("thumb", LargeBinary),
    Column("rating_tenths", Integer),
    Column("review_count", Integer, nullable=False),
    Column("searchable", Boolean, nullable=False),  # False until the search index has it
)
Index("uq_index_listing_place", listing.c.store, listing.c.handle, unique=True)
Index("ix_index_listing_searchable", listing.c.id, sqlite_where=listing.c.searchable.is_(False))

# Removed listings whose search entry is not gone yet.
unlisted = Table("index_unlisted", metadata, Column("id", Integer, primary_key=True))

document = Table(
    "index_document",
    metadata,
    Column("store", LargeBinary, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("cid", LargeBinary, nullable=False),
    Column("type", Text, nullable=False),
    Column("problem", Text),  # code of why it is not shown; NULL when it is good
)

review = Table(
    "index_review",
    metadata,
    Column("author", LargeBinary, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("cid", LargeBinary, nullable=False),
    Column("store", LargeBinary, nullable=False),
    Column("handle", Text, nullable=False),
    Column("rating", Integer, nullable=False),
    Column("texts", Text, nullable=False),
    Column("fallback", Text, nullable=False),
    Column("order_id", LargeBinary, nullable=False),
    Column("chain_id", Integer, nullable=False),
    Column("tx", LargeBinary, nullable=False),
    Column("issued", Integer, nullable=False),
    Column("verified", Boolean, nullable=False),
)
Index("ix_index_review_about", review.c.store, review.c.handle)
