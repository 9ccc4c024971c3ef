"""Mailboxes: what of ours waits at one, and what we keep for others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mailbox_letter",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("recipient", sa.LargeBinary(length=20), nullable=False),
        sa.Column("sender_peer", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.Integer(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_mailbox_letter")),
    )
    with op.batch_alter_table("mailbox_letter", schema=None) as batch_op:
        batch_op.create_index("ix_mailbox_letter_expires", ["expires_at"], unique=False)
        batch_op.create_index("ix_mailbox_letter_recipient", ["recipient", "received_at"], unique=False)
        batch_op.create_index("ix_mailbox_letter_sender", ["sender_peer"], unique=False)

    op.create_table(
        "message_left",
        sa.Column("outbox_id", sa.Integer(), nullable=False),
        sa.Column("mailbox", sa.Text(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(length=32), nullable=False),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.Column("until", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["outbox_id"],
            ["message_outbox.id"],
            name=op.f("fk_message_left_outbox_id_message_outbox"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("outbox_id", "mailbox", name=op.f("pk_message_left")),
    )
