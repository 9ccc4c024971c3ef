"""What this store sells: drafts, photos, stock, what is published of it, and imports that can be undone."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from halle_node.db.schema import metadata

# One row each: the store's own words on itself, as JSON of the form.
setting = Table(
    "catalog_setting",
    metadata,
    Column("name", Text, primary_key=True),
    Column("form", Text, nullable=False),
    Column("updated_at", Integer, nullable=False),
)

product = Table(
    "catalog_product",
    metadata,
    Column("handle", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("vendor", Text, nullable=False),
    Column("product_type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("words", Text, nullable=False),  # lower-case text the product list is searched in
    Column("form", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("published_revision", Integer, nullable=False),  # behind `revision` while a change waits to be published
    Column("removed_at", Integer),
    Column("updated_at", Integer, nullable=False),
)
Index("ix_catalog_product_updated", product.c.updated_at)
Index(
    "ix_catalog_product_waiting",
    product.c.handle,
    sqlite_where=product.c.revision > product.c.published_revision,
)

media = Table(
    "catalog_media",
    metadata,
    Column("cid", LargeBinary, primary_key=True),
    Column("thumb", LargeBinary),
    Column("mime", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
)

photo = Table(
    "catalog_photo",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("handle", Text, ForeignKey("catalog_product.handle", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("cid", LargeBinary, ForeignKey("catalog_media.cid")),  # NULL while an imported picture is missing
    Column("alt", Text, nullable=False),
    Column("source", Text, nullable=False),
)
Index("ix_catalog_photo_handle", photo.c.handle, photo.c.position)

# The checks hold whatever code runs: an oversold shelf is a bug, not a state.
stock = Table(
    "catalog_stock",
    metadata,
    Column("handle", Text, primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("on_hand", Integer, nullable=False),
    Column("reserved", Integer, nullable=False),
    Column("tracked", Boolean, nullable=False),
    Column("oversell", Boolean, nullable=False),
    CheckConstraint("on_hand >= 0", name="on_hand"),
    CheckConstraint("reserved >= 0", name="reserved"),
    CheckConstraint("oversell OR NOT tracked OR reserved <= on_hand", name="promised"),
)

# Products that cannot be published as they are, and why; emptied by the next publish that can.
problem = Table(
    "catalog_problem",
    metadata,
    Column("handle", Text, primary_key=True),
    Column("code", Text, nullable=False),
    Column("message", Text, nullable=False),
)

published = Table(
    "catalog_published",
    metadata,
    Column("key", Text, primary_key=True),
    Column("cid", LargeBinary),  # NULL once removed; the sequence stays, so that it never goes back
    Column("seq", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),  # sha2-256 of type and body: unchanged means not signed again
)

head = Table(
    "catalog_head",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("cid", LargeBinary, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("frame", LargeBinary, nullable=False),
    Column("issued", Integer, nullable=False),
    Column("expires", Integer, nullable=False),
)

# The store's IPNS record, one row a peer key: its sequence is on the disk before it is on the network.
name_record = Table(
    "catalog_name",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("record", LargeBinary, nullable=False),
)

# The files of the static shop as they were last made: `source` unchanged means not rendered again.
site_file = Table(
    "catalog_site_file",
    metadata,
    Column("path", Text, primary_key=True),
    Column("source", LargeBinary, nullable=False),
    Column("cid", LargeBinary, nullable=False),
    Column("tsize", Integer, nullable=False),
)

review = Table(
    "catalog_review",
    metadata,
    Column("key", Text, primary_key=True),
    Column("form", Text, nullable=False),
    Column("updated_at", Integer, nullable=False),
)

import_run = Table(
    "catalog_import",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("started_at", Integer, nullable=False),
    Column("undone_at", Integer),
    Column("totals", Text, nullable=False),
)

import_change = Table(
    "catalog_import_change",
    metadata,
    Column("import_id", Integer, ForeignKey("catalog_import.id", ondelete="CASCADE"), primary_key=True),
    Column("handle", Text, primary_key=True),
    Column("before", Text),  # NULL when the import created the product
)
