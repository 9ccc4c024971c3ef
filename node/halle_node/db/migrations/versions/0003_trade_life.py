"""The whole life of an order: owner's rules, disputes, parcels carried, digital goods, certificates of others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trade_order", sa.Column("arbiter", sa.LargeBinary(length=20), nullable=True))
    op.create_table(
        "trade_claim_message",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("certificate_id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sender", sa.LargeBinary(length=20), nullable=False),
        sa.Column("message_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trade_claim_message")),
    )
    with op.batch_alter_table("trade_claim_message", schema=None) as batch_op:
        batch_op.create_index("uq_trade_claim_message_once", ["certificate_id", "sender", "message_id"], unique=True)

    op.create_table(
        "trade_digital",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("resends", sa.Integer(), nullable=False),
        sa.Column("order_key", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trade_digital")),
    )
    with op.batch_alter_table("trade_digital", schema=None) as batch_op:
        batch_op.create_index("ix_trade_digital_handle", ["handle", "sku"], unique=False)

    op.create_table(
        "trade_dispute",
        sa.Column("order_id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("tx_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("arbiter", sa.LargeBinary(length=20), nullable=True),
        sa.Column("backup", sa.LargeBinary(length=20), nullable=True),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_trade_dispute")),
    )
    with op.batch_alter_table("trade_dispute", schema=None) as batch_op:
        batch_op.create_index("ix_trade_dispute_arbiter", ["arbiter"], unique=False)

    op.create_table(
        "trade_parcel",
        sa.Column("shipment_id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("merchant", sa.LargeBinary(length=20), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("shipment_id", name=op.f("pk_trade_parcel")),
    )
    op.create_table(
        "trade_setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_trade_setting")),
    )
