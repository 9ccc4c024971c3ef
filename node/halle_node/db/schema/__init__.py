"""The tables of a node, one module a room. Importing this package registers them all on `metadata`."""

from __future__ import annotations

from sqlalchemy import MetaData

metadata = MetaData()
