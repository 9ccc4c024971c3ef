"""Stock that belongs to orders: set aside when a quote is given, taken when the money is there, freed when it is not.

Rule: one row an order says which of these happened, changed in the same transaction as the shelf, so that nothing
is taken or freed twice.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.catalog import stock
from halle_node.db.schema.trade import trade_reservation as table
from halle_protocol.terms import OrderLine

RESERVED, TAKEN, FREED, RETURNED = "reserved", "taken", "freed", "returned"
NEVER = 2**40


def state(conn: Connection, order_key: str) -> str:
    """Return where the order's goods are; empty when nothing was set aside."""
    found: str | None = conn.execute(select(table.c.state).where(table.c.order_key == order_key)).scalar()
    return found or ""


def reserve(conn: Connection, order_key: str, lines: Iterable[OrderLine], expires_at: int) -> None:
    """Set the order's goods aside until `expires_at`; again after they were freed.

    Raises: Refused out-of-stock; then the caller's transaction must not keep a part of it.
    """
    if state(conn, order_key) in (RESERVED, TAKEN):
        _set(conn, order_key, state(conn, order_key), expires_at)
        return
    for line in lines:
        stock.reserve(conn, line.handle, line.sku, line.quantity)
    _set(conn, order_key, RESERVED, expires_at)


def take(conn: Connection, order_key: str, lines: Iterable[OrderLine]) -> None:
    """Take the goods off the shelf, because they are paid.

    Raises: Refused out-of-stock when the reservation had ended and somebody else was quicker.
    """
    if state(conn, order_key) == TAKEN:
        return
    bought = list(lines)
    reserve(conn, order_key, bought, NEVER)
    for line in bought:
        stock.take(conn, line.handle, line.sku, line.quantity)
    _set(conn, order_key, TAKEN, NEVER)


def release(conn: Connection, order_key: str, lines: Iterable[OrderLine]) -> None:
    """Give back what the order holds: a promise is freed, taken goods return to the shelf."""
    held = state(conn, order_key)
    if held == RESERVED:
        for line in lines:
            stock.free(conn, line.handle, line.sku, line.quantity)
        _set(conn, order_key, FREED, NEVER)
    elif held == TAKEN:
        for line in lines:
            stock.put_back(conn, line.handle, line.sku, line.quantity)
        _set(conn, order_key, RETURNED, NEVER)


def expired(conn: Connection, now: int) -> list[str]:
    """Return the orders whose goods waited too long."""
    query = select(table.c.order_key).where(table.c.state == RESERVED, table.c.expires_at < now)
    return list(conn.execute(query).scalars())


def keep(conn: Connection, order_key: str) -> None:
    """Let a reservation stand without end: the money is in escrow."""
    conn.execute(update(table).where(table.c.order_key == order_key).values(expires_at=NEVER))


def _set(conn: Connection, order_key: str, new_state: str, expires_at: int) -> None:
    values = {"state": new_state, "expires_at": expires_at}
    row = {"order_key": order_key, **values}
    conn.execute(insert(table).values(row).on_conflict_do_update(index_elements=["order_key"], set_=values))
