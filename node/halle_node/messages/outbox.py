"""Messages to send, as rows.

Rule: written in the transaction of the business change, kept until the far side has spoken.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from halle_node.db.schema.messages import message_outbox as table
from halle_node.messages.backoff import wait_ms
from halle_node.messages.route import Destination
from halle_node.messages.views import OutgoingMessage
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


def due(conn: Connection, now_ms: int, limit: int) -> list[Due]:
    """Return messages to try now, longest waiting first."""
    query = (
        select(table)
        .where(table.c.state == QUEUED, table.c.next_at_ms <= now_ms)
        .order_by(table.c.next_at_ms, table.c.id)
        .limit(limit)
    )
    return [
        Due(row.id, row.recipient, row.message, Destination.decode(row.contact), row.attempts)
        for row in conn.execute(query)
    ]


def next_due_ms(conn: Connection) -> int | None:
    """Return when the next message is to be tried, None when nothing waits."""
    query = select(table.c.next_at_ms).where(table.c.state == QUEUED).order_by(table.c.next_at_ms).limit(1)
    found: int | None = conn.execute(query).scalar()
    return found


def acknowledge(conn: Connection, row_id: int, now: int) -> None:
    """Record that the far side has processed the message."""
    _set(conn, row_id, state=ACKNOWLEDGED, acknowledged_at=now, error_code="", error_text="")


def refuse(conn: Connection, row_id: int, error: HalleError) -> None:
    """Record that the far side will never take the message."""
    _set(conn, row_id, state=REFUSED, **_error(error))


def postpone(conn: Connection, entry: Due, error: HalleError, now_ms: int) -> None:
    """Try again later, after a failure that may pass."""
    attempts = entry.attempts + 1
    later = now_ms + wait_ms(attempts)
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


def listing(conn: Connection, thread: bytes | None, limit: int) -> list[OutgoingMessage]:
    """Return our messages, newest first."""
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    if thread is not None:
        query = query.where(table.c.thread == thread)
    return [_view(row) for row in conn.execute(query)]


def _set(conn: Connection, row_id: int, **values: object) -> None:
    conn.execute(update(table).where(table.c.id == row_id).values(**values))


def _error(error: HalleError) -> dict[str, object]:
    return {"error_code": error.code[:64], "error_text": error.message[:ERROR_TEXT_CHARS]}


def _view(row: Row[tuple[object, ...]]) -> OutgoingMessage:
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
    )
