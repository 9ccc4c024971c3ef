"""Cover that was asked for as faces show it, on both sides."""

from __future__ import annotations

from sqlalchemy import Connection

from halle_node.trade import book, covers
from halle_node.trade.certificate_facts import certificate_name
from halle_node.trade.cover_checks import DAY_S
from halle_node.trade.covers import Cover, Role
from halle_node.trade.listing import name_of
from halle_node.trade.room import Room
from halle_node.trade.views import CoverCard
from halle_protocol.cover import line_price, premium_of
from halle_protocol.keys import to_checksum
from halle_protocol.messages import CoverDecline, CoverOffer

MOVES: dict[tuple[Role, str], tuple[str, ...]] = {
    ("buyer", "offered"): ("buy",),
    ("underwriter", "asked"): ("offer", "decline"),
    ("underwriter", "declined"): ("offer",),
    ("underwriter", "expired"): ("offer",),
}


def cover_cards(room: Room, role: Role | None = None, order_key: str = "") -> list[CoverCard]:
    """Return covers, newest first; `order_key` narrows to those of an order of ours.

    Raises: Refused order-unknown.
    """

    def read(conn: Connection) -> list[CoverCard]:
        order_id = book.find(conn, order_key).order_id if order_key else None
        return [_card(room, conn, each) for each in covers.listing(conn, role, order_id)]

    return room.db.read(read)


def cover_card(room: Room, key: str) -> CoverCard:
    """Return one cover.

    Raises: Refused cover-unknown.
    """
    return room.db.read(lambda conn: _card(room, conn, covers.find(conn, key)))


def _card(room: Room, conn: Connection, cover: Cover) -> CoverCard:
    request, document, answer = cover.request, cover.document, cover.answer
    role: Role = cover.row.role
    line = document.lines[request.line]
    status = covers.status_of(conn, cover, room.chain_time())
    paper = answer.certificate if isinstance(answer, CoverOffer) else None
    order = book.by_order_id(conn, cover.order_id) if role == "buyer" else None
    amount = int(paper.cover if paper else request.cover)
    return CoverCard(
        key=cover.key,
        role=role,
        status=status,
        other=to_checksum(cover.other),
        name=name_of(room, cover.other),
        order_key=order.key if order else "",
        order_id="0x" + cover.order_id.hex(),
        merchant=to_checksum(document.merchant),
        title=cover.title,
        pieces=line.quantity,
        paid_token=line_price(request.terms, document, request.line),
        cover_token=amount,
        premium_token=int(paper.premium) if paper else premium_of(amount, request.fee_bps),
        token_symbol=document.token_symbol,
        token_decimals=document.token_decimals,
        days=(paper.ends_at - paper.starts_at) // DAY_S if paper else request.days,
        asked_at=cover.row.created_at,
        valid_until=answer.deadline if isinstance(answer, CoverOffer) else None,
        code=answer.code if isinstance(answer, CoverDecline) else cover.row.problem or _refused(conn, cover, status),
        note=answer.note if answer else "",
        asked_note=request.note,
        certificate=certificate_name(cover.certificate_id) if cover.certificate_id else "",
        next_actions=MOVES.get((role, status), ()),
    )


def _refused(conn: Connection, cover: Cover, status: str) -> str:
    return covers.refusal_of(conn, cover) if status == "undelivered" else ""
