"""Tables of the messages room: what we sent, what we received, what we could not understand;
and the mailbox we keep for others."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

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

# Our messages that wait at somebody's mailbox.
message_left = Table(
    "message_left",
    metadata,
    Column("outbox_id", Integer, ForeignKey("message_outbox.id", ondelete="CASCADE"), primary_key=True),
    Column("mailbox", Text, primary_key=True),
    Column("envelope", LargeBinary(32), nullable=False),
    Column("since", Integer, nullable=False),
    Column("until", Integer, nullable=False),
)

# Other people's envelopes; once its recipient has signed for one, the signature is all that stays.
mailbox_letter = Table(
    "mailbox_letter",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("recipient", LargeBinary(20), nullable=False),
    Column("sender_peer", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("received_at", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Index("ix_mailbox_letter_recipient", "recipient", "received_at"),
    Index("ix_mailbox_letter_sender", "sender_peer"),
    Index("ix_mailbox_letter_expires", "expires_at"),
)
