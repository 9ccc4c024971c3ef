"""Tables of the trade room: the cart, orders, the facts they are folded from, and stock set aside for them.

Facts are append-only; only a reorganisation of the chain takes chain facts back. The `folded_*` columns of
`trade_order` are a cache for lists, rewritten from the fold in the transaction that adds a fact.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from halle_node.db.schema import metadata

trade_cart_line = Table(
    "trade_cart_line",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("store", LargeBinary(20), nullable=False),
    Column("handle", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("added_at", Integer, nullable=False),
    Index("uq_trade_cart_line_item", "store", "handle", "sku", unique=True),
)

trade_order = Table(
    "trade_order",
    metadata,
    Column("order_key", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("order_id", LargeBinary(32), nullable=False, unique=True),
    Column("merchant", LargeBinary(20), nullable=False),
    Column("buyer", LargeBinary(20), nullable=False),
    Column("chain_id", Integer, nullable=False),
    Column("escrow", LargeBinary(20), nullable=False),
    Column("terms", LargeBinary),
    Column("merchant_signature", LargeBinary),
    Column("document", LargeBinary),
    Column("request", LargeBinary),
    Column("delivery_code", LargeBinary),
    Column("contact", LargeBinary),
    Column("merchant_name", Text, nullable=False, default=""),
    Column("customer", Text, nullable=False, default=""),
    Column("title", Text, nullable=False, default=""),
    Column("pieces", Integer, nullable=False, default=0),
    Column("total_minor", Integer, nullable=False, default=0),
    Column("currency", Text, nullable=False, default=""),
    Column("problem", Text, nullable=False, default=""),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    Column("folded_status", Text, nullable=False, default=""),
    Column("folded_payment", Text, nullable=False, default=""),
    Column("folded_fulfilment", Text, nullable=False, default=""),
    Column("folded_returns", Text, nullable=False, default=""),
    Column("folded_open", Boolean, nullable=False, default=True),
    Column("folded_deadline_at", Integer),
    Index("ix_trade_order_list", "role", "folded_status", "updated_at"),
)

trade_fact = Table(
    "trade_fact",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("order_key", Text, ForeignKey("trade_order.order_key"), nullable=False),
    Column("kind", Text, nullable=False),  # message | chain
    Column("identity", LargeBinary, nullable=False),  # sender+id, or tx hash+log index
    Column("name", Text, nullable=False),
    Column("at", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("tx_hash", LargeBinary),
    Column("block_number", Integer),
    Column("log_index", Integer),
    Index("uq_trade_fact_once", "order_key", "kind", "identity", unique=True),
)

trade_transaction = Table(
    "trade_transaction",
    metadata,
    Column("row_id", Integer, primary_key=True, autoincrement=False),
    Column("order_key", Text, ForeignKey("trade_order.order_key"), nullable=False),
    Column("purpose", Text, nullable=False),
    Column("made_at", Integer, nullable=False),
    Index("ix_trade_transaction_order", "order_key"),
)

trade_certificate = Table(
    "trade_certificate",
    metadata,
    Column("certificate_id", Integer, primary_key=True, autoincrement=False),
    Column("order_key", Text, ForeignKey("trade_order.order_key"), nullable=False),
    Column("content", LargeBinary, nullable=False),
)

trade_reservation = Table(
    "trade_reservation",
    metadata,
    Column("order_key", Text, ForeignKey("trade_order.order_key"), primary_key=True),
    Column("expires_at", Integer, nullable=False),
    Column("state", Text, nullable=False),  # reserved | taken | freed
    Index("ix_trade_reservation_due", "state", "expires_at"),
)
