"""What our node does by itself when something about an order changes, whichever side it is on.

Rule: called after every new fact, in the transaction that stores it, and safe to call again.
"""

from __future__ import annotations

from sqlalchemy import Connection

from halle_node.trade import book, disputes, merchant_duty
from halle_node.trade.folding import state_of
from halle_node.trade.room import Room


def consider(room: Room, conn: Connection, key: str) -> None:
    """Do what an order's state asks of us."""
    order = book.find(conn, key)
    if order.role == "arbiter" or order.row.restored or room.is_replaced():
        return
    if order.role == "merchant":
        merchant_duty.consider(room, conn, key)
    disputes.inform_arbiter(room, conn, book.find(conn, key), state_of(conn, order))
