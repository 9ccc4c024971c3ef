"""What open orders refer to by CID, so that a clean-up leaves it: the listings as they were when they were bought."""

from __future__ import annotations

from sqlalchemy import Connection, select

from halle_node.db.schema.trade import trade_order
from halle_node.trade.book import Order
from halle_protocol.cid import CID
from halle_protocol.errors import HalleError


def kept_by_orders(conn: Connection) -> set[CID]:
    """Return the listings of every order that is not over."""
    rows = conn.execute(
        select(trade_order).where(trade_order.c.folded_open.is_(True), trade_order.c.request.is_not(None))
    )
    return {cid for row in rows for cid in _listings(Order(row))}


def _listings(order: Order) -> list[CID]:
    try:
        request = order.request
    except HalleError:
        return []  # stored by a version that read it otherwise; nothing of it can be shown anyway
    return [line.listing for line in request.lines] if request else []
