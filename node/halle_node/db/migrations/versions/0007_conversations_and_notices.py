"""Conversations of a buyer and a shop, the lines of earlier orders among them; notices and their mail."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trade_talk",
        sa.Column("talk_key", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("other", sa.LargeBinary(length=20), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("contact", sa.LargeBinary(), nullable=True),
        sa.Column("read_id", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("talk_key", name=op.f("pk_trade_talk")),
    )
    op.create_index("uq_trade_talk_other", "trade_talk", ["role", "other"], unique=True)
    op.create_index("ix_trade_talk_last", "trade_talk", ["last_at"])
    op.create_table(
        "trade_talk_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("talk_key", sa.Text(), nullable=False),
        sa.Column("order_key", sa.Text(), nullable=True),
        sa.Column("sender", sa.LargeBinary(length=20), nullable=False),
        sa.Column("message_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("issued", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("fetch_at", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["talk_key"], ["trade_talk.talk_key"], name=op.f("fk_trade_talk_line_talk_key_trade_talk")
        ),
        sa.ForeignKeyConstraint(
            ["order_key"], ["trade_order.order_key"], name=op.f("fk_trade_talk_line_order_key_trade_order")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trade_talk_line")),
    )
    op.create_index("uq_trade_talk_line_once", "trade_talk_line", ["talk_key", "sender", "message_id"], unique=True)
    op.create_index("ix_trade_talk_line_order", "trade_talk_line", ["order_key"])
    op.create_index("ix_trade_talk_line_fetch", "trade_talk_line", ["fetch_at"])
    op.create_table(
        "notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("once", sa.Text(), nullable=True),
        sa.Column("at", sa.Integer(), nullable=False),
        sa.Column("read_at", sa.Integer(), nullable=True),
        sa.Column("mail", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("once", name=op.f("uq_notice_once")),
    )
    op.create_index("ix_notice_mail", "notice", ["mail", "next_at"])
    op.create_index("ix_notice_unread", "notice", ["read_at", "at"])
    op.create_table(
        "notice_setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_notice_setting")),
    )
    _gather_chats(op.get_bind())


def _gather_chats(conn: sa.Connection) -> None:
    """Put what was said in earlier orders into conversations, as read."""
    said = conn.execute(
        sa.text(
            "SELECT o.order_key, o.role, o.merchant, o.buyer, o.customer, o.merchant_name, "
            "m.sender, m.message_id, m.issued FROM trade_message m JOIN trade_order o USING (order_key) "
            "WHERE m.type = 'chat' AND o.role != 'arbiter' ORDER BY m.id"
        )
    ).all()
    for row in said:
        key = _talk_key(row.merchant, row.buyer)
        is_shop = row.role == "merchant"
        conn.execute(
            sa.text(
                "INSERT INTO trade_talk (talk_key, role, other, name, handle, read_id, note, created_at, last_at) "
                "VALUES (:key, :role, :other, :name, '', 0, '', :at, :at) "
                "ON CONFLICT DO UPDATE SET last_at = max(last_at, :at)"
            ),
            {
                "key": key,
                "role": row.role,
                "other": row.buyer if is_shop else row.merchant,
                "name": row.customer if is_shop else row.merchant_name,
                "at": row.issued,
            },
        )
        conn.execute(
            sa.text(
                "INSERT INTO trade_talk_line (talk_key, order_key, sender, message_id, issued, received_at) "
                "VALUES (:key, :order, :sender, :message, :at, :at)"
            ),
            {
                "key": key,
                "order": row.order_key,
                "sender": row.sender,
                "message": row.message_id,
                "at": row.issued,
            },
        )
    conn.execute(
        sa.text(
            "UPDATE trade_talk SET read_id = "
            "(SELECT max(id) FROM trade_talk_line l WHERE l.talk_key = trade_talk.talk_key)"
        )
    )


def _talk_key(merchant: bytes, buyer: bytes) -> str:
    """The beginning of the conversation's thread (spec 8 §2)."""
    low, high = sorted((merchant, buyer))
    return hashlib.sha256(b"halle/thread/1\x00" + low + high + merchant).hexdigest()[:32]
