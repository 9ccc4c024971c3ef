"""The tables of the first market day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "catalog_head",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("cid", sa.LargeBinary(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("frame", sa.LargeBinary(), nullable=False),
        sa.Column("issued", sa.Integer(), nullable=False),
        sa.Column("expires", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_catalog_head")),
    )
    op.create_table(
        "catalog_import",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.Integer(), nullable=False),
        sa.Column("undone_at", sa.Integer(), nullable=True),
        sa.Column("totals", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_import")),
    )
    op.create_table(
        "catalog_media",
        sa.Column("cid", sa.LargeBinary(), nullable=False),
        sa.Column("thumb", sa.LargeBinary(), nullable=True),
        sa.Column("mime", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("cid", name=op.f("pk_catalog_media")),
    )
    op.create_table(
        "catalog_problem",
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("handle", name=op.f("pk_catalog_problem")),
    )
    op.create_table(
        "catalog_product",
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("product_type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("published_revision", sa.Integer(), nullable=False),
        sa.Column("removed_at", sa.Integer(), nullable=True),
        sa.Column("updated_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("handle", name=op.f("pk_catalog_product")),
    )
    with op.batch_alter_table("catalog_product", schema=None) as batch_op:
        batch_op.create_index("ix_catalog_product_updated", ["updated_at"], unique=False)
        batch_op.create_index(
            "ix_catalog_product_waiting",
            ["handle"],
            unique=False,
            sqlite_where=sa.text("revision > published_revision"),
        )

    op.create_table(
        "catalog_published",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("cid", sa.LargeBinary(), nullable=True),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_catalog_published")),
    )
    op.create_table(
        "catalog_review",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_catalog_review")),
    )
    op.create_table(
        "catalog_setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_catalog_setting")),
    )
    op.create_table(
        "catalog_stock",
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("on_hand", sa.Integer(), nullable=False),
        sa.Column("reserved", sa.Integer(), nullable=False),
        sa.Column("tracked", sa.Boolean(), nullable=False),
        sa.Column("oversell", sa.Boolean(), nullable=False),
        sa.CheckConstraint("on_hand >= 0", name=op.f("ck_catalog_stock_on_hand")),
        sa.CheckConstraint("oversell OR NOT tracked OR reserved <= on_hand", name=op.f("ck_catalog_stock_promised")),
        sa.CheckConstraint("reserved >= 0", name=op.f("ck_catalog_stock_reserved")),
        sa.PrimaryKeyConstraint("handle", "sku", name=op.f("pk_catalog_stock")),
    )
    op.create_table(
        "chain_block",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_chain_block")),
    )
    op.create_table(
        "chain_cursor",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next_block", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chain_cursor")),
    )
    op.create_table(
        "chain_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("topics", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("block_number", sa.Integer(), nullable=False),
        sa.Column("block_hash", sa.LargeBinary(), nullable=False),
        sa.Column("block_time", sa.Integer(), nullable=False),
        sa.Column("tx_hash", sa.LargeBinary(), nullable=False),
        sa.Column("log_index", sa.Integer(), nullable=False),
        sa.Column("finality", sa.Text(), nullable=False),
        sa.CheckConstraint("finality IN ('seen', 'safe', 'final')", name=op.f("ck_chain_event_finality")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain_event")),
        sa.UniqueConstraint("block_hash", "log_index", name=op.f("uq_chain_event_block_hash_log_index")),
    )
    with op.batch_alter_table("chain_event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_chain_event_block_number"), ["block_number"], unique=False)
        batch_op.create_index("ix_chain_event_finality", ["finality"], unique=False)
        batch_op.create_index(batch_op.f("ix_chain_event_subject"), ["subject"], unique=False)

    op.create_table(
        "chain_identity",
        sa.Column("chain_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("genesis_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chain_id", name=op.f("pk_chain_identity")),
    )
    op.create_table(
        "chain_tx",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("signer", sa.LargeBinary(), nullable=False),
        sa.Column("nonce", sa.Integer(), nullable=True),
        sa.Column("to_address", sa.LargeBinary(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("ref", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("gas_limit", sa.Integer(), nullable=True),
        sa.Column("tx_hash", sa.LargeBinary(), nullable=True),
        sa.Column("block_number", sa.Integer(), nullable=True),
        sa.Column("block_hash", sa.LargeBinary(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_text", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "state IN ('queued', 'signed', 'sent', 'mined', 'final', 'failed')", name=op.f("ck_chain_tx_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain_tx")),
        sa.UniqueConstraint("signer", "nonce", name=op.f("uq_chain_tx_signer_nonce")),
    )
    with op.batch_alter_table("chain_tx", schema=None) as batch_op:
        batch_op.create_index("ix_chain_tx_ref", ["ref"], unique=False)
        batch_op.create_index("ix_chain_tx_state", ["state"], unique=False)

    op.create_table(
        "index_document",
        sa.Column("store", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("cid", sa.LargeBinary(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("store", "key", name=op.f("pk_index_document")),
    )
    op.create_table(
        "index_equivocation",
        sa.Column("store", sa.LargeBinary(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("frame_a", sa.LargeBinary(), nullable=False),
        sa.Column("frame_b", sa.LargeBinary(), nullable=False),
        sa.Column("seen_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("store", "seq", name=op.f("pk_index_equivocation")),
    )
    op.create_table(
        "index_follow",
        sa.Column("store", sa.LargeBinary(), nullable=False),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("store", name=op.f("pk_index_follow")),
    )
    op.create_table(
        "index_head",
        sa.Column("store", sa.LargeBinary(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("cid", sa.LargeBinary(), nullable=False),
        sa.Column("frame", sa.LargeBinary(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("issued", sa.Integer(), nullable=False),
        sa.Column("expires", sa.Integer(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Integer(), nullable=False),
        sa.Column("indexed_root", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("store", name=op.f("pk_index_head")),
    )
    with op.batch_alter_table("index_head", schema=None) as batch_op:
        batch_op.create_index("ix_index_head_issued", ["issued"], unique=False)

    op.create_table(
        "index_listing",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("store", sa.LargeBinary(), nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("cid", sa.LargeBinary(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("issued", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("texts", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("price_minor", sa.Integer(), nullable=False),
        sa.Column("price_max_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("availability", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("thumb", sa.LargeBinary(), nullable=True),
        sa.Column("rating_tenths", sa.Integer(), nullable=True),
        sa.Column("review_count", sa.Integer(), nullable=False),
        sa.Column("searchable", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_index_listing")),
    )
    with op.batch_alter_table("index_listing", schema=None) as batch_op:
        batch_op.create_index(
            "ix_index_listing_searchable", ["id"], unique=False, sqlite_where=sa.text("searchable IS 0")
        )
        batch_op.create_index("uq_index_listing_place", ["store", "handle"], unique=True)

    op.create_table(
        "index_review",
        sa.Column("author", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("cid", sa.LargeBinary(), nullable=False),
        sa.Column("store", sa.LargeBinary(), nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("rating", sa.Integer(), nullable=False),
        sa.Column("texts", sa.Text(), nullable=False),
        sa.Column("fallback", sa.Text(), nullable=False),
        sa.Column("order_id", sa.LargeBinary(), nullable=False),
        sa.Column("chain_id", sa.Integer(), nullable=False),
        sa.Column("tx", sa.LargeBinary(), nullable=False),
        sa.Column("issued", sa.Integer(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("author", "key", name=op.f("pk_index_review")),
    )
    with op.batch_alter_table("index_review", schema=None) as batch_op:
        batch_op.create_index("ix_index_review_about", ["store", "handle"], unique=False)

    op.create_table(
        "index_store",
        sa.Column("store", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("country", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("peer_id", sa.Text(), nullable=False),
        sa.Column("addrs", sa.Text(), nullable=False),
        sa.Column("profile", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("store", name=op.f("pk_index_store")),
    )
    op.create_table(
        "index_unlisted",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_index_unlisted")),
    )
    op.create_table(
        "message_inbox",
        sa.Column("sender", sa.LargeBinary(length=20), nullable=False),
        sa.Column("message_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("thread", sa.LargeBinary(length=32), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=False),
        sa.Column("error_text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sender", "message_id", name=op.f("pk_message_inbox")),
    )
    with op.batch_alter_table("message_inbox", schema=None) as batch_op:
        batch_op.create_index("ix_message_inbox_state", ["state", "received_at"], unique=False)
        batch_op.create_index("ix_message_inbox_thread", ["thread", "state"], unique=False)

    op.create_table(
        "message_outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.LargeBinary(length=20), nullable=False),
        sa.Column("message_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("thread", sa.LargeBinary(length=32), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.Column("contact", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at_ms", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("acknowledged_at", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=False),
        sa.Column("error_text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_outbox")),
    )
    with op.batch_alter_table("message_outbox", schema=None) as batch_op:
        batch_op.create_index("ix_message_outbox_due", ["state", "next_at_ms"], unique=False)
        batch_op.create_index("ix_message_outbox_thread", ["thread"], unique=False)
        batch_op.create_index("uq_message_outbox_once", ["recipient", "message_id"], unique=True)

    op.create_table(
        "message_poison",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("from_peer", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=False),
        sa.Column("error_text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_poison")),
        sa.UniqueConstraint("digest", name=op.f("uq_message_poison_digest")),
    )
    op.create_table(
        "trade_cart_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("store", sa.LargeBinary(length=20), nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("added_at", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trade_cart_line")),
    )
    with op.batch_alter_table("trade_cart_line", schema=None) as batch_op:
        batch_op.create_index("uq_trade_cart_line_item", ["store", "handle", "sku"], unique=True)

    op.create_table(
        "trade_certificate",
        sa.Column("certificate_id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("order_id", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("certificate_id", name=op.f("pk_trade_certificate")),
    )
    with op.batch_alter_table("trade_certificate", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_trade_certificate_order_id"), ["order_id"], unique=False)

    op.create_table(
        "trade_order",
        sa.Column("order_key", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("order_id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("merchant", sa.LargeBinary(length=20), nullable=False),
        sa.Column("buyer", sa.LargeBinary(length=20), nullable=False),
        sa.Column("thread", sa.LargeBinary(length=32), nullable=True),
        sa.Column("terms", sa.LargeBinary(), nullable=True),
        sa.Column("merchant_signature", sa.LargeBinary(), nullable=True),
        sa.Column("request", sa.LargeBinary(), nullable=True),
        sa.Column("delivery_code", sa.LargeBinary(), nullable=True),
        sa.Column("funded_tx", sa.LargeBinary(), nullable=True),
        sa.Column("merchant_name", sa.Text(), nullable=False),
        sa.Column("customer", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("pieces", sa.Integer(), nullable=False),
        sa.Column("total_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("problem_facts", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.Integer(), nullable=False),
        sa.Column("folded_status", sa.Text(), nullable=False),
        sa.Column("folded_payment", sa.Text(), nullable=False),
        sa.Column("folded_fulfilment", sa.Text(), nullable=False),
        sa.Column("folded_returns", sa.Text(), nullable=False),
        sa.Column("folded_open", sa.Boolean(), nullable=False),
        sa.Column("folded_deadline_at", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("order_key", name=op.f("pk_trade_order")),
        sa.UniqueConstraint("order_id", name=op.f("uq_trade_order_order_id")),
        sa.UniqueConstraint("thread", name=op.f("uq_trade_order_thread")),
    )
    with op.batch_alter_table("trade_order", schema=None) as batch_op:
        batch_op.create_index("ix_trade_order_role_status", ["role", "folded_status"], unique=False)
        batch_op.create_index("ix_trade_order_updated", ["updated_at"], unique=False)

    op.create_table(
        "catalog_import_change",
        sa.Column("import_id", sa.Integer(), nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["import_id"],
            ["catalog_import.id"],
            name=op.f("fk_catalog_import_change_import_id_catalog_import"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("import_id", "handle", name=op.f("pk_catalog_import_change")),
    )
    op.create_table(
        "catalog_photo",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("cid", sa.LargeBinary(), nullable=True),
        sa.Column("alt", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["cid"], ["catalog_media.cid"], name=op.f("fk_catalog_photo_cid_catalog_media")),
        sa.ForeignKeyConstraint(
            ["handle"],
            ["catalog_product.handle"],
            name=op.f("fk_catalog_photo_handle_catalog_product"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalog_photo")),
    )
    with op.batch_alter_table("catalog_photo", schema=None) as batch_op:
        batch_op.create_index("ix_catalog_photo_handle", ["handle", "position"], unique=False)

    op.create_table(
        "chain_tx_attempt",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("tx_id", sa.Integer(), nullable=False),
        sa.Column("tx_hash", sa.LargeBinary(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("max_fee", sa.Text(), nullable=False),
        sa.Column("tip", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tx_id"], ["chain_tx.id"], name=op.f("fk_chain_tx_attempt_tx_id_chain_tx"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain_tx_attempt")),
        sa.UniqueConstraint("tx_hash", name=op.f("uq_chain_tx_attempt_tx_hash")),
    )
    with op.batch_alter_table("chain_tx_attempt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_chain_tx_attempt_tx_id"), ["tx_id"], unique=False)

    op.create_table(
        "trade_message",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_key", sa.Text(), nullable=False),
        sa.Column("sender", sa.LargeBinary(length=20), nullable=False),
        sa.Column("message_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("issued", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["order_key"], ["trade_order.order_key"], name=op.f("fk_trade_message_order_key_trade_order")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trade_message")),
    )
    with op.batch_alter_table("trade_message", schema=None) as batch_op:
        batch_op.create_index("uq_trade_message_once", ["order_key", "sender", "message_id"], unique=True)

    op.create_table(
        "trade_reservation",
        sa.Column("order_key", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["order_key"], ["trade_order.order_key"], name=op.f("fk_trade_reservation_order_key_trade_order")
        ),
        sa.PrimaryKeyConstraint("order_key", name=op.f("pk_trade_reservation")),
    )
    with op.batch_alter_table("trade_reservation", schema=None) as batch_op:
        batch_op.create_index("ix_trade_reservation_due", ["state", "expires_at"], unique=False)

    op.create_table(
        "trade_transaction",
        sa.Column("row_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_key", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["order_key"], ["trade_order.order_key"], name=op.f("fk_trade_transaction_order_key_trade_order")
        ),
        sa.PrimaryKeyConstraint("row_id", name=op.f("pk_trade_transaction")),
    )
    with op.batch_alter_table("trade_transaction", schema=None) as batch_op:
        batch_op.create_index("ix_trade_transaction_order", ["order_key"], unique=False)
