"""Forget one customer: who they are, where they live, what they said and showed.

Rule: an order that is not over keeps its customer, because it could not be finished without. What the books need stays:
amounts, dates, article numbers, the country of delivery, hashes, and what the chain shows anyway.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, LargeBinary, delete, literal, select, update

from halle_node.db.schema.messages import message_inbox, message_outbox
from halle_node.db.schema.trade import (
    trade_claim_message,
    trade_message,
    trade_reservation,
    trade_talk,
    trade_transaction,
)
from halle_node.db.schema.trade import trade_order as table
from halle_node.messages import inbox
from halle_node.notify import notices
from halle_node.trade import book, talks
from halle_node.trade.book import Order
from halle_node.trade.extras import cards_of
from halle_node.trade.restored import ERASED
from halle_node.trade.room import Room
from halle_protocol.cid import CID
from halle_protocol.errors import HalleError, Refused
from halle_protocol.keys import parse_address, to_checksum
from halle_protocol.messages import Message

PROBLEM = "customer-erased"
STAYS = ("amounts", "dates", "articles", "country", "hashes", "chain", "their-own-pages")
"""What is kept, in words that the faces translate."""


@dataclass(frozen=True)
class Erasure:
    """What an erasure removes, or would remove, and what stays. `applied` says which."""

    customer: str
    address: str
    orders: int
    messages: int
    files: int
    applied: bool
    stays: tuple[str, ...] = STAYS


async def erase(room: Room, who: str, *, apply: bool) -> Erasure:
    """Erase a customer, named by their address or by the name in their orders; without `apply` only count.

    Raises: Refused customer-unknown, customer-ambiguous, customer-has-open-orders.
    """
    buyer = room.db.read(lambda conn: _find(conn, who))
    orders = room.db.read(lambda conn: _orders(conn, buyer))
    running = [order.key[:8] for order in orders if order.row.folded_open]
    if running:
        raise Refused(
            f"Orders of this customer are not over: {', '.join(running[:5])}.",
            code="customer-has-open-orders",
            hint="Finish, refund or decline them first.",
        )
    said, files = room.db.read(lambda conn: _count(conn, buyer, orders))
    found = Erasure(
        next((order.row.customer for order in orders if order.row.customer), ""),
        to_checksum(buyer),
        len(orders),
        said,
        len(files),
        apply,
    )
    if apply:
        await room.db.write(lambda conn: _forget(room, conn, buyer, orders))
        await room.erase_blocks(files)
    return found


def _find(conn: Connection, who: str) -> bytes:
    """Return the address of the customer with this name or address."""
    bought = select(table.c.customer, table.c.buyer).where(table.c.role == "merchant")
    asked = select(trade_talk.c.name, trade_talk.c.other).where(trade_talk.c.role == "merchant")
    known = [(name, bytes(address)) for query in (bought, asked) for name, address in conn.execute(query).all()]
    try:
        wanted = parse_address(who.strip())
        buyers = list({address for _, address in known if address == wanted})
    except HalleError:
        # SQLite lowers the letters of English only: names are compared here.
        buyers = sorted({address for name, address in known if name and name.casefold() == who.strip().casefold()})
    if not buyers:
        raise Refused(
            f"No customer {who[:80]!r} is known.",
            code="customer-unknown",
            hint="Give the name as it stands in the order, or their address (0x…).",
        )
    if len(buyers) > 1:
        listed = ", ".join(to_checksum(each) for each in buyers[:5])
        raise Refused(
            f"{len(buyers)} customers have that name.", code="customer-ambiguous", hint=f"Which one: {listed}?"
        )
    return buyers[0]


def _orders(conn: Connection, buyer: bytes) -> list[Order]:
    query = select(table).where(table.c.role == "merchant", table.c.buyer == buyer)
    return [Order(row) for row in conn.execute(query.order_by(table.c.created_at)).all()]


def _count(conn: Connection, buyer: bytes, orders: list[Order]) -> tuple[int, set[CID]]:
    """Return how many messages go, and the blocks of the files they name."""
    said = [message for order in orders for message in book.messages(conn, order.key)]
    said += [*_claims(conn, buyer), *talks.said(conn, "merchant", buyer)]
    return len(said), {cid for message in said for cid in _files(message)}


def _files(message: Message) -> list[CID]:
    try:
        return [cid for card in cards_of(message) for cid in card.blocks]
    except HalleError:
        return []


def _claims(conn: Connection, buyer: bytes) -> list[Message]:
    rows = conn.execute(select(trade_claim_message.c.content)).scalars()
    return [message for message in map(Message.decode, rows) if buyer in (message.sender, message.to)]


def _forget(room: Room, conn: Connection, buyer: bytes, orders: list[Order]) -> None:
    now = room.clock()
    talks.forget(conn, "merchant", buyer)
    notices.forget(conn, [order.key for order in orders])
    for order in orders:
        conn.execute(delete(trade_message).where(trade_message.c.order_key == order.key))
        if order.row.funded_tx is None:  # never paid: nothing of it is for the books
            for rows in (trade_transaction, trade_reservation, table):
                conn.execute(delete(rows).where(rows.c.order_key == order.key))
            continue
        gone: dict[str, Any] = {"request": None, "customer": "", "delivery_code": None, "problem_facts": "[]"}
        books = json.dumps(_for_the_books(order), sort_keys=True)
        book.change(conn, order.key, **gone, problem=PROBLEM, restored=ERASED, accounting=books, updated_at=now)
    for message in _claims(conn, buyer):
        here = (trade_claim_message.c.sender == message.sender, trade_claim_message.c.message_id == message.id)
        conn.execute(delete(trade_claim_message).where(*here))
    # The names of received messages stay, so that one that is sent again has no effect; their words go.
    empty = {"message": literal(b"", LargeBinary), "error_text": "", "state": inbox.PROCESSED}
    conn.execute(update(message_inbox).where(message_inbox.c.sender == buyer).values(empty))
    conn.execute(delete(message_outbox).where(message_outbox.c.recipient == buyer))


def _for_the_books(order: Order) -> dict[str, Any]:
    """Return what an invoice is checked by, without the person."""
    document = order.document
    if document is None:
        return order.books
    lines = [
        {"title": line.title, "sku": line.sku, "quantity": line.quantity, "total": line.total}
        for line in document.lines
    ]
    sums = {name: getattr(document, name) for name in ("currency", "subtotal", "shipping", "tax", "total", "country")}
    return {**sums, "created": document.created, "lines": lines}
