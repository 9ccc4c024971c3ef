"""Tables of the messages room: what we sent, what we received, what we could not understand."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text

from halle_node.db.schema import metadata

message_outbox = Table(
    "message_outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("recipient", LargeBinary(20), nullable=False),
    Column("message_id", LargeBinary(16), nullable=False),
    Column("thread", LargeBinary(32), nullable=False),
    Column("type", Text, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Column("contact", LargeBinary, nullable=False),  # where to deliver and the prekey to seal to
    Column("state", Text, nullable=False),  # queued | acknowledged | refused
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at_ms", Integer, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("acknowledged_at", Integer),
    Column("error_code", Text, nullable=False, default=""),
    Column("error_text", Text, nullable=False, default=""),
    Index("ix_message_outbox_due", "state", "next_at_ms"),
    Index("uq_message_outbox_once", "recipient", "message_id", unique=True),
    Index("ix_message_outbox_thread", "thread"),
)

message_inbox = Table(
    "message_inbox",
    metadata,
    Column("sender", LargeBinary(20), primary_key=True),
    Column("message_id", LargeBinary(16), primary_key=True),
    Column("thread", LargeBinary(32), nullable=False),
    Column("type", Text, nullable=False),
    Column("message", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),  # processed | parked | quarantined
    Column("received_at", Integer, nullable=False),
    Column("error_code", Text, nullable=False, default=""),
    Column("error_text", Text, nullable=False, default=""),
    Index("ix_message_inbox_thread", "thread", "state"),
    Index("ix_message_inbox_state", "state", "received_at"),
)

message_poison = Table(
    "message_poison",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("from_peer", Text, nullable=False),
    Column("received_at", Integer, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("error_code", Text, nullable=False),
    Column("error_text", Text, nullable=False),
)
