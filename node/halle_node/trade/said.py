"""Lines of conversations as faces show them: whose, with which photos, and whether they have arrived."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select

from halle_node.db.schema.messages import message_outbox
from halle_node.db.schema.trade import trade_talk as table
from halle_node.messages.outbox import QUEUED, REFUSED
from halle_node.trade import book, talks
from halle_node.trade.book import Order
from halle_node.trade.extras import cards_of, file_view
from halle_node.trade.room import Room
from halle_node.trade.talk_views import TalkRole
from halle_node.trade.views import ChatLine
from halle_protocol.messages import Message


def said_with(room: Room, conn: Connection, order: Order) -> tuple[ChatLine, ...]:
    """Return everything said with the other side of an order, oldest first; of a case what its sides showed us."""
    if order.role == "arbiter":
        shown = [message for message in book.messages(conn, order.key) if message.type == "chat"]
        return tuple(_shown_line(order, message) for message in shown)
    key = talks.key_of(room, order.other, order.role)
    talk = conn.execute(select(table).where(table.c.talk_key == key)).first()
    return () if talk is None else said_in(room, conn, talk)


def said_in(room: Room, conn: Connection, talk: Row[Any]) -> tuple[ChatLine, ...]:
    """Return the lines of a conversation, oldest first."""
    unsent = _unsent(conn, talk.other)
    return tuple(_line(room, talk, row, unsent) for row in talks.rows(conn, talk.talk_key))


def _line(room: Room, talk: Row[Any], row: Row[Any], unsent: dict[bytes, tuple[str, str]]) -> ChatLine:
    message = Message.decode(row.content)
    role: TalkRole = talk.role
    is_ours = row.sender == room.me
    state, code = unsent.get(row.message_id, ("", "")) if is_ours else ("", "")
    theirs: TalkRole = "buyer" if role == "merchant" else "merchant"
    return ChatLine(
        at=row.at,
        by=role if is_ours else theirs,
        text=str(message.body.get("text", "")),
        delivered=not state,
        message_id=row.message_id.hex(),
        photos=tuple(file_view(message, card) for card in cards_of(message)),
        refused=code if state == REFUSED else "",
        order_key=row.order_key or "",
        handle=str(message.body.get("handle") or ""),
        unread=not is_ours and row.id > talk.read_id,
    )


def _shown_line(order: Order, message: Message) -> ChatLine:
    return ChatLine(
        at=message.issued,
        by="merchant" if message.sender == order.merchant else "buyer",
        text=str(message.body.get("text", "")),
        delivered=True,
        message_id=message.id.hex(),
        photos=tuple(file_view(message, card) for card in cards_of(message)),
        order_key=order.key,
    )


def _unsent(conn: Connection, other: bytes) -> dict[bytes, tuple[str, str]]:
    """Return our lines that have not arrived, by message id: state and error code."""
    out = message_outbox
    query = select(out.c.message_id, out.c.state, out.c.error_code).where(
        out.c.recipient == other, out.c.type == "chat", out.c.state.in_((QUEUED, REFUSED))
    )
    return {bytes(row.message_id): (row.state, row.error_code) for row in conn.execute(query)}
