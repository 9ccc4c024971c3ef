"""Which orders this store has reviewed: a review lives in its author's catalog, one an order."""

from __future__ import annotations

from sqlalchemy import Connection, select

from halle_node.db.schema.catalog import review


def review_key(order_id: bytes) -> str:
    """Return the catalog key of the review of an order."""
    return f"review/{order_id.hex()}"


def is_reviewed(connection: Connection, order_id: bytes) -> bool:
    """Return whether this store has published a review of the order."""
    return connection.execute(select(review.c.key).where(review.c.key == review_key(order_id))).first() is not None
