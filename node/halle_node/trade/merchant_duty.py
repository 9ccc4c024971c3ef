"""What a merchant's node does by itself when something about an order changes.

Rule: one function, called after every new fact in the transaction that stores it, and safe to call again: each duty
looks at the folded state and at what is already on its way.
"""

from __future__ import annotations

from sqlalchemy import Connection

from halle_node.trade import book, chainwork, digital, goods, letters, rules
from halle_node.trade.book import Order
from halle_node.trade.folding import state_of
from halle_node.trade.quoting import check_offer, quote
from halle_node.trade.room import Room
from halle_protocol.errors import ProtocolError, Refused
from halle_protocol.order import OrderState, Status

# What may be different in a minute; the request is kept and tried again.
PASSING = rules.CODES | {
    "keys-locked",
    "store-unknown",
    "terms-unknown",
    "order-message-missing",
    "outbox-full",
    "licences-sold-out",
    "history-awaited",
    "chain-time-old",
}


def consider(room: Room, conn: Connection, key: str) -> None:
    """Do what the order's state asks of us as merchant; note on the order what stands in the way."""
    order = book.find(conn, key)
    if order.role != "merchant":
        return
    state = state_of(conn, order)
    try:
        with conn.begin_nested():
            _react(room, conn, order, state)
        if order.request is not None and order.row.problem in PASSING:
            book.set_problem(conn, key, "")
    except (Refused, ProtocolError) as error:
        book.set_problem(conn, key, error.code)
        if state.status == Status.NONE and error.code not in PASSING:
            decline_request(room, conn, order, error.message, error.code)


def decline_request(room: Room, conn: Connection, order: Order, reason: str, code: str = "") -> None:
    """Answer a request with no, and free what was set aside for it."""
    letters.send(room, conn, order, "order/decline", {"reason": reason, "code": code})
    if order.document is not None:
        goods.release(conn, order.key, order.document.lines)


def take_on(room: Room, conn: Connection, order: Order) -> None:
    """Accept a funded offer: the goods are taken and the chain is told.

    Raises: Refused out-of-stock and check_offer's codes.
    """
    document = order.known_document() if order.signature else check_offer(room, order)
    goods.take(conn, order.key, document.lines)
    if chainwork.is_live(conn, order, ("accept",)):
        return
    chainwork.call(room, conn, order, "accept", signer=chainwork.merchant_signer(room, conn))


def _react(room: Room, conn: Connection, order: Order, state: OrderState) -> None:
    if state.status == Status.NONE:
        _react_to_request(room, conn, order, state)
    elif order.document is None:
        return  # from the chain alone: nothing can be packed before the buyer's message
    elif state.status == Status.OFFERED:
        late = state.deadline is not None and room.chain_time() > state.deadline
        wanted = room.rules.accept_offers_by_itself and state.cancel is None and state.decline is None
        if wanted and not late and not chainwork.gave_up(conn, order, "accept"):
            _ask_rules(room, conn, order)
            take_on(room, conn, order)
    elif state.status != Status.CLOSED:
        goods.take(conn, order.key, order.document.lines)
        digital.deliver(room, conn, order, state)
    elif state.shipped_at is None and state.delivered_at is None:
        goods.release(conn, order.key, order.document.lines)


def _react_to_request(room: Room, conn: Connection, order: Order, state: OrderState) -> None:
    if state.request is None or state.quote is not None or state.decline is not None:
        if state.cancel is not None and order.document is not None:
            goods.release(conn, order.key, order.document.lines)
        return
    if state.cancel is None and room.rules.quote_by_itself:
        _ask_rules(room, conn, order)
        quote(room, conn, order)
        book.set_problem(conn, order.key, "")


def _ask_rules(room: Room, conn: Connection, order: Order) -> None:
    """Pass when the owner lets the node take this on alone.

    Raises: Refused rule-….
    """
    currency = room.catalog.profile().currency
    rules.require_accepted(rules.read(conn), order.known_document(), currency, room.clock())
