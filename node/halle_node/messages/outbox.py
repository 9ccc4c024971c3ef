"""Messages to send, as rows.

Rule: written in the transaction of the business change, kept until the far side has spoken.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.db.schema.messages import message_left
from halle_node.db.schema.messages import message_outbox as table
from halle_node.messages.backoff import LEFT_WAIT_MS, wait_ms
from halle_node.messages.route import Destination, Left
from halle_node.messages.views import OutgoingCounts, OutgoingMessage, WaitingAt
from halle_protocol.errors import HalleError, Refused
from halle_protocol.keys import to_checksum
from halle_protocol.messages import Message

QUEUED, ACKNOWLEDGED, REFUSED = "queued", "acknowledged", "refused"
MAX_QUEUED = 10_000
KEEP_ACKNOWLEDGED_S = 90 * 86_400
ERROR_TEXT_CHARS = 300


@dataclass(frozen=True)
class Due:
    """One message whose time to be tried has come."""

    row_id: int
    recipient: bytes
    message: bytes
    destination: Destination
    attempts: int
    left: tuple[Left, ...] = ()


def add(conn: Connection, message: Message, destination: Destination, now: int) -> None:
    """Queue `message` once per recipient and id.

    Raises: Refused outbox-full.
    """
    waiting = conn.execute(select(table.c.id).where(table.c.state == QUEUED).limit(MAX_QUEUED)).all()
    if len(waiting) >= MAX_QUEUED:
        raise Refused(
            f"{MAX_QUEUED} messages already wait to be delivered.",
            code="outbox-full",
            hint="Check the connection on the Network page.",
        )
    row = {
        "recipient": message.to,
        "message_id": message.id,
        "thread": message.thread,
        "type": message.type,
        "message": message.encode(),
        "contact": destination.encode(),
        "state": QUEUED,
        "attempts": 0,
        "next_at_ms": 0,
        "created_at": now,
    }
    conn.execute(insert(table).values(row).on_conflict_do_nothing())


def due(conn: Connection, now_ms: int, limit: int, busy: Collection[int] = ()) -> list[Due]:
    """Return messages to try now, longest waiting first; `busy` rows are being tried."""
    query = (
        select(table)
        .where(table.c.state == QUEUED, table.c.next_at_ms <= now_ms, table.c.id.not_in(busy))
        .order_by(table.c.next_at_ms, table.c.id)
        .limit(limit)
    )
    rows = conn.execute(query).all()
    left = _left(conn, [row.id for row in rows])
    return [
        Due(row.id, row.recipient, row.message, Destination.decode(row.contact), row.attempts, left.get(row.id, ()))
        for row in rows
    ]


def next_due_ms(conn: Connection, busy: Collection[int] = ()) -> int | None:
    """Return when the next message that is not `busy` is to be tried, None when none waits."""
    query = select(table.c.next_at_ms).where(table.c.state == QUEUED, table.c.id.not_in(busy))
    found: int | None = conn.execute(query.order_by(table.c.next_at_ms).limit(1)).scalar()
    return found


def leave(conn: Connection, entry: Due, left: Left, now_ms: int) -> None:
    """Record that the message waits at a mailbox, and look again later."""
    values = {"envelope": left.envelope, "since": left.since, "until": left.until}
    statement = insert(message_left).values(outbox_id=entry.row_id, mailbox=left.mailbox, **values)
    conn.execute(statement.on_conflict_do_update(index_elements=["outbox_id", "mailbox"], set_=values))
    _set(conn, entry.row_id, attempts=entry.attempts + 1, next_at_ms=now_ms + LEFT_WAIT_MS)


def forget_left(conn: Connection, entry: Due, mailbox: str) -> None:
    """Record that a mailbox no longer has the message."""
    here = (message_left.c.outbox_id == entry.row_id) & (message_left.c.mailbox == mailbox)
    conn.execute(delete(message_left).where(here))


def acknowledge(conn: Connection, row_id: int, now: int) -> None:
    """Record that the far side has processed the message."""
    conn.execute(delete(message_left).where(message_left.c.outbox_id == row_id))
    _set(conn, row_id, state=ACKNOWLEDGED, acknowledged_at=now, error_code="", error_text="")


def refuse(conn: Connection, row_id: int, error: HalleError) -> None:
    """Record that the far side will never take the message."""
    conn.execute(delete(message_left).where(message_left.c.outbox_id == row_id))
    _set(conn, row_id, state=REFUSED, **_error(error))


def postpone(conn: Connection, entry: Due, error: HalleError, now_ms: int) -> None:
    """Try again later, after a failure that may pass; a message that waits at a mailbox is in no hurry."""
    attempts = entry.attempts + 1
    later = now_ms + (LEFT_WAIT_MS if entry.left else wait_ms(attempts))
    _set(conn, entry.row_id, attempts=attempts, next_at_ms=later, **_error(error))


def hasten(conn: Connection, recipient: bytes | None = None) -> int:
    """Make waiting messages due now (all, or one recipient's); return how many."""
    change = update(table).where(table.c.state == QUEUED, table.c.next_at_ms > 0).values(next_at_ms=0)
    if recipient is not None:
        change = change.where(table.c.recipient == recipient)
    return int(conn.execute(change).rowcount)


def forget_old(conn: Connection, now: int) -> None:
    """Drop acknowledged messages past their keeping time."""
    old = now - KEEP_ACKNOWLEDGED_S
    conn.execute(delete(table).where(table.c.state == ACKNOWLEDGED, table.c.acknowledged_at < old))


def listing(conn: Connection, thread: bytes | None, limit: int, states: Sequence[str] = ()) -> list[OutgoingMessage]:
    """Return our messages, newest first: all, those of one thread, or those in some states."""
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    if thread is not None:
        query = query.where(table.c.thread == thread)
    if states:
        query = query.where(table.c.state.in_(states))
    rows = conn.execute(query).all()
    left = _left(conn, [row.id for row in rows])
    return [_view(row, left.get(row.id, ())) for row in rows]


def counts(conn: Connection) -> OutgoingCounts:
    """Count our messages by state."""
    found = {row[0]: row[1] for row in conn.execute(select(table.c.state, func.count()).group_by(table.c.state))}
    waiting = conn.execute(select(func.count(message_left.c.outbox_id.distinct()))).scalar_one()
    return OutgoingCounts(found.get(QUEUED, 0), found.get(ACKNOWLEDGED, 0), found.get(REFUSED, 0), waiting)


def _left(conn: Connection, ids: Sequence[int]) -> dict[int, tuple[Left, ...]]:
    rows = conn.execute(select(message_left).where(message_left.c.outbox_id.in_(ids)).order_by(message_left.c.since))
    found: dict[int, tuple[Left, ...]] = {}
    for row in rows:
        known = found.get(row.outbox_id, ())
        found[row.outbox_id] = (*known, Left(row.mailbox, row.envelope, row.since, row.until))
    return found


def _set(conn: Connection, row_id: int, **values: object) -> None:
    conn.execute(update(table).where(table.c.id == row_id).values(**values))


def _error(error: HalleError) -> dict[str, object]:
    return {"error_code": error.code[:64], "error_text": error.message[:ERROR_TEXT_CHARS]}


def _view(row: Row[tuple[object, ...]], left: Sequence[Left]) -> OutgoingMessage:
    return OutgoingMessage(
        recipient=to_checksum(row.recipient),
        message_id=row.message_id.hex(),
        type=row.type,
        state=row.state,
        attempts=row.attempts,
        created_at=row.created_at,
        acknowledged_at=row.acknowledged_at,
        error_code=row.error_code,
        error_text=row.error_text,
        waiting_at=tuple(WaitingAt(each.mailbox, each.since, each.until) for each in left),
        next_at=row.next_at_ms // 1000,
    )
