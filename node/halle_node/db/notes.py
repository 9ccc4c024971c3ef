"""What the node remembers of itself, one form a name: the last back-up, a restore."""

from __future__ import annotations

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from halle_node.db.schema.node import node_note as table


def read(conn: Connection, name: str) -> str | None:
    """Return a note; None when there is none."""
    found: str | None = conn.execute(select(table.c.form).where(table.c.name == name)).scalar()
    return found


def write(conn: Connection, name: str, form: str, now: int) -> None:
    """Keep a note in the place of an earlier one."""
    values = {"form": form, "updated_at": now}
    statement = insert(table).values(name=name, **values)
    conn.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
