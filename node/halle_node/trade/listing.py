"""Orders as lists: one row each, from the cached columns; the next actions are folded for the rows shown."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, or_, select

from halle_node.db.schema.trade import trade_order as table
from halle_node.trade.book import Order
from halle_node.trade.folding import state_of, word
from halle_node.trade.legal import possible_moves
from halle_node.trade.room import Room
from halle_node.trade.views import OrderSummary
from halle_protocol.errors import HalleError, Refused
from halle_protocol.keys import to_checksum
from halle_protocol.money import Money
from halle_protocol.order import OrderState

MAX_ROWS = 500
CLOSED = ("closed", "declined", "cancelled")
TO_ANSWER = ("requested", "offered")
DISPUTES = ("disputed", "escalated")
MINOR_ACTIONS = frozenset({"chat"})


def orders(room: Room, role: str, view: str, query: str, limit: int, offset: int) -> list[OrderSummary]:
    """Return a page of orders, newest change first.

    Raises: Refused view-unknown.
    """
    wanted = select(table).order_by(table.c.updated_at.desc(), table.c.order_key)
    wanted = wanted.where(table.c.role == role if role else table.c.role != "arbiter")
    wanted = _search(_view(wanted, view.replace("_", "-").lower()), query.strip())
    wanted = wanted.limit(min(limit, MAX_ROWS)).offset(max(offset, 0))
    return room.db.read(lambda conn: [summary(room, conn, Order(row)) for row in conn.execute(wanted).all()])


def summary(room: Room, conn: Connection, order: Order, state: OrderState | None = None) -> OrderSummary:
    """Return one order as a list shows it."""
    row = order.row
    folded = state or state_of(conn, order)
    actions = possible_moves(conn, order, folded, room.chain_time())
    return OrderSummary(
        order_key=order.key,
        order_id="0x" + order.order_id.hex(),
        role=order.role,
        status=word(folded),
        outcome=folded.how,
        payment=folded.payment,
        fulfilment=folded.fulfilment,
        returns=folded.return_,
        store=to_checksum(order.merchant),
        store_name=row.merchant_name or name_of(room, order.merchant),
        customer=row.customer,
        buyer=to_checksum(order.buyer),
        title=row.title,
        pieces=row.pieces,
        total=total_of(room, order),
        created_at=row.created_at,
        updated_at=row.updated_at,
        deadline_at=folded.deadline,
        next_actions=tuple(action.name for action in actions if action.name not in MINOR_ACTIONS),
        from_chain_only=order.request is None,
        problem=row.problem,
    )


def total_of(room: Room, order: Order) -> Money:
    """Return the order's price; nothing in our own currency while only the chain's amount is known."""
    return order.total or Money(0, room.config.currency)


def name_of(room: Room, store: bytes) -> str:
    """Return how a store calls itself, as far as is known here."""
    if store == room.me:
        return room.config.name
    try:
        view = room.index.store(store)
    except HalleError:
        return ""
    return view.name if view else ""


def _view(query: Select[Any], view: str) -> Select[Any]:
    status = table.c.folded_status
    views: dict[str, list[ColumnElement[bool]]] = {
        "": [],
        "all": [],
        "open": [status.not_in(CLOSED)],
        "to-pack": [status == "accepted"],
        "to-answer": [status.in_(TO_ANSWER)],
        "unpaid": [status.in_(("requested", "quoted"))],
        "returns": [table.c.folded_returns.not_in(("", "none", "closed"))],
        "disputes": [status.in_(DISPUTES)],
        "closed": [status.in_(CLOSED)],
    }
    if view not in views:
        raise Refused(
            f"There is no view {view[:40]!r}.", code="view-unknown", hint=f"Views: {', '.join(v for v in views if v)}."
        )
    return query.where(*views[view])


def _search(query: Select[Any], text: str) -> Select[Any]:
    """Narrow by words: `status:unpaid customer:léa` or plain words in title, customer and key."""
    for part in text.split():
        name, _, value = part.partition(":")
        value = value.strip('"')
        if value and name == "status":
            query = query.where(or_(table.c.folded_status == value, table.c.folded_payment == value))
        elif value and name == "customer":
            query = query.where(table.c.customer.icontains(value, autoescape=True))
        else:
            columns = (table.c.title, table.c.customer, table.c.order_key, table.c.merchant_name)
            query = query.where(or_(*(column.icontains(part, autoescape=True) for column in columns)))
    return query
