"""Conversations as rows: one a buyer and a shop, its lines in the order they came, the owner's marks beside them.

Rule: a line of an order is a fact of that order and stands here by reference only; a line without an order is kept
here whole. Everything is written in the transaction that takes the message in or queues it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, and_, delete, exists, func, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.db.schema.trade import trade_message, trade_order
from halle_node.db.schema.trade import trade_talk as table
from halle_node.db.schema.trade import trade_talk_line as lines
from halle_node.messages.inbox import Early
from halle_node.notify import notices
from halle_node.trade import letters
from halle_node.trade.book import Order
from halle_node.trade.room import Room
from halle_node.trade.talk_views import TalkRole
from halle_protocol.errors import Refused, Unavailable
from halle_protocol.messages import ChatText, Message, parse_message, thread_of

KEY_CHARS = 32
NAME_CHARS = 120
MAX_LINES = 2_000
MAX_LINES_OF_A_STRANGER = 5
MAX_LINES_OF_A_CUSTOMER = 50
MAX_PHOTOS_OF_A_STRANGER = 3
MAX_PHOTO_BYTES = 4 * 1024 * 1024
MAX_NEW_TALKS = 60
NEW_TALKS_S = 3_600
UNPAID = ("", "requested", "quoted", "declined", "cancelled")
NEWS: dict[TalkRole, str] = {"merchant": "question", "buyer": "answer"}


def thread_with(room: Room, other: bytes, role: TalkRole) -> bytes:
    """Return the thread of what we and another say outside of orders; `role` is ours."""
    return thread_of(room.me, other, room.me if role == "merchant" else other)


def key_of(room: Room, other: bytes, role: TalkRole) -> str:
    """Return the key of a conversation."""
    return thread_with(room, other, role).hex()[:KEY_CHARS]


def find(conn: Connection, key: str) -> Row[Any]:
    """Return a conversation by its key, or by the first letters of it when they name one only.

    Raises: Refused talk-unknown.
    """
    wanted = key.lower()
    found = []
    if len(wanted) >= 4 and all(letter in "0123456789abcdef" for letter in wanted):
        found = list(conn.execute(select(table).where(table.c.talk_key.startswith(wanted)).limit(2)))
    if len(found) != 1:
        raise Refused(
            f"There is no conversation {key[:40]!r}.", code="talk-unknown", hint="Look at the list of messages."
        )
    return found[0]


def paid_orders(conn: Connection, role: str, other: bytes) -> bool:
    """Say whether money was paid in any order between us."""
    side = trade_order.c.buyer if role == "merchant" else trade_order.c.merchant
    where = (trade_order.c.role == role, side == other, trade_order.c.folded_status.not_in(UNPAID))
    return conn.execute(select(trade_order.c.order_key).where(*where).limit(1)).first() is not None


def has_order(conn: Connection, role: str, other: bytes) -> bool:
    """Say whether there is an order between us, paid or not."""
    side = trade_order.c.buyer if role == "merchant" else trade_order.c.merchant
    query = select(trade_order.c.order_key).where(trade_order.c.role == role, side == other).limit(1)
    return conn.execute(query).first() is not None


def add_order_line(room: Room, conn: Connection, order: Order, message: Message, *, is_news: bool = True) -> None:
    """Add a line of an order, sent or received, to the conversation of its two sides; one of old times is no news."""
    if order.role == "arbiter":
        return
    role: TalkRole = order.role
    name = order.row.customer if role == "merchant" else order.row.merchant_name
    key = _open(room, conn, order.other, role, name=name)
    _add(room, conn, key, role, message, order_key=order.key, is_news=is_news)
    if not is_news:
        mark_read(conn, key, room.clock())


def add_own_line(room: Room, conn: Connection, other: bytes, role: TalkRole, message: Message, **known: str) -> str:
    """Add a line of ours that belongs to no order; return the conversation's key."""
    key = _open(room, conn, other, role, **known)
    _add(room, conn, key, role, message)
    return key


