"""Take each received message in exactly once.

Rule: the message and its effects are one transaction, keyed by (sender, id). A repeated message is acknowledged
without effect; an early one is parked until its order appears; one that cannot be used is set aside with the
reason, visible, and never blocks the next.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from hashlib import sha256

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError

from halle_node.db.schema.messages import message_inbox as table
from halle_node.db.schema.messages import message_poison
from halle_node.messages.views import InboundCounts, PoisonedMessage
from halle_protocol.errors import HalleError, ProtocolError, Refused, Unavailable
from halle_protocol.keys import to_checksum
from halle_protocol.messages import Message

log = logging.getLogger(__name__)

Handler = Callable[[Connection, Message], None]
RefusalHook = Callable[[Connection, Message, HalleError], None]

PROCESSED, PARKED, QUARANTINED = "processed", "parked", "quarantined"
MAX_PARKED_PER_SENDER = 64
MAX_PARKED = 4_096
MAX_QUARANTINED = 2_048
MAX_POISON = 512
ERROR_TEXT_CHARS = 300


class Early(Exception):
    """Raised by a handler whose order is not known yet: keep the message until `replay`."""


class Inbox:
    """Dispatch of received messages to the rooms that registered for their type."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._handlers: dict[str, Handler] = {}
        self._refused: list[RefusalHook] = []

    def register(self, type_prefix: str, handler: Handler) -> None:
        """Let `handler` process every type that starts with `type_prefix`; the longest prefix wins."""
        self._handlers[type_prefix] = handler

    def on_refusal(self, hook: RefusalHook) -> None:
        """Call `hook` in the transaction that sets a message aside, so that its order can say why."""
        self._refused.append(hook)

    def accept(self, conn: Connection, message: Message) -> HalleError | None:
        """Store and process `message`; return what to tell the sender, None to acknowledge."""
        data = message.encode()
        known = conn.execute(
            select(table).where(table.c.sender == message.sender, table.c.message_id == message.id)
        ).first()
        if known is None:
            return self._process(conn, message, data)
        if known.message != data:
            return Refused("This message id was used for other content.", code="message-id-reused")
        if known.state != QUARANTINED:
            return None
        if known.error_code == "processing-failed":
            return self._process(conn, message, data)
        return Refused(known.error_text, code=known.error_code)

    def replay(self, conn: Connection, thread: bytes) -> int:
        """Process the parked messages of `thread` again, oldest first; return how many were taken in."""
        parked = conn.execute(select(table.c.message).where(table.c.thread == thread, table.c.state == PARKED)).all()
        messages = sorted((Message.decode(row.message).confirm_grant() for row in parked), key=lambda each: each.issued)
        taken = 0
        for message in messages:
            taken += self._process(conn, message, message.encode()) is None
        return taken

    def retry(self, conn: Connection, sender: str, message_id: str) -> HalleError | None:
        """Process a message that was set aside again; return why it still cannot be used, None when it was.

        Raises: Refused message-unknown.
        """
        aside = conn.execute(select(table).where(table.c.state == QUARANTINED)).all()
        wanted = (sender.lower(), message_id.lower())
        for row in aside:
            if ("0x" + row.sender.hex(), row.message_id.hex()) == wanted:
                return self._process(conn, Message.decode(row.message).confirm_grant(), row.message)
        raise Refused("No such message was set aside.", code="message-unknown", hint="See: halle mailbox quarantine")

    def _process(self, conn: Connection, message: Message, data: bytes) -> HalleError | None:
        handler = self._handler(message.type)
        try:
            with conn.begin_nested():
                if handler is not None:
                    handler(conn, message)
        except Early:
            return self._park(conn, message, data)
        except (ProtocolError, Refused) as error:
            return self._set_aside(conn, message, data, error)
        except (Unavailable, DBAPIError):
            raise  # our own trouble, not the message's: nothing is stored, the sender keeps it
        except Exception:
            # The task's top for one message: a defect of ours must not stop the others, nor lose this one.
            log.warning("message %s of type %s could not be processed", message.id.hex(), message.type, exc_info=True)
            failed = Unavailable("The message could not be processed yet.", code="processing-failed")
            self._store(conn, message, data, QUARANTINED, failed)
            return failed
        self._store(conn, message, data, PROCESSED)
        return None

    def _handler(self, message_type: str) -> Handler | None:
        matching = [prefix for prefix in self._handlers if message_type.startswith(prefix)]
        return self._handlers[max(matching, key=len)] if matching else None

    def _park(self, conn: Connection, message: Message, data: bytes) -> HalleError | None:
        count = select(func.count()).select_from(table).where(table.c.state == PARKED)
        total = conn.execute(count).scalar_one()
        own = conn.execute(count.where(table.c.sender == message.sender)).scalar_one()
        if total >= MAX_PARKED or own >= MAX_PARKED_PER_SENDER:
            return Unavailable("Too many messages wait for their order here.", code="parked-full")
        self._store(conn, message, data, PARKED)
        return None

    def _set_aside(self, conn: Connection, message: Message, data: bytes, error: HalleError) -> HalleError:
        log.info("message %s of type %s refused: %s", message.id.hex(), message.type, error.code)
        self._store(conn, message, data, QUARANTINED, error)
        for hook in self._refused:
            hook(conn, message, error)
        return error

    def _store(
        self, conn: Connection, message: Message, data: bytes, state: str, error: HalleError | None = None
    ) -> None:
        outcome = {
            "state": state,
            "error_code": error.code[:64] if error else "",
            "error_text": error.message[:ERROR_TEXT_CHARS] if error else "",
        }
        row = {
            "sender": message.sender,
            "message_id": message.id,
            "thread": message.thread,
            "type": message.type,
            "message": data,
            "received_at": self._clock(),
            **outcome,
        }
        key = [table.c.sender, table.c.message_id]
        conn.execute(insert(table).values(row).on_conflict_do_update(index_elements=key, set_=outcome))
        if state == QUARANTINED:
            _shed(conn)


