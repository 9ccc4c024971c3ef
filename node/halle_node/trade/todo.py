"""The shopkeeper's day: what waits for a hand, most urgent first."""

from __future__ import annotations

from sqlalchemy import Connection, or_, select

from halle_node.catalog import stock
from halle_node.db.schema.trade import trade_certificate
from halle_node.db.schema.trade import trade_order as table
from halle_node.trade.book import Order
from halle_node.trade.folding import state_of
from halle_node.trade.listing import summary
from halle_node.trade.room import Room
from halle_node.trade.views import LowStock, OrderSummary, Todo
from halle_protocol.order import OrderState, Status

MAX_ROWS = 500
MAX_LOW_STOCK = 20


def todo(room: Room) -> Todo:
    """Return what waits for the merchant."""
    return room.db.read(lambda conn: _todo(room, conn))


def _todo(room: Room, conn: Connection) -> Todo:
    covered = select(trade_certificate.c.order_id)
    query = (
        select(table)
        .where(table.c.role == "merchant", or_(table.c.folded_open, table.c.order_id.in_(covered)))
        .order_by(table.c.folded_open.desc(), table.c.folded_deadline_at, table.c.created_at)
        .limit(MAX_ROWS)
    )
    parts: dict[str, list[OrderSummary]] = {}
    for row in conn.execute(query).all():
        order = Order(row)
        state = state_of(conn, order)
        for name in _waits_for(room, order, state):
            parts.setdefault(name, []).append(summary(room, conn, order, state))
    low = tuple(
        LowStock(each.handle, each.sku, each.handle, each.free)
        for each in stock.low(conn, room.config.low_stock)[:MAX_LOW_STOCK]
    )
    return Todo(**{name: tuple(found) for name, found in parts.items()}, low_stock=low)


def _waits_for(room: Room, order: Order, state: OrderState) -> list[str]:
    found = []
    if state.status == Status.OFFERED or (state.status == Status.NONE and state.quote is None):
        found.append("to_answer")
    elif state.status == Status.ACCEPTED and order.request is not None:
        found.append("to_pack")
    elif state.status == Status.SHIPPED:
        found.append("to_hand_over")
    elif state.status in (Status.DISPUTED, Status.ESCALATED):
        found.append("disputes")
    overdue = state.deadline is not None and state.deadline < room.chain_time()
    if overdue and state.status in (Status.SHIPPED, Status.DELIVERED):
        found.append("to_claim")
    if state.held and (state.cancel is not None or state.return_ == "closed"):
        found.append("refunds_due")
    if state.open_claims:
        found.append("warranty_claims")
    return found
