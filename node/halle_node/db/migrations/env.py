"""Run by Alembic: apply the steps on the connection the node hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from halle_node.db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
    transactional_ddl=True,
)
context.run_migrations()
