"""Cover bought from an underwriter."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trade_cover",
        sa.Column("cover_key", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("other", sa.LargeBinary(20), nullable=False),
        sa.Column("order_id", sa.LargeBinary(32), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary()),
        sa.Column("certificate_id", sa.LargeBinary(32)),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("tried_at", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("cover_key", name=op.f("pk_trade_cover")),
    )
    op.create_index("ix_trade_cover_order", "trade_cover", ["order_id"])
    op.create_index("ix_trade_cover_certificate", "trade_cover", ["certificate_id"])
    op.create_index("ix_trade_cover_due", "trade_cover", ["role", "tried_at"])
