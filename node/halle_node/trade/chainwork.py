"""Calls of the escrow as rows of the chain outbox, in the transaction of the move that makes them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from sqlalchemy import ColumnElement, Connection, select

import halle_contracts
from halle_node.chain.watcher_rows import events_about, next_block
from halle_node.db.schema.chain import chain_tx
from halle_node.trade import book
from halle_node.trade.book import Order
from halle_node.trade.room import Room
from halle_protocol.errors import Refused

LIVE_STATES = ("queued", "signed", "sent", "mined", "final")
MOST_FAILURES = 3
MOVING_STATES = ("queued", "signed", "sent")
MINED_STATES = ("mined", "final")


def call(
    room: Room, conn: Connection, order: Order, function: str, *args: object, signer: bytes, purpose: str = ""
) -> int:
    """Queue `Escrow.function(terms, buyer, …)`; return the outbox row."""
    terms = halle_contracts.terms_tuple(order.known_terms())
    data = halle_contracts.encode_call("Escrow", function, terms, order.buyer, *args)
    return enqueue(room, conn, order, room.chain.contracts.escrow, data, signer, purpose or function)


def enqueue(room: Room, conn: Connection, order: Order, to: bytes, data: bytes, signer: bytes, purpose: str) -> int:
    """Queue calldata for an order; return the outbox row."""
    row_id = room.chain.outbox.enqueue(conn, signer=signer, to=to, data=data, purpose=purpose, ref=order.order_id)
    book.add_transaction(conn, order.key, row_id, purpose, room.clock())
    return row_id


def is_live(conn: Connection, order: Order, purposes: Iterable[str]) -> bool:
    """Say whether a transaction of ours for one of these purposes is on its way or done."""
    return _any_in(conn, order, purposes, LIVE_STATES)


def in_flight(conn: Connection, order: Order, purposes: Iterable[str]) -> bool:
    """Say whether what a transaction of ours for one of these purposes does is still to be seen."""
    mine = _ours(conn, order, purposes)
    return conn.execute(select(chain_tx.c.id).where(chain_tx.c.id.in_(mine), unseen(conn)).limit(1)).first() is not None


def unseen(conn: Connection) -> ColumnElement[bool]:
    """Match transactions that are not in a block yet, or in one whose events have not been read.

    Between the two our own state is behind: a move made on it would be made twice.
    """
    moving = chain_tx.c.state.in_(MOVING_STATES)
    unread = chain_tx.c.state.in_(MINED_STATES) & (chain_tx.c.block_number >= (next_block(conn) or 0))
    return moving | (unread & chain_tx.c.error_code.is_(None))


def is_moving(conn: Connection, signer: bytes, purposes: Iterable[str]) -> bool:
    """Say whether a transaction of this account for one of these purposes, of any order, is not in a block yet."""
    moving = select(chain_tx.c.id).where(
        chain_tx.c.signer == signer, chain_tx.c.purpose.in_(tuple(purposes)), chain_tx.c.state.in_(MOVING_STATES)
    )
    return conn.execute(moving.limit(1)).first() is not None


def gave_up(conn: Connection, order: Order, purpose: str) -> bool:
    """Say whether this failed so often that only a person should try again."""
    return len(_rows_in(conn, order, (purpose,), ("failed",))) >= MOST_FAILURES


def refuse_twice(conn: Connection, order: Order, *purposes: str) -> None:
    """Refuse a move whose transaction is already on its way.

    Raises: Refused already-sent.
    """
    if is_live(conn, order, purposes):
        raise Refused(
            "The transaction for this is already on its way.",
            code="already-sent",
            hint="Follow it in the order's timeline.",
        )


def operator_until(room: Room, conn: Connection) -> int:
    """Return until when the chain lets our operator act for this store; 0 = never. From stored events."""
    return _operators(room, conn).get(room.keys.operator_address, 0)


def earlier_operators(room: Room, conn: Connection) -> list[bytes]:
    """Return who may still act for this store and was last named before our operator. From stored events."""
    named, now = _operators(room, conn), room.chain_time()
    before = takewhile(lambda operator: operator != room.keys.operator_address, named)
    return [operator for operator in before if named[operator] > now]


def _operators(room: Room, conn: Connection) -> dict[bytes, int]:
    """Return until when who acts for this store, in the order they were last named."""
    found: dict[bytes, int] = {}
    for event in events_about(conn, room.me.rjust(32, b"\0")):
        if event.name == "OperatorSet":
            found.pop(event.args["operator"], None)
            found[event.args["operator"]] = int(event.args["until"])
    return found


def merchant_signer(room: Room, conn: Connection) -> bytes:
    """Return whose key acts for us as merchant: the operator's when the chain knows it, else the store's."""
    if operator_until(room, conn) > room.chain_time():
        return room.keys.operator_address
    return room.me


def merchant_private(room: Room, conn: Connection) -> bytes:
    """Return the private key that goes with `merchant_signer`.

    Raises: Refused keys-locked.
    """
    if merchant_signer(room, conn) == room.keys.operator_address:
        return room.keys.operator_private
    return room.keys.store_private


def side_signer(room: Room, conn: Connection, order: Order) -> bytes:
    """Return whose key sends transactions for our side of an order."""
    return merchant_signer(room, conn) if order.role == "merchant" else room.me


def errand_signer(room: Room, conn: Connection, order: Order) -> bytes:
    """Return whose key sends what anyone may send."""
    return side_signer(room, conn, order)


def _any_in(conn: Connection, order: Order, purposes: Iterable[str], states: tuple[str, ...]) -> bool:
    return bool(_rows_in(conn, order, purposes, states))


def _rows_in(conn: Connection, order: Order, purposes: Iterable[str], states: tuple[str, ...]) -> list[int]:
    mine = _ours(conn, order, purposes)
    if not mine:
        return []
    query = select(chain_tx.c.id).where(chain_tx.c.id.in_(mine), chain_tx.c.state.in_(states))
    return [int(row_id) for row_id in conn.execute(query).scalars()]


def _ours(conn: Connection, order: Order, purposes: Iterable[str]) -> list[int]:
    wanted = set(purposes)
    return [row_id for row_id, purpose, _ in book.transactions(conn, order.key) if purpose in wanted]
