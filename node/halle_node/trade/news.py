"""What the owner hears of orders: changes when they are folded, deadlines and shelves when they come near.

Rule: told in the transaction of the change, once; the words are the faces'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from halle_node.catalog import stock
from halle_node.chain.records import ChainEvent
from halle_node.db.schema.trade import trade_order as table
from halle_node.notify import notices
from halle_node.trade.book import Order
from halle_protocol.order import OrderState

NEAR_S = 86_400

# (our role, cached column, its new value) → kind of notice.
CHANGES: dict[tuple[str, str, str], str] = {
    ("merchant", "folded_status", "requested"): "order-to-answer",
    ("merchant", "folded_status", "offered"): "order-to-answer",
    ("merchant", "folded_status", "accepted"): "order-to-pack",
    ("merchant", "folded_status", "disputed"): "sale-disputed",
    ("merchant", "folded_returns", "requested"): "return-asked",
    ("buyer", "folded_status", "quoted"): "quote-ready",
    ("buyer", "folded_status", "declined"): "order-declined",
    ("buyer", "folded_status", "shipped"): "order-shipped",
    ("buyer", "folded_status", "delivered"): "order-delivered",
    ("buyer", "folded_status", "disputed"): "purchase-disputed",
    ("buyer", "folded_returns", "open"): "return-answered",
    ("buyer", "folded_returns", "declined"): "return-answered",
    ("buyer", "folded_payment", "partially_refunded"): "refund",
    ("buyer", "folded_payment", "refunded"): "refund",
    ("arbiter", "folded_status", "disputed"): "case-to-rule",
}
# Whose time is running while an order is in this state.
DEADLINES: dict[tuple[str, str], str] = {
    ("merchant", "offered"): "sale-deadline",
    ("merchant", "accepted"): "sale-deadline",
    ("buyer", "shipped"): "purchase-deadline",
    ("buyer", "delivered"): "purchase-deadline",
}


def tell(conn: Connection, order: Order, cached: Mapping[str, Any], state: OrderState, now: int) -> None:
    """Tell of what is new in an order: `order` as it was, `cached` as it is now. What is learnt again is not new."""
    if order.row.restored:
        return
    for column, value in cached.items():
        kind = CHANGES.get((order.role, column, value)) if isinstance(value, str) else None
        if kind is None or order.row._mapping[column] == value:
            continue
        if kind == "refund" and not state.paid_out_buyer:
            continue
        mark = {"refund": str(state.paid_out_buyer), "return-answered": value}.get(kind, "")
        if kind == "return-asked" and state.return_request is not None:
            mark = state.return_request.id.hex()
        once = f"{kind}/{order.key}/{mark}"
        notices.add(conn, kind, order.key, now, once=once, who=_who(order), what=order.row.title)


# A certificate's event → kind of notice, and the side it is news for.
CLAIMS: dict[str, tuple[str, str]] = {
    "ClaimOpened": ("warranty-claim", "underwriter"),
    "OfferMade": ("claim-answered", "holder"),
    "ClaimContested": ("claim-answered", "holder"),
    "ClaimPaid": ("claim-answered", "holder"),
}


def tell_claim(conn: Connection, event: ChainEvent, party: str, subject: str, what: str, me: bytes, now: int) -> None:
    """Tell of a claim opened on what we back, or answered on what we hold; `subject` is the certificate's name."""
    kind, side = CLAIMS.get(event.name, ("", ""))
    if party != side or event.args.get("by") == me:
        return
    once = f"{kind}/{event.tx_hash.hex()}/{event.log_index}"
    notices.add(conn, kind, subject, now, once=once, what=what)


def remind(conn: Connection, chain_time: int, now: int, low_at: int) -> None:
    """Tell of deadlines within a day, and of goods that are running low."""
    roles = {role for role, _ in DEADLINES}
    near = select(table).where(
        table.c.role.in_(roles),
        table.c.folded_open,
        table.c.folded_deadline_at > chain_time,
        table.c.folded_deadline_at <= chain_time + NEAR_S,
    )
    for row in conn.execute(near).all():
        order, kind = Order(row), DEADLINES.get((row.role, row.folded_status))
        if kind is not None:
            once = f"{kind}/{order.key}/{row.folded_deadline_at}"
            facts = {"who": _who(order), "what": row.title, "until": row.folded_deadline_at}
            notices.add(conn, kind, order.key, now, once=once, **facts)
    shelves = {each.handle: {"left": each.free} for each in stock.low(conn, low_at)}
    notices.hold(conn, "low-stock", shelves, now)


def _who(order: Order) -> str:
    return str(order.row.customer if order.role == "merchant" else order.row.merchant_name)
