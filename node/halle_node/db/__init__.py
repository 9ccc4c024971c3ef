"""The node's own memory: one SQLite file, one writer, many readers.

Rule: a business change, the messages it sends and the transactions it makes are rows of one transaction, or
of none.
"""

from __future__ import annotations

from halle_node.db.engine import Database, open_database
from halle_node.db.types import TokenAmount

__all__ = ["Database", "TokenAmount", "open_database"]
