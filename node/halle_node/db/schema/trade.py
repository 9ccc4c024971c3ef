"""Tables of the trade room: the cart, the orders, the messages they are folded from, and stock set aside for them.

An order's row has the role we play in it: merchant, buyer or arbiter.

Messages are append-only; chain facts are read from the chain room's own rows. The `folded_*` columns are a cache for
lists, rewritten from the fold in the transaction that adds a fact.
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
    Column("thread", LargeBinary(32), unique=True),
    Column("terms", LargeBinary),  # absent while a funded order is known from its event alone
    Column("merchant_signature", LargeBinary),
    Column("request", LargeBinary),  # the buyer's signed order/request; absent until it arrives
    Column("delivery_code", LargeBinary),
    Column("arbiter", LargeBinary(20)),  # our own address when that is our role
    Column("funded_tx", LargeBinary),
    Column("merchant_name", Text, nullable=False, default=""),
    Column("customer", Text, nullable=False, default=""),
    Column("title", Text, nullable=False, default=""),
    Column("pieces", Integer, nullable=False, default=0),
    Column("total_minor", Integer, nullable=False, default=0),
    Column("currency", Text, nullable=False, default=""),
    Column("problem", Text, nullable=False, default=""),
    Column("problem_facts", Text, nullable=False, default="[]"),
    # After a restore: "chain" until the chain was read to its end, "history" until the other side has answered.
    # "erased" once the customer was erased; then `accounting` is what the books need, as JSON.
    Column("accounting", Text, nullable=False, default="", server_default=""),
    Column("restored", Text, nullable=False, default="", server_default=""),
    Column("history_asked_at", Integer, nullable=False, default=0, server_default="0"),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    Column("folded_status", Text, nullable=False, default=""),
    Column("folded_payment", Text, nullable=False, default=""),
    Column("folded_fulfilment", Text, nullable=False, default=""),
    Column("folded_returns", Text, nullable=False, default=""),
    Column("folded_open", Boolean, nullable=False, default=True),
    Column("folded_deadline_at", Integer),
    Index("ix_trade_order_role_status", "role", "folded_status"),
    Index("ix_trade_order_updated", "updated_at"),
)

trade_message = Table(
    "trade_message",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("order_key", Text, ForeignKey("trade_order.order_key"), nullable=False),
    Column("sender", LargeBinary(20), nullable=False),
    Column("message_id", LargeBinary(16), nullable=False),
    Column("type", Text, nullable=False),
    Column("issued", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("uq_trade_message_once", "order_key", "sender", "message_id", unique=True),
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
    Column("certificate_id", LargeBinary(32), primary_key=True),
    Column("order_id", LargeBinary(32), nullable=False, index=True),
)

# reserved → taken → returned, or reserved → freed. One row a merchant's order.
trade_reservation = Table(
    "trade_reservation",
    metadata,
    Column("order_key", Text, ForeignKey("trade_order.order_key"), primary_key=True),
    Column("expires_at", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Index("ix_trade_reservation_due", "state", "expires_at"),
)

# What the owner decided about trade: auto-accept rules. One JSON form a name.
trade_setting = Table(
    "trade_setting",
    metadata,
    Column("name", Text, primary_key=True),
    Column("form", Text, nullable=False),
    Column("updated_at", Integer, nullable=False),
)

# Who sat over a dispute, read once from the calldata of the transaction that opened it.
trade_dispute = Table(
    "trade_dispute",
    metadata,
    Column("order_id", LargeBinary(32), primary_key=True),
    Column("tx_hash", LargeBinary(32), nullable=False),
    Column("arbiter", LargeBinary(20)),  # absent until the calldata was read
    Column("backup", LargeBinary(20)),
    Index("ix_trade_dispute_arbiter", "arbiter"),
)

# Parcels this node was asked to carry.
trade_parcel = Table(
    "trade_parcel",
    metadata,
    Column("shipment_id", LargeBinary(32), primary_key=True),
    Column("merchant", LargeBinary(20), nullable=False),
    Column("content", LargeBinary, nullable=False),  # the merchant's signed parcel/handover
    Column("received_at", Integer, nullable=False),
)

# Digital goods on the shelf. A licence key is spent once; a file or text goes to every buyer.
trade_digital = Table(
    "trade_digital",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("handle", Text, nullable=False),
    Column("sku", Text, nullable=False, default=""),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("resends", Integer, nullable=False, default=0),
    Column("order_key", Text),  # who got this licence key
    Index("ix_trade_digital_handle", "handle", "sku"),
)

# Certificates of others: held after a resale, or underwritten for an order that is not ours.
trade_claim_message = Table(
    "trade_claim_message",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("certificate_id", LargeBinary(32), nullable=False),
    Column("sender", LargeBinary(20), nullable=False),
    Column("message_id", LargeBinary(16), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("uq_trade_claim_message_once", "certificate_id", "sender", "message_id", unique=True),
)

# One conversation: everything that one buyer and one shop say to each other, in orders and outside of them.
trade_talk = Table(
    "trade_talk",
    metadata,
    Column("talk_key", Text, primary_key=True),
    Column("role", Text, nullable=False),  # ours: merchant or buyer
    Column("other", LargeBinary(20), nullable=False),
    Column("name", Text, nullable=False, default=""),
    Column("handle", Text, nullable=False, default=""),  # the product of the newest question
    Column("contact", LargeBinary),  # where a buyer who publishes nothing is reached
    Column("read_id", Integer, nullable=False, default=0),  # the newest line that the owner has seen
    Column("note", Text, nullable=False, default=""),  # the owner's own, never sent
    Column("created_at", Integer, nullable=False),
    Column("last_at", Integer, nullable=False),
    Index("uq_trade_talk_other", "role", "other", unique=True),
    Index("ix_trade_talk_last", "last_at"),
)

trade_talk_line = Table(
    "trade_talk_line",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("talk_key", Text, ForeignKey("trade_talk.talk_key"), nullable=False),
    Column("order_key", Text, ForeignKey("trade_order.order_key")),
    Column("sender", LargeBinary(20), nullable=False),
    Column("message_id", LargeBinary(16), nullable=False),
    Column("issued", Integer, nullable=False),
    Column("received_at", Integer, nullable=False),
    Column("content", LargeBinary),  # the signed message; a line of an order has it in trade_message
    Column("fetch_at", Integer),  # when its photos are looked for next; absent when there is nothing to fetch
    Index("uq_trade_talk_line_once", "talk_key", "sender", "message_id", unique=True),
    Index("ix_trade_talk_line_order", "order_key"),
    Index("ix_trade_talk_line_fetch", "fetch_at"),
)

# Cover asked of an underwriter: of one by us, or of us. What came of it is read from the answer and from the chain.
trade_cover = Table(
    "trade_cover",
    metadata,
    Column("cover_key", Text, primary_key=True),
    Column("role", Text, nullable=False),  # ours: buyer or underwriter
    Column("other", LargeBinary(20), nullable=False),
    Column("order_id", LargeBinary(32), nullable=False),
    Column("request", LargeBinary, nullable=False),  # the signed cover/request
    Column("answer", LargeBinary),  # the newest signed cover/offer or cover/decline
    Column("certificate_id", LargeBinary(32)),  # what the offer becomes when its premium is paid
    Column("problem", Text, nullable=False, default=""),  # why the request waits for the underwriter's person
    Column("tried_at", Integer, nullable=False, default=0),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    Index("ix_trade_cover_order", "order_id"),
    Index("ix_trade_cover_certificate", "certificate_id"),
    Index("ix_trade_cover_due", "role", "tried_at"),
)
