"""Tables of the notify room: what the owner should hear of, and whether it was mailed."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, Text

from halle_node.db.schema import metadata

# mail: none → nothing to send; now → due at next_at; digest → waits for the daily mail; sent; dropped.
notice = Table(
    "notice",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),  # the order, conversation or product it leads to
    Column("params", Text, nullable=False),
    Column("once", Text, unique=True),  # no second notice with the same mark
    Column("at", Integer, nullable=False),
    Column("read_at", Integer),
    Column("mail", Text, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", Integer, nullable=False, default=0),
    Column("error_code", Text, nullable=False, default=""),
    Index("ix_notice_mail", "mail", "next_at"),
    Index("ix_notice_unread", "read_at", "at"),
)

notice_setting = Table(
    "notice_setting",
    metadata,
    Column("name", Text, primary_key=True),
    Column("form", Text, nullable=False),
    Column("updated_at", Integer, nullable=False),
)
