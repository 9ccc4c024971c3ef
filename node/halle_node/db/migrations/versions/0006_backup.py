"""Back-ups and the way back: notes of the node, and orders that wait for what was said before a restore."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "node_note",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_node_note")),
    )
    op.add_column("trade_order", sa.Column("accounting", sa.Text(), nullable=False, server_default=""))
    op.add_column("trade_order", sa.Column("restored", sa.Text(), nullable=False, server_default=""))
    op.add_column("trade_order", sa.Column("history_asked_at", sa.Integer(), nullable=False, server_default="0"))