def poison(conn: Connection, envelope: bytes, from_peer: str, error: HalleError, now: int) -> None:
    """Remember an envelope that could not be opened: its digest, where it came from and why."""
    row = {
        "digest": sha256(envelope).digest(),
        "from_peer": from_peer[:128],
        "received_at": now,
        "size_bytes": len(envelope),
        "error_code": error.code[:64],
        "error_text": error.message[:ERROR_TEXT_CHARS],
    }
    conn.execute(insert(message_poison).values(row).on_conflict_do_nothing())
    newest = select(message_poison.c.id).order_by(message_poison.c.id.desc()).limit(MAX_POISON)
    conn.execute(delete(message_poison).where(message_poison.c.id.not_in(newest)))


def remember(conn: Connection, message: Message, now: int) -> None:
    """Note that a message was taken in by another way, so that it has no effect should it still arrive."""
    row = {
        "sender": message.sender,
        "message_id": message.id,
        "thread": message.thread,
        "type": message.type,
        "message": message.encode(),
        "received_at": now,
        "state": PROCESSED,
        "error_code": "",
        "error_text": "",
    }
    conn.execute(insert(table).values(row).on_conflict_do_nothing())


def quarantine(conn: Connection, limit: int) -> list[PoisonedMessage]:
    """Return what was set aside, newest first."""
    signed = select(table).where(table.c.state == QUARANTINED).order_by(table.c.received_at.desc())
    found = [
        PoisonedMessage(
            to_checksum(r.sender), r.type, r.received_at, r.error_code, r.error_text, message_id=r.message_id.hex()
        )
        for r in conn.execute(signed.limit(limit))
    ]
    unopened = select(message_poison).order_by(message_poison.c.id.desc()).limit(limit)
    found += [
        PoisonedMessage("", "", r.received_at, r.error_code, r.error_text, r.from_peer) for r in conn.execute(unopened)
    ]
    return sorted(found, key=lambda each: -each.received_at)[:limit]


def counts(conn: Connection) -> InboundCounts:
    """Count received messages by state."""
    rows = conn.execute(select(table.c.state, func.count()).group_by(table.c.state)).all()
    by_state = {row[0]: row[1] for row in rows}
    poisoned = conn.execute(select(func.count()).select_from(message_poison)).scalar_one()
    return InboundCounts(
        processed=by_state.get(PROCESSED, 0),
        parked=by_state.get(PARKED, 0),
        quarantined=by_state.get(QUARANTINED, 0),
        poisoned=poisoned,
    )


def _shed(conn: Connection) -> None:
    """Keep only the newest quarantined messages, so that a hostile sender cannot fill the disk."""
    total = conn.execute(select(func.count()).select_from(table).where(table.c.state == QUARANTINED)).scalar_one()
    if total <= MAX_QUARANTINED:
        return
    oldest = (
        select(table.c.received_at)
        .where(table.c.state == QUARANTINED)
        .order_by(table.c.received_at.desc())
        .offset(MAX_QUARANTINED)
        .limit(1)
        .scalar_subquery()
    )
    conn.execute(delete(table).where(table.c.state == QUARANTINED, table.c.received_at <= oldest))
