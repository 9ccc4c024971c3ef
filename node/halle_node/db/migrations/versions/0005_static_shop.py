"""The static shop's files and the store's IPNS record."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "catalog_name",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.Integer(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_catalog_name")),
    )
    op.create_table(
        "catalog_site_file",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("source", sa.LargeBinary(), nullable=False),
        sa.Column("cid", sa.LargeBinary(), nullable=False),
        sa.Column("tsize", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_catalog_site_file")),
    )
