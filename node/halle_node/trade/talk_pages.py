"""Conversations for a page: the lines, and beside them who the other side is to us."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from halle_node.db.schema.trade import trade_order
from halle_node.trade import talks
from halle_node.trade.book import Order
from halle_node.trade.listing import summary
from halle_node.trade.room import Room
from halle_node.trade.said import said_in
from halle_node.trade.talk_views import OtherSide, TalkDetail, TalkRole, TalkSummary
from halle_protocol.errors import Refused
from halle_protocol.keys import to_checksum
from halle_protocol.messages import Message
from halle_protocol.money import Money

MAX_ORDERS_SHOWN = 20
LAST_CHARS = 140


def summary_of(room: Room, conn: Connection, talk: Row[Any]) -> TalkSummary:
    """Return a conversation as a list shows it."""
    last = next(iter(talks.rows(conn, talk.talk_key, 1)), None)
    said = Message.decode(last.content) if last else None
    role: TalkRole = talk.role
    theirs: TalkRole = "buyer" if role == "merchant" else "merchant"
    return TalkSummary(
        talk_key=talk.talk_key,
        role=role,
        other=to_checksum(talk.other),
        name=talk.name,
        handle=talk.handle,
        unread=talks.unread_lines(conn, talk.talk_key),
        last_at=last.at if last else talk.last_at,
        last_text=" ".join(str(said.body.get("text", "")).split())[:LAST_CHARS] if said else "",
        last_by=role if last is not None and last.sender == room.me else theirs,
        last_photos=len(said.body.get("photos", ())) if said else 0,
    )


def detail_of(room: Room, conn: Connection, talk: Row[Any], is_blocked: Callable[[bytes], bool]) -> TalkDetail:
    """Return a conversation with everything that stands beside it."""
    said = said_in(room, conn, talk)
    theirs = [line for line in said if line.by != talk.role]
    must_wait = False
    if talk.role == "buyer":
        try:
            is_customer = talks.paid_orders(conn, talk.role, talk.other)
            talks.check_turn(conn, talk, room.me, is_customer=is_customer)
        except Refused:
            must_wait = True
    return TalkDetail(
        summary=summary_of(room, conn, talk),
        lines=said,
        other=_other_side(room, conn, talk, is_blocked(talk.other)),
        note=talk.note,
        about_order=(theirs or list(said))[-1].order_key if said else "",
        must_wait=must_wait,
    )


def _other_side(room: Room, conn: Connection, talk: Row[Any], is_blocked: bool) -> OtherSide:
    query = orders_with(talk.role, talk.other)
    found = [Order(row) for row in conn.execute(query.limit(MAX_ORDERS_SHOWN)).all()]
    side = trade_order.c.buyer if talk.role == "merchant" else trade_order.c.merchant
    where = (trade_order.c.role == talk.role, side == talk.other)
    count = conn.execute(select(func.count()).select_from(trade_order).where(*where)).scalar_one()
    paid = select(trade_order.c.currency, trade_order.c.total_minor).where(
        *where, trade_order.c.folded_status.not_in(talks.UNPAID), trade_order.c.currency != ""
    )
    sums: Counter[str] = Counter()
    amounts = conn.execute(paid).all()
    for currency, minor in amounts:
        sums[currency] += minor
    first = conn.execute(select(func.min(trade_order.c.created_at)).where(*where)).scalar()
    return OtherSide(
        orders=tuple(summary(room, conn, order) for order in found),
        order_count=count,
        paid_count=len(amounts),
        sums=tuple(Money(amount, currency) for currency, amount in sorted(sums.items())),
        first_at=min(talk.created_at, first) if first else talk.created_at,
        blocked=is_blocked,
    )


def orders_with(role: str, other: bytes) -> Select[Any]:
    """Select the orders between us and another, the newest first."""
    side = trade_order.c.buyer if role == "merchant" else trade_order.c.merchant
    query = select(trade_order).where(trade_order.c.role == role, side == other)
    return query.order_by(trade_order.c.created_at.desc(), trade_order.c.order_key)
