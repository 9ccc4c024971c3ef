"""What the node asked of the chain (`chain_tx`) and what the chain told the node (`chain_event`)."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text
from sqlalchemy import UniqueConstraint as Unique

from halle_node.db.schema import metadata
from halle_node.db.types import TokenAmount

TX_STATES = ("queued", "signed", "sent", "mined", "final", "failed")
FINALITIES = ("seen", "safe", "final")

# Which chain this database belongs to: a second chain with the same id (a fresh dev chain) is not the same
# one.
chain_identity = Table(
    "chain_identity",
    metadata,
    Column("chain_id", Integer, primary_key=True, autoincrement=False),
    Column("genesis_hash", LargeBinary, nullable=False),
)

chain_tx = Table(
    "chain_tx",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("signer", LargeBinary, nullable=False),
    Column("nonce", Integer),
    Column("to_address", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("value", TokenAmount, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("ref", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("gas_limit", Integer),
    Column("tx_hash", LargeBinary),
    Column("block_number", Integer),
    Column("block_hash", LargeBinary),
    Column("error_code", Text),
    Column("error_text", Text),
    Column("created_at", Integer, nullable=False),
    Column("sent_at", Integer),
    CheckConstraint("state IN ('queued', 'signed', 'sent', 'mined', 'final', 'failed')", name="state"),
    # No two transactions of one signer can ever share a nonce: at most one of them would happen.
    Unique("signer", "nonce"),
)
Index("ix_chain_tx_state", chain_tx.c.state)
Index("ix_chain_tx_ref", chain_tx.c.ref)

# Every signed form of a transaction, kept: any of them may be the one that is mined.
chain_tx_attempt = Table(
    "chain_tx_attempt",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tx_id", Integer, ForeignKey("chain_tx.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("tx_hash", LargeBinary, nullable=False, unique=True),
    Column("raw", LargeBinary, nullable=False),
    Column("max_fee", TokenAmount, nullable=False),
    Column("tip", TokenAmount, nullable=False),
    Column("made_at", Integer, nullable=False),
)

chain_event = Table(
    "chain_event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("contract", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("address", LargeBinary, nullable=False),
    # The first indexed argument: the order, shipment or certificate the event is about.
    Column("subject", LargeBinary, nullable=False, index=True),
    Column("topics", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("block_number", Integer, nullable=False, index=True),
    Column("block_hash", LargeBinary, nullable=False),
    Column("block_time", Integer, nullable=False),
    Column("tx_hash", LargeBinary, nullable=False),
    Column("log_index", Integer, nullable=False),
    Column("finality", Text, nullable=False),
    CheckConstraint("finality IN ('seen', 'safe', 'final')", name="finality"),
    Unique("block_hash", "log_index"),
)
Index("ix_chain_event_finality", chain_event.c.finality)

# The newest scanned blocks, to find where a fork began.
chain_block = Table(
    "chain_block",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

chain_cursor = Table(
    "chain_cursor",
    metadata,
    Column("name", Text, primary_key=True),
    Column("next_block", Integer, nullable=False),
)
