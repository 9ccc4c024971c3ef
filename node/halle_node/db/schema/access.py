"""The operator's list of whom to block and whom to allow."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, Table, Text

from halle_node.db.schema import metadata

access_rule = Table(
    "access_rule",
    metadata,
    Column("subject", Text, primary_key=True),  # peer id, 0x… of a store, address or subnet
    Column("kind", Text, nullable=False),
    Column("allows", Boolean, nullable=False),
    Column("note", Text, nullable=False),
    Column("since", Integer, nullable=False),
)
