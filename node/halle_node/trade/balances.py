"""Where the money of each order is, from the chain's own events.

Rule: each figure comes from its own event, so that the sum is a check and not a definition.
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from halle_node.chain.watcher_rows import event_of
from halle_node.db.schema.chain import chain_event
from halle_node.db.schema.trade import trade_order as table
from halle_node.trade import book
from halle_node.trade.book import Order
from halle_node.trade.folding import state_of, word
from halle_node.trade.room import Room
from halle_node.trade.views import Balance, BalanceRow
from halle_protocol.keys import to_checksum
from halle_protocol.order import OrderState


def balance(room: Room, order_key: str) -> Balance:
    """Return where one order's money is."""

    def read(conn: Connection) -> Balance:
        return balance_of(state_of(conn, book.find(conn, order_key)))

    return room.db.read(read)


def balance_of(state: OrderState) -> Balance:
    """Return the balance of a state."""
    return Balance(
        total_in=state.total if state.funded_at is not None else 0,
        to_buyer=state.paid_out_buyer,
        to_merchant=state.paid_out_merchant,
        to_arbiter=state.paid_out_arbiter,
        held=state.held,
    )


def balance_sheet(room: Room) -> list[BalanceRow]:
    """Return one row for every order that was ever funded, oldest first."""

    def read(conn: Connection) -> list[BalanceRow]:
        query = (
            select(table).where(table.c.funded_tx.is_not(None), table.c.role != "arbiter").order_by(table.c.created_at)
        )
        return [_row(room, conn, Order(row)) for row in conn.execute(query).all()]

    return room.db.read(read)


def token_of(room: Room, order: Order, token: bytes) -> tuple[str, int]:
    """Return symbol and decimals of an order's token."""
    if order.document is not None:
        return order.document.token_symbol, order.document.token_decimals
    for symbol, (address, decimals) in room.chain.contracts.tokens.items():
        if address == token:
            return symbol, decimals
    return "", 0


def _row(room: Room, conn: Connection, order: Order) -> BalanceRow:
    state = state_of(conn, order)
    symbol, decimals = token_of(room, order, state.token)
    return BalanceRow(
        order_key=order.key,
        order_id="0x" + order.order_id.hex(),
        role=order.role,
        status=word(state),
        token=to_checksum(state.token) if state.token else "",
        token_symbol=symbol,
        token_decimals=decimals,
        balance=balance_of(state),
        credited=_credited(conn, order),
    )


def _credited(conn: Connection, order: Order) -> int:
    """Return the part of the payouts that waits as credit: Credited beside Paid in one transaction."""
    payouts = select(chain_event.c.tx_hash).where(chain_event.c.subject == order.order_id, chain_event.c.name == "Paid")
    beside = select(chain_event).where(chain_event.c.name == "Credited", chain_event.c.tx_hash.in_(payouts))
    return sum(int(event_of(row).args["amount"]) for row in conn.execute(beside))
