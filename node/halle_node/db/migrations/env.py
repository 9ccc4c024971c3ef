"""Run by Alembic: apply the steps on the connection the node hands over, inside its transaction."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from halle_node.db.schema import metadata
from halle_node.db.types import TokenAmount


def _render(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """Write a column type of ours as what it is in the file: later changes of the class must not reach back."""
    return "sa.Text()" if kind == "type" and isinstance(item, TokenAmount) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
    transactional_ddl=True,
    render_item=_render,
    compare_type=True,
)
context.run_migrations()
