"""Orders of a restored node: what waits, and for what.

Rule: the lost machine may have done things that the back-up does not know. Until the chain was read to its end no move
is made; until the other side has said what the two said, nothing is sent that the chain would not refuse to send twice.
"""

from __future__ import annotations

import json

from sqlalchemy import Connection, select, update

from halle_node.db import notes
from halle_node.db.schema.trade import trade_order as table
from halle_node.trade.book import Order

NOTE = "restored"
WAITS_FOR_CHAIN, WAITS_FOR_HISTORY = "chain", "history"
ERASED = "erased"
"""Not a restore, but as final: this order's words are gone on purpose, and nobody is asked for them."""
UNSEEN_BY_THE_CHAIN = frozenset({"ship", "send_again", "send_deliverable"})
"""Moves that only messages know of, at least in part: made twice, goods leave twice."""
GO_ON = "go_on"


def is_held(order: Order, move: str) -> bool:
    """Say whether a move must wait for the chain or the other side."""
    waits = order.row.restored
    if waits == ERASED:
        return True
    return (waits == WAITS_FOR_CHAIN and move != "chat") or (waits == WAITS_FOR_HISTORY and move in UNSEEN_BY_THE_CHAIN)


def is_catching_up(conn: Connection) -> bool:
    """Say whether this node was restored and has not read the chain to its end since."""
    found = notes.read(conn, NOTE)
    return found is not None and not json.loads(found).get("chain_read", False)


def note_chain_read(conn: Connection, now: int) -> bool:
    """Let orders wait for the other side only, now that the chain was read; say whether that is news."""
    if not is_catching_up(conn):
        return False
    form = json.loads(notes.read(conn, NOTE) or "{}") | {"chain_read": True}
    notes.write(conn, NOTE, json.dumps(form), now)
    conn.execute(update(table).where(table.c.restored == WAITS_FOR_CHAIN).values(restored=WAITS_FOR_HISTORY))
    return True


def somebody_waits(conn: Connection) -> bool:
    """Say whether an order we sell waits for its buyer's copy: its goods may be spoken for already."""
    waits = table.c.restored.in_((WAITS_FOR_CHAIN, WAITS_FOR_HISTORY))
    waiting = select(table.c.order_key).where(waits, table.c.role == "merchant").limit(1)
    return conn.execute(waiting).first() is not None
