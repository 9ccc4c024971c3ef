"""The shopkeeper's day: what waits for a hand, most urgent first."""

from __future__ import annotations

from sqlalchemy import Connection, or_, select

from halle_node.catalog import stock
from halle_node.db.schema.trade import trade_certificate
from halle_node.db.schema.trade import trade_order as table
from halle_node.trade.book import Order
from halle_node.trade.certificate_facts import certificate_ids, certificate_state
from halle_node.trade.folding import state_of
from halle_node.trade.listing import summary
from halle_node.trade.room import Room
from halle_node.trade.views import LowStock, OrderSummary, Todo
from halle_protocol.order import OrderState, Status
from halle_protocol.warranty import ClaimStatus

MAX_ROWS = 500
ANSWERABLE = (ClaimStatus.CLAIMED, ClaimStatus.CONTESTED)
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
        for name in _waits_for(room, conn, order, state):
            parts.setdefault(name, []).append(summary(room, conn, order, state))
    cases = select(table).where(table.c.role == "arbiter", table.c.folded_status.in_(("disputed", "escalated")))
    open_cases = []
    for row in conn.execute(cases.order_by(table.c.folded_deadline_at).limit(MAX_ROWS)).all():
        case = summary(room, conn, Order(row))
        if "rule" in case.next_actions:
            open_cases.append(case)
    low = tuple(
        LowStock(each.handle, each.sku, each.handle, each.free)
        for each in stock.low(conn, room.config.low_stock)[:MAX_LOW_STOCK]
    )
    return Todo(**{name: tuple(found) for name, found in parts.items()}, low_stock=low, cases=tuple(open_cases))


def _waits_for(room: Room, conn: Connection, order: Order, state: OrderState) -> list[str]:
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
    if state.held and (state.cancel is not None or (state.return_ == "closed" and not wants_exchange(state))):
        found.append("refunds_due")
    if state.return_ in ("requested", "open") or state.exchange:
        found.append("returns")
    if any(certificate_state(conn, each).status in ANSWERABLE for each in certificate_ids(conn, order, state)):
        found.append("warranty_claims")
    return found


def wants_exchange(state: OrderState) -> bool:
    """Say whether the last return asked for other pieces instead of money."""
    return state.return_request is not None and bool(state.return_request.body.get("exchange"))