def take(room: Room, conn: Connection, message: Message) -> None:
    """Take in a line that belongs to no order.

    Raises: Early when it is not of a conversation; Refused not-asked, wait-for-answer, photos-too-many, file-too-large,
    conversation-full; Unavailable rate-limited.
    """
    role = _role_in(room, message)
    body = parse_message(message)
    if role is None or not isinstance(body, ChatText):
        raise Early
    other = message.sender
    known = conn.execute(select(table).where(table.c.role == role, table.c.other == other)).first()
    if role == "buyer":
        if known is None and not has_order(conn, role, other):
            raise Refused("This store never asked you anything.", code="not-asked")
        key = _open(room, conn, other, role)
    else:
        _check_writer(room, conn, known, other, body)
        told = {"handle": body.handle} if body.handle else {}
        key = _open(room, conn, other, role, name=body.reply.name if body.reply else "", **told)
        if body.reply is not None:
            contact = letters.reply_destination(body.reply).encode()
            conn.execute(update(table).where(table.c.talk_key == key).values(contact=contact))
    check_photos(body)
    _add(room, conn, key, role, message)


def check_photos(body: ChatText) -> None:
    """Refuse a photo that is larger than any we make.

    Raises: Refused file-too-large.
    """
    most = -(-MAX_PHOTO_BYTES // (1024 * 1024)) + 1
    if any(photo.size_bytes > MAX_PHOTO_BYTES or len(photo.blocks) > most for photo in body.photos):
        raise Refused("A photo may have 4 MiB.", code="file-too-large", hint="Send a smaller picture.")


def check_turn(conn: Connection, talk: Row[Any] | None, buyer: bytes, *, is_customer: bool) -> None:
    """Pass when the buyer may write another line before the shop has answered; both sides count alike.

    Raises: Refused wait-for-answer.
    """
    if talk is None:
        return
    most = MAX_LINES_OF_A_CUSTOMER if is_customer else MAX_LINES_OF_A_STRANGER
    mine = (lines.c.talk_key == talk.talk_key, lines.c.order_key.is_(None))
    answered = conn.execute(
        select(func.max(lines.c.id)).where(lines.c.talk_key == talk.talk_key, lines.c.sender != buyer)
    ).scalar()
    since = conn.execute(
        select(func.count()).select_from(lines).where(*mine, lines.c.sender == buyer, lines.c.id > (answered or 0))
    ).scalar_one()
    if since >= most:
        raise Refused(
            f"{since} messages wait for the shop's answer already.",
            code="wait-for-answer",
            hint="Write again when it has answered.",
        )


def unread(conn: Connection, role: str) -> int:
    """Return how many conversations have lines of the other side that nobody has seen."""
    newer = exists().where(_is_unread())
    query = select(func.count()).select_from(table).where(table.c.role == role, newer)
    return int(conn.execute(query).scalar_one())


def unread_lines(conn: Connection, key: str) -> int:
    """Return how many lines of a conversation nobody has seen."""
    query = select(func.count()).select_from(lines.join(table)).where(table.c.talk_key == key, _is_unread())
    return int(conn.execute(query).scalar_one())


def mark_read(conn: Connection, key: str, now: int) -> None:
    """Note that the owner has seen everything so far."""
    newest = conn.execute(select(func.max(lines.c.id)).where(lines.c.talk_key == key)).scalar()
    later = (table.c.talk_key == key, table.c.read_id < (newest or 0))
    conn.execute(update(table).where(*later).values(read_id=newest))
    notices.mark_seen(conn, key, now)


def set_note(conn: Connection, key: str, note: str) -> None:
    """Keep the owner's own words about the other side."""
    conn.execute(update(table).where(table.c.talk_key == key).values(note=note))


def rows(conn: Connection, key: str, limit: int = MAX_LINES) -> list[Row[Any]]:
    """Return a conversation's newest lines, oldest first: sender, issued, received_at, order_key, content, id."""
    content = func.coalesce(lines.c.content, trade_message.c.content).label("content")
    in_order = and_(
        trade_message.c.order_key == lines.c.order_key,
        trade_message.c.sender == lines.c.sender,
        trade_message.c.message_id == lines.c.message_id,
    )
    said = func.min(lines.c.issued, lines.c.received_at)  # a clock that runs ahead must not stay on top
    columns = (lines.c.id, lines.c.sender, lines.c.message_id, lines.c.issued, lines.c.received_at, lines.c.order_key)
    newest = (
        select(*columns, lines.c.fetch_at, content, said.label("at"))
        .select_from(lines.outerjoin(trade_message, in_order))
        .where(lines.c.talk_key == key)
        .order_by(said.desc(), lines.c.id.desc())
        .limit(limit)
    )
    return list(reversed(conn.execute(newest).all()))


def said(conn: Connection, role: str, other: bytes) -> list[Message]:
    """Return what was said outside of orders."""
    query = select(lines.c.content).join(table).where(table.c.role == role, table.c.other == other)
    return [Message.decode(data) for data in conn.execute(query.where(lines.c.content.is_not(None))).scalars()]


def forget(conn: Connection, role: str, other: bytes) -> None:
    """Remove a conversation with everything that was noted beside it. What orders say is theirs."""
    keys = conn.execute(select(table.c.talk_key).where(table.c.role == role, table.c.other == other)).scalars().all()
    conn.execute(delete(lines).where(lines.c.talk_key.in_(keys)))
    conn.execute(delete(table).where(table.c.talk_key.in_(keys)))
    notices.forget(conn, keys)


def _role_in(room: Room, message: Message) -> TalkRole | None:
    roles: tuple[TalkRole, ...] = ("merchant", "buyer")
    return next((role for role in roles if message.thread == thread_with(room, message.sender, role)), None)


def _check_writer(room: Room, conn: Connection, known: Row[Any] | None, buyer: bytes, body: ChatText) -> None:
    is_customer = paid_orders(conn, "merchant", buyer)
    check_turn(conn, known, buyer, is_customer=is_customer)
    if known is not None and len(rows(conn, known.talk_key, MAX_LINES)) >= MAX_LINES:
        raise Refused("This conversation is full.", code="conversation-full")
    if is_customer:
        return
    if len(body.photos) > MAX_PHOTOS_OF_A_STRANGER:
        raise Refused(f"At most {MAX_PHOTOS_OF_A_STRANGER} photos.", code="photos-too-many")
    if known is None:
        since = room.clock() - NEW_TALKS_S
        begun = select(func.count()).select_from(table).where(table.c.role == "merchant", table.c.created_at > since)
        if conn.execute(begun).scalar_one() >= MAX_NEW_TALKS:
            raise Unavailable("Too many new conversations at once; it is tried again.", code="rate-limited")


def _open(room: Room, conn: Connection, other: bytes, role: TalkRole, name: str = "", handle: str = "") -> str:
    """Return the key of the conversation, opened if there was none; what is told newly replaces what was known."""
    key, now = key_of(room, other, role), room.clock()
    told = {field: value for field, value in (("name", name[:NAME_CHARS]), ("handle", handle)) if value}
    row = {"talk_key": key, "role": role, "other": other, "created_at": now, "last_at": now, **told}
    statement = insert(table).values(row)
    conn.execute(statement.on_conflict_do_update(index_elements=["talk_key"], set_={"last_at": now, **told}))
    return key


def _add(
    room: Room,
    conn: Connection,
    key: str,
    role: TalkRole,
    message: Message,
    *,
    order_key: str = "",
    is_news: bool = True,
) -> None:
    now, is_ours = room.clock(), message.sender == room.me
    if is_news and not is_ours:
        _tell(conn, key, role, now)
    row = {
        "talk_key": key,
        "order_key": order_key or None,
        "sender": message.sender,
        "message_id": message.id,
        "issued": message.issued,
        "received_at": now if is_news else message.issued,
        "content": None if order_key else message.encode(),
        "fetch_at": now if not is_ours and message.body.get("photos") else None,
    }
    conn.execute(insert(lines).values(row).on_conflict_do_nothing())


def _tell(conn: Connection, key: str, role: TalkRole, now: int) -> None:
    """Tell the owner of the first line that they have not seen; the following ones are no further news."""
    read_id = conn.execute(select(table.c.read_id).where(table.c.talk_key == key)).scalar_one()
    name = conn.execute(select(table.c.name).where(table.c.talk_key == key)).scalar_one()
    notices.add(conn, NEWS[role], key, now, once=f"{NEWS[role]}/{key}/{read_id}", name=name)


def _is_unread() -> Any:
    return and_(lines.c.talk_key == table.c.talk_key, lines.c.sender == table.c.other, lines.c.id > table.c.read_id)
