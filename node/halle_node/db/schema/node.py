"""What the node remembers of itself."""

from __future__ import annotations

from sqlalchemy import Column, Integer, Table, Text

from halle_node.db.schema import metadata

node_note = Table(
    "node_note",
    metadata,
    Column("name", Text, primary_key=True),
    Column("form", Text, nullable=False),
    Column("updated_at", Integer, nullable=False),
)
